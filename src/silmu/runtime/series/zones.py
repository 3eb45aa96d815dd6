"""Clocks of a place and the time that passes, for whole columns.

Seconds since 1970 are absolute (UTC) or civil: what the clocks of a zone show, read as if it were
UTC. In spring clocks skip an hour; in autumn they show one twice.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY = 86_400
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d\d?):?(\d\d)?")
_FIRST, _LAST = 1800, 9998
_APART = 7 * DAY
"""Clocks change less often than that."""


def zone_of(name: str) -> tzinfo:
    """A zone by its name, or its distance to UTC.

    >>> str(zone_of("Asia/Seoul")), str(zone_of("+09:00")), str(zone_of("UTC"))
    ('Asia/Seoul', 'UTC+09:00', 'UTC')

    Raises:
        UsageError: there is no such zone.
    """
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        if found := _OFFSET.fullmatch(name):
            distance = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
            return timezone(-distance if found[1] == "-" else distance)
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        # Besides an unknown name: one that is a path or a folder, and an offset of days.
        raise UsageError(
            f"timezone is {name!r}; it may be a name such as Asia/Seoul or Europe/Berlin, UTC, "
            "or a distance such as +09:00"
        ) from None


def civil(seconds: NDArray[np.float64], zone: str | None) -> NDArray[np.float64]:
    """What clocks of the zone show at absolute seconds; NaN stays NaN.

    >>> civil(np.array([0.0]), "Asia/Seoul").tolist()
    [32400.0]
    """
    if zone is None:
        return seconds
    times, offsets = _changes(zone, seconds)
    return seconds + offsets[np.searchsorted(times, seconds, "right")]


def absolute(
    seconds: NDArray[np.float64],
    zone: str | None,
    *,
    series: NDArray[np.int64] | None = None,
    numbers: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """The absolute seconds at which clocks of the zone show these.

    What they show twice is told by the order of the rows: of equal times of a series the first is
    meant first, and a time that stands after a later one is of the second hour. Where a series
    runs backwards, so does this.

    >>> night = np.array([1.0, 1.5, 1.0, 1.5, 2.0]) * 3600  # in New York, 3 November 2024
    >>> found = absolute(1_730_592_000.0 + night, "America/New_York")
    >>> ((found - found[0]) / 3600).tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0]

    Args:
        seconds: (n,) civil; NaN stays NaN.
        series: (n,) whose each time is; one series by default.
        numbers: (n,) what the rows are called in an error, from 1 by default.

    Raises:
        InputError: clocks never showed one of them.
    """
    if zone is None:
        return seconds
    # Absolute times are at most a day from civil ones.
    times, offsets = _changes(zone, np.concatenate([seconds - DAY, seconds + DAY]))
    # Between `first` and `last` of a change, clocks show nothing or everything twice.
    first = times + np.minimum(offsets[:-1], offsets[1:])
    last = times + np.maximum(offsets[:-1], offsets[1:])
    passed = np.searchsorted(last, seconds, "right")
    inside = np.zeros(len(seconds), bool)
    near = passed < len(times)
    inside[near] = seconds[near] >= first[passed[near]]
    change = np.minimum(passed, max(len(times) - 1, 0))
    skips = inside & (offsets[change + 1] > offsets[change]) if len(times) else inside
    if skips.any():
        _refuse(seconds, zone, skips, numbers, first[change], last[change])
    later = np.zeros(len(seconds), bool)
    (twice,) = np.nonzero(inside)
    if len(twice):
        whose = np.zeros(len(seconds), np.int64) if series is None else series
        later[twice] = _is_later(seconds, whose, change, twice)
    return seconds - offsets[passed + later]


def shown_twice(seconds: NDArray[np.float64], zone: str | None) -> NDArray[np.bool_]:
    """(n,) which absolute times have an hour of an autumn night that clocks show twice."""
    if zone is None:
        return np.zeros(len(seconds), bool)
    times, offsets = _changes(zone, seconds)
    back = np.flatnonzero(offsets[1:] < offsets[:-1])
    found = np.zeros(len(seconds), bool)
    for i in back.tolist():
        length = offsets[i] - offsets[i + 1]
        found |= np.abs(seconds - times[i] + 0.5) < length
    return found


def _is_later(
    seconds: NDArray[np.float64],
    series: NDArray[np.int64],
    change: NDArray[np.int64],
    twice: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Of times that are shown twice, which are meant the second time."""
    backwards = _run_backwards(seconds, series)
    nights: dict[tuple[int, int], list[int]] = {}
    for place, i in enumerate(twice.tolist()):
        nights.setdefault((int(series[i]), int(change[i])), []).append(place)
    found = np.zeros(len(twice), bool)
    for (whose, _), places in nights.items():
        if whose in backwards:
            places.reverse()
        seen: set[float] = set()
        latest = -np.inf
        for place in places:
            time = float(seconds[twice[place]])
            found[place] = time in seen or time < latest
            seen.add(time)
            latest = max(latest, time)
    return found


