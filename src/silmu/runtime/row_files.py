"""Rows of tables of text and of lines of JSON, read one block after another, without any extra.

A cell of a table stays the text that it was.
"""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Container, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO, cast, final

from silmu.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS = {".csv": ",", ".tsv": "\t"}
OTHERS = ";\t|"
LINES = (".jsonl", ".ndjson")
PACKED = (".gz", ".bz2")
BOM = "\ufeff"

Row = dict[str, Any]


# ── what is read ───────────────────────────────────────────────────────────────────────────────


class Block(ABC):
    """Some rows in a row."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def values(self, column: str) -> list[Any]:
        """What the rows hold in a column; None where they hold nothing."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """The rows, each by the names of its columns."""

    @abstractmethod
    def table(self) -> pa.Table:
        """The rows as a table of Arrow."""


class Source(ABC):
    """Rows with named columns; read once."""

    name: str
    folder: Path | None = Path()
    """Where relative paths in it begin; None where it is of tables in several folders."""
    columns: list[str] | None = None
    """Their names; None where each row has its own."""
    schema: pa.Schema | None = None
    """Their types; None where all is text."""
    delimiter: str | None = None
    marked: bool = False
    """Whether a spreadsheet needs a mark at the beginning to read it, as it did of this file."""
    reserved: tuple[str, ...] = ()
    """Columns that answers go to, which it may not have."""

    def reserve(self, names: Iterable[str]) -> None:
        """Refuses columns of these names.

        Raises:
            UsageError: it has one. Where each row has its own, those behind the first are refused
                as they are read.
        """
        self.reserved = tuple(names)
        self._refuse(self.first() or {} if self.columns is None else self.columns)

    def names(self, rows: int) -> list[str]:
        """The columns; where each row has its own, those of the first so many rows."""
        del rows
        return list(self.columns or ())

    def _refuse(self, columns: Container[str]) -> None:
        if taken := [name for name in self.reserved if name in columns]:
            raise UsageError(
                f"`{self.name}` already has a column `{taken[0]}`, which answers go to",
                hint="rename or remove it",
            )

    @abstractmethod
    def first(self) -> Row | None:
        """The first row, which stays to be read; None where there is none."""

    @abstractmethod
    def blocks(self, size: int) -> Iterator[Block]:
        """All rows, so many at a time; only the last block may be shorter."""

    def share(self) -> float | None:
        """Which part of it has been read; None where that cannot be known."""
        return None

    def has_changed(self) -> bool:
        """Whether it was seen to change since it was opened."""
        return False

    def close(self) -> None:
        """Closes its file."""
        return


def open_text(path: Path) -> Source | None:
    """The rows of a table of text or of lines of JSON; None where its name ends otherwise.

    Raises:
        UsageError: it cannot be read.
    """
    suffix, _ = suffix_of(path)
    if suffix in DELIMITERS:
        return _Table(path)
    return _Lines(path) if suffix in LINES else None


@contextmanager
def reading(path: Path) -> Generator[None]:
    """Says of a file that cannot be read why it cannot."""
    import zlib

    try:
        yield
    except UsageError:
        raise
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is not UTF-8: {error}", hint="save it as UTF-8") from error
    except (EOFError, zlib.error) as error:
        raise UsageError(f"`{path}` is cut short or damaged: {error}") from error
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror or error}") from error


def stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file does."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def suffix_of(path: Path) -> tuple[str, bool]:
    """The end of a name that says what is in a file, and whether that is packed."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    is_packed = bool(suffixes) and suffixes[-1] in PACKED
    if is_packed:
        suffixes.pop()
    return (suffixes[-1] if suffixes else ""), is_packed


def is_text(value: Any) -> bool:
    """Whether a cell is a text and no number."""
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


# ── text ───────────────────────────────────────────────────────────────────────────────────────


class Listed(Block):
    """Rows that are dicts."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def values(self, column: str) -> list[Any]:
        """What the rows hold in a column; None where they hold nothing."""
        return [row.get(column) for row in self._rows]

    def rows(self) -> list[Row]:
        """The rows themselves."""
        return self._rows

    def table(self) -> pa.Table:
        """The rows as texts, by the columns of the first."""
        import pyarrow as pa

        return pa.table({name: pa.array(self.values(name), pa.string()) for name in self._rows[0]})


class _Text(Source):
    """A file of text, which may be packed."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.folder = path.parent
        self._path = path
        self._raw: IO[bytes] | None = None
        with reading(path):
            self._size = path.stat().st_size
            self._stamp = stamp(path)
        self.encoding, self.marked = _encoding(path)
        self._reader = self._all()
        self._rows: Iterator[Row] = self._reader

    def close(self) -> None:
        self._reader.close()

    def first(self) -> Row | None:
        row = next(self._rows, None)
        self._rows = iter(()) if row is None else chain([row], self._rows)
        return row

    def blocks(self, size: int) -> Iterator[Block]:
        while block := list(islice(self._rows, size)):
            yield Listed(block)

    def share(self) -> float | None:
        # Of a packed file too, this is where its reader is on the disk.
        if self._raw is None or not self._size:
            return None
        return 1.0 if self._raw.closed else self._raw.tell() / self._size

    def has_changed(self) -> bool:
        with reading(self._path):
            return stamp(self._path) != self._stamp

    def _all(self) -> Generator[Row]:
        with reading(self._path), self._open() as file:
            yield from self._read(file)

    @contextmanager
    def _open(self) -> Generator[TextIO]:
        with (
            self._path.open("rb") as self._raw,
            _unpacked(self._path, self._raw) as unpacked,
            io.TextIOWrapper(unpacked, self.encoding, newline="") as file,
        ):
            yield file

    @abstractmethod
    def _read(self, file: TextIO) -> Iterator[Row]: ...


