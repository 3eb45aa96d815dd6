"""Steps without a value, filled by a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import UnknownNameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RULES = ("linear", "last", "mean", "zero", "none")
"""A line between neighbours, the last value before, the mean of all before, 0, or left out."""


def filled(values: NDArray[np.float64], rule: str) -> NDArray[np.float64]:
    """(steps,) values, of which none is NaN.

    >>> filled(np.array([np.nan, 1.0, np.nan, 5.0, np.nan]), "linear").tolist()
    [1.0, 1.0, 3.0, 5.0, 5.0]
    >>> filled(np.array([np.nan, 1.0, np.nan, 5.0, np.nan]), "mean").tolist()
    [1.0, 1.0, 1.0, 5.0, 3.0]

    Args:
        values: NaN where nothing was observed.
        rule: one of RULES. Before the first value, `linear`, `last` and `mean` give that value;
            after the last one, `linear` gives that. `mean` is of what was observed until then, so
            that no step tells of later ones; only `linear` does. `none` gives 0 as `zero` does,
            and says that networks are to look at what was observed alone.

    Raises:
        UnknownNameError: there is no such rule.
    """
    if rule not in RULES:
        raise UnknownNameError(f"fill is {rule!r}; it may be {', '.join(RULES)}")
    missing = np.isnan(values)
    (seen,) = np.nonzero(~missing)
    if rule in ("zero", "none") or not len(seen):
        return np.where(missing, 0.0, values)
    if rule == "linear":
        return np.interp(np.arange(len(values)), seen, values[seen])
    if rule == "last":
        last = np.maximum.accumulate(np.where(missing, seen[0], np.arange(len(values))))
        return values[np.maximum(last, seen[0])]
    sums = np.cumsum(np.where(missing, 0.0, values))
    means = sums / np.maximum(np.cumsum(~missing), 1)
    means[: seen[0]] = values[seen[0]]
    return np.where(missing, means, values)
