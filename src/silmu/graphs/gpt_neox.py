"""GPT-NeoX, of which Polyglot-Ko and Pythia are: Black et al. 2022, https://arxiv.org/abs/2204.06745."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from silmu.graphs import _decoder
from silmu.graphs._config import Config
from silmu.graphs._rotary import Rotary, rope

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("gpt_neox",)
HEADS = {
    "feature-extraction": "embed_in.weight",
    "question-answering": "qa_outputs.weight",
    "text-classification": "score.weight",
    "text-generation": "embed_in.weight",
    "token-classification": "classifier.weight",
}
PREFIX = "gpt_neox."


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; see `_decoder.Attention` for what comes in."""
    hidden = config.size("hidden_size")
    ids = graph.input("input_ids", "int64", ["rows", "tokens"])
    words = f"{prefix}embed_in.weight"
    x = graph.embed(ids, words, rows=config.size("vocab_size"), size=hidden)
    caches = head == "text-generation"
    heads = config.heads(hidden, "num_attention_heads")
    size = hidden // heads
    attend = _decoder.Attention(
        graph, config, ids, caches=caches, heads=heads, kv_heads=heads, size=size
    )
    where = graph.input("position_ids", "int64", ["rows", "tokens"]) if caches else None
    older = {
        "rope_theta": ("rotary_emb_base", 10_000.0),
        "partial_rotary_factor": ("rotary_pct", 0.25),
    }
    named = {new: config.number(*old) for new, old in older.items()}
    turned = rope(Config({**config.values, **named}, config.name), size, partial=True)
    x = _layers(graph, config, prefix, x, attend, Rotary(graph, ids, turned, where))
    _decoder.end(
        graph,
        config,
        head,
        x,
        ids,
        hidden=hidden,
        words=words,
        tied=False,
        untied="embed_out.weight",
        labels="classifier",
    )


def _layers(
    graph: Graph, config: Config, prefix: str, x: Value, attend: _decoder.Attention, rotary: Rotary
) -> Value:
    """Pre-norm blocks; attention and feed-forward layer side by side, or one after the other."""
    hidden = config.size("hidden_size")
    inner = config.size("intermediate_size")
    activation = config.activation("hidden_act", "gelu")
    side_by_side = config.flag("use_parallel_residual", True)
    norm: dict[str, Any] = {"size": hidden, "epsilon": config.number("layer_norm_eps", 1e-5)}
    depth = config.size("num_hidden_layers", most=1024)
    normed = graph.norm(x, f"{prefix}layers.0.input_layernorm", **norm)
    for i in range(depth):
        name = f"{prefix}layers.{i}"
        mixed = _attention(graph, config, f"{name}.attention", normed, i, attend, rotary)
        second = f"{name}.post_attention_layernorm"
        if not side_by_side:
            x = graph.node("Add", mixed, x)
        normed = graph.norm(x, second, **norm)
        wide = graph.linear(normed, f"{name}.mlp.dense_h_to_4h", inner=hidden, outer=inner)
        bias = graph.bias(f"{name}.mlp.dense_h_to_4h", size=inner)
        wide = graph.activate(activation, wide, bias)
        narrow = graph.linear(wide, f"{name}.mlp.dense_4h_to_h", inner=inner, outer=hidden)
        if side_by_side:
            narrow = graph.node("Add", narrow, mixed)
        bias = graph.bias(f"{name}.mlp.dense_4h_to_h", size=hidden)
        following = f"layers.{i + 1}.input_layernorm" if i + 1 < depth else "final_layer_norm"
        normed, x = graph.add_norm_sum(narrow, x, f"{prefix}{following}", bias=bias, **norm)
    return normed


def _attention(
    graph: Graph,
    config: Config,
    name: str,
    x: Value,
    layer: int,
    attend: _decoder.Attention,
    rotary: Rotary,
) -> Value:
    heads, size = attend.heads, attend.size
    hidden = heads * size
    has_bias = config.flag("attention_bias", True)
    together = graph.linear(x, f"{name}.query_key_value", inner=hidden, outer=3 * hidden)
    if has_bias:
        bias = graph.bias(f"{name}.query_key_value", size=3 * hidden)
        together = graph.node("Add", together, bias)
    # Query, key and value of a head stand together, head after head.
    apart = graph.node("Reshape", together, graph.constant([0, 0, heads, 3 * size]))
    query, key, value = (
        graph.node("Reshape", part, graph.constant([0, 0, hidden]))
        for part in graph.split(apart, 3)
    )
    mixed = attend(
        layer, rotary(query, heads), rotary(key, heads), value, scale=1 / math.sqrt(size)
    )
    mixed = graph.linear(mixed, f"{name}.dense", inner=hidden, outer=hidden)
    return graph.node("Add", mixed, graph.bias(f"{name}.dense", size=hidden)) if has_bias else mixed
