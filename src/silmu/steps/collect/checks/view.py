"""What the checks see: texts, labels and columns as numbers a row, and how a finding is told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast, final

import numpy as np

from silmu.steps.collect import duplicates, pictures
from silmu.steps.collect.checks import hashing, reading
from silmu.steps.collect.checks.reading import Column
from silmu.steps.collect.image import likeness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.collect.dataset import Dataset

Kind = Literal["none", "single", "multiple", "number"]
_Target = tuple[Kind, tuple[str, ...], "NDArray[np.int64]", "NDArray[np.int64]"]
SHOWN = 20  # row numbers of a finding
SHOWN_NAMES = 3  # of files
_SAMPLE = 20_000  # rows that models and counts of words see
_SAMPLE_CHARACTERS = 20_000_000
_MOST_LABELS = 20  # different numbers, above which a target is one to be told, not a label
_SEPARATORS = (";", "|", ",")
_GENERIC = 20  # characters: "Thank you so much!" is said by many, and leaks nothing of a row
_EQUAL, _BY_CHANCE = 0.2, 0.1  # shares of equal rows of a table, from which they are no copies


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


@final
class View:
    """A dataset, each of whose rows is read once for each of the things that are asked of it.

    Args:
        dataset: the rows.
        is_table: whether they are rows of a table, and not texts.
        is_image: whether they are pictures.
        answers: what the target is: `labels`, `numbers`, or `auto`, which is told from it.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        is_table: bool = False,
        is_image: bool = False,
        answers: str = "auto",
    ) -> None:
        self.is_table, self.is_image = is_table, is_image
        self.thing = "inputs" if is_table else "picture" if is_image else "text"
        """What of two rows may be equal, for messages."""
        self.generic_why = (
            "as many rows have by chance"
            if is_table
            else "all of one colour, or nearly"
            if is_image
            else f"all shorter than {_GENERIC} characters"
        )
        self._answers = answers
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
        if self.is_image and len(at):
            names = [self.pictures.name(int(row)) for row in at[:SHOWN_NAMES]]
            message = f"{message}: {some(names, len(at))}"
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
        if self.is_image:
            return pictures.keys(self.dataset)
        return duplicates.keys_and_leaders(self.texts())

    @property
    def leaders(self) -> NDArray[np.int64]:
        """For each row the one whose exact or near duplicate it is; of tables, exact."""
        return self.twins if self.is_table else self._both[1]

    @property
    def twins(self) -> NDArray[np.int64]:
        """For each row the first one of the same text, or of the same inputs."""
        return self._equals[0]

    @cached_property
    def _equals(self) -> tuple[NDArray[np.int64], float]:
        """The twins, and how likely two rows of a table are equal by chance."""
        keys, by_chance = row_keys(self.dataset) if self.is_table else (self._both[0], 0.0)
        keys = keys.view(np.int64) if self.is_table else keys.astype(np.int64)
        codes, first = hashing.numbered(keys)
        return first[codes], by_chance

    @cached_property
    def generic(self) -> NDArray[np.bool_]:
        """Rows that many others may equal by chance, so that to equal one tells nothing."""
        if self.is_image:
            return self.facts("contrast") < likeness.FLAT
        if not self.is_table:
            return self.lengths < _GENERIC
        equal = int((self.twins != np.arange(self.rows)).sum())
        by_chance = self._equals[1] * self.rows**2 / 2
        many = equal > _EQUAL * self.rows or by_chance > _BY_CHANCE * equal
        return np.full(self.rows, many)

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

    # the pictures

    @cached_property
    def pictures(self) -> pictures.Pictures:
        """The pictures, where the rows are such."""
        return pictures.Pictures(self.dataset)

    def facts(self, name: str) -> NDArray[np.float64]:
        """A number that is known of each picture; see `pictures.FIELDS`."""
        return self.pictures.facts.column(name).to_numpy().astype(np.float64)

    def words(self, name: str) -> list[str]:
        """A word that is known of each picture."""
        return self.pictures.facts.column(name).to_pylist()

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
        if len(columns) == 1:
            return columns[0]
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
        many = column.size > _MOST_LABELS or not column.is_whole
        if numbers is not None and (
            self._answers == "numbers" or (self._answers == "auto" and many)
        ):
            return "number", (), nothing, nothing
        values = self._values(names[0], column)
        parts = _split_up(values)
        kind = "single" if parts is None else "multiple"
        singles = [(str(value).strip(),) for value in values] if parts is None else parts
        held = np.bincount(column.codes[~column.missing], minlength=column.size)
        found: Counter[str] = Counter()
        for code in np.argsort(column.first).tolist():
            for label in cast("tuple[str, ...]", singles[code]):
                found[label] += int(held[code])
        labels = tuple(label for label, _ in found.most_common())
        index = {label: number for number, label in enumerate(labels)}
        sizes = np.array([len(set(one)) for one in singles], np.int64)
        flat = np.array([index[label] for one in singles for label in dict.fromkeys(one)], np.int64)
        starts = np.cumsum(sizes) - sizes
        present = np.flatnonzero(~column.missing)
        if (sizes == 1).all():
            return kind, labels, present, flat[column.codes[present]]
        repeats = sizes[column.codes[present]]
        rows = np.repeat(present, repeats)
        offsets = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        return kind, labels, rows, flat[np.repeat(starts[column.codes[present]], repeats) + offsets]

    def _marked(self, columns: Sequence[Column]) -> _Target:
        """Labels that have a column each, of noughts and ones."""
        nothing = np.empty(0, np.int64)
        if self._answers == "numbers":
            return "none", (), nothing, nothing
        marks = [column.numbers for column in columns if column.numbers is not None]
        if len(marks) < len(columns) or not all(np.isin(mark, (0, 1)).all() for mark in marks):
            return "none", (), nothing, nothing
        held = [np.flatnonzero(mark == 1) for mark in marks]
        codes = [np.full(len(rows), index, np.int64) for index, rows in enumerate(held)]
        names = tuple(column.name for column in columns)
        return "multiple", names, np.concatenate(held), np.concatenate(codes)

    def _values(self, name: str, column: Column) -> list[Any]:
        """One value of each code."""
        return self.dataset.take(column.first, [name]).column(0).to_pylist()

    @cached_property
    def half(self) -> NDArray[np.bool_]:
        """One half of the rows, as good as drawn, for what is learned from it to be tried on."""
        found = np.empty(self.rows, bool)
        for start in range(0, self.rows, _SAMPLE):
            rows = np.arange(start, min(start + _SAMPLE, self.rows))
            found[rows] = (rows * 2_654_435_761 >> 13) & 1
        return found

    # the columns

    def column(self, name: str) -> Column:
        """A column as numbers; kept, since labels, groups and times are asked for again."""
        if name not in self._columns:
            self._columns[name] = reading.read(self.dataset, name, lenient=self.is_table)
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


