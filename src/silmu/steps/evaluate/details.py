"""The tables of a report, as plain values: report.py says how each is laid out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.intervals import (
    FEWEST_RESAMPLES,
    percentiles,
    ratio,
    resample,
    wilson,
    with_intervals,
)
from silmu.steps.evaluate.metrics import BINS, Scored, row_sums, total
from silmu.steps.evaluate.numbers import Sums, Totals
from silmu.steps.evaluate.report import Metric
from silmu.steps.evaluate.slices import Part

MOST_LABELS = 40
MOST_POINTS = 1000
WORST = 20
EXPLAINED = 4
BEST = 8
PAIRS, PAIR = 6, 4
"""So many pairs of labels are shown, and so many rows of each."""

Shown = Callable[[NDArray[np.int64]], list[dict[str, Any]]]
"""What is shown of rows, by their places among those that were scored."""

Explained = Callable[[NDArray[np.int64], list[int]], list[dict[str, Any] | None]]
"""What answers hang on, of rows and of the label or number of each; None where nothing tells."""


def confusion(scored: Scored, labels: Sequence[str]) -> dict[str, Any] | None:
    """How often each label was taken for each other."""
    if scored.kind not in ("single", "ordered"):
        return None
    size = len(labels)
    cells = np.bincount(scored.targets * size + scored.predictions, minlength=size * size)
    counts = cells.reshape(size, size)
    kept = np.arange(size)
    if size > MOST_LABELS:
        seen = counts.sum(axis=0) + counts.sum(axis=1)
        kept = np.sort(np.argsort(-seen, kind="stable")[:MOST_LABELS])
    return {
        "labels": [labels[i] for i in kept.tolist()],
        "counts": counts[np.ix_(kept, kept)].tolist(),
    }


def per_class(
    scored: Scored,
    labels: Sequence[str],
    sums: Sums,
    drawn: Totals,
    thresholds: NDArray[np.float64] | None,
    units: int | None,
) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each label."""
    if scored.kind == "number":
        return []
    once = total({name: sums[name] for name in ("true", "predicted", "hits")})
    count = len(scored) if units is None else units
    found: list[dict[str, Any]] = []
    for i, label in enumerate(labels):
        true, predicted, hits = (once[name][i] for name in ("true", "predicted", "hits"))
        again = tuple(drawn[name][:, i] for name in ("true", "predicted", "hits"))
        precision = ratio(hits, predicted, (again[2], again[1]), units=units)
        recall = ratio(hits, true, (again[2], again[0]), units=units)
        found.append(
            {
                "label": label,
                "n": int(true),
                "predicted": int(predicted),
                "precision": _plain(precision),
                "recall": _plain(recall),
                "f1": _plain(_f1(true, predicted, hits, again, precision, recall, count)),
                "threshold": None if thresholds is None else float(thresholds[i]),
            }
        )
    return found


def _f1(
    true: float,
    predicted: float,
    hits: float,
    again: tuple[NDArray[np.float64], ...],
    precision: Metric | None,
    recall: Metric | None,
    units: int,
) -> Metric | None:
    if true + predicted == 0:
        return None
    value = 2 * hits / (true + predicted)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = percentiles(2 * again[2] / (again[0] + again[1]), units)
    # Where all or nothing is right, no resample shows how far that may be chance.
    if value == 1 and precision and recall:
        low = 2 / (1 / precision.low + 1 / recall.low)
    if value == 0:
        ends = [one.high for one in (precision, recall) if one]
        high = max(high, min(ends, default=1.0))
    return Metric(value, min(low, value), max(high, value), int(true))


def by_part(
    scored: Scored, parts: Iterable[Part], groups: NDArray[np.int64] | None
) -> list[dict[str, Any]]:
    """The metric that counts for each part of the rows."""
    return [
        {"column": column, "value": value, "n": len(rows), **part_figure(scored, rows, groups)}
        for column, value, rows in parts
    ]


def part_figure(
    scored: Scored, rows: NDArray[np.int64], groups: NDArray[np.int64] | None
) -> dict[str, Any]:
    """The metric that counts, of some rows; null where it cannot be told."""
    part, metric = scored.take(rows), scored.metric
    own = None if groups is None else groups[rows]
    units = None if own is None else len(np.unique(own))
    if units is not None and units < 2:
        own, units = None, None
    if part.kind == "single" and own is None:
        # A share, of which no resample has to tell.
        hits = int(part.right.sum())
        low, high = wilson(hits, len(part))
        value = hits / len(part)
        return {"metric": metric, "score": asdict(Metric(value, low, high, len(part)))}
    sums = row_sums(part)
    drawn = resample([sums], own, resamples=FEWEST_RESAMPLES)[0]
    found = with_intervals(part, sums, drawn, units=units)
    return {"metric": metric, "score": _plain(found.get(metric))}


