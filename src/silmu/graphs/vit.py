"""Pictures read as words: ViT, and DeiT, whose second token learns from a teacher.

Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929; Touvron et al. 2020,
https://arxiv.org/abs/2012.12877.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.graphs import _images, _vision

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("vit", "deit")
HEADS = {
    "image-classification": ("classifier.weight", "cls_classifier.weight"),
    "image-feature-extraction": "embeddings.cls_token",
}
PREFIX = "{model_type}."
PACKED = True

# As transformers 4 calls them and saves them, 5 too; and as 5 has them in memory.
_SAVED = _vision.Names(
    layers="encoder.layer",
    norm="layernorm_before",
    query="attention.attention.query",
    key="attention.attention.key",
    value="attention.attention.value",
    mixed="attention.output.dense",
    second_norm="layernorm_after",
    inner=("intermediate.dense",),
    output="output.dense",
)
_NEWER = _vision.Names(
    layers="layers",
    norm="layernorm_before",
    query="attention.q_proj",
    key="attention.k_proj",
    value="attention.v_proj",
    mixed="attention.o_proj",
    second_norm="layernorm_after",
    inner=("mlp.fc1",),
    output="mlp.fc2",
)
_TEACHERS = ("cls_classifier", "distillation_classifier")


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head: `pixel_values` (rows, channels, height, width) in."""
    g = graph
    sizes = _vision.Sizes.of(config, epsilon=1e-12)
    hidden, labels = sizes.hidden, config.num_labels
    x, tokens = _embed(g, config, f"{prefix}embeddings", hidden)
    classifies = head == "image-classification"
    taught = f"{_TEACHERS[0]}.weight" in g.weights
    first = (2 if taught else 1) if classifies else 0
    x = _vision.Encoder(g, prefix, (_SAVED, _NEWER), sizes, tokens).build(x, first)
    x = g.norm(x, f"{prefix}layernorm", size=hidden, epsilon=sizes.epsilon)
    if not classifies:
        pooled, size = _pool(g, config, x, tokens, f"{prefix}pooler.dense", hidden)
        _vision.vectors(g, x, tokens, hidden, pooled, size)
    elif taught:
        both = _vision.Tokens(g, 2).unfold(x, hidden)
        logits = [
            g.dense(g.node("Gather", both, g.constant(i), axis=1), name, inner=hidden, outer=labels)
            for i, name in enumerate(_TEACHERS)
        ]
        mean = g.node("Mul", g.node("Add", *logits), g.constant(0.5, "float32"))
        g.output("logits", mean, ["rows", labels])
    else:
        _images.classify(g, config, x, "classifier", hidden)


def _embed(g: Graph, config: Config, name: str, size: int) -> tuple[Value, _vision.Tokens]:
    """Patches and their places, after one token that stands for the picture, and DeiT's other."""
    frame = _vision.Frame.of(config)
    words = ["cls_token"]
    if config.values["model_type"] == "deit":
        words.append("distillation_token")
    count = len(words) + frame.number
    places = g.array(f"{name}.position_embeddings", shape=(1, count, size))[0]
    leading = [g.array(f"{name}.{word}", shape=(1, 1, size))[0, 0] for word in words]
    x = frame.patches(g, f"{name}.patch_embeddings.projection", size)
    x = g.node("Add", x, g.table("silmu.places", places[len(words) :]))
    return _vision.lead(g, x, np.stack(leading) + places[: len(words)], frame.number)


def _pool(
    g: Graph, config: Config, x: Value, tokens: _vision.Tokens, name: str, hidden: int
) -> tuple[Value | None, int]:
    """What the first token says of the picture, if the checkpoint has learnt that."""
    if f"{name}.weight" not in g.weights:
        return None, 0
    size = config.size("pooler_output_size", default=hidden)
    activation = config.activation("pooler_act", "tanh")
    pooled = g.dense(tokens.first(x, 1, hidden), name, inner=hidden, outer=size)
    return g.activate(activation, pooled), size
