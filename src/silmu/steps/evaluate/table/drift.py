"""How the columns of new rows differ from those that a model was trained on.

What the training looked like is told by the processor in the model folder. Where the model is still
in its run, the training rows themselves are compared, and new rows that were among them counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.runtime.columns import (
    CategoryColumn,
    DateColumn,
    NumberColumn,
    Odd,
    ReadColumn,
)
from silmu.runtime.table import Table
from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate.table.distances import (
    Steps,
    binned,
    kolmogorov,
    kolmogorov_by_chance,
    share_difference,
    stability,
    total_variation,
    variation_by_chance,
)
from silmu.steps.evaluate.table.frame import levels_of
from silmu.steps.evaluate.table.repeated import repeated
from silmu.steps.evaluate.table.units import suspected
from silmu.steps.evaluate.trained import training_of
from silmu.steps.evaluate.words import conversion, number
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.tables import plain_cells

MOST_ROWS = 200_000
"""Rows of either side that are compared at most."""

MOST_REPEATED = 1_000_000
"""Training rows among which new ones are looked for at most."""

SHOWN_LEVELS = 5
WARNED = 8
"""So many columns that differ are named in the warnings."""

FALSE_ALARMS = 0.05
"""How likely it may be that any of all columns is said to differ by chance."""

_TESTS = 2  # of a column: what is missing, and what is there


@dataclass(frozen=True)
class Training:
    """What is known of the training: its rows where they are, and how many there were at least."""

    count: int
    prepared: Prepared | None
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, table: Table, model: Path) -> Training:
        """From the run of a model, or else from its folder."""
        prepared = training_of(model)
        if prepared is None:
            return cls(max(map(_least_rows, table.read), default=0), None, np.zeros(0, np.int64))
        rows = prepared.rows("train")
        if len(rows) > MOST_ROWS:
            rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_ROWS])
        return cls(len(rows), prepared, rows)

    def cells(self, name: str) -> Sequence[Any] | None:
        """The cells of a column; None where only the processor tells of them."""
        if self.prepared is None:
            return None
        return plain_cells(self.prepared.dataset.take(self.rows, [name]).column(0))


def compared(table: Table, dataset: Dataset, model: Path) -> tuple[dict[str, Any], list[str]]:
    """How new rows differ from those of the training: details of a report, and sentences."""
    training = Training.of(table, model)
    some = np.arange(dataset.num_rows)
    if len(some) > MOST_ROWS:
        some = np.sort(np.random.default_rng(0).permutation(some)[:MOST_ROWS])
    alpha = FALSE_ALARMS / max(1, _TESTS * len(table.read))
    found = [
        _column(column, plain_cells(dataset.take(some, [column.name]).column(0)), training, alpha)
        for column in table.read
    ]
    found.sort(key=lambda one: (one["units"] is None, not one["clear"], -one["size"]))
    count = None if training.prepared is None else _repeated(table, training.prepared, dataset)
    warnings = [*_warnings(found)]
    if count:
        warnings.append(
            f"{count:,} of {dataset.num_rows:,} rows are equal to rows of the training in all "
            "that is read: on them the model may look better than it is"
        )
    told = {
        "rows": {"train": training.count, "here": len(some)},
        "from": "run" if training.prepared else "model",
        "repeated": count,
        "columns": found,
    }
    return {"drift": None, "columns": told}, warnings


def _column(
    column: ReadColumn, cells: Sequence[Any], training: Training, alpha: float
) -> dict[str, Any]:
    trained = training.cells(column.name)
    told: dict[str, Any] = {"distance": None, "psi": None, "unseen": None, "units": None}
    told |= {"range": None, "median": None, "outside": None}
    if isinstance(column, NumberColumn):
        here, bad = column.found(cells)
        known = here[~np.isnan(here)]
        told |= _numbers(column, known, trained, alpha) | {"strange": int(bad.sum())}
        missing = np.isnan(here)
    elif isinstance(column, DateColumn):
        times = column.found(cells)
        missing = np.isnan(times.seconds)
        told |= _times(column, times.seconds[~missing]) | {"strange": int(times.bad.sum())}
    else:
        levels = levels_of(cells)
        missing = np.array([level is None for level in levels], bool)
        told["strange"] = 0
        if isinstance(column, CategoryColumn):
            told |= _levels(column, Counter(level for level in levels if level), training, alpha)
    told |= {"missing": _missing(column, float(missing.mean()), len(cells), training, alpha)}
    unseen = told["unseen"]
    told["clear"] = bool(
        told["missing"]["clear"]
        or (told["distance"] and told["distance"]["clear"])
        or (unseen and unseen["clear"])
    )
    size = abs(told["missing"]["here"] - told["missing"]["train"])
    told["size"] = max(size, told["distance"]["value"] if told["distance"] else 0.0)
    return {"column": column.name, "kind": column.kind, **told}


def _missing(
    column: ReadColumn, here: float, count: int, training: Training, alpha: float
) -> dict[str, Any]:
    low, high = share_difference(column.missing, training.count, here, count, alpha)
    return {
        "train": column.missing,
        "here": here,
        "low": low,
        "high": high,
        "clear": low > 0 or high < 0,
    }


def _numbers(
    column: NumberColumn, here: NDArray[np.float64], trained: Sequence[Any] | None, alpha: float
) -> dict[str, Any]:
    ends = [column.low, column.high]
    found: dict[str, Any] = {"range": {"train": ends, "here": None}}
    if not len(here):
        return found
    found["range"]["here"] = [float(here.min()), float(here.max())]
    found["outside"] = float(((here < column.low) | (here > column.high)).mean())
    found["median"] = {"train": column.fill, "here": float(np.median(here))}
    if trained is not None:
        known = column.found(trained)[0]
        steps = Steps.of(known[~np.isnan(known)])
    elif column.clipped:
        steps = Steps.of_quantiles(column.knots)
    else:
        return found  # of a line only two points are known
    value = kolmogorov(steps, here)
    threshold = kolmogorov_by_chance(steps.count, len(here), alpha)
    found["distance"] = _distance("kolmogorov_smirnov", value, threshold)
    found["psi"] = stability(*binned(steps, here), (steps.count, len(here)))
    found["units"] = suspected(steps, here, value) if value > threshold else None
    return found


def _times(column: DateColumn, here: NDArray[np.float64]) -> dict[str, Any]:
    """Only the range: new rows are newer, and that says nothing against them."""
    if not len(here):
        return {"range": {"train": [column.low, column.high], "here": None}}
    return {
        "range": {
            "train": [column.low, column.high],
            "here": [float(here.min()), float(here.max())],
        },
        "outside": float(((here < column.low) | (here > column.high)).mean()),
    }


def _levels(
    column: CategoryColumn, here: Counter[str], training: Training, alpha: float
) -> dict[str, Any]:
    """Levels that are known, and in one part those that the training has hardly or not seen.

    In a level that comes once, or never, new rows are as often as Good and Turing estimate: levels
    that came once in the training tell how often one comes that never did, those that came twice
    how often one that came once (Good, 1953).
    """
    names = [*here]
    odd = Odd("flag")
    codes = column.read(names, odd)
    known = len(column.levels)
    sizes = np.array([here[name] for name in names], np.float64)
    counts = np.bincount(np.maximum(codes - 1, 0), sizes, minlength=known + 1)
    once, twice = len(column.rare), sum(count == 2 for count in column.counts)
    whole = sum(column.counts) + once
    rest = min(1.0, (once + 2 * twice) / whole) if once and whole else 0.0
    trained = np.array([0.0, *column.counts], np.float64)
    trained = trained / max(trained.sum(), 1) * (1 - rest)
    trained[0] = rest
    found: dict[str, Any] = {"unseen": _unseen(names, sizes, odd, once / max(whole, 1), whole)}
    if not sizes.sum() or not whole:
        return found
    shares = counts / sizes.sum()
    pooled = (trained * whole + counts) / (whole + sizes.sum())
    value = total_variation(trained, shares)
    threshold = variation_by_chance(pooled / pooled.sum(), whole, int(sizes.sum()), alpha)
    found["distance"] = _distance("total_variation", value, threshold)
    found["psi"] = stability(trained, shares, (whole, int(sizes.sum())))
    return found


def _unseen(
    names: Sequence[str], sizes: NDArray[np.float64], odd: Odd, expected: float, whole: int
) -> dict[str, Any]:
    strange = sorted(odd.flags, key=lambda i: (-sizes[i], names[i]))
    count = int(sizes[strange].sum())
    share = count / max(float(sizes.sum()), 1.0)
    # Nothing seen in n rows is at most about 3 in n.
    low = share - 2 * float(np.sqrt(share * (1 - share) / max(float(sizes.sum()), 1.0)))
    return {
        "count": count,
        "share": share,
        "levels": [{"level": names[i], "count": int(sizes[i])} for i in strange[:SHOWN_LEVELS]],
        "more": max(0, len(strange) - SHOWN_LEVELS),
        "clear": bool(count) and low > expected + 3 / max(whole, 1),
    }


def _distance(name: str, value: float, threshold: float) -> dict[str, Any]:
    return {"name": name, "value": value, "threshold": threshold, "clear": value > threshold}


def _least_rows(column: ReadColumn) -> int:
    """How many rows the training had at least, by what is kept of one of its columns."""
    known = 0
    if isinstance(column, NumberColumn) and column.clipped:
        known = len(column.knots)
    elif isinstance(column, CategoryColumn):
        known = sum(column.counts) + len(column.rare)
    return round(known / max(1 - column.missing, 1e-9))


def _repeated(table: Table, prepared: Prepared, dataset: Dataset) -> int | None:
    """How many new rows were in the training; None where that has too many rows to look."""
    if prepared.counts["train"] > MOST_REPEATED:
        return None
    return repeated(table.read, (prepared.dataset, prepared.rows("train")), dataset)


def _warnings(columns: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One sentence for each column that differs, the most striking first."""
    told = [one for one in columns if one["clear"]]
    for one in told[:WARNED]:
        yield f"unlike the training: `{one['column']}`: {'; '.join(_said(one))}"
    if len(told) > WARNED:
        yield f"{len(told) - WARNED:,} more columns are unlike the training"


def _said(one: Mapping[str, Any]) -> Iterator[str]:
    if units := one["units"]:
        yield conversion(units)
    if one["unseen"] and one["unseen"]["clear"]:
        levels = ", ".join(repr(level["level"]) for level in one["unseen"]["levels"][:3])
        yield f"levels that training did not know, {levels}, in {one['unseen']['count']:,} rows"
    if one["missing"]["clear"]:
        here, there = (100 * one["missing"][side] for side in ("here", "train"))
        yield f"missing in {here:.3g} % of rows, there {there:.3g} %"
    distance = one["distance"]
    if distance and distance["clear"]:
        median = one["median"]
        middle = (
            f"median {number(median['here'])}, there {number(median['train'])}; " if median else ""
        )
        yield f"{middle}distance {distance['value']:.3g}, by chance {distance['threshold']:.3g}"
