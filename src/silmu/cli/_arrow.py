"""Sources of rows that have types: Parquet, and whatever else `steps.collect` reads."""

from __future__ import annotations

import glob
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from silmu.cli._rows import Block, Row, Source, reading, stamp
from silmu.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa


@final
class _Arrow(Block):
    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.num_rows

    def values(self, column: str) -> list[Any]:
        return _listed(self._table.column(column), exact=False)

    def rows(self) -> list[Row]:
        names = self._table.column_names
        columns = [_listed(self._table.column(name), exact=True) for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def table(self) -> pa.Table:
        return self._table


def _listed(column: pa.ChunkedArray[Any], *, exact: bool) -> list[Any]:
    """The cells of a column; times to the microsecond, which Python has, or exactly, as text."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        try:
            column = column.cast(pa.timestamp("us", column.type.tz), safe=exact)
        except pa.ArrowInvalid:
            column = column.cast(pa.string())
    return column.to_pylist()


class _Typed(Source):
    """Batches of Arrow, of whatever size."""

    schema: pa.Schema

    def __init__(self, name: str, schema: pa.Schema) -> None:
        self.name = name
        self.schema = schema
        self.columns = list(self.schema.names)
        if len({*self.columns}) < len(self.columns):
            columns = ", ".join(self.columns)
            raise UsageError(f"`{self.name}` has two columns of the same name: {columns}")
        self._batches = self._all()

    def first(self) -> Row | None:
        import pyarrow as pa

        for batch in self._batches:
            if batch.num_rows:
                self._batches = chain([batch], self._batches)
                return _Arrow(pa.Table.from_batches([batch.slice(0, 1)])).rows()[0]
        return None

    def blocks(self, size: int) -> Iterator[Block]:
        return map(_Arrow, even(self._batches, self.schema, size))

    @abstractmethod
    def _all(self) -> Iterator[pa.RecordBatch]: ...


def even(batches: Iterable[pa.RecordBatch], schema: pa.Schema, size: int) -> Iterator[pa.Table]:
    """The rows of batches of any size, so many at a time."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    missing = size
    for batch in batches:
        while batch.num_rows:
            waiting.append(batch.slice(0, missing))
            batch = batch.slice(missing)
            missing -= waiting[-1].num_rows
            if not missing:
                yield pa.Table.from_batches(waiting, schema)
                waiting, missing = [], size
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


@final
class Parquet(_Typed):
    """A file of Parquet."""

    def __init__(self, path: Path) -> None:
        from silmu import extras

        extras.require("data")
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        self.folder = path.parent
        self._read = 0
        with reading(path):
            self._stamp = stamp(path)
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise UsageError(f"`{path}` cannot be read: {error}") from error
        super().__init__(str(path), self._file.schema_arrow)

    def close(self) -> None:
        self._file.close()

    def share(self) -> float | None:
        return self._read / max(self._file.metadata.num_rows, 1)

    def has_changed(self) -> bool:
        with reading(self._path):
            return stamp(self._path) != self._stamp

    def _all(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        try:
            for batch in self._file.iter_batches(batch_size=1024):
                self._read += batch.num_rows
                yield batch
        except (pa.ArrowException, OSError) as error:
            raise UsageError(f"`{self.name}` cannot be read: {error}") from error


@final
class Collected(_Typed):
    """Whatever else `steps.collect` reads."""

    def __init__(self, source: str, query: str | None) -> None:
        from silmu import extras

        extras.require("data")
        from silmu.steps import collect

        schema, self._given = collect.rows(source, query=query)
        super().__init__(collect.describe(source), schema)
        self.folder = _folder(source)

    def _all(self) -> Iterator[pa.RecordBatch]:
        yield from self._given


def _folder(source: str) -> Path | None:
    """Where the tables of a source lie; None for several places."""
    given = os.path.expanduser(source)  # noqa: PTH111 - pathlib raises on odd names
    if os.path.isdir(given):  # noqa: PTH112
        return Path(given)
    if os.path.lexists(given):
        return Path(given).parent
    found = map(Path, glob.glob(given, recursive=True))  # noqa: PTH207 - absolute ones too
    folders = {one.parent for one in found if not one.is_dir()} or {Path()}
    return folders.pop() if len(folders) == 1 else None
