"""What an algorithm remembers, part by part under the part's name, and back."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from silmu.steps.train.reinforcement.flat import FlatAdam


def named(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the name of their part."""
    return {f"{part}/{name}": one for name, one in tensors.items()}


def of(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a part, under the names that they have there."""
    return {
        name.removeprefix(f"{part}/"): one
        for name, one in tensors.items()
        if name.startswith(f"{part}/")
    }


def taken(
    networks: Mapping[str, nn.Module], optimizers: Mapping[str, FlatAdam]
) -> dict[str, Tensor]:
    """All of networks and optimizers, without a copy: it changes when they learn."""
    tensors: dict[str, Tensor] = {}
    for part, network in networks.items():
        tensors |= named(part, network.state_dict())
    for part, optimizer in optimizers.items():
        tensors |= named(part, optimizer.state())
    return tensors


@torch.no_grad()
def put(
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, FlatAdam],
    tensors: Mapping[str, Tensor],
) -> None:
    """Networks and optimizers as they were; their weights stay where they are in memory."""
    for part, network in networks.items():
        network.load_state_dict(of(part, tensors))
    for part, optimizer in optimizers.items():
        optimizer.restore(of(part, tensors))
