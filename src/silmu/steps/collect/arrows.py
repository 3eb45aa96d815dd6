"""Columns that are typed already: Arrow, Parquet and data frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from silmu.errors import InputError
from silmu.steps.collect.dataset import BATCH
from silmu.steps.collect.streams import regular
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import Numbered, Read

Batches = Callable[[], Iterator[pa.RecordBatch]]
Typed = tuple[pa.Schema, Batches]

# What Arrow raises for files that are cut, flipped or made up.
FAULTS = (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError, OverflowError)
_BUFFER = 1 << 20


def read_parquet(path: Path) -> Typed:
    """A Parquet file, read a few thousand rows at a time."""

    def read() -> Iterator[pa.RecordBatch]:
        with regular(path) as file:
            try:
                # Buffered, or a row group of gigabytes would be held whole.
                table = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
                for batch in table.iter_batches(BATCH, use_threads=False):
                    yield checked(batch, path)
            except FAULTS as error:
                raise _unreadable(path, "Parquet", error) from error

    with regular(path) as file:
        try:
            schema = _named(pq.ParquetFile(file).schema_arrow)
        except FAULTS as error:
            raise _unreadable(path, "Parquet", error) from error
    return schema, read


def read_arrow(path: Path) -> Typed:
    """An Arrow file, also called Feather, mapped into memory."""

    def opened() -> tuple[Any, pa.Schema]:
        try:
            file = pa.ipc.open_file(pa.memory_map(str(path)))
            return file, _named(file.schema)
        except FAULTS as error:
            raise _unreadable(path, "Arrow", error) from error

    def read() -> Iterator[pa.RecordBatch]:
        file, _ = opened()
        for number in range(file.num_record_batches):
            try:
                batch = file.get_batch(number)
                # Offsets of a made-up file may point anywhere.
                batch.validate(full=True)
            except FAULTS as error:
                raise _unreadable(path, "Arrow", error) from error
            for start in range(0, batch.num_rows, BATCH):
                yield batch.slice(start, BATCH)

    return opened()[1], read


def checked(batch: pa.RecordBatch, source: object) -> pa.RecordBatch:
    """The batch, whose texts are texts."""
    try:
        batch.validate(full=True)
    except pa.ArrowException as error:
        raise InputError(f"`{source}` holds what is not valid: {error}") from error
    return batch


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with one type for each kind of value, however it was stored.

    Raises:
        InputError: two columns have the same name.
    """
    fields: list[Any] = []
    for field in schema:
        if any(one.name == field.name for one in fields) and schema.names.count(field.name) > 1:
            raise InputError(
                f"there are two columns named `{field.name}`", hint="give each its own name"
            )
        fields.append(pa.field(field.name, _plain_type(field.type)))
    return pa.schema(fields)


def plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the types of a plain schema, its columns by name."""
    arrays: list[Any] = []
    for field in schema:
        array = batch.column(field.name)
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        arrays.append(array if array.type == field.type else array.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def read_parts(parts: Sequence[tuple[str, Typed]]) -> tuple[pa.Schema, Read]:
    """Typed parts, each with its name for errors, one after another."""
    schema = one_schema(parts)

    def read(tally: Tally) -> Iterator[Numbered]:
        del tally
        return numbered(parts, schema)

    return schema, read


def numbered(parts: Sequence[tuple[str, Typed]], schema: pa.Schema) -> Iterator[Numbered]:
    """The batches of one part after another, all in one schema, with the numbers of their rows."""
    first = 1
    for source, (_, read) in parts:
        for batch in read():
            try:
                made = plain(batch, schema)
            except FAULTS as error:
                raise InputError(f"`{source}` does not fit the files before it: {error}") from error
            yield np.arange(first, first + batch.num_rows, dtype=np.int64), made
            first += batch.num_rows


def one_schema(parts: Sequence[tuple[str, Typed]]) -> pa.Schema:
    """The schema of all parts, which must have the same columns."""
    schemas = [plain_schema(schema) for _, (schema, _) in parts]
    first = schemas[0]
    for (source, _), schema in zip(parts, schemas, strict=True):
        if {*schema.names} != {*first.names}:
            odd = sorted({*schema.names} ^ {*first.names})
            raise InputError(
                f"`{source}` and `{parts[0][0]}` do not have the same columns: "
                f"only one has {', '.join(f'`{name}`' for name in odd[:5])}",
                hint="give files of one kind of row",
            )
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(f"the files hold columns of different types: {error}") from error


def _named(schema: pa.Schema) -> pa.Schema:
    """The schema, if its names are texts: only to read them tells."""
    return schema if all(field.name is not None for field in schema) else pa.schema([])


def _plain_type(kind: Any) -> Any:
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _plain_type(kind.storage_type)
    if types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_list(kind) or types.is_large_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    if types.is_map(kind):
        return pa.map_(_plain_type(kind.key_type), _plain_type(kind.item_type))
    if types.is_struct(kind):
        return pa.struct([(field.name, _plain_type(field.type)) for field in kind])
    return pa.float32() if types.is_float16(kind) else kind


def _unreadable(path: Path, kind: str, error: BaseException) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(
        f"`{path}` cannot be read as {kind}: {error}",
        hint="it may be cut short or damaged: fetch it again",
    )
