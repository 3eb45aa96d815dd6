"""ELECTRA: Clark et al. 2020, https://arxiv.org/abs/2003.10555; KoELECTRA too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.graphs import _bert, _encoder, _heads

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config

MODEL_TYPES = ("electra",)
HEADS = {
    "feature-extraction": "embeddings.word_embeddings.weight",
    "fill-mask": "generator_predictions.dense.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "classifier.out_proj.weight",
    "token-classification": "classifier.weight",
}
PREFIX = "electra."


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in."""
    hidden, inner = config.size("hidden_size"), config.size("embedding_size", default=128)
    x = _bert.embed(graph, config, prefix, inner)
    if inner != hidden:
        x = graph.dense(x, f"{prefix}embeddings_project", inner=inner, outer=hidden)
    x, batch = _encoder.stack(graph, x, _bert.layers(config, f"{prefix}encoder.layer"), head)
    if head == "text-classification":
        _heads.two_layers(graph, config, x, hidden, activation="gelu")
    elif head == "fill-mask":
        _heads.vocabulary(
            *(graph, config, x, batch),
            words=f"{prefix}embeddings.word_embeddings",
            dense="generator_predictions.dense",
            norm="generator_predictions.LayerNorm",
            decoder="generator_lm_head",
            bias="generator_lm_head",
            sizes=(hidden, inner),
            activation="gelu",
            epsilon=config.number("layer_norm_eps", _bert.EPSILON),
        )
    else:
        _heads.of_tokens(graph, config, head, batch.unfold(x, hidden), hidden)
