"""What anyone could have had: a model that is fitted at once, or the same answer to everything.

They are fitted on the training split. The test rows are not among the arguments, so that they can
have no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.metrics import Scored


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline.

    Attributes:
        kind: of labels.
        title: what it is, in words that fit after "better than".
        about: what the report says of how it was chosen.
        outputs: of a batch of rows probabilities (rows, labels), or numbers (rows,) or (rows,
            targets).
        thresholds: from which score on each of several labels is told.
    """

    kind: str
    title: str
    about: dict[str, Any]
    outputs: Callable[[Any], NDArray[Any]]
    thresholds: NDArray[np.float64] | None = None

    def score(self, batch: Any, targets: NDArray[Any]) -> Scored:
        """What it says of rows whose truth is known."""
        return Scored.of(self.kind, targets, self.outputs(batch), self.thresholds)


def simplest(kind: str, targets: NDArray[Any], labels: Sequence[str]) -> Baseline:
    """The same answer to everything: the most frequent label or set of labels, or the median.

    Of several numbers at once it is the mean, since R2 is what counts for them.
    """
    if kind == "number":
        several = targets.ndim > 1
        middle = targets.astype(np.float64)
        middle = middle.mean(axis=0) if several else np.median(middle)
        title = (
            "always answering the means"
            if several
            else f"always answering {middle:.4g}, the median"
        )
        return _constant(kind, title, middle)
    if kind != "multiple":
        shares = np.bincount(targets, minlength=len(labels)) / max(len(targets), 1)
        title = f"always answering {labels[int(shares.argmax())]}"
        return _constant(kind, title, shares)
    sets, counts = np.unique(targets, axis=0, return_counts=True)
    most = sets[counts.argmax()] > 0
    shares = targets.mean(axis=0, dtype=np.float64)
    names = [label for label, there in zip(labels, most, strict=True) if there]
    title = f"always answering {' and '.join(names) or 'no label'}"
    # Thresholds that give this set and no other, whatever the shares.
    return _constant(kind, title, shares, np.where(most, 0.0, 1.1))


def name_of_simplest(kind: str, targets: int = 1) -> str:
    """How a report calls it."""
    if kind != "number":
        return "majority"
    return "mean" if targets > 1 else "median"


def chances(model: Any, matrix: Any, labels: int) -> NDArray[np.float32]:
    """Probabilities of all labels by a model of scikit-learn, also of those that its fit lacked."""
    found = np.zeros((matrix.shape[0], labels), np.float32)
    found[:, model.classes_] = model.predict_proba(matrix)
    return found


def _constant(
    kind: str, title: str, answer: Any, thresholds: NDArray[np.float64] | None = None
) -> Baseline:
    value = np.asarray(answer, np.float64)

    def outputs(batch: Any) -> NDArray[np.float32]:
        return np.repeat(value[None], len(batch), axis=0).astype(np.float32)

    return Baseline(kind, title, {"title": title}, outputs, thresholds)
