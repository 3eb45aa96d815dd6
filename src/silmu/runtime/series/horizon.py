"""Forecasts for other horizons than a network was trained for: fewer steps, and more of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.series.windows import Tracks


def reaching(one: Tracks, reach: int) -> Tracks:
    """The same, told of so many steps ahead; what is beyond those asked for changes no answer."""
    missing = len(one) + reach - len(one.time_features)
    features = np.pad(one.time_features, ((0, max(missing, 0)), (0, 0)), mode="edge")
    return replace(one, time_features=features)


def grown(quantiles: NDArray[np.float64], once: int, median: int) -> NDArray[np.float64]:
    """(series, steps, quantiles), whose distances to the median grow on after the steps that a
    network told at once.

    They grow by a power of time from 0, where they stay as they are, to 1, where they grow with it;
    those of a random walk grow by 0.5, and so do those of a network of one step.
    """
    middle = quantiles[..., median, None]
    away = np.abs(quantiles - middle)
    power = np.full((len(quantiles), 1, quantiles.shape[2]), 0.5)
    if once > 1:
        times = np.log(np.arange(1, once + 1))
        times -= times.mean()
        sizes = np.log(np.maximum(away[:, :once], 1e-300))
        slope = (sizes * times[:, None]).sum(axis=1) / (times**2).sum()
        power = np.clip(slope, 0, 1)[:, None]
    later = np.arange(once + 1, quantiles.shape[1] + 1, dtype=np.float64) / once
    grown = away[:, once - 1, None] * np.power(later[:, None], power)
    side = np.sign(np.arange(quantiles.shape[2], dtype=np.float64) - median)
    ordered = np.sort(middle[:, once:] + side * grown, axis=-1)
    return np.concatenate([quantiles[:, :once], ordered], axis=1)


def continued(one: Tracks, medians: NDArray[np.float64]) -> Tracks:
    """A series as if the medians of its forecast had come."""
    return replace(
        one,
        values=np.concatenate([one.values, medians]),
        observed=np.concatenate([one.observed, np.ones(len(medians), bool)]),
    )
