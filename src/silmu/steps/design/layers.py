"""The parts of a network as a table, repeated parts in one row."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from silmu.steps.design.plan import Layer

if TYPE_CHECKING:
    from torch import nn


def layers(network: nn.Module) -> tuple[Layer, ...]:
    """Every module that has parameters of its own, in order; like ones of a stack as one row."""
    rows: list[Layer] = []
    for name, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        largest = max(own.values(), key=lambda parameter: parameter.numel())
        count = sum(parameter.numel() for parameter in own.values())
        rows.append(Layer(name, type(module).__name__, spelled(largest.shape), count))
    return stacked(rows)


def spelled(shape: Iterable[int]) -> str:
    """A shape in words, such as `30522 x 384`."""
    return " x ".join(f"{size}" for size in shape)


def stacked(rows: Iterable[Layer]) -> tuple[Layer, ...]:
    """Layers in their order, like ones of a stack as one row.

    >>> stacked([Layer(f"h.{i}.out", "Linear", "8 x 8", 64) for i in range(3)])
    (Layer(name='h.0-2.out', kind='Linear', shape='8 x 8', parameters=192),)
    """
    groups: dict[tuple[str, str, str], list[Layer]] = {}
    for row in rows:
        pattern = ".".join("*" if part.isdecimal() else part for part in row.name.split("."))
        groups.setdefault((pattern, row.kind, row.shape), []).append(row)
    found: list[Layer] = []
    for (pattern, kind, shape), members in groups.items():
        numbers = [part for one in members for part in one.name.split(".") if part.isdecimal()]
        label = members[0].name
        if len(members) > 1:
            label = pattern.replace("*", f"{numbers[0]}-{numbers[-1]}", 1)
        count = sum(one.parameters for one in members)
        found.append(Layer(label or "(itself)", kind, shape, count))
    return tuple(found)
