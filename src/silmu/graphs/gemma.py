"""Gemma and Gemma 2: https://arxiv.org/abs/2403.08295, https://arxiv.org/abs/2408.00118."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.graphs import _gated
from silmu.graphs._rotary import rope

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config

MODEL_TYPES = ("gemma", "gemma2")
HEADS = {
    "feature-extraction": "embed_tokens.weight",
    "text-classification": "score.weight",
    "text-generation": "embed_tokens.weight",
    "token-classification": "score.bias",
}
PREFIX = "model."

HEAD_SIZE = 256


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; see `_decoder.Attention` for what comes in."""
    size, depth = _gated.head_size(config, HEAD_SIZE), _gated.depth(config)
    has_biases = config.flag("attention_bias", False)
    ropes = [rope(config, size)] * depth
    if config.values["model_type"] == "gemma":
        _gated.Gated(
            head_size=size,
            ropes=ropes,
            windows=[0] * depth,
            activation=config.activation("hidden_act", "gelu_pytorch_tanh"),
            qkv_bias=has_biases,
            output_bias=has_biases,
            from_one=True,
            scales_embeddings=True,
            tied=True,
        ).build(graph, config, head, prefix)
        return
    types = [_gated.LAYER_TYPES[(i + 1) % 2] for i in range(depth)]
    _gated.Gated(
        head_size=size,
        ropes=ropes,
        windows=_gated.windows(config, _gated.layer_types(config, types)),
        activation=config.activation("hidden_activation", "gelu_pytorch_tanh"),
        scale=config.size("query_pre_attn_scalar", default=256) ** -0.5,
        softcap=_gated.softcap(config, "attn_logit_softcapping", 50.0),
        final_softcap=_gated.softcap(config, "final_logit_softcapping", 30.0),
        qkv_bias=has_biases,
        output_bias=has_biases,
        norms_after=True,
        from_one=True,
        scales_embeddings=True,
        tied=True,
    ).build(graph, config, head, prefix)
