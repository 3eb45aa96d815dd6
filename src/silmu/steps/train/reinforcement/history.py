"""What copies of an environment did in their episodes, so that it can be done again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from silmu.runtime.spaces import Space


@final
class History:
    """Actions and rewards of all copies, of each step that an episode which goes on has had.

    Steps are named by a clock that counts them from 0.

    >>> history = History(2)
    >>> history.add([1, 0], np.array([0.5, 1.5]))
    >>> history.add([1, 1], np.array([2.5, 3.5]))
    >>> history.rewards([1, 0]).tolist()
    [2.5, 1.5, 3.5]

    Args:
        count: how many copies there are.
        length: of how many steps, from 0 on, `put` will tell.
    """

    def __init__(self, count: int, length: int = 0) -> None:
        self._steps: list[tuple[list[Any], NDArray[np.float64]]] = [
            ([None] * count, np.zeros(count)) for _ in range(length)
        ]
        self._first = 0

    def __len__(self) -> int:
        """How many steps are remembered."""
        return len(self._steps)

    def add(self, actions: list[Any], rewards: NDArray[np.float64]) -> None:
        """A step of all copies."""
        self._steps.append((actions, rewards))

    def put(self, step: int, copy: int, action: Any, reward: float) -> None:
        """What one copy did in a step, and what it earned."""
        actions, rewards = self._steps[step - self._first]
        actions[copy], rewards[copy] = action, reward

    def actions(self, started: Sequence[int], space: Space) -> NDArray[Any]:
        """What each copy did since the step in which its episode began, one copy after another."""
        found = [told[copy] for copy, told, _ in self._since(started)]
        kind = np.int64 if space.kind == "discrete" else np.dtype(space.dtype)
        return np.array(found, kind).reshape(-1, *space.shape)

    def rewards(self, started: Sequence[int]) -> NDArray[np.float64]:
        """What each copy earned by these actions."""
        return np.array([earned[copy] for copy, _, earned in self._since(started)], np.float64)

    def forget(self, before: int) -> None:
        """Lets go of what was before a step."""
        del self._steps[: before - self._first]
        self._first = before

    def _since(self, started: Sequence[int]) -> list[tuple[int, list[Any], NDArray[np.float64]]]:
        return [
            (copy, *step)
            for copy, first in enumerate(started)
            for step in self._steps[first - self._first :]
        ]
