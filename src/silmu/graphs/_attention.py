"""Causal attention as OpenVINO has it: with a mask that is added, and a cache it keeps itself.

`runtime.openvino` reads the one operator that ONNX has not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.runtime.decoder import ATTENTION, DOMAIN, NOWHERE

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._onnx import Value

_HIDDEN = -1e30


class PlainAttention:
    """Queries that see keys by position: those at their own or before it, in any order of storage.

    To generate, it reads a cache of shape (rows, heads, seen, head size) a layer and gives it one
    step longer. `beam_idx` says which row of the cache each row continues, and `key_positions`,
    (rows, seen), the place in its text of each token that is kept, this step's included; padding
    is NOWHERE. For other heads all tokens come at once, with `attention_mask`.
    """

    def __init__(self, graph: Graph, ids: Value, *, caches: bool) -> None:
        self.graph, self.caches = graph, caches
        self._masks: dict[int, Value] = {}
        if caches:
            places, own = graph.input("key_positions", "int64", ["rows", "seen"]), "position_ids"
            self.beams = graph.input("beam_idx", "int32", ["rows"])
        else:
            mask = graph.input("attention_mask", "int64", ["rows", "tokens"])
            count = graph.node("Squeeze", graph.node("Shape", ids, start=1, end=2))
            own = graph.node("Range", graph.constant(0), count, graph.constant(1))
            own = graph.node("Unsqueeze", own, graph.constant([0]))
            seen = graph.node("Cast", mask, to=9)  # bool
            places = graph.node("Where", seen, own, graph.constant(NOWHERE))
        self._keys = graph.node("Unsqueeze", places, graph.constant([1, 2]))
        self._queries = graph.node("Unsqueeze", own, graph.constant([1, 3]))

    def __call__(
        self,
        layer: int,
        query: Value,
        key: Value,
        value: Value,
        *,
        heads: int,
        kv_heads: int,
        size: int,
        scale: float,
        window: int,
        softcap: float,
    ) -> Value:
        """As `_decoder.Attention` is called, the three apart."""
        g = self.graph
        query, key, value = (
            g.node(
                "Transpose",
                g.node("Reshape", x, g.constant([0, 0, count, size])),
                perm=[0, 2, 1, 3],
            )
            for x, count in ((query, heads), (key, kv_heads), (value, kv_heads))
        )
        if self.caches:
            key = self._longer(f"{layer}.key", key, kv_heads, size)
            value = self._longer(f"{layer}.value", value, kv_heads, size)
        key, value = (self._shared(x, heads, kv_heads, size) for x in (key, value))
        mask = self._mask(window)
        if softcap:
            mixed = self._capped(query, key, value, mask, scale, softcap)
        else:
            factor = g.constant(scale, "float32")
            mixed = g.node(ATTENTION, query, key, value, mask, factor, domain=DOMAIN)
        mixed = g.node("Transpose", mixed, perm=[0, 2, 1, 3])
        return g.node("Reshape", mixed, g.constant([0, 0, heads * size]))

    def _capped(
        self, query: Value, key: Value, value: Value, mask: Value, scale: float, softcap: float
    ) -> Value:
        """Attention whose scores are bent, for which the engine has no operator."""
        g = self.graph
        scores = g.node("MatMul", query, g.node("Transpose", key, perm=[0, 1, 3, 2]))
        cap = g.constant(softcap, "float32")
        bent = g.node("Tanh", g.node("Mul", scores, g.constant(scale / softcap, "float32")))
        weights = g.node("Softmax", g.node("Add", g.node("Mul", bent, cap), mask), axis=-1)
        return g.node("MatMul", weights, value)

    def _longer(self, name: str, x: Value, heads: int, size: int) -> Value:
        g = self.graph
        past = g.input(f"past_key_values.{name}", "float32", ["rows", heads, "past", size])
        past = g.node("Gather", past, self.beams, axis=0)
        longer = g.nodes("Concat", past, x, outputs=[f"present.{name}"], axis=2)[0]
        g.alias_output(longer, ["rows", heads, "seen", size])
        return longer

    def _shared(self, x: Value, heads: int, kv_heads: int, size: int) -> Value:
        """Each head of keys or values, once for every head of queries that reads it."""
        if heads == kv_heads:
            return x
        g, times = self.graph, heads // kv_heads
        apart = g.node("Unsqueeze", x, g.constant([2]))
        length = g.node("Shape", x, start=2, end=3)
        shape = g.node(
            "Concat",
            *(g.node("Shape", x, start=0, end=1), g.constant([kv_heads, times]), length),
            g.constant([size]),
            axis=0,
        )
        repeated = g.node("Expand", apart, shape)
        return g.node("Reshape", repeated, g.constant([0, heads, -1, size]))

    def _mask(self, window: int) -> Value:
        """What is added to the scores, (rows, 1, tokens, seen)."""
        g = self.graph
        if window not in self._masks:
            seen = g.node("LessOrEqual", self._keys, self._queries)
            if window:
                first = g.node("Sub", self._queries, g.constant(window))
                seen = g.node("And", seen, g.node("Greater", self._keys, first))
            none, hidden = (g.constant(value, "float32") for value in (0, _HIDDEN))
            self._masks[window] = g.node("Where", seen, none, hidden)
        return self._masks[window]
