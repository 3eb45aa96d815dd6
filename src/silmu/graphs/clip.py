"""CLIP, which lays pictures and texts into one space: https://arxiv.org/abs/2103.00020.

Radford et al. 2021. Both are read by an encoder of their own; how near two vectors are says how
well a text describes a picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from silmu.graphs import _encoder, _images, _towers, _vision

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("clip", "clip_vision_model")
HEADS = {
    "image-classification": "classifier.weight",
    "image-feature-extraction": "embeddings.class_embedding",
    "zero-shot-image-classification": "visual_projection.weight",
    "zero-shot-image-classification-text": "text_projection.weight",
}
PREFIX = "vision_model."
PACKED = True

_EPSILON = 1e-5
_ACTIVATION = "quick_gelu"
_INT32 = 6
_END, _OLD_END = 49407, 2
_VISION = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
_TEXT = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8}


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds one of the two encoders with a head.

    The text's gives `text_embeds` of `input_ids`; the picture's compares those with `pixel_values`,
    or gives its vectors or a logit for each label.
    """
    if head == "zero-shot-image-classification-text":
        _read_text(graph, config)
    else:
        _read_picture(graph, config, head, prefix)


def _read_picture(g: Graph, config: Config, head: str, prefix: str) -> None:
    own = _towers.part(config, "vision_config", _VISION)
    sizes = _vision.Sizes.of(own, activation=_ACTIVATION, epsilon=_EPSILON)
    hidden = sizes.hidden
    frame = _vision.Frame.of(own, patch=32)
    name = f"{prefix}embeddings"
    places = g.array(f"{name}.position_embedding.weight", shape=(1 + frame.number, hidden))
    token = g.array(f"{name}.class_embedding", shape=(hidden,))
    x = frame.patches(g, f"{name}.patch_embedding", hidden, bias=False)
    x = g.node("Add", x, g.table("silmu.places", places[1:]))
    x, tokens = _vision.lead(g, x, token + places[:1], frame.number)
    norm: dict[str, Any] = {"size": hidden, "epsilon": sizes.epsilon}
    x = g.norm(x, f"{prefix}pre_layrnorm", **norm)
    compares = head == "zero-shot-image-classification"
    x = _vision.Encoder(g, prefix, (_vision.CLIP,), sizes, tokens).build(x, int(compares))
    if head == "image-classification":
        mean = tokens.mean(x, hidden, start=1)
        _images.classify(g, config, mean, "classifier", hidden)
        return
    first = x if compares else tokens.first(x, 1, hidden)
    pooled = g.norm(first, f"{prefix}post_layernorm", **norm)
    if compares:
        size = config.size("projection_dim", default=512)
        pooled = g.linear(pooled, "visual_projection", inner=hidden, outer=size)
        _towers.compare(g, pooled, size, scale=g.array("logit_scale", shape=()))
    else:
        _vision.vectors(g, x, tokens, hidden, pooled)


def _read_text(g: Graph, config: Config) -> None:
    own = _towers.part(config, "text_config", _TEXT)
    sizes = _vision.Sizes.of(own, activation=_ACTIVATION, epsilon=_EPSILON)
    ids, x, tokens = _towers.embed_text(g, own, sizes.hidden, words=49408, places=77)
    mask = _encoder.key_mask(g)
    encoder = _vision.Encoder(g, "text_model.", (_vision.CLIP,), sizes, tokens, mask, causal=True)
    x = encoder.build(x)
    x = tokens.unfold(x, sizes.hidden)
    x = g.node("GatherND", x, _ends(g, own, ids), batch_dims=1)
    x = g.norm(x, "text_model.final_layer_norm", size=sizes.hidden, epsilon=sizes.epsilon)
    size = config.size("projection_dim", default=512)
    x = g.linear(x, "text_projection", inner=sizes.hidden, outer=size)
    _towers.give_text(g, x, size)


def _ends(g: Graph, own: Config, ids: Value) -> Value:
    """Where each text ends, (rows, 1): its vector is read there.

    CLIP's first checkpoints name a token that no text has; theirs is the largest of all.
    """
    end = own.token("eos_token_id") if "eos_token_id" in own.values else _END
    found = g.node("Cast", ids, to=_INT32)
    if end != _OLD_END:
        found = g.node(
            "Cast", g.node("Equal", ids, g.constant(-1 if end is None else end)), to=_INT32
        )
    return g.node("ArgMax", found, axis=1, keepdims=1)
