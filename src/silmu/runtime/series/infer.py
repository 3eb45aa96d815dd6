"""The step that times keep, of all series together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import InputError
from silmu.runtime.series.steps import DAY, ORIGIN, Step, milliseconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int64]

PLAIN = (1, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
"""Seconds of steps that people use, below a day."""

FINE = (1, 2, 4, 5, 10, 20, 25, 40, 50, 100, 200, 250, 500)
"""Milliseconds of steps that people use, below a second."""

_BELOW = 10.0
"""Seconds. A longer step has no parts of a second."""
_OFF = 0.04
"""The share of a step by which it must miss whole seconds, for parts of one to count."""

JITTER = 1.1
"""By how much distances that are meant to be equal may differ."""

_NIGHT = 0.9 * DAY
_MOST = 0.9
_LOST = 0.01
"""The share of times that may fall into a step that another one has."""
_SPARSE = 2.5
"""Of a grid most of whose steps are empty, half of the distances are longer."""


def infer(times: Sequence[Floats]) -> Step:
    """The step of series, the same for all.

    Distances may jitter, and steps may lack. Where times are irregular it is the next plain step
    that is not shorter than their median distance.

    >>> days = np.array(["2024-01-31", "2024-02-29", "2024-04-30"], "datetime64[s]")
    >>> infer([days.astype(np.float64)]).to_text()
    'M@0'
    >>> infer([np.array([0.0, 301.0, 599.0, 1500.0])]).to_text()
    '5min'

    Args:
        times: of each series, (n,) seconds since 1970, sorted, what clocks show: months and
            business days are found in the calendar.

    Raises:
        InputError: no series has two different times.
    """
    unique = [np.unique(one) for one in times]
    distances = _distances(unique)
    if not len(distances):
        raise InputError(
            "no series has two different times, so the step between them cannot be told",
            hint="set step, such as step=D, or give more rows",
        )
    base = _common(distances)
    whole = np.concatenate(unique)
    anchor, is_told = phase(np.mod(whole, DAY), DAY)
    rest = base % DAY
    # Of steps of 36 hours, every second time may be the larger half.
    is_half = 0.25 * DAY < rest < 0.75 * DAY
    is_odd = (base < 3 * DAY and is_half) or (not is_told and rest != 0)
    if (
        base < _NIGHT
        or (is_odd and _share(distances, base) >= _MOST)
        or (is_half and _whole(distances, base) >= _MOST)
    ):
        return _of_seconds(whole, distances, base)
    return _of_days([np.unique(np.floor(one / DAY).astype(np.int64)) for one in unique], anchor)


def anchored(step: Step, times: Sequence[Floats]) -> Step:
    """A step that was asked for, at the place in it where most times lie, if there is one.

    >>> fridays = np.array(["2024-01-05", "2024-01-19", "2024-01-26"], "datetime64[s]")
    >>> anchored(Step.parse("W"), [fridays.astype(np.float64)]).to_text()
    'W@4'

    Args:
        step: of milliseconds, seconds, days or weeks; others are what they were.
        times: of each series, seconds since 1970, what clocks show for days and weeks.
    """
    whole = np.concatenate(times)
    if step.unit == "second":
        span, places, unit = step.size, whole, 1
    elif step.unit == "millisecond":
        span, places, unit = step.size, milliseconds(whole), 1
    elif step.unit == "day":
        span, places, unit = step.size, np.floor(whole / DAY), DAY
    elif step.unit == "week":
        span, places, unit = 7 * step.size, np.floor(whole / DAY) + ORIGIN, 1
    else:
        return step
    place, is_told = phase(np.mod(places, span), span)
    off = np.abs((places - place + span / 2) % span - span / 2)
    if not is_told or (off <= 0.2 * span).mean() < _MOST:
        return step
    return replace(step, anchor=place * unit)


def phase(places: Floats, span: float) -> tuple[int, bool]:
    """Where in a span places lie, in whole numbers, and whether most lie there; else 0.

    >>> phase(np.array([299.0, 1.0, 0.0, 2.0]), 300)
    (0, True)
    """
    found, counts = np.unique(np.round(places) % span, return_counts=True)
    if counts.max() * 2 > len(places):
        return int(found[counts.argmax()]), True
    turn = np.exp(2j * np.pi * places / span).mean()
    if abs(turn) < 0.95:
        return 0, False
    width = np.sqrt(-2 * np.log(abs(turn))) / (2 * np.pi)
    share = float(np.angle(turn) / (2 * np.pi) % 1)
    is_zero = min(share, 1 - share) <= max(2 * width, 1 / span)
    return (0 if is_zero else int(share * span)), True


def distance_of_each(seconds: Floats, series: Numbers, size: int) -> tuple[Floats, Floats]:
    """Per series the median distance of its times, and the share of distances about as long.

    Args:
        seconds: (n,) sorted within each series.
        series: (n,) whose each time is, sorted.
        size: how many series there are.
    """
    distances = np.diff(seconds)
    inside = (series[1:] == series[:-1]) & (distances > 0)
    distances, whose = distances[inside], series[1:][inside]
    order = np.lexsort((distances, whose))
    counts = np.bincount(whose, minlength=size)
    ends = np.cumsum(counts)
    medians = np.full(size, np.nan)
    has = counts > 0
    medians[has] = distances[order][(ends - counts + counts // 2)[has]]
    own = medians[whose]
    alike = (distances <= own * JITTER) & (distances * JITTER >= own)
    shares = np.bincount(whose, weights=alike, minlength=size) / np.maximum(counts, 1)
    return medians, np.where(counts < 3, 0.0, shares)


def _distances(times: Sequence[Floats] | Sequence[Numbers]) -> Floats:
    if not times:
        return np.zeros(0)
    return np.concatenate([np.diff(one) for one in times]).astype(np.float64)


def _common(distances: Floats) -> float:
    """The distance about which most lie."""
    found = np.sort(distances)
    counts = np.searchsorted(found, found * JITTER, "right") - np.arange(len(found))
    start = int(counts.argmax())
    return float(np.median(found[start : start + int(counts[start])]))


def _share(distances: Floats, base: float) -> float:
    return float(((distances * JITTER >= base) & (distances <= base * JITTER)).mean())


def _whole(distances: Floats, base: float) -> float:
    """The share of distances that are whole multiples of one, but for an hour of clocks that
    change.
    """
    away = np.abs(distances - base * np.round(distances / base))
    return float((away <= min(0.02 * base, 3700)).mean())


def _of_seconds(times: Floats, distances: Floats, base: float) -> Step:
    steps = distances / base
    near = steps[steps < 6]
    on_grid = np.abs(near - np.round(near)) <= 0.15
    middle = float(np.median(distances))
    is_fine = base < _BELOW and abs(base - round(base)) > _OFF * base
    if middle > _SPARSE * base or on_grid.mean() < 0.8 or base * 1000 < 0.75:
        return _plain(middle)
    if is_fine:
        milli = _size(distances * 1000, base * 1000, FINE)
        if milli % 1000:
            phased = phase(np.mod(milliseconds(times), milli), milli)
            return Step("millisecond", milli, phased[0])
        base = milli / 1000
    size = _size(distances, base, PLAIN)
    if size % DAY == 0:
        return Step("day", size // DAY)
    return Step("second", size, phase(np.mod(times, size), size)[0])


def _size(distances: Floats, base: float, plain: Sequence[int]) -> int:
    """The whole size of steps that are about as long as `base`: the commonest, or a plain one."""
    found, counts = np.unique(np.round(distances), return_counts=True)
    exact = int(found[counts.argmax()])
    is_exact = counts.max() * 2 > _share(distances, base) * len(distances)
    nearest = min(plain, key=lambda size: abs(size - base))
    if is_exact and exact > 0 and abs(exact - base) <= 0.1 * base:
        return exact
    return nearest if abs(nearest - base) <= 0.05 * base else max(round(base), 1)


def _plain(distance: float) -> Step:
    """The shortest plain step that is not shorter."""
    for size in FINE:
        if size * 1.001 >= distance * 1000:
            return Step("millisecond", size)
    for size in PLAIN:
        if size * 1.001 >= distance:
            return Step("second", size)
    for name in ("D", "W", "M", "Q", "Y"):
        step = Step.parse(name)
        if step.seconds * 1.02 >= distance:
            return step
    return Step("year", min(int(-(-distance // Step.parse("Y").seconds)), 1000), 1)


def _of_days(days: Sequence[Numbers], anchor: int) -> Step:
    """The step of series whose times are about a day apart or more.

    Args:
        days: of each series, numbers of days since 1970, unlike each other.
        anchor: the seconds of the day at which its times lie.
    """
    distances = _distances(days)
    if not len(distances):
        return Step("day", 1, anchor)
    whole = np.concatenate(days)
    middle = float(np.median(distances))
    if middle >= 27 and (found := _months(days, whole)):
        return found
    if middle >= 6:
        weekday, counts = np.unique((whole + ORIGIN) % 7, return_counts=True)
        first = int(weekday[counts.argmax()])
        if counts.max() >= 0.8 * len(whole):
            weeks = [(one + ORIGIN - first) // 7 for one in days]
            size = largest_grid(weeks)
            if size:
                start = int(weeks[0][0]) % size
                return Step("week", size, first + 7 * start)
    size = largest_grid(days)
    if size == 1 and (monday := _workweek(days, whole)) is not None:
        return Step("business day", 1, monday)
    if not size:
        return _plain(middle * DAY)
    start = int(days[0][0]) % size if size > 1 else 0
    return Step("day", size, start * DAY + anchor)


def _months(days: Sequence[Numbers], whole: Numbers) -> Step | None:
    stamps = whole.astype("datetime64[D]")
    months = stamps.astype("datetime64[M]")
    day = (stamps - months.astype("datetime64[D]")).astype(np.int64) + 1
    left = ((months + 1).astype("datetime64[D]") - stamps).astype(np.int64) - 1
    found, counts = np.unique(day, return_counts=True)
    common = int(found[counts.argmax()])
    is_same = counts.max() >= _MOST * len(day)
    if (left <= 3).mean() >= _MOST and not (is_same and common <= 28):
        anchor = 0
    elif is_same:
        anchor = common
    elif (day <= 4).mean() >= _MOST:
        anchor = 1
    else:
        return None
    numbers = [one.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) for one in days]
    size = largest_grid(numbers)
    if not size:
        return None
    unit, span = next(
        (unit, span)
        for unit, span in (("year", 12), ("quarter", 3), ("month", 1))
        if not size % span
    )
    before = (int(numbers[0][0]) + 12 * 1969) % size
    return Step(unit, size // span, 100 * before + anchor)


def largest_grid(numbers: Sequence[Numbers]) -> int:
    """The largest size of steps on which all numbers lie, most of them taken; 0 if there is none.

    >>> largest_grid([np.array([4, 6, 8]), np.array([6, 12])])
    2
    """
    distances = _distances(numbers)
    if not len(distances) or (distances == 0).mean() > _LOST:
        return 0
    firsts = np.array([one[0] for one in numbers if len(one)])
    every = np.concatenate([distances.astype(np.int64), firsts - firsts[0]])
    size = int(np.gcd.reduce(every))
    return size if float(np.median(distances)) <= _SPARSE * size and size < 1000 else 0


def _workweek(days: Sequence[Numbers], whole: Numbers) -> int | None:
    """The weekday that begins five of work, where none of two others occurs."""
    counts = np.bincount((whole + ORIGIN) % 7, minlength=7)
    over = _distances(days)
    for first in range(7):
        work = counts[(first + np.arange(5)) % 7]
        rest = counts[(first + np.arange(5, 7)) % 7]
        if not rest.any() and work.all() and (over >= 3).any() and len(whole) > 5:
            return first
    return None