@final
class _Table(_Text):
    """CSV and TSV."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        csv.field_size_limit(2**31 - 1)  # a text may be longer than a cell of a spreadsheet
        with reading(path), self._open() as file:
            usual = DELIMITERS[suffix_of(path)[0]]
            self.delimiter = _delimiter(file.readline(1 << 20), usual)
        with reading(path), self._open() as file:
            table = csv.reader(file, delimiter=self.delimiter, strict=True)
            try:
                self.columns = named(next(table, ()))
            except csv.Error as error:
                raise UsageError(f"line {table.line_num} of `{path}`: {error}") from error
        if not self.columns:
            raise UsageError(f"`{path}` is empty; its first line must name the columns")
        if len({*self.columns}) < len(self.columns):
            columns = ", ".join(self.columns)
            raise UsageError(f"`{path}` has two columns of the same name: {columns}")

    def _read(self, file: TextIO) -> Iterator[Row]:
        header = self.columns or []
        table = csv.reader(file, delimiter=self.delimiter or ",", strict=True)
        try:
            next(table, None)
            for cells in table:
                if not cells:
                    continue  # a blank line is no row, as a last one shows
                if len(cells) != len(header):
                    raise UsageError(
                        f"line {table.line_num} of `{self.name}` has {len(cells)} cells, "
                        f"and the first line names {len(header)} columns",
                        hint="a comma, a quote or a line break inside a text needs quotes "
                        "around it",
                    )
                yield dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise UsageError(f"line {table.line_num} of `{self.name}`: {error}") from error


@final
class _Lines(_Text):
    """One JSON object a line."""

    def names(self, rows: int) -> list[str]:
        seen = list(islice(self._rows, rows))
        self._rows = chain(seen, self._rows)
        return list(dict.fromkeys(name for row in seen for name in row))

    def blocks(self, size: int) -> Iterator[Block]:
        for block in super().blocks(size):
            for row in block.rows() if self.reserved else ():
                self._refuse(row)
            yield block

    def _read(self, file: TextIO) -> Iterator[Row]:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            row: Any = None
            with suppress(ValueError, RecursionError):
                row = json.loads(line)
            if not isinstance(row, Mapping):
                raise UsageError(f"line {number} of `{self.name}` is not a JSON object")
            yield dict(cast("Mapping[str, Any]", row))


def _unpacked(path: Path, raw: IO[bytes]) -> IO[bytes]:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        import gzip

        return cast("IO[bytes]", gzip.open(raw, "rb"))
    if suffix == ".bz2":
        import bz2

        return cast("IO[bytes]", bz2.open(raw, "rb"))
    return raw


def _encoding(path: Path) -> tuple[str, bool]:
    """How a file writes its letters, and whether a mark must say so to a spreadsheet."""
    with reading(path), path.open("rb") as raw, _unpacked(path, raw) as file:
        start = file.read(3)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") and _decodes(path, "utf-16") is None:
        return "utf-16", True
    wrong = _decodes(path, "utf-8")
    if wrong is None:
        return "utf-8-sig", start == BOM.encode()
    # What spreadsheets in Korean write where they are asked for no other.
    if _decodes(path, "cp949") is None:
        import logging

        logging.getLogger("silmu").warning(
            "`%s` is not UTF-8 and is read as CP949; what is written is UTF-8", path
        )
        return "cp949", True
    with reading(path):
        raise wrong


def _decodes(path: Path, encoding: str) -> UnicodeDecodeError | None:
    import codecs

    decoder = codecs.getincrementaldecoder(encoding)()
    with reading(path), path.open("rb") as raw, _unpacked(path, raw) as file:
        try:
            while piece := file.read(1 << 20):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            return error
    return None


def named(header: Sequence[str]) -> list[str]:
    """The columns of a first line, by the names that `collect` has given them.

    >>> named(["", "date", " sales "])
    ['column_1', 'date', 'sales']
    """
    stripped = [name.strip() for name in header]
    if not any(stripped):
        return stripped
    return [name or f"column_{place}" for place, name in enumerate(stripped, 1)]


def _delimiter(header: str, usual: str) -> str:
    """What separates the cells of the first line: the usual, unless it is not in it at all."""
    if usual in header:
        return usual
    return max(OTHERS, key=header.count) if any(map(header.count, OTHERS)) else usual
