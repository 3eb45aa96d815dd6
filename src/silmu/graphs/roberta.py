"""RoBERTa (Liu et al. 2019, https://arxiv.org/abs/1907.11692), XLM-RoBERTa and CamemBERT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.errors import InvalidModelError
from silmu.graphs import _bert, _encoder

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config

MODEL_TYPES = ("roberta", "xlm-roberta", "camembert")
HEADS = {
    "feature-extraction": "embeddings.word_embeddings.weight",
    "fill-mask": "lm_head.dense.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "classifier.out_proj.weight",
    "token-classification": "classifier.weight",
}
PREFIX = "roberta."
POSITIONS_START_AFTER = ("pad_token_id", 1)


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in."""
    hidden = config.size("hidden_size")
    x = _bert.embed(graph, config, prefix, hidden, padding=_padding(config))
    x, batch = _encoder.stack(graph, x, _bert.layers(config, f"{prefix}encoder.layer"), head)
    _bert.end_as_roberta(graph, config, prefix, head, x, batch)


def _padding(config: Config) -> int:
    key, default = POSITIONS_START_AFTER
    padding = config.token(key) if key in config.values else default
    if padding is None:
        raise InvalidModelError(
            f"config.json of `{config.name}` has {key} = null; "
            "a RoBERTa counts its positions from that token's id on"
        )
    return padding
