"""The pre-norm decoder that Llama and its relatives share.

Root mean square norms, rotary positions, few heads of keys for many of queries, and a feed-forward
layer with a gate: Touvron et al. 2023, https://arxiv.org/abs/2302.13971.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InvalidModelError
from silmu.graphs import _decoder
from silmu.graphs._config import Config
from silmu.graphs._rotary import Rope, Rotary

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._onnx import Value

LAYER_TYPES = ("full_attention", "sliding_attention")
WINDOW = 4096


@dataclass(frozen=True, kw_only=True)
class Gated:
    """What the relatives differ in.

    Attributes:
        head_size: of queries, keys and values.
        ropes, windows: for each layer, its rotary positions, and how many tokens it sees; all,
            where 0.
        scale: of attention's scores; that of the head size, if None.
        softcap, final_softcap: what scores of attention and of the next token are bent to stay
            below; not at all, if 0.
        qkv_bias, output_bias, mlp_bias: which layers have biases.
        norms_heads: whether each head's queries and keys are normed.
        norms_after: whether what attention and feed-forward layer give is normed before it is
            added.
        from_one: whether the checkpoint holds how far the norms' scales are from one.
        scales_embeddings: whether these are multiplied by the root of their size.
        tied: whether embeddings and output are one, where config.json does not say it.
    """

    head_size: int
    ropes: list[Rope]
    windows: list[int]
    activation: str
    scale: float | None = None
    softcap: float = 0.0
    final_softcap: float = 0.0
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    norms_heads: bool = False
    norms_after: bool = False
    from_one: bool = False
    scales_embeddings: bool = False
    tied: bool = False

    def build(self, graph: Graph, config: Config, head: str, prefix: str) -> None:
        """Adds the whole network with a head."""
        hidden, vocab = config.size("hidden_size"), config.size("vocab_size")
        ids = graph.input("input_ids", "int64", ["rows", "tokens"])
        words = f"{prefix}embed_tokens.weight"
        x = graph.embed(ids, words, rows=vocab, size=hidden)
        if self.scales_embeddings:
            x = graph.node("Mul", x, graph.constant(math.sqrt(hidden), "float32"))
        caches = head == "text-generation"
        where = graph.input("position_ids", "int64", ["rows", "tokens"]) if caches else None
        heads = config.size("num_attention_heads")
        attend = _decoder.Attention(
            graph,
            config,
            ids,
            caches=caches,
            heads=heads,
            kv_heads=config.size("num_key_value_heads", default=heads),
            size=self.head_size,
        )
        rotary = {rope: Rotary(graph, ids, rope, where) for rope in dict.fromkeys(self.ropes)}
        x = _Layers(self, graph, config, attend, rotary).add(x, prefix)
        _decoder.end(
            graph,
            config,
            head,
            x,
            ids,
            hidden=hidden,
            words=words,
            tied=self.tied,
            softcap=self.final_softcap,
        )


@dataclass(frozen=True)
class _Layers:
    """The layers of one network in one graph."""

    net: Gated
    graph: Graph
    config: Config
    attend: _decoder.Attention
    rotary: dict[Rope, Rotary]

    def add(self, x: Value, prefix: str) -> Value:
        """Each sum of the residual stream is fused into the norm that follows it."""
        net, graph, hidden = self.net, self.graph, self.config.size("hidden_size")
        norm = self._norm(hidden)
        first = "pre_feedforward_layernorm" if net.norms_after else "post_attention_layernorm"
        normed = graph.rms_norm(x, f"{prefix}layers.0.input_layernorm", **norm)
        for i in range(len(net.ropes)):
            name = f"{prefix}layers.{i}"
            mixed = self._attention(f"{name}.self_attn", normed, i)
            output = f"{name}.self_attn.o_proj"
            bias = graph.bias(output, size=hidden) if net.output_bias else None
            if net.norms_after:
                mixed = mixed if bias is None else graph.node("Add", mixed, bias)
                mixed = graph.rms_norm(mixed, f"{name}.post_attention_layernorm", **norm)
                bias = None
            normed, x = graph.add_rms_norm(mixed, x, f"{name}.{first}", bias=bias, **norm)
            narrow = self._feed_forward(f"{name}.mlp", normed)
            bias = graph.bias(f"{name}.mlp.down_proj", size=hidden) if net.mlp_bias else None
            if net.norms_after:
                narrow = graph.rms_norm(narrow, f"{name}.post_feedforward_layernorm", **norm)
            following = f"layers.{i + 1}.input_layernorm" if i + 1 < len(net.ropes) else "norm"
            normed, x = graph.add_rms_norm(narrow, x, f"{prefix}{following}", bias=bias, **norm)
        return normed

    def _attention(self, name: str, x: Value, layer: int) -> Value:
        net, graph, attend = self.net, self.graph, self.attend
        hidden, size = self.config.size("hidden_size"), net.head_size
        names = [f"{name}.{part}_proj" for part in "qkv"]
        widths = [size * attend.heads, size * attend.kv_heads, size * attend.kv_heads]
        together = graph.linear(x, *names, inner=hidden, outer=sum(widths))
        if net.qkv_bias:
            together = graph.node("Add", together, graph.bias(*names, size=sum(widths)))
        query, key, value = graph.nodes(
            "Split", together, graph.constant(widths), outputs=3, axis=-1
        )
        if net.norms_heads:
            query = self._norm_heads(f"{name}.q_norm", query)
            key = self._norm_heads(f"{name}.k_norm", key)
        turn = self.rotary[net.ropes[layer]]
        mixed = attend(
            layer,
            turn(query, attend.heads),
            turn(key, attend.kv_heads),
            value,
            scale=1 / math.sqrt(size) if net.scale is None else net.scale,
            window=net.windows[layer],
            softcap=net.softcap,
        )
        return graph.linear(mixed, f"{name}.o_proj", inner=widths[0], outer=hidden)

    def _norm_heads(self, name: str, x: Value) -> Value:
        """(rows, tokens, heads * size) -> the same, each head normed by itself."""
        graph, size = self.graph, self.net.head_size
        apart = graph.node("Reshape", x, graph.constant([0, 0, -1, size]))
        apart = graph.rms_norm(apart, name, **self._norm(size))
        return graph.node("Reshape", apart, graph.constant([0, 0, -1]))

    def _feed_forward(self, name: str, x: Value) -> Value:
        graph, config = self.graph, self.config
        hidden, inner = config.size("hidden_size"), config.size("intermediate_size")
        names = f"{name}.gate_proj", f"{name}.up_proj"
        both = graph.linear(x, *names, inner=hidden, outer=2 * inner)
        if self.net.mlp_bias:
            both = graph.node("Add", both, graph.bias(*names, size=2 * inner))
        gate, up = graph.split(both, 2)
        wide = graph.node("Mul", graph.activate(self.net.activation, gate), up)
        return graph.linear(wide, f"{name}.down_proj", inner=inner, outer=hidden)

    def _norm(self, size: int) -> dict[str, Any]:
        epsilon = self.config.number("rms_norm_eps", 1e-6)
        return {"size": size, "epsilon": epsilon, "from_one": self.net.from_one}


def depth(config: Config) -> int:
    """How many layers there are."""
    return config.size("num_hidden_layers", most=1024)


def head_size(config: Config, default: int | None = None) -> int:
    """The size of an attention head: its own, else its part of the hidden size."""
    if default is None and config.values.get("head_dim") is None:
        hidden = config.size("hidden_size")
        return hidden // config.heads(hidden, "num_attention_heads")
    return config.size("head_dim", default=default)


def layer_types(config: Config, default: list[str]) -> list[str]:
    """Which kind of attention each layer has.

    Raises:
        InvalidModelError: not as many as there are layers.
        UnsupportedModelError: a kind that no graph is written for.
    """
    given: Any = config.values.get("layer_types") or default
    if not isinstance(given, list) or len(cast("list[Any]", given)) != depth(config):
        raise InvalidModelError(
            f"config.json of `{config.name}` has layer_types {given!r:.80}; "
            f"it must be a list of {depth(config)}"
        )
    said = [Config({"layer_types": kind}, config.name) for kind in cast("list[Any]", given)]
    return [one.choice("layer_types", LAYER_TYPES[0], LAYER_TYPES) for one in said]


def windows(config: Config, types: list[str]) -> list[int]:
    """How many tokens each layer sees; all, where 0."""
    said = Config({"sliding_window": WINDOW, **config.values}, config.name)
    return [said.size("sliding_window") if kind == LAYER_TYPES[1] else 0 for kind in types]


def softcap(config: Config, key: str, default: float | None) -> float:
    """What scores are bent to stay below; not at all, if 0."""
    return 0.0 if config.values.get(key, default) is None else config.number(key, default or 0.0)
