"""Rows of databases that are given by a URL: PostgreSQL, MySQL, and what SQLAlchemy speaks to.

One SELECT is sent, in a transaction that is read only where the database knows such, and that is
always rolled back. The answer is fetched some thousands of rows at a time, and the first of them
tell the types of its columns. A password is in no message.
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, NoReturn, final
from urllib.parse import quote, quote_plus

import numpy as np
import pyarrow as pa

from silmu import extras
from silmu.errors import InputError, MissingExtraError, SilmuError, UsageError
from silmu.steps.collect import arrows, statements, urls
from silmu.steps.collect.dataset import BATCH
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import Numbered, spelled

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

OWN = ("postgresql", "postgres", "mysql", "mariadb", "oracle", "mssql")
"""Databases that SQLAlchemy speaks to without a package of theirs, by the scheme of their URL."""

# By the package that brings it: the one that is installed is taken where a URL names none.
_DRIVERS = {
    "postgresql": {"psycopg": "psycopg", "psycopg2": "psycopg2", "psycopg2-binary": "psycopg2",
                   "pg8000": "pg8000"},
    "mysql": {"pymysql": "pymysql", "mysqlclient": "mysqldb",
              "mysql-connector-python": "mysqlconnector"},
    "mariadb": {"pymysql": "pymysql", "mariadb": "mariadbconnector", "mysqlclient": "mysqldb"},
}  # fmt: skip
_INSTALLS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient",
             "mysql": "mysql-connector-python"}  # fmt: skip
# Said of the transaction and not of the connection, which a pool may give to others afterwards.
_READ_ONLY = {
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "mysql": "START TRANSACTION READ ONLY",
    "mariadb": "START TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}


@final
class Answer:
    """What one SELECT of a database gives; without one, its only table.

    Raises:
        UsageError: it is not one SELECT, or the database refuses it or cannot be reached.
        MissingExtraError: SQLAlchemy or the driver is not installed.
    """

    def __init__(self, url: str, query: str | None, shown: str) -> None:
        self._shown = shown
        self._url = _parsed(url, shown)
        self._secrets = _secrets(self._url)
        if query is not None:
            statements.check(query, self._url.get_backend_name())
        self._query = query
        self.schema = pa.schema([])
        # Begun already, so that what takes the database long is not asked for twice.
        self._begun: Iterator[pa.RecordBatch] | None = self._batches()
        self._first = next(self._begun, None)

    def read(self, tally: Tally) -> Iterator[Numbered]:
        """The rows, numbered in the order of the answer."""
        del tally
        begun, self._begun = self._begun, None
        number = 1
        for batch in self._batches() if begun is None else self._went_on(begun):
            if not batch.num_rows:
                continue
            yield np.arange(number, number + batch.num_rows, dtype=np.int64), batch
            number += batch.num_rows

    def _went_on(self, begun: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        first, self._first = self._first, None
        if first is not None:
            yield first
        yield from begun

    def _batches(self) -> Generator[pa.RecordBatch]:
        """One whole answer; its first batch, which may be of no rows, settles the types."""
        engine = self._engine()
        try:
            with engine.connect() as connection, closing(self._asked(connection)) as batches:
                yield from batches
        except Exception as error:
            if isinstance(error, SilmuError):
                raise
            # Each driver has its errors, and some of them repeat the URL.
            self._fail(error)
        finally:
            engine.dispose()

    def _engine(self) -> Engine:
        import sqlalchemy
        from sqlalchemy import exc
        from sqlalchemy.pool import NullPool

        try:
            return sqlalchemy.create_engine(self._url, poolclass=NullPool)
        except exc.NoSuchModuleError:
            raise UsageError(
                f"SQLAlchemy knows no `{self._url.drivername}`",
                hint="is it misspelt? Some databases need a package of their own for it",
            ) from None
        except ModuleNotFoundError as error:
            raise _no_driver(self._url, error.name or "") from None
        except Exception as error:
            self._fail(error)

    def _asked(self, connection: Connection) -> Generator[pa.RecordBatch]:
        query = self._query or self._only_table(connection)
        try:
            if (order := _READ_ONLY.get(connection.dialect.name)) is not None:
                connection.exec_driver_sql(order)
            # Without parameters, of which some drivers take a % in the query for one.
            streamed = connection.execution_options(
                stream_results=True, max_row_buffer=BATCH, no_parameters=True
            )
            with closing(streamed.exec_driver_sql(query)) as result:
                names = [str(name) for name in result.keys()]  # noqa: SIM118 - a view of their own
                if len({*names}) < len(names):
                    raise UsageError(
                        f"the query has two columns of the same name: {', '.join(names)}",
                        hint="name one of them with AS",
                    )
                many: Iterator[Sequence[Sequence[Any]]] = result.partitions(BATCH)
                first: Sequence[Sequence[Any]] = next(many, ())
                if not self.schema.names:
                    self.schema = _schema(names, first)
                yield self._batch(first)
                for rows in many:
                    yield self._batch(rows)
        finally:
            connection.rollback()

    def _batch(self, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
        cells = list(zip(*rows, strict=True)) or [()] * len(self.schema)
        arrays: list[Any] = []
        for field, values in zip(self.schema, cells, strict=True):
            try:
                arrays.append(_array(values, field.type))
            except arrows.FAULTS as error:
                raise InputError(
                    f"`{field.name}` holds values of several kinds in `{self._shown}`: {error}",
                    hint=f"write CAST({field.name} AS ...) in the query",
                ) from error
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _only_table(self, connection: Connection) -> str:
        import sqlalchemy

        known = sqlalchemy.inspect(connection)
        names = sorted({*known.get_table_names(), *known.get_view_names()})
        connection.rollback()
        if len(names) != 1:
            raise UsageError(
                f"`{self._shown}` has {len(names)} tables: {', '.join(names)}",
                hint='name the one: --set query="SELECT * FROM ..."',
            )
        return f"SELECT * FROM {connection.dialect.identifier_preparer.quote(names[0])}"

    def _fail(self, error: Exception) -> NoReturn:
        from sqlalchemy import exc

        told = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
        message = " ".join(str(told).split())
        for secret in self._secrets:
            message = message.replace(secret, "***")
        what = "cannot be reached" if _is_away(error) else "does not answer"
        # Without its cause, which may hold what was just taken out.
        raise UsageError(f"`{self._shown}` {what}: {message}") from None


def is_known(url: str) -> bool:
    """Whether a URL is one of a database, as far as can be told with what is installed."""
    scheme = url.partition("://")[0].partition("+")[0].lower()
    if scheme in OWN:
        return True
    if extras.version("sqlalchemy") is None or not re.fullmatch(r"[a-z][a-z0-9]*", scheme):
        return False
    from sqlalchemy.dialects import registry
    from sqlalchemy.exc import NoSuchModuleError

    try:
        registry.load(scheme)
    except (NoSuchModuleError, ImportError):
        return False
    return True


def _parsed(given: str, shown: str) -> URL:
    """The URL, with a driver that is installed."""
    if extras.version("sqlalchemy") is None:
        raise MissingExtraError(
            f"`{shown}` is a database, and reading it needs sqlalchemy",
            hint="pip install 'silmu[sql]'",
        )
    from sqlalchemy import exc, make_url

    scheme, _, rest = given.partition("://")
    if scheme.lower() == "postgres":  # as some hosts write it
        given = f"postgresql://{rest}"
    try:
        url = make_url(given)
    except (exc.ArgumentError, ValueError):
        raise UsageError(
            f"`{shown}` is not the URL of a database",
            hint="write postgresql://USER:PASSWORD@HOST/DATABASE, with %-signs for odd letters",
        ) from None
    if "+" in url.drivername:
        return url
    drivers = _DRIVERS.get(url.drivername, {})
    installed = [name for package, name in drivers.items() if extras.version(package) is not None]
    if drivers and not installed:
        raise _no_driver(url, next(iter(drivers.values())))
    return url.set(drivername=f"{url.drivername}+{installed[0]}") if installed else url


def _no_driver(url: URL, module: str) -> MissingExtraError:
    return MissingExtraError(
        f"reading {url.get_backend_name()} needs its driver {module}, which is not installed",
        hint=f"pip install '{_INSTALLS.get(module, module)}'",
    )


def _secrets(url: URL) -> list[str]:
    """What no message may hold, as it is and as URLs write it; the longest first."""
    values = [url.password, *(text for name, text in url.query.items() if urls.is_secret(name))]
    plain = {
        str(one) for value in values for one in (value if isinstance(value, tuple) else (value,))
    } - {"", "None"}
    written = {form for one in plain for form in (one, quote(one), quote_plus(one))}
    return sorted(written, key=lambda one: (-len(one), one))


def _is_away(error: Exception) -> bool:
    from sqlalchemy import exc

    return isinstance(error, exc.OperationalError | exc.InterfaceError) and error.statement is None


def _schema(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Schema:
    """The types of columns, by their first values; what has none yet will be text."""
    cells = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.schema([(name, _type(values)) for name, values in zip(names, cells, strict=True)])


def _type(values: Sequence[Any]) -> Any:
    try:
        kind = pa.array([_plain(value) for value in values]).type
    except arrows.FAULTS:
        return pa.string()  # of several kinds, or one that Arrow has not: as it is spelled
    types = pa.types
    odd = isinstance(kind, pa.BaseExtensionType) or types.is_nested(kind)
    if odd or types.is_null(kind) or types.is_binary(kind):
        return pa.string()
    return pa.timestamp("us", kind.tz) if types.is_timestamp(kind) else kind


def _array(values: Sequence[Any], kind: Any) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array([None if value is None else spelled(value) for value in values], kind)
    return pa.array([_plain(value) for value in values], kind)


def _plain(value: Any) -> Any:
    """A value as Arrow knows it: exact decimals become numbers, intervals seconds."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value.total_seconds() if isinstance(value, datetime.timedelta) else value
