"""Tables of delimited text: CSV, TSV and what spreadsheets make of them.

Every cell stays the text that it is, so that `007` and a number of sixteen digits are not changed;
an empty cell is a missing value, while `NA`, `null` and the like are texts, since they may be
labels. A row that does not fit is dropped and counted, never bent until it does.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
import pyarrow as pa

from silmu.errors import InputError
from silmu.steps.collect.blocks import Feed
from silmu.steps.collect.dataset import BATCH
from silmu.steps.collect.dialects import NONE, USUAL, dialect_of, named, sample_of
from silmu.steps.collect.records import LONGEST_ROW, Dialect, Records
from silmu.steps.collect.streams import BLOCK, Text
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import LARGEST_BATCH, MOST_COLUMNS, Numbered, Read, is_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("silmu")

QUOTES = "its quotes do not match"
FEW, MANY = "it has fewer cells than there are columns", "it has more cells than there are columns"
BLANK = "the line is empty"
NUL = "it holds the character NUL"
BROKEN = "it holds bytes that are not {encoding}"


@dataclass
class _Count:
    """The rows of a table so far."""

    number: int
    """Of the last one."""
    blank: int = 0
    """Empty lines since then."""
    is_over: bool = False

    def settle(self, tally: Tally) -> None:
        """Drops the empty lines: at the end of a file they are no rows, between rows they are."""
        if self.blank:
            tally.add(BLANK, self.up(self.blank).tolist())
            self.blank = 0

    def up(self, rows: int) -> NDArray[np.int64]:
        """The numbers of the next rows."""
        start = self.number + 1
        self.number += rows
        return np.arange(start, start + rows, dtype=np.int64)


@final
class Table:
    """One file of delimited text, to be read as often as needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = Text(path)
        csv.field_size_limit(LONGEST_ROW)
        sample = sample_of(self.text)
        self.skipped = 1 if sample and named(sample[0]) else 0
        told = named(sample[0]) if self.skipped else None
        self.dialect = Dialect(told) if told else dialect_of(sample, path)
        self.columns = self._header()
        if self.text.encoding not in ("utf-8", "utf-8-sig"):
            logger.warning("`%s` is read as %s", path.name, self.text.encoding.upper())
        if self.dialect.delimiter not in (*USUAL, NONE):
            logger.info("`%s`: cells end with %r", path.name, self.dialect.delimiter)

    def batches(self, tally: Tally, first: int) -> Generator[Numbered, None, int]:
        """All rows that are whole, as Arrow; returns the number after the last."""
        count = _Count(first - 1)
        if not self._may_be_regular():
            with self._records() as records:
                next(records)  # the names
                yield from self._grouped(self._rows(records, tally, count))
            return count.number + 1
        with Feed(self.text) as feed:
            records = self._records_of(feed.line)
            next(records)
            while not count.is_over:
                batch = feed.block(self.dialect.delimiter, self.columns)
                if batch is not None:
                    count.settle(tally)
                    for start in range(0, batch.num_rows, BATCH):
                        part = batch.slice(start, BATCH)
                        yield count.up(part.num_rows), part
                else:
                    # Row by row through the block that was odd.
                    end = feed.taken + BLOCK
                    yield from self._grouped(self._rows(records, tally, count, feed, end))
        return count.number + 1

    def _rows(
        self,
        records: Records,
        tally: Tally,
        count: _Count,
        feed: Feed | None = None,
        end: int = 0,
    ) -> Iterator[tuple[int, list[str]]]:
        """Each row that is whole, with its number; of a feed, until so much of it is taken."""
        width = records.width = len(self.columns)
        for cells in records:
            if cells is None:
                cells = self._unquoted(records.broken)
            if cells is not None and not cells:
                count.blank += 1
                continue
            count.settle(tally)
            count.number += 1
            number = count.number
            if cells is None:
                tally.add(QUOTES, [number])
            elif records.has_nul:
                tally.add(NUL, [number])
            elif self.text.marks_broken and not is_text("".join(cells)):
                tally.add(BROKEN.format(encoding=_spoken(self.text.encoding)), [number])
            elif len(cells) == width:
                yield number, cells
            elif len(cells) > width and not any(cells[width:]):
                yield number, cells[:width]  # spreadsheets append empty cells
            else:
                tally.add(FEW if len(cells) < width else MANY, [number])
            if feed is not None:
                feed.give_back(records.waiting())
                if feed.taken >= end:
                    return
        count.is_over = True

    def _grouped(self, rows: Iterator[tuple[int, list[str]]]) -> Iterator[Numbered]:
        schema = pa.schema([(name, pa.string()) for name in self.columns])

        def made() -> Numbered:
            arrays = [
                pa.array([cell or None for cell in column], pa.string())
                for column in zip(*waiting, strict=True)
            ]
            batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            return np.array(numbers, np.int64), batch

        numbers: list[int] = []
        waiting: list[list[str]] = []
        size = 0
        for number, cells in rows:
            numbers.append(number)
            waiting.append(cells)
            size += sum(map(len, cells))
            if len(waiting) == BATCH or size > LARGEST_BATCH:
                yield made()
                numbers, waiting, size = [], [], 0
        if waiting:
            yield made()

    def _may_be_regular(self) -> bool:
        """Whether the table is written in the way that blocks of it may be read at once."""
        delimiter, escape, skips_blanks = self.dialect
        is_plain = escape is None and not skips_blanks and delimiter != NONE
        return is_plain and len(self.columns) > 1 and self.text.encoding in ("utf-8", "utf-8-sig")

    def _unquoted(self, line: str) -> list[str] | None:
        """The cells of a line whose quotes do not match, where they may be no more than letters."""
        cells = line.rstrip("\r\n").split("\t")
        # No text of a table with tabs has one, so what lies between them is a cell.
        return cells if self.dialect.delimiter == "\t" and len(cells) == len(self.columns) else None

    @contextmanager
    def _records(self) -> Generator[Records]:
        # Closed here and not when it is no longer needed, which in a circle may be late.
        with closing(self.text.lines()) as lines:
            yield self._records_of(partial(next, lines, ""))

    def _records_of(self, line: Callable[[], str]) -> Records:
        for _ in range(self.skipped):
            line()
        return Records(line, self.dialect)

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

    def read(tally: Tally) -> Iterator[Numbered]:
        first = 1
        for table in tables:
            reader = table.batches(tally, first)
            while True:
                try:
                    numbers, batch = next(reader)
                except StopIteration as end:
                    first = end.value
                    break
                yield numbers, batch.select(columns)

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


def _spoken(encoding: str) -> str:
    return encoding.upper().removesuffix("-SIG")
