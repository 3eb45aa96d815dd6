"""Swin: Liu et al. 2021, https://arxiv.org/abs/2103.14030.

Attention within windows of the picture, which every second layer shifts, and patches merged by four
between stages.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.graphs import _images, _precision, _vision
from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("swin",)
HEADS = {
    "image-classification": "classifier.weight",
    "image-feature-extraction": "embeddings.patch_embeddings.projection.weight",
}
PREFIX = "swin."
PACKED = True

_EPSILON = 1e-5
_APART = -100.0
"""What is added to the score of two places that a shift brought into one window."""

# As transformers 4 calls them and saves them, 5 too; and as 5 has them in memory.
_SAVED = _vision.Names(
    layers="blocks",
    norm="layernorm_before",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    mixed="attention.output.dense",
    second_norm="layernorm_after",
    inner=("intermediate.dense",),
    output="output.dense",
    distances="attention.self.relative_position_bias_table",
)
_NEWER = _vision.Names(
    layers="blocks",
    norm="layernorm_before",
    query="attention.q_proj",
    key="attention.k_proj",
    value="attention.v_proj",
    mixed="attention.o_proj",
    second_norm="layernorm_after",
    inner=("mlp.fc1",),
    output="mlp.fc2",
    distances="attention.relative_position_bias.relative_position_bias_table",
)


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head: `pixel_values` (rows, channels, height, width) in."""
    g = graph
    if config.flag("use_absolute_embeddings", False):
        raise UnsupportedModelError(
            f"config.json of `{config.name}` has use_absolute_embeddings = true; silmu has a graph "
            "for a Swin that knows distances only"
        )
    size = config.size("embed_dim", default=96)
    x, grid = _embed(g, config, f"{prefix}embeddings", size)
    stages = _stages(config)
    number = 0
    for i, (depth, heads) in enumerate(stages):
        stage = _Stage.of(config, grid, size, heads)
        name = f"{prefix}encoder.layers.{i}"
        for j in range(depth):
            x = _layer(g, stage, f"{name}.blocks.{j}", x, shifted=j % 2 == 1)
            number += 1
            shape: list[int | str] = ["rows", stage.places, size]
            shown = _vision.Tokens(g, stage.places).unfold(x, size)
            g.show(f"layers.{number}.transformer", shown, shape)
        if i + 1 < len(stages):
            x, grid = _merge(g, x, f"{name}.downsample", grid, size)
            size *= 2
            number += 1
            tokens = _vision.Tokens(g, grid[0] * grid[1])
            g.show(f"layers.{number}.merge", tokens.unfold(x, size), ["rows", tokens.axis, size])
    x = g.norm(
        x, f"{prefix}layernorm", size=size, epsilon=config.number("layer_norm_eps", _EPSILON)
    )
    tokens = _vision.Tokens(g, grid[0] * grid[1])
    pooled = tokens.mean(x, size)
    if head == "image-classification":
        _images.classify(g, config, pooled, "classifier", size)
    else:
        _vision.vectors(g, x, tokens, size, pooled)


def _stages(config: Config) -> list[tuple[int, int]]:
    """How many layers each stage has, and how many heads."""
    depths = config.sizes("depths", (2, 2, 6, 2), most=1024)
    heads = config.sizes("num_heads", (3, 6, 12, 24))
    if len(depths) != len(heads) or len(depths) > 16:
        raise InvalidModelError(
            f"config.json of `{config.name}` has {len(depths)} depths and {len(heads)} num_heads; "
            "each stage, of 16 at most, needs one of both"
        )
    return list(zip(depths, heads, strict=True))