def reliability(
    scored: Scored, sums: Sums, drawn: Totals, units: int | None
) -> list[dict[str, Any]]:
    """How sure the model was, and how often right, from the least sure to the surest."""
    if scored.kind == "number":
        return []
    names = ("bin_n", "bin_confidence", "bin_right")
    once = total({name: sums[name] for name in names})
    found: list[dict[str, Any]] = []
    for i in range(BINS):
        n, confidence, right = (once[name][i] for name in names)
        accuracy = ratio(right, n, (drawn["bin_right"][:, i], drawn["bin_n"][:, i]), units=units)
        if accuracy is not None:
            found.append(
                {
                    "low": i / BINS,
                    "high": (i + 1) / BINS,
                    "n": int(n),
                    "confidence": confidence / n,
                    "accuracy": asdict(accuracy),
                }
            )
    return found


def scatter(scored: Scored, seed: int) -> dict[str, Any] | None:
    """Numbers and what was said of them; a sample, where there are many."""
    if scored.kind != "number":
        return None
    rows = np.arange(len(scored))
    if len(rows) > MOST_POINTS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_POINTS, replace=False))
    return {"target": scored.targets[rows].tolist(), "prediction": scored.outputs[rows].tolist()}


def worst(
    scored: Scored, names: Sequence[str], numbers: NDArray[np.int64], shown: Shown
) -> list[dict[str, Any]]:
    """The mistakes that the model was surest of.

    Args:
        names: of labels, or of several numbers.
        numbers: of the rows in the source.
    """
    order = _worst_first(scored, numbers)[:WORST]
    return [
        {"row": int(numbers[row]), **one, **_answer(scored, int(row), names)}
        for row, one in zip(order, shown(order), strict=True)
    ]


def best(
    scored: Scored, names: Sequence[str], numbers: NDArray[np.int64], shown: Shown
) -> list[dict[str, Any]]:
    """The right answers that the model was surest of, of different labels where there are any.

    Of numbers they are the nearest to the true ones.
    """
    if scored.kind == "number":
        order = np.lexsort((numbers, _severity(scored)))[:BEST]
    else:
        right = np.flatnonzero(scored.right)
        said = scored.outputs[right]
        several = scored.kind == "multiple"
        sure = np.abs(said - 0.5).min(axis=1) if several else said.max(axis=1)
        order = _of_different_labels(scored, right[np.lexsort((numbers[right], -sure))])[:BEST]
    return [
        {"row": int(numbers[row]), **one, **_answer(scored, int(row), names)}
        for row, one in zip(order, shown(order), strict=True)
    ]


def confused(
    scored: Scored, labels: Sequence[str], numbers: NDArray[np.int64], shown: Shown
) -> list[dict[str, Any]]:
    """The pairs of labels that are confused most often, with the rows where it was surest."""
    if scored.kind not in ("single", "ordered"):
        return []
    wrong = np.flatnonzero(~scored.right)
    pairs = scored.targets[wrong] * len(labels) + scored.predictions[wrong]
    distinct, counts = np.unique(pairs, return_counts=True)
    found: list[dict[str, Any]] = []
    for i in np.argsort(-counts, kind="stable")[:PAIRS].tolist():
        true, said = divmod(int(distinct[i]), len(labels))
        own = wrong[pairs == distinct[i]]
        order = own[np.lexsort((numbers[own], -scored.outputs[own, said]))][:PAIR]
        examples = [
            {"row": int(numbers[row]), **one, "score": float(scored.outputs[row, said])}
            for row, one in zip(order, shown(order), strict=True)
        ]
        found.append(
            {
                "true": labels[true],
                "said": labels[said],
                "n": int(counts[i]),
                "examples": examples,
            }
        )
    return found


