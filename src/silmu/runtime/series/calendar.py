"""What of the calendar a step falls on, as numbers for a network, and as texts for people.

A part of the calendar, such as the day of the week, is told by sines and cosines of the share of it
that has passed. Their first harmonics tell each day of a week apart from all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.runtime.series import zones

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from silmu.runtime.series.steps import Step

DAY = 86_400
"""Seconds."""

PARTS = {
    "minute": (60.0, 1),
    "hour": (3600.0, 1),
    "day": (float(DAY), 2),
    "week": (7.0 * DAY, 3),
    "month": (365.25 * DAY / 12, 1),
    "year": (365.25 * DAY, 2),
}
"""The parts of a calendar: how many seconds each takes, and how many harmonics tell it."""

OFTEN = 2
"""How many times a part must have gone by in what was seen, for its influence to be told."""

_DAYS_OF_MONTH = 10
"""Steps that a month must have at least, for the day of the month to be told."""


def parts(step: Step, seen: int | None = None) -> tuple[str, ...]:
    """The parts of the calendar that matter at a step, the shortest first; none for counts.

    Args:
        step: how far apart times are.
        seen: how many steps were seen: parts that did not go by OFTEN are left out.
    """
    if step.unit == "count":
        return ()
    length = step.seconds
    span = np.inf if seen is None else seen * length
    least = dict.fromkeys(PARTS, 2) | {"month": _DAYS_OF_MONTH}
    return tuple(
        name
        for name, (period, _) in PARTS.items()
        if least[name] * length <= period and OFTEN * period <= span
    )


def width(names: Iterable[str]) -> int:
    """How many numbers tell these parts."""
    return sum(2 * PARTS[name][1] for name in names)


def calendar(
    step: Step, zone: str | None, index: NDArray[np.int64], names: Iterable[str] | None = None
) -> NDArray[np.float32]:
    """Sines and cosines of the parts of the calendar, for steps by their numbers.

    Args:
        step: how far apart times are.
        zone: whose clock and days count; None for times without a zone.
        index: numbers of steps, (n,).
        names: of PARTS; those that matter at the step, if not given.

    Returns:
        (n, C) between -1 and 1; C is `width` of the names, and 0 for counts.
    """
    told = parts(step) if names is None else tuple(names)
    if not told or not len(index):
        return np.zeros((len(index), width(told)), np.float32)
    seconds = civil_times(step, zone, index)
    found: list[NDArray[np.float64]] = []
    for name in told:
        turn = 2 * np.pi * _passed(name, step, seconds)
        for harmonic in range(1, PARTS[name][1] + 1):
            found += [np.sin(harmonic * turn), np.cos(harmonic * turn)]
    return np.stack(found, axis=1).astype(np.float32)


def written(step: Step, zone: str | None, index: NDArray[np.int64]) -> list[str]:
    """The times of steps as ISO 8601 writes them: days alone where steps are no shorter, and
    milliseconds, 2024-03-10T07:00:00.100, where steps are shorter than a second.

    With a zone a time has its offset: 2024-03-10T07:00:00+09:00. Counts are their numbers.
    """
    if step.unit == "count":
        return [str(one) for one in index.tolist()]
    seconds = civil_times(step, zone, index)
    if step.unit == "millisecond":
        stamps = np.round(seconds * 1000).astype(np.int64).astype("datetime64[ms]")
    else:
        stamps = np.floor(seconds).astype(np.int64).astype("datetime64[s]")
    if step.is_civil:
        return [str(one) for one in stamps.astype("datetime64[D]")]
    if zone is None:
        return [str(one) for one in stamps]
    ahead = np.round((seconds - step.times(index)) / 60).astype(np.int64)
    return [f"{one}{_offset(m)}" for one, m in zip(stamps, ahead.tolist(), strict=True)]


def civil_times(step: Step, zone: str | None, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """What the clock on the wall says at steps, as seconds since 1970."""
    seconds = step.times(index)
    # Steps of a day and longer count days of the zone already.
    return seconds if zone is None or step.is_civil else zones.civil(seconds, zone)


def _passed(name: str, step: Step, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Which share of a part of the calendar has passed, from 0 to 1."""
    if name in ("minute", "hour", "day"):
        period = PARTS[name][0]
        return np.mod(seconds, period) / period
    days = np.floor(seconds / DAY).astype(np.int64).astype("datetime64[D]")
    if name == "week":
        return ((days.astype(np.int64) + 3) % 7) / 7
    months = days.astype("datetime64[M]")
    if name == "year" and step.unit in ("month", "quarter"):
        return months.astype(np.int64) % 12 / 12  # whichever day of the month stands for it
    unit = "M" if name == "month" else "Y"
    start = days.astype(f"datetime64[{unit}]")
    first, last = start.astype("datetime64[D]"), (start + 1).astype("datetime64[D]")
    return (days - first).astype(np.float64) / (last - first).astype(np.float64)


def _offset(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
