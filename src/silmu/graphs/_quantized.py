"""The products of a graph with weights in 8 or 4 bits; `_precision` says what the forms are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from silmu.graphs import _precision
from silmu.graphs._onnx import MICROSOFT
from silmu.graphs._precision import BLOCK

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._onnx import Value

_ZERO = 128
_FLOAT = 1


def product(
    graph: Graph,
    x: Value,
    names: tuple[str, ...],
    *,
    inner: int,
    outer: int,
    transposed: bool,
    flat: bool,
    lowest: float | None = None,
) -> Value:
    """x W, of tensors of the checkpoint that are joined along the outer axis.

    Args:
        graph: what the nodes are added to.
        x: (..., inner).
        names: whole names of tensors.
        inner: the size of the axis that is summed over.
        outer: the size of what comes out.
        transposed: whether they are stored as (outer, inner).
        flat: whether x is (n, inner).
        lowest: what x never falls below, if that is near zero.
    """
    if graph.precision.form == "blocks":
        return _by_blocks(graph, x, names, inner, outer, transposed)
    if graph.precision.form == "layers":
        return _by_layers(graph, x, names, inner, outer, transposed)
    rows = x if flat else graph.node("Reshape", x, graph.constant([-1, inner]))
    groups = [(names, outer)]
    if len(names) > 1:
        # What is lost of queries and keys by rounding should not be lost of the values likewise:
        # rounded apart, the vectors of a real model are off by half as much.
        last = graph.weights[names[-1]].shape[0 if transposed else -1]
        groups = [(names[:-1], outer - last), (names[-1:], last)]
    parts = [
        _by_columns(graph, rows, group, inner, size, transposed, lowest) for group, size in groups
    ]
    found = parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=1)
    if flat:
        return found
    others = graph.node("Shape", x, start=0, end=-1)
    return graph.node(
        "Reshape", found, graph.node("Concat", others, graph.constant([outer]), axis=0)
    )


def embed(graph: Graph, ids: Value, table: str, *, rows: int, size: int) -> Value:
    """The row of each id in a table."""
    if graph.precision.shared and size % BLOCK == 0:
        packed, scales = _blocks(graph, (table,), size, rows, transposed=True)
        scales = graph.node("Unsqueeze", scales, graph.constant([2]))
        found = graph.node(
            "GatherBlockQuantized",
            *(packed, ids, scales),
            domain=MICROSOFT,
            bits=graph.precision.bits,
            block_size=BLOCK,
            quantize_axis=2,
        )
        shape = graph.node("Concat", graph.node("Shape", ids), graph.constant([size]), axis=0)
        return graph.node("Reshape", found, shape)
    numbers, scales = f"{table}:rows", f"{table}:rows.scale"
    if numbers not in graph:
        found, scale = _precision.by_columns(graph.matrix((table,), (size, rows), True), 8)
        graph.table(numbers, found.T)
        graph.table(scales, scale[:, None])
    picked = graph.node("Cast", graph.node("Gather", numbers, ids), to=_FLOAT)
    return graph.node("Mul", picked, graph.node("Gather", scales, ids))


def scores(
    graph: Graph,
    x: Value,
    table: str,
    *,
    inner: int,
    outer: int,
    bias: Value | None,
    output: str | None,
) -> Value:
    """x T^T + b, the product with each row of a table: (n, inner) -> (n, outer)."""
    if bias is None and graph.precision.form == "blocks":
        return _by_blocks(graph, x, (table,), inner, outer, True, output)
    found = product(graph, x, (table,), inner=inner, outer=outer, transposed=True, flat=True)
    if bias is not None:
        found = graph.node("Add", found, bias)
    return graph.nodes("Identity", found, outputs=[output])[0] if output else found


def _by_columns(
    graph: Graph,
    x: Value,
    names: tuple[str, ...],
    inner: int,
    outer: int,
    transposed: bool,
    lowest: float | None,
) -> Value:
    name = "+".join(names)
    weights, scales, factors = f"{name}:columns", f"{name}:columns.scale", f"{name}:balance"
    shift = f"{name}:shift"
    if weights not in graph:
        matrix = graph.matrix(names, (inner, outer), transposed)
        if lowest is None:
            balance = _precision.balance(matrix)
            matrix = matrix / balance[:, None]
            graph.table(factors, balance)
        numbers, scale = _precision.by_columns(matrix, graph.precision.bits)
        graph.table(weights, numbers)
        graph.table(scales, scale)
        if lowest:
            sums = numbers.sum(axis=0, dtype=np.int64) * scale
            graph.table(shift, (lowest * sums).astype(np.float32))
    if lowest is None:
        x = graph.node("Mul", x, factors)
    numbers, scale = _rows(graph, x, lowest)
    zero = [graph.constant(_ZERO, "uint8")] if lowest is None else []
    one = graph.constant(1, "float32")
    # With a scale of the rows here, engines before 1.32 would refuse, and some would take the first
    # for all.
    found = graph.node(
        "MatMulIntegerToFloat", *(numbers, weights, one, scales, *zero), domain=MICROSOFT
    )
    found = graph.node("Mul", found, scale)
    return graph.node("Add", found, shift) if lowest else found


def _by_layers(
    graph: Graph, x: Value, names: tuple[str, ...], inner: int, outer: int, transposed: bool
) -> Value:
    name = "+".join(names)
    weights, scales, factors = f"{name}:layer", f"{name}:layer.scale", f"{name}:balance"
    if weights not in graph:
        matrix = graph.matrix(names, (inner, outer), transposed)
        balance = _precision.balance(matrix)
        numbers, scale = _precision.by_columns(matrix / balance[:, None], graph.precision.bits)
        graph.table(weights, numbers.T)
        graph.table(scales, scale)
        graph.table(factors, balance)
    # Kept as they are: the engine knows this for weights to be widened while they are multiplied.
    widened = graph.node("DequantizeLinear", weights, scales, axis=0)
    widened = graph.node("Transpose", widened, perm=[1, 0])
    return graph.node("MatMul", graph.node("Mul", x, factors), widened)


def _rows(graph: Graph, x: Value, lowest: float | None) -> tuple[Value, Value]:
    """(n, inner) -> unsigned 8-bit numbers, and the scale of each row, (n, 1)."""
    if lowest:
        x = graph.node("Sub", x, graph.constant(lowest, "float32"))
    sizes = x if lowest is not None else graph.node("Abs", x)
    largest = graph.node("ReduceMax", sizes, graph.constant([1]), keepdims=0)
    steps = 255 if lowest is not None else 127
    scale = graph.node("Mul", largest, graph.constant(1 / steps, "float32"))
    scale = graph.node("Max", scale, graph.constant(1e-30, "float32"))
    zeros: list[Value] = []
    if lowest is None:
        zero = graph.constant(_ZERO, "uint8")
        zeros = [graph.node("Expand", zero, graph.node("Shape", scale))]
    numbers = graph.node("QuantizeLinear", x, scale, *zeros, axis=0)
    return numbers, graph.node("Unsqueeze", scale, graph.constant([1]))


def _by_blocks(
    graph: Graph,
    x: Value,
    names: tuple[str, ...],
    inner: int,
    outer: int,
    transposed: bool,
    output: str | None = None,
) -> Value:
    packed, scales = _blocks(graph, names, inner, outer, transposed=transposed)
    return graph.nodes(
        "MatMulNBits",
        *(x, packed, scales),
        outputs=[output] if output else 1,
        domain=MICROSOFT,
        K=inner,
        N=outer,
        bits=graph.precision.bits,
        block_size=BLOCK,
        accuracy_level=4,
    )[0]


def _blocks(
    graph: Graph, names: tuple[str, ...], inner: int, outer: int, *, transposed: bool
) -> tuple[Value, Value]:
    name = "+".join(names)
    packed, scales = f"{name}:blocks", f"{name}:blocks.scale"
    if packed not in graph:
        matrix = graph.matrix(names, (inner, outer), transposed)
        numbers, found = _precision.by_blocks(matrix.T, graph.precision.bits)
        graph.table(packed, numbers)
        graph.table(scales, found)
    return packed, scales


def probe() -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    """A graph of one product, what to feed to it, and what it gives where sums do not overflow."""
    rows, weights = np.full((3, 64), 255, np.uint8), np.full((64, 32), 127, np.int8)
    node = helper.make_node("MatMulInteger", ["rows", "weights"], ["product"])
    graph = helper.make_graph(
        [node],
        "probe",
        [helper.make_tensor_value_info("rows", TensorProto.UINT8, rows.shape)],
        [helper.make_tensor_value_info("product", TensorProto.INT32, [3, 32])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    expected = rows.astype(np.int32) @ weights.astype(np.int32)
    return model.SerializeToString(), {"rows": rows}, {"product": expected}
