"""What a model for pictures is asked: paths as arguments or lines, the files of a folder, cells."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final

from silmu.cli import _rows, _scoring
from silmu.cli._asked import Asked, Pairs, lines_of_stdin
from silmu.cli._rows import Block, Row, Source
from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

GROUP = 64
"""How many pictures are asked at once."""

PATH = "path"
"""The column that names the files of a folder."""

_ADDRESS = re.compile(r"https?://|data:", re.IGNORECASE)
_NAMES = ("image", "path", "picture", "photo", "img", "file_name", "filename", "file")


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
        self._folder = Path()

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
        first = source.first()
        self._folder = source.folder
        self.reads = (PATH,) if first is None else (_column(self.pipe, source, first, self._name),)

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
        first = source.first()
        is_text = first is None or isinstance(first[column], str | None)
        return source if is_text and source.schema is None else _Named(source, column)

    def _one(self, value: Any) -> Any:
        return _named(value, self._folder) if isinstance(value, str) else _of_bytes(value)


def _named(text: str, folder: Path) -> Any:
    """What a path or an address is asked as."""
    if not text or text.isspace():
        return InputError("there is no path")
    if _ADDRESS.match(text):
        return text
    path = folder / text
    if not path.exists():
        return InputError(f"there is no file `{path}`")
    if path.is_dir():
        return InputError(
            f"`{path}` is a folder", hint=f"for all pictures in it: --data {path} --output FILE"
        )
    return str(path)


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


def _column(pipe: Any, source: Source, first: Row, name: str | None) -> str:
    """The column whose pictures are answered."""
    listed = ", ".join(f"`{column}`" for column in first)
    if name is not None:
        if name not in first:
            raise UsageError(f"`{source.name}` has no column `{name}`; it has {listed}")
        return name
    fitted = getattr(pipe, "fitted", None)
    trained = tuple(fitted.inputs) if fitted is not None else ()
    held = [column for column, value in first.items() if _is_picture(value)]
    for column in (*trained, *_NAMES):
        if column in held:
            return column
    if len(held) == 1:
        return held[0]
    raise UsageError(
        f"`{source.name}` has {len(held) or 'no'} columns of pictures among {listed}",
        hint="name the one that holds paths: --input COLUMN",
    )


def _is_picture(value: Any) -> bool:
    from silmu.steps.collect.image.files import looks_like_pictures

    if isinstance(value, Mapping):
        return {"bytes", "path"} >= cast("Mapping[str, Any]", value).keys()
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
    """Whether a path is a folder with pictures in it."""
    from silmu.steps.collect import classes
    from silmu.steps.collect.image.files import looks_like_pictures

    return path.is_dir() and any(looks_like_pictures([one.name]) for one in classes.files(path))


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
