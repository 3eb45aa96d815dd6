"""Small perceptrons that cost torch as little as they can, forward and backward.

Of a layer of 64 numbers and a batch of a few hundred rows little is arithmetic. Torch keeps a
record of each operation and goes from one to the next; here a whole perceptron is one operation.
Its tanh is numpy's, which takes a tenth of the time of torch's.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from silmu.networks.products import LEAST

if TYPE_CHECKING:
    from collections.abc import Sequence

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


def stacked(x: Tensor, layers: Sequence[nn.Module], activation: str) -> Tensor:
    """(rows, inner) through linear layers, an activation after each but the last.

    >>> layers = [nn.Linear(3, 8), nn.Linear(8, 2)]
    >>> x = torch.randn(5, 3)
    >>> usual = nn.Sequential(layers[0], nn.Tanh(), layers[1])(x)
    >>> torch.allclose(stacked(x, layers, "tanh"), usual, atol=1e-6)
    True

    Args:
        x: float32.
        layers: of `nn.Linear` with biases.
        activation: "tanh" or "relu".
    """
    tensors = [getattr(layer, name) for layer in layers for name in ("weight", "bias")]
    found: Any = _Stack.apply(activation == "tanh", x, *tensors)
    return found


def is_small(layers: Sequence[nn.Module], x: Tensor) -> bool:
    """Whether `stacked` is quicker than the layers themselves."""
    return x.device.type == "cpu" and all(
        type(layer) is nn.Linear and layer.weight.numel() < LEAST for layer in layers
    )


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, is_tanh: bool, x: Tensor, *tensors: Tensor) -> Tensor:
        layers = list(zip(tensors[::2], tensors[1::2], strict=True))
        inputs = [x]
        for i, (weight, bias) in enumerate(layers):
            x = torch.addmm(bias, x, weight.t())
            if i < len(layers) - 1:
                _bend(x, is_tanh)
                inputs.append(x)
        ctx.is_tanh = is_tanh
        ctx.save_for_backward(*inputs, *(weight for weight, _ in layers))
        return x

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        count = len(ctx.saved_tensors) // 2
        inputs, weights = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        found: list[Tensor | None] = []
        for i in reversed(range(count)):
            found = [gradient.t() @ inputs[i], gradient.sum(0), *found]
            if i:
                gradient = _unbend(gradient @ weights[i], inputs[i], ctx.is_tanh)
            elif ctx.needs_input_grad[1]:
                gradient = gradient @ weights[0]
        return None, gradient if ctx.needs_input_grad[1] else None, *found


def _bend(x: Tensor, is_tanh: bool) -> None:
    """The activation, in place."""
    if is_tanh:
        values = x.numpy()
        np.tanh(values, out=values)
    else:
        x.relu_()


def _unbend(gradient: Tensor, bent: Tensor, is_tanh: bool) -> Tensor:
    """The gradient before an activation, from the one after it."""
    if is_tanh:
        return torch.ops.aten.tanh_backward(gradient, bent)
    return torch.ops.aten.threshold_backward(gradient, bent, 0)
