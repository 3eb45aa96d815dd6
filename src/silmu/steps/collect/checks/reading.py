"""A column as numbers: equal values as equal codes, and what is a number or a time as one.

It is read some thousands of rows at a time, and each of their different values once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from silmu.runtime import cells, times
from silmu.steps.collect.checks import hashing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.collect.dataset import Dataset

MOST_ODD = 0.1
"""The share of cells that may be something else in a column of numbers or times."""

_MOST_KNOWN = 1 << 17  # different values that are held as they are
_SEEN = 200_000  # rows from which the look of values is told
_SECONDS = {"D": times.DAY, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_TRIED = 500  # texts from which it is told how they write numbers or times
_PATIENCE = 8  # times that it is tried
_AT_ONCE = 1 << 17  # rows
_TEXT, _NAME, _NUMBER, _TIME, _WORD, _NULL = range(6)
_CODE = r"^[+-]?0\d+$"  # 007 is the name of something
_FIGURES = r"^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,4})?$"
_ISO = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)?$"
_DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d")
_TIME_NAME = re.compile(r"(?i)(?:^|_)(?:time|timestamp|date|created|epoch|utc)(?:$|_)")


@dataclass(frozen=True)
class Column:
    """A column as numbers: equal values have equal codes, whatever they are."""

    name: str
    codes: NDArray[np.int64]
    """From 0, in the order in which values come first or in none; -1 where there is none."""
    size: int
    """How many different values there are."""
    first: NDArray[np.int64]
    """A row of each code."""
    numbers: NDArray[np.float64] | None
    """The values, where they are numbers or times (in seconds); NaN where there is none."""
    odd: NDArray[np.bool_] | None
    """Where a column of numbers or times holds something else; None if nowhere."""
    words: NDArray[np.bool_] | None
    """Where a word such as NA says that there is no value; None if nowhere."""
    is_time: bool
    is_whole: bool
    """Whether all numbers are whole."""
    is_text: bool
    """Whether it holds texts, of numbers too."""
    mean_length: float
    has_blanks: bool
    """Whether most values are of several words."""
    has_digits: bool
    """Whether most values hold a figure."""

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where there is no value."""
        return self.codes < 0


@dataclass
class _Part:
    """Some rows of a column: their different values, and which each of them has."""

    values: Any
    """The different ones, as Arrow texts or as an array of numpy."""
    which: NDArray[np.int64]
    """-1 where there is none."""
    numbers: NDArray[np.float64]
    """Of each different value; NaN where it is none."""
    kinds: NDArray[np.int8]
    looks: Sequence[NDArray[np.int64]] | None = None
    """Of each different value its length, and whether it has blanks and figures."""

    @property
    def keys(self) -> list[Any]:
        """The different values as Python has them."""
        return (
            self.values.to_pylist() if isinstance(self.values, pa.Array) else self.values.tolist()
        )

    @property
    def hashes(self) -> NDArray[np.int64]:
        """64 bits for each of the different values."""
        if isinstance(self.values, pa.Array):
            return hashing.texts(self.values).view(np.int64)
        is_float = self.values.dtype.kind == "f"
        return self.values.astype("f8" if is_float else "i8").view(np.int64)


def read(dataset: Dataset, name: str, *, lenient: bool = False) -> Column:
    """A column of a dataset.

    Args:
        dataset: read from its beginning to its end.
        name: of the column.
        lenient: whether a column of numbers may hold some other cells, words for none, and dates
            that are written with the year last.
    """
    kind = dataset.schema.field(name).type
    codes = _Codes(dataset.num_rows)
    numbers = np.full(dataset.num_rows, math.nan)
    kinds = np.full(dataset.num_rows, -1, np.int8)
    looks = np.zeros(3)
    seen = start = 0
    for part in _parts(dataset, name, lenient=lenient):
        end = start + len(part.which)
        there = part.which >= 0
        codes.add(part, start)
        places = part.which[there]
        numbers[start:end][there] = part.numbers[places]
        kinds[start:end][there] = part.kinds[places]
        if part.looks is not None and seen < _SEEN:
            counts = np.bincount(places, minlength=len(part.keys))
            looks += [float((counts * look).sum()) for look in part.looks]
            seen += len(places)
        start = end
    return _column(name, kind, codes, numbers, kinds, looks / max(seen, 1), lenient=lenient)


