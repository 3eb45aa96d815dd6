"""Quantiles of Student's t distribution.

As a function of 1 / freedom they are smooth down to 0, where the distribution is normal. So they
are computed exactly for a few degrees of freedom, and told for others by Chebyshev's polynomials.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import chebyshev

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LOWEST = 1.0
"""The fewest degrees of freedom that are told."""

_DEGREE = 24
_MOST_STEPS = 200
_NEAR = 1e-14
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def quantiles(of: Sequence[float], freedom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Below which numbers so much of a t distribution lies.

    >>> quantiles([0.5, 0.9], np.array([3.0])).round(4).tolist()
    [[0.0, 1.6377]]

    Args:
        of: shares between 0.001 and 0.999.
        freedom: degrees of freedom, of any shape; fewer than LOWEST count as that.

    Returns:
        freedom.shape + (shares,), exact to 1e-6 of the larger of 1 and the number.
    """
    at = 2 * LOWEST / np.maximum(freedom, LOWEST) - 1
    columns = [
        np.zeros_like(at)
        if share == 0.5
        else math.copysign(1, share - 0.5)
        * chebyshev.chebval(at, _coefficients(round(max(share, 1 - share), 12)))
        for share in of
    ]
    return np.stack(columns, axis=-1).astype(np.float64)


@lru_cache(64)
def _coefficients(share: float) -> NDArray[np.float64]:
    """Of polynomials in 2 * LOWEST / freedom - 1, for a share above one half."""

    nodes = chebyshev.chebpts1(_DEGREE + 1)
    exact = np.array([_exact(share, 2 * LOWEST / (node + 1)) for node in nodes.tolist()])
    return chebyshev.chebfit(nodes, exact, _DEGREE).astype(np.float64)


def _exact(share: float, freedom: float) -> float:
    """The quantile by Newton's steps, kept between bounds.

    With t = sqrt(freedom) tan(angle), the share between 0 and t is an integral of a power of a
    cosine.
    """
    half = freedom / 2
    constant = math.exp(math.lgamma(half + 0.5) - math.lgamma(half)) / math.sqrt(math.pi)
    low, high = 0.0, math.pi / 2
    angle = math.atan(NormalDist().inv_cdf(share) / math.sqrt(freedom))
    for _ in range(_MOST_STEPS):
        inner = np.cos(angle * (_NODES + 1) / 2) ** (freedom - 1)
        missing = share - 0.5 - constant * angle / 2 * float((inner * _WEIGHTS).sum())
        low, high = (angle, high) if missing > 0 else (low, angle)
        moved = angle + missing / (constant * math.cos(angle) ** (freedom - 1))
        if not low < moved < high:
            moved = (low + high) / 2
        if abs(moved - angle) <= _NEAR:
            break
        angle = moved
    return math.sqrt(freedom) * math.tan(angle)
