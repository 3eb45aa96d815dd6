"""Networks for series that silmu trained from nothing: see `silmu.networks.series`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("silmu-series",)
HEADS = {"time-series-forecasting": ("horizon.output.weight", "lines.trend.weight")}
PREFIX = ""
DTYPES = ("fp32",)

_KINDS = ("rnn", "lstm", "gru", "tcn", "dlinear")
_HEADS = ("quantiles", "student_t")
_SMALLEST_SCALE = 1e-6
_LONGEST = 1 << 16
# torch keeps the gates of an LSTM as input, forget, cell, output; ONNX as input, output, forget,
# cell. Those of a GRU are reset, update, new there; update, reset, hidden here.
_RECURRENT: dict[str, tuple[str, list[int], dict[str, Any]]] = {
    "rnn": ("RNN", [0], {}),
    "lstm": ("LSTM", [0, 3, 1, 2], {}),
    "gru": ("GRU", [1, 0, 2], {"linear_before_reset": 1}),
}


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network: what is known of a series in, `parameters` of each step out."""
    del head, prefix
    g = graph
    kind = config.choice("kind", "", _KINDS)
    context = config.size("context_length", most=_LONGEST)
    steps = config.size("prediction_length", most=_LONGEST)
    outputs = config.size("outputs", most=1024)
    past = g.input("past_values", "float32", ["rows", context])
    if kind == "dlinear":
        found = _lines(g, config, past)
    else:
        state = _state(g, config, _read(g, config, past))
        found = _horizon(g, config, state)
        if config.flag("skip", True):
            found = g.node("Add", found, _skip(g, config, past))
    g.output("parameters", _told(g, config, found), ["rows", steps, outputs])


def _count(config: Config, key: str) -> int:
    """A number of something that there may be none of."""
    return config.size(key) if config.values.get(key) else 0


def _read(g: Graph, config: Config, past: Value) -> Value:
    """What a step is read as: (rows, context, size)."""
    context, size = config.size("context_length"), config.size("hidden_size")
    known, beside = _count(config, "num_known"), _count(config, "num_past")
    mask = g.input("past_observed_mask", "float32", ["rows", context])
    parts = [g.node("Unsqueeze", one, g.constant([2])) for one in (past, mask)]
    inner = 2 + known + beside
    if inner > 2:
        parts.append(g.input("past_time_features", "float32", ["rows", context, inner - 2]))
    x = g.dense(g.node("Concat", *parts, axis=2), "reading", inner=inner, outer=size)
    if static := _count(config, "num_static_real"):
        real = g.input("static_real_features", "float32", ["rows", static])
        real = g.dense(real, "static", inner=static, outer=size)
        x = g.node("Add", x, g.node("Unsqueeze", real, g.constant([1])))
    if series := _count(config, "num_series"):
        ids = g.input("static_categorical_features", "int64", ["rows", 1])
        table = g.weight("series.weight", shape=(series, size))
        x = g.node("Add", x, g.node("Gather", table, ids))
    return x


def _state(g: Graph, config: Config, x: Value) -> Value:
    """(rows, context, size) -> (rows, size)"""
    return _convolutions(g, config, x) if config.values["kind"] == "tcn" else _recur(g, config, x)


def _recur(g: Graph, config: Config, x: Value) -> Value:
    operator, gates, attributes = _RECURRENT[config.values["kind"]]
    size = config.size("hidden_size")
    x = g.node("Transpose", x, perm=[1, 0, 2])
    for i in range(config.size("num_layers", most=1024)):
        name = f"body.layers.{i}"

        def turned(what: str, *shape: int, name: str = name) -> Value:
            """A tensor with its gates in the order of ONNX, and one direction."""
            count = len(gates) * size
            array = g.array(f"{name}.{what}_l0", shape=(count, *shape))
            return g.table(f"{name}.{what}:gates", _gates(array, gates)[None])

        matrices = [turned("weight_ih", size), turned("weight_hh", size)]
        biases = g.node("Concat", turned("bias_ih"), turned("bias_hh"), axis=1)
        found = g.nodes(operator, x, *matrices, biases, outputs=1, hidden_size=size, **attributes)
        # (context, directions, rows, size)
        one = g.node("Squeeze", found[0], g.constant([1]))
        x = g.node("Add", x, one) if i else one
    return g.node("Gather", x, g.constant(-1), axis=0)


def _gates(array: NDArray[Any], order: list[int]) -> NDArray[Any]:
    """A tensor of (gates * size, ...) with its gates in another order."""
    parts = np.split(array, len(order))
    return np.concatenate([parts[i] for i in order])


