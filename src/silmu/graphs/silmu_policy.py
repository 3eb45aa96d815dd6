"""Networks that act, which silmu trained from nothing: see `silmu.networks.policies`.

`observation` goes in, (rows, size) or a picture (rows, channels, height, width) from 0 to 255, and
with a memory `state` (rows, hidden), zeros where an episode begins. Out come

- `action`: logits (rows, choices), of several choices side by side; of a box the action itself,
  (rows, size), in the environment's unit and, but of `sac`, not yet cut to its bounds;
- `value` (rows,): the return that is expected from here, where the network tells one; in `sac`
  after this action, and with what its entropy is worth;
- `next_state` (rows, hidden).

A box that shall not be the likeliest but drawn is asked for with `noise` (rows, size), numbers of
a standard normal distribution; without it they are zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InvalidModelError

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("silmu-policy",)
HEADS = {"reinforcement-learning": "head.weight"}
PREFIX = ""
DTYPES = ("fp32",)

_KINDS = ("mlp", "cnn", "gru")
_ALGORITHMS = ("ppo", "dqn", "sac")
_ACTIONS = ("discrete", "multi_discrete", "multi_binary", "box")
_ACTIVATIONS = ("tanh", "relu")
_SMALL_SIDE = 60
_LARGEST, _USUAL_SIDE, _LEAST_LOG, _MOST_LOG = 10.0, 84, -20.0, 2.0
_LATER = (("conv2", 64, 4, 2), ("conv3", 64, 3, 1))


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network."""
    del head, prefix
    g = graph
    kind = config.choice("kind", "", _KINDS)
    algorithm = config.choice("algorithm", "", _ALGORITHMS)
    size = config.size("hidden_size", most=1 << 16)
    outputs = sum(config.sizes("action_sizes", (), most=1 << 20))
    if outputs == 0:
        raise InvalidModelError(f"config.json of `{config.name}` has no action_sizes")
    x = _observed(g, config)
    found = _body(g, config, "body", x)
    if kind == "gru":
        found = _remembered(g, found, size)
        g.output("next_state", found, ["rows", size])
    is_box = config.choice("actions", "", _ACTIONS) == "box"
    told = _layer(g, "head", found, size, outputs * (1 + (algorithm == "sac")))
    told = _drawn(g, told, algorithm, outputs) if is_box else told
    g.output("action", _in_unit(g, told, outputs) if is_box else told, ["rows", outputs])
    if algorithm == "dqn":
        best = g.node("ReduceMax", told, g.constant([1]), keepdims=0)
        g.output("value", best, ["rows"])
    elif algorithm == "ppo":
        own = _body(g, config, "value_body", x) if kind == "mlp" else found
        value = g.node("Squeeze", _layer(g, "value_head", own, size, 1), g.constant([1]))
        value = g.node("Mul", value, g.weight("value_scale", shape=()))
        g.output("value", value, ["rows"])
    elif config.values.get("critics"):
        g.output("value", _judged(g, config, g.node("Concat", x, told, axis=1)), ["rows"])


def _judged(g: Graph, config: Config, x: Value) -> Value:
    """What the critic that tells least tells of an observation and an action, side by side."""
    size, action = config.size("hidden_size"), sum(config.sizes("action_sizes", ()))
    activation = config.choice("activation", "", _ACTIVATIONS)
    layers = config.size("num_layers", most=1024)
    told: list[Value] = []
    for i in range(config.size("critics", most=16)):
        y, inner = x, config.size("observation_size") + action
        for k in range(layers):
            name = f"critics.critics.{i}.{2 * k}"
            y, inner = g.activate(activation, _layer(g, name, y, inner, size)), size
        told.append(_layer(g, f"critics.critics.{i}.{2 * layers}", y, size, 1))
    return g.node("Squeeze", g.node("Min", *told), g.constant([1]))


def _observed(g: Graph, config: Config) -> Value:
    """An observation on the scale on which it is read."""
    if config.values.get("image") is not None:
        channels, height, width = _image(config)
        x = g.input("observation", "float32", ["rows", channels, height, width])
        if not config.flag("normalise", True):
            return g.node("Div", x, g.constant(255, "float32"))
        mean, deviation = (g.array(n, shape=(channels, 1, 1)) for n in ("mean", "deviation"))
        x = g.node("Sub", x, g.table("silmu.mean", 255 * mean))
        return g.node("Div", x, g.table("silmu.deviation", 255 * deviation))
    size = config.size("observation_size")
    x = g.input("observation", "float32", ["rows", size])
    if not config.flag("normalise", True):
        return x
    x = g.node("Sub", x, g.weight("mean", shape=(size,)))
    x = g.node("Div", x, g.weight("deviation", shape=(size,)))
    return g.node("Clip", x, *(g.constant(end, "float32") for end in (-_LARGEST, _LARGEST)))


