"""What the checks see: texts, labels and columns as numbers a row, and how a finding is told."""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast, final

import numpy as np

from silmu.steps.collect import duplicates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.collect.dataset import Dataset

Kind = Literal["none", "single", "multiple", "number"]
_Target = tuple[Kind, tuple[str, ...], "NDArray[np.int64]", "NDArray[np.int64]"]
SHOWN = 20  # row numbers of a finding
_SAMPLE = 20_000  # rows that models and counts of words see
_SAMPLE_CHARACTERS = 20_000_000
_MOST_LABELS = 20  # different numbers, above which a target is one to be told, not a label
_SEPARATORS = (";", "|", ",")
_ISO = re.compile(r"(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?:[T ].*)?")
_FIGURE = re.compile(r"\d")
_TIME_NAME = re.compile(r"(?i)(?:^|_)(?:time|timestamp|date|created|epoch|utc)(?:$|_)")


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    kind: str
    message: str
    rows: tuple[int, ...]
    """Numbers in the source, from 1, of the first 20 rows that it is about."""
    count: int
    """How many rows it is about."""
    cure: str
    severity: Literal["wrong", "note"]


@dataclass(frozen=True)
class Column:
    """A column as numbers: equal values have equal codes, whatever they are."""

    name: str
    codes: NDArray[np.int64]
    """From 0, in no order; -1 where there is none."""
    size: int
    """How many different values there are."""
    numbers: NDArray[np.float64] | None
    """The values, where all are numbers or times (in seconds); NaN where there is none."""
    is_time: bool
    is_whole: bool
    """Whether all numbers are whole."""
    mean_length: float
    has_blanks: bool
    """Whether most values are of several words."""
    has_digits: bool
    """Whether most values hold a figure."""

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where there is no value."""
        return self.codes < 0


@final
class View:
    """A dataset, each of whose rows is read once for each of the things that are asked of it."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.roles = dataset.roles
        self.rows = dataset.num_rows
        self.names: list[str] = [str(name) for name in dataset.schema.names]

    def finding(
        self,
        kind: str,
        severity: Literal["wrong", "note"],
        message: str,
        cure: str,
        where: NDArray[np.int64] | None = None,
    ) -> Finding:
        """A finding about the rows at these indices."""
        at = np.empty(0, np.int64) if where is None else np.asarray(where, np.int64)
        rows = tuple(int(row) for row in self.dataset.row_numbers[at[:SHOWN]])
        return Finding(kind, message, rows, len(at), cure, severity)

    # the texts

    def texts(self) -> Iterator[str]:
        """The text of each row; several inputs with a line between."""
        names = list(self.roles.input)
        for batch in self.dataset.batches(names):
            parts = [_strings(batch.column(name).to_pylist()) for name in names]
            yield from ("\n".join(texts) for texts in zip(*parts, strict=True))

    @cached_property
    def _both(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        return duplicates.keys_and_leaders(self.texts())

    @property
    def leaders(self) -> NDArray[np.int64]:
        """For each row the one whose exact or near duplicate it is."""
        return self._both[1]

    @cached_property
    def twins(self) -> NDArray[np.int64]:
        """For each row the first one of the same text."""
        _, first, group = np.unique(self._both[0], return_index=True, return_inverse=True)
        return first[group].astype(np.int64)

    @cached_property
    def sample(self) -> tuple[NDArray[np.int64], list[str]]:
        """Rows at even distances, and their texts; all rows where they are not too many."""
        rows = np.unique(np.linspace(0, self.rows - 1, min(self.rows, _SAMPLE)).astype(np.int64))
        total = int(self.lengths[rows].sum())
        if total > _SAMPLE_CHARACTERS:
            rows = rows[:: -(-total // _SAMPLE_CHARACTERS)]
        wanted = set(rows.tolist())
        return rows, [text for row, text in enumerate(self.texts()) if row in wanted]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Characters of each text."""
        return np.fromiter((len(text) for text in self.texts()), np.int64, self.rows)

    # the target

    @cached_property
    def kind(self) -> Kind:
        """What is to be told of a text."""
        return self._target[0]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels as they are written, the most frequent first; none for a number."""
        return self._target[1]

    @property
    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and the index of a label that each has; a row of several labels comes again."""
        return self._target[2], self._target[3]

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """The target, where it is a number."""
        numbers = self.column(self.roles.target[0]).numbers
        assert numbers is not None
        return numbers

    @cached_property
    def answers(self) -> NDArray[np.int64]:
        """For each row a number that is the same for the same target."""
        columns = [self.column(name).codes for name in self.roles.target]
        return np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)[1].reshape(-1)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each label."""
        return np.bincount(self.pairs[1], minlength=len(self.labels)).astype(np.int64)

    @cached_property
    def _target(self) -> _Target:
        nothing = np.empty(0, np.int64)
        names = self.roles.target
        if not names:
            return "none", (), nothing, nothing
        columns = [self.column(name) for name in names]
        if len(columns) > 1:
            return self._marked(columns)
        column = columns[0]
        numbers = column.numbers
        if numbers is not None and (column.size > _MOST_LABELS or not column.is_whole):
            return "number", (), nothing, nothing
        values = self._values(names[0], column)
        parts = _split_up(values)
        kind = "single" if parts is None else "multiple"
        singles = [(str(value),) for value in values] if parts is None else parts
        held: list[int] = column.codes[~column.missing].tolist()
        found = Counter(label for code in held for label in singles[code])
        labels = tuple(label for label, _ in found.most_common())
        index = {label: number for number, label in enumerate(labels)}
        sizes = np.array([len(set(one)) for one in singles], np.int64)
        flat = np.array([index[label] for one in singles for label in dict.fromkeys(one)], np.int64)
        starts = np.cumsum(sizes) - sizes
        present = np.flatnonzero(~column.missing)
        repeats = sizes[column.codes[present]]
        rows = np.repeat(present, repeats)
        offsets = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        return kind, labels, rows, flat[np.repeat(starts[column.codes[present]], repeats) + offsets]

    def _marked(self, columns: Sequence[Column]) -> _Target:
        """Labels that have a column each, of noughts and ones."""
        nothing = np.empty(0, np.int64)
        marks = [column.numbers for column in columns if column.numbers is not None]
        if len(marks) < len(columns) or not all(np.isin(mark, (0, 1)).all() for mark in marks):
            return "none", (), nothing, nothing
        held = [np.flatnonzero(mark == 1) for mark in marks]
        codes = [np.full(len(rows), index, np.int64) for index, rows in enumerate(held)]
        names = tuple(column.name for column in columns)
        return "multiple", names, np.concatenate(held), np.concatenate(codes)

    def _values(self, name: str, column: Column) -> list[Any]:
        """One value of each code."""
        codes, first = np.unique(column.codes, return_index=True)
        rows = first[codes >= 0].astype(np.int64)
        return self.dataset.take(rows, [name]).column(0).to_pylist()

    # the columns

    def column(self, name: str) -> Column:
        """A column as numbers; kept, since labels, groups and times are asked for again."""
        if name not in self._columns:
            self._columns[name] = self._read(name)
        return self._columns[name]

    def forget(self, name: str) -> None:
        """Lets go of a column that is not asked for again."""
        self._columns.pop(name, None)

    @cached_property
    def _columns(self) -> dict[str, Column]:
        return {}

    @cached_property
    def others(self) -> list[str]:
        """Columns that are neither read nor told nor say where a row belongs."""
        used = {*self.roles.input, *self.roles.target, self.split_name}
        return [name for name in self.names if name not in used]

    @cached_property
    def split_name(self) -> str | None:
        """The column that says in which split a row is, given or seen from its values."""
        if self.roles.split is not None:
            return self.roles.split
        taken = {*self.roles.input, *self.roles.target, self.roles.group, self.roles.time}
        for name in self.names:
            if name not in taken and re.search(r"(?i)split|fold|subset|partition", name):
                values = {str(value).strip().lower() for value in self.distinct(name, 10)}
                if len(values) > 1 and values <= SPLIT_NAMES.keys():
                    return name
        return None

    def distinct(self, name: str, most: int) -> list[Any]:
        """The values of a column, or some more than `most` of them."""
        found: dict[Any, None] = {}
        for batch in self.dataset.batches([name]):
            found |= dict.fromkeys(_hashable(batch.column(0).to_pylist()))
            if len(found) > most:
                break
        return [value for value in found if value is not None]

    def _read(self, name: str) -> Column:
        kind = str(self.dataset.schema.field(name).type)
        is_time = kind.startswith(("timestamp", "date"))
        hashes: list[NDArray[np.int64]] = []
        missing: list[NDArray[np.bool_]] = []
        numbers: list[NDArray[np.float64]] | None = []
        parse = None
        total = blanks = figures = filled = 0
        for batch in self.dataset.batches([name]):
            values: list[Any] = [
                None if isinstance(value, str) and not value.strip() else value
                for value in batch.column(0).to_pylist()
            ]
            missing.append(np.array([value is None for value in values], bool))
            hashes.append(np.array([_hash(value) for value in values], np.int64))
            written = [str(value) for value in values if value is not None]
            total += sum(map(len, written))
            blanks += sum(" " in text.strip() for text in written)
            figures += sum(_FIGURE.search(text) is not None for text in written)
            filled += len(written)
            if numbers is not None and written:
                parse = parse or _reader_of(next(v for v in values if v is not None))
                is_time = is_time or parse is _seconds
            if numbers is not None:
                read = _numbers(values, parse)
                numbers = None if read is None else [*numbers, read]
        flat = np.concatenate(numbers) if numbers else None
        if flat is None or np.isnan(flat).all():
            flat, is_time = None, False
        held = np.empty(0) if flat is None else flat[~np.isnan(flat)]
        if len(held) and not is_time and _TIME_NAME.search(name):
            is_time = bool(
                ((held > 5e8) & (held < 4e9)).all() or ((held > 5e11) & (held < 4e12)).all()
            )
            if is_time and held[0] > 5e11 and flat is not None:
                flat = flat / 1000  # milliseconds
        empty = np.concatenate(missing) if missing else np.empty(0, bool)
        codes = np.full(len(empty), -1, np.int64)
        different = np.empty(0, np.int64)
        if filled:
            different, codes[~empty] = np.unique(
                np.concatenate(hashes)[~empty], return_inverse=True
            )
        return Column(
            name,
            codes,
            len(different),
            flat,
            is_time,
            bool(len(held)) and bool((held == np.floor(held)).all()),
            total / max(filled, 1),
            blanks > filled / 2,
            figures > filled / 2,
        )


SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "development": "validation",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


def quoted(names: Iterable[object], most: int = 5) -> str:
    """Names for a message, the first of them if they are many."""
    listed = [str(name) for name in names]
    shown = [f"`{name if len(name) <= 60 else name[:57] + '...'}`" for name in listed[:most]]
    if len(listed) > most:
        shown.append(f"{len(listed) - most:,} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def share(part: float, whole: float) -> str:
    """A share in percent, never rounded to none or all.

    >>> share(1, 3), share(1, 10**6), share(999_999, 10**6)
    ('33 %', '< 0.1 %', '> 99.9 %')
    """
    percent = 100 * part / max(whole, 1)
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %" if percent < 10 or 90 < percent < 100 else f"{percent:.0f} %"


def number(count: int, one: str, many: str | None = None) -> str:
    """A count and what is counted.

    >>> number(1, "text"), number(1200, "text"), number(2, "copy", "copies")
    ('1 text', '1,200 texts', '2 copies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def auc(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """The probability that a true one scores above a false one, ties counted half."""
    values, group = np.unique(scores, return_inverse=True)
    true = np.bincount(group, truth, len(values))
    false = np.bincount(group, ~truth, len(values))
    below = np.cumsum(false) - false
    return float((true * (below + false / 2)).sum() / max(true.sum() * false.sum(), 1))


def _strings(values: list[Any]) -> list[str]:
    return ["" if value is None else str(value) for value in values]


def _hashable(values: list[Any]) -> list[Any]:
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    """What can be hashed: lists and structs as they are written."""
    return repr(cast("object", value)) if isinstance(value, list | dict) else value


def _hash(value: Any) -> int:
    # That of texts differs between processes, which is no matter: equal values stay equal.
    found = hash(_plain(value))
    return found if value != -1 else 1 << 62  # for Python, -1 has the hash of -2


def _reader_of(value: Any) -> Any:
    """How a value is read as a number, told from the first one."""
    if isinstance(value, datetime.date | datetime.datetime):
        return _seconds
    if isinstance(value, str) and _ISO.fullmatch(value.strip()):
        return _seconds
    return _float


def _numbers(values: list[Any], parse: Any) -> NDArray[np.float64] | None:
    """The values as numbers; None where one of them is none."""
    try:
        return np.array([math.nan if v is None else parse(v) for v in values], np.float64)
    except (ValueError, TypeError, OverflowError):
        return None


def _float(value: Any) -> float:
    if isinstance(value, str):
        # `nan`, `1_000` and the like are words to whoever wrote the file.
        if not re.fullmatch(r"\s*[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?\s*", value):
            raise ValueError(value)
        return float(value)
    if isinstance(value, list | dict | bytes):
        raise TypeError
    return float(value)


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        match = _ISO.fullmatch(value.strip())
        if match is None:
            raise ValueError(value)
        day = f"{match[1]}-{int(match[2]):02}-{int(match[3]):02}"
        rest = value.strip()[match.end(3) :]
        value = datetime.datetime.fromisoformat(day + rest)
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return (value - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)).total_seconds()


def _split_up(values: list[Any]) -> list[tuple[str, ...]] | None:
    """The labels in each value, where a value can hold several: a list, or `joy;love`."""
    if any(isinstance(value, list) for value in values):
        return [tuple(str(one) for one in cast("list[Any]", value or [])) for value in values]
    texts = [str(value) for value in values]
    for separator in _SEPARATORS:
        parts = [tuple(p.strip() for p in text.split(separator) if p.strip()) for text in texts]
        several = [labels for labels in parts if len(labels) > 1]
        atoms = {label for labels in parts for label in labels}
        alone = {labels[0] for labels in parts if len(labels) == 1}
        # A comma within a label's name makes parts that are found nowhere else.
        known = sum(all(label in alone for label in labels) for labels in several)
        if several and len(atoms) < len(texts) and known >= len(several) / 2:
            return parts
    return None