def some(names: Sequence[object], count: int) -> str:
    """The first names of so many things.

    >>> some(["a.jpg", "b.jpg"], 7)
    '`a.jpg`, `b.jpg` and 5 more'
    """
    if count <= len(names):
        return quoted(names)
    return f"{', '.join(quoted([name]) for name in names)} and {count - len(names):,} more"


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


def auc(scores: NDArray[np.float64], trues: NDArray[np.int64], falses: NDArray[np.int64]) -> float:
    """The probability that a true one scores above a false one, ties counted half.

    Args:
        scores: those that there are.
        trues: how many true ones have each.
        falses: how many false ones.
    """
    values, group = np.unique(scores, return_inverse=True)
    true = np.bincount(group, trues, len(values))
    false = np.bincount(group, falses, len(values))
    below = np.cumsum(false) - false
    return float((true * (below + false / 2)).sum() / max(true.sum() * false.sum(), 1))


def row_keys(dataset: Dataset) -> tuple[NDArray[np.uint64], float]:
    """A number for each row of a table, the same in this process where all inputs are equal.

    And how likely two rows have all inputs equal by chance, as far as these have nothing to do
    with each other.
    """
    found = np.zeros(dataset.num_rows, np.uint64)
    by_chance = 1.0
    for name in dataset.roles.input:
        keys = reading.hashes(dataset, name)
        _, counts = np.unique(keys[:: -(-len(keys) // _SAMPLE) or 1], return_counts=True)
        by_chance *= float(((counts / max(counts.sum(), 1)) ** 2).sum())
        found ^= keys
        found *= np.uint64(0x9E3779B97F4A7C15)
        found ^= found >> np.uint64(29)
    return found, by_chance


def _strings(values: list[Any]) -> list[str]:
    return ["" if value is None else str(value) for value in values]


def _hashable(values: list[Any]) -> list[Any]:
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    """What can be hashed: lists and structs as they are written."""
    return repr(cast("object", value)) if isinstance(value, list | dict) else value


def _split_up(values: list[Any]) -> list[tuple[str, ...]] | None:
    """The labels in each value, where a value can hold several: a list, or `joy;love`."""
    if any(isinstance(value, list) for value in values):
        several = ([str(one).strip() for one in cast("list[Any]", value or [])] for value in values)
        return [tuple(one for one in named if one) for named in several]
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
