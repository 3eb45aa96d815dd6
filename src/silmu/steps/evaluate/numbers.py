"""Metrics of predicted numbers, as functions of sums over rows; see metrics.py.

Each target adds four sums of errors. Of several targets in different units only shares and R2 can
be told together: as their means, which is scikit-learn's `uniform_average`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sums = dict[str, Any]
"""Of each name, what every row adds: an array (rows, columns), dense or sparse."""

Totals = Mapping[str, NDArray[np.float64]]
"""Sums added up: the last axis is the columns, those before it are resamples."""

COLUMNS = 4
"""So many sums of errors a target has."""


def row_sums(
    targets: NDArray[Any], outputs: NDArray[Any], spans: NDArray[Any] | None = None
) -> Sums:
    """What each row adds.

    Args:
        targets, outputs: (rows,) or (rows, targets).
        spans: (rows, targets, 2), the intervals that were given with the outputs.
    """
    rows = len(targets)
    shape = (rows, 1 if targets.ndim == 1 else targets.shape[1])
    true = targets.astype(np.float64).reshape(shape)
    error = outputs.astype(np.float64).reshape(shape) - true
    # A shift changes no metric, and squares of large numbers would lose the small differences.
    shifted = true - (true.mean(axis=0) if rows else 0.0)
    errors = np.stack([np.abs(error), error**2, shifted, shifted**2], axis=2)
    sums: Sums = {"n": np.ones((rows, 1)), "errors": errors.reshape(rows, shape[1] * COLUMNS)}
    if spans is not None:
        low, high = np.moveaxis(spans.astype(np.float64), -1, 0)
        sums["within"] = ((low <= true) & (true <= high)).astype(np.float64)
        sums["width"] = high - low
    return sums


def of_target(totals: Mapping[str, Any], i: int) -> dict[str, Any]:
    """Of sums or totals of several targets those of one."""
    width = {"n": slice(None), "errors": slice(i * COLUMNS, (i + 1) * COLUMNS)}
    return {name: block[..., width.get(name, slice(i, i + 1))] for name, block in totals.items()}


def measure(totals: Totals) -> dict[str, NDArray[np.float64]]:
    """The metrics of numbers; of several those that have no unit, as means over targets."""
    n = totals["n"]
    errors = totals["errors"].reshape(*totals["errors"].shape[:-1], -1, COLUMNS)
    absolute, squared, target, target_squared = np.moveaxis(errors, -1, 0)
    spread = target_squared - target**2 / n
    r2 = 1 - squared / np.where(spread > 0, spread, np.nan)
    known = ~np.isnan(r2)
    single = r2.shape[-1] == 1
    found: dict[str, NDArray[np.float64]] = {}
    if single:
        found["mean_absolute_error"] = (absolute / n)[..., 0]
        found["root_mean_squared_error"] = np.sqrt(squared / n)[..., 0]
    found["r2"] = np.where(known, r2, 0).sum(axis=-1) / known.sum(axis=-1)
    if "within" in totals:
        found["interval_coverage"] = (totals["within"] / n).mean(axis=-1)
        if single:
            found["interval_width"] = (totals["width"] / n)[..., 0]
    return found
