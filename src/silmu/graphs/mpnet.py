"""MPNet: Song et al. 2020, https://arxiv.org/abs/2004.09297."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.errors import UnsupportedModelError
from silmu.graphs import _bert, _encoder

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("mpnet",)
HEADS = {
    "feature-extraction": "embeddings.word_embeddings.weight",
    "fill-mask": "lm_head.dense.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "classifier.out_proj.weight",
    "token-classification": "classifier.weight",
}
PREFIX = "mpnet."
POSITIONS_START_AFTER = 1
BUCKETS = 32
FARTHEST = 128
_NAMES = _bert.Names(
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    output="attention.attn.o",
    norm="attention.LayerNorm",
)


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in."""
    hidden = config.size("hidden_size")
    x = _bert.embed(graph, config, prefix, hidden, padding=POSITIONS_START_AFTER, segments=False)
    layers = _bert.layers(config, f"{prefix}encoder.layer", _NAMES)
    x, batch = _encoder.stack(graph, x, layers, head, _distances(graph, config, prefix))
    _bert.end_as_roberta(graph, config, prefix, head, x, batch)


def _distances(graph: Graph, config: Config, prefix: str) -> Value:
    """What each head adds for a token so far from another: (1, heads, tokens, tokens)."""
    g, rows = graph, config.size("relative_attention_num_buckets", default=BUCKETS)
    if rows < BUCKETS:
        raise UnsupportedModelError(
            f"config.json of `{config.name}` has relative_attention_num_buckets = {rows}; "
            f"the distances of an MPNet are told apart in {BUCKETS}"
        )
    heads = config.heads(config.size("hidden_size"), "num_attention_heads")
    name = f"{prefix}encoder.relative_attention_bias.weight"
    table = g.node("Transpose", g.weight(name, shape=(rows, heads)), perm=[1, 0])
    buckets = [_bucket(distance) for distance in range(-FARTHEST, FARTHEST + 1)]
    table = g.node("Gather", table, g.constant(buckets), axis=1)

    num_tokens = g.node("Squeeze", g.node("Shape", "input_ids", start=1, end=2))
    places = g.node("Range", g.constant(0), num_tokens, g.constant(1))
    asking = g.node("Unsqueeze", places, g.constant([1]))
    distance = g.node("Sub", places, asking)
    near = g.node("Clip", distance, g.constant(-FARTHEST), g.constant(FARTHEST))
    near = g.node("Add", near, g.constant(FARTHEST))
    return g.node("Unsqueeze", g.node("Gather", table, near, axis=1), g.constant([0]))


def _bucket(distance: int) -> int:
    """The number of the bucket of a distance: half of them for each side.

    Of these a half again are for single distances, and the others widen, two for a doubling.
    """
    side, distance = (BUCKETS // 2 if distance > 0 else 0), abs(distance)
    single = BUCKETS // 4
    if distance < single:
        return side + distance
    # The whole part of 2 log2(distance / 8), without the rounding of a logarithm.
    widened = (distance * distance // (single * single)).bit_length() - 1
    return side + min(single + widened, BUCKETS // 2 - 1)
