"""A column of times, or of what counts steps, read at once.

What `silmu.runtime.times` reads cell by cell is read here a column at a time, where many cells are
written alike. Beside, whole numbers may be times: years, months such as 202403, what has passed
since 1970, or the numbers of steps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.runtime import cells
from silmu.runtime.times import Times, are_days, read_times

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.uint32]

EPOCHS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""What may have passed since 1970, and how many of it a second has."""

TIME, COUNT, SERIAL = ("time", ""), ("count", ""), ("serial", "")
"""How a column is written: as times are, as numbers of steps, or as a spreadsheet numbers days."""

SERIALS = (20_000, 80_000)
"""Days of a spreadsheet of 1954 and of 2119."""
_SERIAL_ZERO = -25_569 * 86_400.0
"""30 December 1899, whose number in a spreadsheet is 0, as seconds since 1970."""

MOST = 1e15
"""The largest number of a step."""

_BEGIN, _END = -62_135_596_800.0, 253_402_300_800.0
"""The seconds since 1970 of the years 1 and 10,000."""
_YEARS = (1000, 2300)
_SINCE = (3e8, 8e9)
"""Seconds since 1970 of 1979 and of 2223."""
_LONGEST = 35
_FEW = 200
"""Cells that are written alike, from which on they are read at once."""
_CLOCK = (
    r"(?:[T ](?P<H>00?):(?P<M>00)(?::(?P<S>00)(?:[.,](?P<f>0{1,6})0{0,3})?)?"
    r"(?: ?(?P<half>[aApP])[mM])?(?: ?(?P<zone>Z|(?P<sign>[+-])(?P<zh>00)(?::?(?P<zm>00))?))?)?"
)
_YMD = r"(?P<y>0000)(?P<mark>[-/.])(?P<m>00?)(?P=mark)(?P<d>00?)"
_DMY = r"(?P<d>00?)(?P<mark>[-/.])(?P<m>00?)(?P=mark)(?P<y>0000)"
_MDY = r"(?P<m>00?)(?P<mark>[-/.])(?P<d>00?)(?P=mark)(?P<y>0000)"
_FORMS = {
    "ymd": re.compile(_YMD + _CLOCK),
    "dmy": re.compile(_DMY + _CLOCK),
    "mdy": re.compile(_MDY + _CLOCK),
}


def how_written(values: Sequence[Any] | NDArray[Any]) -> tuple[str, str]:
    """How a column of times is written, as `Layout.written` holds it.

    >>> how_written(["2024-03-05"]), how_written(["1700", "1701"]), how_written([0, 1, 2])
    (('time', ''), ('year', ''), ('count', ''))
    >>> how_written([1_709_596_800, 1_709_596_860]), how_written(["202401", "202402", "202403"])
    (('since', 's'), ('month', ''))
    >>> how_written([2024030522, 2024030523, 2024030600])
    ('time', '')
    """
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return TIME
    if not isinstance(values, np.ndarray):
        first = next((value for value in values if not cells.is_missing(value)), None)
        if not isinstance(first, str | int | float | np.number):
            return TIME
    if cells.numbers(without_empty(values[:_FEW]))[1].any():
        return TIME
    found, bad = cells.numbers(without_empty(values))
    there = found[~np.isnan(found)]
    if bad.any() or not len(there):
        return TIME
    low, high = float(there.min()), float(there.max())
    is_whole = bool((there == np.floor(there)).all())
    if is_whole and are_days(there):  # before seconds: 2024030522 is a night, not one of 2034
        return TIME
    for name, parts in EPOCHS.items():
        # Seconds may have parts, as in 1709596800.25.
        if _SINCE[0] * parts <= low and high <= _SINCE[1] * parts and (is_whole or parts == 1):
            return ("since", name)
    if not is_whole:
        return TIME
    if low >= _YEARS[0] and high < _YEARS[1]:
        return ("year", "")
    if low >= 100 * _YEARS[0] and high < 100 * _YEARS[1] and len(np.unique(there[:1000])) > 2:
        months = there % 100
        if ((months >= 1) & (months <= 12)).all():
            return ("month", "")
    return COUNT if low >= 0 else TIME


