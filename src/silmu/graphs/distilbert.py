"""DistilBERT: Sanh et al. 2019, https://arxiv.org/abs/1910.01108."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.graphs import _encoder, _heads

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config

MODEL_TYPES = ("distilbert",)
HEADS = {
    "feature-extraction": "embeddings.word_embeddings.weight",
    "fill-mask": "vocab_transform.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "classifier.weight",
    "token-classification": "classifier.weight",
}
PREFIX = "distilbert."
EPSILON = 1e-12


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in."""
    hidden = config.size("dim")
    positions = graph.weight(
        f"{prefix}embeddings.position_embeddings.weight",
        shape=(config.size("max_position_embeddings"), hidden),
    )
    ids = graph.input("input_ids", "int64", ["rows", "tokens"])
    words = f"{prefix}embeddings.word_embeddings"
    x = graph.embed(ids, f"{words}.weight", rows=config.size("vocab_size"), size=hidden)
    x = graph.node("Add", x, _encoder.one_a_token(graph, ids, positions))
    x = graph.norm(x, f"{prefix}embeddings.LayerNorm", size=hidden, epsilon=EPSILON)
    depth = config.size("n_layers", most=1024)
    layers = [_layer(config, f"{prefix}transformer.layer.{i}") for i in range(depth)]
    x, batch = _encoder.stack(graph, x, layers, head)
    if head == "text-classification":
        labels = config.num_labels
        x = graph.dense(x, "pre_classifier", inner=hidden, outer=hidden)
        logits = graph.dense(graph.node("Relu", x), "classifier", inner=hidden, outer=labels)
        graph.output("logits", logits, ["rows", labels])
    elif head == "fill-mask":
        _heads.vocabulary(
            *(graph, config, x, batch),
            words=words,
            dense="vocab_transform",
            norm="vocab_layer_norm",
            decoder="vocab_projector",
            bias="vocab_projector",
            sizes=(hidden, hidden),
            activation=config.activation("activation", "gelu"),
            epsilon=EPSILON,
        )
    else:
        _heads.of_tokens(graph, config, head, batch.unfold(x, hidden), hidden)


def _layer(config: Config, name: str) -> _encoder.Layer:
    hidden = config.size("dim")
    return _encoder.Layer(
        query=f"{name}.attention.q_lin",
        key=f"{name}.attention.k_lin",
        value=f"{name}.attention.v_lin",
        attention_output=f"{name}.attention.out_lin",
        attention_norm=f"{name}.sa_layer_norm",
        inner=f"{name}.ffn.lin1",
        output=f"{name}.ffn.lin2",
        output_norm=f"{name}.output_layer_norm",
        hidden=hidden,
        intermediate=config.size("hidden_dim"),
        heads=config.heads(hidden, "n_heads"),
        activation=config.activation("activation", "gelu"),
        epsilon=EPSILON,
    )
