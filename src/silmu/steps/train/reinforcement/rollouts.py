"""What came of acting for a while, and what a policy makes of it, whole or in parts."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.networks.policies import Policy

AT_ONCE = 512
"""Pictures that are looked at together."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What was seen, done and got: (steps, environments, ...).

    Attributes:
        observations: before each action.
        actions: as `Choices` draws them.
        rewards: in the environment's unit.
        over: where an episode was over after the action.
        ended: where it was because it had come to its end.
        cut: step, environment and last observation of each whose time was up before.
        last: (environments, ...), what was seen after the last actions.
        state: (environments, hidden), what was remembered before the first; None without a memory.
    """

    observations: NDArray[Any]
    actions: NDArray[Any]
    rewards: NDArray[np.float64]
    over: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    cut: list[tuple[int, int, NDArray[Any]]]
    last: NDArray[Any]
    state: Tensor | None


@final
class Reading:
    """A rollout as a policy reads it.

    Its units, from which batches are made, are steps; for a policy with a memory, whole lines of
    steps, one an environment.

    Args:
        network: the policy, with scales that stay as they are.
        rollout: what is read.
    """

    def __init__(self, network: Policy, rollout: Rollout) -> None:
        self.network, self.rollout = network, rollout
        steps, count = rollout.rewards.shape
        self.shape = (steps, count) if network.memory is not None else (1, steps * count)
        self.num_units = self.shape[1]
        self.per_unit = self.shape[0]
        seen = torch.from_numpy(rollout.observations)
        self.is_picture = network.config.image is not None
        # Pictures are made numbers when they are needed, for those take four times the memory.
        seen = seen if self.is_picture else network.normalised(seen)
        self.seen = self.units(seen)
        begins = np.zeros_like(rollout.over)
        begins[1:] = rollout.over[:-1]
        self.begins = torch.from_numpy(begins)

    def units(self, values: Tensor) -> Tensor:
        """(steps, environments, ...) -> (steps of a unit, units, ...)"""
        return values.reshape(*self.shape, *values.shape[2:])

    def read(self, which: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the heads tell of some units, or of all: (rows, outputs) and values (rows,)."""
        seen = self.seen if which is None else self.seen.index_select(1, which)
        x = seen.flatten(0, 1)
        x = self.network.normalised(x) if self.is_picture else x
        if self.network.memory is None:
            told, value, _ = self.network.read(x)
        else:
            told, value = self.network.heads(self._remembered(x, which).flatten(0, 1))
        assert value is not None
        return told, value

    @torch.no_grad()
    def read_all(self) -> tuple[Tensor, Tensor]:
        """What `read` gives of all, without gradients."""
        if not self.is_picture or self.network.memory is not None:
            return self.read()
        parts = [self.read(which) for which in torch.arange(self.num_units).split(AT_ONCE)]
        told, values = zip(*parts, strict=True)
        return torch.cat(told), torch.cat(values)

    @torch.no_grad()
    def values_after(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(steps, environments): the value of what was seen after each action.

        It is 0 where an episode had come to its end; where its time was up, it is that of its last
        observation, for it could have gone on (Pardo et al. 2017, https://arxiv.org/abs/1712.00378).

        Args:
            values: of what was seen before each.
        """
        network, rollout = self.network, self.rollout
        steps, count = values.shape
        places = [(steps - 1, i) for i in range(count)] + [(step, i) for step, i, _ in rollout.cut]
        seen = np.stack([*rollout.last, *(last for _, _, last in rollout.cut)])
        state = None
        if network.memory is not None:
            x = self.seen.flatten(0, 1)
            x = network.normalised(x) if self.is_picture else x
            remembered = self._remembered(x, None)
            state = torch.stack([remembered[place] for place in places])
        found: Any = network.told(torch.from_numpy(seen), state)[1]
        after = np.empty_like(values)
        after[:-1] = values[1:]
        for (step, i), value in zip(places, found.tolist(), strict=True):
            after[step, i] = value
        after[rollout.ended] = 0
        return after

    def _remembered(self, x: Tensor, which: Tensor | None) -> Tensor:
        """(steps * lines, ...) -> (steps, lines, hidden), each episode from an empty memory."""
        begins = self.begins if which is None else self.begins.index_select(1, which)
        state = self.rollout.state
        assert state is not None
        state = state if which is None else state.index_select(0, which)
        found = self.network.body(x).unflatten(0, begins.shape)
        # Cut where any episode begins; between, the memory goes through many steps at once.
        starts = [0, *(begins[1:].any(1).nonzero().flatten() + 1).tolist(), len(begins)]
        parts: list[Tensor] = []
        for start, end in pairwise(starts):
            state = state * (~begins[start]).unsqueeze(1)
            parts.append(self.network.remember(found[start:end], state))
            state = parts[-1][-1]
        return torch.cat(parts)


def advantages(
    rewards: NDArray[Any],
    values: NDArray[Any],
    values_after: NDArray[Any],
    over: NDArray[np.bool_],
    *,
    gamma: float,
    gae_lambda: float,
) -> NDArray[np.float64]:
    """How much better than expected it went from each step on, all (steps, environments).

    >>> one = np.ones((3, 1))
    >>> advantages(one, 0 * one, 0 * one, one < 0, gamma=0.5, gae_lambda=1.0).ravel().tolist()
    [1.75, 1.5, 1.0]
    """
    surprises = rewards + gamma * values_after - values
    kept = gamma * gae_lambda * ~over
    found = np.empty(rewards.shape)
    coming = np.zeros(rewards.shape[1])
    for step in reversed(range(len(rewards))):
        coming = found[step] = surprises[step] + kept[step] * coming
    return found
