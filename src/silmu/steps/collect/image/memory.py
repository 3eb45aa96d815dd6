"""Pictures that a program holds: rows with a PIL image, an array, bytes or a path in one column."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from silmu.errors import InputError
from silmu.steps.collect import memory, values
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import Kinds, Numbered, Read

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""What Hugging Face's datasets hold a picture as."""

_WINDOW = 256  # rows of a stream that are looked at for columns of pictures
_ORIENTATION = 274  # in EXIF
_ROWS, _BYTES = 256, 1 << 25  # in a batch
_NO_PICTURE = "it holds no picture, but {}"

Rows = Iterator[tuple[int, Mapping[str, Any]]]


def read(given: Any, *, held: bool) -> tuple[pa.Schema, Read]:
    """Rows of whatever `memory.read` takes; columns of pictures become `CELL`.

    A stream is read once, and its pictures are compressed as they come; its first rows tell which
    columns hold pictures. Of all else every row is looked at.
    """
    if _is_typed(given):
        return memory.read(given, held=held)
    rows = memory.listed(given)
    is_stream = iter(rows) is rows
    if is_stream and held:
        rows, is_stream = list(rows), False
    first = list(itertools.islice(rows, _WINDOW)) if is_stream else []
    columns = _columns(first if is_stream else rows)
    if not columns:
        # Paths, which are texts.
        return memory.read(itertools.chain(first, rows) if is_stream else rows, held=held)
    kinds = Kinds()
    for _, row in memory.dicts(first if is_stream else rows, Tally()):
        kinds.see(_others(row, columns))
    fields = [(name, CELL) for name in columns]
    schema = pa.schema([*fields, *kinds.schema])

    def whole(tally: Tally) -> Iterator[Numbered]:
        every = itertools.chain(first, rows) if is_stream else rows
        for chunk, cells in _chunks(memory.dicts(every, tally), columns, tally):
            for number, row in chunk if is_stream else ():
                if (name := kinds.holds(row)) is not None:
                    raise InputError(
                        f"row {number:,}: `{name}` holds {row[name]!r}, unlike the rows before it",
                        hint="give a list, whose rows are all looked at first",
                    )
            for numbers, batch in _batches(chunk, kinds, tally):
                found = [cells[number] for number in numbers.tolist()]
                arrays = [pa.array([cell[name] for cell in found], CELL) for name in columns]
                yield numbers, pa.RecordBatch.from_arrays([*arrays, *batch.columns], schema=schema)

    return schema, whole


def _batches(
    chunk: list[tuple[int, Mapping[str, Any]]], kinds: Kinds, tally: Tally
) -> Iterator[Numbered]:
    if kinds.schema.names:
        yield from values.batches(iter(chunk), kinds, tally)
    elif chunk:
        numbers = np.array([number for number, _ in chunk], np.int64)
        yield numbers, pa.RecordBatch.from_arrays([], schema=pa.schema([]))


def _chunks(
    rows: Rows, columns: list[str], tally: Tally
) -> Iterator[tuple[list[tuple[int, Mapping[str, Any]]], dict[int, dict[str, Any]]]]:
    """Some rows without their pictures at a time, and these by the number of their row."""
    chunk: list[tuple[int, Mapping[str, Any]]] = []
    cells: dict[int, dict[str, Any]] = {}
    size = 0
    for number, row in rows:
        try:
            found = {name: cell(row.get(name)) for name in columns}
        except InputError as error:
            tally.add(error.message, [number])
            continue
        chunk.append((number, _others(row, columns)))
        cells[number] = found
        size += sum(len(one["bytes"] or b"") for one in found.values() if one)
        if len(chunk) == _ROWS or size > _BYTES:
            yield chunk, cells
            chunk, cells, size = [], {}, 0
    if chunk:
        yield chunk, cells


def cell(value: Any) -> dict[str, Any] | None:
    """A picture as `CELL` holds it; None where there is none.

    >>> cell("cat.jpg")
    {'bytes': None, 'path': 'cat.jpg'}

    Raises:
        InputError: it is none of the things that a picture may be.
    """
    if value is None or (isinstance(value, str) and not value):
        return None
    if isinstance(value, str | PurePath):
        return _held(None, value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _held(bytes(cast("bytes", value)))
    if isinstance(value, Mapping):
        both = cast("Mapping[str, Any]", value)
        data, path = both.get("bytes"), both.get("path")
        if data is None:
            return cell(path)
        if not isinstance(data, bytes | bytearray | memoryview):
            raise InputError(_NO_PICTURE.format(f"`bytes` of type {type(data).__name__}"))
        return _held(bytes(cast("bytes", data)), path)
    if isinstance(value, np.ndarray):
        return _held(_of_array(cast("NDArray[Any]", value)))
    if _is_image(value):
        return _held(_written(value), getattr(value, "filename", None) or None)
    raise InputError(_NO_PICTURE.format(f"a {type(value).__name__}"))


def _held(data: bytes | None, path: object = None) -> dict[str, Any]:
    name = None if path is None else str(path)
    if name is not None and not values.is_text(name):
        raise InputError(values.UNICODE)
    return {"bytes": data, "path": name}


def _of_array(array: NDArray[Any]) -> bytes:
    from silmu.runtime.image import load_image

    mode = "gray" if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1) else "colour"
    picture = load_image(array, what="the array", background="white")
    return _written(picture.convert("L") if mode == "gray" else picture)


def _written(picture: Any) -> bytes:
    """A picture as PNG, which loses nothing."""
    from silmu.runtime.image import load_image

    if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        picture = load_image(picture, what="the picture", background="white")
    buffer = io.BytesIO()
    try:
        picture.load()  # which turns a TIFF, and then it says so
        picture.save(buffer, "PNG", compress_level=1, exif=_turned(picture))
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError("the picture is broken") from error
    return buffer.getvalue()


def _turned(picture: Any) -> Any:
    """How a camera was held, if a picture says so, as EXIF; the rest of it is not kept."""
    from PIL import Image

    kept = Image.Exif()
    try:
        orientation = picture.getexif().get(_ORIENTATION)
    except Exception:  # whatever PIL does over a broken one
        return kept
    if isinstance(orientation, int) and 1 < orientation < 9:
        kept[_ORIENTATION] = orientation
    return kept


def _columns(rows: Iterable[Any]) -> list[str]:
    """The columns that hold pictures, and not only paths to them as texts."""
    found: dict[str, None] = {}
    for row in rows:
        for name, value in cast("Mapping[Any, Any]", row).items() if _is_row(row) else ():
            if isinstance(name, str) and _is_picture(value):
                found[name] = None
    return list(found)


def _is_picture(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        value = cast("NDArray[Any]", value)
        return value.dtype == np.uint8 and value.ndim in (2, 3)
    if isinstance(value, Mapping):
        both = cast("Mapping[Any, Any]", value)
        return {"bytes", "path"} >= both.keys() and bool(both)
    return isinstance(value, bytes | bytearray | memoryview) or _is_image(value)


def _is_image(value: Any) -> bool:
    return any(
        one.__module__ == "PIL.Image" and one.__name__ == "Image" for one in type(value).mro()
    )


def _is_row(row: Any) -> bool:
    return isinstance(row, Mapping)


def _is_typed(given: Any) -> bool:
    is_frame = type(given).__module__.partition(".")[0] == "pandas"
    return not is_frame and (
        isinstance(given, pa.RecordBatch) or hasattr(given, "__arrow_c_stream__")
    )


def _others(row: Mapping[str, Any], columns: list[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in columns}
