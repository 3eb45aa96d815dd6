"""What BERT and its descendants have in common: embeddings, and the names of a layer's parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from silmu.errors import UnsupportedModelError
from silmu.graphs import _encoder, _heads

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

EPSILON = 1e-12
_INT64 = 7


def embed(
    graph: Graph,
    config: Config,
    prefix: str,
    size: int,
    *,
    padding: int | None = None,
    segments: bool = True,
) -> Value:
    """Words, positions and segments, summed and normalised: (rows, tokens, size).

    Args:
        padding: the token after whose id positions are counted, as RoBERTa counts them; without it
            they are counted from 0.
        segments: whether there are embeddings of segments.
    """

    def table(name: str, rows: str) -> Value:
        shape = (config.size(rows), size)
        return graph.weight(f"{prefix}embeddings.{name}_embeddings.weight", shape=shape)

    _check(config)
    ids = graph.input("input_ids", "int64", ["rows", "tokens"])
    words = f"{prefix}embeddings.word_embeddings.weight"
    x = graph.embed(ids, words, rows=config.size("vocab_size"), size=size)
    positions = table("position", "max_position_embeddings")
    if padding is None:
        x = graph.node("Add", x, _encoder.one_a_token(graph, ids, positions))
    else:
        x = graph.node("Add", x, graph.node("Gather", positions, _places(graph, ids, padding)))
    if segments:
        x = graph.node("Add", x, _segments(graph, table("token_type", "type_vocab_size"), config))
    epsilon = config.number("layer_norm_eps", EPSILON)
    return graph.norm(x, f"{prefix}embeddings.LayerNorm", size=size, epsilon=epsilon)


@dataclass(frozen=True, kw_only=True)
class Names:
    """What BERT calls the parts of a layer's attention, below the layer."""

    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    output: str = "attention.output.dense"
    norm: str = "attention.output.LayerNorm"


BERT = Names()


def layers(config: Config, name: str, names: Names = BERT) -> list[_encoder.Layer]:
    """The layers that `_encoder.stack` builds, of the names that BERT gave their parts."""
    hidden = config.size("hidden_size")
    depth = config.size("num_hidden_layers", most=1024)
    return [
        _encoder.Layer(
            query=f"{name}.{i}.{names.query}",
            key=f"{name}.{i}.{names.key}",
            value=f"{name}.{i}.{names.value}",
            attention_output=f"{name}.{i}.{names.output}",
            attention_norm=f"{name}.{i}.{names.norm}",
            inner=f"{name}.{i}.intermediate.dense",
            output=f"{name}.{i}.output.dense",
            output_norm=f"{name}.{i}.output.LayerNorm",
            hidden=hidden,
            intermediate=config.size("intermediate_size"),
            heads=config.heads(hidden, "num_attention_heads"),
            activation=config.activation("hidden_act", "gelu"),
            epsilon=config.number("layer_norm_eps", EPSILON),
        )
        for i in range(depth)
    ]


def end_as_roberta(
    graph: Graph, config: Config, prefix: str, head: str, x: Value, batch: _encoder.Batch
) -> None:
    """The heads of RoBERTa, which MPNet took over with their names."""
    hidden = config.size("hidden_size")
    if head == "text-classification":
        _heads.two_layers(graph, config, x, hidden, activation="tanh")
    elif head == "fill-mask":
        _heads.vocabulary(
            *(graph, config, x, batch),
            words=f"{prefix}embeddings.word_embeddings",
            dense="lm_head.dense",
            norm="lm_head.layer_norm",
            decoder="lm_head.decoder",
            bias="lm_head",
            sizes=(hidden, hidden),
            activation="gelu",
            epsilon=config.number("layer_norm_eps", EPSILON),
        )
    else:
        _heads.of_tokens(graph, config, head, batch.unfold(x, hidden), hidden)


def _check(config: Config) -> None:
    config.choice("position_embedding_type", "absolute", ("absolute",))
    if config.flag("is_decoder", False):
        raise UnsupportedModelError(
            f"config.json of `{config.name}` has is_decoder = true, a model that writes; "
            "silmu has a graph for the encoder, in which each token sees all others"
        )


def _places(graph: Graph, ids: Value, padding: int) -> Value:
    """The position of each token, (rows, tokens): padding has its own, and is not counted."""
    real = graph.node("Not", graph.node("Equal", ids, graph.constant(padding)))
    real = graph.node("Cast", real, to=_INT64)
    counted = graph.node("CumSum", real, graph.constant(1))
    return graph.node("Add", graph.node("Mul", counted, real), graph.constant(padding))


def _segments(graph: Graph, table: Value, config: Config) -> Value:
    # With one segment nothing is to be chosen, whatever the tokenizer says of a pair of texts.
    if config.size("type_vocab_size") == 1:
        return table
    types = graph.input("token_type_ids", "int64", ["rows", "tokens"])
    return graph.node("Gather", table, types)
