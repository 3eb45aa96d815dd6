"""What networks for series of transformers share: how a window is scaled, and Student's t."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import UnsupportedModelError

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

_SMALLEST = {"std": 1e-5, "mean": 1e-10}


def refuse_others(config: Config, *, loss: str) -> None:
    """Lets through a network of one series that ends in Student's t.

    Args:
        loss: what it is where config.json does not say it.

    Raises:
        UnsupportedModelError: it ends in something else, or reads several series side by side.
    """
    config.choice("loss", loss, ("nll",))
    config.choice("distribution_output", "student_t", ("student_t",))
    for key in ("num_input_channels", "input_size"):
        if config.size(key, default=1) != 1:
            raise UnsupportedModelError(
                f"config.json of `{config.name}` has {key} = {config.values[key]}; "
                "silmu has graphs for networks that read one series at a time"
            )


def scaler(g: Graph, config: Config, values: Value, mask: Value, kind: str) -> tuple[Value, Value]:
    """What a window is shifted and divided by: (rows, steps) twice -> (rows, 1) twice.

    Args:
        mask: 1 where a value was observed, else 0.
        kind: what `scaling` is where config.json does not say it: "std", "mean" or "none".
    """
    said = config.values.get("scaling", kind)
    said = {True: "mean", False: "none", None: "none"}.get(said, said)
    if said not in ("std", "mean", "none"):
        raise UnsupportedModelError(
            f"config.json of `{config.name}` has scaling = {said!r}; silmu has graphs for std, "
            "mean and null"
        )
    axis, one = g.constant([1]), g.constant(1, "float32")
    number = g.node("ReduceSum", mask, axis)
    if said == "none":
        loc = g.node("Mul", number, g.constant(0, "float32"))
        return loc, g.node("Add", loc, one)
    if config.values.get("default_scale") is not None:
        raise UnsupportedModelError(
            f"config.json of `{config.name}` has a default_scale, for which silmu has no graph"
        )
    number = g.node("Max", number, one)
    smallest = g.constant(config.number("minimum_scale", _SMALLEST[said]), "float32")
    observed = g.node("Mul", values, mask)
    if said == "mean":
        total = g.node("ReduceL1", observed, axis)
        scale = g.node("Max", g.node("Div", total, number), smallest)
        return g.node("Sub", number, number), scale
    loc = g.node("Div", g.node("ReduceSum", observed, axis), number)
    apart = g.node("Mul", g.node("Sub", values, loc), mask)
    variance = g.node("Div", g.node("ReduceSumSquare", apart, axis), number)
    return loc, g.node("Sqrt", g.node("Add", variance, smallest))


def student_t(g: Graph, x: Value, name: str, *, inner: int, outer: int) -> list[Value]:
    """The degrees of freedom, place and width that three layers give: (..., inner) -> (..., outer).

    Args:
        name: of the list of the three layers.
    """
    df, loc, scale = (g.dense(x, f"{name}.{i}", inner=inner, outer=outer) for i in range(3))
    least = g.constant(np.finfo(np.float32).eps, "float32")
    scale = g.node("Max", _positive(g, scale), least)
    return [g.node("Add", _positive(g, df), g.constant(2, "float32")), loc, scale]


def _positive(g: Graph, x: Value) -> Value:
    """(x + sqrt(x^2 + 4)) / 2"""
    four, half = g.constant(4, "float32"), g.constant(0.5, "float32")
    root = g.node("Sqrt", g.node("Add", g.node("Mul", x, x), four))
    return g.node("Mul", g.node("Add", x, root), half)
