"""Whether means of new rows differ from those of the training, several of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Measured = tuple[str, NDArray[Any], NDArray[Any]]
"""What was measured, of each row of the training, and of each new row."""


def compared(measured: Iterable[Measured]) -> list[dict[str, Any]]:
    """Both means of what was measured, and the interval of their difference.

    The intervals hold all differences at once in 95 of 100 cases (Welch, Bonferroni). What is
    known of fewer than two rows of either side is left out.

    >>> same, more = np.arange(100.0), np.arange(100.0) + 50
    >>> [one["clear"] for one in compared([("a", same, same), ("b", same, more)])]
    [False, True]
    """
    known = [one for one in measured if min(len(one[1]), len(one[2])) > 1]
    z = NormalDist().inv_cdf(1 - 0.025 / max(len(known), 1))
    rows: list[dict[str, Any]] = []
    for what, before, after in known:
        before, after = before.astype(np.float64), after.astype(np.float64)
        difference = float(after.mean() - before.mean())
        error = np.sqrt(before.var(ddof=1) / len(before) + after.var(ddof=1) / len(after))
        low, high = difference - z * float(error), difference + z * float(error)
        rows.append(
            {
                "what": what,
                "train": float(before.mean()),
                "here": float(after.mean()),
                "difference": difference,
                "low": low,
                "high": high,
                "clear": low > 0 or high < 0,
            }
        )
    return rows


def unlike(found: Iterable[dict[str, Any]]) -> list[str]:
    """A sentence for each mean that clearly differs."""
    return [
        f"unlike the training: {one['what']} {one['here']:.3g}, there {one['train']:.3g}"
        for one in found
        if one["clear"]
    ]
