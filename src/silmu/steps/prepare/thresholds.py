"""From what score on a label is told, where several labels may be told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def choose_thresholds(scores: NDArray[np.floating[Any]], targets: NDArray[Any]) -> list[float]:
    """For each label the threshold with the highest F1, so that together macro F1 is highest.

    >>> choose_thresholds(np.array([[0.1], [0.2], [0.3], [0.9]]), np.array([[0], [1], [1], [1]]))
    [0.15000000000000002]

    Args:
        scores: (rows, labels), of rows that the network was not trained on.
        targets: (rows, labels), 1 where the label is true.

    Returns:
        A threshold for each label: half-way between two scores, so that it does not depend on the
        last digit of one; 0.5 for a label that no row has.
    """
    return [_best(scores[:, i], targets[:, i]) for i in range(scores.shape[1])]


def f1_macro(told: NDArray[np.bool_], targets: NDArray[Any]) -> float:
    """The mean over labels of F1; 0 for a label that is neither told nor true."""
    true = targets.astype(bool)
    right = (told & true).sum(0)
    both = told.sum(0) + true.sum(0)
    return float((2 * right / np.maximum(both, 1)).mean())


def _best(scores: NDArray[np.floating[Any]], targets: NDArray[Any]) -> float:
    if not targets.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order].astype(np.float64), np.cumsum(targets[order].astype(np.int64))
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    # A cut between two equal scores would tell one and not the other.
    f1[:-1][ranked[:-1] == ranked[1:]] = -1.0
    last = int(f1.argmax())
    below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
    return float((ranked[last] + below) / 2)
