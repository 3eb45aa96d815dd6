"""The metrics, each as a function of sums over rows.

What a row adds to the sums is found once. A metric of all rows, of a slice, and of each of
thousands of resamples is then the same few operations on sums, whatever their number.

    sums = row_sums(scored)                     # name -> (rows, columns)
    measure("single", total(sums))["accuracy"]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from silmu.steps.evaluate import numbers
from silmu.steps.evaluate.numbers import Sums, Totals

BINS = 10
"""Of the reliability curve and the calibration error; equal in width."""

PRIMARY = {
    "single": "accuracy",
    "multiple": "f1_macro",
    "ordered": "mean_absolute_error",
    "number": "mean_absolute_error",
}
"""The metric that counts, by kind of label; of several numbers at once it is SEVERAL."""

SEVERAL = "r2"
"""Of numbers in different units only this one can be told together: its mean over the targets."""

TOP = 5
"""Of more labels than so many it is also told how often the true one is among the first of them."""

PROMISED = 0.9
"""The share of true numbers that a model's intervals are to hold."""

LOWER_IS_BETTER = frozenset(
    {
        "log_loss",
        "expected_calibration_error",
        "hamming_loss",
        "mean_absolute_error",
        "root_mean_squared_error",
        "interval_width",
        "mean_absolute_scaled_error",
        "symmetric_mean_absolute_percentage_error",
        "crps",
    }
)

