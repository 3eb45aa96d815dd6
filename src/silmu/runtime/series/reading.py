"""Rows of a table as regular series.

Long tables name the series of a row in group columns; wide ones have a target for each series; a
table may be both. `Layout.written` holds how the cells of a column are written: of times ("time",
""), ("since", "ms"), ("year", ""), ("month", "") or ("count", ""); of numbers what stands before
decimals, and their unit; of covariates of texts ("text", "").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InputError, MissingKeyError
from silmu.runtime.series import measured, merging, stamps
from silmu.runtime.series.frame import Findings, Layout, Read, Series
from silmu.runtime.series.merging import Merged
from silmu.runtime.series.placed import Placed, counted, placed
from silmu.runtime.series.refused import check
from silmu.runtime.series.said import Rows, quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Cells = Sequence[Any] | NDArray[Any]


def read_series(
    columns: Mapping[str, Cells], layout: Layout, *, numbers: NDArray[np.int64] | None = None
) -> Read:
    """Rows as series on a grid of equal steps.

    >>> rows = {"day": ["2024-01-01", "2024-01-02", "2024-01-04"], "sold": ["3", "1,200", ""]}
    >>> read = read_series(rows, Layout(time="day", target=("sold",)))
    >>> read.step.words, read.series[0].values.tolist(), read.found.ahead
    ('1 day', [3.0, 1200.0], 1)

    Args:
        columns: cells by the names of columns, all of one length, as tables have them: texts,
            numbers, None, datetimes. Others than those of the layout are not read.
        layout: which columns hold what.
        numbers: (rows,) what rows are called in errors, from 1 by default.

    Raises:
        MissingKeyError: a column of the layout is not there.
        InputError: with its row and series, if a time is missing or cannot be read, or was never
            shown by clocks of the zone; if a target is no number or infinite; if one time of a
            series has different values; if a series has no value; if series have different steps;
            if there is one time alone, or none; if a time lies so far from others that more than
            a thousand steps for each row are empty, or there are more than 10 million.
        UsageError: the layout's zone or step does not fit its times.
    """
    count = _length(columns, layout)
    numbers = np.arange(1, count + 1) if numbers is None else numbers
    codes, names = measured.groups(columns, layout.group, numbers)
    rows = Rows(numbers, codes, names)
    written = dict(layout.written)
    values: dict[str, NDArray[Any]] = {}
    for name in layout.target:
        values[name], written[name] = measured.target(name, columns[name], rows, written.get(name))
    for name in layout.input:
        values[name], written[name] = measured.covariate(
            name, columns[name], rows, written.get(name)
        )
    grid = _grid(columns, layout, rows, written)
    found = replace(layout, step=grid.step, zone=grid.zone, written=written)
    merged = merging.merged(values, found, grid, rows)
    series, gaps, ahead = _built(merged, found, rows)
    odd = Findings(
        gaps=gaps,
        irregular=grid.irregular,
        merged=merged.joined,
        repeated=merged.repeated,
        unsorted=_is_unsorted(grid, rows),
        ahead=ahead,
        nights=grid.nights,
    )
    return Read(series, grid.step, grid.places, codes, odd, found)


def _length(columns: Mapping[str, Cells], layout: Layout) -> int:
    """How many rows there are."""
    lacking = [name for name in layout.columns if name not in columns]
    if lacking:
        raise MissingKeyError(
            f"there is no {', '.join(f'`{name}`' for name in lacking)}; there are "
            f"{', '.join(f'`{name}`' for name in columns) or 'no columns'}"
        )
    lengths = {name: len(columns[name]) for name in layout.columns}
    if len({*lengths.values()}) > 1:
        several = ", ".join(f"`{name}` {length}" for name, length in lengths.items())
        raise InputError(f"columns have different lengths: {several}")
    count = next(iter(lengths.values()))
    if not count:
        raise InputError("there are no rows", hint="give the history that is to be forecast")
    return count


def _grid(
    columns: Mapping[str, Cells], layout: Layout, rows: Rows, written: dict[str, tuple[str, str]]
) -> Placed:
    """Rows on their grid; what is found of how their times are written is added."""
    if layout.time is None:
        return counted(_places(rows), layout, rows)
    cells = columns[layout.time]
    how = written.get(layout.time) or stamps.how_written(cells)
    written[layout.time] = how
    found = stamps.read_stamps(cells, layout.order, how)
    check(found, cells, layout, rows)
    if how == stamps.COUNT:
        return counted(found.seconds, layout, rows)
    return placed(found, layout, rows)


def _places(rows: Rows) -> NDArray[np.float64]:
    """Where in its series each row stands."""
    order = np.argsort(rows.series, kind="stable")
    counts = np.bincount(rows.series, minlength=len(rows.names))
    found = np.empty(len(order), np.float64)
    found[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return found


def _built(
    merged: Merged, layout: Layout, rows: Rows
) -> tuple[tuple[Series, ...], tuple[tuple[str, int, int], ...], int]:
    """The series, their gaps, and how many steps after their ends have rows."""
    found: list[Series] = []
    empty: list[tuple[str, str]] = []
    gaps: list[tuple[str, int, int]] = []
    ahead = 0
    for group, part in zip(rows.names, merged.parts(len(rows.names)), strict=True):
        places = merged.places[part]
        last = -1
        for target in layout.target:
            values = merged.values[target][part]
            (seen,) = np.nonzero(~np.isnan(values))
            if not len(seen):
                empty.append((group, target))
                continue
            several = target if len(layout.target) > 1 else ""
            name = ", ".join(filter(None, (group, several)))
            one = _series(
                name,
                places,
                values,
                seen,
                {name: merged.values[name][part] for name in layout.input},
            )
            found.append(one)
            gaps += [(name, one.first + start, length) for start, length in _gaps(one.values)]
            last = max(last, int(seen[-1]))
        ahead += len(places) - 1 - last
    if empty:
        _refuse_empty(empty, layout, rows)
    names = [one.name for one in found]
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"two series are called {quoted(twice)}",
            hint="rename a target, or write the columns of group without commas",
        )
    return tuple(found), tuple(gaps), ahead


def _series(
    name: str,
    places: NDArray[np.int64],
    values: NDArray[np.float64],
    seen: NDArray[np.int64],
    covariates: Mapping[str, NDArray[Any]],
) -> Series:
    """A series of the steps that have rows, which begins and ends with a value."""
    start, end = int(seen[0]), int(seen[-1]) + 1
    first = int(places[start])
    grid = np.full(int(places[end - 1]) - first + 1, np.nan)
    grid[places[start:end] - first] = values[start:end]
    told: dict[str, NDArray[Any]] = {}
    for column, cells in covariates.items():
        is_number = cells.dtype.kind == "f"
        whole: NDArray[Any] = np.full(
            int(places[-1]) - first + 1, np.nan if is_number else None, cells.dtype
        )
        whole[places[start:] - first] = cells[start:]
        told[column] = whole
    return Series(name, first, grid, told)


def _gaps(values: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Where values lack, and how many."""
    lacks = np.concatenate([[False], np.isnan(values), [False]])
    edges = np.flatnonzero(lacks[1:] != lacks[:-1])
    return [(a, b - a) for a, b in edges.reshape(-1, 2).tolist()]


def _refuse_empty(empty: Sequence[tuple[str, str]], layout: Layout, rows: Rows) -> None:
    group, target = empty[0]
    own = np.flatnonzero(rows.series == rows.names.index(group))
    others = f"; {len(empty) - 1} more series likewise" if len(empty) > 1 else ""
    raise InputError(
        f"there is no value of `{target}`{f' in the series {quoted(group)}' if group else ''}, "
        f"{rows.several(own)}{others}",
        hint="leave these rows out"
        if group and len(layout.target) == 1
        else "name another target, or give rows that have one",
    )


def _is_unsorted(grid: Placed, rows: Rows) -> bool:
    """Whether times of a series go back."""
    order = np.argsort(rows.series, kind="stable")
    is_same = np.diff(rows.series[order]) == 0
    return bool((is_same & (np.diff(grid.moments[order]) < 0)).any())
