"""A Transformer that continues a series step by step, as transformers' TimeSeriesTransformer does.

Its encoder reads the window, each step with the values some lags before it; its decoder tells how
the next value is distributed, is given one drawn from that, and so on. Vaswani et al. 2017,
https://arxiv.org/abs/1706.03762; Salinas et al. 2020, https://arxiv.org/abs/1704.04110.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from silmu.graphs import _distributions, _encoder
from silmu.graphs._onnx import MICROSOFT
from silmu.graphs._series_sizes import Sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("time_series_transformer",)
HEADS = {
    "time-series-forecasting": "parameter_projection.proj.0.weight",
    "time-series-forecasting-decoder": "parameter_projection.proj.2.weight",
}
PREFIX = "model."
DTYPES = ("fp32",)

_EPSILON = 1e-5
_PARTS = ("key", "value")


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the encoder, or the decoder, which `silmu.runtime.series.sampling` runs step by step."""
    del prefix
    _distributions.refuse_others(config, loss="nll")
    sizes = Sizes.of(config)
    if head == "time-series-forecasting":
        _encode(graph, config, sizes)
    else:
        _decode(graph, config, sizes)


class _Embedding:
    """The first layer of encoder or decoder, as a sum over what it reads."""

    def __init__(self, graph: Graph, sizes: Sizes, name: str) -> None:
        self.graph, self.sizes, self.name = graph, sizes, name
        ends = np.cumsum([len(sizes.lags), sizes.told, sizes.known, sizes.covariates])
        matrix = graph.array(
            f"{name}.value_embedding.value_projection.weight", shape=(sizes.hidden, int(ends[-1]))
        )
        names = ("lags", "told", "known", "covariates")
        parts = np.split(matrix.T, ends[:-1].tolist())
        self._matrices: dict[str, NDArray[np.float32]] = dict(zip(names, parts, strict=True))

    def product(self, x: Value, part: str) -> Value:
        """(..., size of the part) -> (..., hidden)"""
        table = self.graph.table(f"{self.name}.{part}", self._matrices[part])
        return self.graph.node("MatMul", x, table)

    def places(self, start: int, end: int) -> Value:
        """(end - start, hidden): what says where in time a step stands."""
        sizes = self.sizes
        shape = (sizes.context + sizes.horizon, sizes.hidden)
        table = self.graph.array(f"{self.name}.embed_positions.weight", shape=shape)
        return self.graph.table(f"{self.name}.places", table[start:end])

    def norm(self, x: Value) -> Value:
        name = f"{self.name}.layernorm_embedding"
        return self.graph.norm(x, name, size=self.sizes.hidden, epsilon=_EPSILON)


def _encode(g: Graph, config: Config, sizes: Sizes) -> None:
    """`past_values` (rows, context_length + the longest lag) and covariates to what decoding reads.

    That is `loc` and `scale` (rows, 1) of the window, `steps` (rows, prediction_length, hidden),
    what is known ahead of each, and the keys and values of the decoder's attention to the window.
    """
    values = g.input("past_values", "float32", ["rows", sizes.past])
    mask = g.input("past_observed_mask", "float32", ["rows", sizes.past])
    window, observed = (_last(g, x, sizes.context) for x in (values, mask))
    loc, scale = _distributions.scaler(g, config, window, observed, "mean")
    g.output("loc", loc, ["rows", 1])
    g.output("scale", scale, ["rows", 1])
    told = g.node("Unsqueeze", _told(g, sizes, loc, scale), g.constant([1]))

    reads = _Embedding(g, sizes, "model.encoder")
    lags = max(sizes.lags) + np.arange(sizes.context)[:, None] - np.array(sizes.lags)
    inward = g.node("Div", g.node("Sub", values, loc), scale)
    lagged = g.node("Gather", inward, g.table("silmu.lags", lags.astype(np.int64)), axis=1)
    x = g.node("Add", reads.product(lagged, "lags"), reads.product(told, "told"))
    x = g.node("Add", x, reads.places(0, sizes.context))
    future = _Embedding(g, sizes, "model.decoder")
    ends = (sizes.context, sizes.context + sizes.horizon)
    steps = g.node("Add", future.product(told, "told"), future.places(*ends))
    if width := sizes.known + sizes.covariates:
        past = g.input("past_time_features", "float32", ["rows", sizes.past, width])
        seen = _last(g, past, sizes.context)
        known, covariates = _split(g, seen, sizes.known, sizes.covariates)
        for part, found in (("known", known), ("covariates", covariates)):
            if found:
                x = g.node("Add", x, reads.product(found, part))
    if sizes.known:
        shape: list[int | str] = ["rows", sizes.horizon, sizes.known]
        ahead = g.input("future_time_features", "float32", shape)
        steps = g.node("Add", steps, future.product(ahead, "known"))
    g.output("steps", steps, ["rows", sizes.horizon, sizes.hidden])
    _give_window(g, sizes, _read(g, config, sizes, reads.norm(x), window))


