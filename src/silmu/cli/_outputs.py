"""Files of answered rows, by the end of their name, joined from parts without holding them."""

from __future__ import annotations

import csv
import io
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast, final

from silmu.cli import _rows
from silmu.cli._words import as_json, plain
from silmu.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from silmu.cli._rows import Block, Row, Source

GROUP_ROWS, GROUP_BYTES = 65_536, 32 << 20
"""Where a row group of Parquet ends, at the first batch that passes one of these."""

_PIECE = 1 << 20

Cells = Mapping[str, Any]
"""What is added to a row, by column."""


class Output(ABC):
    """A kind of file: rows with their cells become pieces, these a part, and parts the file."""

    @abstractmethod
    def piece(self, block: Block, cells: Sequence[Cells]) -> Any:
        """Rows and what was answered, as this kind of file holds them."""

    @abstractmethod
    def size(self, piece: Any) -> int:
        """How many bytes a piece takes."""

    @abstractmethod
    def part(self, pieces: Sequence[Any]) -> bytes:
        """Pieces as a file that `join` reads."""

    @abstractmethod
    def join(self, parts: Sequence[Path], file: BinaryIO) -> None:
        """All parts as one file."""


def open_output(path: Path, source: Source, first: Row, added: Mapping[str, bool]) -> Output:
    """What writes a file of the kind that its name says.

    Args:
        path: where the file will be.
        source: whose columns it repeats.
        first: its first row, whose columns they are where the source does not tell.
        added: the columns that come to them, and whether each holds numbers.
    """
    suffix, is_packed = _rows.suffix_of(path)
    if suffix in _rows.DELIMITERS:
        usual = _rows.DELIMITERS[suffix]
        # A spreadsheet that separates by semicolons reads no commas.
        delimiter = source.delimiter if usual == "," else None
        columns = list(first) if source.columns is None else source.columns
        names = [*columns, *added]
        output: Output = _Table(names, delimiter or usual, marked=source.marked)
    elif suffix in _rows.LINES:
        output = _Lines()
    elif suffix == ".json":
        output = _Array()
    else:
        output = _Parquet(source, added)
    return _Packed(output) if is_packed else output


def check(path: Path) -> bool:
    """Whether a file of that name has typed columns.

    Raises:
        UsageError: there is no such kind of file, or none that is written.
        MissingExtraError: it takes an extra to write it.
    """
    suffix, is_packed = _rows.suffix_of(path)
    text = (*_rows.DELIMITERS, *_rows.LINES, ".json")
    if suffix not in (*text, *_rows.PARQUET) or path.suffix.lower() == ".bz2":
        raise UsageError(
            f"`{path}` is not one of the kinds of file that can be written: "
            f"{', '.join((*text, *_rows.PARQUET))}, also packed as .gz"
        )
    if suffix in text:
        return False
    if is_packed:
        raise UsageError(f"`{path}` would be packed twice", hint="leave the .gz out")
    from silmu import extras

    extras.require("data")
    return True


# ── text ───────────────────────────────────────────────────────────────────────────────────────


class _Text(Output):
    def piece(self, block: Block, cells: Sequence[Cells]) -> bytes:
        rows = ({**row, **more} for row, more in zip(block.rows(), cells, strict=True))
        # Half of a surrogate pair is no UTF-8; JSON has a way to write it.
        return self._written(rows).encode("utf-8", "backslashreplace")

    def size(self, piece: bytes) -> int:
        return len(piece)

    def part(self, pieces: Sequence[bytes]) -> bytes:
        return b"".join(pieces)

    def join(self, parts: Sequence[Path], file: BinaryIO) -> None:
        for part in parts:
            _copy(part, file)

    @abstractmethod
    def _written(self, rows: Iterable[Row]) -> str: ...


@final
class _Table(_Text):
    def __init__(self, columns: list[str], delimiter: str, *, marked: bool) -> None:
        self._columns = columns
        self._known = frozenset(columns)
        self._delimiter = delimiter
        # A spreadsheet that wrote the mark needs it to read Korean back.
        self._mark = _rows.BOM if marked else ""

    def _written(self, rows: Iterable[Row]) -> str:
        return self._lines(map(self._cells, rows))

    def _cells(self, row: Row) -> list[str]:
        if not row.keys() <= self._known:
            new = next(name for name in row if name not in self._known)
            raise UsageError(
                f"a row has the column `{new}`, and the first row has not",
                hint="write such rows to a .jsonl file",
            )
        return [_cell(row.get(name)) for name in self._columns]

    def join(self, parts: Sequence[Path], file: BinaryIO) -> None:
        header = self._lines([self._columns])
        file.write(f"{self._mark}{header}".encode("utf-8", "backslashreplace"))
        super().join(parts, file)

    def _lines(self, rows: Iterable[list[str]]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._delimiter, lineterminator="\n").writerows(rows)
        return text.getvalue()


