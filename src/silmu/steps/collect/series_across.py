"""Times that stand in the names of columns, each refused with the query that makes rows of them."""

from __future__ import annotations

import re

import numpy as np

from silmu.errors import UsageError
from silmu.steps.collect.series_columns import Columns, is_time_text, known_in, listed

_FEWEST = 3
_YEARS = ("year", "yr", "연도", "년도", "년")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)


def refuse_times(looked: Columns) -> None:
    """Tells how columns that are called times become rows.

    Raises:
        UsageError: there are such columns.
    """
    times = [name for name in looked.names if is_time_text(name) and looked.is_number(name)]
    if len(times) < _FEWEST:
        times = _years(looked)
    if len(times) < _FEWEST:
        return
    others = [name for name in looked.names if name not in times]
    kept = f" EXCLUDE ({', '.join(map(quoted, others))})" if others else ""
    raise UsageError(
        f"the times stand in the names of columns, {listed(times[:2])} and {len(times) - 2:,} more",
        hint=f'make rows of them: --time time --target value --set query="SELECT * FROM (UNPIVOT '
        f'data ON COLUMNS(*{kept}) INTO NAME time VALUE value)"',
    )


def refuse_months(looked: Columns) -> None:
    """Tells how a table of a row for each year and a column for each month becomes one of months.

    Raises:
        UsageError: it is such a table.
    """
    months = [name for name in looked.names if _month(name) is not None]
    years = known_in(_YEARS, looked.names)
    numbers = [_month(name) for name in months]
    if len(years) != 1 or sorted(n for n in numbers if n is not None) != [*range(12)]:
        return
    year = quoted(years[0])
    raise UsageError(
        f"the months of a year stand in the names of columns, {listed(months[:2])} and 10 more",
        hint=f'make rows of them: --time time --target value --set query="SELECT strptime(concat('
        f"CAST({year} AS INT), ' ', left(month, 3)), '%Y %b') AS time, * EXCLUDE ({year}, month) "
        f'FROM (UNPIVOT data ON {", ".join(map(quoted, months))} INTO NAME month VALUE value)"',
    )


def quoted(name: str) -> str:
    """A name in a query that stands in quotes."""
    return name if name.isidentifier() else f'\\"{name}\\"'


def _month(name: str) -> int | None:
    """The number of the month that a column is called, from 0 on."""
    plain = name.strip().rstrip(".").casefold()
    return next((i for i, one in enumerate(zip(_MONTHS, _FULL, strict=True)) if plain in one), None)


def _years(looked: Columns) -> list[str]:
    """Columns that are called years, one after another."""
    named = [name for name in looked.names if re.fullmatch(r"1[5-9]\d\d|20\d\d", name)]
    is_row = np.all(np.diff([int(name) for name in named]) == 1)
    return [name for name in named if looked.is_number(name)] if is_row else []
