"""BART (Lewis et al. 2019, https://arxiv.org/abs/1910.13461), where it reads a text and labels it.

The text goes through the encoder, and once more through the decoder, shifted by one token: what
the decoder makes of the last end-of-text token stands for the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from silmu.errors import InvalidModelError
from silmu.graphs import _encoder, _heads
from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("bart",)
HEADS = {
    "feature-extraction": "encoder.layernorm_embedding.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "classification_head.dense.weight",
}
PREFIX = "model."
ONLY_USED = True
"""transformers trains it only on batches whose texts hold equally many ends of text."""

EPSILON = 1e-5
FIRST_POSITION = 2
"""The row of the first token in a table of positions."""
_INT64 = 7


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in."""
    reader, writer = _Side(config, prefix, "encoder"), _Side(config, prefix, "decoder")
    hidden = reader.hidden
    ids = graph.input("input_ids", "int64", ["rows", "tokens"])
    mask = _encoder.key_mask(graph)
    batch = _encoder.Batch(graph, ids)

    read = batch.fold(reader.embed(graph, ids), hidden)
    for i in range(reader.depth):
        read = reader.layer(i, "self_attn").build(graph, read, batch, mask)

    x = batch.fold(writer.embed(graph, _shifted(graph, config, ids)), hidden)
    for i in range(writer.depth):
        x = _look_back(graph, writer.layer(i, "self_attn"), x, batch)
        x = _look_over(graph, writer.layer(i, "encoder_attn"), x, read, batch, mask)

    x = batch.unfold(x, hidden)
    if head == "text-classification":
        _heads.two_layers(
            *(graph, config, _end_of_text(graph, config, ids, x), hidden),
            activation="tanh",
            name="classification_head",
        )
    else:
        _heads.of_tokens(graph, config, head, x, hidden)


@dataclass(frozen=True)
class _Side:
    """The encoder or the decoder: its sizes, and the names of its parts."""

    config: Config
    prefix: str
    part: str

    @property
    def hidden(self) -> int:
        return self.config.size("d_model")

    @property
    def depth(self) -> int:
        return self.config.size(f"{self.part}_layers", most=1024)

    def embed(self, graph: Graph, ids: Value) -> Value:
        """Words and positions, summed and normalised: (rows, tokens, hidden)."""
        config, name = self.config, f"{self.prefix}{self.part}"
        # The three are one, and it depends on who saved it under which name it is kept.
        owners = (f"{self.prefix}shared", f"{name}.embed_tokens")
        owners += tuple(f"{self.prefix}{part}.embed_tokens" for part in ("encoder", "decoder"))
        words = next((f"{o}.weight" for o in owners if f"{o}.weight" in graph.weights), "")
        words = words or f"{owners[0]}.weight"
        x = graph.embed(ids, words, rows=config.size("vocab_size"), size=self.hidden)
        if config.flag("scale_embedding", False):
            x = graph.node("Mul", x, graph.constant(math.sqrt(self.hidden), "float32"))
        rows = config.size("max_position_embeddings") + FIRST_POSITION
        positions = graph.weight(f"{name}.embed_positions.weight", shape=(rows, self.hidden))
        tokens = graph.node("Shape", ids, start=1, end=2)
        first = graph.constant([FIRST_POSITION])
        end = graph.node("Add", tokens, first)
        x = graph.node("Add", x, graph.node("Slice", positions, first, end, graph.constant([0])))
        return graph.norm(x, f"{name}.layernorm_embedding", size=self.hidden, epsilon=EPSILON)

    def layer(self, i: int, attention: str) -> _encoder.Layer:
        """A layer, as it begins with one of its attentions; what follows is what ends it."""
        config, name = self.config, f"{self.prefix}{self.part}.layers.{i}"
        return _encoder.Layer(
            query=f"{name}.{attention}.q_proj",
            key=f"{name}.{attention}.k_proj",
            value=f"{name}.{attention}.v_proj",
            attention_output=f"{name}.{attention}.out_proj",
            attention_norm=f"{name}.{attention}_layer_norm",
            inner=f"{name}.fc1",
            output=f"{name}.fc2",
            output_norm=f"{name}.final_layer_norm",
            hidden=self.hidden,
            intermediate=config.size(f"{self.part}_ffn_dim"),
            heads=config.heads(self.hidden, f"{self.part}_attention_heads"),
            activation=config.activation("activation_function", "gelu"),
            epsilon=EPSILON,
        )


