"""DistilBERT: Sanh et al. 2019, https://arxiv.org/abs/1910.01108."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.graphs import _encoder

if TYPE_CHECKING:
    from silmu.graphs._builder import Config, Graph

MODEL_TYPES = ("distilbert",)
HEADS = {
    "feature-extraction": "embeddings.word_embeddings.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "classifier.weight",
}
PREFIX = "distilbert."
EPSILON = 1e-12


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in."""
    hidden = config.size("dim")
    words = graph.weight(
        f"{prefix}embeddings.word_embeddings.weight", shape=(config.size("vocab_size"), hidden)
    )
    positions = graph.weight(
        f"{prefix}embeddings.position_embeddings.weight",
        shape=(config.size("max_position_embeddings"), hidden),
    )
    ids = graph.input("input_ids", "int64", ["rows", "tokens"])
    x = _encoder.embeddings(graph, ids, words, positions)
    x = graph.norm(x, f"{prefix}embeddings.LayerNorm", size=hidden, epsilon=EPSILON)
    mask = _encoder.key_mask(graph)
    batch = _encoder.Batch(graph, "input_ids")
    x = batch.fold(x, hidden)
    depth = config.size("n_layers", most=1024)
    for i in range(depth):
        layer = _layer(config, f"{prefix}transformer.layer.{i}")
        first_only = head == "text-classification" and i == depth - 1
        x = layer.build(graph, x, batch, mask, first_token_only=first_only)
    if head == "feature-extraction":
        graph.output("last_hidden_state", batch.unfold(x, hidden), ["rows", "tokens", hidden])
    elif head == "question-answering":
        _encoder.span_outputs(graph, batch.unfold(x, hidden), "qa_outputs", hidden)
    else:
        labels = config.num_labels
        x = graph.dense(x, "pre_classifier", inner=hidden, outer=hidden)
        logits = graph.dense(graph.node("Relu", x), "classifier", inner=hidden, outer=labels)
        graph.output("logits", logits, ["rows", labels])


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
