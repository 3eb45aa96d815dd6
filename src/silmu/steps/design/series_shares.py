"""How much of a learnt forecast beside a simpler one is kept, by blocks of the validation part.

A short validation part often likes by chance what was learnt by chance, as of prices. So a forecast
is drawn to the simpler one as far as that does not do clearly worse: the rule of one standard error
(Breiman et al. 1984, Classification and Regression Trees, 3.4.3) with the errors of blocks of time,
for windows that overlap err together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from silmu.runtime.series import student

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of what lies between the simpler forecast and what was learnt, that may be kept."""

SURE = 0.9
"""As sure it must be, one-sided, that a simpler forecast does worse, for it not to be taken."""


def smallest(
    shares: Sequence[float], losses: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """The smallest share that does not clearly worse than the best one.

    >>> noise = np.array([0.5, -0.5, 0.4, -0.4, 0.3, -0.3])
    >>> smallest((0.0, 1.0), np.stack([1.1 + noise, np.ones(6)]), np.ones(6))
    0.0
    >>> smallest((0.0, 1.0), np.stack([1.9 + noise, np.ones(6)]), np.ones(6))
    1.0

    Args:
        shares: ascending.
        losses: (shares, blocks), the mean of each. Of one block alone nothing can be told, and the
            smallest share is taken.
        weights: (blocks,), of how many steps each mean is.
    """
    count, part = len(weights), weights / weights.sum()
    if count == 1:
        return shares[0]
    away = losses - losses[int(np.argmin(losses @ part))]
    worse = away @ part
    errors = np.sqrt(np.square(part * (away - worse[:, None])).sum(1) * count / (count - 1))
    limit = float(student.quantiles([SURE], np.array([count - 1.0]))[0, 0])
    return shares[int(np.argmax(worse <= limit * errors))]