@final
class _Lines(_Text):
    def _written(self, rows: Iterable[Row]) -> str:
        return "".join(f"{as_json(row)}\n" for row in rows)


@final
class _Array(_Text):
    """A JSON array, one row a line."""

    def _written(self, rows: Iterable[Row]) -> str:
        return "".join(f",\n{as_json(row)}" for row in rows)

    def join(self, parts: Sequence[Path], file: BinaryIO) -> None:
        file.write(b"[")
        for number, part in enumerate(parts):
            _copy(part, file, skip=1 if number == 0 else 0)
        file.write(b"\n]\n")


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if not isinstance(value, str | bool | int | float | list | dict):
        value = plain(value)
    return value if isinstance(value, str) else as_json(value)


def _copy(part: Path, file: BinaryIO, skip: int = 0) -> None:
    with part.open("rb") as rows:
        rows.read(skip)
        while piece := rows.read(_PIECE):
            file.write(piece)


@final
class _Packed(Output):
    """Another kind, packed by gzip when it is joined."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def piece(self, block: Block, cells: Sequence[Cells]) -> Any:
        return self._output.piece(block, cells)

    def size(self, piece: Any) -> int:
        return self._output.size(piece)

    def part(self, pieces: Sequence[Any]) -> bytes:
        return self._output.part(pieces)

    def join(self, parts: Sequence[Path], file: BinaryIO) -> None:
        packing = _Packing(file)
        self._output.join(parts, cast("BinaryIO", packing))
        packing.finish()


@final
class _Packing:
    """A file that packs what is written to it: the same bytes give the same bytes, at any time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._packer = zlib.compressobj(wbits=31)

    def write(self, data: bytes) -> None:
        self._file.write(self._packer.compress(data))

    def finish(self) -> None:
        self._file.write(self._packer.flush())


# ── Parquet ────────────────────────────────────────────────────────────────────────────────────


@final
class _Parquet(Output):
    def __init__(self, source: Source, added: Mapping[str, bool]) -> None:
        import pyarrow as pa

        # A cell of a table of text stays the text that it was.
        texts = [(name, pa.string()) for name in source.columns or ()]
        schema = pa.schema(texts) if source.schema is None else source.schema
        self._added = {name: pa.float64() if added[name] else pa.string() for name in added}
        for name, kind in self._added.items():
            schema = schema.append(pa.field(name, kind))
        self._schema = schema

    def piece(self, block: Block, cells: Sequence[Cells]) -> pa.Table:
        import pyarrow as pa

        columns = list(block.table().columns)
        for name, kind in self._added.items():
            values = [row[name] for row in cells]
            if kind == pa.string():
                values = [None if value is None else _well_formed(_cell(value)) for value in values]
            columns.append(pa.chunked_array([pa.array(values, kind)]))
        return pa.Table.from_arrays(columns, schema=self._schema)

    def size(self, piece: pa.Table) -> int:
        return piece.nbytes

    def part(self, pieces: Sequence[pa.Table]) -> bytes:
        import pyarrow as pa

        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, self._schema) as writer:
            for piece in pieces:
                writer.write_table(piece.unify_dictionaries())
        return sink.getvalue()

    def join(self, parts: Sequence[Path], file: BinaryIO) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with pq.ParquetWriter(file, self._schema) as writer:
            for group in _groups(_batches(parts)):
                table = pa.Table.from_batches(group, self._schema)
                # In one piece, or its batches would be seen in the file.
                writer.write_table(table.unify_dictionaries().combine_chunks())


def _batches(parts: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    """What was answered, in batches that do not depend on where parts were cut."""
    import pyarrow as pa

    for part in parts:
        with part.open("rb") as file, pa.ipc.open_stream(file) as stream:
            yield from stream


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        group.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, rows, size = [], 0, 0
    if group:
        yield group


def _well_formed(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
