"""Scales of observations and rewards, which are not known before there are some."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from silmu.steps.train.reinforcement import parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from silmu.networks.policies import Policy
    from silmu.steps.train.reinforcement.rollouts import Rollout

EPSILON = 1e-12
FAINTEST = 0.1
"""The deviation of a channel is taken to be at least this, of numbers from 0 to 1."""
PICTURES_EVERY = 32
"""Every so many steps pictures are counted into their scale."""


@final
class Moments:
    """Mean and deviation of all rows seen so far (Chan et al. 1983).

    >>> moments = Moments((1,))
    >>> for rows in ([[1.0], [2.0]], [[6.0]]):
    ...     moments.take(np.array(rows))
    >>> moments.mean, moments.deviation
    (array([3.]), array([2.1602469]))
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(shape)
        self.squares: NDArray[np.float64] = np.zeros(shape)

    def take(self, rows: NDArray[Any]) -> None:
        """Counts more rows, the first axis."""
        values = rows.astype(np.float64)
        count, mean = len(values), values.mean(0)
        squares = ((values - mean) ** 2).sum(0)
        total, apart = self.count + count, mean - self.mean
        self.squares = self.squares + squares + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    @property
    def deviation(self) -> NDArray[np.float64]:
        """The standard deviation; 1 of what never changed."""
        variance = self.squares / max(self.count, 1)
        return np.where(variance > EPSILON, np.sqrt(variance + EPSILON), 1.0)

    def state(self) -> dict[str, Tensor]:
        """All of it."""
        return {
            "count": torch.tensor(self.count),
            "mean": torch.from_numpy(np.array(self.mean)),
            "squares": torch.from_numpy(np.array(self.squares)),
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """What `state` gave."""
        self.count = int(tensors["count"])
        self.mean, self.squares = (tensors[name].numpy().copy() for name in ("mean", "squares"))


@final
class Scales:
    """The units in which a policy reads observations and learns values, from rollouts.

    Args:
        network: whose units they are.
        count: of environments.
        gamma: by which later rewards count less; None leaves rewards in their own unit.
    """

    def __init__(self, network: Policy, count: int, gamma: float | None) -> None:
        self.network, self.gamma = network, gamma
        config = network.config
        self.observed = Moments((config.image[0] if config.image else config.observation_size,))
        self.rewarded = Moments(())
        self.coming = np.zeros(count)
        """What each environment earned of late, earlier rewards counting less."""

    @torch.no_grad()
    def learn(self, rollout: Rollout) -> None:
        """Counts a rollout."""
        seen, config = rollout.observations, self.network.config
        if config.normalise and config.image is None:
            self.observed.take(seen.reshape(-1, config.observation_size))
            self._read_by(self.observed.deviation)
        elif config.normalise and config.image is not None:
            channels = np.moveaxis(seen[::PICTURES_EVERY], 2, -1)
            self.observed.take(channels.reshape(-1, config.image[0]) / 255)
            # Most pixels may be dark, and a bright one must not be as bright as that makes it.
            self._read_by(np.maximum(self.observed.deviation, FAINTEST))
        if self.gamma is not None:
            self._learn_rewards(rollout, self.gamma)

    def forget(self, row: int) -> None:
        """An episode begins."""
        self.coming[row] = 0.0

    def state(self) -> dict[str, Tensor]:
        """All of it."""
        return {
            **parts.named("observed", self.observed.state()),
            **parts.named("rewarded", self.rewarded.state()),
            "coming": torch.from_numpy(self.coming),
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """What `state` gave."""
        self.observed.restore(parts.of("observed", tensors))
        self.rewarded.restore(parts.of("rewarded", tensors))
        self.coming = tensors["coming"].numpy().copy()

    def _read_by(self, deviation: NDArray[np.float64]) -> None:
        network = self.network
        for own, given in ((network.mean, self.observed.mean), (network.deviation, deviation)):
            own.copy_(torch.from_numpy(given).reshape(own.shape))

    def _learn_rewards(self, rollout: Rollout, gamma: float) -> None:
        # Not rewards make the scale of a value, but what they add up to.
        sums = np.empty_like(rollout.rewards)
        for step, (rewards, over) in enumerate(zip(rollout.rewards, rollout.over, strict=True)):
            self.coming = sums[step] = self.coming * gamma + rewards
            self.coming = np.where(over, 0.0, self.coming)
        network, is_first = self.network, not self.rewarded.count
        self.rewarded.take(sums.reshape(-1))
        scale = float(self.rewarded.deviation)
        if not is_first and network.value_head is not None:
            # What was told before is told still, in the new unit.
            change = float(network.value_scale) / scale
            network.value_head.weight.mul_(change)
            network.value_head.bias.mul_(change)
        network.value_scale.fill_(scale)