def is_written(how: tuple[str, str]) -> bool:
    """Whether `how_written` may have told it.

    >>> is_written(("since", "ms")), is_written(("since", "weeks"))
    (True, False)
    """
    kind, unit = how
    known = (TIME, COUNT, SERIAL, ("year", ""), ("month", ""))
    return unit in EPOCHS if kind == "since" else how in known


def read_stamps(
    values: Sequence[Any] | NDArray[Any], order: str, written: tuple[str, str]
) -> Times:
    """Cells as times, or as numbers of steps.

    >>> read_stamps(["1970-01-02T00:00:00+09:00"], "ymd", TIME).seconds.tolist()
    [54000.0]
    >>> read_stamps([1970, 1971], "ymd", ("year", "")).seconds.tolist()
    [0.0, 31536000.0]

    Args:
        values: cells.
        order: of ambiguous dates, one of `times.ORDERS`.
        written: what `how_written` told.
    """
    kind, unit = written
    if kind == "time":
        times = _read_times(values, order)
        seconds, bad = _bounded(times.seconds, times.bad)
        return Times(seconds, bad, np.where(bad, math.nan, times.offsets))
    found, bad = cells.numbers(without_empty(values))
    if kind == "since":
        seconds, bad = _bounded(found / EPOCHS[unit], bad)
        return Times(seconds, bad, np.where(np.isnan(seconds), np.nan, 0.0))
    if written == SERIAL:
        # To the second, as fractions of a day are rounded in files.
        seconds, bad = _bounded(np.round(found * 86_400.0) + _SERIAL_ZERO, bad)
        return Times(seconds, bad, np.full(len(found), math.nan))
    bad = bad | (found < 0) | (found > MOST) | (found != np.floor(found)) & ~np.isnan(found)
    if kind != "count":
        years, months = (found, np.ones_like(found)) if kind == "year" else np.divmod(found, 100)
        bad |= (years < 1) | (years > 9999) | (months < 1) | (months > 12)
        sound = ~bad & ~np.isnan(found)
        numbers = np.where(sound, 12 * (years - 1970) + months - 1, 0).astype(np.int64)
        seconds = numbers.astype("datetime64[M]").astype("datetime64[s]").astype(np.float64)
        found = np.where(sound, seconds, np.nan)
    return Times(np.where(bad, np.nan, found), bad, np.full(len(found), math.nan))


