"""BERT: Devlin et al. 2018, https://arxiv.org/abs/1810.04805."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.graphs import _encoder

if TYPE_CHECKING:
    from silmu.graphs._builder import Config, Graph, Value

MODEL_TYPES = ("bert",)
HEADS = {
    "feature-extraction": "embeddings.word_embeddings.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "classifier.weight",
}
PREFIX = "bert."


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in."""
    hidden = config.size("hidden_size")
    config.choice("position_embedding_type", "absolute", ("absolute",))
    x = _embed(graph, config, prefix)
    mask = _encoder.key_mask(graph)
    batch = _encoder.Batch(graph, "input_ids")
    x = batch.fold(x, hidden)
    depth = config.size("num_hidden_layers", most=1024)
    for i in range(depth):
        layer = _layer(config, f"{prefix}encoder.layer.{i}")
        first_only = head == "text-classification" and i == depth - 1
        x = layer.build(graph, x, batch, mask, first_token_only=first_only)
    if head == "feature-extraction":
        graph.output("last_hidden_state", batch.unfold(x, hidden), ["rows", "tokens", hidden])
    elif head == "question-answering":
        _encoder.span_outputs(graph, batch.unfold(x, hidden), "qa_outputs", hidden)
    else:
        labels = config.num_labels
        pooled = graph.dense(x, f"{prefix}pooler.dense", inner=hidden, outer=hidden)
        logits = graph.dense(graph.node("Tanh", pooled), "classifier", inner=hidden, outer=labels)
        graph.output("logits", logits, ["rows", labels])


def _embed(graph: Graph, config: Config, prefix: str) -> Value:
    hidden = config.size("hidden_size")

    def table(name: str, rows: str) -> Value:
        shape = (config.size(rows), hidden)
        return graph.weight(f"{prefix}embeddings.{name}_embeddings.weight", shape=shape)

    ids = graph.input("input_ids", "int64", ["rows", "tokens"])
    types = graph.input("token_type_ids", "int64", ["rows", "tokens"])
    positions = table("position", "max_position_embeddings")
    x = _encoder.embeddings(graph, ids, table("word", "vocab_size"), positions)
    x = graph.node("Add", x, graph.node("Gather", table("token_type", "type_vocab_size"), types))
    epsilon = config.number("layer_norm_eps", 1e-12)
    return graph.norm(x, f"{prefix}embeddings.LayerNorm", size=hidden, epsilon=epsilon)


def _layer(config: Config, name: str) -> _encoder.Layer:
    hidden = config.size("hidden_size")
    return _encoder.Layer(
        query=f"{name}.attention.self.query",
        key=f"{name}.attention.self.key",
        value=f"{name}.attention.self.value",
        attention_output=f"{name}.attention.output.dense",
        attention_norm=f"{name}.attention.output.LayerNorm",
        inner=f"{name}.intermediate.dense",
        output=f"{name}.output.dense",
        output_norm=f"{name}.output.LayerNorm",
        hidden=hidden,
        intermediate=config.size("intermediate_size"),
        heads=config.heads(hidden, "num_attention_heads"),
        activation=config.activation("hidden_act", "gelu"),
        epsilon=config.number("layer_norm_eps", 1e-12),
    )
