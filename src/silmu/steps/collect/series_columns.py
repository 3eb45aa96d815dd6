"""What the columns of a table hold, as far as it tells which of them is the time and so on."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pyarrow as pa

from silmu.runtime import cells, times
from silmu.runtime.series import stamps

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("silmu")

TIMES = (
    "ds", "date", "datetime", "timestamp", "date time", "time", "stamp", "time stamp", "day",
    "week", "month", "quarter", "year", "period", "step", "t",
    "ts", "tm", "epoch", "unix time", "unixtime", "unix timestamp",
    "날짜", "일자", "일시", "시각", "시간", "기준일", "기준일자", "기준일시", "측정일시", "측정일",
    "거래일", "관측일시", "연월", "년월", "기준년월", "월", "주차", "주", "분기", "연도", "년도",
    "년",
)  # fmt: skip
"""What a column of times is called, the likeliest first; `folded`."""

PARTS = {
    *("year", "quarter", "month", "week", "day", "hour", "minute", "weekday", "dayofweek"),
    *("day of week", "dow", "day of year", "is weekend", "연도", "년", "월", "일", "요일", "시"),
    *("분기", "주차", "주"),
}
"""What a calendar tells of a time: never a target that is guessed."""
_ORDERS = {
    "ymd": "year, month, day",
    "dmy": "day, month, year",
    "mdy": "month, day, year",
    times.SHORT: "year, month, day",
}
_MONTHS = re.compile(r"[12]\d{3}\.(0[1-9]|1[0-2])")
_DATES = {"ds", "date", "datetime", "timestamp", "날짜", "일자", "일시", "기준일", "기준일자"}
"""What is called so holds days, and not numbers of steps."""
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?: ?[aApP][mM])?")
_ABSOLUTE = ("since", "year", "month")
_READABLE = 0.9
"""The share of the cells that must be times, for a column to be one of times; or numbers."""
_SAMPLE = 2000


@final
class Columns:
    """What the columns of a table hold."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.rows = table.num_rows
        self.names = [str(name) for name in table.schema.names]
        self.is_number = cache(self._is_number)
        self.is_time = cache(self._is_time)
        self.codes = cache(self._codes)

    def type(self, name: str) -> pa.DataType:
        """As Arrow has it."""
        return self.table.schema.field(name).type

    def some(self, name: str) -> list[Any]:
        """Cells that are not empty, from all parts of the column."""
        column = self.table.column(name)
        step = max(-(-self.rows // _SAMPLE), 1)
        found = column.take(pa.array(range(0, self.rows, step))).to_pylist()
        return [value for value in found if not cells.is_missing(value)]

    def may_be_number(self, name: str) -> bool:
        """Whether a column is of a type that numbers may stand in."""
        kind, types = self.type(name), pa.types
        return types.is_string(kind) or _holds_numbers(kind) or types.is_boolean(kind)

    def is_typed_time(self, name: str) -> bool:
        """Whether a column is of the type of times."""
        kind = self.type(name)
        return pa.types.is_timestamp(kind) or pa.types.is_date(kind)

    def is_clock(self, name: str) -> bool:
        """Whether the cells are times of the day, such as 13:05."""
        if pa.types.is_time(self.type(name)):
            return True
        some = self.some(name)
        return bool(some) and all(
            isinstance(value, str) and _CLOCK.fullmatch(value.strip()) for value in some
        )

    def no_times(self, name: str) -> list[Any]:
        """Cells that are no times, as far as some cells tell."""
        some = self.some(name)
        bad = min((times.read_times(some, one).bad for one in _ORDERS), key=lambda one: one.sum())
        return [value for value, is_bad in zip(some, bad, strict=True) if is_bad]

    def has_passed(self, name: str) -> bool:
        """Whether the cells are numbers with parts that grow: what passed since nobody says when.

        So are the seconds of a recording, 0.00, 0.01, 0.02.
        """
        if not self.is_number(name) or self.is_time(name):
            return False
        some = self.some(name)
        found = cells.numbers(some, *cells.writing(some))[0]
        found = found[~np.isnan(found)]
        has_parts = (found != np.floor(found)).any()
        grows = (np.diff(found) >= 0).sum() >= _READABLE * (len(found) - 1)
        return bool(has_parts and grows) and len(self.no_times(name)) == len(some)

    def no_numbers(self, name: str) -> tuple[str, Any] | None:
        """A column, half of whose cells are numbers, with the first one that is none."""
        some = self.some(name)
        if not pa.types.is_string(self.type(name)) or self.is_time(name) or not some:
            return None
        bad = cells.numbers(some, *cells.writing(some))[1]
        if not 0 < bad.sum() <= len(some) / 2:
            return None
        return name, some[int(bad.argmax())]

    def _is_number(self, name: str) -> bool:
        kind = self.type(name)
        if not pa.types.is_string(kind):
            return _holds_numbers(kind)
        some = self.some(name)
        if not some:
            return False
        found, bad = cells.numbers(some, *cells.writing(some))
        return bool(bad.sum() <= (1 - _READABLE) * len(some) and not np.isnan(found).all())

    def _is_time(self, name: str) -> bool:
        if self.is_typed_time(name):
            return True
        kind, some = self.type(name), self.some(name)
        if not some or not (pa.types.is_string(kind) or _holds_numbers(kind)):
            return False
        if self.is_number(name):
            if folded(name) not in TIMES:
                return False
            if all(isinstance(one, str) and _MONTHS.fullmatch(one.strip()) for one in some):
                return True
            how = how_written(some, name)
            # 3 may be a step; in a column `month` it is March of any year.
            counts = how == stamps.COUNT and folded(name) not in PARTS
            return counts or how == stamps.SERIAL or how[0] in _ABSOLUTE or times.are_days(some)
        return len(self.no_times(name)) <= (1 - _READABLE) * len(some)

    def _codes(self, name: str) -> NDArray[np.int64]:
        """A number for each row, the same where cells are equal; -1 where there is none."""
        column: Any = self.table.column(name).combine_chunks()
        if pa.types.is_nested(column.type):
            column = pa.array([repr(value) for value in column.to_pylist()], pa.string())
        encoded: Any = column.dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        found = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return np.asarray(found, np.int64)


@final
class Pairs:
    """How often a time repeats within what some columns tell apart; rows that repeat whole once."""

    def __init__(self, looked: Columns, time: str) -> None:
        self._looked = looked
        _, first = np.unique(_together(map(looked.codes, looked.names)), return_index=True)
        first = np.sort(first)
        self._rows = first[looked.codes(time)[first] >= 0]
        self._time = looked.codes(time)[self._rows]

    def repeats(self, names: Sequence[str] = ()) -> int:
        """Rows whose time another row has that these columns tell to be of the same series."""
        columns = (self._looked.codes(name)[self._rows] for name in names)
        return len(self._rows) - len(np.unique(_together([self._time, *columns])))

    def series(self, names: Sequence[str]) -> int:
        """How many series these columns tell apart."""
        return len(np.unique(_together(self._looked.codes(name)[self._rows] for name in names)))

    @property
    def first(self) -> tuple[int, int]:
        """Two rows of one time, counted from 1."""
        _, first, which = np.unique(self._time, return_index=True, return_inverse=True)
        later = int(np.flatnonzero(np.arange(len(which)) != first[which])[0])
        return int(self._rows[first[which[later]]]) + 1, int(self._rows[later]) + 1


def _together(columns: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """A number for each row, the same where all columns have the same."""
    found: NDArray[np.int64] | None = None
    for codes in columns:
        if found is None:
            found = codes
            continue
        values, found = np.unique(found, return_inverse=True)
        assert len(values) < 2**31
        found = found * (int(codes.max(initial=0)) + 2) + codes + 1
    assert found is not None
    return found


def how_written(values: Sequence[Any] | NDArray[Any], name: str) -> tuple[str, str]:
    """As `stamps.how_written`, though some cells of a column of numbers are something else.

    What is called a date and holds numbers that a spreadsheet has for days is such.
    """
    if folded(name) in _DATES and _are_serials(values):
        return stamps.SERIAL
    if isinstance(values, np.ndarray):
        return stamps.how_written(values)
    some = [one for one in values[:: max(len(values) // _SAMPLE, 1)] if not cells.is_missing(one)]
    if cells.numbers(some)[1].sum() > (1 - _READABLE) * len(some):
        return stamps.TIME
    found = cells.numbers(values)[0]
    return stamps.how_written(found[~np.isnan(found)])


def _are_serials(values: Sequence[Any] | NDArray[Any]) -> bool:
    """Whether all are numbers of days as spreadsheets count them."""
    if isinstance(values, np.ndarray) and values.dtype.kind not in "iuf":
        return False
    some: list[Any] = [one for one in values if not cells.is_missing(one)]
    found, bad = cells.numbers(some)
    there = found[~np.isnan(found)]
    low, high = stamps.SERIALS
    sound = len(there) > 0 and bad.sum() <= (1 - _READABLE) * len(some)
    return bool(sound and low <= there.min() and there.max() < high)


def order_of(values: Sequence[Any]) -> str:
    """How the dates of a column are written, one of `times.ORDERS` or `times.SHORT`.

    Where 3/5 may be two days, that order is taken in which fewer rows go against the others in
    time, and if that is true of several, the one whose distances in time differ least.
    """
    some = [value for value in values if isinstance(value, str)]
    if not some:
        return times.ORDERS[0]
    part = some[:: max(len(some) // _SAMPLE, 1)]
    bad = {one: int(times.read_times(part, one).bad.sum()) for one in _ORDERS}
    best = [one for one in _ORDERS if bad[one] == min(bad.values())]
    if len(best) == 1 or "ymd" in best:
        return best[0]

    def oddness(order: str) -> tuple[int, float]:
        gaps = np.diff(times.read_times(some[:_SAMPLE], order).seconds)
        gaps = gaps[~np.isnan(gaps)]
        # The newest may come first.
        back = min(int((gaps < 0).sum()), int((gaps > 0).sum()))
        sizes = np.abs(gaps[gaps != 0])
        return back, float(sizes.std() / sizes.mean()) if len(sizes) else 0.0

    found, other = sorted(best, key=oddness)[:2]
    logger.warning(
        "dates such as %s are read as %s, and could be %s as well; write dates as 2026-01-31 to be "
        "sure",
        part[0],
        _ORDERS[found],
        _ORDERS[other],
    )
    return found


def is_time_text(text: str) -> bool:
    """Whether a text is a time, and no number that may be one.

    >>> is_time_text("2024-03"), is_time_text("3/5/2024"), is_time_text("20240305")
    (True, True, False)
    """
    if text.isdecimal():
        return False
    return any(not times.read_times([text], one).bad.any() for one in times.ORDERS)


def known_in(known: Sequence[str], names: Sequence[str]) -> list[str]:
    """Those of the names that are known, in the order in which they are known."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(folded(name), []).append(name)
    return [name for one in known for name in alike.get(one, ())]


def folded(name: str) -> str:
    """A name without case, and with blanks where others have underscores."""
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def _holds_numbers(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)


def has_clock(values: Sequence[Any]) -> bool:
    """Whether times are of more than days."""
    found = times.read_times(values, order_of(values)).seconds
    return bool((np.mod(found[~np.isnan(found)], times.DAY) != 0).any())


def listed(names: Sequence[str]) -> str:
    """Names for a message."""
    return ", ".join(f"`{name}`" for name in names)
