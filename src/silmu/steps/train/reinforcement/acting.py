"""A policy that answers one step of all environments at a time, as quickly as it can."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np
import torch
from torch import Tensor, nn

from silmu.networks.policies import LARGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.networks.policies import Policy


class Actor(Protocol):
    """Answers step by step.

    Attributes:
        state: (rows, hidden), what is remembered; None without a memory.
    """

    state: Tensor | None

    def told(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        """What the policy's head tells of each row."""
        ...

    def forget(self, row: int) -> None:
        """Begin an episode in a row."""
        ...


def actor(policy: Policy, rows: int) -> Actor:
    """The quickest actor for a policy: numpy for a few small layers, else torch."""
    return _Perceptron(policy) if policy.config.kind == "mlp" else _Network(policy, rows)


@final
class _Perceptron:
    """A perceptron in numpy, on the very memory that holds the weights.

    For eight rows a layer takes a few microseconds, most of them torch's way to it.
    """

    state: Tensor | None = None

    def __init__(self, policy: Policy) -> None:
        self.scale = _views(policy.mean, policy.deviation) if policy.config.normalise else None
        self.bend = np.tanh if policy.config.activation == "tanh" else _relu
        body = [one for one in policy.body.children() if isinstance(one, nn.Linear)]
        self.inner = [_layer(one) for one in body]
        self.head = _layer(policy.head)

    def told(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        """One layer after another."""
        x = observation
        if self.scale is not None:
            x = (x - self.scale[0]) / self.scale[1]
            np.minimum(x, LARGEST, out=x)
            np.maximum(x, -LARGEST, out=x)
        for weight, bias in self.inner:
            x = x @ weight
            x += bias
            self.bend(x, x)
        weight, bias = self.head
        return x @ weight + bias

    def forget(self, row: int) -> None:
        """Nothing is remembered."""


@final
class _Network:
    def __init__(self, policy: Policy, rows: int) -> None:
        self.policy = policy
        size = policy.config.hidden_size
        self.state = torch.zeros(rows, size) if policy.memory is not None else None

    @torch.no_grad()
    def told(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        found, _, after = self.policy.told(torch.from_numpy(observation), self.state)
        if after is not None:
            self.state = after
        return found.numpy()

    def forget(self, row: int) -> None:
        if self.state is not None:
            self.state[row] = 0


def _views(*tensors: Tensor) -> list[NDArray[np.float32]]:
    return [one.detach().numpy() for one in tensors]


def _layer(layer: nn.Linear) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    weight, bias = _views(layer.weight, layer.bias)
    return weight.T, bias


def _relu(x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    np.maximum(x, 0, out=out)
