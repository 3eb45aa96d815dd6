"""How actions are drawn from what a policy tells, and how likely they were.

Noise is made beforehand for a whole rollout, so that to draw costs an addition and a comparison:
the largest of logits with Gumbel noise is a draw from their softmax (Maddison et al. 2014,
https://arxiv.org/abs/1411.0030), a logit with logistic noise is above zero as often as its sigmoid
says.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.networks.policies import Policy

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
TINY = np.finfo(np.float32).tiny


class Choices(Protocol):
    """Draws actions, and tells how likely they were."""

    def noise(self, random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Numbers to draw with, the last axis as wide as what a head tells."""
        ...

    def draw(self, told: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[Any]:
        """(rows, outputs) and noise -> actions, the first axis for the rows."""
        ...

    def judge(self, told: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """The logarithm of the probability of each action, (rows,), and the mean entropy."""
        ...


def choices(policy: Policy) -> Choices:
    """What draws actions of a policy's kind."""
    config = policy.config
    if config.actions == "box":
        return Numbers(policy.log_std)
    if config.actions == "multi_binary":
        return Switches()
    return One() if config.actions == "discrete" else Several(config.action_sizes)


@final
class One:
    """One of n, counted from 0: int64 (rows,)."""

    def noise(self, random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Gumbel noise."""
        return _gumbel(random, shape)

    def draw(self, told: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[Any]:
        """The largest with its noise."""
        return (told + noise).argmax(1)

    def judge(self, told: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Of a softmax."""
        logs = functional.log_softmax(told, 1)
        taken = logs.gather(1, actions.unsqueeze(1)).squeeze(1)
        return taken, -(logs.exp() * logs).sum(1).mean()


@final
class Several:
    """One each of several n: int64 (rows, places)."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = list(sizes)
        self.ends = np.cumsum(sizes)[:-1].tolist()
        self.one = One()

    def noise(self, random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Gumbel noise."""
        return _gumbel(random, shape)

    def draw(self, told: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[Any]:
        """The largest of each with its noise."""
        parts = np.split(told + noise, self.ends, axis=1)
        return np.stack([part.argmax(1) for part in parts], axis=1)

    def judge(self, told: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Of several softmaxes that know nothing of each other."""
        parts = zip(told.split(self.sizes, 1), actions.unbind(1), strict=True)
        each = [self.one.judge(*part) for part in parts]
        logs, entropies = zip(*each, strict=True)
        return torch.stack(logs).sum(0), torch.stack(entropies).sum()


@final
class Switches:
    """Yes or no of each: int64 (rows, places)."""

    def noise(self, random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Logistic noise."""
        return _gumbel(random, shape) - _gumbel(random, shape)

    def draw(self, told: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[Any]:
        """Whether each is above zero with its noise."""
        return (told + noise > 0).astype(np.int64)

    def judge(self, told: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Of sigmoids that know nothing of each other."""
        logs = functional.logsigmoid(torch.where(actions > 0, told, -told)).sum(1)
        entropy = functional.softplus(told) - told * torch.sigmoid(told)
        return logs, entropy.sum(1).mean()


@final
class Numbers:
    """Numbers around what is told, spread as far wherever it is: float32 (rows, places)."""

    def __init__(self, log_std: Tensor) -> None:
        self.log_std = log_std

    def noise(self, random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Normal noise that is spread."""
        spread = self.log_std.detach().exp().numpy()
        return random.standard_normal(shape, np.float32) * spread

    def draw(self, told: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[Any]:
        """What is told with its noise."""
        return told + noise

    def judge(self, told: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Of normal distributions that know nothing of each other."""
        far = (actions - told) * torch.exp(-self.log_std)
        logs = (-0.5 * far.square() - self.log_std - HALF_LOG_TAU).sum(1)
        return logs, (self.log_std + 0.5 + HALF_LOG_TAU).sum()


def _gumbel(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    drawn = random.standard_exponential(shape, np.float32)
    return -np.log(np.maximum(drawn, TINY))
