"""Rows of series that a model is asked of, read as those of its training were."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import MissingKeyError
from silmu.runtime import cells
from silmu.runtime.series.frame import DROPPED
from silmu.runtime.series.reading import read_series
from silmu.runtime.series.said import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from silmu.runtime.series.frame import Layout, Read, Series

logger = logging.getLogger("silmu")


def read_again(
    columns: Mapping[str, Sequence[Any] | NDArray[Any]],
    layout: Layout,
    inputs: tuple[str, ...],
    numbers: NDArray[np.int64] | None,
) -> tuple[Series, ...]:
    """`SeriesProcessor.series`: of the columns that name series and of targets some may lack.

    Rows of totals and notes, and empty ones, are left out, as they were in training.
    """
    target = tuple(name for name in layout.target if name in columns) or layout.target
    group = layout.group if any(name in columns for name in layout.group) else ()
    read = replace(layout, target=target, group=group, input=inputs)
    if lacking := [name for name in read.columns if name not in columns]:
        raise MissingKeyError(
            f"there is no {', '.join(f'`{name}`' for name in lacking)}; there are "
            f"{', '.join(f'`{name}`' for name in columns) or 'no columns'}",
            hint="the model was trained on it; where time, target or group have other names, "
            "name them",
        )
    columns, numbers = _without_notes({name: columns[name] for name in read.columns}, read, numbers)
    whole = read_series(columns, read, numbers=numbers)
    _tell_joined(whole)
    found = whole.series
    if len(target) == 1 < len(layout.target):  # alone, a target is not named
        found = tuple(
            replace(one, name=", ".join(filter(None, (one.name, *target)))) for one in found
        )
    return found


def _tell_joined(read: Read) -> None:
    """Says how many rows were put together, which training may have had in another number."""
    if not read.found.merged:
        return
    rows = int((read.places != DROPPED).sum()) - read.found.repeated
    steps = rows - read.found.merged
    rule = {"mean": "mean", "sum": "sum", "last": "last one"}[read.layout.aggregate]
    logger.warning(
        "%s rows fall into %s steps of %s, %.3g in each on average, and their %s is taken: if the "
        "training had another number of rows in a step, forecasts are wrong; `step` and "
        "`aggregate` are settings of the training",
        *(f"{rows:,}", f"{steps:,}", read.step.words, rows / steps, rule),
    )


def _without_notes(
    columns: Mapping[str, Sequence[Any] | NDArray[Any]],
    layout: Layout,
    numbers: NDArray[np.int64] | None,
) -> tuple[Mapping[str, Sequence[Any] | NDArray[Any]], NDArray[np.int64] | None]:
    """The rows that have a time, or a value without one; of the others, which is said.

    A row is no more than a note if words stand for its time, without a digit, or if it has neither
    a time nor a number. A time that is written wrong stays, to be refused with its row.
    """
    lengths = {len(column) for column in columns.values()}
    if layout.time is None or len(lengths) != 1:
        return columns, numbers
    times = columns[layout.time]
    if isinstance(times, np.ndarray) and times.dtype.kind in "iufM":
        return columns, numbers
    left = np.array([not _is_note(time) for time in times], bool)
    for place in np.flatnonzero(left).tolist():
        if _is_none(times[place]):
            left[place] = any(not _is_none(columns[name][place]) for name in layout.target)
    kept = np.flatnonzero(left)
    if len(kept) in (0, len(left)):
        return columns, numbers
    odd = np.flatnonzero(~left)
    told = next((times[i] for i in odd.tolist() if not _is_none(times[i])), "")
    logger.warning(
        "%s left out, which %s no time in `%s`%s",
        "1 row is" if len(odd) == 1 else f"{len(odd):,} rows are",
        "has" if len(odd) == 1 else "have",
        layout.time,
        f", such as {quoted(told)}" if told else "",
    )
    numbers = np.arange(1, len(left) + 1) if numbers is None else numbers
    places: list[int] = kept.tolist()
    some = {name: [column[i] for i in places] for name, column in columns.items()}
    return some, numbers[kept]


def _is_note(time: Any) -> bool:
    """Whether words stand where a time is to stand."""
    is_text = isinstance(time, str) and not _is_none(time)
    return is_text and not any(map(str.isdigit, time))


def _is_none(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.strip().lower() in cells.MISSING
    return cells.is_missing(cell)
