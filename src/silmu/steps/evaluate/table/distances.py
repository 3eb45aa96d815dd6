"""How far two samples of a column are apart, and from where on that is not chance alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

BINS = 10
"""Of the stability index: each holds a tenth of the training."""

SIMULATIONS = 200


@final
@dataclass(frozen=True)
class Steps:
    """Which share of a sample of numbers lies below what, told at some of them.

    Attributes:
        points: (K,) rising, of which some may be equal.
        shares: (K,) the share of the sample up to each point.
        count: how large the sample was, or is known to have been at least.
    """

    points: NDArray[np.float64]
    shares: NDArray[np.float64]
    count: int

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        """A whole sample, in any order."""
        points = np.sort(values)
        return cls(points, np.arange(1, len(points) + 1) / max(len(points), 1), len(points))

    @classmethod
    def of_quantiles(cls, quantiles: NDArray[np.float64]) -> Self:
        """The quantiles of a sample at even shares, from its least number to its largest."""
        shares = np.linspace(0, 1, len(quantiles))
        return cls(quantiles, shares, len(quantiles))

    def at(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Between which shares of the sample values lie: (values,) and (values,)."""
        last = np.searchsorted(self.points, values, side="right") - 1
        low = np.where(last >= 0, self.shares[np.maximum(last, 0)], 0.0)
        # The next point tells how large the share may be where this one was not of the sample.
        after = np.minimum(last + 1, len(self.points) - 1)
        whole = len(self.points) == self.count and self.shares[0] > 0
        return low, low if whole else self.shares[after]

    @property
    def median(self) -> float:
        """The number in the middle."""
        return float(self.points[np.searchsorted(self.shares, 0.5)])


def kolmogorov(train: Steps, here: NDArray[np.float64]) -> float:
    """The largest difference of the shares below a number (Kolmogorov and Smirnov).

    >>> kolmogorov(Steps.of(np.arange(10.0)), np.arange(5.0, 15.0))
    0.5
    """
    own = Steps.of(here)
    points = np.unique([*train.points, *own.points])
    share = own.at(points)[0]
    low, high = train.at(points)
    return float(np.maximum(share - high, low - share).max(initial=0.0))


def kolmogorov_by_chance(train: int, here: int, alpha: float) -> float:
    """What the distance of two samples of one kind passes in a share `alpha` of cases at most."""
    return float(stats.kstwobign.isf(alpha) * np.sqrt(1 / max(train, 1) + 1 / max(here, 1)))


def total_variation(train: NDArray[np.float64], here: NDArray[np.float64]) -> float:
    """Half of all differences of shares: what would have to change to make them equal.

    >>> total_variation(np.array([0.5, 0.5]), np.array([0.75, 0.25]))
    0.25
    """
    return float(np.abs(train - here).sum() / 2)


def variation_by_chance(shares: NDArray[np.float64], train: int, here: int, alpha: float) -> float:
    """As `kolmogorov_by_chance`, of the total variation of levels with these shares."""
    random = np.random.default_rng(0)
    drawn = [random.multinomial(count, shares, SIMULATIONS) / count for count in (train, here)]
    distances = np.abs(drawn[0] - drawn[1]).sum(axis=1) / 2
    return float(distances.mean() + stats.norm.isf(alpha) * distances.std())


def stability(
    train: NDArray[np.float64], here: NDArray[np.float64], counts: tuple[int, int]
) -> float:
    """The population stability index of shares in the same bins.

    Below 0.1 is mostly called stable, above 0.25 a shift. A bin that is empty counts as half a row.
    """
    sizes = [max(count, 1) for count in counts]
    p, q = (np.maximum(x, 0.5 / size) for x, size in zip((train, here), sizes, strict=True))
    return float(((p - q) * np.log(p / q)).sum())


def binned(
    train: Steps, here: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The shares of both in bins between the tenths of the training."""
    wanted = np.searchsorted(train.shares, np.arange(1, BINS) / BINS - 1e-9)
    edges = np.unique(train.points[np.minimum(wanted, len(train.points) - 1)])
    below = train.at(edges)[0]
    places = np.searchsorted(edges, here, side="left")
    counts = np.bincount(places, minlength=len(edges) + 1)
    return np.diff([0.0, *below, 1.0]), counts / max(len(here), 1)


def share_difference(
    train: float, of_train: int, here: float, of_here: int, alpha: float
) -> tuple[float, float]:
    """The interval of the difference of two shares; Newcombe, 1998, from Wilson's of each."""
    (low1, high1), (low2, high2) = (
        _wilson(share, count, alpha) for share, count in ((train, of_train), (here, of_here))
    )
    away = here - train
    low = away - np.hypot(here - low2, high1 - train)
    high = away + np.hypot(high2 - here, train - low1)
    return float(low), float(high)


def _wilson(share: float, count: int, alpha: float) -> tuple[float, float]:
    z, n = stats.norm.isf(alpha / 2), max(count, 1)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)