def _image(config: Config) -> tuple[int, ...]:
    image = config.sizes("image", (), most=1 << 14)
    if len(image) != 3 or min(image[1:]) < 36:
        raise InvalidModelError(
            f"config.json of `{config.name}` has image = {list(image)}; "
            "it must be channels, height and width, each side at least 36"
        )
    return image


def _body(g: Graph, config: Config, name: str, x: Value) -> Value:
    size = config.size("hidden_size")
    if config.values.get("image") is not None:
        return _sight(g, config, name, x)
    activation = config.choice("activation", "", _ACTIVATIONS)
    inner = config.size("observation_size")
    for i in range(config.size("num_layers", most=1024)):
        x = g.activate(activation, _layer(g, f"{name}.{2 * i}", x, inner, size))
        inner = size
    return x


def _sight(g: Graph, config: Config, name: str, x: Value) -> Value:
    channels, *sides = _image(config)
    first = ("conv1", 32, 8, 2 if min(sides) < _SMALL_SIDE else 4)
    pooled = max(round(min(sides) / _USUAL_SIDE), 1)
    if pooled > 1:
        x = g.node("AveragePool", x, kernel_shape=[pooled] * 2, strides=[pooled] * 2)
        sides = [side // pooled for side in sides]
    for layer, filters, kernel, stride in (first, *_LATER):
        weight = g.weight(f"{name}.{layer}.weight", shape=(filters, channels, kernel, kernel))
        bias = g.bias(f"{name}.{layer}", size=filters)
        x = g.node("Relu", g.node("Conv", x, weight, bias, strides=[stride] * 2))
        sides = [(side - kernel) // stride + 1 for side in sides]
        channels = filters
    inner = channels * sides[0] * sides[1]
    x = g.node("Flatten", x)
    return g.node("Relu", _layer(g, f"{name}.line", x, inner, config.size("hidden_size")))


def _layer(g: Graph, name: str, x: Value, inner: int, outer: int) -> Value:
    """x W^T + b, one node: a policy answers one row at a time, and each node costs."""
    weight = g.weight(f"{name}.weight", shape=(outer, inner))
    return g.node("Gemm", x, weight, g.bias(name, size=outer), transB=1)


def _remembered(g: Graph, x: Value, size: int) -> Value:
    """The state after a step, (rows, hidden)."""
    state = g.input("state", "float32", ["rows", size])

    def turned(what: str, *shape: int) -> Value:
        """A tensor with its gates in the order of ONNX: update, reset, hidden."""
        array = g.array(f"memory.{what}_l0", shape=(3 * size, *shape))
        reset, update, new = np.split(array, 3)
        return g.table(f"memory.{what}:gates", np.concatenate([update, reset, new])[None])

    matrices = [turned("weight_ih", size), turned("weight_hh", size)]
    biases = g.node("Concat", turned("bias_ih"), turned("bias_hh"), axis=1)
    step, before = (g.node("Unsqueeze", one, g.constant([0])) for one in (x, state))
    attributes: dict[str, Any] = {"hidden_size": size, "linear_before_reset": 1}
    # (directions, rows, size); no lengths, which is an input left empty.
    _, last = g.nodes("GRU", step, *matrices, biases, "", before, outputs=2, **attributes)
    return g.node("Squeeze", last, g.constant([0]))


def _drawn(g: Graph, told: Value, algorithm: str, size: int) -> Value:
    """What was told of an action, and chance, in the unit in which it is learnt."""
    # Rows of a name of their own: one of zeros stands for as many as there are.
    noise = g.option("noise", "float32", np.zeros((1, size)), ["drawn", size])
    if algorithm == "sac":
        told, spread = g.split(told, 2)
        ends = (g.constant(end, "float32") for end in (_LEAST_LOG, _MOST_LOG))
        spread = g.node("Exp", g.node("Clip", spread, *ends))
    else:
        logarithms = g.array("log_std", shape=(size,))
        spread = g.table("silmu.spread", np.exp(logarithms))
    told = g.node("Add", told, g.node("Mul", spread, noise))
    return g.node("Tanh", told) if algorithm == "sac" else told


def _in_unit(g: Graph, told: Value, size: int) -> Value:
    """An action in the environment's unit."""
    told = g.node("Mul", told, g.weight("scale", shape=(size,)))
    return g.node("Add", told, g.weight("shift", shape=(size,)))
