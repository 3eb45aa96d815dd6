"""How far quantiles are to be from the median, so that as many values lie below as they promise.

On the validation part, as conformal prediction does it (Romano et al. 2019,
https://arxiv.org/abs/1905.03222): each quantile's distance to the median is stretched until the
share of values below it is its level. What is fitted on little is widened as a normal quantile is
where the deviation was estimated: to Student's. Torch is not needed for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from silmu.runtime.series import student

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.series.processor import Forecasts

LEAST, MOST = 0.2, 5.0
"""By what a distance is stretched at least and at most."""

HALF_TRUSTED = 5.0
"""Of so many windows that do not overlap a narrower quantile counts half, and nothing done the
rest; a wider one counts whole."""

OF_A_WINDOW = 2.0
"""Degrees of freedom that a window adds: errors within it go together, but not wholly."""


def spreads(
    told: Iterable[tuple[Forecasts, NDArray[np.float64]]], levels: Sequence[float]
) -> tuple[float, ...]:
    """The factor of each quantile's distance to the median.

    Args:
        told: forecasts, and what came, (rows, steps) with NaN where nothing was observed.
        levels: of the quantiles.
    """
    parts = [(one.quantiles, came) for one, came in told]
    quantiles = np.concatenate([one for one, _ in parts])
    came = np.concatenate([one for _, one in parts])
    median = quantiles[..., int(np.argmin(np.abs(np.array(levels) - 0.5)))]
    seen = np.isfinite(came)
    independent = len(came) / came.shape[1]
    trust = independent / (independent + HALF_TRUSTED)
    freedom = np.array([OF_A_WINDOW * independent])
    found: list[float] = []
    for i, level in enumerate(levels):
        distance = (quantiles[..., i] - median)[seen]
        moved = (came - median)[seen]
        sound = np.abs(distance) > 1e-9 * np.abs(moved) + 1e-12 * np.abs(median[seen])
        if level == 0.5 or not sound.any():
            found.append(1.0)
            continue
        ratio = moved[sound] / distance[sound]
        inside = level if level > 0.5 else 1 - level
        stretched = float(np.clip(np.quantile(ratio, inside), LEAST, MOST))
        fitted = stretched if stretched > 1 else float(np.exp(trust * np.log(stretched)))
        widened = float(student.quantiles([inside], freedom)[0, 0]) / NormalDist().inv_cdf(inside)
        found.append(fitted * widened)
    return tuple(found)
