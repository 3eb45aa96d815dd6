"""A network for series is drawn to the line that it began with, as far as that does not harm."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from silmu.steps.design.series_shares import SHARES, smallest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.train.series import SeriesObjective


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
