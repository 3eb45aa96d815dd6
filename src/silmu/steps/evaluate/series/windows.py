"""Rolling origins: from which steps forecasts are made, and what came after each.

Tashman, Out-of-sample tests of forecasting accuracy, 2000.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

MOST = 400
"""So many origins are forecast from, of all series together."""


@final
@dataclass(frozen=True)
class History:
    """A whole series as it was observed.

    Attributes:
        name: of the series.
        first: the step number of its first value, on the clock that all series share.
        values: (steps,), NaN where nothing was observed.
        known: so many steps are the training's; baselines are fitted on them and no others.
    """

    name: str
    first: int
    values: NDArray[np.float64]
    known: int


@final
@dataclass(frozen=True)
class Windows:
    """Origins of series, each with the steps after it.

    Attributes:
        histories: the series.
        which: (windows,), the place of a window's series.
        ends: (windows,), how many steps of the series come before the origin.
        horizon: how many steps are forecast.
    """

    histories: tuple[History, ...]
    which: NDArray[np.int64]
    ends: NDArray[np.int64]
    horizon: int

    def __len__(self) -> int:
        return len(self.which)

    def take(self, rows: NDArray[np.int64]) -> Windows:
        """Some of the windows."""
        return replace(self, which=self.which[rows], ends=self.ends[rows])

    @cached_property
    def truth(self) -> NDArray[np.float64]:
        """(windows, horizon): what came, NaN where nothing was observed."""
        found = np.full((len(self), self.horizon), np.nan)
        for place, history in enumerate(self.histories):
            own = np.flatnonzero(self.which == place)
            found[own] = ahead(history.values, self.ends[own], self.horizon)
        return found

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """(windows, horizon): the number of each step that is forecast."""
        first = np.array([history.first for history in self.histories], np.int64)[self.which]
        return (first + self.ends)[:, None] + np.arange(self.horizon)

    @cached_property
    def moments(self) -> NDArray[np.int64]:
        """(windows, horizon): the same, counted without the steps that nobody forecasts."""
        numbers, place = np.unique(self.steps, return_inverse=True)
        del numbers
        return place.reshape(self.steps.shape).astype(np.int64)


def ahead(
    values: NDArray[np.float64], ends: NDArray[np.int64], horizon: int
) -> NDArray[np.float64]:
    """(ends, horizon): the values from each end on, NaN behind the last.

    >>> ahead(np.arange(5.0), np.array([1, 4]), 2)
    array([[ 1.,  2.],
           [ 4., nan]])
    """
    padded = np.concatenate([values, np.full(horizon, np.nan)])
    return padded[ends[:, None] + np.arange(horizon)]


def thinned(
    every: NDArray[np.int64], horizon: int, most: int = MOST
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The series and the ends of some windows of all: at equal distances, the last among them.

    There are no more than `most`, unless steps were left without a forecast then: the distance is
    never longer than the horizon, and the first window of a series is kept.

    >>> which, ends = thinned(np.array([[0, 5], [0, 6], [0, 7], [0, 8]]), horizon=2, most=2)
    >>> ends.tolist()
    [5, 6, 8]

    Args:
        every: (windows, 2), the number of a series and the end, in order.
        horizon: how many steps are forecast.
        most: of all series together.
    """
    stride = int(np.clip(-(-len(every) // most), 1, horizon))
    which, ends = every[:, 0], every[:, 1]
    last = np.full(int(which.max()) + 1 if len(which) else 0, -1, np.int64)
    np.maximum.at(last, which, ends)
    first = np.concatenate([[True], np.diff(which) != 0])[: len(which)]
    kept = ((last[which] - ends) % stride == 0) | first
    return which[kept], ends[kept]
