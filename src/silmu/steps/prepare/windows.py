"""How series are cut by time, and into what windows: pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from silmu.errors import InputError, UsageError
from silmu.runtime.series.steps import PASSING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.series.frame import Series
    from silmu.runtime.series.steps import Step

HORIZONS = {
    "millisecond": 24,
    "second": 24,
    "day": 14,
    "business day": 10,
    "week": 13,
    "month": 12,
    "quarter": 8,
    "year": 5,
    "count": 12,
}
"""Steps that are told of a series by its unit, unless settings say otherwise."""

HOUR, DOZEN = 3600, 12
"""Of steps that are shorter than an hour so many are told."""

SHARE_AT_MOST = 0.25
"""The part of the time that validation, or test, may take where it must be large for a window."""

FEW, ENOUGH = 4, 10
"""A test of fewer horizons tells next to nothing, for what is forecast at once errs together. There
earlier parts of time are tested on too, until it is so many."""

MOST_EARLIER = 3
"""So many earlier parts are tested on at most, unless settings say otherwise."""

CONTEXTS = 3
"""So many contexts, at least, the training part is long."""

LONGEST, SHORTEST = 512, 8
"""Steps that are read at most and at least, unless settings say otherwise."""

SEASONAL = 0.95
"""A season counts where it makes the naive error smaller by this factor."""

LONGER = 0.97
"""A longer season counts beside a shorter one where it makes the error that much smaller: twice a
season errs about as little as the season, less by chance."""


@final
@dataclass(frozen=True)
class Cuts:
    """Where validation and test begin, as step numbers that hold for all series.

    Attributes:
        validation, test: their first steps.
        gap: steps before each that no target lies in.
    """

    validation: int
    test: int
    gap: int = 0

    def sides(self, places: NDArray[np.int64]) -> NDArray[np.int8]:
        """For each step number 0, 1 or 2 for train, validation, test; -1 in a gap.

        >>> Cuts(10, 20, 1).sides(np.array([8, 9, 10, 19, 20])).tolist()
        [0, -1, 1, -1, 2]
        """
        found = np.full(len(places), 2, np.int8)
        found[places < self.test] = -1
        found[places < self.test - self.gap] = 1
        found[places < self.validation] = -1
        found[places < self.validation - self.gap] = 0
        return found


def horizon(step: Step, longest: int) -> int:
    """How many steps are told of series whose longest has so many."""
    suits = HORIZONS[step.unit]
    if step.unit in PASSING and step.seconds < HOUR:
        suits = DOZEN
    return max(1, min(suits, longest // 10))


def cut(
    series: Sequence[Series], prediction_length: int, validation: float, test: float, gap: int
) -> Cuts:
    """Where validation and test begin.

    Each is as long as its share, but so long that it holds two windows where there is room, and
    one at least.

    Raises:
        InputError: the series are too short for it.
    """
    first = min(one.first for one in series)
    end = max(one.first + len(one.values) for one in series)
    steps = end - first
    least = 2 * (prediction_length + gap) + 2 * prediction_length + 1
    if steps < least:
        fitting = max((steps - 1 - 2 * gap) // 4, 1)
        raise InputError(
            f"the series span {steps:,} steps, and at least {least:,} are needed to learn, "
            f"validate and test {prediction_length:,} ahead",
            hint=f"--set prediction_length={fitting}, or more rows"
            if fitting < prediction_length
            else "give more rows, or smaller steps",
        )
    room = max(int(SHARE_AT_MOST * steps), prediction_length)
    sizes = [
        max(prediction_length, round(share * steps), min(2 * prediction_length, room))
        for share in (validation, test)
    ]
    return Cuts(end - sizes[1] - gap - sizes[0], end - sizes[1], gap)


def earlier(
    series: Sequence[Series],
    cuts: Cuts,
    context_length: int,
    prediction_length: int,
    validation: float,
    test: float,
    count: int | None = None,
) -> tuple[int, ...]:
    """Where earlier parts of time end that are tested on too, the latest first.

    Each ends where the test part after it begins, and is cut as if nothing came later: a rolling
    origin of the whole run (Tashman 2000, https://doi.org/10.1016/S0169-2070(00)00065-0). One in
    which nothing was observed to learn, validate or test, as in an outage, is left out.

    Args:
        series: that are cut.
        cuts: of the run itself.
        context_length: steps that are read.
        prediction_length: steps that are told.
        validation, test: the shares of each part.
        count: how many. If not given, none beside a test of FEW horizons, and beside a shorter one
            as many as make it ENOUGH: MOST_EARLIER at most, with half of the run's training each.

    Raises:
        UsageError: there is no room for so many.
    """
    first = min(one.first for one in series)
    told = max(one.end for one in series) - cuts.test
    wanted, enough = (count, np.inf) if count is not None else (MOST_EARLIER, 0)
    if count is None and told < FEW * prediction_length:
        enough = ENOUGH * prediction_length
    found: list[int] = []
    own = cuts
    while len(found) < wanted and told < enough:
        end = own.test
        cut_off = [one.until(end - one.first) for one in series if one.first < end]
        try:
            own = cut(cut_off, prediction_length, validation, test, cuts.gap)
        except InputError:
            break
        if count is None and 2 * (own.validation - first) < cuts.validation - first:
            break
        limits = (first, own.validation - own.gap), (own.validation, own.test - own.gap)
        sizes = context_length, prediction_length
        if all(len(windows(cut_off, *one, *sizes)) for one in (*limits, (own.test, end))):
            found.append(end)
            told += end - own.test
    if count is not None and len(found) < count:
        raise UsageError(
            f"backtest is {count}, and the series have room for {len(found)}",
            hint=f"--set backtest={len(found)}, or smaller shares of validation and test",
        )
    return tuple(found)


def season_of(parts: Sequence[NDArray[np.float64]], step: Step, prediction_length: int) -> int:
    """The season after which series look alike: that whose naive forecast errs least.

    Args:
        parts: the values of each series that training may see, NaN where there is none.
        step: of all of them; its calendar's seasons are tried, or all lags where it has none.
        prediction_length: steps that the naive forecasts tell.

    Returns:
        1 where nothing is clearly better than the last value.
    """
    longest = max(len(one) for one in parts)
    candidates = [one for one in step.seasons if one > 1 and 2 * one + prediction_length <= longest]
    if not step.seasons:
        candidates = [*range(2, min(longest // 4, LONGEST) + 1)]
    plain = naive_error(parts, 1, prediction_length)
    best, error = 1, SEASONAL * plain
    for one in candidates:
        found = naive_error(parts, one, prediction_length)
        if found < (error if best == 1 else LONGER * error):
            best, error = one, found
    return best


def naive_error(parts: Sequence[NDArray[np.float64]], season: int, prediction_length: int) -> float:
    """The mean error of what lay whole seasons before, each series in its own deviations.

    >>> naive_error([np.tile([1.0, 2.0, 3.0], 4)], 3, 3)
    0.0
    """
    errors: list[float] = []
    for values in parts:
        deviation = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
        if not deviation:
            continue
        horizons = range(1, prediction_length + 1)
        lags = {-(-ahead // season) * season if season > 1 else ahead for ahead in horizons}
        for lag in lags:
            if lag < len(values):
                difference = np.abs(values[lag:] - values[:-lag])
                seen = np.isfinite(difference)
                if seen.any():
                    errors.append(float(difference[seen].mean()) / deviation)
    return float(np.mean(errors)) if errors else np.inf


def context(season: int, prediction_length: int, training: int) -> int:
    """How many steps are read: two seasons where they are short, and what training has room for.

    Args:
        season: 1 for none.
        prediction_length: steps that are told.
        training: steps of the longest series that training may see.
    """
    suits = max(2 * prediction_length, 4 * SHORTEST)
    if season > 1:
        suits = max(suits, 2 * season if 2 * season <= LONGEST // 2 else min(season, LONGEST))
    room = max((training - prediction_length) // CONTEXTS, prediction_length, 1)
    if training >= 2 * season + prediction_length:
        room = max(room, season)
    return max(1, min(suits, room, LONGEST))


def windows(
    series: Sequence[Series],
    low: int,
    high: int,
    context_length: int,
    prediction_length: int,
) -> NDArray[np.int64]:
    """All windows whose targets lie between two steps: (windows, 2) of series and end.

    The end is the place in its series at which the targets begin. A window has an observed target
    and an observed step to read, and lies within its series but for half of its context at most;
    of a short series for more.

    Args:
        series: of which windows are made.
        low, high: step numbers: targets lie from `low` to before `high`.
        context_length: steps that are read.
        prediction_length: steps that are told.
    """
    found: list[NDArray[np.int64]] = []
    for number, one in enumerate(series):
        steps = len(one.values)
        stop = min(high - one.first, steps) - prediction_length
        start = max(low - one.first, min(-(-context_length // 2), stop // 2), 1)
        if stop < start:
            continue
        ends = np.arange(start, stop + 1, dtype=np.int64)
        seen = np.concatenate([[0], np.cumsum(np.isfinite(one.values))])
        told = seen[ends + prediction_length] > seen[ends]
        read = seen[ends] > seen[np.maximum(ends - context_length, 0)]
        ends = ends[told & read]
        found.append(np.stack([np.full(len(ends), number), ends], axis=1))
    return np.concatenate(found) if found else np.zeros((0, 2), np.int64)
