"""DINOv2: Oquab et al. 2023, https://arxiv.org/abs/2304.07193.

A ViT that reads pictures of any size: what it has learnt of places is stretched over them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.graphs import _images, _vision

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("dinov2",)
HEADS = {
    "image-classification": "classifier.weight",
    "image-feature-extraction": "embeddings.cls_token",
}
PREFIX = "dinov2."
PACKED = True

_FLOAT = 1
_CUBIC = -0.75  # the coefficient of torch's bicubic interpolation


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head: `pixel_values` (rows, channels, height, width) in."""
    g, sizes = graph, _sizes(config)
    hidden = sizes.hidden
    x, tokens = _embed(g, config, f"{prefix}embeddings", hidden)
    x = _vision.Encoder(g, prefix, _names(gates=sizes.gates), sizes, tokens).build(x)
    x = g.norm(x, f"{prefix}layernorm", size=hidden, epsilon=sizes.epsilon)
    picture = tokens.first(x, 1, hidden)
    if head == "image-feature-extraction":
        _vision.vectors(g, x, tokens, hidden, picture)
    else:
        both = g.node("Concat", picture, tokens.mean(x, hidden, start=1), axis=1)
        _images.classify(g, config, both, "classifier", 2 * hidden)


def _sizes(config: Config) -> _vision.Sizes:
    sizes = _vision.Sizes.of(config, epsilon=1e-6)
    ratio, gates = config.number("mlp_ratio", 4.0), config.flag("use_swiglu_ffn", False)
    inner = int(sizes.hidden * min(ratio, 1024))
    if gates:
        # A third of it is the gate; to a multiple of eight.
        inner = (int(inner * 2 / 3) + 7) // 8 * 8
    if not inner:
        raise InvalidModelError(
            f"config.json of `{config.name}` has mlp_ratio = {ratio}, which leaves no layer"
        )
    activation = "silu" if gates else sizes.activation
    return replace(sizes, intermediate=inner, gates=gates, activation=activation)


def _names(*, gates: bool) -> tuple[_vision.Names, ...]:
    """As transformers 4 calls the parts of a layer and saves them, 5 too; and as 5 has them."""
    saved = _vision.Names(
        layers="encoder.layer",
        norm="norm1",
        query="attention.attention.query",
        key="attention.attention.key",
        value="attention.attention.value",
        mixed="attention.output.dense",
        second_norm="norm2",
        inner=("mlp.weights_in",) if gates else ("mlp.fc1",),
        output="mlp.weights_out" if gates else "mlp.fc2",
        scales=("layer_scale1.lambda1", "layer_scale2.lambda1"),
    )
    newer = replace(
        saved,
        query="attention.q_proj",
        key="attention.k_proj",
        value="attention.v_proj",
        mixed="attention.o_proj",
        inner=("mlp.gate_proj", "mlp.up_proj") if gates else saved.inner,
        output="mlp.down_proj" if gates else saved.output,
    )
    return saved, newer


def _embed(g: Graph, config: Config, name: str, size: int) -> tuple[Value, _vision.Tokens]:
    """Patches and their places, after one token that stands for the picture."""
    learnt = _vision.Frame.of(config, patch=14)
    down, across = learnt.grid
    if down != across:
        raise UnsupportedModelError(
            f"config.json of `{config.name}` has image_size = {config.values['image_size']}, of "
            f"{down} × {across} patches; silmu stretches places that were learnt on a square"
        )
    places = g.array(f"{name}.position_embeddings", shape=(1, 1 + learnt.number, size))[0]
    token = g.array(f"{name}.cls_token", shape=(1, 1, size))[0]
    pixels, channels = _images.pixels(g, config)
    shape = g.node("Shape", pixels)
    grid = [
        g.node("Div", g.node("Gather", shape, g.constant([axis])), g.constant([side]))
        for axis, side in zip((2, 3), learnt.patch, strict=True)
    ]
    number = g.node("Mul", *grid)
    x = _images.patches(
        g,
        pixels,
        f"{name}.patch_embeddings.projection",
        channels=channels,
        patch=learnt.patch,
        outer=size,
        grid=(grid[0], grid[1]),
    )
    # (down, down * across * size), then each row of that: (down, across, size)
    lines = g.table("silmu.places", places[1:].reshape(down, across * size))
    lines = g.node("MatMul", _stretch(g, grid[0], down), lines)
    lines = g.node("Reshape", lines, g.constant([-1, across, size]))
    stretched = g.node("MatMul", _stretch(g, grid[1], across), lines)
    stretched = g.node("Reshape", stretched, g.constant([1, -1, size]))
    x = g.node("Add", _vision.Tokens(g, number).unfold(x, size), stretched)
    return _vision.lead(g, x, token + places[:1], number)


def _stretch(g: Graph, number: Value, learnt: int) -> Value:
    """By what a line of learnt numbers is multiplied to become one of another length.

    It is torch's bicubic interpolation, as a matrix (number, learnt): a number is the sum of the
    four nearest, by Keys 1981 (https://doi.org/10.1109/TASSP.1981.1163711), and those beyond an end
    are as the last one. The engine's own operator is slower at it.

    Args:
        number: the length, of shape (1,).
        learnt: how many there are.
    """

    def number_of(value: float) -> Value:
        return g.constant(value, "float32")

    def plus(x: Value, value: float) -> Value:
        return g.node("Add", x, number_of(value))

    ends = g.node("Range", g.constant(0), g.node("Squeeze", number), g.constant(1))
    places = plus(g.node("Cast", ends, to=_FLOAT), 0.5)
    ratio = g.node("Div", number_of(learnt), g.node("Cast", number, to=_FLOAT))
    places = plus(g.node("Mul", places, ratio), -0.5)
    # Two more at each end, and what they stand for.
    known = np.arange(-2, learnt + 2)
    stands = np.eye(learnt, dtype=np.float32)[known.clip(0, learnt - 1)]
    column = g.node("Unsqueeze", places, g.constant([1]))
    far = g.node("Abs", g.node("Sub", column, g.constant([known], "float32")))
    # Polynomials of the distance: up to one, and from there up to two.
    near = g.node("Mul", far, number_of(_CUBIC + 2))
    near = g.node("Mul", g.node("Mul", plus(near, -_CUBIC - 3), far), far)
    beyond = g.node("Mul", plus(g.node("Mul", plus(far, -5), far), 8), far)
    beyond = g.node("Mul", plus(beyond, -4), number_of(_CUBIC))
    beyond = g.node("Where", g.node("Less", far, number_of(2)), beyond, number_of(0))
    parts = g.node("Where", g.node("Less", far, number_of(1)), plus(near, 1), beyond)
    return g.node("MatMul", parts, g.table(f"silmu.ends:{learnt}", stands))
