"""Tables of delimited text: CSV, TSV and what spreadsheets make of them.

Every cell stays the text that it is, so that `007` and a number of sixteen digits are not changed;
an empty cell is a missing value, while `NA`, `null` and the like are texts, since they may be
labels. A row that does not fit is dropped and counted, never bent until it does.
"""

from __future__ import annotations

import csv
import itertools
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import pyarrow as pa

from silmu.errors import InputError
from silmu.steps.collect.dataset import BATCH
from silmu.steps.collect.streams import Text
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import LARGEST_BATCH, MOST_COLUMNS, Numbered, Read, is_text

logger = logging.getLogger("silmu")

LONGEST_ROW = 1 << 24  # characters: a quote that is open for longer was never meant to be closed
_SAMPLE_ROWS, _SAMPLE_CHARACTERS = 300, 1 << 18
_COMMON, _SELDOM = ",\t;|", "^~¦§:#\x01\x1e"
_NONE = "\x1f"  # for a table of one column, whose texts may hold any of the others

QUOTES = "its quotes do not match"
FEW, MANY = "it has fewer cells than there are columns", "it has more cells than there are columns"
BLANK = "the line is empty"
NUL = "it holds the character NUL"
BROKEN = "it holds bytes that are not {encoding}"


class Dialect(NamedTuple):
    """How a table is written."""

    delimiter: str
    escape: str | None = None
    skips_blanks: bool = False


