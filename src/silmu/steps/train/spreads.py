"""How far quantiles are to be from the median, so that as many values lie below as they promise.

As conformal prediction does it (Romano et al. 2019, https://arxiv.org/abs/1905.03222): each
quantile's distance to the median is stretched until the share of values below it is its level. A
validation part is often one calm year, or a wild one, so windows that were learnt from count too,
the more the more windows there are: of few a network knows much by heart. What is fitted on a short
validation part is widened as a normal quantile is where the deviation was estimated: to Student's.
Torch is not needed for it.
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
"""Of so many windows of the validation part that do not overlap, those that were learnt from count
half; and a narrower quantile does, while a wider one counts whole."""

OF_A_WINDOW = 2.0
"""Degrees of freedom that a window adds: errors within it go together, but not wholly."""

Part = tuple["NDArray[np.float64]", "NDArray[np.float64]"]
"""Quantiles (rows, steps, levels), and what came."""

Told = Iterable[tuple["Forecasts", "NDArray[np.float64]"]]
"""Forecasts, and what came, (rows, steps) with NaN where nothing was observed."""


def spreads(told: Told, levels: Sequence[float], learnt: Told = ()) -> tuple[float, ...]:
    """The factor of each quantile's distance to the median.

    Args:
        told: of the validation part.
        levels: of the quantiles.
        learnt: of the training part.
    """
    validation = [(one.quantiles, came) for one, came in told]
    every = [*validation, *((one.quantiles, came) for one, came in learnt)]
    windows = sum(len(came) for _, came in validation) / validation[0][1].shape[1]
    trust = windows / (windows + HALF_TRUSTED)
    freedom = np.array([OF_A_WINDOW * windows])
    found: list[float] = []
    for i, level in enumerate(levels):
        own, all_of_them = (_stretch(parts, i, levels) for parts in (validation, every))
        if own is None or all_of_them is None:
            found.append(1.0)
            continue
        stretch = float(np.exp((1 - trust) * np.log(own) + trust * np.log(all_of_them)))
        fitted = stretch if stretch > 1 else stretch**trust
        inside = max(level, 1 - level)
        widened = float(student.quantiles([inside], freedom)[0, 0]) / NormalDist().inv_cdf(inside)
        found.append(fitted * widened)
    return tuple(found)


def _stretch(parts: Sequence[Part], place: int, levels: Sequence[float]) -> float | None:
    """By what the distance of a quantile makes as many values lie below it as it promises.

    None of the median, and where no distance is more than rounding.
    """
    level = levels[place]
    if level == 0.5:
        return None
    quantiles = np.concatenate([one for one, _ in parts])
    came = np.concatenate([one for _, one in parts])
    median = quantiles[..., int(np.argmin(np.abs(np.array(levels) - 0.5)))]
    seen = np.isfinite(came)
    distance = (quantiles[..., place] - median)[seen]
    moved = (came - median)[seen]
    sound = np.abs(distance) > 1e-9 * np.abs(moved) + 1e-12 * np.abs(median[seen])
    if not sound.any():
        return None
    ratio = moved[sound] / distance[sound]
    return float(np.clip(np.quantile(ratio, max(level, 1 - level)), LEAST, MOST))
