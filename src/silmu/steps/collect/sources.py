"""What a source is: a file or many, a folder of texts, a database, a hub data set, rows in memory.

Whatever it is, it is read batch after batch, with the number that each row has in the source.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa

from silmu.errors import UsageError
from silmu.runtime import packages
from silmu.steps.collect import (
    arrows,
    delimited,
    formats,
    hub,
    memory,
    queries,
    servers,
    urls,
    values,
)
from silmu.steps.collect.databases import Query
from silmu.steps.collect.delimited import Table
from silmu.steps.collect.folders import TextFolder
from silmu.steps.collect.image import archives
from silmu.steps.collect.image import memory as objects
from silmu.steps.collect.image.sources import PictureArchive, PictureFolder
from silmu.steps.collect.jsons import Objects
from silmu.steps.collect.streams import Watch
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import Numbered, Read, Rows

SQLITE = "sqlite:///"
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
    root: Path = Path()
    """Where relative paths in it begin."""
    is_listing: bool = False
    """Whether it lists pictures, whose columns are `image` and, where there are labels, `label`."""

    def batches(self, tally: Tally) -> Iterator[Numbered]:
        """The rows, if the source stays what it is while they are read."""
        yield from self.read(tally)
        self.watch.check()


def open_source(given: Any, query: str | None = None, kind: str = "text") -> Source:
    """A source, opened far enough to know its columns.

    Args:
        given: a path or name, or rows in memory.
        query: a SELECT over it.
        kind: what it is read for: of `image`, folders and archives hold pictures.

    Raises:
        UsageError: there is no such source, or the query is not one SELECT.
        InputError: the source is there but broken.
    """
    if isinstance(given, str | PurePath):
        source, query = _named(str(given), query, kind)
    else:
        reading = objects.read if kind == "image" else memory.read
        schema, read = reading(given, held=query is not None)
        source = Source("data", f"{type(given).__name__} in memory", schema, read, Watch(()))
    return source if query is None else _queried({"data": source}, query, source)


def describe(given: Any) -> str:
    """A short name for a source, for the name of a run.

    >>> describe("data/reviews.csv.gz"), describe("sqlite:///shop.db?SELECT 1"), describe([])
    ('reviews', 'shop', 'data')
    """
    if not isinstance(given, str | PurePath):
        return "data"
    path = str(given).removeprefix(SQLITE)
    if urls.is_one(path):
        # What names a database, and no user or password.
        scheme, _, rest = urls.shown(path).partition("://")
        path = rest.partition("/")[2] or scheme.partition("+")[0]
    elif _are_several(path, ""):
        path = "-".join(describe(part) for part in _parts(path))
    path = path.partition("?")[0].rstrip("/")
    parts = [part for part in PurePath(path).parts if not _GLOB.search(part)]
    last = parts[-1] if parts else ""
    stem = formats.without_ending(last)
    name = re.sub(r"[^\w.-]", "-", stem.partition(":")[2] or stem)
    return name.strip("-._")[:60] or "data"


def _named(given: str, query: str | None, kind: str) -> tuple[Source, str | None]:
    """The source of a name, and what is left of the query for DuckDB to answer."""
    name = describe(given)
    if given.startswith(SQLITE):
        path, _, own = given.removeprefix(SQLITE).partition("?")
        return _database(Path(path), own or query, name, given), query if own else None
    if _are_several(given, query):
        return _joined(_parts(given), query, name, given, kind), None
    if given.startswith(packages.PREFIX):
        return _located(packages.locate(given), query, name, given, kind)
    if urls.is_one(given):
        if servers.is_known(given):
            told = urls.shown(given)
            answer = servers.Answer(given, query, told)
            return Source(name, told, answer.schema, answer.read, Watch(())), None
        raise UsageError(
            f"`{urls.shown(given)}` is not a kind of source that is read",
            hint="fetch the file and give its path; a database is given as sqlite:///PATH or "
            "postgresql://USER@HOST/DATABASE",
        )
    if not given or "\0" in given:
        raise UsageError("the source has no name")
    path = Path(os.path.expanduser(given))  # noqa: PTH111 - pathlib raises on odd names
    if os.path.lexists(path):
        return _located(path, query, name, given, kind)
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
        "postgresql://USER@HOST/DATABASE, package:NAME/path, or the id of a data set on the hub",
    )


def _located(
    path: Path, query: str | None, name: str, given: str, kind: str
) -> tuple[Source, str | None]:
    if not path.is_dir():
        if kind == "image" and archives.kind(path):
            archive = PictureArchive(path)
            root, watch = path.parent.absolute(), Watch([path])
            return Source(name, given, archive.schema, archive.read, watch, root, True), query
        if formats.kind(path) == "sqlite":
            return _database(path, query, name, given), None
        return _files([path], name, given), query
    entries = sorted(one for one in path.iterdir() if not one.name.startswith("."))
    tables = [one for one in entries if formats.ending(one) and one.is_file()]
    if tables and not any(one.is_dir() for one in entries):
        return _files(tables, name, given), query
    if kind == "image":
        pictures = PictureFolder(path)
        root, watch = path.absolute(), Watch(())
        return Source(name, given, pictures.schema, pictures.read, watch, root, True), query
    folder = TextFolder(path)
    return Source(name, given, folder.schema, folder.read, Watch(())), query


def _files(paths: Sequence[Path], name: str, given: str) -> Source:
    watch = Watch(paths)
    kinds = {formats.kind(path): path for path in paths}
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
    return Source(name, given, schema, read, watch, paths[0].parent.absolute())


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
    return Source(name, given, schema, read, watch, path.parent.absolute())


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
    watch = Watch([path for path, _ in files])
    return Source(name, given, schema, read, watch, files[0][0].parent.absolute())


def _with_split(schema: pa.Schema, read: arrows.Batches, split: str) -> arrows.Typed:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in read():
            column = pa.array([split] * batch.num_rows, pa.string())
            yield batch.append_column("split", column)

    return schema.append(pa.field("split", pa.string())), batches


def _parts(given: str) -> list[str]:
    return [part for one in given.split(",") if (part := one.strip())]


def _are_several(given: str, query: str | None) -> bool:
    """Whether a comma parts names of sources, and is not in the name of one."""
    path = os.path.expanduser(given)  # noqa: PTH111 - pathlib raises on odd names
    if "," not in given or urls.is_one(given) or os.path.lexists(path):
        return False
    if _GLOB.search(path) and glob.glob(path, recursive=True):  # noqa: PTH207 - absolute ones too
        return False
    parts = _parts(given)
    return len(parts) > 1 and (query is not None or any(map(os.path.lexists, parts)))


def _joined(parts: Sequence[str], query: str | None, name: str, given: str, kind: str) -> Source:
    """Several sources, each a table of a query, by its short name."""
    names = [describe(part) for part in parts]
    listed = ", ".join(f"`{one}`" for one in names)
    if len({*map(str.casefold, names)}) < len(names):
        raise UsageError(
            f"two sources would be tables of the same name: {listed}", hint="rename one of them"
        )
    if query is None:
        raise UsageError(
            f"`{given}` are {len(parts)} sources, and no query says how they belong together",
            hint=f'give one that joins the tables {listed}, such as --set query="SELECT * FROM '
            f'{names[0]} JOIN {names[1]} USING (COLUMN)"; files of one kind of row are given '
            "by a pattern",
        )
    sources = {one: open_source(part, None, kind) for one, part in zip(names, parts, strict=True)}
    told = ",".join(source.shown for source in sources.values())
    paths = [path for source in sources.values() for path in source.watch.paths]
    root = next(iter(sources.values())).root
    whole = Source(name, told, pa.schema([]), _nothing, Watch(paths), root)
    return _queried(sources, query, whole)


def _nothing(tally: Tally) -> Iterator[Numbered]:
    del tally
    return iter(())


def _queried(sources: Mapping[str, Source], query: str, whole: Source) -> Source:
    """What a query gives of sources; its rows are numbered in the order of the answer."""
    tallies: dict[str, list[Tally]] = {}

    def tables() -> dict[str, queries.Data]:
        tallies.clear()
        return {
            name: queries.Data(one.schema, lambda n=name: rows(n)) for name, one in sources.items()
        }

    def rows(name: str) -> Iterator[pa.RecordBatch]:
        tally = Tally()
        tallies.setdefault(name, []).append(tally)
        for _, batch in sources[name].batches(tally):
            yield batch

    plain = arrows.plain_schema(queries.schema(tables(), query))

    def read(tally: Tally) -> Iterator[Numbered]:
        answer = queries.answer(tables(), query)
        yield from arrows.numbered([("the answer", (plain, lambda: answer))], plain)
        for name, several in tallies.items():
            # Where the query reads a source twice, what is broken in it is met twice.
            told = "before the query, " if len(sources) == 1 else f"before the query, in `{name}`, "
            tally.merge(max(several, key=lambda one: one.count), told)

    return Source(whole.name, whole.shown, plain, read, whole.watch, whole.root)