@final
class Table:
    """One file of delimited text, to be read as often as needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = Text(path)
        csv.field_size_limit(LONGEST_ROW)
        sample = _sample(self.text)
        self.skipped = 1 if sample and _told(sample[0]) else 0
        told = _told(sample[0]) if self.skipped else None
        self.dialect = Dialect(told) if told else _dialect(sample, path)
        self.columns = self._header()
        if self.text.encoding not in ("utf-8", "utf-8-sig"):
            logger.warning("`%s` is read as %s", path.name, self.text.encoding.upper())
        if self.dialect.delimiter not in (",", "\t", _NONE):
            logger.info("`%s`: cells end with %r", path.name, self.dialect.delimiter)

    def rows(self, tally: Tally, first: int) -> Generator[tuple[int, list[str]], None, int]:
        """Each row that is whole, with its number; returns the number after the last."""
        width = len(self.columns)
        number = first - 1
        blank = 0
        with self._records() as reader:
            next(reader)  # the names
            reader.width = width
            for cells in reader:
                if cells is None:
                    cells = self._unquoted(reader.broken)
                if cells is not None and not cells:
                    blank += 1
                    continue
                # Empty lines at the end of a file are no rows; between rows they may have been.
                if blank:
                    tally.add(BLANK, range(number + 1, number + 1 + blank))
                    number, blank = number + blank, 0
                number += 1
                if cells is None:
                    tally.add(QUOTES, [number])
                elif reader.has_nul:
                    tally.add(NUL, [number])
                elif self.text.marks_broken and not is_text("".join(cells)):
                    tally.add(BROKEN.format(encoding=_spoken(self.text.encoding)), [number])
                elif len(cells) == width:
                    yield number, cells
                elif len(cells) > width and not any(cells[width:]):
                    yield number, cells[:width]  # spreadsheets append empty cells
                else:
                    tally.add(FEW if len(cells) < width else MANY, [number])
        return number + 1

    def _unquoted(self, line: str) -> list[str] | None:
        """The cells of a line whose quotes do not match, where they may be no more than letters."""
        cells = line.rstrip("\r\n").split("\t")
        # No text of a table with tabs has one, so what lies between them is a cell.
        return cells if self.dialect.delimiter == "\t" and len(cells) == len(self.columns) else None

    @contextmanager
    def _records(self) -> Generator[_Records]:
        # Closed here and not when it is no longer needed, which in a circle may be late.
        with closing(self.text.lines()) as lines:
            yield _Records(itertools.islice(lines, self.skipped, None), self.dialect)

    def _header(self) -> list[str]:
        with self._records() as records:
            names = next(records, None)
        if names is None:
            raise InputError(
                f"the first line of `{self.path}` has quotes that do not match"
                if records.broken
                else f"`{self.path}` is empty",
                hint="the first line must name the columns",
            )
        return checked_names([name.strip() for name in names], self.path)


def read_tables(tables: Sequence[Table]) -> tuple[pa.Schema, Read]:
    """Delimited files, one after another, every cell as text."""
    columns = tables[0].columns
    for table in tables:
        if {*table.columns} != {*columns}:
            odd = sorted({*table.columns} ^ {*columns})
            raise InputError(
                f"`{table.path}` and `{tables[0].path}` do not have the same columns: "
                f"only one has {', '.join(f'`{name}`' for name in odd[:5])}",
                hint="give files of one kind of row",
            )
    schema = pa.schema([(name, pa.string()) for name in columns])

    def made(numbers: list[int], rows: list[list[str]], order: list[int]) -> Numbered:
        cells = list(zip(*rows, strict=True))
        arrays = [pa.array([cell or None for cell in cells[at]], pa.string()) for at in order]
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        return np.array(numbers, np.int64), batch

    def read(tally: Tally) -> Iterator[Numbered]:
        first = 1
        for table in tables:
            order = [table.columns.index(name) for name in columns]
            numbers: list[int] = []
            rows: list[list[str]] = []
            size = 0
            reader = table.rows(tally, first)
            while True:
                try:
                    number, cells = next(reader)
                except StopIteration as end:
                    first = end.value
                    break
                numbers.append(number)
                rows.append(cells)
                size += sum(map(len, cells))
                if len(rows) == BATCH or size > LARGEST_BATCH:
                    yield made(numbers, rows, order)
                    numbers, rows, size = [], [], 0
            if rows:
                yield made(numbers, rows, order)

    return schema, read


def checked_names(names: Sequence[str], source: object) -> list[str]:
    """Names for all columns; those without one are called by their place.

    Raises:
        InputError: two have the same name, or there are too many.
    """
    if not any(names):
        raise InputError(f"`{source}` has no column names", hint="its first line must name them")
    if len(names) > MOST_COLUMNS:
        raise InputError(
            f"`{source}` has {len(names):,} columns; at most {MOST_COLUMNS:,} are read"
        )
    called = [name or f"column_{place}" for place, name in enumerate(names, 1)]
    seen: set[str] = set()
    for name in called:
        if name in seen:
            raise InputError(
                f"`{source}` has two columns named `{name}`", hint="give each its own name"
            )
        if "\0" in name or not is_text(name):
            raise InputError(f"`{source}` has a column whose name is not a text: {name!r}")
        seen.add(name)
    return called


@final
class _Records:
    """The records of a table, which may go over several lines; None for one that is broken.

    After a quote that does not match, reading goes on at the next line, so that one bad row does
    not swallow those after it.
    """

    def __init__(self, lines: Iterator[str], dialect: Dialect) -> None:
        self._source = lines
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._size = 0
        self._make: Callable[[], Iterator[list[str]]] = lambda: csv.reader(
            self._feed(),
            delimiter=dialect.delimiter,
            escapechar=dialect.escape,
            skipinitialspace=dialect.skips_blanks,
            strict=True,
        )
        self._reader = self._make()
        self._tabs = dialect.delimiter == "\t"
        self.has_nul = False
        self.width: int | None = None
        self.broken = ""
        """The line whose quotes did not match."""

    def __iter__(self) -> _Records:
        return self

    def __next__(self) -> list[str] | None:
        self._taken.clear()
        self._size = 0
        self.has_nul = False
        try:
            cells = next(self._reader)
            if self._joins_rows():
                raise csv.Error("two quotes that are letters")
            return cells
        except csv.Error:
            self.broken = self._taken[0]
            self.has_nul = "\0" in self.broken
            self._again.extendleft(reversed(self._taken[1:]))
            self._reader = self._make()
            return None

    def _joins_rows(self) -> bool:
        """Whether two quotes that are letters hold several rows, a line each, between them."""
        if not self._tabs or self.width is None or len(self._taken) < 2:
            return False
        return all(line.count("\t") == self.width - 1 for line in self._taken)

    def _feed(self) -> Iterator[str]:
        while True:
            line = self._again.popleft() if self._again else next(self._source, "")
            if not line:
                return
            self._taken.append(line)
            self._size += len(line)
            if self._size > LONGEST_ROW:
                raise csv.Error("a row without end")
            if "\0" in line:
                self.has_nul = True
            yield line


def _sample(text: Text) -> list[str]:
    """The first lines, all of them whole."""
    lines: list[str] = []
    size = 0
    for line in text.lines():
        lines.append(line)
        size += len(line)
        if size > _SAMPLE_CHARACTERS:
            break
    return lines


def _told(line: str) -> str | None:
    """The delimiter of a first line such as `sep=;`, which spreadsheets write and read."""
    line = line.rstrip("\r\n")
    return line[4] if len(line) == 5 and line.lower().startswith("sep=") else None


def _dialect(lines: list[str], path: Path) -> Dialect:
    """The way of reading in which most rows have as many cells as the first one."""
    common = _COMMON
    if path.name.lower().split(".", 1)[-1].startswith(("tsv", "tab")):
        common = "\t" + common.replace("\t", "")
    best, share = Dialect(_NONE), 0.0
    for delimiters in (common, _SELDOM):
        for delimiter in delimiters:
            if not lines or delimiter not in lines[0]:
                continue
            ways = [Dialect(delimiter)]
            if any(f'{delimiter} "' in line for line in lines):
                ways.append(Dialect(delimiter, None, True))
            if any('\\"' in line for line in lines):
                ways.append(Dialect(delimiter, "\\"))
            for way in ways:
                # Only what is clearly better is preferred to what is more usual.
                if (found := _fit(lines, way)) > share + 0.02:
                    best, share = way, found
        # Where the usual ones tell nothing, one that fits every row is not there by chance.
        if share > 0:
            break
    return best


def _fit(lines: list[str], dialect: Dialect) -> float:
    """The share of rows that have as many cells as the first, where that has two at least."""
    records = list(itertools.islice(_Records(iter(lines), dialect), _SAMPLE_ROWS))
    if not records or not records[0] or len(records[0]) < 2:
        return 0.0
    width = len(records[0])
    rows = [cells for cells in records[1:] if cells is None or cells]
    if dialect.delimiter in _SELDOM and not rows:
        return 0.0
    good = sum(cells is not None and len(cells) == width for cells in rows)
    share = (good + 0.1) / (len(rows) + 0.1)
    return share if dialect.delimiter in _COMMON or share > 0.95 else 0.0


def _spoken(encoding: str) -> str:
    return encoding.upper().removesuffix("-SIG")
