"""Clocks that are put forward in spring and back in autumn, and what series show of it."""

from __future__ import annotations

import datetime
import zoneinfo

import numpy as np

from silmu.runtime.times import DAY
from silmu.steps.collect.checks.sequence import Sequences
from silmu.steps.collect.checks.view import Finding, number

_NIGHT_HOURS = 5  # before which clocks are changed
_ZONES = (
    "Europe/Berlin", "Europe/London", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "Australia/Sydney", "Europe/Helsinki",
)  # fmt: skip
"""Some that change their clocks at different hours or days."""


def check(seen: Sequences) -> list[Finding]:
    """Hours that are missing in the nights in which some country changes its clocks."""
    if seen.found.nights:
        return [
            seen.finding(
                "daylight saving",
                "note",
                f"{number(seen.found.nights, 'time')} of autumn nights "
                f"{'is' if seen.found.nights == 1 else 'are'} shown twice by the clocks of "
                f"{seen.layout.zone}; they are told apart by the order of the rows",
                "write times with their offset, such as 2026-10-25 02:30+01:00, to be sure",
            )
        ]
    step = seen.step
    if step.unit != "second" or 3600 % step.size or seen.layout.zone is not None:
        return []
    hour = 3600 // step.size
    holes: dict[int, int] = {}
    for _, first, length in seen.found.gaps:
        seconds = float(step.times(np.array([first], np.int64))[0])
        if length == hour and seconds % DAY < _NIGHT_HOURS * 3600:
            holes[int(seconds // DAY)] = int(seconds % DAY)
    if not holes:
        return []
    begin = min(one.first for one in seen.series)
    end = max(one.first + len(one) for one in seen.series)
    low, high = (float(step.times(np.array([at], np.int64))[0]) for at in (begin, end))
    zone, changes = max(
        ((name, _changes(name, low, high)) for name in _ZONES),
        key=lambda pair: len(pair[1] & holes.keys()) / max(len(pair[1]), 1),
    )
    nights = sorted(changes & holes.keys())
    hits = len(nights)
    if not hits or hits < 0.6 * len(changes) or hits < 0.5 * len(holes):
        return []
    day = datetime.date(1970, 1, 1) + datetime.timedelta(nights[0])
    cure = f"`--set timezone={zone}`, or the zone that the times are of"
    skipped = _skipped(zone, nights[0])
    if skipped is not None and skipped != holes[nights[0]]:
        cure = (
            f"write {_clock(skipped)} of these nights as {_clock(skipped + 3600)}, for no such "
            f"clock shows it; then {cure}"
        )
    return [
        seen.finding(
            "daylight saving",
            "wrong",
            f"an hour is missing in {number(hits, 'night')} in which clocks such as those of "
            f"{zone} are put forward, as on {day}: half of the year all hours are shifted",
            cure,
        )
    ]


def _skipped(zone: str, day: int) -> int | None:
    """The seconds of a day, since 1970, at which its clocks jump; None if they do not at night."""
    known = zoneinfo.ZoneInfo(zone)
    start = datetime.datetime(1970, 1, 1) + datetime.timedelta(day)
    for half in range(2 * _NIGHT_HOURS):
        shown = (start + datetime.timedelta(minutes=30 * half)).replace(tzinfo=known)
        if shown.astimezone(datetime.UTC).astimezone(known) != shown:
            return 1800 * half
    return None


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"


def _changes(zone: str, low: float, high: float) -> set[int]:
    """The days since 1970 on which the clocks of a zone are put forward."""
    try:
        known = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, OSError):
        return set()
    start = datetime.datetime(1970, 1, 1, 12)
    days = range(int(low // DAY), min(int(high // DAY), int(low // DAY) + 20_000) + 1)
    offsets = [(start + datetime.timedelta(day)).replace(tzinfo=known).utcoffset() for day in days]
    return {
        day
        for day, before, after in zip(days[1:], offsets, offsets[1:], strict=False)
        if before is not None and after is not None and after > before
    }