def hashes(dataset: Dataset, name: str) -> NDArray[np.uint64]:
    """A number for each value of a column, the same in this process for equal ones."""
    found = np.zeros(dataset.num_rows, np.uint64)
    start = 0
    for part in _parts(dataset, name, lenient=None):
        end = start + len(part.which)
        there = part.which >= 0
        found[start:end][there] = part.hashes[part.which[there]].view(np.uint64)
        start = end
    return found


def _column(
    name: str,
    kind: Any,
    codes: _Codes,
    numbers: NDArray[np.float64],
    kinds: NDArray[np.int8],
    looks: NDArray[np.float64],
    *,
    lenient: bool,
) -> Column:
    counts = np.array([np.count_nonzero(kinds == one) for one in range(_NULL + 1)])
    is_time = bool(counts[_TIME] > counts[_NUMBER])
    kept = _TIME if is_time else _NUMBER
    held, every = int(counts[kept]), int(counts[: _TIME + 1].sum())
    most = MOST_ODD if lenient else 0.0
    odd: NDArray[np.bool_] | None = None
    told: NDArray[np.float64] | None = numbers
    nulls = kinds == _NULL
    if not held or every - held > most * every or counts[_NAME]:
        told, is_time = None, False
    else:
        if every > held:
            odd = (kinds >= 0) & (kinds <= _TIME) & (kinds != kept)
        nulls |= kinds == _WORD
        numbers[kinds != kept] = math.nan
        np.clip(numbers, -cells.LARGEST, cells.LARGEST, out=numbers)
    words = nulls if nulls.any() else None
    if words is not None:
        codes.drop(words)
    coded, first, size = codes.done()
    is_told = told is not None and not np.isnan(numbers).all()
    if is_told and not is_time and _TIME_NAME.search(name):
        low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
        seconds, milliseconds = low > 5e8 and high < 4e9, low > 5e11 and high < 4e12
        is_time = seconds or milliseconds
        if milliseconds:
            told = numbers / 1000
    if lenient and told is not None and not is_time:
        different = told[first]
        if times.are_days(different[~np.isnan(different)]):
            told, is_time = _days(told), True
    return Column(
        name,
        coded,
        size,
        first,
        told,
        odd,
        words,
        is_time,
        is_told and _are_whole(numbers),
        bool(pa.types.is_string(kind)),
        float(looks[0]),
        bool(looks[1] > 0.5),
        bool(looks[2] > 0.5) or not pa.types.is_string(kind),
    )


@final
class _Codes:
    """Values as codes; where they are many, as hashes until all are known."""

    def __init__(self, rows: int) -> None:
        self.codes = np.full(rows, -1, np.int64)
        self.missing = np.ones(rows, bool)
        self._known: dict[Any, int] | None = {}
        self._first: list[int] = []

    def add(self, part: _Part, start: int) -> None:
        """The next rows."""
        end = start + len(part.which)
        there = part.which >= 0
        self.missing[start:end] = ~there
        if self._known is not None:
            self._see(part, start)
        else:
            self.codes[start:end][there] = part.hashes[part.which[there]]

    def drop(self, rows: NDArray[np.bool_]) -> None:
        """Rows that have no value after all."""
        self.missing |= rows

    def done(self) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """The codes, a row of each, and how many there are."""
        if self._known is not None and (self.codes[self.missing] < 0).all():
            return self.codes, np.array(self._first, np.int64), len(self._first)
        codes, first = hashing.numbered(self.codes, self.missing)
        return codes, first, len(first)

    def _see(self, part: _Part, start: int) -> None:
        known = self._known
        assert known is not None
        before = len(known)
        keys = part.keys
        found = np.array([known.setdefault(key, len(known)) for key in keys], np.int64)
        there = np.flatnonzero(part.which >= 0)
        self.codes[start + there] = found[part.which[there]]
        if len(known) > before:
            place = np.empty(len(keys), np.int64)
            place[part.which[there[::-1]]] = there[::-1]  # so that the first is what remains
            new = np.flatnonzero(found >= before)
            self._first += (start + place[new[np.argsort(found[new])]]).tolist()
        if len(known) > _MOST_KNOWN:
            is_text = isinstance(part.values, pa.Array)
            values = pa.array([*known], pa.string()) if is_text else np.array([*known])
            hashes = replace(part, values=values).hashes
            held = ~self.missing[: start + len(part.which)]
            rows = np.flatnonzero(held)
            self.codes[rows] = hashes[self.codes[rows]]
            self._known = None


