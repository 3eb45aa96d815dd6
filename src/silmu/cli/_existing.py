"""What stands where answers are to go: only answers of before are written over."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

from silmu.cli import _rows
from silmu.errors import SilmuError, UsageError


def check(path: Path, added: Iterable[str]) -> None:
    """Refuses to write over a file that no such command has written.

    Args:
        path: of the output.
        added: the columns that answers go to, by which a file of answers is known.

    Raises:
        UsageError: another file is there, which is not empty.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    if not {*added} <= {*_columns(path)}:
        raise UsageError(
            f"`{path}` is already there, and holds no answers of such a command",
            hint="give --output another name, or remove that file",
        )


def _columns(path: Path) -> list[str]:
    """The columns of a file, or the keys of its first row; none where it cannot be read."""
    suffix, _ = _rows.suffix_of(path)
    with suppress(SilmuError, OSError, ValueError):
        if suffix == ".json":
            return _keys(path)
        with closing(_rows.open_source(str(path))) as source:
            return [*(source.columns or source.first() or ())]
    return []


def _keys(path: Path) -> list[str]:
    """The keys of the first object of an array that has one a line, as answers are written."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rb") as file:
        start, line = file.readline(8), file.readline()
    found: Any = json.loads(line.rstrip(b",\n")) if start.strip() == b"[" else {}
    return [*cast("dict[str, Any]", found)] if isinstance(found, dict) else []