def _look_back(graph: Graph, layer: _encoder.Layer, x: Value, batch: _encoder.Batch) -> Value:
    """Attention of each token to those before it; padding on the right comes after them all."""
    names, size = (layer.query, layer.key, layer.value), layer.hidden
    together = graph.project(x, *names, inner=size, outer=3 * size)
    attended = graph.node(
        "MultiHeadAttention",
        *graph.split(batch.unfold(together, 3 * size), 3),
        graph.bias(*names, size=3 * size),
        domain=MICROSOFT,
        num_heads=layer.heads,
        unidirectional=1,
    )
    mixed = graph.project(
        batch.fold(attended, size), layer.attention_output, inner=size, outer=size
    )
    bias = graph.bias(layer.attention_output, size=size)
    return graph.add_norm(
        mixed, x, layer.attention_norm, bias=bias, size=size, epsilon=layer.epsilon
    )


def _look_over(
    graph: Graph, layer: _encoder.Layer, x: Value, read: Value, batch: _encoder.Batch, mask: Value
) -> Value:
    """Attention of each token to all that was read, and what ends a layer."""
    names, size = (layer.query, layer.key, layer.value), layer.hidden
    query = batch.unfold(graph.project(x, layer.query, inner=size, outer=size), size)
    others = graph.project(read, *names[1:], inner=size, outer=2 * size)
    attended = graph.node(
        "MultiHeadAttention",
        query,
        *graph.split(batch.unfold(others, 2 * size), 2),
        graph.bias(*names, size=3 * size),
        mask,
        domain=MICROSOFT,
        num_heads=layer.heads,
    )
    return layer.finish(graph, batch.fold(attended, size), x)


def _token(config: Config, key: str) -> int:
    found = config.token(key)
    if found is None:
        raise InvalidModelError(
            f"config.json of `{config.name}` has no {key}, the id of a token that a BART needs"
        )
    return found


def _shifted(graph: Graph, config: Config, ids: Value) -> Value:
    """What the decoder reads: the text behind a token that starts it, but for its last token."""
    start = graph.constant([[_token(config, "decoder_start_token_id")]])
    rows = graph.node("Shape", ids, start=0, end=1)
    sides = graph.node("Concat", rows, graph.constant([1]), axis=0)
    before = graph.node("Slice", ids, *(graph.constant([n]) for n in (0, -1, 1)))
    return graph.node("Concat", graph.node("Expand", start, sides), before, axis=1)


def _end_of_text(graph: Graph, config: Config, ids: Value, x: Value) -> Value:
    """(rows, tokens, hidden) -> (rows, hidden), at the last end of text that is no padding.

    A row without one has no such place: the engine says so and stops.
    """
    end = graph.node("Equal", ids, graph.constant(_token(config, "eos_token_id")))
    found = graph.node("Mul", graph.node("Cast", end, to=_INT64), "attention_mask")
    tokens = graph.node("Squeeze", graph.node("Shape", ids, start=1, end=2))
    one = graph.constant(1)
    counted = graph.node("Range", one, graph.node("Add", tokens, one), one)
    place = graph.node(
        "ReduceMax", graph.node("Mul", counted, found), graph.constant([1]), keepdims=1
    )
    none = graph.node("Equal", place, graph.constant(0))
    place = graph.node("Where", none, graph.node("Add", tokens, one), place)
    index = graph.node("Sub", place, one)
    return graph.node("GatherND", x, index, batch_dims=1)