def as_written(seconds: NDArray[np.float64], written: tuple[str, str]) -> list[int] | None:
    """Times as the numbers by which a column told its own; None where it told them otherwise.

    >>> as_written(np.array([1_735_689_600.0]), ("year", ""))
    [2025]
    >>> as_written(np.array([1_735_689_600.0]), ("since", "ms"))
    [1735689600000]

    Args:
        seconds: since 1970, (n,).
        written: what `how_written` told.
    """
    kind, unit = written
    if kind == "since":
        # Milliseconds are the shortest steps that there are.
        millis = np.round(seconds * 1000).astype(np.int64)
        if unit != "s":
            return (millis * round(EPOCHS[unit] / 1000)).tolist()
        return None if (millis % 1000).any() else (millis // 1000).tolist()
    if kind not in ("year", "month"):
        return None
    months = np.floor(seconds).astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    years = 1970 + months // 12
    return (years if kind == "year" else 100 * years + months % 12 + 1).tolist()


def without_empty(values: Sequence[Any] | NDArray[Any]) -> Sequence[Any] | NDArray[Any]:
    """Cells with None for empty texts, so that a column of numbers can be read at once.

    >>> without_empty(["1", "", "3"])
    ['1', None, '3']
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufb":
        return values
    return [None if isinstance(value, str) and not value else value for value in values]


def _read_times(values: Sequence[Any] | NDArray[Any], order: str) -> Times:
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return _without_zone(values)
    cells_of: list[Any] = values.tolist() if isinstance(values, np.ndarray) else [*values]
    kinds = {*map(type, cells_of)}
    if kinds <= {date, type(None)} or (
        kinds <= {datetime, type(None)}
        and all(one is None or one.tzinfo is None for one in cells_of)
    ):
        return _without_zone(np.array(cells_of, "datetime64[us]"))
    if str not in kinds:
        return read_times(cells_of, order)
    texts = np.array(
        [one if isinstance(one, str) and len(one) <= _LONGEST else "" for one in cells_of]
    )
    seconds, offsets, done = _quick(texts, order)
    (left,) = np.nonzero(~done)
    if len(left):
        rest = read_times([cells_of[i] for i in left.tolist()], order)
        seconds[left], offsets[left] = rest.seconds, rest.offsets
        bad = np.zeros(len(texts), bool)
        bad[left] = rest.bad
        return Times(seconds, bad, offsets)
    return Times(seconds, np.zeros(len(texts), bool), offsets)


def _without_zone(stamps: NDArray[Any]) -> Times:
    none = np.isnat(stamps)
    micros = stamps.astype("datetime64[us]").astype(np.int64)
    seconds = np.where(none, math.nan, micros / 1e6)
    return Times(seconds, np.zeros(len(stamps), bool), np.full(len(stamps), math.nan))


def _bounded(
    seconds: NDArray[np.float64], bad: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Seconds of the years 1 to 9999, as Python's datetimes are, and which are none."""
    bad = bad | (seconds < _BEGIN) | (seconds >= _END)
    return np.where(bad, math.nan, seconds), bad


def _quick(
    texts: NDArray[np.str_], order: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Seconds and offsets of texts, and which were read: those of forms that many share."""
    count = len(texts)
    seconds, offsets = np.full(count, math.nan), np.full(count, math.nan)
    done = np.zeros(count, bool)
    width = texts.dtype.itemsize // 4
    if count < _FEW or width < 8:
        return seconds, offsets, done
    codes = np.ascontiguousarray(texts).view(np.uint32).reshape(count, width)
    is_digit = (codes >= 48) & (codes <= 57)
    shapes = np.where(is_digit, np.uint32(48), codes)
    left = np.flatnonzero(codes[:, 0] != 0)
    while len(left) >= _FEW:
        shape = shapes[left[len(left) // 2]]
        alike = (shapes[left] == shape).all(axis=1)
        own, left = left[alike], left[~alike]
        if len(own) < _FEW // 10:
            break
        form = _form("".join(map(chr, shape[shape > 0].tolist())), order)
        if form is None:
            continue
        read, offset, sound = _of_form(codes[own], form)
        seconds[own[sound]], offsets[own[sound]] = read[sound], offset
        done[own[sound]] = True
    return seconds, offsets, done


def _form(shape: str, order: str) -> re.Match[str] | None:
    """What the digits of a text mean, all of which are written as 0."""
    found = _FORMS["ymd"].fullmatch(shape)
    return found if found or order not in _FORMS else _FORMS[order].fullmatch(shape)


def _of_form(codes: Codes, form: re.Match[str]) -> tuple[Any, Any, NDArray[np.bool_]]:
    """Seconds and offsets of texts of one form, and which are times."""

    def number(name: str, least: int = 0) -> NDArray[np.int64]:
        start, end = form.span(name)
        found = np.zeros(len(codes), np.int64)
        for i in range(start, end):
            found = 10 * found + (codes[:, i].astype(np.int64) - 48)
        return found if end > start else found + least

    years, months, days = number("y"), number("m"), number("d")
    hours, minutes, rest = number("H"), number("M"), number("S")
    sound = (years >= 1) & (months >= 1) & (months <= 12) & (days >= 1)
    if half := form["half"]:
        sound &= (hours >= 1) & (hours <= 12)
        hours = hours % 12 + (12 if half in "pP" else 0)
    is_midnight = (hours == 24) & (minutes == 0) & (rest == 0)
    if form["half"] or form["f"]:
        is_midnight[:] = False
    sound &= ((hours < 24) | is_midnight) & (minutes < 60) & (rest < 60)
    since = np.where(sound, 12 * (years - 1970) + months - 1, 0)
    first, after = (
        (since + i).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for i in (0, 1)
    )
    sound &= days <= after - first
    seconds = ((first + days - 1) * 86_400 + hours * 3600 + minutes * 60 + rest).astype(np.float64)
    if fraction := form["f"]:
        seconds += number("f") / 10.0 ** len(fraction)
    if not form["zone"]:
        return seconds, math.nan, sound
    sign = -1.0 if form["sign"] == "-" else 1.0
    offset = sign * (3600.0 * number("zh") + 60.0 * number("zm"))
    sound &= np.abs(offset) < 86_400
    return seconds - offset, offset[sound], sound
