"""Linear layers that use oneDNN for products in fp32 on CPUs, as torch itself does only in bf16.

Torch gives products in fp32 to MKL, which leaves half of the vector units of AMD's processors idle:
with AVX-512, oneDNN is twice as fast there, forward and backward, and about as fast elsewhere.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from silmu.networks.dropout import QuickDropout

LEAST = 1 << 14
"""Smaller matrices are not worth the way to another library."""


def hasten(network: nn.Module) -> None:
    """Lets a network's linear layers compute with oneDNN, where torch has it, and drop quickly.

    Weights, their names and what is computed stay the same, but for rounding and chance.

    >>> network = nn.Sequential(nn.Linear(128, 128))
    >>> hasten(network)
    >>> sorted(network.state_dict())
    ['0.bias', '0.weight']
    """
    for module in network.modules():
        if type(module) is nn.Dropout and not module.inplace:
            module.__class__ = QuickDropout
        if type(module) is nn.Linear and module.weight.numel() >= LEAST and _is_there():
            module.__class__ = _Linear


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b, with oneDNN where that is quicker; x is (..., inner), W (outer, inner)."""
    quick = (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() > 0
        and weight.numel() >= LEAST
        and not torch.is_autocast_enabled("cpu")
        and _is_there()
    )
    if not quick:
        return functional.linear(x, weight, bias)
    found: Any = _Product.apply(x, weight, bias)
    return found


class _Linear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class _Product(torch.autograd.Function):
    """x W^T + b; the matrices of its gradients are read where they lie, transposed or not."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x = x.contiguous()  # rows with gaps between them cost a hundred times as much
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        rows = gradient.reshape(-1, gradient.shape[-1])
        return (
            _product(gradient.contiguous(), weight.t()) if wants_x else None,
            _product(rows.t(), x.reshape(-1, x.shape[-1]).t()) if wants_weight else None,
            rows.sum(0) if wants_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


@cache
def _is_there() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
