"""Files of rows: read one after another, and written with what was predicted beside them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast, final

from silmu import store
from silmu.cli._words import as_json
from silmu.errors import UsageError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
ADDED = ("prediction", "score", "error")
_BOM = "\ufeff"

Row = dict[str, Any]


def read(path: Path) -> Iterator[Row]:
    """The rows of a file, each by the names of its columns.

    Raises:
        UsageError: no such file, none of the known kinds, or a row that does not fit the others.
    """
    kind = _kind(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _read_lines(path, file) if kind in LINES else _read_table(path, file, kind)
            for row in rows:
                if taken := [name for name in ADDED if name in row]:
                    raise UsageError(
                        f"`{path}` already has a column `{taken[0]}`, which answers go to",
                        hint="rename or remove it",
                    )
                yield row
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is not UTF-8: {error}", hint="save it as UTF-8") from error
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror}") from error


def choose_column(path: Path, row: Row, name: str | None) -> str:
    """The column whose texts are answered: the one that is named, or the only one of text."""
    columns = ", ".join(f"`{column}`" for column in row)
    if name is not None:
        if name not in row:
            raise UsageError(f"`{path}` has no column `{name}`; it has {columns}")
        return name
    texts = [column for column, value in row.items() if _is_text(value)]
    if len(row) == 1:
        texts = list(row)
    if len(texts) != 1:
        raise UsageError(
            f"`{path}` has {len(texts) or 'no'} columns of text among {columns}",
            hint="name the one that is to be answered: --input COLUMN",
        )
    return texts[0]


@final
class Writer:
    """Rows that become a file of the kind that its name says, when all of them are there."""

    def __init__(self, path: Path, *, like: Path) -> None:
        self.path = path
        self._kind = _kind(path)
        self._text = io.StringIO(newline="")
        self._columns: list[str] = []
        # A spreadsheet that wrote the mark needs it to read Korean back.
        if self._kind in DELIMITERS and like.read_bytes()[:3] == _BOM.encode():
            self._text.write(_BOM)

    def add(self, row: Row) -> None:
        """Appends a row; the first one says which columns there are."""
        if self._kind in LINES:
            self._text.write(f"{as_json(row)}\n")
            return
        table = csv.writer(self._text, delimiter=DELIMITERS[self._kind], lineterminator="\n")
        if not self._columns:
            self._columns = list(row)
            table.writerow(self._columns)
        if new := [name for name in row if name not in self._columns]:
            raise UsageError(
                f"a row has the column `{new[0]}`, and the first row has not",
                hint="write such rows to a .jsonl file",
            )
        table.writerow([_cell(row.get(name)) for name in self._columns])

    def finish(self) -> None:
        """Puts the file in its place, whole."""
        store.write_file(self.path, self._text.getvalue().encode())


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in (*DELIMITERS, *LINES):
        raise UsageError(
            f"`{path}` is not one of the kinds of file that can be read and written: "
            f"{', '.join((*DELIMITERS, *LINES))}"
        )
    return kind


def _read_table(path: Path, file: TextIO, kind: str) -> Iterator[Row]:
    csv.field_size_limit(2**31 - 1)  # a text may be longer than a cell of a spreadsheet
    table = csv.reader(file, delimiter=DELIMITERS[kind], strict=True)
    try:
        header = next(table, None)
        if not header:
            raise UsageError(f"`{path}` is empty; its first line must name the columns")
        if len({*header}) < len(header):
            raise UsageError(f"`{path}` has two columns of the same name: {', '.join(header)}")
        for cells in table:
            if not cells:
                continue  # a blank line is no row, as a last one shows
            if len(cells) != len(header):
                raise UsageError(
                    f"line {table.line_num} of `{path}` has {len(cells)} cells, "
                    f"and the first line names {len(header)} columns",
                    hint="a comma, a quote or a line break inside a text needs quotes around it",
                )
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UsageError(f"line {table.line_num} of `{path}`: {error}") from error


def _read_lines(path: Path, file: TextIO) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        row: Any = None
        with suppress(ValueError, RecursionError):
            row = json.loads(line)
        if not isinstance(row, Mapping):
            raise UsageError(f"line {number} of `{path}` is not a JSON object")
        yield dict(cast("Mapping[str, Any]", row))


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else as_json(value)
