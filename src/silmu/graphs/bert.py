"""BERT: Devlin et al. 2018, https://arxiv.org/abs/1810.04805."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.graphs import _bert, _encoder, _heads

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config

MODEL_TYPES = ("bert",)
HEADS = {
    "feature-extraction": "embeddings.word_embeddings.weight",
    "fill-mask": "cls.predictions.transform.dense.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "classifier.weight",
    "token-classification": "classifier.weight",
}
PREFIX = "bert."


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in."""
    hidden = config.size("hidden_size")
    x = _bert.embed(graph, config, prefix, hidden)
    x, batch = _encoder.stack(graph, x, _bert.layers(config, f"{prefix}encoder.layer"), head)
    if head == "text-classification":
        labels = config.num_labels
        pooled = graph.dense(x, f"{prefix}pooler.dense", inner=hidden, outer=hidden)
        logits = graph.dense(graph.node("Tanh", pooled), "classifier", inner=hidden, outer=labels)
        graph.output("logits", logits, ["rows", labels])
    elif head == "fill-mask":
        _heads.vocabulary(
            *(graph, config, x, batch),
            words=f"{prefix}embeddings.word_embeddings",
            dense="cls.predictions.transform.dense",
            norm="cls.predictions.transform.LayerNorm",
            decoder="cls.predictions.decoder",
            bias="cls.predictions",
            sizes=(hidden, hidden),
            activation=config.activation("hidden_act", "gelu"),
            epsilon=config.number("layer_norm_eps", _bert.EPSILON),
        )
    else:
        _heads.of_tokens(graph, config, head, batch.unfold(x, hidden), hidden)