def _read(g: Graph, config: Config, sizes: Sizes, x: Value, window: Value) -> Value:
    """The encoder's layers: (rows, context, hidden) -> (rows * context, hidden)."""
    batch = _encoder.Batch(g, window)
    x = batch.fold(x, sizes.hidden)
    for i in range(config.size("encoder_layers", default=2)):
        layer = _layer(config, f"model.encoder.layers.{i}", "encoder", sizes.hidden)
        x = layer.build(g, x, batch, "")
    return x


def _give_window(g: Graph, sizes: Sizes, x: Value) -> None:
    """The keys and values of what was read, for each layer of the decoder."""
    size = sizes.hidden
    for i in range(sizes.layers):
        for part in _PARTS:
            name = f"model.decoder.layers.{i}.encoder_attn.{part[0]}_proj"
            made = g.affine(x, name, inner=size, outer=size)
            made = g.node("Reshape", made, g.constant([-1, sizes.context, size]))
            g.output(f"window.{i}.{part}", made, ["rows", sizes.context, size])


def _decode(g: Graph, config: Config, sizes: Sizes) -> None:
    """One step of all trajectories: `lags` (rows, trajectories, lags) to `parameters` (..., 3).

    They are the degrees of freedom, place and width of Student's t, in the unit of `lags`. `step`
    (rows, hidden) is one of the encoder's `steps`; `seen.*` is what `grown.*` was a step before.
    """
    size, lags = sizes.hidden, len(sizes.lags)
    lagged = g.input("lags", "float32", ["rows", "trajectories", lags])
    step = g.input("step", "float32", ["rows", size])
    x = _Embedding(g, sizes, "model.decoder").product(lagged, "lags")
    x = g.node("Add", x, g.node("Unsqueeze", step, g.constant([1])))
    x = _Embedding(g, sizes, "model.decoder").norm(x)
    x = g.node("Reshape", x, g.constant([-1, size]))
    for i in range(sizes.layers):
        x = _Decoding(g, config, sizes, i).build(x, lagged)
    parts = _distributions.student_t(g, x, "parameter_projection.proj", inner=size, outer=1)
    made = g.node("Concat", *parts, axis=1)
    g.output("parameters", _by_row(g, made, lagged, 3), ["rows", "trajectories", 3])


