"""How far a figure may be from the truth: Wilson's interval for shares, the bootstrap for the rest.

Rows that belong together (reviews of one film, messages of one person) are not independent; where
the data names a group, whole groups are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from silmu.steps.evaluate.metrics import (
    LOWER_IS_BETTER,
    Scored,
    measure,
    row_sums,
    total,
)
from silmu.steps.evaluate.numbers import Sums, Totals
from silmu.steps.evaluate.report import Metric

RESAMPLES = 2000
FEWEST_RESAMPLES = 1000
Z = 1.959963984540054
"""What a normal variable stays within in 95 of 100 cases."""

Drawn = tuple[NDArray[np.float64], NDArray[np.float64]]

_AT_ONCE = 2_000_000
_LARGE = 20_000
_NARROW = 16
_PROPORTIONS = ("accuracy", "top_5_accuracy", "interval_coverage")


def wilson(hits: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share; nothing in n is at most about 3 in n, the rule of three.

    >>> [round(end, 3) for end in wilson(90, 100)]
    [0.826, 0.945]
    >>> [round(end, 3) for end in wilson(100, 100)]
    [0.97, 1.0]

    Wilson, Probable Inference, 1927; Hanley and Lippman-Hand, If Nothing Goes Wrong, 1983.
    """
    if n <= 0:
        return 0.0, 1.0
    share, z = hits / n, Z
    most = 1 - 0.05 ** (1 / n)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 1 - most if hits >= n else 0.0 if hits <= 0 else middle - half
    high = most if hits <= 0 else 1.0 if hits >= n else middle + half
    return float(low), float(high)


