"""Networks for tables that silmu trained from nothing: see `silmu.networks.tables`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import InvalidModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("silmu-table",)
HEADS = {"tabular-classification": "scale", "tabular-regression": "scale"}
PREFIX = ""
DTYPES = ("fp32",)

_MEANS = ("softmax", "sigmoid", "number")
_KINDS = ("perceptron", "tabm")
_EDGE = np.float32(3e38)


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network: `numbers` (rows, N) and `categories` (rows, C) to `logits`."""
    del head, prefix
    g = graph
    outputs = config.size("num_outputs")
    x, inner = _read(g, config)
    kind = config.choice("kind", "", _KINDS)
    members = _ensemble if kind == "tabm" else _perceptron
    found = members(g, config, x, inner, outputs)
    told = _mean(g, config.choice("mean", "", _MEANS), found)
    told = g.node("Mul", told, g.weight("scale", shape=(outputs,)))
    told = g.node("Add", told, g.weight("shift", shape=(outputs,)))
    g.output("logits", told, ["rows", outputs])


def _read(g: Graph, config: Config) -> tuple[Value, int]:
    """What goes into the first layer, side by side, and how many numbers it is."""
    count = config.values.get("num_numbers")
    sizes: Any = config.values.get("category_sizes")
    listed = cast("list[int]", sizes) if isinstance(sizes, list) else [0]
    if not all(type(size) is int and 2 <= size < 1 << 24 for size in listed):
        raise InvalidModelError(
            f"config.json of `{config.name}` has category_sizes = {sizes!r}; "
            "it must be a list of whole numbers from 2 on"
        )
    parts: list[Value] = []
    inner = 0
    if count:
        many = config.size("num_numbers")
        x = g.input("numbers", "float32", ["rows", many])
        size = 1
        if config.values.get("number_bins") and config.values.get("kind") == "tabm":
            x, size = _embedded(g, config, x, many)
        parts.append(x)
        inner += many * size
    if listed:
        ids = g.input("categories", "int64", ["rows", len(listed)])
        for i, levels in enumerate(listed):
            size = min(levels, config.size("category_size"))
            table = g.weight(f"categories.{i}.weight", shape=(levels, size))
            parts.append(g.node("Gather", table, g.node("Gather", ids, g.constant(i), axis=1)))
            inner += size
    if not parts:
        raise InvalidModelError(
            f"config.json of `{config.name}` has neither numbers nor categories"
        )
    return (parts[0] if len(parts) == 1 else g.node("Concat", *parts, axis=1)), inner


def _embedded(g: Graph, config: Config, x: Value, many: int) -> tuple[Value, int]:
    """Each number as a piecewise linear function of it: (rows, N) -> (rows, N * size)."""
    size = config.size("number_size")
    bins = config.size("number_bins")
    column = g.node("Unsqueeze", x, g.constant([2]))
    slope = g.weight("numbers.impl.weight", shape=(many, bins))
    places = g.node("Mul", column, slope)
    places = g.node("Add", places, g.weight("numbers.impl.bias", shape=(many, bins)))
    if bins > 1:
        # The first piece is open below, the last one above.
        own = g.array("numbers.impl.weight", shape=(many, bins))
        low = g.table("silmu.low", _ends(own, low=True))
        high = g.table("silmu.high", _ends(own, low=False))
        places = g.node("Min", g.node("Max", places, low), high)
    weight = g.weight("numbers.linear.weight", shape=(many, bins, size))
    # (N, rows, bins) by (N, bins, size)
    turned = g.node("Transpose", places, perm=[1, 0, 2])
    bent = g.node("Transpose", g.node("MatMul", turned, weight), perm=[1, 0, 2])
    line = g.node("Mul", column, g.weight("numbers.linear0.weight", shape=(many, size)))
    line = g.node("Add", line, g.weight("numbers.linear0.bias", shape=(many, size)))
    return g.node("Reshape", g.node("Add", line, bent), g.constant([0, many * size])), size


def _ends(slope: NDArray[np.float32], *, low: bool) -> NDArray[np.float32]:
    """Between what a piece lies: from 0 to 1, but the first is open below and the last above."""
    many, bins = slope.shape
    found = np.full((many, bins), 0.0 if low else 1.0, np.float32)
    if low:
        found[:, 0] = -_EDGE
        # A number of one piece has it in the last place, and is open on both sides.
        found[(slope[:, :-1] == 0).all(axis=1), -1] = -_EDGE
    else:
        found[:, -1] = _EDGE
    return found


def _ensemble(g: Graph, config: Config, x: Value, inner: int, outputs: int) -> Value:
    """(rows, inner) -> (rows, members, outputs)"""
    members, size = config.size("members", most=4096), config.size("hidden_size")
    x = g.node("Unsqueeze", x, g.constant([1]))
    for i in range(config.size("num_layers", most=64)):
        name = f"body.blocks.{i}.0"
        x = g.node("Mul", x, g.weight(f"{name}.r", shape=(members, inner)))
        x = g.node("MatMul", x, g.weight(f"{name}.weight", shape=(inner, size), transposed=True))
        x = g.node("Mul", x, g.weight(f"{name}.s", shape=(members, size)))
        x = g.node("Relu", g.node("Add", x, g.weight(f"{name}.bias", shape=(members, size))))
        inner = size
    turned = g.node("Transpose", x, perm=[1, 0, 2])
    found = g.node("MatMul", turned, g.weight("output.weight", shape=(members, size, outputs)))
    found = g.node("Transpose", found, perm=[1, 0, 2])
    return g.node("Add", found, g.weight("output.bias", shape=(members, outputs)))


def _perceptron(g: Graph, config: Config, x: Value, inner: int, outputs: int) -> Value:
    """(rows, inner) -> (rows, 1, outputs)"""
    size = config.size("hidden_size")
    for i in range(config.size("num_layers", most=64)):
        x = g.node("Relu", g.dense(x, f"body.{3 * i}", inner=inner, outer=size))
        inner = size
    return g.node("Unsqueeze", g.dense(x, "output", inner=size, outer=outputs), g.constant([1]))


def _mean(g: Graph, kind: str, members: Value) -> Value:
    """(rows, members, outputs) -> (rows, outputs), the logits of the mean."""
    axis = g.constant([1])
    if kind == "number":
        return g.node("ReduceMean", members, axis, keepdims=0)
    if kind == "softmax":
        chances = g.node("LogSoftmax", members, axis=-1)
        total = g.node("ReduceLogSumExp", chances, axis, keepdims=0)
        number = g.node("Cast", g.node("Shape", members, start=1, end=2), to=1)
        return g.node("Sub", total, g.node("Log", number))
    # log of p and of 1 - p, each the mean of its members' chances
    absent = g.node("Neg", g.node("Softplus", members))
    there = g.node("Neg", g.node("Softplus", g.node("Neg", members)))
    total = [g.node("ReduceLogSumExp", one, axis, keepdims=0) for one in (there, absent)]
    return g.node("Sub", *total)
