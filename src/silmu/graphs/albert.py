"""ALBERT: Lan et al. 2019, https://arxiv.org/abs/1909.11942."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.graphs import _bert, _encoder, _heads

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config

MODEL_TYPES = ("albert",)
HEADS = {
    "feature-extraction": "embeddings.word_embeddings.weight",
    "fill-mask": "predictions.dense.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "classifier.weight",
    "token-classification": "classifier.weight",
}
PREFIX = "albert."


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in."""
    hidden, inner = config.size("hidden_size"), config.size("embedding_size", default=128)
    x = _bert.embed(graph, config, prefix, inner)
    into = f"{prefix}encoder.embedding_hidden_mapping_in"
    x = graph.dense(x, into, inner=inner, outer=hidden)
    x, batch = _encoder.stack(graph, x, _layers(config, f"{prefix}encoder"), head)
    if head == "text-classification":
        labels = config.num_labels
        x = graph.node("Tanh", graph.dense(x, f"{prefix}pooler", inner=hidden, outer=hidden))
        logits = graph.dense(x, "classifier", inner=hidden, outer=labels)
        graph.output("logits", logits, ["rows", labels])
    elif head == "fill-mask":
        _heads.vocabulary(
            *(graph, config, x, batch),
            words=f"{prefix}embeddings.word_embeddings",
            dense="predictions.dense",
            norm="predictions.LayerNorm",
            decoder="predictions.decoder",
            bias="predictions",
            sizes=(hidden, inner),
            activation=config.activation("hidden_act", "gelu_new"),
            epsilon=config.number("layer_norm_eps", _bert.EPSILON),
        )
    else:
        _heads.of_tokens(graph, config, head, batch.unfold(x, hidden), hidden)


def _layers(config: Config, name: str) -> list[_encoder.Layer]:
    """Every layer that is gone through; they share the weights of a few groups."""
    depth = config.size("num_hidden_layers", most=1024)
    groups = config.size("num_hidden_groups", default=1, most=1024)
    inner = range(config.size("inner_group_num", default=1, most=1024))
    return [
        _layer(config, f"{name}.albert_layer_groups.{i * groups // depth}.albert_layers.{j}")
        for i in range(depth)
        for j in inner
    ]


def _layer(config: Config, name: str) -> _encoder.Layer:
    hidden = config.size("hidden_size")
    return _encoder.Layer(
        query=f"{name}.attention.query",
        key=f"{name}.attention.key",
        value=f"{name}.attention.value",
        attention_output=f"{name}.attention.dense",
        attention_norm=f"{name}.attention.LayerNorm",
        inner=f"{name}.ffn",
        output=f"{name}.ffn_output",
        output_norm=f"{name}.full_layer_layer_norm",
        hidden=hidden,
        intermediate=config.size("intermediate_size"),
        heads=config.heads(hidden, "num_attention_heads"),
        activation=config.activation("hidden_act", "gelu_new"),
        epsilon=config.number("layer_norm_eps", _bert.EPSILON),
    )
