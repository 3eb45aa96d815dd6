"""What a source is: a file or many, a folder of texts, a database, a hub data set, rows in memory.

Whatever it is, it is read batch after batch, with the number that each row has in the source. The
kind of a file is told by its content, and by its name only where the content cannot tell.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from silmu.errors import InputError, UsageError
from silmu.runtime import packages
from silmu.steps.collect import arrows, delimited, hub, memory, queries, values
from silmu.steps.collect.databases import Query
from silmu.steps.collect.delimited import Table
from silmu.steps.collect.folders import TextFolder
from silmu.steps.collect.jsons import Objects
from silmu.steps.collect.streams import Watch, packing, peek, regular
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import Numbered, Read, Rows

SQLITE = "sqlite:///"
ENDINGS = {
    "csv": "csv", "tsv": "csv", "tab": "csv", "txt": "csv", "json": "json", "jsonl": "json",
    "ndjson": "json", "parquet": "parquet", "pq": "parquet", "arrow": "arrow", "feather": "arrow",
    "ipc": "arrow", "db": "sqlite", "sqlite": "sqlite", "sqlite3": "sqlite",
}  # fmt: skip
_PACKED_ENDINGS = {"gz", "bz2", "zst", "zstd"}
_MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"SQLite format 3\0": "sqlite"}
_OTHER = {
    b"PK\x03\x04": "a workbook or an archive (zip)",
    b"\xd0\xcf\x11\xe0": "an old workbook (xls)",
    b"%PDF": "a PDF",
    b"FEA1": "Feather of version 1",
    b"\x7fELF": "a program",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"7z\xbc\xaf": "an archive (7z)",
    b"\xfd7zXZ": "packed with xz",
}
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Source:
    """Something to read rows from."""

    name: str
    """Short, for the names of runs."""
    shown: str
    """As it was given, without passwords."""
    schema: pa.Schema
    read: Read
    watch: Watch

    def batches(self, tally: Tally) -> Iterator[Numbered]:
        """The rows, if the source stays what it is while they are read."""
        yield from self.read(tally)
        self.watch.check()


def open_source(given: Any, query: str | None = None) -> Source:
    """A source, opened far enough to know its columns.

    Raises:
        UsageError: there is no such source, or the query is not one SELECT.
        InputError: the source is there but broken.
    """
    if isinstance(given, str | PurePath):
        source, query = _named(str(given), query)
    else:
        schema, read = memory.read(given, held=query is not None)
        source = Source("data", f"{type(given).__name__} in memory", schema, read, Watch(()))
    return source if query is None else _queried(source, query)


def describe(given: Any) -> str:
    """A short name for a source, for the name of a run.

    >>> describe("data/reviews.csv.gz"), describe("sqlite:///shop.db?SELECT 1"), describe([])
    ('reviews', 'shop', 'data')
    """
    if not isinstance(given, str | PurePath):
        return "data"
    path = str(given).removeprefix(SQLITE).partition("?")[0].rstrip("/")
    parts = [part for part in PurePath(path).parts if not _GLOB.search(part)]
    last = parts[-1] if parts else ""
    pieces = last.split(".")
    while len(pieces) > 1 and pieces[-1].lower() in (*ENDINGS, *_PACKED_ENDINGS):
        pieces.pop()
    name = re.sub(r"[^\w.-]", "-", ".".join(pieces).partition(":")[2] or ".".join(pieces))
    return name.strip("-._")[:60] or "data"


def shown(given: str) -> str:
    """A source as it may be written down: without the password or the token of a URL."""
    try:
        url = urlsplit(given)
        if not url.netloc:
            return given
        host = url.netloc.rpartition("@")[2]
    except ValueError:
        return given.partition(":")[0] + "://..."
    return f"{url.scheme}://{host}{url.path}"


def _named(given: str, query: str | None) -> tuple[Source, str | None]:
    """The source of a name, and what is left of the query for DuckDB to answer."""
    name = describe(given)
    if given.startswith(SQLITE):
        path, _, own = given.removeprefix(SQLITE).partition("?")
        return _database(Path(path), own or query, name, given), query if own else None
    if given.startswith(packages.PREFIX):
        return _located(packages.locate(given), query, name, given)
    if "://" in given:
        raise UsageError(
            f"`{shown(given)}` is not a kind of source that is read",
            hint="fetch the file and give its path; a database is given as sqlite:///PATH",
        )
    if not given or "\0" in given:
        raise UsageError("the source has no name")
    path = Path(os.path.expanduser(given))  # noqa: PTH111 - pathlib raises on odd names
    if os.path.lexists(path):
        return _located(path, query, name, given)
    if _GLOB.search(given):
        found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute ones too
        files = [Path(one) for one in found if not Path(one).is_dir()]
        if not files:
            raise UsageError(f"no file is named like `{given}`", hint="is the folder right?")
        return _files(files, name, given), query
    if (repository := hub.repository(given)) is not None:
        return _hub(*repository, given), query
    raise UsageError(
        f"there is no `{given}`",
        hint="give a file, a folder, a pattern such as 'reviews/*.csv', sqlite:///PATH, "
        "package:NAME/path, or the id of a data set on the hub",
    )


def _located(path: Path, query: str | None, name: str, given: str) -> tuple[Source, str | None]:
    if not path.is_dir():
        if _kind(path) == "sqlite":
            return _database(path, query, name, given), None
        return _files([path], name, given), query
    entries = sorted(one for one in path.iterdir() if not one.name.startswith("."))
    tables = [one for one in entries if _ending(one) in ENDINGS.values() and one.is_file()]
    if tables and not any(one.is_dir() for one in entries):
        return _files(tables, name, given), query
    folder = TextFolder(path)
    return Source(name, given, folder.schema, folder.read, Watch(())), query


def _files(paths: Sequence[Path], name: str, given: str) -> Source:
    watch = Watch(paths)
    kinds = {_kind(path): path for path in paths}
    if len(kinds) > 1:
        told = ", ".join(f"`{path}` is {kind}" for kind, path in kinds.items())
        raise UsageError(f"the files are of different kinds: {told}")
    (kind,) = kinds
    if kind == "csv":
        schema, read = delimited.read_tables([Table(path) for path in paths])
    elif kind == "json":
        schema, read = values.read_rows(_chained([Objects(path) for path in paths]))
    elif kind == "sqlite":
        raise UsageError("several databases cannot be read as one", hint="give one of them")
    else:
        reader = arrows.read_parquet if kind == "parquet" else arrows.read_arrow
        schema, read = arrows.read_parts([(str(path), reader(path)) for path in paths])
    # What was looked at so far is what will be read.
    watch.check()
    return Source(name, given, schema, read, watch)


def _kind(path: Path) -> str:
    """The kind of a file by its content; by its name where that can be anything."""
    with regular(path) as file:
        packed = packing(file.peek(4)[:4])
    beginning = peek(path)
    kind = next((kind for magic, kind in _MAGIC.items() if beginning.startswith(magic)), None)
    if kind is not None:
        if packed:
            raise UsageError(f"`{path}` is {kind}, packed with {packed}", hint="unpack it first")
        return kind
    for magic, what in _OTHER.items():
        if beginning.startswith(magic):
            raise UsageError(
                f"`{path}` is {what}, not a table", hint="save it as CSV (`CSV UTF-8`)"
            )
    named = _ending(path)
    if named in ("csv", "json"):
        return named
    if named is not None and beginning:
        raise InputError(
            f"`{path}` is named as {named}, but is none", hint="fetch it again, or rename it"
        )
    first = beginning.lstrip(b"\xef\xbb\xbf \t\r\n\0\xff\xfe")[:1]
    return "json" if first in (b"{", b"[") else "csv"


def _ending(path: Path) -> str | None:
    pieces = path.name.lower().split(".")
    while len(pieces) > 1 and pieces[-1] in _PACKED_ENDINGS:
        pieces.pop()
    return ENDINGS.get(pieces[-1]) if len(pieces) > 1 else None


def _chained(files: Sequence[Objects]) -> Rows:
    def rows(tally: Tally) -> Iterator[tuple[int, Mapping[str, Any]]]:
        first = 1
        for file in files:
            first = yield from file.rows(tally, first)

    return rows


def _database(path: Path, query: str | None, name: str, given: str) -> Source:
    watch = Watch([path, path.with_name(f"{path.name}-wal")])
    question = Query(path, query)
    schema, read = values.read_rows(question.rows)
    if not schema.names:
        schema = pa.schema([(column, pa.string()) for column in question.columns])
    return Source(name, given, schema, read, watch)


def _hub(repository: str, part: str | None, given: str) -> Source:
    parts: list[tuple[str, arrows.Typed]] = []
    files = hub.parquet_files(repository, part)
    for path, split in files:
        schema, read = arrows.read_parquet(path)
        if split is not None and "split" not in schema.names:
            schema, read = _with_split(schema, read, split)
        parts.append((path.name, (schema, read)))
    schema, read = arrows.read_parts(parts)
    name = describe(repository.rpartition("/")[2])
    return Source(name, given, schema, read, Watch([path for path, _ in files]))


def _with_split(schema: pa.Schema, read: arrows.Batches, split: str) -> arrows.Typed:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in read():
            column = pa.array([split] * batch.num_rows, pa.string())
            yield batch.append_column("split", column)

    return schema.append(pa.field("split", pa.string())), batches


def _queried(source: Source, query: str) -> Source:
    """What a query gives of a source; its rows are numbered in the order of the answer."""
    tallies: list[Tally] = []

    def data() -> Iterator[pa.RecordBatch]:
        tallies.append(Tally())
        for _, batch in source.batches(tallies[-1]):
            yield batch

    plain = arrows.plain_schema(queries.schema(queries.Data(source.schema, data), query))

    def read(tally: Tally) -> Iterator[Numbered]:
        tallies.clear()
        answer = queries.answer(queries.Data(source.schema, data), query)
        yield from arrows.numbered([("the answer", (plain, lambda: answer))], plain)
        # Where the query reads the source twice, what is broken in it is met twice.
        if tallies:
            tally.merge(max(tallies, key=lambda one: one.count), "before the query, ")

    return Source(source.name, source.shown, plain, read, source.watch)
