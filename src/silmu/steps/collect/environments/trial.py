"""A first look at an environment: episodes of random actions, every step of which is watched."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.steps.collect.environments import contract
from silmu.steps.collect.environments.contract import Breach

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.spaces import Space

LONGEST = 10_000
"""Steps after which an episode without a time limit is one that never ends."""

EPISODES, STEPS, SECONDS = 20, 20_000, 5.0
"""How much a first look takes at most; one episode it has whatever its length."""

SEED = 20_260_101
"""Of a first look: no training begins an episode from it."""

MOST_BREACHES = 50
"""That a look forgives before it ends."""


@final
class Watched:
    """One environment, whose every step keeps to the contract or is a `Breach` that names it.

    Args:
        environment: that is watched.
        observation, action: its spaces.
        forgive: is told each breach, and the episode goes on as far as it can, or ends; a breach
            is raised unless this is given.
    """

    def __init__(
        self,
        environment: Any,
        observation: Space,
        action: Space,
        forgive: Callable[[Breach], None] | None = None,
    ) -> None:
        self.environment = environment
        self.observation, self.action = observation, action
        self.episode, self.length = 0, 0
        self.remarks: dict[str, str] = {}
        self._forgive = forgive
        self._last = np.zeros(observation.shape, observation.dtype)

    def reset(self, seed: int) -> NDArray[Any]:
        """The first observation of the next episode."""
        self.episode, self.length = self.episode + 1, 0
        try:
            result = _reset(self.environment, seed)
        except Breach as breach:
            raise breach.at(0, self.episode) from breach.__cause__
        except (Exception, SystemExit) as error:
            raise contract.failed(error, "reset").at(0, self.episode) from error
        try:
            return contract.of_reset(result, self.observation)
        except Breach as breach:
            self._broken(breach.at(0, self.episode))
            with suppress(Breach):
                return contract.observation(_first(result), self.observation)
            return self._last

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool]:
        """Observation, reward, whether the episode ended and whether it was cut."""
        self.length += 1
        try:
            result = self.environment.step(action)
        except (Exception, SystemExit) as error:
            broken = contract.failed(error, "step").at(self.length, self.episode, action)
            self._broken(broken, error)
            return self._last, 0.0, True, False
        try:
            found = contract.of_step(result, self.observation)
            if self._forgive is not None:
                self.remarks |= dict(contract.remarks(result, self.observation))
        except Breach as breach:
            if self._forgive is None:
                raise breach.at(self.length, self.episode, action) from None
            found = self._as_far(result, action)
        self._last = found[0]
        return found

    def _as_far(self, result: Any, action: Any) -> tuple[NDArray[Any], float, bool, bool]:
        """What can be taken of a step that is broken, each thing that is not told."""

        def taken(check: Callable[..., Any], *given: Any, otherwise: Any) -> Any:
            try:
                return check(*given)
            except Breach as breach:
                self._broken(breach.at(self.length, self.episode, action))
                return otherwise

        values = taken(contract.parts, result, otherwise=None)
        if values is None:
            if not isinstance(result, tuple) or len(contract.values(result)) != 4:
                return self._last, 0.0, True, False
            value, earned, ended, told = contract.values(result)
            values = value, earned, ended, False, told
        value, earned, ended, cut, told = values
        taken(contract.info, told, "step", otherwise=None)
        return (
            taken(contract.observation, value, self.observation, otherwise=self._last),
            taken(contract.reward, earned, otherwise=0.0),
            taken(contract.truth, ended, "terminated", otherwise=False),
            taken(contract.truth, cut, "truncated", otherwise=False),
        )

    def _broken(self, breach: Breach, cause: BaseException | None = None) -> None:
        if self._forgive is None:
            raise breach from cause
        self._forgive(breach)


@final
@dataclass
class Seen:
    """What a first look saw.

    Attributes:
        returns, lengths: of each episode that was over.
        limited: how many of them a time limit cut.
        low, high: the smallest and largest reward.
        begins, ends: the first and the last observation of each episode, as bytes.
        still: whether no observation was other than the first of its episode.
        outside: the largest distance of an observation from its bounds.
        largest: the largest number of an observation.
        reused: whether the array of an observation was changed by the next step.
        steps, seconds: all that were made, and how long it took.
    """

    returns: list[float] = field(default_factory=list[float])
    lengths: list[int] = field(default_factory=list[int])
    limited: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    begins: list[bytes] = field(default_factory=list[bytes])
    ends: list[bytes] = field(default_factory=list[bytes])
    still: bool = True
    outside: float = 0.0
    largest: float = 0.0
    reused: bool = False
    steps: int = 0
    seconds: float = 0.0

    def facts(self) -> dict[str, Any]:
        """For `environment.json`."""
        return {
            "policy": "random",
            "episodes": len(self.returns),
            "steps": self.steps,
            "mean_return": float(np.mean(self.returns)),
            "min_return": min(self.returns),
            "max_return": max(self.returns),
            "mean_length": float(np.mean(self.lengths)),
            "reward_range": [self.low, self.high],
        }


def look(watched: Watched, limit: int | None) -> Seen:
    """Episodes of random actions; a last one that would take too long is left out.

    Args:
        watched: the environment.
        limit: steps after which an episode is cut; None where nothing cuts it.

    Raises:
        Breach: it did what none may do, or did not end.
    """
    seen, start = Seen(), time.monotonic()

    def late() -> bool:
        return seen.steps >= STEPS or time.monotonic() - start > SECONDS

    while len(seen.returns) < EPISODES and not (seen.returns and late()):
        if not _episode(watched, seen, limit, late):
            break
    seen.seconds = time.monotonic() - start
    return seen


def _episode(watched: Watched, seen: Seen, limit: int | None, late: Callable[[], bool]) -> bool:
    """One episode; False where there is no time for it."""
    index = len(seen.returns)
    random = np.random.Generator(np.random.Philox(key=SEED + index))
    observation = watched.reset(SEED + index)
    begin, total = observation.tobytes(), 0.0
    while True:
        before, bytes_before = observation, observation.tobytes()
        observation, reward, ended, cut = watched.step(watched.action.sample(random))
        total += reward
        seen.steps += 1
        seen.low, seen.high = min(seen.low, reward), max(seen.high, reward)
        seen.reused = seen.reused or before.tobytes() != bytes_before
        seen.still = seen.still and observation.tobytes() == begin
        _measure(seen, observation, watched.observation)
        if ended or cut or (limit is not None and watched.length >= limit):
            break
        if limit is None and watched.length >= LONGEST:
            raise Breach(
                "never ends",
                f"the episode has not ended after {LONGEST:,} steps of random actions, and nothing "
                "limits its time",
                "give a limit, `--set max_episode_steps=1000`, or let step give terminated=True",
            ).at(watched.length, watched.episode)
        if index and late():
            return False
    seen.limited += not ended
    seen.begins.append(begin)
    seen.ends.append(observation.tobytes())
    seen.returns.append(total)
    seen.lengths.append(watched.length)
    return True


def _measure(seen: Seen, observation: NDArray[Any], space: Space) -> None:
    # Of pictures every number lies within, and there are many.
    if space.low is not None and space.high is not None and not space.is_image:
        flat = observation.reshape(-1)
        away = np.maximum(space.low - flat, flat - space.high).max()
        seen.outside = max(seen.outside, float(away))
        seen.largest = max(seen.largest, float(np.abs(flat.astype(np.float64)).max()))


def _first(result: Any) -> Any:
    """What may be the observation of a reset."""
    return next(iter(contract.values(result)), None) if isinstance(result, tuple) else result


def _reset(environment: Any, seed: int) -> Any:
    try:
        return environment.reset(seed=seed)
    except TypeError as error:
        if "seed" not in str(error):
            raise
        raise Breach(
            "reset",
            f"reset takes no seed: {error}",
            "write `def reset(self, *, seed=None, options=None)` and begin it with "
            "`super().reset(seed=seed)`, which makes self.np_random",
        ) from error


def close(environment: Any) -> None:
    """Lets an environment go; one that cannot be closed is let be."""
    with suppress(Exception):
        environment.close()
