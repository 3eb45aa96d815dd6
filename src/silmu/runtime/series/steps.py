"""The steps of a regular series: a name, a number for each time, a time for each number.

    5min   1h   D   2D   B (business days)   W   M   Q   Y   30s   100ms   1 (rows without times)

Steps are counted from the year 1, so that all numbers are positive, and equal times have equal
numbers in all series. Of steps of a day and longer, times are civil: what a calendar shows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from silmu.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNITS = (
    *("millisecond", "second", "day", "business day", "week", "month", "quarter", "year"),
    "count",
)

PASSING = ("millisecond", "second")
"""Units of the time that passes, whatever calendars and clocks show."""

DAY = 86_400
ORIGIN = 719_162
"""Days from the first of the year 1, a Monday, to 1970."""

LARGEST = 10_000
"""Of most units a step has fewer."""

NEAR_WHOLE = 0.05
"""Times that are nearer to a whole millisecond are of it: a float of seconds tells less than one
from another, and its last bits are not to decide which step a time is of."""

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_WORDS = ((DAY, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_SECONDS = {"h": 3600, "min": 60, "s": 1}
_SHORT = {"day": "D", "business day": "B", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}
_UNITS = {short: unit for unit, short in _SHORT.items()}
_SAID = {
    **dict.fromkeys(("millisecond", "milliseconds", "milli", "millis", "L"), "ms"),
    **dict.fromkeys(("hour", "hours", "hourly", "H"), "h"),
    **dict.fromkeys(("minute", "minutes", "minutely", "T"), "min"),
    **dict.fromkeys(("second", "seconds", "S", "sec"), "s"),
    **dict.fromkeys(("day", "days", "daily", "d"), "D"),
    **dict.fromkeys(("business day", "business days", "b"), "B"),
    **dict.fromkeys(("week", "weeks", "weekly", "w"), "W"),
    **dict.fromkeys(("month", "months", "monthly", "MS"), "M"),
    **dict.fromkeys(("quarter", "quarters", "quarterly", "QS", "q"), "Q"),
    **dict.fromkeys(("year", "years", "yearly", "annual", "YS", "AS", "A", "y"), "Y"),
}
_ENDS = {"ME": "M", "QE": "Q", "YE": "Y", "AE": "Y"}
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_TEXT = re.compile(r"(\d{0,9}) ?([A-Za-z]+(?: [a-z]+)?)?(?:-([A-Z]{3}))?(?:@(\d{1,9}))?")
_LONGEST_SEASON = 1500


@final
@dataclass(frozen=True)
class Step:
    """The distance of neighbours in a regular series.

    >>> day = Step.parse("D")
    >>> index = day.index(np.array([0.0, 90_000.0]))
    >>> index.tolist(), day.times(index).tolist(), day.seasons, day.words
    ([719162, 719163], [0.0, 86400.0], (7, 365), '1 day')

    Attributes:
        unit: one of UNITS.
        size: how many units.
        anchor: where in a step its time lies. Milliseconds, of these; seconds, of seconds and
            days; days after Monday, of weeks; of business days, the weekday that begins a week of
            five; of months, quarters and years, the day of the month, 0 for its last, and 100 for
            each month before it.
    """

    unit: str
    size: int = 1
    anchor: int = 0

    def __post_init__(self) -> None:
        most = {"second": 100 * 366 * DAY, "millisecond": 1000 * DAY}.get(self.unit, LARGEST)
        longer = {"second": DAY, "millisecond": 1000}.get(self.unit, most)
        is_longer = self.size % longer == 0
        if self.unit not in UNITS or not 0 < self.size < most or is_longer or not self._is_anchor():
            raise ValueError(f"{self!r} is no step")

    @classmethod
    def parse(cls, text: str) -> Step:
        """A step from its name, also from that which pandas gives it.

        >>> Step.parse("90min"), Step.parse("month"), Step.parse("ME"), Step.parse("W-SUN")
        ... # doctest: +NORMALIZE_WHITESPACE
        (Step(unit='second', size=5400, anchor=0), Step(unit='month', size=1, anchor=1),
         Step(unit='month', size=1, anchor=0), Step(unit='week', size=1, anchor=6))

        Raises:
            UsageError: there is no such step.
        """
        found = _TEXT.fullmatch(text.strip())
        try:
            if found is None or not found[0]:
                raise ValueError("it is not written like one")
            return cls._parsed(int(found[1] or 1), found[2] or "", found[3], found[4])
        except (ValueError, KeyError):
            raise UsageError(
                f"step is {text!r}; it may be 100ms, 30s, 5min, 1h, D (days), B (business days), "
                "W (weeks), M (months), Q (quarters), Y (years), each with a number before it, "
                "or 1 for rows without times"
            ) from None

    @classmethod
    def _parsed(cls, size: int, name: str, weekday: str | None, anchor: str | None) -> Step:
        said = _SAID.get(name) or _SAID.get(name.lower(), name)
        at_end = said in _ENDS
        said = _ENDS.get(said, said)
        if said == "ms" and size % 1000 == 0:
            said, size = "s", size // 1000
        if said == "ms":
            unit = "millisecond"
        elif said in _SECONDS:
            unit, size = "second", size * _SECONDS[said]
            if size % DAY == 0:
                unit, size = "day", size // DAY
        else:
            unit = _UNITS[said] if said else "count"
        for shorter, longer, times in (
            ("day", "week", 7),
            ("month", "year", 12),
            ("month", "quarter", 3),
            ("quarter", "year", 4),
        ):
            if unit == shorter and size % times == 0 and anchor is None and not at_end:
                unit, size = longer, size // times
        if weekday is not None and unit != "week":
            raise ValueError(f"{unit} has no weekday")
        if anchor is not None:
            place = int(anchor)
        elif weekday is not None:
            place = _WEEKDAYS.index(weekday)
        elif at_end:
            place = 100 * (size * _MONTHS[unit] - 1)
        else:
            place = _plain(unit)
        return cls(unit, size, place)

    def to_text(self) -> str:
        """Its name, which `parse` reads back.

        >>> Step("second", 300).to_text(), Step("week", 2).to_text(), Step("month").to_text()
        ('5min', '2W', 'M@0')
        """
        if self.unit == "second":
            name, unit = next((k, v) for k, v in _SECONDS.items() if self.size % v == 0)
            text = f"{self.size // unit}{name}"
        elif self.unit == "millisecond":
            text = f"{self.size}ms"
        elif self.unit == "count":
            text = str(self.size)
        else:
            text = f"{'' if self.size == 1 else self.size}{_SHORT[self.unit]}"
        canonical = self.anchor == _plain(self.unit) and _is_canonical(self.unit, self.size)
        return text if canonical else f"{text}@{self.anchor}"

    @property
    def is_civil(self) -> bool:
        """Whether it counts what a calendar shows, and not seconds that pass."""
        return self.unit not in (*PASSING, "count")

    @property
    def is_plain(self) -> bool:
        """Whether its anchor is the one that `parse` gives if none is told."""
        return self.anchor == _plain(self.unit)

    @property
    def seconds(self) -> float:
        """How long it lasts, about; 1 for counts."""
        days = {"day": 1, "business day": 1.4, "week": 7, "month": 30.4369, "quarter": 91.3106}
        if self.unit in ("second", "count"):
            return float(self.size)
        if self.unit == "millisecond":
            return self.size / 1000
        return self.size * days.get(self.unit, 365.2425) * DAY

    def index(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """The numbers of the steps that times fall into.

        Args:
            seconds: (n,) since 1970: civil, if `is_civil`, else absolute; of counts, numbers.
        """
        if self.unit == "count":
            return _floor(seconds / self.size)
        if self.unit in (*PASSING, "day"):
            passed = milliseconds(seconds) if self.unit == "millisecond" else seconds
            return _floor((passed - self.anchor) / self._span) + self._shift
        days = _floor(seconds / DAY) + ORIGIN
        if self.unit == "week":
            return (days - self.anchor) // (7 * self.size) + 1
        if self.unit == "business day":
            weeks, weekday = np.divmod(days - self.anchor, 7)
            return (5 * (weeks + 1) + np.minimum(weekday, 4)) // self.size
        months = (days - ORIGIN).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        return (months + 12 * 1969) // (self.size * _MONTHS[self.unit])

    def times(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Seconds since 1970 of steps, civil or absolute as in `index`."""
        if self.unit == "count":
            return (index * self.size).astype(np.float64)
        if self.unit in (*PASSING, "day"):
            passed = ((index - self._shift) * self._span + self.anchor).astype(np.float64)
            return passed / 1000 if self.unit == "millisecond" else passed
        if self.unit == "week":
            days = (index - 1) * (7 * self.size) + self.anchor
        elif self.unit == "business day":
            weeks, weekday = np.divmod(index * self.size, 5)
            days = 7 * (weeks - 1) + weekday + self.anchor
        else:
            before, day = divmod(self.anchor, 100)
            months = index * (self.size * _MONTHS[self.unit]) + before - 12 * 1969
            first, after = (
                (months + i).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
                for i in (0, 1)
            )
            days = after - 1 if day == 0 else np.minimum(first + day, after) - 1
            days = days + ORIGIN
        return ((days - ORIGIN) * DAY).astype(np.float64)

    @property
    def seasons(self) -> tuple[int, ...]:
        """In how many steps the periods return that calendars have, the shortest first.

        Of steps below a second there are none: what returns in machines is no calendar's.

        >>> Step("second", 3600).seasons, Step("month").seasons, Step("count").seasons
        ((24, 168), (12,), ())
        """
        if self.unit == "second":
            long = _whole(self.size, DAY, 7 * DAY)
            return long or _whole(self.size, 60, 3600)
        if self.unit == "day":
            year = round(365 / self.size)
            return (*_whole(self.size, 7), *((year,) if year > 1 else ()))
        spans = {"business day": 5, "week": 52, "month": 12, "quarter": 4}
        return _whole(self.size, spans.get(self.unit, 0))

    @property
    def words(self) -> str:
        """For people.

        >>> Step("second", 300).words, Step("business day").words, Step("count").words
        ('5 minutes', '1 business day', '1 step')
        """
        size, name = self.size, "step" if self.unit == "count" else self.unit
        if self.unit == "second":
            span, name = next((span, name) for span, name in _WORDS if size % span == 0)
            size //= span
        return f"{size} {name}{'' if size == 1 else 's'}"

    @property
    def _span(self) -> int:
        return self.size * (DAY if self.unit == "day" else 1)

    @property
    def _shift(self) -> int:
        if self.unit == "day" and self.size == 1:
            return ORIGIN
        passed = ORIGIN * DAY * (1000 if self.unit == "millisecond" else 1)
        return -(-passed // self._span) + 1

    def _is_anchor(self) -> bool:
        if self.unit in _MONTHS:
            before, day = divmod(self.anchor, 100)
            return 0 <= before < self.size * _MONTHS[self.unit] and day <= 31
        spans = {"business day": 7, "week": 7 * self.size, "count": 1}
        return 0 <= self.anchor < spans.get(self.unit, self._span)


def milliseconds(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds as milliseconds, whole where they are nearly so.

    >>> milliseconds(np.array([1_704_067_200.1, 0.0125])).tolist()
    [1704067200100.0, 12.5]
    """
    found = seconds * 1000
    whole = np.round(found)
    return np.where(np.abs(found - whole) <= NEAR_WHOLE, whole, found)


def _plain(unit: str) -> int:
    return 1 if unit in _MONTHS else 0


def _is_canonical(unit: str, size: int) -> bool:
    """Whether `parse` reads its name as this unit, if no anchor is told."""
    times = {"day": (7,), "month": (3,), "quarter": (4,)}
    return all(size % one for one in times.get(unit, ()))


def _floor(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(numbers).astype(np.int64)


def _whole(size: int, *spans: int) -> tuple[int, ...]:
    return tuple(
        span // size for span in spans if span % size == 0 and 1 < span // size <= _LONGEST_SEASON
    )
