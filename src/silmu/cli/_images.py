"""What a model for pictures is asked: paths as arguments or lines, the files of a folder, cells."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final

from silmu.cli import _rows, _scoring
from silmu.cli._asked import Asked, Pairs, lines_of_stdin
from silmu.cli._rows import Block, Row, Source
from silmu.errors import InputError, UsageError
from silmu.runtime import image_sources

if TYPE_CHECKING:
    import pyarrow as pa

GROUP = 64
"""How many pictures are asked at once."""

PATH = "path"
"""The column that names the files of a folder."""

_ADDRESS = re.compile(r"https?://|data:", re.IGNORECASE)
_NAMES = ("image", "path", "picture", "photo", "img", "file_name", "filename", "file")
_KINDS = (str, bytes, Mapping, type(None))


@final
class Images(Asked):
    """Pictures, by path, by address, or as bytes in a cell.

    Args:
        pipe: the pipeline.
        settings: what it is asked beside the pictures.
        name: the column that --input names.
    """

    def __init__(self, pipe: Any, settings: Mapping[str, Any], name: str | None) -> None:
        super().__init__(pipe, settings)
        self._name = name
        self._folder: Path | None = Path()

    def of_texts(self, texts: Sequence[str]) -> Pairs:
        """Each path is shown as it is; stdin holds one a line."""
        for text in texts:
            if text != "-":
                yield text, _named(text, Path())
                continue
            for line in lines_of_stdin():
                if isinstance(line, InputError):
                    yield None, line
                elif line.strip():
                    path = line.rstrip("\r\n")
                    yield path, _named(path, Path())

    def expect(self, source: Source) -> None:
        """The column that is named, that of the training, or the only one of pictures."""
        self.reads = (_column(self.pipe, source, self._name),)
        self._folder = source.folder

    def of_block(self, block: Block) -> Pairs:
        """Each is shown by its path."""
        values = block.values(self.reads[0])
        return ((_shown(value), self._one(value)) for value in values)

    def rows_at_once(self, columns: int) -> int:
        """Few: they are large once they are decoded."""
        del columns
        return GROUP

    def given(self, block: Block) -> list[Any]:
        """Paths from where silmu was started, or base64."""
        return [self._one(value) for value in block.values(self.reads[0])]

    def alone(self, given: list[Any]) -> Iterable[Any]:
        """Each in a list."""
        return ([one] for one in given)

    def answered(self, given: list[Any], settings: Mapping[str, Any]) -> list[Any]:
        """Those that can be answered are, whatever else is among them."""
        return _scoring.answered(self.pipe, given, settings)

    def seen(self, source: Source) -> Source:
        """The source, whose pictures in bytes are repeated by their names."""
        column = self.reads[0]
        first = source.first() or {}
        if source.schema is None:
            return source if isinstance(first.get(column), str | None) else _Named(source, column)
        return _Named(source, column) if column in source.schema.names else source

    def _one(self, value: Any) -> Any:
        return _named(value, self._folder) if isinstance(value, str) else _of_bytes(value)


def _named(text: str, folder: Path | None) -> Any:
    """What a path, an address or base64 is asked as.

    Raises:
        UsageError: nothing says where the path begins.
    """
    if not text or text.isspace():
        return InputError("there is no path")
    if _ADDRESS.match(text):
        return text
    may_be_base64 = image_sources.may_be_base64(text)
    path = str((folder or Path()) / text)
    if folder is None and not may_be_base64 and not os.path.isabs(path):  # noqa: PTH117
        raise UsageError(
            f"the path `{image_sources.short(text)}` begins in the folder of its table, and the "
            "tables lie in several folders",
            hint="give the tables of each folder by themselves",
        )
    if os.path.isdir(path):  # noqa: PTH112 - pathlib raises on odd names
        return InputError(
            f"`{path}` is a folder", hint=f"for all pictures in it: --data {path} --output FILE"
        )
    if os.path.lexists(path):
        return path
    if may_be_base64:
        return text
    return InputError(f"there is no file `{image_sources.short(path)}`")


def _of_bytes(value: Any) -> Any:
    """Bytes as what JSON can hold, and a pipeline reads."""
    if isinstance(value, Mapping):
        value = cast("Mapping[str, Any]", value).get("bytes")
    if not isinstance(value, bytes) or not value:
        return InputError("there is no picture")
    return f"data:;base64,{base64.b64encode(value).decode('ascii')}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(cast("Mapping[str, Any]", value).get("path") or "")
    return value if isinstance(value, str) else ""


def _column(pipe: Any, source: Source, name: str | None) -> str:
    """The column whose pictures are answered: by its name, or else by what its first row holds.

    A first row may hold nothing, base64, or a path without an ending. So its cells only decide
    between names that may all be meant, or where there is none of these.
    """
    found = source.first()
    first = {column: (found or {}).get(column) for column in source.names(GROUP)}
    listed = ", ".join(f"`{column}`" for column in first)
    if name is not None:
        if first and name not in first:
            raise UsageError(f"`{source.name}` has no column `{name}`; it has {listed}")
        return name
    if isinstance(source, Folder):
        return PATH
    fitted = getattr(pipe, "fitted", None)
    trained = tuple(fitted.inputs) if fitted is not None else ()
    may_be = [column for column, value in first.items() if isinstance(value, _KINDS)]
    held = [column for column in may_be if _is_picture(first[column])]
    named = [column for column in _NAMES if column in may_be]
    for column in (*trained, *sorted(named, key=lambda one: one not in held)):
        if column in may_be:
            return column
    if len(held) == 1:
        return held[0]
    if found is None:
        return ""  # of no rows, nothing is asked
    raise UsageError(
        f"`{source.name}` has {len(held) or 'no'} columns of pictures among {listed}",
        hint="name the one that holds paths: --input COLUMN",
    )


def _is_picture(value: Any) -> bool:
    from silmu.steps.collect.image.files import looks_like_pictures

    if isinstance(value, Mapping):
        return {"bytes", "path"} >= cast("Mapping[str, Any]", value).keys()
    if isinstance(value, str) and _ADDRESS.match(value):
        return True
    return isinstance(value, bytes) or looks_like_pictures([value])


# ── sources ────────────────────────────────────────────────────────────────────────────────────


@final
class Folder(Source):
    """The files of a folder, with those in folders below it, in the order of their names."""

    def __init__(self, path: Path) -> None:
        from silmu.steps.collect import classes

        self.name = str(path)
        self.folder = path
        self.columns = [PATH]
        self._paths = [
            found.relative_to(path).as_posix()
            for found in classes.files(path)
            if not classes.is_hidden(found.name)
        ]
        self._done = 0

    def first(self) -> Row | None:
        return {PATH: self._paths[self._done]} if self._done < len(self._paths) else None

    def blocks(self, size: int) -> Iterator[Block]:
        left = iter(self._paths[self._done :])
        while paths := list(islice(left, size)):
            self._done += len(paths)
            yield _rows.Listed([{PATH: path} for path in paths])

    def share(self) -> float | None:
        return self._done / max(len(self._paths), 1)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, most of whose files are pictures."""
    from silmu.steps.collect import classes
    from silmu.steps.collect.image.files import looks_like_pictures

    if not path.is_dir():
        return False
    names = [one.name for one in classes.files(path) if not classes.is_hidden(one.name)]
    return 2 * sum(looks_like_pictures([name]) for name in names) > len(names)


