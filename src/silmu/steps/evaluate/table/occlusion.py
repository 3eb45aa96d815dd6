"""What an answer hangs on: what the score loses when a cell is what most rows have.

Robnik-Sikonja and Kononenko, Explaining Classifications for Individual Instances, 2008.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from silmu.runtime import cells as reading
from silmu.runtime.columns import CategoryColumn, DateColumn, NumberColumn, ReadColumn

MOST_CELLS = 100
"""Cells of a row that are replaced, one after another; of more those of the columns that matter."""

MOST_SHOWN = 24
"""Cells of a row that are told."""

MOST_CHARACTERS = 200


class Outputs(Protocol):
    """What came out for rows, as `scoring.Answers` tells it."""

    @property
    def outputs(self) -> NDArray[Any]:
        """Probabilities (rows, labels), or numbers (rows,) or (rows, targets)."""
        ...


def shown(cells: Mapping[str, Sequence[Any]], order: Sequence[str]) -> list[dict[str, Any]]:
    """Rows as pairs of column and cell, the columns in an order."""
    names = order[:MOST_SHOWN]
    count = len(cells[names[0]]) if names else 0
    return [{"cells": [[name, told(cells[name][i])] for name in names]} for i in range(count)]


def occluded(
    ask: Callable[[Mapping[str, Sequence[Any]]], Outputs],
    cells: Mapping[str, Sequence[Any]],
    columns: Sequence[ReadColumn],
    of: Sequence[int],
) -> Iterator[dict[str, Any]]:
    """For each row its cells, with how far the score falls where one is as in most rows.

    Args:
        ask: the answers to rows that are given as columns.
        cells: of the rows.
        columns: those that matter most first.
        of: for each row the label or target that is explained.
    """
    some = columns[:MOST_CELLS]
    for i, label in enumerate(of):
        asked = {name: [values[i]] * (len(some) + 1) for name, values in cells.items()}
        for place, column in enumerate(some, 1):
            asked[column.name][place] = usual(column)
        outputs = np.asarray(ask(asked).outputs, np.float64)
        own = outputs if outputs.ndim == 1 else outputs[:, label]
        falls: list[float] = (own[0] - own[1:]).tolist()
        pairs = zip(some, falls, strict=True)
        weighed = [[column.name, told(cells[column.name][i]), fall] for column, fall in pairs]
        heavy: list[int] = np.argsort(-np.abs(falls), kind="stable")[:MOST_SHOWN].tolist()
        yield {"cells": [weighed[place] for place in heavy]}


def usual(column: ReadColumn) -> Any:
    """What most rows of the training have in a column, or have in their middle.

    Of a number the median, of a category the most frequent level, of a time the middle between the
    first and the last, of a text nothing.
    """
    if isinstance(column, NumberColumn):
        return column.fill
    if isinstance(column, CategoryColumn):
        counts = column.counts
        return column.levels[counts.index(max(counts))] if counts else None
    if isinstance(column, DateColumn):
        middle = datetime.fromtimestamp((column.low + column.high) / 2, UTC)
        return middle if column.zoned else middle.replace(tzinfo=None)
    return ""


def told(cell: Any) -> Any:
    """A cell as a report tells it: a text, a number, or null."""
    if reading.is_missing(cell):
        return None
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, int | float | np.integer | np.floating):
        number = float(cast("float", cell))
        return int(number) if number.is_integer() and abs(number) < 1e15 else number
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    return str(cell)[:MOST_CHARACTERS]
