"""Activation functions that few models have, of the engine's plain operators."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    from silmu.graphs._onnx import OnnxGraph, Value

RARE = (
    "gelu_10",
    "hardswish",
    "laplace",
    "leaky_relu",
    "linear",
    "mish",
    "relu2",
    "sigmoid",
)
_LAPLACE_MEAN, _LAPLACE_DEVIATION = 0.707107, 0.282095


def activate(graph: OnnxGraph, kind: str, x: Value) -> Value:
    """One of RARE, of x."""
    g = graph
    if kind == "linear":
        return x
    if kind == "gelu_10":
        edges = (g.constant(edge, "float32") for edge in (-10, 10))
        return g.node("Clip", g.node("Gelu", x, domain=MICROSOFT), *edges)
    if kind == "laplace":
        # Ma et al. 2022, https://arxiv.org/abs/2209.10655: half of 1 + erf.
        apart = g.node("Sub", x, g.constant(_LAPLACE_MEAN, "float32"))
        wide = g.constant(_LAPLACE_DEVIATION * math.sqrt(2), "float32")
        risen = g.node("Add", g.node("Erf", g.node("Div", apart, wide)), g.constant(1, "float32"))
        return g.node("Mul", risen, g.constant(0.5, "float32"))
    if kind == "mish":
        return g.node("Mul", x, g.node("Tanh", g.node("Softplus", x)))
    if kind == "relu2":
        half = g.node("Relu", x)
        return g.node("Mul", half, half)
    if kind == "leaky_relu":
        return g.node("LeakyRelu", x, alpha=0.01)
    return g.node({"hardswish": "HardSwish", "sigmoid": "Sigmoid"}[kind], x)
