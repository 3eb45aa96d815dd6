"""Environments that a policy learns within seconds, whose best return is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Env
from gymnasium.spaces import Box, Discrete

from silmu.networks.policies import PolicyConfig
from silmu.steps.collect import environments as collected
from silmu.steps.train.reinforcement.environments import Environments


class Corridor(Env[Any, Any]):
    """Eight places in a row; at the right end 1 is earned, each step costs 0.01."""

    observation_space = Box(0, 1, (2,), np.float32)
    action_space = Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(4))
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place = max(self.place + (1 if action else -1), 0)
        over = self.place == 7
        return self._seen(), float(over) - 0.01, over, False, {}

    def _seen(self) -> Any:
        return np.array([self.place / 7, 1 - self.place / 7], np.float32)


class Follow(Env[Any, Any]):
    """A number is seen, and the action from 0 to 4 shall be twice as large."""

    observation_space = Box(0, 2, (1,), np.float32)
    action_space = Box(0, 4, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.aim = self.np_random.random(1, np.float32) * 2
        return self.aim.copy(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        earned = -float(abs(action[0] - 2 * self.aim[0]))
        self.aim = self.np_random.random(1, np.float32) * 2
        return self.aim.copy(), earned, False, False, {}


class Steady(Env[Any, Any]):
    """Each step earns 1 and nothing changes; by `ends` it is over after one step."""

    observation_space = Box(0, 1, (1,), np.float32)
    action_space = Discrete(2)
    ends = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.ones(1, np.float32), 1.0, self.ends, False, {}


class Ended(Steady):
    """Over after one step."""

    ends = True


class SteadyPush(Steady):
    """With an action that is a number."""

    action_space = Box(-1, 1, (1,), np.float32)  # pyright: ignore


class EndedPush(SteadyPush):
    """Over after one step."""

    ends = True


def made(
    source: Any, folder: Path, count: int, *, seed: int = 0, limit: int | None = None
) -> Environments:
    """Copies of an environment, whose episodes are cut after so many steps, or after 50."""
    place, limit = folder / source.__name__, limit or 50
    if place.exists():
        environment = collected.Environment.open(place, source)
    else:
        settings = {"max_episode_steps": limit}
        environment = collected.collect(source, place, settings=settings)
    return Environments(environment, count, seed)


def config(environments: Environments, algorithm: str, **more: Any) -> PolicyConfig:
    """A small perceptron for them."""
    space = environments.action
    own: dict[str, Any] = {"actions": space.kind, "action_sizes": (space.size,)}
    if space.kind == "box":
        assert space.low is not None
        assert space.high is not None
        own |= {"low": tuple(space.low.tolist()), "high": tuple(space.high.tolist())}
    own |= {"observation_size": environments.observation.shape[1], "hidden_size": 32}
    own |= {"kind": "mlp", "algorithm": algorithm, "activation": "relu", **more}
    return PolicyConfig(**own)
