"""Rotary positions: queries and keys turned by angles that grow with a token's place.

Su et al. 2021, https://arxiv.org/abs/2104.09864. The angles of the tokens at hand are computed in
the graph, not read from a table, so that a long context costs no memory.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.graphs._config import Config
from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.graphs._builder import Graph
    from silmu.graphs._onnx import Value

KINDS = ("default", "linear", "dynamic", "yarn", "llama3")
"""`dynamic` departs from `default` only past max_position_embeddings, where no text is let go."""


@dataclass(frozen=True)
class Rope:
    """How fast each pair of numbers of a head turns, and by what its angles' cosines are scaled.

    `partial` says that there are more numbers in a head.
    """

    speeds: tuple[float, ...]
    scale: float = 1.0
    partial: bool = False

    @property
    def size(self) -> int:
        """How many numbers of a head are turned; the others stay as they are."""
        return 2 * len(self.speeds)


def rope(
    config: Config,
    head_size: int,
    *,
    theta: float = 10_000.0,
    layer: str | None = None,
    partial: bool = False,
) -> Rope:
    """The rotary positions that config.json asks for, in the words of transformers 4 or 5.

    Args:
        theta: the base, where config.json has none.
        layer: the kind of layer, where config.json may have settings for each kind.
        partial: whether config.json may have only a part of each head turned.

    Raises:
        UnsupportedModelError: the angles depend on the length of the text, or are of another kind.
        InvalidModelError: a setting is absent or out of range.
    """
    given = _given(config, layer)
    said = Config({**config.values, **given}, config.name)
    kind = Config({"rope_type": given.get("type", given.get("rope_type"))}, config.name).choice(
        "rope_type", "default", KINDS
    )
    part = said.number("partial_rotary_factor", 1.0) if partial else 1.0
    size = int(min(part, 2) * head_size)
    if not 2 <= size <= head_size or size % 2:
        raise InvalidModelError(
            f"config.json of `{config.name}` turns {size} numbers of a head of {head_size}; "
            "they must be an even number, at most the whole head"
        )
    with np.errstate(all="ignore"):
        base = np.float32(said.number("rope_theta", theta))
        places = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
        speeds = (1 / base**places).astype(np.float32)
        scale = 1.0
        if kind == "linear":
            speeds = speeds / np.float32(_positive(said, "factor"))
        elif kind == "yarn":
            speeds, scale = _yarn(said, speeds, size)
        elif kind == "llama3":
            speeds = _llama3(said, speeds)
    if not (np.isfinite(speeds).all() and np.isfinite(scale)):
        raise InvalidModelError(f"config.json of `{config.name}` gives angles that are no numbers")
    turned = tuple(speeds.astype(np.float32).tolist())
    return Rope(turned, float(scale), partial=size < head_size)


class Rotary:
    """Turns the queries and keys of a graph's tokens.

    Args:
        ids: the token ids, (rows, tokens).
        positions: the place of each, of the same shape; each row from 0 on, if None.
    """

    def __init__(self, graph: Graph, ids: Value, rope: Rope, positions: Value | None) -> None:
        self.graph = graph
        self.size = rope.size
        self.apart = rope.partial and graph.by_rows
        zero, one = graph.constant(0), graph.constant(1)
        shape = graph.node("Shape", ids)
        if positions is None:
            # The rows share their angles.
            last = graph.node("Squeeze", graph.node("Shape", ids, start=1, end=2))
            flat = graph.node("Range", zero, last, one)
            self.places = graph.node("Expand", flat, shape)
        else:
            flat = graph.node("Reshape", positions, graph.constant([-1]))
            every = graph.node("Range", zero, graph.node("Size", ids), one)
            self.places = graph.node("Reshape", every, shape)
        column = graph.node("Unsqueeze", graph.node("Cast", flat, to=1), graph.constant([1]))
        angles = graph.node("Mul", column, graph.constant([rope.speeds], "float32"))
        self.waves = [graph.node(kind, angles) for kind in ("Cos", "Sin")]
        if rope.scale != 1:
            scale = graph.constant(rope.scale, "float32")
            self.waves = [graph.node("Mul", wave, scale) for wave in self.waves]

    def __call__(self, x: Value, heads: int) -> Value:
        """(rows, tokens, heads * head size) -> the same."""
        return self._turned_apart(x, heads) if self.apart else self._turned(x, heads)

    def _turned_apart(self, x: Value, heads: int) -> Value:
        """The same where a part of each head is turned, which OpenVINO 2026.4 computes wrongly."""
        g = self.graph
        x = g.node("Reshape", x, g.constant([0, 0, heads, -1]))
        ends = [0], [self.size], [np.iinfo(np.int32).max]
        turned, rest = (
            g.node("Slice", x, g.constant(start), g.constant(end), g.constant([3]))
            for start, end in itertools.pairwise(ends)
        )
        turned = g.node("Reshape", turned, g.constant([0, 0, heads * self.size]))
        turned = g.node("Reshape", self._turned(turned, heads), g.constant([0, 0, heads, -1]))
        both = g.node("Concat", turned, rest, axis=3)
        return g.node("Reshape", both, g.constant([0, 0, -1]))

    def _turned(self, x: Value, heads: int) -> Value:
        return self.graph.node(
            "RotaryEmbedding",
            *(x, self.places, *self.waves),
            domain=MICROSOFT,
            num_heads=heads,
            interleaved=0,  # which OpenVINO does not take for granted
            rotary_embedding_dim=self.size,
        )


def _given(config: Config, layer: str | None) -> dict[str, Any]:
    given: Any = config.values.get("rope_parameters") or config.values.get("rope_scaling") or {}
    if isinstance(given, dict) and layer is not None and layer in given:
        given = cast("dict[str, Any]", given)[layer]
    if not isinstance(given, dict):
        raise InvalidModelError(
            f"config.json of `{config.name}` has rotary settings {given!r:.80}; "
            "they must be an object"
        )
    settings = cast("dict[str, Any]", given)
    if any(isinstance(value, dict) for value in settings.values()):
        raise UnsupportedModelError(
            f"config.json of `{config.name}` has rotary settings for {', '.join(settings)} each; "
            "silmu has no graph for that"
        )
    return settings


def _positive(config: Config, key: str, default: float = 0.0) -> float:
    value = config.number(key, default)
    if not 0 < value < np.inf:
        raise InvalidModelError(
            f"config.json of `{config.name}` has {key} = {config.values.get(key)!r} for its "
            "rotary positions; it must be a number above 0"
        )
    return value


def _yarn(
    said: Config, speeds: NDArray[np.float32], size: int
) -> tuple[NDArray[np.float32], np.float64]:
    """Fast pairs stay as they are, slow ones are slowed down, with a ramp between the two.

    Peng et al. 2023, https://arxiv.org/abs/2309.00071.
    """
    factor = _positive(said, "factor")
    length = said.size("original_max_position_embeddings", "max_position_embeddings")
    base = np.float64(_positive(said, "rope_theta"))

    def pair(turns: float) -> np.float64:
        """Which pair makes so many turns over the original length."""
        return size * np.log(length / (turns * 2 * np.pi)) / (2 * np.log(base))

    low, high = (
        pair(_positive(said, key, default)) if said.values.get(key) else pair(default)
        for key, default in (("beta_fast", 32.0), ("beta_slow", 1.0))
    )
    if said.flag("truncate", True):
        low, high = np.floor(low), np.ceil(high)
    low, high = max(low, np.float64(0)), min(high, np.float64(size - 1))
    if low == high:
        high += 0.001
    ramp = np.clip((np.arange(size // 2) - low) / (high - low), 0, 1).astype(np.float32)
    slowed = speeds / np.float32(factor)

    def attention(weight: float) -> np.float64:
        return np.float64(1 if factor <= 1 else 0.1 * weight * np.log(factor) + 1)

    if said.values.get("attention_factor") is not None:
        scale = np.float64(said.number("attention_factor", 1.0))
    elif said.values.get("mscale") and said.values.get("mscale_all_dim"):
        scale = attention(said.number("mscale", 1.0))
        scale /= attention(said.number("mscale_all_dim", 1.0))
    else:
        scale = attention(1.0)
    return (slowed * ramp + speeds * (1 - ramp)).astype(np.float32), scale


def _llama3(said: Config, speeds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Waves longer than the original context are slowed down, with a ramp to the short ones."""
    factor = np.float32(_positive(said, "factor"))
    low, high = (_positive(said, f"{end}_freq_factor") for end in ("low", "high"))
    if low == high:
        raise UnsupportedModelError(
            f"config.json of `{said.name}` has low_freq_factor = high_freq_factor = {low}"
        )
    length = _positive(said, "original_max_position_embeddings")
    waves = 2 * np.pi / speeds
    smooth = ((length / waves - low) / (high - low)).astype(np.float32)
    between = (1 - smooth) * speeds / factor + smooth * speeds
    found = np.where(waves > length / low, speeds / factor, between)
    return np.where(waves < length / high, speeds, found).astype(np.float32)
