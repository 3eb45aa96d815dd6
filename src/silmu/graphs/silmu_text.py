"""Networks for texts that silmu trained from nothing: `silmu.networks.texts` says what they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import InvalidModelError
from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    from collections.abc import Callable

    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("silmu-text",)
HEADS = {
    "feature-extraction": "embeddings.tokens.weight",
    "text-classification": "classifier.weight",
}
PREFIX = "network."
DTYPES = ("fp32",)

_HASH_FACTOR = 1_000_003_919
_HASH_MODULUS = 2**31 - 1
_BAG_SCALE = 10.0
_LOWEST = float(np.finfo(np.float32).min)
_FLOAT, _INT32 = 1, 6
# torch keeps the gates of an LSTM as input, forget, cell, output; ONNX as input, output, forget,
# cell. Those of a GRU are reset, update, new there; update, reset, hidden here.
_RECURRENT: dict[str, tuple[str, list[int], dict[str, Any]]] = {
    "rnn": ("RNN", [0], {}),
    "lstm": ("LSTM", [0, 3, 1, 2], {}),
    "gru": ("GRU", [1, 0, 2], {"linear_before_reset": 1}),
}


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network with a head; shapes are (rows, tokens) in, padded on the right."""
    g = graph
    kind = config.choice("kind", "", ("perceptron", *_BODIES))
    width = config.size("embedding_size")
    ids = g.input("input_ids", "int64", ["rows", "tokens"])
    mask = g.input("attention_mask", "int64", ["rows", "tokens"])
    real = g.node("Unsqueeze", g.node("Cast", mask, to=_FLOAT), g.constant([2]))
    x = g.node("Mul", _embed(g, config, prefix, ids), real)
    size = width
    if kind != "perceptron":
        x, size = _BODIES[kind](g, config, f"{prefix}body", x, mask)
    if head == "feature-extraction":
        g.output("last_hidden_state", x, ["rows", "tokens", size])
        return
    count = g.node("ReduceSum", real, g.constant([1]), keepdims=0)
    labels = config.num_labels
    if kind == "perceptron":
        found = g.node("Div", _total(g, x), count)
        size = config.size("hidden_size")
        found = g.node("Relu", g.dense(found, f"{prefix}hidden", inner=width, outer=size))
    else:
        mean = g.node("Div", _total(g, g.node("Mul", x, real)), count)
        kept = g.node("Where", g.node("Greater", real, _number(g, 0)), x, _number(g, _LOWEST))
        largest = g.node("ReduceMax", kept, g.constant([1]), keepdims=0)
        found, size = g.node("Concat", mean, largest, axis=-1), 2 * size
    logits = g.dense(found, "classifier", inner=size, outer=labels)
    if config.values.get("bag_buckets"):
        logits = g.node("Add", logits, _bag(g, config, f"{prefix}bag", ids, real, count))
    g.output("logits", logits, ["rows", labels])


def _bag(graph: Graph, config: Config, name: str, ids: Value, real: Value, count: Value) -> Value:
    order, buckets = config.size("bag_order", most=16), config.size("bag_buckets")
    table = graph.weight(f"{name}.weights.weight", shape=(buckets, config.num_labels))
    total = _total(graph, graph.node("Mul", _looked_up(graph, table, ids, order, buckets), real))
    length = graph.node("Sqrt", graph.node("Mul", count, _number(graph, order)))
    return graph.node("Mul", total, graph.node("Div", _number(graph, _BAG_SCALE), length))


def _number(graph: Graph, value: float) -> Value:
    return graph.constant(value, "float32")


def _total(graph: Graph, x: Value) -> Value:
    """(rows, tokens, size), zero at padding -> (rows, size)."""
    return graph.node("ReduceSum", x, graph.constant([1]), keepdims=0)


