"""The parts of a network as a table, repeated parts in one row."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.steps.design.plan import Layer

if TYPE_CHECKING:
    from torch import nn


def layers(network: nn.Module) -> tuple[Layer, ...]:
    """Every module that has parameters of its own, in order; like ones of a stack as one row."""
    rows: dict[tuple[str, str, str], list[tuple[str, int]]] = {}
    for name, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        largest = max(own.values(), key=lambda parameter: parameter.numel())
        shape = " x ".join(f"{size}" for size in largest.shape)
        pattern = ".".join("*" if part.isdecimal() else part for part in name.split("."))
        count = sum(parameter.numel() for parameter in own.values())
        rows.setdefault((pattern, type(module).__name__, shape), []).append((name, count))
    found: list[Layer] = []
    for (pattern, kind, shape), members in rows.items():
        numbers = [part for name, _ in members for part in name.split(".") if part.isdecimal()]
        label = members[0][0]
        if len(members) > 1:
            label = pattern.replace("*", f"{numbers[0]}-{numbers[-1]}", 1)
        found.append(Layer(label or "(itself)", kind, shape, sum(n for _, n in members)))
    return tuple(found)
