"""Adam over all weights of a network as one tensor.

A policy has a dozen small tensors, and what a step costs is not the arithmetic but the way through
each. So they are made views of one, and their gradients of another.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

EPSILON = 1e-5
"""Larger than usual: gradients of a policy are small where nothing is to be learnt."""
DECAYS = (0.9, 0.999)


@final
class FlatAdam:
    """Adam (Kingma & Ba 2014, https://arxiv.org/abs/1412.6980), with a bound on the gradient.

    >>> layer = nn.Linear(2, 1)
    >>> optimizer = FlatAdam(layer)
    >>> for _ in range(200):
    ...     optimizer.step(layer(torch.ones(1, 2)).square().sum(), 0.1, most=1.0)
    >>> abs(layer(torch.ones(1, 2)).item()) < 0.01
    True

    Args:
        network: whose parameters become views of one tensor.
    """

    def __init__(self, network: nn.Module) -> None:
        parameters = list(network.parameters())
        self.weights = torch.cat([one.detach().reshape(-1) for one in parameters])
        self.gradient, self.mean, self.square = (torch.zeros_like(self.weights) for _ in range(3))
        self.count = 0
        start = 0
        for one in parameters:
            end = start + one.numel()
            one.data = self.weights[start:end].view(one.shape)
            one.grad = self.gradient[start:end].view(one.shape)
            start = end

    def step(self, loss: Tensor, rate: float, most: float) -> None:
        """Changes the weights by the gradient of a loss, shortened to `most` where it is longer."""
        gradient, (slow, slower) = self.gradient.zero_(), DECAYS
        loss.backward()
        length = float(torch.linalg.vector_norm(gradient))
        if length > most:
            gradient.mul_(most / length)
        self.count += 1
        self.mean.lerp_(gradient, 1 - slow)
        self.square.mul_(slower).addcmul_(gradient, gradient, value=1 - slower)
        # Both begin at zero; what they lack of it is made up for.
        spread = self.square.sqrt().div_(math.sqrt(1 - slower**self.count)).add_(EPSILON)
        self.weights.addcdiv_(self.mean, spread, value=-rate / (1 - slow**self.count))

    def state(self) -> dict[str, Tensor]:
        """What it remembers of earlier gradients."""
        return {"mean": self.mean, "square": self.square, "count": torch.tensor(self.count)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Remembers what `state` gave."""
        self.mean.copy_(tensors["mean"])
        self.square.copy_(tensors["square"])
        self.count = int(tensors["count"])