_SMALLEST = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Scored:
    """What a model said of rows whose truth is known.

    Of `single` and `ordered` targets and predictions are label numbers (rows,), of `multiple` 0 or
    1 (rows, labels), of `number` numbers (rows,) or, of several at once, (rows, targets). Outputs
    are probabilities (rows, labels), or the predicted numbers. Spans (rows, targets, 2) are the
    intervals that a model gives with its numbers.
    """

    kind: str
    targets: NDArray[Any]
    outputs: NDArray[Any]
    predictions: NDArray[Any]
    spans: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which rows are answered without a mistake."""
        same = self.targets == self.predictions
        return same.all(axis=1) if self.kind == "multiple" else same

    @classmethod
    def of(
        cls,
        kind: str,
        targets: NDArray[Any],
        outputs: NDArray[Any],
        thresholds: NDArray[Any] | None = None,
        spans: NDArray[Any] | None = None,
    ) -> Scored:
        """With the predictions that follow from the outputs."""
        if kind == "number":
            predictions: NDArray[Any] = outputs
        elif kind == "multiple":
            limits = np.full(outputs.shape[1], 0.5) if thresholds is None else thresholds
            predictions = (outputs >= limits).astype(np.uint8)
        else:
            predictions = outputs.argmax(axis=1) if len(outputs) else np.zeros(0, np.int64)
        return cls(kind, targets, outputs, predictions, spans)

    @property
    def metric(self) -> str:
        """The metric that counts."""
        return primary(self.kind, self.targets.shape[1] if self.targets.ndim > 1 else 1)

    def take(self, rows: NDArray[Any]) -> Scored:
        """Some of the rows."""
        spans = None if self.spans is None else self.spans[rows]
        parts = (self.targets[rows], self.outputs[rows], self.predictions[rows])
        return Scored(self.kind, *parts, spans)

    def of_target(self, i: int) -> Scored:
        """One of several numbers."""
        targets, outputs = (np.reshape(x, (len(x), -1))[:, i] for x in (self.targets, self.outputs))
        spans = None if self.spans is None else self.spans[:, i : i + 1]
        return Scored(self.kind, targets, outputs, outputs, spans)


def primary(kind: str, targets: int = 1) -> str:
    """The metric that counts, of a kind of label.

    >>> primary("single"), primary("number"), primary("number", targets=2)
    ('accuracy', 'mean_absolute_error', 'r2')
    """
    return SEVERAL if kind == "number" and targets > 1 else PRIMARY[kind]


def row_sums(scored: Scored) -> Sums:
    """What each row adds to the sums that the metrics of its kind are made of."""
    if scored.kind == "number":
        return numbers.row_sums(scored.targets, scored.outputs, scored.spans)
    ones = np.ones((len(scored), 1))
    probabilities = scored.outputs.astype(np.float64)
    several = scored.kind == "multiple"
    if several:
        true, predicted = scored.targets.astype(np.float64), scored.predictions.astype(np.float64)
        chances = np.where(scored.targets > 0, probabilities, 1 - probabilities)
        losses = -np.log(np.clip(chances, _SMALLEST, 1)).mean(axis=1)
        hits = true * predicted
        extra = {"wrong": (true != predicted).mean(axis=1)[:, None]}
    else:
        labels = probabilities.shape[1]
        true, predicted = _one_hot(scored.targets, labels), _one_hot(scored.predictions, labels)
        chances = probabilities[np.arange(len(scored)), scored.targets]
        losses = -np.log(np.clip(chances, _SMALLEST, 1))
        hits = true.multiply(scored.right[:, None]).tocsr()
        steps = np.abs(scored.predictions - scored.targets).astype(np.float64)
        extra: Sums = {"steps": np.stack([steps, steps**2], axis=1)}
        if scored.kind == "single" and labels > TOP:
            extra["top"] = _among_the_first(scored.targets, probabilities)
    above, below = _placements(true if several else cast("Any", true).toarray(), probabilities)
    return {
        "n": ones,
        "right": scored.right[:, None].astype(np.float64),
        "loss": losses[:, None],
        "true": true,
        "predicted": predicted,
        "hits": hits,
        "above": above,
        "below": below,
        **_reliability(scored),
        **extra,
    }


def total(sums: Sums) -> Totals:
    """The sums over all rows."""
    return {name: np.asarray(block.sum(axis=0)).ravel() for name, block in sums.items()}


def measure(kind: str, totals: Totals) -> dict[str, NDArray[np.float64]]:
    """The metrics, by scikit-learn's or the field's names; NaN where one cannot be told.

    Labels that neither occur nor are predicted are left out of a macro average, as in scikit-learn
    with `zero_division=nan`; log loss of several labels at once is the mean over labels.
    """
    n = totals["n"][..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "number":
            return numbers.measure(totals)
        true, predicted, hits = totals["true"], totals["predicted"], totals["hits"]
        accuracy = totals["right"][..., 0] / n
        f1_macro = _macro(2 * hits / (true + predicted))
        auc = _macro(totals["above"] / true + totals["below"] / (n[..., None] - true))
        loss = totals["loss"][..., 0] / n
        if kind == "multiple":
            both = (true + predicted).sum(axis=-1)
            return {
                "f1_macro": f1_macro,
                "f1_micro": 2 * hits.sum(axis=-1) / both,
                "accuracy": accuracy,
                "hamming_loss": totals["wrong"][..., 0] / n,
                "roc_auc": auc,
                "log_loss": loss,
            }
        gaps = np.abs(totals["bin_confidence"] - totals["bin_right"])
        found = {
            "accuracy": accuracy,
            "balanced_accuracy": _macro(hits / true),
            "f1_macro": f1_macro,
            "roc_auc": auc,
            "log_loss": loss,
            "expected_calibration_error": gaps.sum(axis=-1) / n,
        }
        if "top" in totals:
            found[f"top_{TOP}_accuracy"] = totals["top"][..., 0] / n
        if kind == "ordered":
            found["mean_absolute_error"] = totals["steps"][..., 0] / n
            found["quadratic_kappa"] = _quadratic_kappa(totals)
        return found


def primary_sums(scored: Scored) -> Sums:
    """Of `row_sums` those that the metric which counts is made of, which are soon told."""
    if scored.kind == "number":
        return numbers.row_sums(scored.targets, scored.outputs)
    ones = np.ones((len(scored), 1))
    if scored.kind == "single":
        return {"n": ones, "right": scored.right[:, None].astype(np.float64)}
    if scored.kind == "ordered":
        steps = np.abs(scored.predictions - scored.targets).astype(np.float64)
        return {"n": ones, "steps": steps[:, None]}
    true, predicted = scored.targets.astype(np.float64), scored.predictions.astype(np.float64)
    return {"n": ones, "true": true, "predicted": predicted, "hits": true * predicted}


def measure_primary(kind: str, totals: Totals) -> NDArray[np.float64]:
    """The metric that counts, from what `primary_sums` gives."""
    n = totals["n"][..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "number":
            found = numbers.measure(totals)
            return found.get(PRIMARY[kind], found[SEVERAL])
        if kind == "single":
            return totals["right"][..., 0] / n
        if kind == "ordered":
            return totals["steps"][..., 0] / n
        return _macro(2 * totals["hits"] / (totals["true"] + totals["predicted"]))


def _one_hot(codes: NDArray[Any], labels: int) -> Any:
    rows = np.arange(len(codes))
    return sparse.csr_matrix((np.ones(len(codes)), (rows, codes)), (len(codes), labels))


def _among_the_first(
    targets: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Which true labels are among the best five; of equal scores the first label comes first."""
    own = np.take_along_axis(probabilities, targets[:, None], axis=1)
    labels = np.arange(probabilities.shape[1], dtype=np.int64)
    before = np.less(labels, targets[:, None])
    ahead = np.greater(probabilities, own) | (np.equal(probabilities, own) & before)
    return np.less(ahead.sum(axis=1, keepdims=True), TOP).astype(np.float64)


