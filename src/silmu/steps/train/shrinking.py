"""How much of what a network learnt beside the line it began with is kept.

A short validation part often likes by chance what was learnt by chance, as of prices. So the line
counts as the simpler model, and a forecast is drawn to it as far as that does not do clearly worse
on the validation part: the rule of one standard error (Breiman et al. 1984, Classification and
Regression Trees, 3.4.3) with the errors of blocks of time, for windows that overlap err together.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from silmu.runtime.series import student

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.train.series import SeriesObjective

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of what lies between the line and what was learnt, that may be kept."""

SURE = 0.9
"""As sure it must be, one-sided, that a forecast nearer to the line does worse, for it not to be
taken."""


def draw(objective: SeriesObjective) -> float | None:
    """Draws the network of an objective to its line, and says which of SHARES is left.

    None where it began with no line, and is left as it is.
    """
    network: Any = objective.network
    if getattr(network, "begun", None) is None:
        return None
    share = smallest(SHARES, *_losses(objective))
    network.draw(share)
    return share


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


def _losses(objective: SeriesObjective) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(shares, blocks) losses, and of how many steps each is."""
    networks: list[Any] = [copy.deepcopy(objective.network).eval() for _ in SHARES]
    for share, network in zip(SHARES, networks, strict=True):
        network.draw(share)
    sums, counts = [], []
    with torch.inference_mode():
        for batch in objective.validation_blocks():
            found = [objective.judged(network, batch) for network in networks]
            sums.append([float(loss) for loss, _ in found])
            counts.append(float(found[0][1]))
    return np.array(sums).T / np.array(counts), np.array(counts)