def _run_backwards(seconds: NDArray[np.float64], series: NDArray[np.int64]) -> set[int]:
    """Series whose times mostly go back."""
    order = np.argsort(series, kind="stable")
    same = series[order][1:] == series[order][:-1]
    with np.errstate(invalid="ignore"):
        signs = np.sign(np.diff(seconds[order]))
    signs = np.where(same & ~np.isnan(signs), signs, 0.0)
    sums = np.bincount(series[order][1:], weights=signs) if len(signs) else np.zeros(0)
    return {*np.flatnonzero(sums < 0).tolist()}


def _refuse(
    seconds: NDArray[np.float64],
    zone: str,
    skips: NDArray[np.bool_],
    numbers: NDArray[np.int64] | None,
    first: NDArray[np.float64],
    last: NDArray[np.float64],
) -> None:
    rows = np.flatnonzero(skips)
    i = int(rows[0])
    row = i + 1 if numbers is None else int(numbers[i])
    others = f", and {len(rows) - 1} other rows likewise" if len(rows) > 1 else ""
    raise InputError(
        f"row {row} has the time {_shown(seconds[i])}, which clocks in {zone} never showed: they "
        f"went from {_shown(first[i])[11:16]} to {_shown(last[i])[11:16]}{others}",
        hint="if these are times of UTC or of another place, set timezone to that; a clock that "
        "is not set forward in summer has a distance, such as timezone=+01:00",
    )


def _shown(seconds: float) -> str:
    return str(np.datetime64(int(seconds), "s")).replace("T", " ")


def _changes(
    zone: str, seconds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) when clocks changed, and (n + 1,) their distances to UTC between, near some times."""
    sound = seconds[~np.isnan(seconds)]
    ends = np.array([sound.min(), sound.max()] if len(sound) else [0.0, 0.0])
    years = np.floor(ends).astype("datetime64[s]").astype("datetime64[Y]").astype(int) + 1970
    first, last = (int(np.clip(year, _FIRST, _LAST)) for year in years)
    place = zone_of(zone)
    times: list[int] = []
    offsets = [_offset(place, _begin(first))]
    for year in range(first, last + 1):
        for time, offset in _of_year(zone, year):
            times.append(time)
            offsets.append(offset)
    return np.array(times, np.float64), np.array(offsets, np.float64)


@lru_cache(4096)
def _of_year(zone: str, year: int) -> tuple[tuple[int, float], ...]:
    """When clocks changed in a year of UTC, and their distance to UTC since."""
    place = zone_of(zone)
    end = _begin(year + 1)
    found: list[tuple[int, float]] = []
    low = _begin(year)
    while low < end:
        high = min(low + _APART, end)
        offset = _offset(place, high)
        if offset != _offset(place, low):
            before, after = low, high
            while after - before > 1:
                middle = (before + after) // 2
                if _offset(place, middle) == offset:
                    after = middle
                else:
                    before = middle
            found.append((after, offset))
        low = high
    return tuple(found)


def _begin(year: int) -> int:
    return int(np.datetime64(f"{year}", "s").astype(np.int64))


def _offset(place: tzinfo, seconds: int) -> float:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    distance = moment.astimezone(place).utcoffset()
    return 0.0 if distance is None else distance.total_seconds()
