"""DeBERTa v2 and v3: He et al. 2020, https://arxiv.org/abs/2006.03654, and 2111.09543.

Attention is disentangled. How much token i attends to token j is the product of their contents and,
beside it, up to two products with a vector that stands for the distance i - j: that of i's query
with the distance's key (c2p), and that of j's key with the distance's query (p2c).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.graphs import _encoder, _heads
from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("deberta-v2",)
HEADS = {
    "feature-extraction": "embeddings.word_embeddings.weight",
    "fill-mask": ("cls.predictions.transform.dense.weight", "lm_predictions.lm_head.dense.weight"),
    "question-answering": "qa_outputs.weight",
    "text-classification": "classifier.weight",
    "token-classification": "classifier.weight",
}
PREFIX = "deberta."

_FLOAT = 1
_EPSILON = 1e-7
_KINDS = ("c2p", "p2c")
_MOST_DISTANCE = 1 << 20


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in."""
    hidden, depth = config.size("hidden_size"), config.size("num_hidden_layers", most=1024)
    mask = _encoder.key_mask(graph)
    batch = _encoder.Batch(graph, "input_ids")
    embedded = _embed(graph, config, prefix)
    x = batch.fold(embedded, hidden)
    distances = _distances(graph, config, prefix)
    for i in range(depth):
        layer = _layer(config, f"{prefix}encoder.layer.{i}")
        attended = _attend(graph, config, layer, x, batch, mask, distances)
        if head == "text-classification" and i == depth - 1 and i > 0:
            # It reads the first token alone: the rest of the layer need not be done for others.
            attended, x = (graph.first_token(batch.unfold(v, hidden)) for v in (attended, x))
        x = layer.finish(graph, attended, x)
        if i == 0 and _optional(config, "conv_kernel_size"):
            beside = _convolve(graph, config, f"{prefix}encoder.conv", embedded, mask)
            x = graph.node("Add", x, batch.fold(beside, hidden))
            x = _norm(graph, config, x, f"{prefix}encoder.conv.LayerNorm")
    if head == "fill-mask":
        _fill_mask(graph, config, prefix, x, batch)
    elif head == "text-classification":
        if depth == 1:
            x = graph.first_token(batch.unfold(x, hidden))
        labels, activation = config.num_labels, config.activation("pooler_hidden_act", "gelu")
        pooled = graph.dense(x, "pooler.dense", inner=hidden, outer=hidden)
        pooled = graph.activate(activation, pooled)
        logits = graph.dense(pooled, "classifier", inner=hidden, outer=labels)
        graph.output("logits", logits, ["rows", labels])
    else:
        _heads.of_tokens(graph, config, head, batch.unfold(x, hidden), hidden)


def _optional(config: Config, key: str, most: int = 1 << 24) -> int | None:
    """A size, or None where config.json says 0 or -1 for "there is none"."""
    value = config.values.get(key)
    if value is None or (type(value) is int and value < 1):
        return None
    return config.size(key, most=most)


def _norm(graph: Graph, config: Config, x: Value, name: str) -> Value:
    epsilon = config.number("layer_norm_eps", _EPSILON)
    return graph.norm(x, name, size=config.size("hidden_size"), epsilon=epsilon)


def _embed(graph: Graph, config: Config, prefix: str) -> Value:
    hidden = config.size("hidden_size")
    size = config.size("embedding_size", default=hidden)
    name = f"{prefix}embeddings"
    ids = graph.input("input_ids", "int64", ["rows", "tokens"])
    words = f"{name}.word_embeddings.weight"
    x = graph.embed(ids, words, rows=config.size("vocab_size"), size=size)
    if config.flag("position_biased_input", True):
        shape = (config.size("max_position_embeddings", default=512), size)
        places = graph.weight(f"{name}.position_embeddings.weight", shape=shape)
        x = graph.node("Add", x, _encoder.one_a_token(graph, ids, places))
    if types := _optional(config, "type_vocab_size"):
        given = graph.input("token_type_ids", "int64", ["rows", "tokens"])
        table = f"{name}.token_type_embeddings.weight"
        x = graph.node("Add", x, graph.embed(given, table, rows=types, size=size))
    if size != hidden:
        batch = _encoder.Batch(graph, ids)
        x = graph.project(batch.fold(x, size), f"{name}.embed_proj", inner=size, outer=hidden)
        x = batch.unfold(x, hidden)
    return _norm(graph, config, x, f"{name}.LayerNorm")


