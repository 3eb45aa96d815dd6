"""Rows of one time, and rows that fall into one step, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InputError
from silmu.runtime.series.frame import Layout
from silmu.runtime.series.measured import TEXT
from silmu.runtime.series.placed import Placed
from silmu.runtime.series.said import Rows, moment, quoted
from silmu.runtime.series.steps import DAY, PASSING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Numbers = NDArray[np.int64]


FEW = 0.001
"""The share of rows that may have the time of another one and different values."""


@dataclass(frozen=True)
class Merged:
    """Steps that have rows, sorted by series and step.

    Attributes:
        series: (n,) whose each is.
        places: (n,) the number of each.
        values: by column, (n,).
        joined: rows that fell into a step together with an earlier one.
        repeated: rows that repeat an earlier one.
    """

    series: Numbers
    places: Numbers
    values: Mapping[str, NDArray[Any]]
    joined: int
    repeated: int

    def parts(self, size: int) -> list[slice]:
        """The steps of each of so many series."""
        ends = np.cumsum(np.bincount(self.series, minlength=size)).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def merged(values: Mapping[str, NDArray[Any]], layout: Layout, grid: Placed, rows: Rows) -> Merged:
    """One row for each step.

    Where a step has several rows, targets become what the layout's `aggregate` says. Covariates of
    numbers become their mean, or with `last` the last one as those of texts. With `mean`, rows of
    one time are one row that was written twice, and may not differ; but for so few that they say
    nothing of the table, whose mean is taken.

    Raises:
        InputError: rows of one time differ, and not just a FEW.
    """
    order = np.lexsort((grid.moments, rows.series))
    series, times = rows.series[order], grid.moments[order]
    places, found = grid.places[order], {name: one[order] for name, one in values.items()}
    repeated = 0
    again = _as_before(series, times)
    if layout.aggregate == "mean" and again.any():
        starts = np.flatnonzero(~again)
        odd = {name: _differing(column, starts) for name, column in found.items()}
        for name, runs in odd.items():
            if len(runs) > FEW * len(order):
                raise _refused(name, found[name], runs, starts, order, grid, layout, rows)
        if not any(map(len, odd.values())):
            found = {name: _last(column, starts) for name, column in found.items()}
            repeated = int(again.sum())
            series, places = series[starts], places[starts]
    again = _as_before(series, places)
    if again.any():
        starts = np.flatnonzero(~again)
        series, places = series[starts], places[starts]
        rules = {name: "mean" if layout.aggregate == "sum" else layout.aggregate for name in found}
        rules |= dict.fromkeys(layout.target, layout.aggregate)
        texts = [name for name, how in layout.written.items() if how == TEXT]
        rules |= dict.fromkeys(texts, "last")
        found = {name: _joined(one, starts, rules[name]) for name, one in found.items()}
    return Merged(series, places, found, int(again.sum()), repeated)


def _as_before(series: Numbers, places: NDArray[Any]) -> Bools:
    again = np.zeros(len(series), bool)
    again[1:] = (series[1:] == series[:-1]) & (places[1:] == places[:-1])
    return again


def _joined(values: NDArray[Any], starts: Numbers, rule: str) -> NDArray[Any]:
    """Values of runs that begin at `starts`; nothing where a run has nothing."""
    if rule == "last":
        return _last(values, starts)
    there = ~np.isnan(values)
    sums = np.add.reduceat(np.where(there, values, 0.0), starts)
    counts = np.add.reduceat(there.astype(np.int64), starts)
    divided = sums if rule == "sum" else sums / np.maximum(counts, 1)
    return np.where(counts > 0, divided, np.nan)


def _last(values: NDArray[Any], starts: Numbers) -> NDArray[Any]:
    """The last value of each run that is there."""
    there = _there(values)
    last = np.maximum.reduceat(np.where(there, np.arange(len(values)), -1), starts)
    return values[np.where(last < 0, starts, last)]


def _there(values: NDArray[Any]) -> Bools:
    return ~np.isnan(values) if values.dtype.kind == "f" else np.array(values != None)  # noqa: E711


def _codes(values: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers as they are, texts as numbers that are equal where they are."""
    if values.dtype.kind == "f":
        return values
    codes: dict[Any, int] = {}
    return np.array(
        [np.nan if one is None else codes.setdefault(one, len(codes)) for one in values],
        np.float64,
    )


def _differing(values: NDArray[Any], starts: Numbers) -> Numbers:
    """The numbers of the runs of one time in which a column has several values."""
    plain = _codes(values)
    low, high = np.fmin.reduceat(plain, starts), np.fmax.reduceat(plain, starts)
    return np.flatnonzero(high > low)


def _refused(
    name: str,
    values: NDArray[Any],
    odd: Numbers,
    starts: Numbers,
    order: Numbers,
    grid: Placed,
    layout: Layout,
    rows: Rows,
) -> InputError:
    """Says which rows of one time differ in a column."""
    plain, run = _codes(values), int(odd[0])
    end = int(starts[run + 1]) if run + 1 < len(starts) else len(order)
    own = np.arange(int(starts[run]), end)
    own = own[_there(values[own])]
    other = int(own[plain[own] != plain[own[0]]][0])
    pair = order[np.array([own[0], other])]
    whose = rows.names[int(rows.series[pair[0]])]
    others = f"; {len(odd) - 1} more times likewise" if len(odd) > 1 else ""
    when = grid.seconds[order[starts[odd]]]
    return InputError(
        f"{rows.several(np.sort(pair))}{f' of {quoted(whose)}' if whose else ''} have one time, "
        f"{_said(float(when[0]), grid)}, and different `{name}`: {quoted(values[own[0]])} and "
        f"{quoted(values[other])}{others}",
        hint=_cure(when, grid, layout),
    )


def _said(time: float, grid: Placed) -> str:
    return f"{time:g}" if grid.step.unit == "count" else moment(time)


def _cure(times: NDArray[np.float64], grid: Placed, layout: Layout) -> str:
    days = np.floor(times / DAY)
    hours = (times - days * DAY) / 3600
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    is_night = (hours < 4) & np.isin(months, (3, 4, 9, 10, 11))
    if grid.zone is None and grid.step.unit in PASSING and is_night.all() and hours.any():
        return (
            "where clocks are set back in autumn they show an hour twice; set timezone to the "
            "place whose clocks these are, such as timezone=Europe/Berlin"
        )
    if not layout.group:
        return (
            "if the table holds several series, name the column that tells them apart as group; "
            "else leave rows out, or set aggregate to sum or last"
        )
    return (
        "name as group all columns that tell series apart; or leave rows out, or set aggregate to "
        "sum or last"
    )