@final
class _Named(Source):
    """Another source, in whose rows pictures are told by their names."""

    def __init__(self, inner: Source, column: str) -> None:
        self._inner, self._column = inner, column
        self.name, self.folder, self.columns = inner.name, inner.folder, inner.columns
        self.delimiter, self.marked = inner.delimiter, inner.marked
        if inner.schema is not None:
            import pyarrow as pa

            place = inner.schema.names.index(column)
            self.schema = inner.schema.set(place, pa.field(column, pa.string()))

    def names(self, rows: int) -> list[str]:
        return self._inner.names(rows)

    def reserve(self, names: Iterable[str]) -> None:
        self._inner.reserve(names)

    def first(self) -> Row | None:
        row = self._inner.first()
        return None if row is None else {**row, self._column: _shown(row[self._column])}

    def blocks(self, size: int) -> Iterator[Block]:
        return (_NamedBlock(block, self._column) for block in self._inner.blocks(size))

    def share(self) -> float | None:
        return self._inner.share()

    def has_changed(self) -> bool:
        return self._inner.has_changed()

    def close(self) -> None:
        self._inner.close()


@final
class _NamedBlock(Block):
    def __init__(self, inner: Block, column: str) -> None:
        self._inner, self._column = inner, column

    def __len__(self) -> int:
        return len(self._inner)

    def values(self, column: str) -> list[Any]:
        return self._inner.values(column)

    def rows(self) -> list[Row]:
        name = self._column
        return [{**row, name: _shown(row.get(name))} for row in self._inner.rows()]

    def table(self) -> pa.Table:
        import pyarrow as pa

        table = self._inner.table()
        place = table.column_names.index(self._column)
        shown = [_shown(value) for value in self._inner.values(self._column)]
        return table.set_column(place, self._column, pa.array(shown, pa.string()))
