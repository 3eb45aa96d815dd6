"""What several families end in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.graphs import _encoder

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value


def of_tokens(graph: Graph, config: Config, head: str, x: Value, hidden: int) -> None:
    """The heads that read every token, and are alike everywhere; x is (rows, tokens, hidden)."""
    if head == "feature-extraction":
        graph.output("last_hidden_state", x, ["rows", "tokens", hidden])
    elif head == "question-answering":
        _encoder.span_outputs(graph, x, "qa_outputs", hidden)
    else:
        token_labels(graph, x, "classifier", hidden, config.num_labels)


def token_labels(graph: Graph, x: Value, name: str, hidden: int, labels: int) -> None:
    """The head of token classification: (rows, tokens, hidden) -> a logit for each label."""
    logits = graph.dense(x, name, inner=hidden, outer=labels)
    graph.output("logits", logits, ["rows", "tokens", labels])


def two_layers(
    graph: Graph,
    config: Config,
    x: Value,
    hidden: int,
    *,
    activation: str,
    name: str = "classifier",
) -> None:
    """The head that RoBERTa classifies texts with: (rows, hidden) -> a logit for each label."""
    labels = config.num_labels
    x = graph.dense(x, f"{name}.dense", inner=hidden, outer=hidden)
    x = graph.activate(activation, x)
    logits = graph.dense(x, f"{name}.out_proj", inner=hidden, outer=labels)
    graph.output("logits", logits, ["rows", labels])


def vocabulary(
    graph: Graph,
    config: Config,
    x: Value,
    batch: _encoder.Batch,
    *,
    words: str,
    dense: str,
    norm: str,
    decoder: str,
    bias: str,
    sizes: tuple[int, int],
    activation: str,
    epsilon: float,
) -> None:
    """The head that fills masks: a logit for each word of the vocabulary, at each token.

    Args:
        x: (rows * tokens, hidden), as the layers give it.
        words: the name of the embeddings, which are the decoder's weights too, unless config.json
            unties the two.
        dense, norm: the names of what stands between the last layer and the decoder.
        decoder: the name of the decoder.
        bias: what the decoder's bias is kept under, as `lm_head` of `lm_head.bias`; some
            checkpoints keep it under the decoder.
        sizes: the hidden size, and the size of an embedding.
    """
    (hidden, inner), vocab = sizes, config.size("vocab_size")
    x, sides = at_places(graph, batch, x)
    x = graph.activate(activation, graph.dense(x, dense, inner=hidden, outer=inner))
    x = graph.norm(x, norm, size=inner, epsilon=epsilon)
    tied = config.flag("tie_word_embeddings", True)
    # Where both are there they are one and the same, unless an untied decoder has its own.
    owner, other = (bias, decoder) if tied else (decoder, bias)
    owner = owner if f"{owner}.bias" in graph.weights else other
    table = f"{words if tied else decoder}.weight"
    added = graph.bias(owner, size=vocab)
    logits = graph.scores(x, table, inner=inner, outer=vocab, bias=added)
    shape = graph.node("Concat", sides, graph.constant([vocab]), axis=0)
    graph.output("logits", graph.node("Reshape", logits, shape), ["rows", "tokens", vocab])


def at_places(graph: Graph, batch: _encoder.Batch, x: Value) -> tuple[Value, Value]:
    """The tokens that the vocabulary is computed at, and the sides of what comes of it.

    The graph takes one input more, `places`, which names them, counted through all rows; what comes
    out is one row of these. Without it they are all, row by row. A vocabulary may be half of what
    a small model computes, and a mask is one token of many.
    """
    given = graph.option("places", "int64", [], ["places"])
    zero, one, first = graph.constant(0), graph.constant(1), graph.constant([0])
    count = graph.node("Size", given)
    is_left_out = graph.node("Equal", count, zero)
    tokens = graph.node("Where", is_left_out, graph.node("Size", batch.ids), zero)
    places = graph.node("Concat", graph.node("Range", zero, tokens, one), given, axis=0)
    row = graph.node("Concat", *(graph.node("Unsqueeze", n, first) for n in (one, count)), axis=0)
    sides = graph.node("Where", is_left_out, graph.node("Shape", batch.ids), row)
    return graph.node("Gather", x, places), sides
