"""By what the validation split judges what is trained; torch is not needed for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.steps.prepare.thresholds import choose_thresholds, f1_macro

if TYPE_CHECKING:
    from numpy.typing import NDArray

METRICS = {
    "single": ("accuracy", True),
    "ordered": ("mean_absolute_error", False),
    "multiple": ("f1_macro", True),
    "number": ("mean_absolute_error", False),
}
"""By what the best weights are chosen on the validation split, and whether more is better."""


@dataclass(frozen=True)
class Scale:
    """What numbers are shifted and divided by, so that each target is near 0 and of size 1."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def of(cls, targets: NDArray[Any]) -> Scale:
        """The mean and the deviation of the targets of training, (rows,) or (rows, targets).

        >>> Scale.of(np.array([1.0, 3.0])).inward(np.array([2.0, 4.0])).tolist()
        [0.0, 2.0]
        """
        wide = np.asarray(targets, np.float64)
        deviation = wide.std(axis=0)
        return cls(wide.mean(axis=0), np.where(deviation > 0, deviation, 1.0))

    def inward(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """From the user's unit."""
        return ((values.astype(np.float64) - self.mean) / self.deviation).astype(np.float32)

    def outward(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Back to the user's unit."""
        return values.astype(np.float64) * self.deviation + self.mean


def measured(
    kind: str, logits: NDArray[np.float32], targets: NDArray[Any], scale: Scale | None
) -> dict[str, float]:
    """The metrics of the validation split; of numbers in the user's unit.

    Of several numbers the errors are compared by the deviation of each, so that none rules.
    """
    if scale is not None:
        if targets.ndim > 1:
            return {"mean_absolute_error": float(np.abs(logits - targets).mean())}
        error = scale.outward(logits[:, 0]) - scale.outward(targets)
        return {"mean_absolute_error": float(np.abs(error).mean())}
    if kind == "multiple":
        scores = sigmoid(logits)
        chosen = np.asarray(choose_thresholds(scores, targets))
        return {"f1_macro": f1_macro(scores >= chosen, targets)}
    found = logits.argmax(1)
    metrics = {"accuracy": float((found == targets).mean())}
    if kind == "ordered":
        metrics["mean_absolute_error"] = float(np.abs(found - targets).mean())
    return metrics


def loss(kind: str, logits: NDArray[np.floating[Any]], targets: NDArray[Any]) -> float:
    """How far chances are from what is true: the mean log loss; of numbers the mean square.

    >>> round(loss("single", np.zeros((4, 2), np.float32), np.array([0, 1, 1, 0])), 3)
    0.693
    """
    wide: NDArray[np.float64] = logits.astype(np.float64)
    if kind == "number":
        return float(np.square(wide.reshape(targets.shape) - targets).mean())
    if kind == "multiple":
        return float((np.logaddexp(0.0, wide) - wide * targets).mean())
    shifted: NDArray[np.float64] = wide - wide.max(1, keepdims=True)
    own: NDArray[np.float64] = shifted[np.arange(len(targets)), targets]
    return float((np.log(np.exp(shifted).sum(1)) - own).mean())


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Chances of logits."""
    return np.exp(-np.logaddexp(0, -logits)).astype(np.float32)