@dataclass(frozen=True)
class _Decoding:
    """One layer of the decoder: (rows * trajectories, hidden) -> the same."""

    graph: Graph
    config: Config
    sizes: Sizes
    index: int

    def build(self, x: Value, lagged: Value) -> Value:
        g, size = self.graph, self.sizes.hidden
        name = f"model.decoder.layers.{self.index}"
        own = _layer(self.config, name, "decoder", size)
        mixed = self._project(self._itself(x, own), own.attention_output)
        x = self._norm(g.node("Add", x, mixed), own.attention_norm)
        mixed = self._project(self._window(x, name, lagged), f"{name}.encoder_attn.out_proj")
        x = self._norm(g.node("Add", x, mixed), f"{name}.encoder_attn_layer_norm")
        wide = g.affine(x, own.inner, inner=size, outer=own.intermediate)
        wide = g.activate(own.activation, wide)
        narrow = g.affine(wide, own.output, inner=own.intermediate, outer=size)
        return self._norm(g.node("Add", x, narrow), own.output_norm)

    def _itself(self, x: Value, own: _encoder.Layer) -> Value:
        """Attention of a step to those before it, and to itself."""
        g, size, heads = self.graph, self.sizes.hidden, self.sizes.heads
        together = g.affine(x, own.query, own.key, own.value, inner=size, outer=3 * size)
        together = g.node("Unsqueeze", together, g.constant([1]))
        shape: list[int | str] = ["all", heads, "seen", size // heads]
        seen = [g.input(f"seen.{self.index}.{part}", "float32", shape) for part in _PARTS]
        grown = [f"grown.{self.index}.{part}" for part in _PARTS]
        attended = g.nodes(
            "MultiHeadAttention",
            *g.split(together, 3),
            *("", "", "", *seen),
            outputs=[f"attended_{self.index}", *grown],
            domain=MICROSOFT,
            num_heads=heads,
        )[0]
        for name in grown:
            g.alias_output(name, ["all", heads, "grown", size // heads])
        return g.node("Reshape", attended, g.constant([-1, size]))

    def _window(self, x: Value, name: str, lagged: Value) -> Value:
        """Attention of all trajectories of a row to its window, which they share."""
        g, sizes, size = self.graph, self.sizes, self.sizes.hidden
        shape: list[int | str] = ["rows", sizes.context, size]
        window = [g.input(f"window.{self.index}.{part}", "float32", shape) for part in _PARTS]
        query = _by_row(g, self._project(x, f"{name}.encoder_attn.q_proj"), lagged, size)
        attended = g.node(
            "MultiHeadAttention", query, *window, domain=MICROSOFT, num_heads=sizes.heads
        )
        return g.node("Reshape", attended, g.constant([-1, size]))

    def _project(self, x: Value, name: str) -> Value:
        return self.graph.affine(x, name, inner=self.sizes.hidden, outer=self.sizes.hidden)

    def _norm(self, x: Value, name: str) -> Value:
        return self.graph.norm(x, name, size=self.sizes.hidden, epsilon=_EPSILON)


def _layer(config: Config, name: str, kind: str, hidden: int) -> _encoder.Layer:
    """What the layers of encoder and decoder share."""
    return _encoder.Layer(
        query=f"{name}.self_attn.q_proj",
        key=f"{name}.self_attn.k_proj",
        value=f"{name}.self_attn.v_proj",
        attention_output=f"{name}.self_attn.out_proj",
        attention_norm=f"{name}.self_attn_layer_norm",
        inner=f"{name}.fc1",
        output=f"{name}.fc2",
        output_norm=f"{name}.final_layer_norm",
        hidden=hidden,
        intermediate=config.size(f"{kind}_ffn_dim", default=32),
        heads=config.heads(hidden, f"{kind}_attention_heads", default=2),
        activation=config.activation("activation_function", "gelu"),
        epsilon=_EPSILON,
    )


def _told(g: Graph, sizes: Sizes, loc: Value, scale: Value) -> Value:
    """(rows, told): the series' category and numbers, and the window's place and width."""
    parts: list[Value] = []
    if many := len(sizes.levels):
        ids = g.input("static_categorical_features", "int64", ["rows", many])
        for i, (levels, size) in enumerate(sizes.levels):
            table = g.weight(f"model.embedder.embedders.{i}.weight", shape=(levels, size))
            parts.append(g.node("Gather", table, g.node("Gather", ids, g.constant(i), axis=1)))
    if sizes.static:
        parts.append(g.input("static_real_features", "float32", ["rows", sizes.static]))
    one = g.constant(1, "float32")
    place = g.node("Log", g.node("Add", g.node("Abs", loc), one))
    return g.node("Concat", *parts, place, g.node("Log", scale), axis=1)


def _last(g: Graph, x: Value, count: int) -> Value:
    """The last steps of each row."""
    ends = (g.constant([-count]), g.constant([1 << 40]), g.constant([1]))
    return g.node("Slice", x, *ends)


def _split(g: Graph, x: Value, first: int, second: int) -> list[Value]:
    """The last axis in two; what has no numbers is ""."""
    if not first or not second:
        return [x if first else "", x if second else ""]
    return g.nodes("Split", x, g.constant([first, second]), outputs=2, axis=-1)


def _by_row(g: Graph, x: Value, lagged: Value, size: int) -> Value:
    """(rows * trajectories, size) -> (rows, trajectories, size)"""
    sizes = g.node("Shape", lagged, end=2)
    shape = g.node("Concat", sizes, g.constant([size]), axis=0)
    return g.node("Reshape", x, shape)
