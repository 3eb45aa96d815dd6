"""GPT-2: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from silmu.errors import UnsupportedModelError
from silmu.graphs import _decoder, _encoder

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("gpt2",)
HEADS = {
    "feature-extraction": "wte.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "score.weight",
    "text-generation": "wte.weight",
}
PREFIX = "transformer."


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head.

    See `_decoder.Attention` for what comes in.
    """
    if config.flag("add_cross_attention", False):
        raise UnsupportedModelError(f"`{config.name}` is a GPT-2 with cross-attention")
    hidden = config.size("n_embd", "hidden_size")
    caches = head == "text-generation"
    ids = graph.input("input_ids", "int64", ["rows", "tokens"])
    words, vocab = f"{prefix}wte.weight", config.size("vocab_size")
    positions = graph.weight(
        f"{prefix}wpe.weight", shape=(config.size("n_positions", "max_position_embeddings"), hidden)
    )
    x = graph.embed(ids, words, rows=vocab, size=hidden)
    if caches:
        where = graph.input("position_ids", "int64", ["rows", "tokens"])
        x = graph.node("Add", x, graph.node("Gather", positions, where))
    else:
        x = graph.node("Add", x, _encoder.one_a_token(graph, ids, positions))
    heads = config.heads(hidden, "n_head", "num_attention_heads")
    attend = _decoder.Attention(
        graph, config, ids, caches=caches, heads=heads, kv_heads=heads, size=hidden // heads
    )
    x = _blocks(graph, config, prefix, x, attend)
    _decoder.end(graph, config, head, x, ids, hidden=hidden, words=words, tied=True)


def _blocks(
    graph: Graph, config: Config, prefix: str, x: Value, attend: _decoder.Attention
) -> Value:
    """Pre-norm blocks. Each sum of the residual stream is fused into the norm that follows it."""
    hidden = config.size("n_embd", "hidden_size")
    inner = config.size("n_inner", default=4 * hidden)
    activation = config.activation("activation_function", "gelu_new")
    norm: dict[str, Any] = {"size": hidden, "epsilon": config.number("layer_norm_epsilon", 1e-5)}
    depth = config.size("n_layer", "num_hidden_layers", most=1024)
    normed = graph.norm(x, f"{prefix}h.0.ln_1", **norm)
    for i in range(depth):
        name = f"{prefix}h.{i}"
        scale = 1 / math.sqrt(attend.size) if config.flag("scale_attn_weights", True) else 1.0
        if config.flag("scale_attn_by_inverse_layer_idx", False):
            scale /= i + 1
        qkv = graph.linear(
            normed, f"{name}.attn.c_attn", inner=hidden, outer=3 * hidden, stored="in_out"
        )
        qkv = graph.node("Add", qkv, graph.bias(f"{name}.attn.c_attn", size=3 * hidden))
        mixed = attend(i, qkv, scale=scale)
        mixed = graph.linear(
            mixed, f"{name}.attn.c_proj", inner=hidden, outer=hidden, stored="in_out"
        )
        bias = graph.bias(f"{name}.attn.c_proj", size=hidden)
        normed, x = graph.add_norm_sum(mixed, x, f"{name}.ln_2", bias=bias, **norm)
        wide = graph.linear(normed, f"{name}.mlp.c_fc", inner=hidden, outer=inner, stored="in_out")
        wide = graph.activate(activation, wide, graph.bias(f"{name}.mlp.c_fc", size=inner))
        narrow = graph.linear(
            wide, f"{name}.mlp.c_proj", inner=inner, outer=hidden, stored="in_out"
        )
        bias = graph.bias(f"{name}.mlp.c_proj", size=hidden)
        following = f"{prefix}h.{i + 1}.ln_1" if i + 1 < depth else f"{prefix}ln_f"
        normed, x = graph.add_norm_sum(narrow, x, following, bias=bias, **norm)
    return normed
