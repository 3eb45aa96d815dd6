"""GPT-2: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from silmu.errors import UnsupportedModelError
from silmu.graphs import _encoder
from silmu.graphs._builder import MICROSOFT

if TYPE_CHECKING:
    from silmu.graphs._builder import Config, Graph, Value

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

    With `text-generation` the attention reads and grows a key-value cache of shape
    (rows, heads, room, head size) a layer, bound in place; the logits are those of `last_token`.
    With the other heads it sees all tokens at once, each those before it.
    """
    if config.flag("add_cross_attention", False):
        raise UnsupportedModelError(f"`{config.name}` is a GPT-2 with cross-attention")
    hidden = config.size("n_embd", "hidden_size")
    generates = head == "text-generation"
    ids = graph.input("input_ids", "int64", ["rows", "tokens"])
    words = graph.weight(f"{prefix}wte.weight", shape=(config.size("vocab_size"), hidden))
    positions = graph.weight(
        f"{prefix}wpe.weight", shape=(config.size("n_positions", "max_position_embeddings"), hidden)
    )
    if generates:
        where = graph.input("position_ids", "int64", ["rows", "tokens"])
        x = graph.node("Gather", words, ids)
        x = graph.node("Add", x, graph.node("Gather", positions, where))
        lengths = graph.input("seqlens_k", "int32", ["rows"])
        attend = _Cached(graph, lengths, graph.input("total_sequence_length", "int32", [1]))
    else:
        x = _encoder.embeddings(graph, ids, words, positions)
        attend = _AllAtOnce(graph, _encoder.key_mask(graph))

    x = _blocks(graph, config, prefix, x, attend)
    if head == "feature-extraction":
        graph.output("last_hidden_state", x, ["rows", "tokens", hidden])
    elif head == "question-answering":
        _encoder.span_outputs(graph, x, "qa_outputs", hidden)
    elif head == "text-classification":
        labels = config.num_labels
        x = _token(graph, x, _last_token(graph, config, ids))
        scores = graph.linear(x, "score", inner=hidden, outer=labels)
        graph.output("logits", scores, ["rows", labels])
    else:
        x = _token(graph, x, graph.input("last_token", "int64", ["rows"]))
        vocab = config.size("vocab_size")
        tied = config.flag("tie_word_embeddings", True) or "lm_head.weight" not in graph.weights
        table = words if tied else graph.weight("lm_head.weight", shape=(vocab, hidden))
        graph.nodes("Gemm", x, table, outputs=["logits"], transB=1)
        graph.alias_output("logits", ["rows", vocab])


def _blocks(graph: Graph, config: Config, prefix: str, x: Value, attend: _Attention) -> Value:
    """Pre-norm blocks. Each sum of the residual stream is fused into the norm that follows it."""
    hidden = config.size("n_embd", "hidden_size")
    inner = config.size("n_inner", default=4 * hidden)
    heads = config.heads(hidden, "n_head", "num_attention_heads")
    activation = config.activation("activation_function", "gelu_new")
    norm: dict[str, Any] = {"size": hidden, "epsilon": config.number("layer_norm_epsilon", 1e-5)}
    depth = config.size("n_layer", "num_hidden_layers", most=1024)
    normed = graph.norm(x, f"{prefix}h.0.ln_1", **norm)
    for i in range(depth):
        name = f"{prefix}h.{i}"
        scale = 1 / math.sqrt(hidden // heads) if config.flag("scale_attn_weights", True) else 1.0
        if config.flag("scale_attn_by_inverse_layer_idx", False):
            scale /= i + 1
        qkv = graph.linear(
            normed, f"{name}.attn.c_attn", inner=hidden, outer=3 * hidden, stored="in_out"
        )
        qkv = graph.node("Add", qkv, graph.bias(f"{name}.attn.c_attn", size=3 * hidden))
        mixed = attend(qkv, i, heads, hidden // heads, scale)
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


class _Cached:
    """Attention over a key-value cache that grows in place."""

    def __init__(self, graph: Graph, lengths: Value, total: Value) -> None:
        self.graph, self.lengths, self.total = graph, lengths, total

    def __call__(self, qkv: Value, layer: int, heads: int, size: int, scale: float) -> Value:
        shape: list[int | str] = ["rows", heads, "room", size]
        past = [
            self.graph.input(f"past_key_values.{layer}.{part}", "float32", shape)
            for part in ("key", "value")
        ]
        present = [f"present.{layer}.{part}" for part in ("key", "value")]
        attended = self.graph.nodes(
            "GroupQueryAttention",
            *(qkv, "", "", *past, self.lengths, self.total),
            outputs=[f"attention_{layer}", *present],
            domain=MICROSOFT,
            num_heads=heads,
            kv_num_heads=heads,
            scale=scale,
        )[0]
        for name in present:
            self.graph.alias_output(name, shape)
        return attended


class _AllAtOnce:
    """Causal attention over all tokens, without a cache."""

    def __init__(self, graph: Graph, mask: Value) -> None:
        self.graph, self.mask = graph, mask

    def __call__(self, qkv: Value, layer: int, heads: int, size: int, scale: float) -> Value:
        return self.graph.node(
            "MultiHeadAttention",
            *self.graph.split(qkv, 3),
            "",
            self.mask,
            domain=MICROSOFT,
            num_heads=heads,
            unidirectional=1,
            scale=scale,
        )


_Attention = _Cached | _AllAtOnce


def _last_token(graph: Graph, config: Config, ids: Value) -> Value:
    """The place of the last token of each row that is not padding.

    As transformers, it takes a padding token in the text for padding too.
    """
    pad = config.token("pad_token_id")
    num_tokens = graph.node("Squeeze", graph.node("Shape", ids, start=1, end=2))
    places = graph.node("Range", graph.constant(0), num_tokens, graph.constant(1))
    mask: Value = "attention_mask"
    if pad is not None:
        other = graph.node("Not", graph.node("Equal", ids, graph.constant(pad)))
        mask = graph.node("Mul", mask, graph.node("Cast", other, to=7))  # int64
    return graph.node("ArgMax", graph.node("Mul", places, mask), axis=1, keepdims=0)


def _token(graph: Graph, x: Value, place: Value) -> Value:
    """(rows, tokens, hidden) and a place in each row -> (rows, hidden)."""
    index = graph.node("Unsqueeze", place, graph.constant([1]))
    return graph.node("GatherND", x, index, batch_dims=1)