def resample(
    tables: Sequence[Sums],
    groups: NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
    resamples: int | None = None,
) -> list[Totals]:
    """Totals over rows, or whole groups, drawn again with replacement.

    All tables are of the same rows and are drawn alike, so that differences between them are
    paired. The order of rows and the numbering of groups change nothing.
    """
    if groups is not None:
        tables = [_by_group(table, groups) for table in tables]
    units = tables[0]["n"].shape[0]
    order = _order(tables)
    tables = [
        {name: _dense_if_narrow(block[order]) for name, block in table.items()} for table in tables
    ]
    count = resamples or (RESAMPLES if units <= _LARGE else FEWEST_RESAMPLES)
    random = np.random.default_rng(seed)
    pieces: list[list[dict[str, NDArray[np.float64]]]] = [[] for _ in tables]
    at_once = max(1, _AT_ONCE // max(units, 1))
    room = np.empty((min(at_once, count), units))
    for start in range(0, count, at_once):
        rows = min(at_once, count - start)
        weights = room[:rows]
        for row in weights:  # one by one they stay in the processor's cache
            drawn = cast("NDArray[np.int64]", random.integers(0, units, units))
            row[:] = np.bincount(drawn, minlength=units)
        for table, piece in zip(tables, pieces, strict=True):
            piece.append({name: _weighted(weights, block) for name, block in table.items()})
    return [
        {name: np.concatenate([part[name] for part in piece]) for name in piece[0]}
        for piece in pieces
    ]


def percentiles(values: NDArray[np.float64], units: int) -> tuple[float, float]:
    """The ends of the 95 % interval of a resampled value; NaN where none can be told.

    Resamples of few units vary too little, so somewhat more than 95 of 100 are taken in: the
    expanded percentiles of Hesterberg, What Teachers Should Know about the Bootstrap, 2015.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    if units < 2:
        return float(known.min()), float(known.max())
    tail = _tail(units)
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


@cache
def _tail(units: int) -> float:
    wider = stats.t.ppf(0.975, units - 1) * np.sqrt(units / (units - 1))
    return float(stats.norm.sf(wider))


def ratio(above: float, below: float, drawn: Drawn, *, units: int | None) -> Metric | None:
    """One sum over another as a metric; None where the other is 0.

    Args:
        drawn: both sums in resamples.
        units: how many groups there are; None where each row stands for itself, and Wilson's
            interval is taken.
    """
    if below <= 0:
        return None
    value = above / below
    low, high = wilson(above, below)
    if units is not None and 0 < value < 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = percentiles(drawn[0] / drawn[1], units)
    return Metric(value, min(low, value), max(high, value), round(below))


def with_intervals(
    scored: Scored, sums: Sums, drawn: Totals, *, units: int | None = None
) -> dict[str, Metric]:
    """The metrics of scored rows, each with its interval; those that cannot be told are left out.

    Args:
        sums: `row_sums(scored)`.
        drawn: of `resample`.
        units: how many groups there are, where rows come in groups.
    """
    totals = total(sums)
    once = measure(scored.kind, totals)
    again = measure(scored.kind, drawn)
    count = len(scored) if units is None else units
    found: dict[str, Metric] = {}
    for name, value_ in once.items():
        value = float(value_)
        if np.isnan(value):
            continue
        low, high = percentiles(again[name], count)
        if name == "roc_auc":
            # In resamples it is told to the first order, which may pass its ends.
            low, high = max(low, 0.0), min(high, 1.0)
        if name == "expected_calibration_error":
            # Chance alone makes the error larger than it is, and in a resample once more.
            noise = percentiles(_noise_of_calibration(totals, drawn), count)[1]
            low = 0.0 if value <= noise else max(0.0, 2 * value - high)
        # Of several targets at once the share is a mean of shares of the same rows.
        share = name in _PROPORTIONS and (name == "accuracy" or scored.targets.ndim == 1)
        if share and (units is None or value in (0.0, 1.0)):
            low, high = wilson(value * count, count)
        found[name] = Metric(value, min(low, value), max(high, value), len(scored))
    return _without_mistakes(scored, found, units)


def _noise_of_calibration(totals: Totals, drawn: Totals) -> NDArray[np.float64]:
    """The calibration errors that resamples would show if the model were calibrated perfectly."""
    gaps, again = (t["bin_confidence"] - t["bin_right"] for t in (totals, drawn))
    return np.abs(again - gaps).sum(axis=-1) / drawn["n"][..., 0]


def _without_mistakes(
    scored: Scored, found: dict[str, Metric], units: int | None
) -> dict[str, Metric]:
    """No resample of rows without a mistake has one, yet there may be up to three in as many rows.

    They are taken to be in the rarest label, where they cost the most.
    """
    if scored.kind == "number" or not len(scored) or not scored.right.all():
        return found
    # Three groups of `units` may be wrong, so as many of the rows.
    errors = 3 if units is None else max(3, round(3 * len(scored) / units))
    targets, predictions = scored.targets, scored.predictions.copy()
    counts = targets.sum(axis=0) if targets.ndim > 1 else np.bincount(targets)
    occurring = np.flatnonzero(counts)
    if not len(occurring):
        return found
    rarest = int(occurring[counts[occurring].argmin()])
    if targets.ndim > 1:
        predictions[np.flatnonzero(targets[:, rarest])[:errors], rarest] = 0
    else:
        labels = scored.outputs.shape[1]
        others = [label for label in range(labels) if label != rarest]
        if not others:
            return found
        other = min(others, key=lambda label: (abs(label - rarest), label))
        predictions[np.flatnonzero(targets == rarest)[:errors]] = other
    worse = Scored(scored.kind, targets, scored.outputs, predictions)
    floor = measure(scored.kind, total(row_sums(worse)))
    result = dict(found)
    for name, metric in found.items():
        bound = float(floor[name])
        if np.isnan(bound) or name == "expected_calibration_error" or name in _PROPORTIONS:
            continue
        if name in LOWER_IS_BETTER:
            result[name] = Metric(metric.value, metric.low, max(metric.high, bound), metric.n)
        else:
            result[name] = Metric(metric.value, min(metric.low, bound), metric.high, metric.n)
    area = result.get("roc_auc")
    if area is not None and area.low == area.high == 1.0:
        rare = min(int(counts[rarest]), len(scored) - int(counts.max())) or 1
        result["roc_auc"] = Metric(1.0, max(0.5, 1 - 3 / rare), 1.0, area.n)
    return result


def _by_group(table: Sums, groups: NDArray[np.int64]) -> Sums:
    _, number = np.unique(groups, return_inverse=True)
    shape = (int(number.max()) + 1 if len(number) else 0, len(number))
    member = sparse.csr_matrix((np.ones(len(number)), (number, np.arange(len(number)))), shape)
    return {name: member @ block for name, block in table.items()}


def _order(tables: Sequence[Sums]) -> NDArray[np.int64]:
    """An order of the units that follows from what is in them, not from where they stood."""
    units = tables[0]["n"].shape[0]
    keys = np.zeros(units)
    position = 1
    for table in tables:
        for name in sorted(table):
            width = table[name].shape[1]
            keys += np.asarray(table[name] @ np.cos(np.arange(position, position + width))).ravel()
            position += width
    # Sums of the same rows in another order differ in their last digits.
    return np.argsort(np.round(keys, 9), kind="stable")


def _dense_if_narrow(block: Any) -> Any:
    """A block of few columns is soonest added up as it is, one of many by what is not 0 in it."""
    narrow = sparse.issparse(block) and block.shape[1] <= _NARROW
    return block.toarray() if narrow else block


def _weighted(weights: NDArray[np.float64], block: Any) -> NDArray[np.float64]:
    if sparse.issparse(block):
        return cast("NDArray[np.float64]", (block.T @ weights.T).T)
    return weights @ block
