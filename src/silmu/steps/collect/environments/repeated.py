"""Whether an environment gives the same again: after the same seed, the same actions.

Training rests on it. A simulator cannot be saved, so whoever goes on after a stop begins each
episode from its seed and acts its actions again; and several copies are acted in by turns.
"""

from __future__ import annotations

import hashlib
import random as plain_random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.steps.collect.environments.contract import Breach
from silmu.steps.collect.environments.trial import SEED, Watched, close

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.spaces import Space

STEPS, SHORT = 200, 60
"""Steps that go into a fingerprint, in episodes of so many at most."""

_Step = tuple[bytes, float, Any, tuple[int, int]]


@final
@dataclass(frozen=True)
class Repeated:
    """What was found.

    Attributes:
        digest: a hash of what the first STEPS steps gave.
        breach: where it gave something else, if it did.
        fresh: whether it gives the same only where each episode has an environment newly made.
    """

    digest: str
    breach: Breach | None = None
    fresh: bool = False


def repeated(
    made: Callable[[], Any], observation: Space, action: Space, limit: int | None
) -> Repeated:
    """Acts the same several times: in one environment, in new ones, and beside another.

    Args:
        made: makes the environment.
        observation, action: its spaces.
        limit: steps after which an episode is cut.

    Raises:
        Breach: it did what none may do.
    """
    recorder = _Recorder(made, observation, action, min(SHORT, limit or SHORT))
    plain, numbers = plain_random.getstate(), np.random.get_state()
    try:
        return _repeated(recorder)
    finally:
        plain_random.setstate(plain)
        np.random.set_state(numbers)


def _repeated(recorder: _Recorder) -> Repeated:
    before = _global_state()
    one = recorder.steps()
    is_global = _global_state() != before
    new = recorder.steps(is_new=True)
    if _first_difference(one, new) is None:
        beside = _first_difference(one, recorder.steps(is_beside=True))
        if beside is None:
            return Repeated(_digest(one))
        return Repeated(_digest(one), _shared(beside))
    again = _first_difference(new, recorder.steps(is_new=True))
    if again is None and not is_global:
        return Repeated(_digest(new), fresh=True)
    differs = again or _first_difference(one, new)
    assert differs is not None
    return Repeated(_digest(one), _changing(differs, is_global))


@final
@dataclass(frozen=True)
class _Recorder:
    """STEPS steps of random actions, in short episodes."""

    made: Callable[[], Any]
    observation: Space
    action: Space
    longest: int

    def steps(self, *, is_new: bool = False, is_beside: bool = False) -> list[_Step]:
        """Observation, reward, action, and which step of which episode.

        Args:
            is_new: whether each episode has an environment newly made.
            is_beside: whether another one is acted in by turns.
        """
        random = np.random.Generator(np.random.Philox(key=SEED))
        watched = self._watched()
        other = _Other(self._watched(), self.action) if is_beside else None
        found: list[_Step] = []
        episode = 0
        while len(found) < STEPS:
            episode += 1
            if is_new and episode > 1:
                close(watched.environment)
                watched = self._watched()
                watched.episode = episode - 1
            found.append((_bytes(watched.reset(SEED + episode)), 0.0, None, (episode, 0)))
            ended = cut = False
            while not (ended or cut or watched.length >= self.longest):
                if other is not None:
                    other.act()
                action = self.action.sample(random)
                array, reward, ended, cut = watched.step(action)
                place = watched.episode, watched.length
                found.append((_bytes(array), reward, action, place))
        close(watched.environment)
        if other is not None:
            close(other.watched.environment)
        return found

    def _watched(self) -> Watched:
        return Watched(self.made(), self.observation, self.action)


@final
class _Other:
    """Another copy, acted in by turns."""

    def __init__(self, watched: Watched, action: Space) -> None:
        self.watched, self.action = watched, action
        self.random = np.random.Generator(np.random.Philox(key=SEED - 1))
        self.is_over = True

    def act(self) -> None:
        """One step, or a reset where the episode is over."""
        if self.is_over:
            self.watched.reset(SEED - 1 - self.watched.episode)
            self.is_over = False
        else:
            _, _, ended, cut = self.watched.step(self.action.sample(self.random))
            self.is_over = ended or cut


def _first_difference(first: list[_Step], second: list[_Step]) -> tuple[str, _Step] | None:
    """What differs, and the step of the second recording where it does."""
    for one, other in zip(first, second, strict=False):
        if one[3] != other[3]:
            return "the episode ends at another step", max(one, other, key=lambda step: step[3])
        if one[1] != other[1]:
            return f"the reward is {one[1]:.10g} the first time and {other[1]:.10g} later", other
        if one[0] != other[0]:
            return "the observation is another one later", other
    return None


def _changing(differs: tuple[str, _Step], is_global: bool) -> Breach:
    what, (_, _, action, (episode, step)) = differs
    drawn = (
        "it draws from the generator that a whole program shares (random.random, np.random.rand): "
        if is_global
        else ""
    )
    return Breach(
        "not deterministic",
        f"{what}, after the same seed and the same actions",
        f"{drawn}draw all that is random from self.np_random, which `super().reset(seed=seed)` "
        "makes anew; and let reset put back all that step changes",
    ).at(step, episode, action)


def _shared(differs: tuple[str, _Step]) -> Breach:
    what, (_, _, action, (episode, step)) = differs
    return Breach(
        "copies disturb each other",
        f"{what}, where another copy is acted in by turns",
        "keep what step changes in self, not in the class or the module",
    ).at(step, episode, action)


def _digest(steps: list[_Step]) -> str:
    digest = hashlib.sha256()
    for seen, reward, _, _ in steps:
        digest.update(seen)
        digest.update(np.float64(reward).tobytes())
    return digest.hexdigest()


def _global_state() -> tuple[Any, ...]:
    """The generators that a program shares."""
    name, keys, *rest = np.random.get_state()
    return plain_random.getstate(), name, np.asarray(keys).tobytes(), *rest


def _bytes(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array).tobytes()