def _embed(g: Graph, config: Config, name: str, size: int) -> tuple[Value, tuple[int, int]]:
    """Patches, (rows * patches, size); a picture that they do not fill is filled with zeros."""
    frame = _vision.Frame.of(config, patch=4)
    sides = frame.patch
    down, across = -(-frame.height // sides[0]), -(-frame.width // sides[1])
    pixels = frame.pixels(g)
    more = (down * sides[0] - frame.height, across * sides[1] - frame.width)
    if any(more):
        pixels = g.node("Pad", pixels, g.constant([0] * 6 + list(more)))
    x = _images.patches(
        g,
        pixels,
        f"{name}.patch_embeddings.projection",
        channels=frame.channels,
        patch=sides,
        outer=size,
        grid=(down, across),
    )
    x = g.norm(x, f"{name}.norm", size=size, epsilon=_EPSILON)
    shape: list[int | str] = ["rows", down * across, size]
    g.show("layers.0.patches", _vision.Tokens(g, down * across).unfold(x, size), shape)
    return x, (down, across)


@dataclass(frozen=True)
class _Stage:
    """What the layers of a stage have in common."""

    grid: tuple[int, int]
    size: int
    wide: int
    heads: int
    window: int
    shift: int
    activation: str
    epsilon: float
    qkv_bias: bool

    @classmethod
    def of(cls, config: Config, grid: tuple[int, int], size: int, heads: int) -> _Stage:
        """
        Raises:
            InvalidModelError: sizes do not fit together.
            UnsupportedModelError: a window is larger than what is left of the picture.
        """
        window = config.size("window_size", default=7, most=256)
        if min(grid) < window:
            raise UnsupportedModelError(
                f"config.json of `{config.name}` has window_size = {window}, and a stage of "
                f"{grid[0]} × {grid[1]} places; a window must fit in"
            )
        ratio = config.number("mlp_ratio", 4.0)
        wide = int(min(ratio, 1024) * size)
        if size % heads or not wide:
            raise InvalidModelError(
                f"config.json of `{config.name}` has a stage of {size} numbers a place, "
                f"{heads} attention heads and mlp_ratio = {ratio}, which do not fit together"
            )
        return cls(
            grid=grid,
            size=size,
            wide=wide,
            heads=heads,
            window=window,
            shift=window // 2 if min(grid) > window else 0,
            activation=config.activation("hidden_act", "gelu"),
            epsilon=config.number("layer_norm_eps", _EPSILON),
            qkv_bias=config.flag("qkv_bias", True),
        )

    @property
    def places(self) -> int:
        """How many there are in a picture."""
        return self.grid[0] * self.grid[1]

    def windows(self, *, shifted: bool) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
        """The place that stands at each place of each window, and what keeps some of them apart.

        Returns:
            (windows, places of one), the number of a place of the picture, or one past the last for
            what fills the windows at its end; and (windows, 1, places of one, places of one) or
            None.
        """
        (height, width), side = self.grid, self.window
        tall, broad = -(-height // side) * side, -(-width // side) * side
        numbers = np.full((tall, broad), height * width, np.int64)
        numbers[:height, :width] = np.arange(height * width).reshape(height, width)
        shift = self.shift if shifted else 0
        if not shift:
            return _cut(numbers, side), None
        # A picture that is turned over its edges: what comes from another edge is another area.
        areas = np.zeros((tall, broad), np.int64)
        areas[-side:] += 3
        areas[-shift:] += 3
        areas[:, -side:] += 1
        areas[:, -shift:] += 1
        of_place = _cut(areas, side)
        apart = of_place[:, None] != of_place[:, :, None]
        scores = np.where(apart, np.float32(_APART), np.float32(0))[:, None]
        return _cut(np.roll(numbers, (-shift, -shift), (0, 1)), side), scores


def _cut(places: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """(height, width) -> (windows, side * side)"""
    down, across = (number // side for number in places.shape)
    parts = places.reshape(down, side, across, side).transpose(0, 2, 1, 3)
    return parts.reshape(down * across, side * side)


def _layer(g: Graph, stage: _Stage, layer: str, x: Value, *, shifted: bool) -> Value:
    """(rows * places, size) -> the same"""
    names = _SAVED if f"{layer}.{_SAVED.mixed}.weight" in g.weights else _NEWER
    size, wide = stage.size, stage.wide
    normed = g.norm(x, f"{layer}.{names.norm}", size=size, epsilon=stage.epsilon)
    attended = _attend(g, stage, layer, names, normed, shifted=shifted)
    x = g.node("Add", g.affine(attended, f"{layer}.{names.mixed}", inner=size, outer=size), x)
    normed = g.norm(x, f"{layer}.{names.second_norm}", size=size, epsilon=stage.epsilon)
    widened = g.affine(normed, f"{layer}.{names.inner[0]}", inner=size, outer=wide)
    widened = g.activate(stage.activation, widened)
    lowest = _precision.LOWEST.get(stage.activation)
    made = g.affine(widened, f"{layer}.{names.output}", inner=wide, outer=size, lowest=lowest)
    return g.node("Add", made, x)


def _attend(
    g: Graph, stage: _Stage, layer: str, names: _vision.Names, x: Value, *, shifted: bool
) -> Value:
    """Attention within windows, without what follows it: (rows * places, size) -> the same."""
    size = stage.size
    places, apart = stage.windows(shifted=shifted)
    number, inside = places.shape
    x = _taken(g, x, places.ravel(), stage.places, size)
    three = [f"{layer}.{name}" for name in (names.query, names.key, names.value)]
    together = g.affine(x, *three, inner=size, outer=3 * size, bias=stage.qkv_bias)
    windows = _vision.Tokens(g, inside)
    near = _distances(g, f"{layer}.{names.distances}", stage)
    if apart is None:
        scores = g.table(f"{layer}:near", near)
    else:
        table = g.table(f"{layer}:near", near + apart)
        rows = g.node("Reshape", together, g.constant([-1, number * inside * 3 * size]))
        rows = g.node("Shape", rows, start=0, end=1)
        scores = g.node("Tile", table, g.node("Concat", rows, g.constant([1, 1, 1]), axis=0))
    attended = g.node(
        "MultiHeadAttention",
        *g.split(windows.unfold(together, 3 * size), 3),
        *("", "", scores),
        domain=MICROSOFT,
        num_heads=stage.heads,
    )
    back = np.argsort(places, axis=None, kind="stable")[: stage.places]
    return _taken(g, attended, back, number * inside, size)


def _distances(g: Graph, name: str, stage: _Stage) -> NDArray[np.float32]:
    """What is learnt of how two places of a window lie: (1, heads, places, places)."""
    side = stage.window
    table = g.array(name, shape=((2 * side - 1) ** 2, stage.heads))
    down, across = np.divmod(np.arange(side * side), side)
    lower, right = (at[:, None] - at[None] + side - 1 for at in (down, across))
    return table[lower * (2 * side - 1) + right].transpose(2, 0, 1)[None]


def _taken(g: Graph, x: Value, places: NDArray[np.int64], number: int, size: int) -> Value:
    """Tokens of each picture in another order: (rows * number, size) -> (rows * places, size).

    The one past the last is zeros.
    """
    x = g.node("Reshape", x, g.constant([-1, number, size]))
    if places.max() == number:
        x = g.node("Pad", x, g.constant([0, 0, 0, 0, 1, 0]))
    order = g.table(f"silmu.order:{hashlib.sha256(places.tobytes()).hexdigest()[:16]}", places)
    found = g.node("Gather", x, order, axis=1)
    return g.node("Reshape", found, g.constant([-1, size]))


def _merge(
    g: Graph, x: Value, name: str, grid: tuple[int, int], size: int
) -> tuple[Value, tuple[int, int]]:
    """Every four places as one: (rows * places, size) -> (rows * merged, 2 * size)."""
    height, width = grid
    down, across = -(-height // 2), -(-width // 2)
    numbers = np.full((2 * down, 2 * across), height * width, np.int64)
    numbers[:height, :width] = np.arange(height * width).reshape(height, width)
    four = [numbers[i::2, j::2] for i, j in ((0, 0), (1, 0), (0, 1), (1, 1))]
    x = _taken(g, x, np.stack(four, axis=-1).ravel(), height * width, size)
    x = g.node("Reshape", x, g.constant([-1, 4 * size]))
    x = g.norm(x, f"{name}.norm", size=4 * size, epsilon=_EPSILON)
    x = g.affine(x, f"{name}.reduction", inner=4 * size, outer=2 * size, bias=False)
    return x, (down, across)