def _layer(config: Config, name: str) -> _encoder.Layer:
    hidden = config.size("hidden_size")
    heads = config.heads(hidden, "num_attention_heads")
    if (size := config.size("attention_head_size", default=hidden // heads)) * heads != hidden:
        raise InvalidModelError(
            f"config.json of `{config.name}` has {heads} attention heads of {size}, "
            f"which do not make the hidden size {hidden}"
        )
    return _encoder.Layer(
        query=f"{name}.attention.self.query_proj",
        key=f"{name}.attention.self.key_proj",
        value=f"{name}.attention.self.value_proj",
        attention_output=f"{name}.attention.output.dense",
        attention_norm=f"{name}.attention.output.LayerNorm",
        inner=f"{name}.intermediate.dense",
        output=f"{name}.output.dense",
        output_norm=f"{name}.output.LayerNorm",
        hidden=hidden,
        intermediate=config.size("intermediate_size"),
        heads=heads,
        activation=config.activation("hidden_act", "gelu"),
        epsilon=config.number("layer_norm_eps", _EPSILON),
    )


def _convolve(graph: Graph, config: Config, name: str, x: Value, mask: Value) -> Value:
    """A convolution over the embeddings, as the xlarge models have it beside their first layer."""
    g, hidden = graph, config.size("hidden_size")
    width, groups = (
        config.size("conv_kernel_size", most=1023),
        config.size("conv_groups", default=1),
    )
    if width % 2 == 0 or hidden % groups:
        raise InvalidModelError(
            f"config.json of `{config.name}` has conv_kernel_size = {width} and conv_groups = "
            f"{groups}; the first must be odd, the second must divide the hidden size {hidden}"
        )
    # A token sees its neighbours, and must not see whether they are padding or the end.
    real = g.node("Unsqueeze", g.node("Cast", mask, to=_FLOAT), g.constant([2]))
    x = g.node("Transpose", g.node("Mul", x, real), perm=[0, 2, 1])
    weight = g.weight(f"{name}.conv.weight", shape=(hidden, hidden // groups, width))
    bias = g.bias(f"{name}.conv", size=hidden)
    x = g.node("Conv", x, weight, bias, pads=[width // 2] * 2, group=groups)
    x = g.activate(config.activation("conv_act", "tanh"), x)
    return g.node("Transpose", x, perm=[0, 2, 1])


def _fill_mask(graph: Graph, config: Config, prefix: str, x: Value, batch: _encoder.Batch) -> None:
    hidden = config.size("hidden_size")
    words = f"{prefix}embeddings.word_embeddings"
    legacy = config.flag("legacy", True)
    own, other = ("cls.predictions", "lm_predictions.lm_head")[:: 1 if legacy else -1]
    name = f"{own}.transform" if legacy else own
    if f"{name}.dense.weight" not in graph.weights:
        raise UnsupportedModelError(
            f"config.json of `{config.name}` has legacy = {legacy}, which means a head named "
            f"{own}, and the checkpoint has one named {other}",
            hint=f'with "legacy": {str(not legacy).lower()} in its config.json that head is read',
        )
    _heads.vocabulary(
        graph,
        config,
        x,
        batch,
        words=words,
        dense=f"{name}.dense",
        norm=f"{name}.LayerNorm",
        decoder=f"{own}.decoder" if legacy else words,
        bias=own,
        sizes=(hidden, config.size("embedding_size", default=hidden) if legacy else hidden),
        activation=config.activation("hidden_act", "gelu"),
        epsilon=config.number("layer_norm_eps", _EPSILON),
    )


@dataclass(frozen=True)
class _Distances:
    """How far tokens are apart, in the form in which every layer reads it.

    Attributes:
        kinds: which of c2p and p2c there are.
        shared: whether layers see distances by the projections by which they see contents.
        vectors: (2 * span, hidden), a vector for each distance that is told from others.
        falling, rising: which of them stands for each distance, from tokens - 1 down to -tokens,
            and from 1 - tokens up to tokens.
        begin, end, shape, tokens: sizes, for `_align`.
    """

    graph: Graph
    kinds: tuple[str, ...]
    shared: bool
    vectors: NDArray[np.float32]
    falling: Value
    rising: Value
    begin: Value
    end: Value
    shape: Value
    tokens: Value

    def scores(self, layer: _encoder.Layer, query: Value, key: Value, scale: float) -> list[Value]:
        """What is added to a layer's attention scores: (rows, heads, tokens, tokens), or none."""
        terms: list[Value] = []
        if "c2p" in self.kinds:
            terms.append(self._align(self._products(layer, layer.key, query, self.falling, scale)))
        if "p2c" in self.kinds:
            turned = self._align(self._products(layer, layer.query, key, self.rising, scale))
            terms.append(self.graph.node("Transpose", turned, perm=[0, 1, 3, 2]))
        return [self.graph.node("Add", *terms)] if len(terms) == 2 else terms

    def _products(
        self, layer: _encoder.Layer, projection: str, content: Value, numbers: Value, scale: float
    ) -> Value:
        """Of each token with what a layer's projection makes of the vectors of all distances."""
        g, hidden, heads = self.graph, layer.hidden, layer.heads
        if not self.shared:
            projection = projection.replace(".self.", ".self.pos_")
        matrix = g.array(f"{projection}.weight", shape=(hidden, hidden))
        seen = self.vectors @ matrix.T + g.array(f"{projection}.bias", shape=(hidden,))
        seen = (seen * np.float32(scale)).reshape(-1, heads, hidden // heads).transpose(1, 0, 2)
        table = g.table(f"{projection} of distances", seen)
        shape = g.constant([0, 0, heads, hidden // heads])
        apart = g.node("Transpose", g.node("Reshape", content, shape), perm=[0, 2, 1, 3])
        taken = g.node("Gather", table, numbers, axis=1)
        return g.node("FusedMatMul", apart, taken, domain=MICROSOFT, transB=1)

    def _align(self, x: Value) -> Value:
        """(rows, heads, tokens, 2 * tokens), a column a distance -> (.., tokens), a column a token.

        Of the first row the columns from `tokens - 1` on are wanted, and of each further row those
        that begin one earlier. Read as rows that are shorter by one, they stand one below another:
        two copies in order, where a gathering would look up each pair of tokens for each head.
        """
        g = self.graph
        flat = g.node("Reshape", x, g.constant([0, 0, -1]))
        flat = g.node("Slice", flat, self.begin, self.end, g.constant([2]))
        straight = g.node("Reshape", flat, self.shape)
        return g.node("Slice", straight, g.constant([0]), self.tokens, g.constant([3]))


def _distances(graph: Graph, config: Config, prefix: str) -> _Distances | None:
    if not config.flag("relative_attention", False):
        return None
    g, hidden = graph, config.size("hidden_size")
    buckets = _optional(config, "position_buckets", _MOST_DISTANCE)
    farthest = _optional(config, "max_relative_positions", _MOST_DISTANCE)
    farthest = farthest or config.size("max_position_embeddings", default=512, most=_MOST_DISTANCE)
    span = buckets or farthest
    name = f"{prefix}encoder.rel_embeddings.weight"
    vectors = g.array(name, shape=(2 * span, hidden))
    if "layer_norm" in _words(config, "norm_rel_ebd"):
        norm = f"{prefix}encoder.LayerNorm"
        scale, shift = (g.array(f"{norm}.{w}", shape=(hidden,)) for w in ("weight", "bias"))
        vectors = vectors.astype(np.float64)
        variance = vectors.var(axis=1, keepdims=True) + config.number("layer_norm_eps", _EPSILON)
        vectors = (vectors - vectors.mean(axis=1, keepdims=True)) / np.sqrt(variance)
        vectors = (vectors * scale + shift).astype(np.float32)
    number_of = g.table("distances", numbers(config, buckets, farthest))
    tokens = g.node("Shape", "input_ids", start=1, end=2)
    count, one = g.node("Squeeze", tokens), g.constant(1)
    begin = g.node("Sub", tokens, g.constant([1]))
    width = g.node("Add", tokens, begin)
    last = g.node("Sub", g.node("Neg", count), one)
    falling = g.node("Range", g.node("Sub", count, one), last, g.constant(-1))

    def numbered(distance: Value) -> Value:
        near = g.node("Clip", distance, g.constant(-farthest), g.constant(farthest))
        return g.node("Gather", number_of, g.node("Add", near, g.constant(farthest)))

    return _Distances(
        graph=g,
        kinds=_kinds(config),
        shared=config.flag("share_att_key", False),
        vectors=vectors,
        falling=numbered(falling),
        rising=numbered(g.node("Neg", falling)),
        begin=begin,
        end=g.node("Add", begin, g.node("Mul", tokens, width)),
        shape=g.node("Concat", g.constant([0, 0]), tokens, width, axis=0),
        tokens=tokens,
    )


def numbers(config: Config, buckets: int | None, farthest: int) -> NDArray[np.int64]:
    """The number of the vector of each distance, from -farthest to farthest; beyond, none changes.

    Near distances are told apart one by one, far ones in buckets that widen by their logarithm.
    """
    distance = np.arange(-farthest, farthest + 1)
    if buckets is None:
        return np.clip(distance + farthest, 0, 2 * farthest - 1)
    near = buckets // 2
    if buckets % 2 or near < 2 or farthest - 1 <= near:
        raise UnsupportedModelError(
            f"config.json of `{config.name}` has position_buckets = {buckets} for distances up to "
            f"{farthest}; silmu has graphs for even numbers from 4 on, below twice that distance"
        )
    # In float32 and in this order, so that no distance falls into another bucket by rounding.
    ratio = np.maximum(np.abs(distance), near).astype(np.float32) / np.float32(near)
    place = np.log(ratio) / np.log(np.float32((farthest - 1) / near)) * np.float32(near - 1)
    far = np.sign(distance) * (np.ceil(place).astype(np.int64) + near)
    number = np.where(np.abs(distance) <= near, distance, far)
    return np.clip(number + buckets, 0, 2 * buckets - 1)


def _words(config: Config, key: str) -> list[str]:
    """What config.json gives as a list of words, or as one text with bars between them."""
    value: Any = config.values.get(key)
    value = [] if value is None else value
    found: Any = value.lower().split("|") if isinstance(value, str) else value
    if not isinstance(found, list) or not all(
        isinstance(word, str) for word in cast("list[Any]", found)
    ):
        raise InvalidModelError(
            f"config.json of `{config.name}` has {key} = {value!r}; it must be a list of words"
        )
    return [word.strip() for word in cast("list[str]", found)]


def _kinds(config: Config) -> tuple[str, ...]:
    """Those of c2p and p2c that a model has, which is told even where it does not use them."""
    given = _words(config, "pos_att_type")
    return tuple(kind for kind in _KINDS if kind in given)


def _attend(
    graph: Graph,
    config: Config,
    layer: _encoder.Layer,
    x: Value,
    batch: _encoder.Batch,
    mask: Value,
    distances: _Distances | None,
) -> Value:
    g, hidden, heads = graph, layer.hidden, layer.heads
    scale = 1 / math.sqrt(hidden // heads * (1 + len(_kinds(config))))
    names = (layer.query, layer.key, layer.value)
    parts = g.project(x, *names, inner=hidden, outer=3 * hidden)
    parts = g.node("Add", parts, g.bias(*names, size=3 * hidden))
    query, key, value = g.split(batch.unfold(parts, 3 * hidden), 3)
    added = distances.scores(layer, query, key, scale) if distances else []
    attended = g.node(
        "MultiHeadAttention",
        *(query, key, value, "", mask, *added),
        domain=MICROSOFT,
        num_heads=heads,
        scale=scale,
    )
    return batch.fold(attended, hidden)
