"""Times in the cells of a table, however they are written, as seconds since 1970.

    2024-03-05   2024/3/5 9:05   2024.3.5.   2024년 3월 5일   20240305   2024-03
    5.3.2024   3/5/2024 9:05 PM   5-Mar-24   March 5, 2024   2024-03-05T09:05:00+09:00
    Mar 2024   2024 March   2024Q1   Q1 2024   2024년 1분기   2024-W05   2024년 5주차
    2024-03-05(화)   2024-03-05 오후 2:05   2024-03-05 24:00   2024년 3월 5일 화요일 14시 5분
    Mar-5-2024   Tue, 5 Mar 2024 09:05:00 +0900   24년 3월 5일   2024M03   202403050905

What is ambiguous, 3/5/2024, is told by an order that holds for the whole column. Midnight may be
the 24th hour of the day before, as in records of stations.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.runtime.cells import MISSING, is_missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDERS = ("ymd", "dmy", "mdy")
"""How dates may be written: year, month, day, or with the year last."""

SHORT = "yymd"
"""Another one, of series alone: the year first, in two digits."""

PARTS = ("since", "month", "day", "weekday", "hour", "year_sin", "year_cos")
"""The numbers that a time is taken apart into."""

DAY = 86_400.0
"""Seconds."""

MOST_REMEMBERED = 1 << 16
"""Different texts of a column that are read once."""

YEARS = (1900, 2100)
"""Between which 20240305 is a day."""

_LONGEST = 64
_FARTHEST = 1e4
_PIVOT = 69
"""Years of two digits from this one on are of the last century, as in POSIX."""
_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_MONTHS = tuple(name[:3] for name in _MONTH_NAMES)
_DIGITS = (8, 10, 12, 14)
"""How many are a day, and one with its hour, minute and second."""
_YEAR_FIRST = re.compile(r"(\d{4})\s?[-/.년]\s?(\d{1,2})(?:\s?[-/.월]\s?(\d{1,2})\s?[.일]?|\s?월)?")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/.] ?(\d{1,2})[-/.] ?(\d{4}|\d\d)")
_DAY_AND_NAME = re.compile(r"(\d{1,2})[-. ]{1,2}([a-zA-Z]{3,9})[-,. ]{1,2}(\d{4}|\d\d)")
_NAME_AND_DAY = re.compile(r"([a-zA-Z]{3,9})\.?[-/ ](\d{1,2})(?:, ?|[-/ ])(\d{4})")
_NAME_AND_YEAR = re.compile(r"([a-zA-Z]{3,9})\.?[-/, ]{1,2}(\d{4})")
_YEAR_AND_NAME = re.compile(r"(\d{4})[-/. ]{1,2}([a-zA-Z]{3,9})\.?")
_YEAR_AND_QUARTER = re.compile(r"(\d{4})(?:[-/. ]?[qQ]([1-4])|년 ?([1-4])(?:/4)? ?분기)")
_QUARTER_AND_YEAR = re.compile(r"(?:[qQ]([1-4])|([1-4])[qQ])[-/. ]?(\d{4})")
_YEAR_AND_MONTH = re.compile(r"(\d{4})[-/. ]?[mM](\d{1,2})")
_SHORT_YEAR_SAID = re.compile(r"(\d\d)년 ?(\d{1,2})월(?: ?(\d{1,2})일)?")
_SHORT_YEAR_FIRST = re.compile(r"(\d\d)[-/.] ?(\d{1,2})[-/.] ?(\d{1,2})\.?")
_YEAR_AND_WEEK = re.compile(r"(\d{4})(?:[-/. ]?[wW](\d{1,2})|년 ?(\d{1,2})주차?)")
_WEEKDAY = re.compile(
    r" ?\((?:[월화수목금토일](?:요일)?|(?i:mon|tue|wed|thu|fri|sat|sun))\)| ?[월화수목금토일]요일"
)
_WEEKDAY_FIRST = re.compile(
    r"(?i:mon|tue|tues|wed|wednes|thu|thurs|fri|sat|satur|sun)(?i:day)?[,.]? (?=.*\d)"
)
_HOURS = re.compile(r"(\d{1,2})시(?: ?(\d{1,2})분)?(?: ?(\d{1,2})초)?")
_HALVES = {"오전": "a", "오후": "p"}
_CLOCK = re.compile(
    r"(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"(?: ?([aApP])\.?[mM]\.?)?(?: ?(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?"
)


@dataclass(frozen=True)
class Times:
    """Cells as times.

    Attributes:
        seconds: since 1970; NaN where there is none. Without a zone, as in UTC.
        bad: which of these hold something else.
        offsets: seconds that the clocks of their zone are before UTC; NaN where there is no zone.
    """

    seconds: NDArray[np.float64]
    bad: NDArray[np.bool_]
    offsets: NDArray[np.float64]

    @property
    def zoned(self) -> NDArray[np.bool_]:
        """Which have a zone."""
        return ~np.isnan(self.offsets)


def read_times(values: Sequence[Any], order: str = "ymd") -> Times:
    """Cells as times.

    >>> read_times(["1970-01-02", "1970/1/1 00:01", "soon"]).seconds.tolist()
    [86400.0, 60.0, nan]

    Args:
        values: datetimes, dates, or texts.
        order: one of ORDERS.
    """
    count = len(values)
    found = Times(np.full(count, math.nan), np.zeros(count, bool), np.full(count, math.nan))
    known: dict[str, tuple[float, float] | None] = {}
    for i, value in enumerate(values):
        if is_missing(value):
            continue
        if not isinstance(value, str):
            time = _time(value, order)
        elif value in known:
            time = known[value]
        else:
            is_none = value.strip().lower() in MISSING
            time = (math.nan, math.nan) if is_none else _time(value, order)
            if len(known) < MOST_REMEMBERED:
                known[value] = time
        if time is None:
            found.bad[i] = True
        else:
            found.seconds[i], found.offsets[i] = time
    return found


def are_days(values: Sequence[Any] | NDArray[Any]) -> bool:
    """Whether numbers, or texts of digits, are days such as 20240305, and several of them.

    Hours, minutes and seconds may follow in two digits each, as in 202403050905.

    >>> are_days(["20240305", "20240306", "20231231"]), are_days([20240305, 20240399])
    (True, False)
    >>> are_days([2024030522, 2024030523, 2024030600])
    True
    """
    try:
        found = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return False
    if found.ndim != 1 or len(np.unique(found[:1000])) < 3 or not np.isfinite(found).all():
        return False
    digits = len(f"{found[0]:.0f}")
    if digits not in _DIGITS or (found != np.floor(found)).any():
        return False
    sound = np.ones(len(found), bool)
    for most in (60, 60, 24)[(14 - digits) // 2 :]:
        found, part = np.divmod(found, 100)
        sound &= part < most
    years, rest = np.divmod(found, 10_000)
    months, days = np.divmod(rest, 100)
    first, last = YEARS
    sound &= (years >= first) & (years < last) & (months >= 1) & (months <= 12)
    return bool((sound & (days >= 1) & (days <= 31)).all())


def taken_apart(
    seconds: NDArray[np.float64], low: float, high: float
) -> dict[str, NDArray[np.float64]]:
    """The PARTS of times, each of a size about 1."""
    stamps = np.floor(seconds).astype("int64").astype("datetime64[s]")
    days = stamps.astype("datetime64[D]")
    months, years = stamps.astype("datetime64[M]"), stamps.astype("datetime64[Y]")
    of_year = (days - years.astype("datetime64[D]")).astype(np.float64)
    turn = 2 * np.pi * of_year / 365.25
    weekday = (days.astype(np.int64) + 3) % 7
    since = (seconds - (low + high) / 2) / (max(high - low, DAY) / 2)
    return {
        "since": np.clip(since, -_FARTHEST, _FARTHEST),
        "month": ((months - years.astype("datetime64[M]")).astype(np.float64) - 5.5) / 3.5,
        "day": ((days - months.astype("datetime64[D]")).astype(np.float64) - 15) / 8.8,
        "weekday": (weekday.astype(np.float64) - 3) / 2,
        "hour": (np.mod(seconds, DAY) / 3600 - 11.5) / 6.9,
        "year_sin": np.sin(turn),
        "year_cos": np.cos(turn),
    }


def _time(value: Any, order: str) -> tuple[float, float] | None:
    """Seconds, and how far its zone is before UTC, NaN without one; None if it is no time."""
    if isinstance(value, np.datetime64):
        return float(value.astype("datetime64[us]").astype(np.int64)) / 1e6, math.nan
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    elif isinstance(value, int | float | np.number) and not isinstance(value, bool):
        digits = f"{value:.1f}".removesuffix(".0") if 0 < value < 1e14 else ""
        value = _read(digits, order) if len(digits) in _DIGITS and digits.isdecimal() else None
    elif isinstance(value, str):
        value = _read(" ".join(value.split()), order) if len(value) <= _LONGEST else None
    if not isinstance(value, datetime):
        return None
    try:
        offset = value.utcoffset()
        if offset is None:
            return value.replace(tzinfo=UTC).timestamp(), math.nan
        return value.timestamp(), offset.total_seconds()
    except (OverflowError, ValueError, OSError):
        return None


def _read(text: str, order: str) -> datetime | None:
    if "(" in text or "요일" in text:
        text = _WEEKDAY.sub("", text)
    if "시" in text and (hours := _HOURS.search(text)):
        minutes, rest = (int(hours[i] or 0) for i in (2, 3))
        text = f"{text[: hours.start()]}{hours[1]}:{minutes:02}:{rest:02}{text[hours.end() :]}"
    elif len(text) in _DIGITS[1:] and text.isdecimal():
        text = f"{text[:8]} {text[8:10]}:{text[10:12] or '00'}:{text[12:] or '00'}"
    elif first := _WEEKDAY_FIRST.match(text):
        text = text[first.end() :]
    colon = text.find(":")
    clock = None
    if colon > 0:
        start = colon - (2 if text[max(colon - 2, 0)].isdigit() else 1)
        clock = _CLOCK.fullmatch(text, start)
        if clock is None or start == 0:
            return _iso(text)
        text = text[:start].rstrip("Tt, ")
    half = _HALVES.get(text[-2:]) if clock else None
    if half is not None:
        text = text[:-2].rstrip()
    parts = _date(text, order)
    if parts is None:
        return None if clock else _iso(text)
    try:
        return _with_clock(datetime(*parts), clock, half)
    except (ValueError, OverflowError):
        return None


def _date(text: str, order: str) -> tuple[int, int, int] | None:
    """Year, month and day."""
    if found := _YEAR_FIRST.fullmatch(text):
        return int(found[1]), int(found[2]), int(found[3] or 1)
    if order in ("dmy", "mdy") and (found := _YEAR_LAST.fullmatch(text)):
        day, month = (found[1], found[2]) if order == "dmy" else (found[2], found[1])
        return _year(found[3]), int(month), int(day)
    if (order == SHORT and (found := _SHORT_YEAR_FIRST.fullmatch(text))) or (
        found := _SHORT_YEAR_SAID.fullmatch(text)
    ):
        return _year(found[1]), int(found[2]), int(found[3] or 1)
    if found := _DAY_AND_NAME.fullmatch(text):
        day, name, year = found.groups()
    elif found := _NAME_AND_DAY.fullmatch(text):
        name, day, year = found.groups()
    elif len(text) == 8 and text.isdecimal():
        return int(text[:4]), int(text[4:6]), int(text[6:])
    else:
        return _month_or_quarter(text) or _week(text)
    short = name[:3].lower()
    return (_year(year), _MONTHS.index(short) + 1, int(day)) if short in _MONTHS else None


def _month_or_quarter(text: str) -> tuple[int, int, int] | None:
    """The first day of a month, or of a quarter, of a year."""
    if found := _NAME_AND_YEAR.fullmatch(text):
        name, year = found.groups()
    elif found := _YEAR_AND_NAME.fullmatch(text):
        year, name = found.groups()
    elif found := _YEAR_AND_QUARTER.fullmatch(text):
        return int(found[1]), 3 * int(found[2] or found[3]) - 2, 1
    elif found := _QUARTER_AND_YEAR.fullmatch(text):
        return int(found[3]), 3 * int(found[1] or found[2]) - 2, 1
    elif found := _YEAR_AND_MONTH.fullmatch(text):
        return int(found[1]), int(found[2]), 1
    else:
        return None
    # Mark 2000 is no time in March.
    name = name.lower()
    month = next((i for i, one in enumerate(_MONTH_NAMES) if name in (one, one[:3])), None)
    if name == "sept":
        month = 8
    return None if month is None else (int(year), month + 1, 1)


def _week(text: str) -> tuple[int, int, int] | None:
    """The Monday of a week of a year, as ISO 8601 counts them."""
    found = _YEAR_AND_WEEK.fullmatch(text)
    if found is None:
        return None
    try:
        monday = date.fromisocalendar(int(found[1]), int(found[2] or found[3]), 1)
    except ValueError:
        return None
    return monday.year, monday.month, monday.day


def _with_clock(
    day: datetime, clock: re.Match[str] | None, half_before: str | None = None
) -> datetime:
    if clock is None:
        return day
    hour, minute, second, fraction, half, zone = clock.groups()
    if half_before is not None:
        if half is not None:
            raise ValueError("two halves of a day")
        half = half_before
    hours = int(hour)
    if half is None and hours == 24 and not any(map(int, (minute, second or 0, fraction or 0))):
        day, hours = day + timedelta(1), 0
    if half is not None:
        if not 1 <= hours <= 12:
            raise ValueError(f"{hours} is no hour of a half day")
        hours = hours % 12 + (12 if half in "pP" else 0)
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    return day.replace(
        hour=hours,
        minute=int(minute),
        second=int(second or 0),
        microsecond=micro,
        tzinfo=None if zone is None else _zone(zone),
    )


def _zone(text: str) -> timezone:
    if text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "")
    minutes = 60 * int(digits[:2]) + int(digits[2:] or 0)
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _year(text: str) -> int:
    year = int(text)
    return year if len(text) == 4 else year + (1900 if year >= _PIVOT else 2000)


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
