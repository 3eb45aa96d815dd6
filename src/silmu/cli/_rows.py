"""Sources of rows, read one block after another.

Tables of text and lines of JSON are read by `runtime.row_files`, without any extra. Parquet keeps
its types. Whatever else there is, `steps.collect` reads.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import Any

from silmu.errors import UsageError
from silmu.runtime import row_files
from silmu.runtime.row_files import BOM as BOM
from silmu.runtime.row_files import DELIMITERS as DELIMITERS
from silmu.runtime.row_files import LINES as LINES
from silmu.runtime.row_files import OTHERS as OTHERS
from silmu.runtime.row_files import Block as Block
from silmu.runtime.row_files import Listed as Listed
from silmu.runtime.row_files import Row as Row
from silmu.runtime.row_files import Source as Source
from silmu.runtime.row_files import reading as reading
from silmu.runtime.row_files import stamp as stamp
from silmu.runtime.row_files import suffix_of as suffix_of

PARQUET = (".parquet", ".pq")
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers", ".hwp", ".docx", ".pdf")


def open_source(
    source: str, *, query: str | None = None, typed: bool = False, pictures: bool = False
) -> Source:
    """The rows of a source.

    Args:
        source: a file, or what else `steps.collect` reads.
        query: SQL over the source.
        typed: whether columns need types, as those of Parquet do.
        pictures: whether they are for a model of pictures, to which the files of a folder are rows.

    Raises:
        UsageError: no such file, or none of the known kinds.
        MissingExtraError: it takes an extra to read it.
    """
    from silmu.cli import _images
    from silmu.cli._arrow import Collected, Parquet

    path = _path(source)
    suffix, is_packed = suffix_of(path)
    if suffix in SPREADSHEETS:
        raise UsageError(
            f"`{source}` is not one of the kinds of file that can be read: "
            f"{', '.join((*DELIMITERS, *LINES, '.json', *PARQUET))}, also packed as .gz",
            hint="in the spreadsheet, save it as CSV" if suffix in SPREADSHEETS[:5] else None,
        )
    if pictures and query is None and _images.is_folder(path):
        return _images.Folder(path)
    is_one = query is None and not any(letter in source for letter in "*?[")
    if is_one and not (typed and suffix in LINES) and (read := row_files.open_text(path)):
        return read
    if is_one and suffix in PARQUET and not is_packed and not path.is_dir():
        return Parquet(path)
    return Collected(source, query)


def is_folder(source: str) -> bool:
    """Whether a source is a folder, which models of texts and of pictures read in two ways."""
    return os.path.isdir(_path(source))  # noqa: PTH112 - pathlib raises on odd names


def choose_column(source: str, row: Row, name: str | None) -> str:
    """The column whose texts are answered: the one that is named, or the only one of text."""
    columns = ", ".join(f"`{column}`" for column in row)
    if name is not None:
        if name not in row:
            raise UsageError(f"`{source}` has no column `{name}`; it has {columns}")
        return name
    texts = [column for column, value in row.items() if row_files.is_text(value)]
    if len(row) == 1:
        texts = list(row)
    if len(texts) != 1:
        raise UsageError(
            f"`{source}` has {len(texts) or 'no'} columns of text among {columns}",
            hint="name the one that is to be answered: --input COLUMN",
        )
    return texts[0]


def fingerprint(source: str) -> dict[str, Any]:
    """What tells a source from a changed one: sizes and content of files; else its name."""
    import hashlib

    path = _path(source)
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = [one for one in sorted(path.rglob("*")) if one.is_file()]
    else:
        # A pattern may be absolute, which those of Path may not.
        files = [Path(one) for one in sorted(glob.glob(source, recursive=True))]  # noqa: PTH207
    whole = hashlib.sha256()
    # A name may hold a password, and where it lies is of no matter to files.
    whole.update(b"" if files else source.encode())
    size = 0
    for one in files:
        with reading(one), one.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
            size += file.tell()
    return {"bytes": size, "sha256": whole.hexdigest()}


def _path(source: str) -> Path:
    if not source.startswith("package:"):
        return Path(source)
    from silmu.runtime import packages

    return packages.locate(source)
