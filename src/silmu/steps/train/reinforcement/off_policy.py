"""What algorithms that learn from a replay keep in order; how they learn is their own story."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from silmu.steps.train.reinforcement import parts
from silmu.steps.train.reinforcement.settings import Setting, checked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.networks.policies import Policy
    from silmu.steps.train.reinforcement.environments import Environments
    from silmu.steps.train.reinforcement.flat import FlatAdam
    from silmu.steps.train.reinforcement.replay import Replay
    from silmu.steps.train.reinforcement.scales import Moments


class OffPolicy:
    """An algorithm that acts in environments, and learns from what it remembers of them.

    Attributes:
        steps: how many steps of an environment are done.
        total_steps: how many there will be.
        episodes: those that ended since the list was last emptied: after which step, return,
            length.
    """

    SETTINGS: ClassVar[Mapping[str, Setting]]
    settings: dict[str, Any]
    environments: Environments
    total_steps: int
    starts: int
    network: Policy
    networks: dict[str, nn.Module]
    optimizers: dict[str, FlatAdam]
    replay: Replay
    moments: Moments | None

    def __init__(self) -> None:
        self.steps = self.updates = self.iterations = 0
        self.episodes: list[tuple[int, float, int]] = []

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """All settings, those that are not given by their defaults.

        Raises:
            UsageError: one is unknown, of another type, or out of its range.
        """
        return checked(given, cls.SETTINGS)

    def policy(self) -> Policy:
        """What acts; its weights are those of now."""
        return self.network

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that it remembers; the tensors change when it goes on."""
        tensors, plain = parts.taken(self.networks, self.optimizers), self._own()
        replay, plain["replay"] = self.replay.state()
        plain["environments"], world = self.environments.state()
        tensors |= parts.named("replay", replay)
        tensors |= parts.named("environments", {k: torch.from_numpy(v) for k, v in world.items()})
        if self.moments is not None:
            tensors |= parts.named("moments", self.moments.state())
        plain |= {"steps": self.steps, "updates": self.updates, "iterations": self.iterations}
        return tensors, {**plain, "episodes": [list(one) for one in self.episodes]}

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
        """Remembers what `state` gave.

        Raises:
            TrainingError: the environments do not do again what they did.
        """
        parts.put(self.networks, self.optimizers, tensors)
        self.replay.restore(parts.of("replay", tensors), plain["replay"])
        world = {k: one.numpy() for k, one in parts.of("environments", tensors).items()}
        self.environments.restore(plain["environments"], world)
        if self.moments is not None:
            self.moments.restore(parts.of("moments", tensors))
        self.steps, self.updates = plain["steps"], plain["updates"]
        self.iterations = plain["iterations"]
        self.episodes = [(step, earned, long) for step, earned, long in plain["episodes"]]
        self._own_again(plain)

    def _own(self) -> dict[str, Any]:
        """What an algorithm remembers besides, as plain values."""
        return {}

    def _own_again(self, plain: Mapping[str, Any]) -> None:
        """Remembers what `_own` gave."""

    def _due(self, steps: int) -> int:
        """How many updates there shall have been after so many steps."""
        return math.floor(max(steps - self.starts, 0) * self.settings["updates_per_step"])

    @torch.no_grad()
    def _normalise(self, *networks: Policy) -> None:
        """Lets networks read observations on the scale of those that were seen."""
        if self.moments is None:
            return
        for network in networks:
            network.mean.copy_(torch.from_numpy(self.moments.mean))
            network.deviation.copy_(torch.from_numpy(self.moments.deviation))
