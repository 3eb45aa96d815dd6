"""What a policy is shown besides: the observations before, and the state that it left itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@final
class Memory:
    """What was shown in episodes that go on side by side, as a network reads it.

    >>> memory = Memory(2, None)
    >>> memory.feeds(np.array([[1.0]]))["observation"].tolist()
    [[1.0, 1.0]]
    >>> memory.feeds(np.array([[2.0]]))["observation"].tolist()
    [[1.0, 2.0]]

    Args:
        frames: how many observations are read at once.
        hidden: how many numbers a state has; None where there is none.
    """

    def __init__(self, frames: int, hidden: int | None) -> None:
        self._frames, self._hidden = Frames(frames), hidden
        self._state: NDArray[np.float32] | None = None
        self._rows: int | None = None

    @property
    def is_used(self) -> bool:
        """Whether an answer depends on what was shown before it."""
        return self._hidden is not None or self._frames.count > 1

    def begin(self, rows: Sequence[int] | None = None) -> None:
        """Forgets some episodes, or all.

        Raises:
            UsageError: there are not so many.
        """
        if rows is None:
            self._frames.begin()
            self._state, self._rows = None, None
            return
        wanted = list(rows)
        if self._rows is None:
            return
        if not all(0 <= one < self._rows for one in wanted):
            raise UsageError(f"rows {wanted} of {self._rows} observations are to begin anew")
        self._frames.begin(wanted)
        if self._state is not None:
            self._state[wanted] = 0

    def feeds(self, seen: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The next observation of each episode, with what was before it.

        Raises:
            UsageError: there were more episodes, or fewer.
        """
        rows = len(seen)
        if self._rows != rows and self.is_used:
            if self._rows is not None:
                raise UsageError(
                    f"{rows} observations follow {self._rows}, and the policy remembers those",
                    hint="reset() begins episodes anew",
                )
            self._rows = rows
        feeds = {"observation": self._frames.stacked(seen)}
        if self._hidden is not None:
            state = self._state
            feeds["state"] = np.zeros((rows, self._hidden), np.float32) if state is None else state
        return feeds

    def keep(self, *states: NDArray[np.float32]) -> None:
        """Remembers the state after a step, of all episodes one part after another."""
        self._state = states[0] if len(states) == 1 else np.concatenate(states)


@final
class Frames:
    """The last observations of episodes that go on side by side, stacked.

    An episode begins as if its first observation had always been there. Frames lie along the first
    axis of a row, the oldest first: of a picture they are channels.

    >>> frames = Frames(2)
    >>> frames.stacked(np.array([[1.0]])).tolist(), frames.stacked(np.array([[2.0]])).tolist()
    ([[1.0, 1.0]], [[1.0, 2.0]])

    Args:
        count: how many of them.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._kept: NDArray[Any] | None = None
        self._begins: NDArray[np.bool_] = np.zeros(0, bool)

    def begin(self, rows: Sequence[int] | NDArray[Any] | None = None) -> None:
        """Begins an episode in some rows, or in all, however many come next."""
        if rows is None or self._kept is None:
            self._kept = None
        else:
            self._begins[rows] = True

    def stacked(self, observations: NDArray[Any]) -> NDArray[Any]:
        """The next observation of each episode, (rows, channels, ...), with those before it."""
        if self.count == 1:
            return observations
        width = observations.shape[1]
        if self._kept is None:
            self._kept = np.concatenate([observations] * self.count, axis=1)
            self._begins = np.zeros(len(observations), bool)
            return self._kept
        self._kept = np.concatenate([self._kept[:, width:], observations], axis=1)
        if self._begins.any():
            first = observations[self._begins]
            self._kept[self._begins] = np.concatenate([first] * self.count, axis=1)
            self._begins[:] = False
        return self._kept