def attributions(
    scored: Scored, names: Sequence[str], numbers: NDArray[np.int64], explained: Explained
) -> list[dict[str, Any]]:
    """What decided: of a few mistakes and of a few answers as sure as most."""
    mistakes = _worst_first(scored, numbers)[:EXPLAINED]
    typical = _typical(scored, numbers)
    rows = np.concatenate([mistakes, typical]).astype(np.int64)
    if not len(rows):
        return []
    kinds = ["mistake"] * len(mistakes) + ["typical"] * len(typical)
    of = [_explained(scored, int(row)) for row in rows]
    found: list[dict[str, Any]] = []
    for row, label, kind, told in zip(rows, of, kinds, explained(rows, of), strict=True):
        if told is None:
            continue
        answer = _answer(scored, int(row), names)
        own = scored.outputs[row] if scored.outputs.ndim == 1 else scored.outputs[row, label]
        found.append(
            {
                "row": int(numbers[row]),
                "label": answer["label"],
                "prediction": answer["prediction"],
                "kind": kind,
                "of": names[label] if names else None,
                "score": float(own),
                **told,
            }
        )
    return found


def _severity(scored: Scored) -> NDArray[np.float64]:
    """How bad each answer is; 0 where it is right."""
    if scored.kind == "number":
        return _misses(scored).max(axis=1)
    if scored.kind == "multiple":
        wrong = scored.targets != scored.predictions
        # Said of a label that is not true, its score; not said of a true one, what it lacked.
        missed = np.where(scored.predictions > 0, scored.outputs, 1 - scored.outputs)
        return np.where(wrong, missed, 0).max(axis=1)
    sure = scored.outputs[np.arange(len(scored)), scored.predictions]
    return np.where(scored.right, 0, sure)


def _misses(scored: Scored) -> NDArray[np.float64]:
    """How far each number is from the true one; of several in deviations of each target."""
    away = np.abs(scored.outputs.astype(np.float64) - scored.targets)
    if away.ndim == 1:
        return away[:, None]
    deviation = scored.targets.std(axis=0, dtype=np.float64)
    return away / np.where(deviation > 0, deviation, 1.0)


def _worst_first(scored: Scored, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    severity = _severity(scored)
    order = np.lexsort((numbers, -severity))
    return order[severity[order] > 0]


def _typical(scored: Scored, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Right answers of median sureness, of different labels where there are any."""
    severity = _severity(scored)
    if scored.kind == "number":
        order = np.lexsort((numbers, severity))
        middle = len(order) // 2
        return order[middle : middle + EXPLAINED]
    right = np.flatnonzero(scored.right)
    if not len(right):
        return right
    surest = scored.outputs[right].max(axis=1)
    away = np.abs(surest - np.median(surest))
    order = right[np.lexsort((numbers[right], away))]
    return _of_different_labels(scored, order)[:EXPLAINED]


def _of_different_labels(scored: Scored, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first row of each label, and then the others."""
    if not len(order):
        return order
    label = scored.outputs[order].argmax(axis=1)
    first = np.sort(np.unique(label, return_index=True)[1])
    return np.concatenate([order[first], np.delete(order, first)])


def _explained(scored: Scored, row: int) -> int:
    if scored.kind == "number":
        return int(_misses(scored)[row].argmax())
    if scored.kind == "multiple":
        wrong = scored.targets[row] != scored.predictions[row]
        outputs: NDArray[np.float64] = scored.outputs[row].astype(np.float64)
        said = np.where(scored.predictions[row] > 0, outputs, 1 - outputs)
        if wrong.any():
            return int(np.where(wrong, said, -1).argmax())
        return int(scored.outputs[row].argmax())
    return int(scored.predictions[row])


def _answer(scored: Scored, row: int, labels: Sequence[str]) -> dict[str, Any]:
    target, said = scored.targets[row], scored.predictions[row]
    if scored.kind == "number":
        if scored.targets.ndim > 1:
            true, told = (dict(zip(labels, one.tolist(), strict=True)) for one in (target, said))
            return {"label": true, "prediction": told, "score": None, "label_score": None}
        answer = {"label": float(target), "prediction": float(said)}
        return {**answer, "score": None, "label_score": None}
    if scored.kind == "multiple":
        return {
            "label": [labels[i] for i in np.flatnonzero(target).tolist()],
            "prediction": [labels[i] for i in np.flatnonzero(said).tolist()],
            "score": float(scored.outputs[row, _explained(scored, row)]),
            "label_score": None,
        }
    return {
        "label": labels[int(target)],
        "prediction": labels[int(said)],
        "score": float(scored.outputs[row, said]),
        "label_score": float(scored.outputs[row, target]),
    }


def _plain(metric: Metric | None) -> dict[str, Any] | None:
    return None if metric is None else asdict(metric)
