"""Whole episodes of an environment, several of them side by side, and what came of each.

Their seeds are from 2^31 on, and those of training, of its judgements and of a first look lie below
it: no episode that was learnt from, or chosen by, is evaluated on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from silmu.errors import InputError
from silmu.steps.collect.environments import Environment, close, contract
from silmu.steps.evaluate.environment.acting import Actor
from silmu.steps.train.progress import Work

AT_ONCE = 32
"""Episodes that go on side by side."""

FIRST_SEED = 1 << 31


@final
@dataclass(frozen=True)
class Played:
    """Episodes that are over, in the order of their seeds.

    Attributes:
        seeds: of each.
        returns: (episodes,), the sum of the rewards.
        lengths: (episodes,), in steps.
        cut: (episodes,), whether a time limit stopped it, rather than what happened.
        actions: of each, the action of every step.
        values: of each, (steps,) what the actor expected; empty where it does not tell.
    """

    seeds: tuple[int, ...]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    cut: NDArray[np.bool_]
    actions: tuple[Sequence[Any], ...]
    values: tuple[NDArray[np.float32], ...]

    def __len__(self) -> int:
        return len(self.seeds)


def seeds(environment: Environment, word: str, count: int) -> tuple[int, ...]:
    """The seeds of some episodes: the same for all policies of an environment.

    Args:
        environment: in which they are.
        word: what they are for; other words give others.
        count: how many; fewer are the first of more.
    """
    found: list[int] = []
    for number in range(count):
        name = f"{environment.fingerprint} {word} {number}".encode()
        digest = hashlib.blake2b(name, digest_size=4).digest()
        found.append(FIRST_SEED | int.from_bytes(digest, "little"))
    return tuple(found)


def play(
    environment: Environment,
    actor: Actor,
    of: Sequence[int],
    limit: int,
    work: Work | None = None,
) -> Played:
    """Plays episodes to their ends.

    Args:
        environment: in which.
        actor: who acts.
        of: their seeds.
        limit: steps after which an episode is cut.
        work: what shows how many are over.

    Raises:
        InputError: the environment misbehaves; episode and step are named.
    """
    rows = [Row(environment, limit) for _ in range(min(AT_ONCE, len(of)))]
    waiting = iter(enumerate(of))
    done: dict[int, Row.Episode] = {}
    steps, most = 0, len(of) * limit
    try:
        live = {row for row in range(len(rows)) if _begun(rows[row], row, actor, waiting)}
        while live:
            actions, values = actor.act([one.observation for one in rows])
            before = len(done)
            for row in sorted(live):
                one = rows[row]
                steps += 1
                if not one.step(actions[row], values[row] if values else None):
                    continue
                done[one.number] = one.episode
                most -= limit - len(one.episode.actions)
                if not _begun(one, row, actor, waiting):
                    live.discard(row)
            if work is not None:
                work.done(len(done) - before, also=f"{steps:,} steps", share=steps / most)
    finally:
        actor.leave()
        for one in rows:
            one.close()
    found = [done[number] for number in range(len(of))]
    return Played(
        tuple(of),
        np.array([one.total for one in found], np.float64),
        np.array([len(one.actions) for one in found], np.int64),
        np.array([one.is_cut for one in found], bool),
        tuple(_packed(one.actions) for one in found),
        tuple(np.array(one.values, np.float32) for one in found),
    )


def again(
    environment: Environment,
    seed: int,
    number: int,
    limit: int,
    act: Callable[[NDArray[Any], int], Any],
    **made_with: Any,
) -> Iterator[Row]:
    """One episode once more: its row before each step, and once when it is over.

    Args:
        environment: in which.
        seed: of the episode.
        number: of the episode, from 0.
        limit: steps after which it is cut.
        act: gives the action by the observation and the number of steps before it.
        made_with: what the environment is made with beside its own.

    Raises:
        InputError: the environment misbehaves.
    """
    row = Row(environment, limit, **made_with)
    try:
        row.begin(number, seed)
        while not row.is_over:
            yield row
            row.step(act(row.observation, len(row.episode.actions)))
        yield row
    finally:
        row.close()


@final
class Row:
    """One copy of an environment, which has one episode after another.

    Args:
        environment: as it was collected.
        limit: steps after which an episode is cut.
        made_with: as `again`.
    """

    @final
    @dataclass
    class Episode:
        """What came of an episode so far."""

        total: float = 0.0
        is_cut: bool = False
        actions: list[Any] = field(default_factory=list[Any])
        values: list[float] = field(default_factory=list[float])

    def __init__(self, environment: Environment, limit: int, **made_with: Any) -> None:
        self._environment, self._limit, self._made_with = environment, limit, made_with
        self.made = environment.make(**made_with)
        self._is_used = False
        self.number, self.is_over = 0, False
        self.episode = self.Episode()
        self.observation: NDArray[Any] = np.zeros(0)

    def begin(self, number: int, seed: int) -> None:
        """Begins an episode."""
        if self._is_used and self._environment.fresh:
            self.close()
            self.made = self._environment.make(**self._made_with)
        self._is_used = True
        self.number, self.is_over, self.episode = number, False, self.Episode()
        try:
            found = contract.tried(self.made.reset, "reset", seed=seed)
            self.observation = contract.of_reset(found, self._environment.observation)
        except contract.Breach as breach:
            raise self._failed(breach) from breach

    def step(self, action: Any, value: float | None = None) -> bool:
        """One step; whether the episode is over."""
        own = self.episode
        # An environment may change the array that it is told.
        own.actions.append(action.copy() if isinstance(action, np.ndarray) else action)
        if value is not None:
            own.values.append(value)
        try:
            found = contract.tried(self.made.step, "step", action)
            self.observation, reward, ended, cut = contract.of_step(
                found, self._environment.observation
            )
        except contract.Breach as breach:
            raise self._failed(breach, action) from breach
        own.total += reward
        own.is_cut = not ended and (cut or len(own.actions) >= self._limit)
        self.is_over = ended or own.is_cut
        return self.is_over

    def close(self) -> None:
        """Lets the environment go."""
        close(self.made)

    def _failed(self, breach: contract.Breach, action: Any = None) -> InputError:
        breach.at(len(self.episode.actions), self.number + 1, action)
        return InputError(
            f"`{self._environment.name}` misbehaves at {breach.message}",
            hint=f"{breach.cure}; `silmu check reinforcement-learning --data ID` tells all",
        )


def _begun(one: Row, row: int, actor: Actor, waiting: Iterator[tuple[int, int]]) -> bool:
    """Begins the next episode in a row, if there is one."""
    found = next(waiting, None)
    if found is None:
        return False
    number, seed = found
    one.begin(number, seed)
    actor.begin(row, seed)
    return True


def _packed(actions: list[Any]) -> Sequence[Any]:
    """Arrays as one array; whole numbers as they are."""
    return np.stack(actions) if isinstance(actions[0], np.ndarray) else actions  # pyright: ignore
