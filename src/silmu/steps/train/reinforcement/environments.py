"""Many copies of an environment at once, stepped through one after another in this process.

Episode k of copy i begins from reset(seed), whose seed follows from the training's seed, i and k.
So a checkpoint needs no simulator's state: it holds k and the actions since, and whoever goes on
resets and acts them again.
"""

# What an environment gives has no types.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import InputError, TrainingError
from silmu.runtime.lens import PLAIN, Lens
from silmu.steps.collect.environments import contract, trial
from silmu.steps.collect.environments.contract import Breach
from silmu.steps.train.batches import derive
from silmu.steps.train.reinforcement.history import History

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from silmu.steps.collect.environments import Environment

LONGEST = 100_000
"""Steps after which an episode is cut that nothing else ends."""

_TIDY = 1024
"""Steps between two looks at what need not be remembered any more."""


@final
@dataclass(frozen=True, slots=True)
class Stepped:
    """What one step of all copies gave.

    Attributes:
        observation: what is seen now: where an episode is over, the first of the next one.
        rewards: float64 (count,).
        ended: bool (count,): episodes that came to their end, after which nothing can be earned.
        cut: bool (count,): episodes that a time limit cut, which would have gone on.
        final: the last observation of each copy whose episode is over.
        returns: copy, return and length of each episode that is over.
    """

    observation: NDArray[Any]
    rewards: NDArray[np.float64]
    ended: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    final: dict[int, NDArray[Any]]
    returns: list[tuple[int, float, int]]


