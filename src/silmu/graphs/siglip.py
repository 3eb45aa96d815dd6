"""SigLIP, which judges each pair of a picture and a text by itself: Zhai et al. 2023.

https://arxiv.org/abs/2303.15343. SigLIP 2 of one size of pictures has the same networks:
https://arxiv.org/abs/2502.14786.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import UnsupportedModelError
from silmu.graphs import _images, _towers, _vision
from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("siglip", "siglip_vision_model")
HEADS = {
    "image-classification": "classifier.weight",
    "image-feature-extraction": "embeddings.patch_embedding.weight",
    "zero-shot-image-classification": "logit_scale",
    "zero-shot-image-classification-text": "text_model.head.weight",
}
PREFIX = "vision_model."
PACKED = True

_EPSILON = 1e-6
_ACTIVATION = "gelu_pytorch_tanh"


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds one of the two encoders with a head, as CLIP's."""
    if head == "zero-shot-image-classification-text":
        _read_text(graph, config)
    else:
        _read_picture(graph, config, head, prefix)


def _read_picture(g: Graph, config: Config, head: str, prefix: str) -> None:
    own = _towers.part(config, "vision_config", {})
    sizes = _vision.Sizes.of(own, activation=_ACTIVATION, epsilon=_EPSILON)
    hidden = sizes.hidden
    frame = _vision.Frame.of(own)
    name = f"{prefix}embeddings"
    shape = (frame.number, hidden)
    places = g.weight(f"{name}.position_embedding.weight", shape=shape)
    x = g.node("Add", frame.patches(g, f"{name}.patch_embedding", hidden), places)
    tokens = _vision.Tokens(g, frame.number)
    encoder = _vision.Encoder(g, prefix, (_vision.CLIP,), sizes, tokens)
    x = encoder.build(tokens.fold(x, hidden))
    x = g.norm(x, f"{prefix}post_layernorm", size=hidden, epsilon=sizes.epsilon)
    if head == "image-classification":
        _images.classify(g, config, tokens.mean(x, hidden), "classifier", hidden)
        return
    pooled = None
    if own.flag("vision_use_head", True):
        pooled = _pool(g, x, tokens, sizes, f"{prefix}head")
    if head == "image-feature-extraction":
        _vision.vectors(g, x, tokens, hidden, pooled)
    elif pooled is None:
        raise UnsupportedModelError(
            f"config.json of `{config.name}` has vision_use_head = false: nothing says what of a "
            "picture is to be compared with texts"
        )
    else:
        scale, shift = (g.array(f"logit_{word}", shape=(1,)) for word in ("scale", "bias"))
        _towers.compare(g, pooled, hidden, scale=scale, shift=shift)


def _read_text(g: Graph, config: Config) -> None:
    own = _towers.part(config, "text_config", {})
    sizes = _vision.Sizes.of(own, activation=_ACTIVATION, epsilon=_EPSILON)
    hidden = sizes.hidden
    _, x, tokens = _towers.embed_text(g, own, hidden, words=32000, places=64)
    x = _vision.Encoder(g, "text_model.", (_vision.CLIP,), sizes, tokens).build(x)
    # The last token speaks for the text, be it padding.
    last = g.node("Gather", tokens.unfold(x, hidden), g.constant(-1), axis=1)
    last = g.norm(last, "text_model.final_layer_norm", size=hidden, epsilon=sizes.epsilon)
    size = own.size("projection_size", default=hidden)
    _towers.give_text(g, g.dense(last, "text_model.head", inner=hidden, outer=size), size)


def _pool(g: Graph, x: Value, tokens: _vision.Tokens, sizes: _vision.Sizes, name: str) -> Value:
    """What a learnt question finds in the picture: (rows * tokens, size) -> (rows, size)."""
    size = sizes.hidden
    three = g.array(f"{name}.attention.in_proj_weight", shape=(3 * size, size))
    biases = g.array(f"{name}.attention.in_proj_bias", shape=(3 * size,))
    probe = g.array(f"{name}.probe", shape=(1, 1, size))
    query = probe @ three[:size].T + biases[:size]
    weights = g.table(f"{name}.attention.in_proj_weight:rest", three[size:])
    rest = g.table(f"{name}.attention.in_proj_bias:rest", biases[size:])
    others = tokens.unfold(g.node("Gemm", x, weights, rest, transB=1), 2 * size)
    rows = g.node("Shape", others, start=0, end=1)
    asked = g.node("Concat", rows, g.constant([1, size]), axis=0)
    asked = g.node("Expand", g.table(f"{name}.query", query.astype(np.float32)), asked)
    found = g.node(
        "MultiHeadAttention",
        *(asked, *g.split(others, 2)),
        domain=MICROSOFT,
        num_heads=sizes.heads,
    )
    found = tokens.fold(found, size)
    found = g.affine(found, f"{name}.attention.out_proj", inner=size, outer=size)
    normed = g.norm(found, f"{name}.layernorm", size=size, epsilon=sizes.epsilon)
    wide = sizes.intermediate
    x = g.affine(normed, f"{name}.mlp.fc1", inner=size, outer=wide)
    x = g.activate(sizes.activation, x)
    return g.node("Add", g.affine(x, f"{name}.mlp.fc2", inner=wide, outer=size), found)
