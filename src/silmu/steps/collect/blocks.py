"""Many rows of delimited text at once, where nothing is odd about them.

A block is regular where every quote opens or closes a cell, or is doubled within one, every record
has as many cells as there are columns, and nothing else is to be told of it. Arrow reads such a
block as the reader of single records does; of any other block it is not asked.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import numpy as np
import pyarrow as pa
import pyarrow.csv

from silmu.steps.collect import streams
from silmu.steps.collect.streams import BLOCK, Text, open_bytes

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

_LINE, _RETURN, _QUOTE, _NUL = 10, 13, 34, 0
_MARK = b"\xef\xbb\xbf"


@final
class Feed:
    """The text of a file in UTF-8, taken a line or a block of whole records at a time."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._errors = "surrogateescape" if text.marks_broken else "strict"
        self._file = open_bytes(text.path)
        self._data = b""
        self._at = 0
        self._is_whole = False
        self.taken = 0
        """Bytes taken so far."""
        if text.encoding == "utf-8-sig":
            self._fill(len(_MARK))
            self._at = len(_MARK)

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def give_back(self, lines: Sequence[str]) -> None:
        """Lines that are to be taken again."""
        if lines:
            data = "".join(lines).encode("utf-8", self._errors)
            self._data, self._at = data + self._data[self._at :], 0
            self.taken -= len(data)

    def block(self, delimiter: str, names: Sequence[str]) -> pa.RecordBatch | None:
        """The next records, if they are regular and there are any; else nothing is taken."""
        self._fill(BLOCK // 2)
        data = self._data[self._at : self._at + BLOCK]
        is_last = self._is_whole and len(self._data) - self._at <= BLOCK
        if is_last and data and data[-1] != _LINE:
            data += b"\n"
        end = _regular(data, ord(delimiter), len(names))
        batch = _parsed(data[:end], delimiter, names) if end else None
        if batch is not None:
            self._at = min(self._at + end, len(self._data))
            self.taken += end
        return batch

    def line(self) -> str:
        """The next line, its end as it is; nothing where there is none.

        Raises:
            InputError: a line without end, or bytes that are no text.
        """
        size = BLOCK
        searched = self._at
        while True:
            end = self._end(searched)
            if end is not None or self._is_whole:
                break
            searched = len(self._data) - 1 - self._at  # where a return may still be followed
            self._fill(size)
            searched, size = max(self._at + searched, self._at), size * 2
            waiting = memoryview(self._data)[self._at :]
            if (
                len(waiting) >= streams.LONGEST_LINE
                and _characters(waiting) >= streams.LONGEST_LINE
            ):
                raise self._text.too_long()
        line = self._data[self._at : end]
        self._at += len(line)
        self.taken += len(line)
        try:
            text = line.decode("utf-8", self._errors)
        except UnicodeError as error:
            raise self._text.broken(error) from error
        if len(text) >= streams.LONGEST_LINE:
            raise self._text.too_long()
        return text

    def _end(self, start: int) -> int | None:
        """Where the line ends in what is read; None if that is not known yet."""
        line = self._data.find(b"\n", start)
        back = self._data.find(b"\r", start, line if line >= 0 else len(self._data))
        if back >= 0:
            if back + 1 == len(self._data) and not self._is_whole:
                return None
            return back + 2 if self._data[back + 1 : back + 2] == b"\n" else back + 1
        return line + 1 if line >= 0 else None

    def _fill(self, size: int) -> None:
        """Reads on until so many bytes are waiting, or all are."""
        if self._is_whole or len(self._data) - self._at >= size:
            return
        parts = [self._data[self._at :]]
        count = len(parts[0])
        while count < size:
            data = self._file.read(max(size - count, BLOCK))
            if not data:
                self._is_whole = True
                break
            parts.append(data)
            count += len(data)
        self._data, self._at = b"".join(parts), 0


def _regular(data: bytes, delimiter: int, width: int) -> int:
    """How many bytes at the beginning are whole and regular records; 0 if one is odd."""
    if not data or data.startswith(_MARK):  # which Arrow would leave out
        return 0
    letters = np.frombuffer(data, np.uint8)
    if data.find(b"\0") >= 0:
        return 0
    lines = np.flatnonzero(letters == _LINE)
    ends = np.flatnonzero(letters == delimiter)
    if data.find(b'"') >= 0:
        quotes = np.flatnonzero(letters == _QUOTE)
        lines = lines[np.searchsorted(quotes, lines) % 2 == 0]
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
        if not len(lines):
            return 0
        quotes = quotes[: np.searchsorted(quotes, lines[-1])]
        if delimiter == 9 or not _are_quotes_regular(letters, quotes, delimiter):
            return 0  # between tabs a quote may be a letter
    if not len(lines):
        return 0
    stop = int(lines[-1]) + 1
    if data.find(b"\r", 0, stop) >= 0:
        backs = np.flatnonzero(letters[:stop] == _RETURN)
        if (letters[backs + 1] != _LINE).any():
            return 0
    counts = np.diff(np.searchsorted(ends, lines), prepend=0)
    return stop if (counts == width - 1).all() else 0


def _are_quotes_regular(
    letters: NDArray[np.uint8], quotes: NDArray[np.intp], delimiter: int
) -> bool:
    if len(quotes) % 2:
        return False
    opens, closes = quotes[::2], quotes[1::2]
    before = np.where(opens > 0, letters[opens - 1], _LINE)
    after = letters[closes + 1]
    doubled = opens[1:] == closes[:-1] + 1
    starts = (before == delimiter) | (before == _LINE)
    starts[1:] |= doubled
    stops = (after == delimiter) | (after == _LINE) | (after == _RETURN)
    stops[:-1] |= doubled
    return bool(starts.all() and stops.all())


def _characters(data: memoryview) -> int:
    """How many characters begin in bytes of UTF-8."""
    return int(((np.frombuffer(data, np.uint8) & 0xC0) != 0x80).sum())


def _parsed(data: bytes, delimiter: str, names: Sequence[str]) -> pa.RecordBatch | None:
    kinds = dict.fromkeys(names, pa.string())
    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(data),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, block_size=len(data) + 1, column_names=list(names)
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=kinds,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowException:
        return None
    (batch,) = table.combine_chunks().to_batches()
    return batch