def _parts(dataset: Dataset, name: str, *, lenient: bool | None) -> Iterator[_Part]:
    """The rows of a column, some at a time; of None only what differs, not what it is."""
    make: Callable[[pa.Array], _Part]
    types, kind = pa.types, dataset.schema.field(name).type
    if types.is_string(kind):
        make = _Texts(lenient=lenient)
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        make = _plain_numbers
    elif types.is_decimal(kind):
        make = lambda array: _plain_numbers(array.cast(pa.float64()))  # noqa: E731
    elif types.is_timestamp(kind) or types.is_date(kind):
        make = _plain_times
    else:
        make = _anything
    arrays: list[Any] = []
    rows = 0
    for batch in dataset.batches([name]):
        arrays.append(batch.column(0))
        rows += batch.num_rows
        if rows >= _AT_ONCE:
            yield make(pa.concat_arrays(arrays))
            arrays, rows = [], 0
    if arrays:
        yield make(pa.concat_arrays(arrays))


@final
class _Texts:
    """Texts, which may be of numbers or of times."""

    def __init__(self, *, lenient: bool | None) -> None:
        self._lenient = lenient
        # How dates and numbers are written, told from the first that are no plain numbers.
        self._order: str | None = None
        self._failures = 0
        self._rows = 0
        self._form: tuple[str, str] | None = None

    def __call__(self, array: pa.Array) -> _Part:
        encoded: Any = array.dictionary_encode()
        values: Any = encoded.dictionary
        trimmed: Any = pc.utf8_trim_whitespace(values)
        which = np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
        full = _mask(pc.not_equal(trimmed, ""))
        if not full.all():
            # What is blank is none of the different values.
            places = np.append(np.where(full, np.cumsum(full) - 1, -1), -1)
            which = places[which]
            values, trimmed = values.filter(pa.array(full)), trimmed.filter(pa.array(full))
        if self._lenient is None:
            return _Part(values, which, np.empty(0), np.empty(0, np.int8))
        numbers, kinds = self._told(trimmed)
        self._rows += len(array)
        if self._rows > _SEEN:
            return _Part(values, which, numbers, kinds)
        looks = [
            np.asarray(pc.utf8_length(values).to_numpy(zero_copy_only=False), np.int64),
            _mask(pc.match_substring(trimmed, " ")).astype(np.int64),
            _mask(pc.match_substring_regex(trimmed, r"\p{Nd}")).astype(np.int64),
        ]
        return _Part(values, which, numbers, kinds, looks)

    def _told(self, values: Any) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        numbers = np.full(len(values), math.nan)
        kinds = np.full(len(values), _TEXT, np.int8)
        figures = _mask(pc.match_substring_regex(values, _FIGURES))
        rest = ~figures
        if self._lenient:
            kinds[_mask(pc.match_substring_regex(values, _CODE))] = _NAME
            figures &= kinds != _NAME
        _fill(numbers, figures, values)
        kinds[figures & np.isfinite(numbers)] = _NUMBER
        if self._lenient and rest.any():
            lowered: Any = pc.utf8_lower(values)
            for words, kind in ((cells.MISSING, _WORD), (cells.NULLS, _NULL)):
                told: Any = pc.is_in(lowered, value_set=pa.array(sorted(words)))
                kinds[rest & _mask(told)] = kind
            rest &= kinds == _TEXT
        iso = rest & _mask(pc.match_substring_regex(values, _ISO))
        if iso.any():
            try:
                some = values.filter(pa.array(iso))
                seconds = some.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
                numbers[iso] = seconds / 1e6
                kinds[iso] = _TIME
                rest &= ~iso
            except pa.ArrowException:
                pass  # a day that there is not: each for itself
        if rest.any():
            self._one_by_one(values, np.flatnonzero(rest), numbers, kinds)
        return numbers, kinds

    def _one_by_one(
        self,
        values: Any,
        places: NDArray[np.int64],
        numbers: NDArray[np.float64],
        kinds: NDArray[np.int8],
    ) -> None:
        """Numbers and dates that are written in other ways."""
        texts: list[str] = values.take(pa.array(places)).to_pylist()
        if not self._lenient:
            dated = [index for index, text in enumerate(texts) if _DATE.match(text)]
            texts, places = [texts[index] for index in dated], places[dated]
            if texts:
                found = times.read_times(texts)
                self._keep(places, found.seconds, found.bad, _TIME, numbers, kinds)
            return
        if self._order is None and self._failures < _PATIENCE:
            some = texts[:_TRIED]
            self._failures += 1
            bad = {one: int(times.read_times(some, one).bad.sum()) for one in times.ORDERS}
            order = min(times.ORDERS, key=lambda one: bad[one])
            form = cells.writing(some)
            wrong = int(cells.numbers(some, *form)[1].sum())
            if min(bad[order], wrong) < len(some):
                self._order = order
                self._form = form if wrong <= bad[order] else None
        if self._order is None:
            return
        if self._form is not None:
            read, wrongs = cells.numbers(texts, *self._form)
            self._keep(places, read, wrongs, _NUMBER, numbers, kinds)
        else:
            found = times.read_times(texts, self._order)
            self._keep(places, found.seconds, found.bad, _TIME, numbers, kinds)

    def _keep(
        self,
        places: NDArray[np.int64],
        found: NDArray[np.float64],
        bad: NDArray[np.bool_],
        kind: int,
        numbers: NDArray[np.float64],
        kinds: NDArray[np.int8],
    ) -> None:
        good = ~bad & ~np.isnan(found)
        numbers[places[good]] = found[good]
        kinds[places[good]] = kind