@final
class Environments:
    """Copies of an environment.

    >>> environments = Environments(environment, 8, seed=0)               # doctest: +SKIP
    >>> environments.step(np.zeros(8, np.int64)).observation.shape        # doctest: +SKIP
    (8, 4)

    Args:
        environment: as it was collected.
        count: how many copies.
        seed: what the seeds of all episodes follow from.
        frames: how many of the last observations are seen at once, the oldest first; an episode
            begins with its first one repeated.
        lens: how pictures are read.
        training: False for episodes that training never has, to judge a policy by.
        max_episode_steps: after which an episode is cut; the environment's own unless given.

    Raises:
        TrainingError: the environment misbehaves.
    """

    observation: NDArray[Any]
    """What is seen now: float32 (count, size x frames), or uint8 (count, channels x frames, height,
    width). Every step leaves a new array."""

    def __init__(
        self,
        environment: Environment,
        count: int,
        seed: int,
        *,
        frames: int = 1,
        lens: Lens = PLAIN,
        training: bool = True,
        max_episode_steps: int | None = None,
    ) -> None:
        self.environment, self.count, self.seed, self.frames = environment, count, seed, frames
        self.lens = lens
        self.space, self.action = environment.observation, environment.action
        self.max_episode_steps = max_episode_steps or environment.max_episode_steps or LONGEST
        self._word = "episode" if training else "judgement"
        self._made = [environment.make() for _ in range(count)]
        self._steps = [one.step for one in self._made]
        self._used = [False] * count
        self._raw = np.empty((count, *self.space.shape), self.space.dtype)
        self._episodes = [0] * count
        self._clock = 0
        self._started = [0] * count
        """When each episode began, by a clock that counts steps."""
        self._returns = np.zeros(count)
        self._history = History(count)
        for index in range(count):
            self._reset(index)
        self._due = self.max_episode_steps
        self.observation = self._repeated(self._seen(slice(None), []))

    def step(self, actions: NDArray[Any]) -> Stepped:
        """One step of each copy.

        Args:
            actions: what each copy is told, as `Space.actions` takes it: indices (count,); indices
                or numbers (count, ...).

        Raises:
            TrainingError: a copy raised an exception or gave what none may give; copy, episode,
                step and action are named. Or an action is no number.
        """
        told = self._told(actions)
        self._clock += 1
        raw, shape, dtype, late = self._raw, self.space.shape, self._raw.dtype, self._is_due()
        over: dict[int, bool] = {}
        rewards: list[float] = []
        for index, (step, action) in enumerate(zip(self._steps, told, strict=True)):
            try:
                result = step(action)
            except (Exception, SystemExit) as error:
                raise self._failed(contract.failed(error, "step"), index, action) from error
            if type(result) is tuple and len(result) == 5:
                seen, reward, ended, cut, info = result
                if (
                    type(seen) is np.ndarray
                    and seen.shape == shape
                    and seen.dtype == dtype
                    and (type(reward) is float or type(reward) is np.float64)
                    and type(info) is dict
                ):
                    raw[index] = seen
                    rewards.append(reward)
                    if ended is False and cut is False and not late:
                        continue
            # What is odd, and may be wrong.
            try:
                seen, reward, ended, cut = contract.of_step(result, self.space)
            except Breach as breach:
                raise self._failed(breach, index, action) from breach.__cause__
            raw[index] = seen
            rewards[index:] = [reward]
            if ended or cut or self.length(index) >= self.max_episode_steps:
                over[index] = ended
        earned = np.array(rewards, np.float64)
        if 0 in np.isfinite(earned).tobytes():
            self._name_reward(earned, told)
        # An environment may change the array of an action that it is told.
        kept = told if self.action.kind == "discrete" else list(self._copied)
        self._history.add(kept, earned)
        self._returns += earned
        return self._stepped(earned, over, told)

    def length(self, index: int) -> int:
        """Steps of a copy's episode so far."""
        return self._clock - self._started[index]

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Which episode each copy is in, what it has done in it, and what came of it."""
        plain = {
            "episodes": list(self._episodes),
            "lengths": [self.length(index) for index in range(self.count)],
            "seen": [_hash(self._raw[index]) for index in range(self.count)],
        }
        return plain, {
            "actions": self._history.actions(self._started, self.action),
            "rewards": self._history.rewards(self._started),
        }

    def restore(self, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Acts again what `state` remembered.

        Where the environment was collected as one that gives different things twice, each copy
        begins its next episode instead.

        Raises:
            TrainingError: the environment does not give again what it gave; the step is named.
        """
        self._episodes = [int(one) for one in plain["episodes"]]
        lengths = [int(one) for one in plain["lengths"]]
        if not self.environment.deterministic:
            self._episodes, lengths = [one + 1 for one in self._episodes], [0] * self.count
        clock = max(lengths)
        self._clock, self._history = clock, History(self.count, clock)
        self._returns[:] = 0.0
        self._started = [clock - one for one in lengths]
        rows = [self._again(index, clock, lengths, plain, arrays) for index in range(self.count)]
        self._due = min(self._started) + self.max_episode_steps
        self.observation = np.stack(rows)

    def close(self) -> None:
        """Lets all copies go."""
        for one in self._made:
            trial.close(one)

    def _again(
        self,
        index: int,
        clock: int,
        lengths: list[int],
        plain: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
    ) -> NDArray[Any]:
        """Acts again what one copy did; what it sees then."""
        first, length = sum(lengths[:index]), lengths[index]
        actions = list(arrays["actions"][first : first + length])
        rewards = arrays["rewards"][first : first + length].tolist()
        self._clock = clock - length
        self._reset(index)
        frames = [self._raw[index].copy()] * self.frames
        for action, reward in zip(actions, rewards, strict=True):
            self._clock += 1
            told = int(action) if self.action.kind == "discrete" else action.copy()
            try:
                seen, earned, _, _ = contract.of_step(self._steps[index](told), self.space)
            except Breach as breach:
                raise self._failed(breach, index, action) from breach.__cause__
            except (Exception, SystemExit) as error:
                raise self._failed(contract.failed(error, "step"), index, action) from error
            if earned != reward:
                raise self._differs(index, f"the reward was {reward:g}, and is now {earned:g}")
            self._raw[index] = seen
            frames = [*frames[1:], self._raw[index].copy()]
            done = told if self.action.kind == "discrete" else action
            self._history.put(self._clock - 1, index, done, earned)
            self._returns[index] += earned
        if self.environment.deterministic and _hash(self._raw[index]) != plain["seen"][index]:
            raise self._differs(index, "the observation is not what it was")
        return np.concatenate(list(self.lens.array(self.space.array(np.stack(frames)))))

    def _told(self, actions: NDArray[Any]) -> list[Any]:
        """Actions as the environment takes them."""
        if self.action.kind == "discrete":
            return self.action.actions(actions)
        flat = np.asarray(actions).reshape(-1)
        if not np.isfinite(flat).all():
            raise TrainingError(
                f"the policy gave an action that is no number in step {self._clock + 1:,}",
                hint="start a run with a lower learning rate; the last checkpoint stands",
            )
        told = self.action.actions(actions)
        self._copied = np.array(told)
        return told

    def _is_due(self) -> bool:
        """Whether an episode may be as long as one may be."""
        return self._clock >= self._due

    def _stepped(
        self, earned: NDArray[np.float64], over: dict[int, bool], told: list[Any]
    ) -> Stepped:
        seen = self._seen(slice(None), told)
        if self.frames > 1:
            seen = np.concatenate((self.observation[:, seen.shape[1] :], seen), axis=1)
        ended, cut = np.zeros(self.count, np.bool_), np.zeros(self.count, np.bool_)
        final: dict[int, NDArray[Any]] = {}
        returns: list[tuple[int, float, int]] = []
        if over:
            for index, is_end in over.items():
                ended[index], cut[index] = is_end, not is_end
                final[index] = seen[index].copy()
                returns.append((index, float(self._returns[index]), self.length(index)))
                self._episodes[index] += 1
                self._reset(index)
            rows = list(over)
            seen[rows] = self._repeated(self._seen(rows, told))
            self._due = min(self._started) + self.max_episode_steps
        if self._clock % _TIDY == 0:
            self._history.forget(min(self._started))
        self.observation = seen
        return Stepped(seen, earned, ended, cut, final, returns)

    def _reset(self, index: int) -> None:
        """Begins the episode that a copy is to be in."""
        self._started[index], self._returns[index] = self._clock, 0.0
        episode = self._episodes[index]
        if self.environment.fresh and self._used[index]:
            trial.close(self._made[index])
            self._made[index] = self.environment.make()
            self._steps[index] = self._made[index].step
        self._used[index] = True
        seed = derive(self.seed, self._word, index, episode) & 0x7FFFFFFF
        try:
            result = self._made[index].reset(seed=seed)
        except (Exception, SystemExit) as error:
            raise self._failed(contract.failed(error, "reset"), index) from error
        if type(result) is tuple and len(result) == 2:
            first, info = result
            if (
                type(first) is np.ndarray
                and first.shape == self.space.shape
                and first.dtype == self._raw.dtype
                and type(info) is dict
            ):
                self._raw[index] = first
                return
        try:
            self._raw[index] = contract.of_reset(result, self.space)
        except Breach as breach:
            raise self._failed(breach, index) from breach.__cause__

    def _seen(self, rows: slice | list[int], told: list[Any]) -> NDArray[Any]:
        """What copies show, as a network reads it, in an array of its own."""
        try:
            seen = self.space.array(self._raw[rows])
        except InputError:
            self._name_observation(told)
            raise
        if not self.space.is_image:
            return seen
        return seen.copy() if self.lens == PLAIN else self.lens.array(seen)

    def _repeated(self, seen: NDArray[Any]) -> NDArray[Any]:
        """First observations, as often as observations are seen at once."""
        return seen if self.frames == 1 else np.concatenate([seen] * self.frames, axis=1)

    def _name_observation(self, told: list[Any]) -> None:
        """Says which copy showed what cannot be."""
        for index in range(self.count):
            try:
                contract.observation(self._raw[index], self.space)
            except Breach as breach:
                action = told[index] if self.length(index) else None
                raise self._failed(breach, index, action) from None

    def _name_reward(self, earned: NDArray[np.float64], told: list[Any]) -> None:
        """Says which reward is no number."""
        for index, action in enumerate(told):
            try:
                contract.reward(float(earned[index]))
            except Breach as breach:
                raise self._failed(breach, index, action) from None

    def _failed(self, breach: Breach, index: int, action: Any = None) -> TrainingError:
        breach.at(self.length(index), self._episodes[index] + 1, action)
        return TrainingError(
            f"`{self.environment.name}`, copy {index + 1}, {breach.message}",
            hint=f"{breach.cure}; the last checkpoint stands",
        )

    def _differs(self, index: int, what: str) -> TrainingError:
        """An environment that does not give again what it gave."""
        name, source = self.environment.name, self.environment.source
        step, episode = self.length(index), self._episodes[index] + 1
        return TrainingError(
            f"`{name}` is not deterministic: copy {index + 1}, step {step} of episode {episode}: "
            f"{what}, after the same seed and the same actions",
            hint=f"`silmu check reinforcement-learning --data {source}` tells more; a new run with "
            "--set deterministic=false goes on with new episodes after a stop",
        )


def _hash(array: NDArray[Any]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()
