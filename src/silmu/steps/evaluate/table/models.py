"""The baselines of tables: a linear model, and gradient-boosted trees."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from silmu.steps.evaluate.baselines import Baseline, chances
from silmu.steps.evaluate.metrics import (
    LOWER_IS_BETTER,
    Scored,
    measure_primary,
    primary,
    primary_sums,
    total,
)
from silmu.steps.evaluate.table.frame import Cells, Frame, Matrix, Scaling
from silmu.steps.prepare.thresholds import choose_thresholds

logger = logging.getLogger("silmu")

MOST_ROWS = 200_000
"""Training rows that a baseline is fitted on at most."""

MOST_WORK = {"trees": 4_000_000, "linear": 1_000_000}
"""Rows times labels that it is fitted on at most, where there are more labels than two."""

LEAST_ROWS = 10_000
"""So many rows it is fitted on whatever the labels are."""

MOST_TREES = 3000
"""Trees that are grown at most; each label takes one in each round."""

ITERATIONS = 300
"""Of the logistic regression."""

Outputs = Callable[[Matrix], NDArray[Any]]
"""What a fitted model says of rows."""

Learn = Callable[["Task", Matrix, NDArray[Any]], Outputs]


@final
@dataclass(frozen=True)
class Task:
    """What the baselines of a table are to learn.

    Attributes:
        kind: of labels.
        labels: how many there are; 0 of numbers.
        frame: how cells become a matrix.
        train: rows of the training split and their targets, no more than MOST_ROWS.
        validation: rows to choose the thresholds of several labels by.
        of: how many rows the training split has.
        seed: of what is drawn.
    """

    kind: str
    labels: int
    frame: Frame
    train: tuple[Matrix, NDArray[Any]]
    validation: tuple[Matrix, NDArray[Any]]
    of: int
    seed: int = 0

    def some(self, model: str) -> tuple[Matrix, NDArray[Any]]:
        """Training rows for a model, as many as it learns in a while."""
        matrix, targets = self.train
        if self.labels <= 2 or self.kind == "multiple":
            return matrix, targets
        most = max(LEAST_ROWS, MOST_WORK[model] // self.labels)
        if len(matrix) <= most:
            return matrix, targets
        drawn = np.random.default_rng(self.seed).permutation(len(matrix))[:most]
        kept = np.sort(drawn)
        return matrix.take(kept), targets[kept]


def fit(task: Task) -> dict[str, Baseline]:
    """A linear model and gradient-boosted trees, by their names in a report.

    On one thread: those of scikit-learn wait for each other by spinning, and where anything else
    runs on the machine they take ten times as long together as one does alone.
    """
    linear = "ridge regression" if task.kind == "number" else "logistic regression"
    with threadpool_limits(1):
        return {
            "linear": _baseline(task, linear, "linear", _linear),
            "boosted_trees": _baseline(task, "gradient-boosted trees", "trees", _boosted_trees),
        }


def _baseline(task: Task, title: str, model: str, learn: Learn) -> Baseline:
    """A model, where there are texts with or without their words, as is better on validation."""
    matrix, targets = task.some(model)
    words = task.frame.of_words
    # The simpler first, which a tie leaves.
    variants: dict[str, list[int]] = {"lengths of texts": words, "words of texts": []}
    if not words:
        del variants["words of texts"]
    found: dict[str, float] = {}
    best: tuple[float, str, Outputs, NDArray[np.float64] | None] | None = None
    for name, left_out in variants.items():
        outputs = _without(learn(task, matrix.without(left_out), targets), left_out)
        value, thresholds = _validated(task, outputs)
        found[name] = value
        better = -value if _metric(task) in LOWER_IS_BETTER else value
        if best is None or better > best[0]:
            best = better, name, outputs, thresholds
    assert best is not None
    _, chosen, outputs, thresholds = best
    rows = len(matrix)
    if rows < task.of:
        of = f"{task.of:,}"
        logger.warning("%s: fitted on %s of the %s training rows", title, f"{rows:,}", of)
    told = outputs(matrix.take(np.arange(min(rows, 1000))))
    about: dict[str, Any] = {
        "title": title,
        "rows": rows,
        "capped": rows < task.of,
        "fitted": hashlib.sha256(told.astype("<f4").tobytes()).hexdigest(),
    }
    if len(variants) > 1:
        about |= {"chosen": chosen, "metric": _metric(task), "validation": found}

    def of_cells(cells: Cells) -> NDArray[Any]:
        with threadpool_limits(1):
            return outputs(task.frame.read(cells))

    return Baseline(task.kind, title, about, of_cells, thresholds)


def _metric(task: Task) -> str:
    targets = task.train[1]
    return primary(task.kind, targets.shape[1] if targets.ndim > 1 else 1)


def _validated(task: Task, outputs: Outputs) -> tuple[float, NDArray[np.float64] | None]:
    """The metric that counts on the validation split, and thresholds chosen there."""
    matrix, targets = task.validation
    if not len(matrix):
        return float("-inf"), None
    told = outputs(matrix)
    thresholds = None
    if task.kind == "multiple":
        thresholds = np.asarray(choose_thresholds(told, targets))
    scored = Scored.of(task.kind, targets, told, thresholds)
    return float(measure_primary(task.kind, total(primary_sums(scored)))), thresholds


def _without(outputs: Outputs, numbers: Sequence[int]) -> Outputs:
    return (lambda matrix: outputs(matrix.without(numbers))) if numbers else outputs


def _linear(task: Task, matrix: Matrix, targets: NDArray[Any]) -> Outputs:
    """Logistic or ridge regression over levels and standardised numbers."""
    scaling = Scaling.fit(matrix, task.frame.sizes)
    features = scaling.read(matrix)
    if task.kind == "number":
        scale = _Scale(targets)
        ridge: Any = Ridge(alpha=1.0).fit(features, scale.inward(targets))
        return lambda rows: scale.outward(ridge.predict(scaling.read(rows)))
    model = _one_for_each(task.kind, targets, lambda own: _logistic(features, own))
    return lambda rows: _scores(task.kind, model, scaling.read(rows), task.labels)


def _boosted_trees(task: Task, matrix: Matrix, targets: NDArray[Any]) -> Outputs:
    """Histogram gradient boosting as scikit-learn sets it, with its early stopping.

    Levels and missing values are its own affair (Ke et al., LightGBM, 2017).
    """
    features = matrix.for_trees
    width = matrix.numbers.shape[1]
    levels = [i >= width for i in range(features.shape[1])]
    settings: dict[str, Any] = {"categorical_features": levels, "random_state": task.seed}
    if task.kind == "number":
        scale = _Scale(targets)
        inward = scale.inward(targets).reshape(len(targets), -1)
        models = [HistGradientBoostingRegressor(**settings).fit(features, y) for y in inward.T]

        def outputs(rows: Matrix) -> NDArray[Any]:
            told = np.stack([model.predict(rows.for_trees) for model in models], axis=1)
            return scale.outward(told if targets.ndim > 1 else told[:, 0])

        return outputs
    grown = 1 if task.labels == 2 or task.kind == "multiple" else task.labels
    settings["max_iter"] = min(100, max(10, MOST_TREES // grown))
    model = _one_for_each(task.kind, targets, lambda own: _trees(features, own, settings))
    return lambda rows: _scores(task.kind, model, rows.for_trees, task.labels)


def _one_for_each(kind: str, targets: NDArray[Any], fit: Callable[[NDArray[Any]], Any]) -> Any:
    """A model of all labels, or one of each where several may be told at once."""
    if kind != "multiple":
        return fit(targets)
    return [fit(targets[:, label]) for label in range(targets.shape[1])]


def _scores(kind: str, model: Any, features: Any, labels: int) -> NDArray[np.float32]:
    if kind != "multiple":
        return chances(model, features, labels)
    models = cast("list[Any]", model)
    return np.stack([chances(one, features, 2)[:, 1] for one in models], axis=1)


def _logistic(features: Any, targets: NDArray[Any]) -> Any:
    if len(np.unique(targets)) < 2:
        return DummyClassifier().fit(features, targets)
    with warnings.catch_warnings():
        # Near the end of its way it is as good as at it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(max_iter=ITERATIONS).fit(features, targets)


def _trees(features: NDArray[np.float64], targets: NDArray[Any], settings: Any) -> Any:
    # A label of one row cannot be on both sides of the split by which it stops.
    labels, counts = np.unique(targets, return_counts=True)
    kept = np.isin(targets, labels[counts > 1])
    if len(np.unique(targets[kept])) < 2:
        return DummyClassifier().fit(features, targets)
    return HistGradientBoostingClassifier(**settings).fit(features[kept], targets[kept])


class _Scale:
    """Numbers of size 1, whatever their unit."""

    def __init__(self, targets: NDArray[Any]) -> None:
        wide = targets.astype(np.float64)
        self.mean = wide.mean(axis=0)
        deviation = wide.std(axis=0)
        self.deviation = np.where(deviation > 0, deviation, 1.0)

    def inward(self, targets: NDArray[Any]) -> NDArray[np.float64]:
        return (targets.astype(np.float64) - self.mean) / self.deviation

    def outward(self, told: NDArray[Any]) -> NDArray[np.float64]:
        return told * self.deviation + self.mean
