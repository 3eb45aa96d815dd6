"""Llama, Mistral, Qwen 2 and 3: https://arxiv.org/abs/2302.13971 and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.graphs import _gated
from silmu.graphs._rotary import rope

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")
HEADS = {
    "feature-extraction": "embed_tokens.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "score.weight",
    "text-generation": "embed_tokens.weight",
    "token-classification": "score.bias",
}
PREFIX = "model."

QWEN3_HEAD_SIZE = 128


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; see `_decoder.Attention` for what comes in."""
    kind = config.values["model_type"]
    # Of the classes for question answering, Llama's and Qwen's name their body otherwise.
    if head == "question-answering" and "transformer.embed_tokens.weight" in graph.weights:
        prefix = "transformer."
    size = _gated.head_size(config, QWEN3_HEAD_SIZE if kind == "qwen3" else None)
    depth = _gated.depth(config)
    has_biases = kind in ("llama", "qwen3") and config.flag("attention_bias", False)
    _gated.Gated(
        head_size=size,
        ropes=[rope(config, size)] * depth,
        windows=_windows(config, kind),
        activation=config.activation("hidden_act", "silu"),
        qkv_bias=has_biases or kind == "qwen2",
        output_bias=has_biases,
        mlp_bias=kind == "llama" and config.flag("mlp_bias", False),
        norms_heads=kind == "qwen3",
    ).build(graph, config, head, prefix)


def _windows(config: Config, kind: str) -> list[int]:
    full, sliding = _gated.LAYER_TYPES
    depth, has_window = _gated.depth(config), config.values.get("sliding_window", 1) is not None
    if kind == "llama":
        types = [full] * depth
    elif kind == "mistral":
        types = [sliding if has_window else full] * depth
    else:
        has_window = has_window and config.flag("use_sliding_window", False)
        first = config.number("max_window_layers", 28) if has_window else depth
        types = [sliding if i >= first else full for i in range(depth)]
        types = _gated.layer_types(config, types)
    return _gated.windows(config, types)
