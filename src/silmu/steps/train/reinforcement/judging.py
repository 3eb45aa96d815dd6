"""How good a policy is while it learns: episodes that training never has, the same each time."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from silmu.steps.train.batches import derive
from silmu.steps.train.reinforcement.environments import Environments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.networks.policies import PolicyConfig
    from silmu.steps.prepare.environments import PreparedEnvironment


@final
class Judge:
    """What a policy earns in episodes that training never has, always doing what it thinks best.

    Args:
        prepared: what it acts in.
        episodes: in how many.
        seed: what their seeds follow from.

    Attributes:
        spent: steps that all judgements took.
        expected: steps that the next one takes, about: as many as the last.
    """

    def __init__(self, prepared: PreparedEnvironment, episodes: int, seed: int) -> None:
        self.prepared, self.episodes, self.seed = prepared, episodes, seed
        self.spent = self.expected = 0

    def __call__(self, policy: Any) -> NDArray[np.float64]:
        """The return of each episode, (episodes,)."""
        prepared = self.prepared
        copies = Environments(
            prepared.environment,
            self.episodes,
            derive(self.seed, "judgement"),
            frames=prepared.frames,
            lens=prepared.lens,
            training=False,
            max_episode_steps=prepared.max_episode_steps,
        )
        returns: dict[int, float] = {}
        state: Any = None
        steps = 0
        with torch.inference_mode():
            while len(returns) < self.episodes:
                found = policy(torch.from_numpy(copies.observation), state)
                state = found[-1].clone() if policy.config.kind == "gru" else None
                stepped = copies.step(chosen(policy.config, found[0].numpy()))
                steps += self.episodes
                for copy, earned, _ in stepped.returns:
                    returns.setdefault(copy, earned)
                    if state is not None:
                        state[copy] = 0
        copies.close()
        self.spent, self.expected = self.spent + steps, steps
        return np.array([returns[copy] for copy in range(self.episodes)])


def chosen(config: PolicyConfig, told: NDArray[np.float32]) -> NDArray[Any]:
    """The likeliest actions, as `Environments.step` takes them.

    Args:
        config: of the policy.
        told: what it tells, (rows, outputs).
    """
    if config.actions == "box":
        return told
    if config.actions == "multi_binary":
        return told > 0
    ends = np.cumsum(config.action_sizes)[:-1]
    best = [one.argmax(axis=1) for one in np.split(told, ends, axis=1)]
    return best[0] if config.actions == "discrete" else np.stack(best, axis=1)


def does_as_well(returns: NDArray[np.float64] | Sequence[float], highest: Sequence[float]) -> bool:
    """Whether later weights are kept: they have learnt more, so they win unless clearly worse.

    The highest of many judgements is a lucky one; who keeps its weights keeps its luck, which the
    next episodes do not have.

    >>> does_as_well([9.0, 11.0, 13.0], [10.0, 12.0, 12.0])
    True
    >>> does_as_well([1.0, 2.0, 1.0], [10.0, 12.0, 12.0])
    False

    Args:
        returns: of the later weights, in the same episodes as `highest`.
        highest: of the weights with the highest mean so far; empty where there are none.
    """
    if not highest:
        return True
    gained = np.asarray(returns, np.float64) - np.asarray(highest, np.float64)
    error = float(gained.std(ddof=1)) / math.sqrt(len(gained)) if len(gained) > 1 else 0.0
    return float(gained.mean()) >= -error