def _embed(graph: Graph, config: Config, prefix: str, ids: Value) -> Value:
    """The vector of each token, and those of the n-grams that end at it, summed."""
    width = config.size("embedding_size")
    shape = (config.size("vocab_size"), width)
    x = graph.node("Gather", graph.weight(f"{prefix}embeddings.tokens.weight", shape=shape), ids)
    order = config.size("ngram_order", most=16)
    if not config.values.get("num_buckets") or order < 2:
        return x
    buckets = config.size("num_buckets")
    table = graph.weight(f"{prefix}embeddings.ngrams.weight", shape=(buckets, width))
    ngrams = _looked_up(graph, table, ids, order, buckets, shortest=2)
    return graph.node("Add", x, ngrams)


def _looked_up(
    graph: Graph, table: Value, ids: Value, order: int, num_buckets: int, shortest: int = 1
) -> Value:
    """The rows of a table for the n-grams that end at each token, summed."""
    factor, modulus = graph.constant(_HASH_FACTOR), graph.constant(_HASH_MODULUS)
    size = graph.constant(num_buckets)
    ids = graph.node("Add", ids, graph.constant(1))
    num_tokens = graph.node("Shape", ids, start=1, end=2)
    value, found = ids, [graph.node("Mod", ids, size)]
    for n in range(1, order):
        moved = graph.node("Pad", ids, graph.constant([0, n, 0, 0]))
        before = graph.node("Slice", moved, graph.constant([0]), num_tokens, graph.constant([1]))
        value = graph.node("Add", graph.node("Mul", value, factor), before)
        value = graph.node("Mod", value, modulus)
        found.append(graph.node("Mod", value, size))
    rows = [graph.node("Gather", table, places) for places in found[shortest - 1 :]]
    return rows[0] if len(rows) == 1 else graph.node("Sum", *rows)


