"""How a table of delimited text is written, told from its first lines."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path

from silmu.steps.collect.records import Dialect, Records
from silmu.steps.collect.streams import Text

USUAL = (",", "\t")
NONE = "\x1f"
"""For a table of one column, whose texts may hold any of the others."""

_SAMPLE_ROWS, _SAMPLE_CHARACTERS = 300, 1 << 18
_COMMON, _SELDOM = ",\t;|", "^~¦§:#\x01\x1e"


def sample_of(text: Text) -> list[str]:
    """The first lines, all of them whole."""
    lines: list[str] = []
    size = 0
    for line in text.lines():
        lines.append(line)
        size += len(line)
        if size > _SAMPLE_CHARACTERS:
            break
    return lines


def named(line: str) -> str | None:
    """The delimiter of a first line such as `sep=;`, which spreadsheets write and read."""
    line = line.rstrip("\r\n")
    return line[4] if len(line) == 5 and line.lower().startswith("sep=") else None


def dialect_of(lines: list[str], path: Path) -> Dialect:
    """The way of reading in which most rows have as many cells as the first one."""
    common = _COMMON
    if path.name.lower().split(".", 1)[-1].startswith(("tsv", "tab")):
        common = "\t" + common.replace("\t", "")
    best, share = Dialect(NONE), 0.0
    for delimiters in (common, _SELDOM):
        for delimiter in delimiters:
            if not lines or delimiter not in lines[0]:
                continue
            ways = [Dialect(delimiter)]
            if any(f'{delimiter} "' in line for line in lines):
                ways.append(Dialect(delimiter, None, True))
            if any('\\"' in line for line in lines):
                ways.append(Dialect(delimiter, "\\"))
            for way in ways:
                # Only what is clearly better is preferred to what is more usual.
                if (found := _fit(lines, way)) > share + 0.02:
                    best, share = way, found
        # Where the usual ones tell nothing, one that fits every row is not there by chance.
        if share > 0:
            break
    return best


def _fit(lines: list[str], dialect: Dialect) -> float:
    """The share of rows that have as many cells as the first, where that has two at least."""
    records = list(itertools.islice(Records(partial(next, iter(lines), ""), dialect), _SAMPLE_ROWS))
    if not records or not records[0] or len(records[0]) < 2:
        return 0.0
    width = len(records[0])
    rows = [cells for cells in records[1:] if cells is None or cells]
    if dialect.delimiter in _SELDOM and not rows:
        return 0.0
    good = sum(cells is not None and len(cells) == width for cells in rows)
    share = (good + 0.1) / (len(rows) + 0.1)
    return share if dialect.delimiter in _COMMON or share > 0.95 else 0.0
