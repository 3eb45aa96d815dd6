"""What decoders share: attention to what came before, and what they end in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.graphs import _encoder
from silmu.graphs._attention import PlainAttention
from silmu.graphs._heads import token_labels
from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

_MULTIPLE = 8
"""What the engine computes attention for: heads whose size is a multiple of it."""


class Attention:
    """Causal attention over rows of tokens, which are padded on the right.

    To generate, it reads and grows a key-value cache of shape (rows, heads, room, head size) a
    layer, bound in place. For other heads it sees all tokens at once, each those before it. Heads
    of a size that the engine has no attention for are filled up with zeros, which change no score.
    Where products are by rows, it is a `PlainAttention`.

    Args:
        caches: whether it has a cache.
        heads, kv_heads: of queries, and of keys and values, each of which several queries share.
        size: of a head.
    """

    def __init__(
        self,
        graph: Graph,
        config: Config,
        ids: Value,
        *,
        caches: bool,
        heads: int,
        kv_heads: int,
        size: int,
    ) -> None:
        self.graph, self.caches = graph, caches
        self.heads, self.kv_heads, self.size = heads, kv_heads, size
        if heads % kv_heads:
            raise InvalidModelError(
                f"config.json of `{config.name}` has {heads} heads of queries, "
                f"which {kv_heads} heads of keys do not divide"
            )
        self.wide = size + -size % _MULTIPLE
        self.hidden: Value = ""
        self.plain = PlainAttention(graph, ids, caches=caches) if graph.by_rows else None
        if self.plain is not None:
            return
        if caches and graph.exported:
            self._read_mask(ids)
        elif caches:
            self.last = graph.input("seqlens_k", "int32", ["rows"])
            self.total = graph.input("total_sequence_length", "int32", [1])
        else:
            mask = graph.input("attention_mask", "int64", ["rows", "tokens"])
            lengths = graph.node("ReduceSum", mask, graph.constant([1]), keepdims=0)
            self.last = graph.node("Cast", graph.node("Sub", lengths, graph.constant(1)), to=6)
            self.total = graph.node("Cast", graph.node("Shape", ids, start=1, end=2), to=6)

    def __call__(
        self,
        layer: int,
        query: Value,
        key: Value = "",
        value: Value = "",
        *,
        scale: float,
        window: int = 0,
        softcap: float = 0.0,
    ) -> Value:
        """(rows, tokens, heads * size) three times, or all three in `query` -> (..., heads * size).

        Args:
            window: how many tokens are seen, the own one included; all, if 0.
            softcap: what the scores are bent to stay below, by a tanh; not at all, if 0.
        """
        g = self.graph
        if self.plain is not None:
            apart = (query, key, value) if key else g.split(query, 3)
            return self.plain(
                layer,
                *apart,
                heads=self.heads,
                kv_heads=self.kv_heads,
                size=self.size,
                scale=scale,
                window=window,
                softcap=softcap,
            )
        room, grown = ("past", "seen") if g.exported else ("room", "room")
        # Other programs tell the size of a cache from config.json.
        kept = self.size if g.exported else self.wide
        shape: list[int | str] = ["rows", self.kv_heads, room, kept]
        past, present = ["", ""], list[str]()
        if self.caches:
            past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
            past = [g.input(name, "float32", shape) for name in past]
            present = [f"present.{layer}.{part}" for part in ("key", "value")]
        if self.wide != self.size:
            query, key, value = (query, key, value) if key else g.split(query, 3)
            query = self._widened(query, self.heads)
            key, value = (self._widened(x, self.kv_heads) for x in (key, value))
            if g.exported and self.caches:
                past = [self._filled(x) for x in past]
        outer = present if kept == self.wide else [f"{name} widened" for name in present]
        attended = g.nodes(
            "GroupQueryAttention",
            *(query, key, value, *past, self.last, self.total),
            *(("", "", "", self.hidden) if self.hidden else ()),
            outputs=[f"attention_{layer}", *outer],
            domain=MICROSOFT,
            num_heads=self.heads,
            kv_num_heads=self.kv_heads,
            scale=scale,
            local_window_size=window or -1,
            softcap=softcap,
        )[0]
        for name, made in zip(present, outer, strict=True):
            if made != name:
                self._narrowed(made, outputs=[name])
            g.alias_output(name, ["rows", self.kv_heads, grown, kept])
        if self.wide == self.size:
            return attended
        apart = g.node("Reshape", attended, g.constant([0, 0, self.heads, self.wide]))
        whole = g.constant([0, 0, self.heads * self.size])
        return g.node("Reshape", self._narrowed(apart), whole)

    def _widened(self, x: Value, heads: int) -> Value:
        """(rows, tokens, heads * size) -> the same with zeros after each head."""
        g = self.graph
        x = self._filled(g.node("Reshape", x, g.constant([0, 0, heads, self.size])))
        return g.node("Reshape", x, g.constant([0, 0, heads * self.wide]))

    def _filled(self, x: Value) -> Value:
        """Four axes, the last of which is a head -> the same with zeros after it."""
        g = self.graph
        return g.node("Pad", x, g.constant([0, 0, 0, 0, 0, 0, 0, self.wide - self.size]))

    def _narrowed(self, x: Value, outputs: int | list[str] = 1) -> Value:
        """Four axes, the last of which is a head -> the same without what was put after it."""
        g = self.graph
        ends = (g.constant([value]) for value in (0, self.size, 3))
        return g.nodes("Slice", x, *ends, outputs=outputs)[0]

    def _read_mask(self, ids: Value) -> None:
        """Padding on the left, as other programs pad: all that was seen counts, some is hidden."""
        g = self.graph
        mask = g.input("attention_mask", "int64", ["rows", "seen"])
        seen = g.node("Shape", mask, start=1, end=2)
        rows, tokens = (g.node("Shape", ids, start=i, end=i + 1) for i in range(2))
        self.total = g.node("Cast", seen, to=6)
        last = g.node("Sub", self.total, g.constant(1, "int32"))
        self.last = g.node("Expand", last, rows)
        padding = g.node("Cast", g.node("Sub", mask, g.constant(1)), to=1)
        hidden = g.node("Mul", padding, g.constant(1e9, "float32"))
        hidden = g.node("Unsqueeze", hidden, g.constant([1, 2]))
        shape = g.node("Concat", rows, g.constant([1]), tokens, seen, axis=0)
        self.hidden = g.node("Expand", hidden, shape)


def end(
    graph: Graph,
    config: Config,
    head: str,
    x: Value,
    ids: Value,
    *,
    hidden: int,
    words: str,
    tied: bool,
    untied: str = "lm_head.weight",
    labels: str = "score",
    softcap: float = 0.0,
) -> None:
    """Adds a head to what the last layer gives, (rows, tokens, hidden).

    Args:
        words: the name of the embeddings, which the next token's scores come from too where
            config.json ties the two.
        tied: whether they are tied where config.json does not say it.
        untied: the name of the table of these scores where it is one of its own.
        labels: the name of the layer that labels tokens.
        softcap: what the scores of the next token are bent to stay below; not at all, if 0.

    Raises:
        UnsupportedModelError: the checkpoint was never trained to generate.
    """
    if head == "feature-extraction":
        graph.output("last_hidden_state", x, ["rows", "tokens", hidden])
    elif head == "question-answering":
        _encoder.span_outputs(graph, x, "qa_outputs", hidden)
    elif head == "token-classification":
        token_labels(graph, x, labels, hidden, config.num_labels)
    elif head == "text-classification":
        x = _token(graph, x, _last_token(graph, config, ids))
        scores = graph.linear(x, "score", inner=hidden, outer=config.num_labels)
        graph.output("logits", scores, ["rows", config.num_labels])
    else:
        table = words if config.flag("tie_word_embeddings", tied) else untied
        if table not in graph.weights:
            raise UnsupportedModelError(
                f"`{config.name}` was not trained for {head}: it has no tensor {table}",
                hint="a bare decoder gives vectors, with the task `feature-extraction`",
            )
        vocab = config.size("vocab_size")
        batch = _encoder.Batch(graph, ids)
        if graph.exported:
            x = batch.fold(x, hidden)
        else:
            x = _token(graph, x, graph.input("last_token", "int64", ["rows"]))
        named = None if softcap or graph.exported else "logits"
        scores = graph.scores(x, table, inner=hidden, outer=vocab, output=named)
        if softcap:
            cap = graph.constant(softcap, "float32")
            bent = graph.node("Tanh", graph.node("Div", scores, cap))
            outputs = 1 if graph.exported else ["logits"]
            scores = graph.nodes("Mul", bent, cap, outputs=outputs)[0]
        if graph.exported:
            graph.output("logits", batch.unfold(scores, vocab), ["rows", "tokens", vocab])
        else:
            graph.alias_output("logits", ["rows", vocab])


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