def _macro(by_label: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(by_label)
    return np.where(known, by_label, 0).sum(axis=-1) / known.sum(axis=-1)


def _quadratic_kappa(totals: Totals) -> NDArray[np.float64]:
    steps = np.arange(totals["true"].shape[-1], dtype=np.float64)
    true, predicted, n = totals["true"], totals["predicted"], totals["n"][..., 0]
    squares = (true + predicted) @ steps**2
    expected = squares - 2 * (true @ steps) * (predicted @ steps) / n
    return 1 - totals["steps"][..., 1] / np.where(expected > 0, expected, np.nan)


def _reliability(scored: Scored) -> Sums:
    """How sure, and how often right, by bins of sureness; each label counts, where several may be.

    Guo et al., On Calibration of Modern Neural Networks, 2017.
    """
    probabilities = scored.outputs.astype(np.float64)
    if scored.kind == "multiple":
        confidence, right = probabilities, scored.targets.astype(np.float64)
    else:
        # An ordered label may be predicted otherwise than by the largest score.
        rows = np.arange(len(scored))
        confidence = probabilities[rows, scored.predictions][:, None]
        right = scored.right[:, None].astype(np.float64)
    # As in the paper, a bin holds its upper end.
    place = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)
    here = np.repeat(np.arange(len(scored)), confidence.shape[1]) * BINS + place.ravel()
    shape, size = (len(scored), BINS), len(scored) * BINS
    return {
        "bin_n": np.bincount(here, minlength=size).reshape(shape).astype(np.float64),
        "bin_confidence": np.bincount(here, confidence.ravel(), size).reshape(shape),
        "bin_right": np.bincount(here, right.ravel(), size).reshape(shape),
    }


def _placements(
    true: NDArray[np.float64], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What rows of a label and rows of others add to its area under the ROC curve.

    The mean over rows of the one and the mean over rows of the other, added, are the area; over
    resampled rows they are its first-order change (DeLong et al., 1988).
    """
    above, below = np.zeros_like(probabilities), np.zeros_like(probabilities)
    for label in range(probabilities.shape[1]):
        is_true = true[:, label] > 0
        scores, hits = probabilities[:, label], int(is_true.sum())
        misses = len(scores) - hits
        if not hits or not misses:
            continue
        ranks = stats.rankdata(scores)
        beaten = (ranks[is_true] - stats.rankdata(scores[is_true])) / misses
        unbeaten = 1 - (ranks[~is_true] - stats.rankdata(scores[~is_true])) / hits
        half = beaten.mean() / 2
        above[is_true, label] = beaten - half
        below[~is_true, label] = unbeaten - half
    return above, below
