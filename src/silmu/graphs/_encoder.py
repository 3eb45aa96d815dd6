"""The post-norm Transformer encoder layer that BERT and its relatives share.

Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, with the normalisation after each block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._onnx import Value


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The names of one layer's parts in the checkpoint, and its sizes."""

    query: str
    key: str
    value: str
    attention_output: str
    attention_norm: str
    inner: str
    output: str
    output_norm: str
    hidden: int
    intermediate: int
    heads: int
    activation: str
    epsilon: float

    def build(
        self,
        graph: Graph,
        x: Value,
        batch: Batch,
        mask: Value,
        *,
        distances: Value | None = None,
        first_token_only: bool = False,
    ) -> Value:
        """(rows * tokens, hidden) -> the same, or (rows, hidden) of the first tokens alone.

        A classifier reads one token. In the last layer the others then matter only as keys and
        values, so five sixths of that layer's work need not be done for them. `distances` is what
        is added to the attention's scores: (1, heads, tokens, tokens).
        """
        g, size = graph, self.hidden
        names = (self.query, self.key, self.value)
        if first_token_only:
            others = batch.unfold(g.project(x, *names[1:], inner=size, outer=2 * size), 2 * size)
            x = g.first_token(batch.unfold(x, size))
            query = g.project(x, self.query, inner=size, outer=size)
            projected = [g.node("Unsqueeze", query, g.constant([1])), *g.split(others, 2)]
            if distances is not None:
                distances = g.node("Gather", distances, g.constant([0]), axis=2)
        else:
            together = g.project(x, *names, inner=size, outer=3 * size)
            projected = g.split(batch.unfold(together, 3 * size), 3)
        attended = g.node(
            "MultiHeadAttention",
            *projected,
            g.bias(*names, size=3 * size),
            mask,
            *([] if distances is None else [distances]),
            domain=MICROSOFT,
            num_heads=self.heads,
        )
        return self.finish(g, batch.fold(attended, size), x)

    def finish(self, graph: Graph, attended: Value, x: Value) -> Value:
        """What follows attention, for (n, hidden) that was attended and x, to which it is added."""
        g, size = graph, self.hidden
        norm: dict[str, Any] = {"size": size, "epsilon": self.epsilon}
        mixed = g.project(attended, self.attention_output, inner=size, outer=size)
        bias = g.bias(self.attention_output, size=size)
        x = g.add_norm(mixed, x, self.attention_norm, bias=bias, **norm)
        narrow = g.feed_forward(
            x, self.inner, self.output, self.activation, inner=size, outer=self.intermediate
        )
        bias = g.bias(self.output, size=size)
        return g.add_norm(narrow, x, self.output_norm, bias=bias, **norm)


def stack(
    graph: Graph, x: Value, layers: list[Layer], head: str, distances: Value | None = None
) -> tuple[Value, Batch]:
    """Layers one upon another: (rows, tokens, hidden) -> (rows * tokens, hidden).

    A head that classifies texts gets only the first token of each row.
    """
    mask = key_mask(graph)
    batch = Batch(graph, "input_ids")
    x = batch.fold(x, layers[0].hidden)
    for i, layer in enumerate(layers, start=1):
        last = head == "text-classification" and i == len(layers)
        x = layer.build(graph, x, batch, mask, distances=distances, first_token_only=last)
    return x, batch


@dataclass(frozen=True)
class Batch:
    """How the rows of a batch lie one after another in a matrix of all its tokens."""

    graph: Graph
    ids: Value

    def fold(self, x: Value, size: int) -> Value:
        """(rows, tokens, size) -> (rows * tokens, size)."""
        return self.graph.node("Reshape", x, self.graph.constant([-1, size]))

    def unfold(self, x: Value, size: int) -> Value:
        """(rows * tokens, size) -> (rows, tokens, size)."""
        sizes = self.graph.node("Shape", self.ids)
        shape = self.graph.node("Concat", sizes, self.graph.constant([size]), axis=0)
        return self.graph.node("Reshape", x, shape)


def one_a_token(graph: Graph, ids: Value, positions: Value) -> Value:
    """As many rows of a table, from its first on, as there are tokens."""
    num_tokens = graph.node("Shape", ids, start=1, end=2)
    return graph.node("Slice", positions, graph.constant([0]), num_tokens, graph.constant([0]))


def key_mask(graph: Graph) -> Value:
    """Declares the input `attention_mask` and gives it as the attention operator wants it."""
    mask = graph.input("attention_mask", "int64", ["rows", "tokens"])
    return graph.node("Cast", mask, to=6)  # int32


def span_outputs(graph: Graph, x: Value, name: str, hidden: int) -> None:
    """The head of extractive question answering: a start and an end logit for each token."""
    both = graph.split(graph.dense(x, name, inner=hidden, outer=2), 2)
    for output, logits in zip(("start_logits", "end_logits"), both, strict=True):
        graph.output(output, graph.node("Squeeze", logits, graph.constant([2])), ["rows", "tokens"])
