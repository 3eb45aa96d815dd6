"""The text model of Gemma 3: https://arxiv.org/abs/2503.19786."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.errors import UnsupportedModelError
from silmu.graphs import _gated
from silmu.graphs._config import Config
from silmu.graphs._rotary import rope

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph

MODEL_TYPES = ("gemma3_text",)
HEADS = {
    "feature-extraction": "embed_tokens.weight",
    "text-classification": "score.weight",
    "text-generation": "embed_tokens.weight",
}
PREFIX = "model."

HEAD_SIZE = 256
GLOBAL_THETA, LOCAL_THETA = 1_000_000.0, 10_000.0


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; see `_decoder.Attention` for what comes in.

    Most layers see a window of tokens and turn them by angles of their own.
    """
    if config.flag("use_bidirectional_attention", False):
        raise UnsupportedModelError(f"`{config.name}` is a Gemma 3 that sees what comes after")
    size, depth = _gated.head_size(config, HEAD_SIZE), _gated.depth(config)
    every = config.size("sliding_window_pattern", "_sliding_window_pattern", default=6)
    full, sliding = _gated.LAYER_TYPES
    types = _gated.layer_types(config, [sliding if (i + 1) % every else full for i in range(depth)])
    has_biases = config.flag("attention_bias", False)
    ropes = {
        full: rope(config, size, theta=GLOBAL_THETA, layer=full),
        sliding: rope(_local(config), size, theta=LOCAL_THETA, layer=sliding),
    }
    _gated.Gated(
        head_size=size,
        ropes=[ropes[kind] for kind in types],
        windows=_gated.windows(config, types),
        activation=config.activation("hidden_activation", "gelu_pytorch_tanh"),
        scale=config.size("query_pre_attn_scalar", default=256) ** -0.5,
        final_softcap=_gated.softcap(config, "final_logit_softcapping", None),
        qkv_bias=has_biases,
        output_bias=has_biases,
        norms_heads=True,
        norms_after=True,
        from_one=True,
        scales_embeddings=True,
        tied=True,
    ).build(graph, config, head, prefix)


def _local(config: Config) -> Config:
    """config.json as the layers with a window read it: transformers 4 has a base for them."""
    values = {key: value for key, value in config.values.items() if key != "rope_scaling"}
    values["rope_theta"] = config.number("rope_local_base_freq", LOCAL_THETA)
    return Config(values, config.name)