def _convolutions(
    graph: Graph, config: Config, name: str, x: Value, mask: Value
) -> tuple[Value, int]:
    inner, size = config.size("embedding_size"), config.size("hidden_size")
    widths = _filter_sizes(config)
    x = graph.node("Transpose", x, perm=[0, 2, 1])
    found: list[Value] = []
    for i, width in enumerate(widths):
        weight = graph.weight(f"{name}.filters.{i}.weight", shape=(size, inner, width))
        bias = graph.bias(f"{name}.filters.{i}", size=size)
        pads = [(width - 1) // 2, width // 2]
        found.append(graph.node("Conv", x, weight, bias, pads=pads))
    together = graph.node("Relu", graph.node("Concat", *found, axis=1))
    return graph.node("Transpose", together, perm=[0, 2, 1]), size * len(found)


def _filter_sizes(config: Config) -> list[int]:
    given: Any = config.values.get("filter_sizes")
    sizes = cast("list[Any]", given if isinstance(given, list) else [])
    if not sizes or not all(type(size) is int and 1 <= size <= 1024 for size in sizes):
        raise InvalidModelError(
            f"config.json of `{config.name}` has filter_sizes = {given!r}; "
            "it must be a list of whole numbers from 1 to 1,024"
        )
    return sizes


def _recurrence(
    graph: Graph, config: Config, name: str, x: Value, mask: Value
) -> tuple[Value, int]:
    operator, gates, attributes = _RECURRENT[config.values["kind"]]
    inner, size = config.size("embedding_size"), config.size("hidden_size")
    lengths = graph.node("ReduceSum", mask, graph.constant([1]), keepdims=0)
    lengths = graph.node("Cast", lengths, to=_INT32)
    x = graph.node("Transpose", x, perm=[1, 0, 2])
    for i in range(config.size("num_layers", most=1024)):

        def stacked(what: str, *shape: int, layer: int = i) -> Value:
            """Both directions of a tensor, its gates in the order of ONNX."""
            names = [f"{name}.layers.{what}_l{layer}{end}" for end in ("", "_reverse")]
            return _gates(graph, names, gates, shape)

        matrices = [stacked("weight_ih", size, inner), stacked("weight_hh", size, size)]
        biases = graph.node("Concat", stacked("bias_ih", size), stacked("bias_hh", size), axis=1)
        found = graph.nodes(
            operator,
            *(x, *matrices, biases, lengths),
            outputs=1,
            direction="bidirectional",
            hidden_size=size,
            **attributes,
        )[0]
        # (tokens, directions, rows, size) -> (tokens, rows, directions * size)
        moved = graph.node("Transpose", found, perm=[0, 2, 1, 3])
        x = graph.node("Reshape", moved, graph.constant([0, 0, 2 * size]))
        inner = 2 * size
    return graph.node("Transpose", x, perm=[1, 0, 2]), 2 * size


def _gates(graph: Graph, names: list[str], order: list[int], shape: tuple[int, ...]) -> Value:
    """Tensors of (gates * size, ...), one a direction -> (directions, gates * size, ...)."""
    size, *others = shape
    joined = graph.weight(*names, shape=(2 * len(order) * size, *others), axis=0)
    if len(order) > 1:
        apart = graph.node("Reshape", joined, graph.constant([2, len(order), size, *others]))
        joined = graph.node("Gather", apart, graph.constant(order), axis=1)
    return graph.node("Reshape", joined, graph.constant([2, len(order) * size, *others]))


def _encoder(graph: Graph, config: Config, name: str, x: Value, mask: Value) -> tuple[Value, int]:
    width, size = config.size("embedding_size"), config.size("hidden_size")
    inner, heads = config.size("intermediate_size"), config.heads(size, "num_attention_heads")
    norm: dict[str, Any] = {"size": size, "epsilon": 1e-5}
    keys = graph.node("Cast", mask, to=_INT32)
    x = graph.dense(x, f"{name}.project", inner=width, outer=size)
    x = graph.node("Mul", x, _number(graph, math.sqrt(size)))
    x = graph.node("Add", x, _places(graph, mask, size))
    for i in range(config.size("num_layers", most=1024)):
        layer = f"{name}.layers.{i}"
        normed = graph.norm(x, f"{layer}.attention_norm", **norm)
        parts = graph.dense(normed, f"{layer}.query_key_value", inner=size, outer=3 * size)
        mixed = graph.node(
            "MultiHeadAttention",
            *(*graph.split(parts, 3), "", keys),
            domain=MICROSOFT,
            num_heads=heads,
        )
        mixed = graph.dense(mixed, f"{layer}.attention_output", inner=size, outer=size)
        x = graph.node("Add", x, mixed)
        normed = graph.norm(x, f"{layer}.output_norm", **norm)
        wide = graph.linear(normed, f"{layer}.inner", inner=size, outer=inner)
        wide = graph.activate("gelu", wide, graph.bias(f"{layer}.inner", size=inner))
        x = graph.node("Add", x, graph.dense(wide, f"{layer}.output", inner=inner, outer=size))
    return graph.norm(x, f"{name}.norm", **norm), size


def _places(graph: Graph, mask: Value, size: int) -> Value:
    """(tokens, size): a half of sines and a half of cosines, of waves from short to long."""
    num_tokens = graph.node("Squeeze", graph.node("Shape", mask, start=1, end=2))
    numbers = graph.node("Range", graph.constant(0), num_tokens, graph.constant(1))
    column = graph.node("Unsqueeze", graph.node("Cast", numbers, to=_FLOAT), graph.constant([1]))
    exponents = np.arange(size // 2, dtype=np.float32) * np.float32(-math.log(10_000) * 2 / size)
    angles = graph.node("Mul", column, graph.constant(np.exp(exponents), "float32"))
    return graph.node("Concat", graph.node("Sin", angles), graph.node("Cos", angles), axis=-1)


_BODIES: dict[str, Callable[[Graph, Config, str, Value, Value], tuple[Value, int]]] = {
    "cnn": _convolutions,
    "rnn": _recurrence,
    "lstm": _recurrence,
    "gru": _recurrence,
    "transformer": _encoder,
}
