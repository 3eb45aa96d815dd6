"""The tensors of a network as a checkpoint holds them: by name, each once, all numbers finite."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from silmu.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.steps.train.optimizers import Optimizer


def size(network: nn.Module, optimizer: Optimizer, *, averaged: bool) -> int:
    """How many bytes a checkpoint will take, about."""
    tensors = sum(one.numel() * one.element_size() for one in unique(network).values())
    averages = sum(one.numel() * one.element_size() for one in optimizer.parameters)
    return tensors + optimizer.num_bytes + averaged * averages + (1 << 16)


def signature(network: nn.Module) -> str:
    """What kind of weights a network has, in a few letters."""
    kinds = [(name, str(t.dtype), tuple(t.shape)) for name, t in network.state_dict().items()]
    return hashlib.sha256(repr(kinds).encode()).hexdigest()[:16]


def unique(network: nn.Module) -> dict[str, Tensor]:
    """The weights by name, those that are tied once."""
    found: dict[tuple[Any, ...], str] = {}
    tensors: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else (name,)
        if found.setdefault(place, name) == name:
            tensors[name] = tensor
    return tensors


def is_finite(tensor: Tensor) -> bool:
    """Whether no number of it is NaN or infinite."""
    # A sum tells it in one walk and without a copy, unless it overflows.
    if not tensor.is_floating_point() or bool(torch.isfinite(tensor.sum())):
        return True
    return bool(torch.isfinite(tensor).all())


def portable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As a file takes them: on the CPU, their numbers one after another."""
    return {name: one.detach().cpu().contiguous() for name, one in tensors.items()}


@torch.no_grad()
def fill(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy values into tensors of the same names, which stay where they are in memory.

    Raises:
        StoreError: the names differ.
    """
    if missing := {*tensors} ^ {*values}:
        raise StoreError(f"the checkpoint and the network differ in {', '.join(sorted(missing))}")
    for name, tensor in tensors.items():
        tensor.copy_(values[name])
