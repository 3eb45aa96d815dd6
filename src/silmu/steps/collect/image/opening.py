"""Every picture of a source opened once, some at a time: its facts, or why it is left out."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import Any, NamedTuple, cast, final

import pyarrow as pa

from silmu.errors import InputError
from silmu.steps.collect.image import files
from silmu.steps.collect.image.facts import facts
from silmu.steps.collect.image.files import Refused
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import Numbered

logger = logging.getLogger("silmu")

Progress = Callable[[int], None]
"""Is told of so many rows more that were looked at."""

SECONDS = 10.0
"""Between two lines that tell how far it is."""

URL = "it is an address, which is not fetched"
ASTRAY = "its path leads out of the folder of the table"
NOTHING = "it holds neither a path nor bytes"
NOT_MEANT = "it is no picture, nor called one"
_IS = ("it is no picture", "it is a ", "it is an ", "it is empty")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,20}://", re.IGNORECASE)


class _Opened(NamedTuple):
    """A picture: what its cell becomes, and its facts by name; or why it is left out."""

    cell: str | bytes
    facts: dict[str, Any]
    reason: str | None = None


@final
class Opening:
    """What becomes of the column of pictures.

    Args:
        schema: of the rows as they come.
        column: which column holds the pictures.
        fields: the facts of each, which columns of these names are added for.
        root: where relative paths begin.
        progress: is told of rows that were looked at.

    Attributes:
        schema: of the rows as they go, the columns of facts not counted.
    """

    def __init__(
        self,
        schema: pa.Schema,
        column: str,
        fields: pa.Schema,
        root: Path,
        progress: Progress | None = None,
    ) -> None:
        self.root = root
        self._column = column
        self._place = schema.names.index(column)
        self._stays = pa.types.is_string(schema.field(column).type)
        kind = pa.string() if self._stays else pa.binary()
        self.schema = schema.set(self._place, pa.field(column, kind))
        self._fields = fields
        self._resolved = root.resolve()
        self._folders: dict[Path, bool] = {}
        self._progress = progress
        self._outside = 0

    def through(self, batches: Iterable[Numbered], tally: Tally) -> Iterator[Numbered]:
        """The rows whose pictures can be opened, with columns of facts behind their own."""
        schema = pa.schema([*self.schema, *self._fields])
        with ThreadPoolExecutor(files.threads(), thread_name_prefix="silmu-pictures") as pool:
            for numbers, batch in batches:
                cells = cast("list[Any]", batch.column(self._place).to_pylist())
                opened = list(pool.map(self._open, cells, numbers.tolist()))
                kept = [place for place, one in enumerate(opened) if one.reason is None]
                for number, one in zip(numbers.tolist(), opened, strict=True):
                    if one.reason is not None:
                        tally.add(one.reason, [number])
                if self._progress is not None:
                    self._progress(len(opened))
                if not kept:
                    continue
                arrays = list(batch.take(pa.array(kept)).columns)
                kind = self.schema.field(self._place).type
                arrays[self._place] = pa.array([opened[place].cell for place in kept], kind)
                for field in self._fields:
                    values = [opened[place].facts[field.name] for place in kept]
                    arrays.append(pa.array(values, field.type))
                yield numbers[kept], pa.RecordBatch.from_arrays(arrays, schema=schema)
        if self._outside:
            logger.warning(
                "%s pictures lie outside of `%s`, where their paths say", f"{self._outside:,}",
                self.root,
            )  # fmt: skip

    def _open(self, value: Any, number: int) -> _Opened:
        try:
            if isinstance(value, str):
                path = self._path(value)
                found = facts(files.read(self.root / path), path)
                return _Opened(path, found)
            if isinstance(value, dict):
                both = cast("dict[str, Any]", value)
                data, path = both.get("bytes"), both.get("path")
            else:
                data, path = cast("bytes", value), None
            if data is None:
                if not path:
                    return _Opened(b"", {}, NOTHING)
                path = self._path(str(path))
                data = files.read(self.root / path)
            name = str(path) if path else f"row {number:,}"
            if not data:
                return _Opened(b"", {}, files.EMPTY)
            return _Opened(data, facts(data, name))
        except Refused as error:
            return _Opened(b"", {}, _reason(value, error.reason))
        except InputError as error:
            return _Opened(b"", {}, error.message)

    def _path(self, value: str) -> str:
        """A path as it is kept: below the root where it lies there, else absolute.

        Raises:
            Refused: it is an address, or leads out of the folder by `..` or a link.
        """
        if _SCHEME.match(value):
            raise Refused(value, URL)
        if "\0" in value:
            raise Refused(value, files.MISSING)
        path = PurePath(value)
        if "\\" in value and os.sep == "/" and not (self.root / path).exists():
            path = PurePath(value.replace("\\", "/"))  # as tables from Windows have them
        try:
            is_inside = self._is_inside(self.root / path)
        except (OSError, RuntimeError) as error:  # a name too long, links in a circle
            raise Refused(value, files.UNREADABLE) from error
        if path.is_absolute():
            if is_inside and path.is_relative_to(self.root):
                return path.relative_to(self.root).as_posix()
            self._outside += 1
            return str(path)
        if not is_inside:
            raise Refused(value, ASTRAY)
        return path.as_posix()

    def _is_inside(self, whole: Path) -> bool:
        """Whether a path ends below the root, all links followed."""
        if whole.name == ".." or whole.is_symlink():
            return whole.resolve().is_relative_to(self._resolved)
        folder = whole.parent
        if folder not in self._folders:
            self._folders[folder] = folder.resolve().is_relative_to(self._resolved)
        return self._folders[folder]


def _reason(value: Any, reason: str) -> str:
    """Why a picture is left out; what nobody calls a picture is told apart."""
    name: Any = cast("dict[str, Any]", value).get("path") if isinstance(value, dict) else value
    is_named = not isinstance(name, str) or files.looks_like_pictures([name])
    return reason if is_named or not reason.startswith(_IS) else NOT_MEANT


def telling(tell: Callable[[str], None]) -> Progress:
    """Progress as a line now and then.

    >>> telling(print)(256)
    """
    began = told = time.monotonic()
    count = 0

    def progress(rows: int) -> None:
        nonlocal count, told
        count += rows
        now = time.monotonic()
        if now - told >= SECONDS:
            told = now
            tell(f"{count:,} pictures opened, {count / (now - began):,.0f} a second")

    return progress


def named(schema: pa.Schema, column: str) -> pa.Schema:
    """The schema of rows whose pictures are told by their names and their content."""
    fields = [pa.field(column, pa.string()) if f.name == column else f for f in schema]
    return pa.schema([*fields, pa.field("sha256", pa.string())])


def name_pictures(
    batch: pa.RecordBatch, column: str, seen: pa.RecordBatch, schema: pa.Schema
) -> pa.RecordBatch:
    """Rows for a fingerprint, which is the same wherever a folder lies: see `named`."""
    arrays = list(batch.columns)
    names = cast("list[str]", seen.column("name").to_pylist())
    # What lies outside of the folder has an absolute path, of which the end counts.
    told = [PurePath(name).name if PurePath(name).is_absolute() else name for name in names]
    arrays[batch.schema.names.index(column)] = pa.array(told, pa.string())
    return pa.RecordBatch.from_arrays([*arrays, seen.column("sha256")], schema=schema)
