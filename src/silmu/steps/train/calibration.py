"""How far a network's certainty is to be believed: one number, by which its logits are divided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.steps.train.validation import loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST, MOST = 0.25, 8.0
"""Beyond these a network is wrong in another way than by being too sure or too unsure."""


def temperature(kind: str, logits: NDArray[np.floating[Any]], targets: NDArray[Any]) -> float:
    """The number with the smallest log loss, which changes no ranking of labels.

    Guo et al. 2017, https://arxiv.org/abs/1706.04599. Above 1 for a network that is too sure.

    >>> sure = np.array([[4.0, -4.0]] * 4)
    >>> round(temperature("single", sure, np.array([0, 0, 0, 1])), 1)
    7.3

    Args:
        kind: `single`, `ordered` or `multiple`.
        logits: (rows, labels), of rows that the network was not trained on.
        targets: numbers of labels (rows,); with `multiple` (rows, labels) of 0 and 1.
    """
    wide: NDArray[np.float64] = logits.astype(np.float64)

    def lost(inverse: float) -> float:
        return loss(kind, wide * inverse, targets)

    # The loss is convex in the inverse, so a third of the range can be left out at each look.
    low, high = 1 / MOST, 1 / LEAST
    for _ in range(60):
        first, second = low + (high - low) / 3, high - (high - low) / 3
        if lost(first) <= lost(second):
            high = second
        else:
            low = first
    return 2 / (low + high)
