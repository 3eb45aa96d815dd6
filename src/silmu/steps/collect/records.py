"""The records of delimited text, one by one, also where some of them are broken."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, final

LONGEST_ROW = 1 << 24  # characters: a quote that is open for longer was never meant to be closed


class Dialect(NamedTuple):
    """How a table is written."""

    delimiter: str
    escape: str | None = None
    skips_blanks: bool = False


@final
class Records:
    """The records of a table, which may go over several lines; None for one that is broken.

    After a quote that does not match, reading goes on at the next line, so that one bad row does
    not swallow those after it.

    Args:
        line: gives the next line with its end, and nothing where there is none.
        dialect: how they are written.
    """

    def __init__(self, line: Callable[[], str], dialect: Dialect) -> None:
        self._line = line
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

    def waiting(self) -> list[str]:
        """Lines that were taken and are no part of a record yet, which forgets them."""
        lines = list(self._again)
        self._again.clear()
        return lines

    def __iter__(self) -> Records:
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
            line = self._again.popleft() if self._again else self._line()
            if not line:
                return
            self._taken.append(line)
            self._size += len(line)
            if self._size > LONGEST_ROW:
                raise csv.Error("a row without end")
            if "\0" in line:
                self.has_nul = True
            yield line