def _fill(numbers: NDArray[np.float64], where: NDArray[np.bool_], values: Any) -> None:
    """Reads texts of figures as numbers."""
    if not where.any():
        return
    some = pc.replace_substring_regex(values.filter(pa.array(where)), r"^\+", "")
    try:
        numbers[where] = some.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        numbers[where] = [float(text) for text in some.to_pylist()]


def _plain_numbers(array: pa.Array) -> _Part:
    there = _mask(array.is_valid())
    values: Any = np.asarray(array.fill_null(False if pa.types.is_boolean(array.type) else 0))
    if values.dtype.kind == "f":
        there &= ~np.isnan(values)
    different, held = np.unique(values[there], return_inverse=True)
    which = np.full(len(array), -1, np.int64)
    which[there] = held
    numbers = different.astype(np.float64)
    kinds = np.where(np.isfinite(numbers), _NUMBER, _TEXT).astype(np.int8)
    return _Part(different, which, numbers, kinds)


def _plain_times(array: pa.Array) -> _Part:
    kind = array.type
    whole = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    part = _plain_numbers(array.cast(whole))
    unit = "D" if pa.types.is_date32(kind) else getattr(kind, "unit", "ms")
    part.numbers *= _SECONDS[unit]
    part.kinds[:] = _TIME
    return part


def _anything(array: pa.Array) -> _Part:
    """Values of other types, such as lists: as they are written."""
    known: dict[str, int] = {}
    which = np.array(
        [
            -1 if value is None else known.setdefault(repr(value), len(known))
            for value in cast("list[Any]", array.to_pylist())
        ],
        np.int64,
    )
    keys = pa.array([*known], pa.string())
    return _Part(keys, which, np.full(len(keys), math.nan), np.full(len(keys), _TEXT, np.int8))


def _are_whole(numbers: NDArray[np.float64]) -> bool:
    """Whether all numbers that there are are whole."""
    return all(
        bool(((part == np.floor(part)) | np.isnan(part)).all())
        for part in np.array_split(numbers, len(numbers) // _AT_ONCE + 1)
    )


def _days(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of days such as 20240305."""
    known = ~np.isnan(numbers)
    years, rest = np.divmod(numbers[known].astype(np.int64), 10_000)
    months, days = np.divmod(rest, 100)
    of_months = (12 * (years - 1970) + months - 1).astype("datetime64[M]")
    found = np.full(len(numbers), math.nan)
    found[known] = (of_months.astype("datetime64[D]").astype(np.int64) + days - 1) * times.DAY
    return found


def _mask(told: Any) -> NDArray[np.bool_]:
    return np.asarray(told.to_numpy(zero_copy_only=False), bool)


def day(seconds: float) -> str:
    """A time as a day.

    >>> day(86_400.0)
    '1970-01-02'
    """
    # numpy knows years beyond 9999.
    return str(np.datetime64(int(seconds // times.DAY), "D"))
