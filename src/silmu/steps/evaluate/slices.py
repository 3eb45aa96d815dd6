"""Parts of rows, of which the same figure is told: by the values of a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.words import number

MOST_VALUES = 20
FEWEST_ROWS = 10
QUANTILES = 4
"""So many parts of about equal size come of a column of numbers."""
FEW_NUMBERS = 8
"""Of so many different numbers each is a part."""
MISSING = "(missing)"

Part = tuple[str, str, NDArray[np.int64]]
"""The column, its value, and the rows that have it."""


def by_value(columns: Mapping[str, Sequence[Any]]) -> Iterator[Part]:
    """Column, value and rows of each part, the largest first; values of few rows go together.

    Columns of one value, or of more than 20, give nothing.
    """
    for column, values in columns.items():
        texts = np.array([MISSING if value is None else str(value) for value in values], object)
        counts: Counter[str] = Counter(texts.tolist())
        if len(counts) > MOST_VALUES:
            continue
        large = [value for value, count in counts.most_common() if count >= FEWEST_ROWS]
        rest = np.flatnonzero(~np.isin(texts.astype(str), np.array(large, str)))
        if len(large) + bool(len(rest)) < 2 or not large:
            continue
        for value in large:
            yield column, value, np.flatnonzero(texts == value)
        if len(rest):
            yield column, "(others)", rest


def by_quantile(column: str, values: NDArray[np.float64]) -> Iterator[Part]:
    """The parts of a column of numbers, the smallest first, and the rows that have none.

    Few different numbers are parts of their own; parts of few rows give nothing.

    >>> [(value, len(rows)) for _, value, rows in by_quantile("age", np.arange(40.0))]
    [('0 to 9', 10), ('10 to 19', 10), ('20 to 29', 10), ('30 to 39', 10)]
    """
    none = np.isnan(values)
    known = values[~none]
    distinct = np.unique(known)
    lasts = distinct
    if len(distinct) > FEW_NUMBERS:
        shares = np.arange(1, QUANTILES) / QUANTILES
        # Of the last part too, so that it ends somewhere.
        lasts = np.unique([*np.quantile(known, shares, method="lower"), distinct[-1]])
    place = np.searchsorted(lasts, values)
    parts = [(np.flatnonzero((place == i) & ~none), last) for i, last in enumerate(lasts)]
    large = [(rows, last) for rows, last in parts if len(rows) >= FEWEST_ROWS]
    missing = np.flatnonzero(none)
    if len(large) + (len(missing) >= FEWEST_ROWS) < 2:
        return
    for rows, last in large:
        first = values[rows].min()
        ends = number(last) if first == last else f"{number(first)} to {number(last)}"
        yield column, ends, rows
    if len(missing) >= FEWEST_ROWS:
        yield column, MISSING, missing
