"""A SELECT over rows that are read elsewhere: DuckDB, which itself may open nothing.

It sees each source as a table, row after row as it is read, and has neither files nor network,
neither extensions nor the variables of the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, final

import duckdb
import pyarrow as pa

from silmu.errors import InputError, SilmuError, UsageError
from silmu.steps.collect.dataset import BATCH

_CLOSED = (
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET lock_configuration = true",
)


@final
class Data:
    """Rows that can be read again and again, as DuckDB does for a query that joins them."""

    def __init__(self, schema: pa.Schema, read: Callable[[], Iterator[pa.RecordBatch]]) -> None:
        self._schema = schema
        self._read = read
        self.failure: BaseException | None = None

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        del requested_schema
        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches())
        return reader.__arrow_c_stream__()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._read()
        except GeneratorExit:
            raise  # the query has read enough
        except BaseException as error:
            # On its way through DuckDB an exception would lose its type.
            self.failure = error
            raise


def check(query: str) -> None:
    """Refuses what is not one SELECT.

    Raises:
        UsageError: it is none, or more than one, or cannot be parsed.
    """
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise UsageError(f"the query cannot be read: {_told(error)}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError(
            "the query is not one SELECT", hint='such as "SELECT * FROM data WHERE year > 2020"'
        )


def schema(tables: Mapping[str, Data], query: str) -> pa.Schema:
    """The columns of the answer of a query that sees these tables.

    Raises:
        UsageError: the query is not one SELECT, or asks for what is not there.
    """
    connection, reader = _ask(tables, query)
    with closing(connection), closing(reader):
        return reader.schema


def answer(tables: Mapping[str, Data], query: str) -> Iterator[pa.RecordBatch]:
    """What a SELECT gives, batch after batch."""
    connection, reader = _ask(tables, query)
    with closing(connection), closing(reader):
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                raise _failed(tables, error, InputError) from error
            yield batch


def _ask(tables: Mapping[str, Data], query: str) -> tuple[duckdb.DuckDBPyConnection, Any]:
    check(query)
    connection = duckdb.connect(":memory:", config={"python_enable_replacements": "false"})
    for setting in _CLOSED:
        connection.execute(setting)
    for name, data in tables.items():
        connection.register(name, data)
    try:
        relation: Any = connection.sql(query)
        # The newer name of the same method, whose older one warns.
        new = getattr(relation, "to_arrow_reader", None)
        return connection, (new or relation.fetch_record_batch)(BATCH)
    except (duckdb.Error, pa.ArrowException) as error:
        connection.close()
        raise _failed(tables, error, UsageError) from error


def _failed(tables: Mapping[str, Data], error: Exception, kind: type[SilmuError]) -> BaseException:
    for data in tables.values():
        if data.failure is not None:
            return data.failure
    hint = None
    if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        hint = f"the query sees {', '.join(map(_quoted, tables))}"
    if "Out of Memory" in str(error):
        hint = "sort or join less, or write the answer to a Parquet file with DuckDB and give that"
    return kind(f"the query cannot be answered: {_told(error)}", hint=hint)


def _quoted(name: str) -> str:
    """A table as a query names it: odd names want quotes."""
    plain = re.fullmatch(r"[^\W\d]\w*", name) is not None
    return f"`{name}`" if plain else f'`"{name}"`'


def _told(error: Exception) -> str:
    return str(error).split("\n\nLINE ")[0].strip()
