"""A number for the content of a table, whatever file it came from and however it was cut."""

from __future__ import annotations

import hashlib
import json
from typing import Any, cast, final

import numpy as np
import pyarrow as pa


@final
class Fingerprint:
    """Grows with the rows; equal for equal rows, names and types.

    >>> import pyarrow as pa
    >>> schema = pa.schema([("text", pa.string())])
    >>> one, other = Fingerprint(schema), Fingerprint(schema)
    >>> one.add(pa.record_batch({"text": ["a", None]}))
    >>> other.add(pa.record_batch({"text": ["a"]}))
    >>> other.add(pa.record_batch({"text": pa.array([None], pa.string())}))
    >>> one.hex == other.hex
    True
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._fields = [[field.name, str(field.type)] for field in schema]
        self._columns = [_Column() for _ in self._fields]
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """The next rows."""
        self._rows += batch.num_rows
        for column, array in zip(self._columns, batch.columns, strict=True):
            column.add(array)

    @property
    def hex(self) -> str:
        """64 letters."""
        digests = [column.digest for column in self._columns]
        told = json.dumps([self._rows, self._fields, digests])
        return hashlib.sha256(told.encode()).hexdigest()


class _Column:
    """Streams that go on from batch to batch, so that where a batch ends makes no difference."""

    def __init__(self) -> None:
        self._streams: dict[str, Any] = {}

    @property
    def digest(self) -> dict[str, str]:
        return {name: stream.hexdigest() for name, stream in sorted(self._streams.items())}

    def add(self, array: pa.Array, place: str = "") -> None:
        valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), np.uint8)
        self._update(f"{place}valid", valid)
        array = array.drop_null()
        types, kind = pa.types, array.type
        if types.is_string(kind) or types.is_binary(kind):
            _, ends, data = cast("list[Any]", array.buffers())
            offsets: Any = np.frombuffer(ends or bytes(4), np.int32)
            offsets = offsets[array.offset : array.offset + len(array) + 1]
            self._update(f"{place}length", np.diff(offsets))
            first, last = (offsets[0], offsets[-1]) if len(offsets) else (0, 0)
            self._update(f"{place}data", memoryview(data or b"")[first:last])
        elif types.is_list(kind):
            lengths = array.value_lengths().to_numpy(zero_copy_only=False)
            self._update(f"{place}length", np.asarray(lengths, np.int32))
            self.add(array.flatten(), f"{place}item.")
        elif types.is_struct(kind):
            for number in range(kind.num_fields):
                self.add(array.field(number), f"{place}{number}.")
        elif types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
            self._update(f"{place}data", np.ascontiguousarray(array.to_numpy(zero_copy_only=False)))
        elif types.is_temporal(kind) and kind.bit_width <= 64:
            # As numbers: Python knows no date after the year 9999.
            whole = pa.int64() if kind.bit_width == 64 else pa.int32()
            self._update(f"{place}data", array.cast(whole).to_numpy(zero_copy_only=False))
        else:
            told = "".join(f"{value!r}\n" for value in array.to_pylist())
            self._update(f"{place}data", told.encode())

    def _update(self, name: str, data: Any) -> None:
        stream = self._streams.setdefault(name, hashlib.sha256())
        stream.update(data)
