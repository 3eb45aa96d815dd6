"""Rows of SQLite databases, which are opened to be read only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, final
from urllib.parse import quote

from silmu.errors import InputError, UsageError
from silmu.steps.collect.streams import regular
from silmu.steps.collect.tally import Tally

_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_FORBIDDEN = {"load_extension", "fts3_tokenizer", "writefile", "readfile", "edit"}


@final
class Query:
    """One SELECT of a database; without one, its only table."""

    def __init__(self, path: Path, query: str | None) -> None:
        regular(path).close()
        self.path = path
        self.query = query or self._only_table()
        with closing(self._open()) as connection:
            self.columns = self._columns(self._run(connection))

    def rows(self, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each row of the answer, with its number."""
        del tally
        with closing(self._open()) as connection:
            try:
                for number, values in enumerate(self._run(connection), 1):
                    yield number, dict(zip(self.columns, values, strict=True))
            except (sqlite3.Error, OverflowError) as error:
                raise self._failed(error) from error

    def _open(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(self.path.absolute()))}?mode=ro",
                uri=True,
                isolation_level=None,
                # DuckDB, which may ask, does so from threads of its own, one at a time.
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self._failed(error) from error
        connection.text_factory = _text
        connection.set_authorizer(_authorize)
        return connection

    def _run(self, connection: sqlite3.Connection) -> sqlite3.Cursor:
        try:
            return connection.execute(self.query)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise self._failed(error) from error

    def _columns(self, cursor: sqlite3.Cursor) -> list[str]:
        if cursor.description is None:
            raise UsageError("the query is not a SELECT", hint="write SELECT ... FROM ...")
        names = [column[0] for column in cursor.description]
        if len({*names}) < len(names):
            raise UsageError(
                f"the query has two columns of the same name: {', '.join(names)}",
                hint="name one of them with AS",
            )
        return names

    def _only_table(self) -> str:
        with closing(self._open()) as connection:
            connection.set_authorizer(None)
            try:
                found = connection.execute(
                    "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
                    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
                ).fetchall()
            except sqlite3.Error as error:
                raise self._failed(error) from error
        names = [str(name) for (name,) in found]
        if len(names) != 1:
            raise UsageError(
                f"`{self.path}` has {len(names)} tables: {', '.join(names)}",
                hint='name the one: --set query="SELECT * FROM ..."',
            )
        return 'SELECT * FROM "{}"'.format(names[0].replace('"', '""'))

    def _failed(self, error: Exception) -> InputError | UsageError:
        wrong = isinstance(error, sqlite3.ProgrammingError | sqlite3.Warning | ValueError)
        if wrong or "not authorized" in str(error):
            return UsageError(f"the query is not one SELECT: {error}")
        return InputError(f"`{self.path}` does not answer: {error}")


def _text(data: bytes) -> str:
    """A text; bytes that are none become lone surrogates, which tell the row to be dropped."""
    return data.decode("utf-8", "surrogateescape")


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    del first
    if action not in _ALLOWED or (second or "").lower() in _FORBIDDEN:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
