"""Who acts in episodes that go on side by side: a policy, chance, or nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from silmu.runtime.spaces import Space


class Actor(Protocol):
    """What is asked for the action of each of several episodes."""

    tells_value: bool
    """Whether `act` tells what the actor expects to earn."""

    def begin(self, row: int, seed: int) -> None:
        """An episode begins in a row; its seed is that of the environment's reset."""
        ...

    def act(self, observations: Sequence[NDArray[Any]]) -> tuple[list[Any], list[float]]:
        """The action of each row, and where `tells_value` holds the value of each."""
        ...

    def leave(self) -> None:
        """All episodes are over."""
        ...


@final
class Policy:
    """A pipeline, as anyone will have it: the likeliest action always.

    Args:
        pipe: for `reinforcement-learning`.
    """

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        self.tells_value = "value" in pipe.model.session.outputs
        self._asked = {"value": True} if self.tells_value else {}
        pipe.reset()

    def begin(self, row: int, seed: int) -> None:
        """What was shown before in this row is forgotten."""
        del seed
        self.pipe.reset([row])

    def act(self, observations: Sequence[NDArray[Any]]) -> tuple[list[Any], list[float]]:
        """The answers to all rows at once."""
        answers = self.pipe(list(observations), **self._asked)
        values = [one["value"] for one in answers] if self.tells_value else []
        return [one["action"] for one in answers], values

    def leave(self) -> None:
        """The next episode begins anew."""
        self.pipe.reset()


@final
class Chance:
    """Actions by chance, each as likely as another; those of an episode follow from its seed."""

    tells_value = False

    def __init__(self, space: Space) -> None:
        self.space = space
        self._random: dict[int, np.random.Generator] = {}

    def begin(self, row: int, seed: int) -> None:
        """The chance of an episode is its own."""
        self._random[row] = np.random.Generator(np.random.Philox(key=seed))

    def act(self, observations: Sequence[NDArray[Any]]) -> tuple[list[Any], list[float]]:
        """One action a row."""
        return [self.space.sample(self._random[row]) for row in range(len(observations))], []

    def leave(self) -> None:
        """Nothing is kept."""


@final
class Idle:
    """The action that does nothing: the first choice, or numbers of 0 where the bounds let them."""

    tells_value = False

    def __init__(self, space: Space) -> None:
        self.space = space

    def begin(self, row: int, seed: int) -> None:
        """All episodes are alike."""

    def act(self, observations: Sequence[NDArray[Any]]) -> tuple[list[Any], list[float]]:
        """The same action for each row."""
        return [self.space.idle() for _ in observations], []

    def leave(self) -> None:
        """Nothing is kept."""
