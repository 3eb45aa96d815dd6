"""How far a straight line gets from what each layer holds: what a network has made easy to tell.

Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier Probes, 2016.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.comparison import compare
from silmu.steps.evaluate.intervals import resample, with_intervals
from silmu.steps.evaluate.metrics import LOWER_IS_BETTER, Scored, row_sums, total

FOLDS = 5
FEWEST = 20
"""Pictures below which nothing is told."""

PENALTIES = 10.0 ** np.arange(-5, 3)

PICTURE, NETWORK = "picture", "network"
"""The names of what is read before the first layer, and of the network's own answers."""


def probed(
    kind: str,
    features: Mapping[str, NDArray[np.float32]],
    targets: NDArray[Any],
    own: NDArray[Any] | None = None,
    groups: NDArray[np.int64] | None = None,
    *,
    labels: int = 0,
    seed: int = 0,
) -> dict[str, Any] | None:
    """The metric that counts, of ridge regression on the features of each layer.

    Each picture is told by a line that was fitted without it, on four fifths of the pictures; the
    strength of the penalty is chosen among these by leaving out one after another.

    Args:
        kind: of labels.
        features: of each layer (rows, numbers), in the order of the network.
        targets: as `Scored` has them.
        own: what the network said of the same pictures.
        groups: pictures of a group are left out together.
        labels: how many there are.
        seed: of the folds.

    Returns:
        {"metric", "lower_is_better", "rows", "folds", "layers": [{"name", "value", "low", "high",
        "n"}], "comparison": of the last layer with the first of `features`}; the network's own
        answers stand last, as `network`. None where there are too few pictures, or all have one
        label.
    """
    wide = _wide(kind, targets, labels)
    units = np.arange(len(targets)) if groups is None else groups
    folds = min(FOLDS, len(np.unique(units)))
    if len(targets) < FEWEST or folds < 2 or not np.ptp(wide, axis=0).any():
        return None
    fold = _folds(units, folds, seed)
    scored = {
        name: Scored.of(kind, targets, _outputs(kind, _crossed(values, wide, fold)))
        for name, values in features.items()
    }
    if own is not None:
        scored[NETWORK] = Scored.of(kind, targets, own)
    sums = [row_sums(one) for one in scored.values()]
    drawn = resample(sums, groups, seed=seed)
    count = None if groups is None else len(np.unique(groups))
    metric = next(iter(scored.values())).metric
    layers: list[dict[str, Any]] = []
    for (name, one), mine, again in zip(scored.items(), sums, drawn, strict=True):
        found = with_intervals(one, mine, again, units=count)
        if metric in found:
            layers.append({"name": name, **asdict(found[metric])})
    first, last = 0, len(features) - 1
    parts = [([*scored.values()][i], total(sums[i]), drawn[i]) for i in (last, first)]
    title = "the picture itself"
    compared = compare(metric, *parts, name=PICTURE, title=title, units=count)
    return {
        "metric": metric,
        "lower_is_better": metric in LOWER_IS_BETTER,
        "rows": len(targets),
        "folds": folds,
        "layers": layers,
        "comparison": {key: compared[key] for key in ("difference", "low", "high", "sentence")},
    }


def _wide(kind: str, targets: NDArray[Any], labels: int) -> NDArray[np.float64]:
    """Targets as columns that a line is fitted to."""
    if kind in ("single", "ordered"):
        return np.eye(max(labels, int(targets.max(initial=0)) + 1))[targets] * 2 - 1
    if kind == "multiple":
        return targets.astype(np.float64) * 2 - 1
    return targets.reshape(len(targets), -1).astype(np.float64)


def _outputs(kind: str, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """What lines say, as `Scored` takes it."""
    if kind == "number":
        return found if found.shape[1] > 1 else found[:, 0]
    if kind == "multiple":
        return 1 / (1 + np.exp(-2 * found))
    raised = np.exp(found - found.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _folds(units: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row; rows of one unit are in one."""
    names, place = np.unique(units, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return (order % folds)[place]


def _crossed(
    features: NDArray[np.float32], targets: NDArray[np.float64], fold: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What is said of each row by a line that was fitted without its fold."""
    found = np.empty(targets.shape)
    for one in np.unique(fold):
        fits, asked = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
        found[asked] = _ridge(features[fits], targets[fits], features[asked])
    return found


def _ridge(
    features: NDArray[np.float32], targets: NDArray[np.float64], asked: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Ridge regression in its dual form, for rows are fewer than numbers.

    The penalty is that whose leave-one-out error is the least.
    """
    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0)
    # What hardly moves in these rows, such as a picture's edge, is not blown up to what does.
    moves = deviation[deviation > 0]
    scale = 1 / np.maximum(deviation, np.median(moves) / 3 if len(moves) else 1.0)
    x, z = ((one - mean) * scale for one in (features, asked))
    size = np.sqrt(max(1, x.shape[1]))
    x, z = x / size, z / size
    weights, _ = min(left_out(x, targets), key=lambda one: float((one[1] ** 2).mean()))
    return z @ (x.T @ weights) + targets.mean(axis=0)


def left_out(
    x: NDArray[np.float64], targets: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """For each penalty the dual weights, and by how much rows are missed that are left out.

    The middle has no penalty: it is fitted again without the row too.

    Args:
        x: (rows, numbers), whose columns have the mean 0.
        targets: (rows, columns).
    """
    values, vectors = np.linalg.eigh(x @ x.T)
    turned = vectors.T @ (targets - targets.mean(axis=0))
    for penalty in PENALTIES * len(x):
        inverse = 1 / (np.maximum(values, 0) + penalty)
        dual = vectors @ (turned * inverse[:, None])
        own = (vectors**2) @ inverse - 1 / (len(x) * penalty)
        yield dual, dual / own[:, None]