def _convolutions(g: Graph, config: Config, x: Value) -> Value:
    size, kernel = config.size("hidden_size"), config.size("kernel_size", most=_LONGEST)
    length = config.size("context_length")
    x = g.node("Transpose", x, perm=[0, 2, 1])
    for i in range(config.size("num_layers", most=24)):
        found = x
        for name in (f"body.blocks.{i}.conv1", f"body.blocks.{i}.conv2"):
            weight = g.weight(f"{name}.weight", shape=(size, size, kernel))
            bias = g.bias(name, size=size)
            found = g.node("Relu", g.node("Conv", found, weight, bias, pads=[kernel - 1, 0]))
        x = g.node("Relu", g.node("Add", x, found))
        # Every second step, the last one among them: the next block takes no other.
        first, end, axis = ([(length - 1) % 2], [length], [2])
        x = g.node("Slice", x, *(g.constant(one) for one in (first, end, axis, [2])))
        length = (length + 1) // 2
    return g.node("Gather", x, g.constant(-1), axis=2)


def _horizon(g: Graph, config: Config, state: Value) -> Value:
    """(rows, size) -> (rows, prediction, outputs)"""
    size, steps = config.size("hidden_size"), config.size("prediction_length")
    x = g.dense(state, "horizon.state", inner=size, outer=steps * size)
    x = g.node("Reshape", x, g.constant([-1, steps, size]))
    if known := _count(config, "num_known"):
        future = g.input("future_time_features", "float32", ["rows", steps, known])
        x = g.node("Add", x, g.linear(future, "horizon.future", inner=known, outer=size))
    x = g.node("Relu", g.dense(g.node("Relu", x), "horizon.inner", inner=size, outer=size))
    return g.dense(x, "horizon.output", inner=size, outer=config.size("outputs"))


def _skip(g: Graph, config: Config, past: Value) -> Value:
    """(rows, context) -> (rows, prediction, 1), or (rows, prediction, 3) for a Student's t."""
    context, steps = config.size("context_length"), config.size("prediction_length")
    line = g.dense(past, "skip.line", inner=context, outer=steps)
    line = g.node("Unsqueeze", line, g.constant([2]))
    if config.choice("head", "", _HEADS) == "quantiles":
        return line
    return g.node("Mul", line, g.constant([0.0, 1.0, 0.0], "float32"))


def _lines(g: Graph, config: Config, past: Value) -> Value:
    """Both lines of DLinear as one, since the trend is itself linear in the past."""
    context, steps = config.size("context_length"), config.size("prediction_length")
    outputs = config.size("outputs")
    shape = (steps * outputs, context)
    trend, rest = (g.array(f"lines.{name}.weight", shape=shape) for name in ("trend", "rest"))
    both = _smoothed(trend - rest, config.size("kernel_size", most=_LONGEST)) + rest
    matrix = g.table("lines", np.ascontiguousarray(both.T.astype(np.float32)))
    found = g.node("MatMul", past, matrix)
    found = g.node("Add", found, g.bias("lines.trend", size=shape[0]))
    return g.node("Reshape", found, g.constant([-1, steps, outputs]))


def _smoothed(weights: NDArray[np.float32], kernel: int) -> NDArray[np.float64]:
    """Lines (lines, context) over the means of `kernel` steps around each, whose ends are repeated,
    as lines over the steps themselves.
    """
    context: int = weights.shape[1]
    sums = np.cumsum(np.pad(weights.astype(np.float64), ((0, 0), (1, 0))), axis=1)
    before, after = (kernel - 1) // 2, kernel // 2
    # A step counts in the means of those around it; one that is repeated stands beyond the ends.
    place = np.arange(-before, context + after)
    first, end = np.maximum(place - after, 0), np.minimum(place + before + 1, context)
    found = (sums[:, end] - sums[:, first]) / kernel
    whole = found[:, before : before + context].copy()
    whole[:, 0] += found[:, :before].sum(axis=1)
    whole[:, -1] += found[:, before + context :].sum(axis=1)
    return whole


def _told(g: Graph, config: Config, found: Value) -> Value:
    if config.choice("head", "", _HEADS) == "quantiles":
        return found
    freedom, place, scale = g.split(found, 3)
    freedom = g.node("Add", g.node("Softplus", freedom), g.constant(2, "float32"))
    least = g.constant(_SMALLEST_SCALE, "float32")
    scale = g.node("Add", g.node("Softplus", scale), least)
    return g.node("Concat", freedom, place, scale, axis=2)
