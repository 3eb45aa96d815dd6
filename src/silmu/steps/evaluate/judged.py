"""A model's answers to rows of known truth, made into what a report says of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu import store
from silmu.errors import InputError
from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate import details, numbers
from silmu.steps.evaluate.card import card
from silmu.steps.evaluate.intervals import resample, with_intervals
from silmu.steps.evaluate.metrics import PROMISED, Scored, primary, row_sums, total
from silmu.steps.evaluate.numbers import Sums, Totals
from silmu.steps.evaluate.page import page
from silmu.steps.evaluate.report import FILE, FORMAT, Report
from silmu.steps.evaluate.rows import Rows
from silmu.steps.evaluate.scoring import Passed, Scorer

logger = logging.getLogger("silmu.report")

PAGE, CARD = "report.html", "README.md"
FEW = 100
"""Test rows below which a reader is warned."""


@dataclass(frozen=True)
class Model:
    """What one model said of the rows, and what the report calls it."""

    scored: Scored
    title: str = ""
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Judged:
    """A model with the sums of its metrics, of its rows and of resamples."""

    model: Model
    sums: Sums
    drawn: Totals
    units: int | None
    """How many groups the rows come in; None where each stands for itself."""

    @property
    def parts(self) -> tuple[Scored, Totals, Totals]:
        """As `compare` takes it."""
        return self.model.scored, total(self.sums), self.drawn

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Each metric with its interval, as in metrics.json."""
        found = with_intervals(self.model.scored, self.sums, self.drawn, units=self.units)
        return {name: asdict(metric) for name, metric in found.items()}

    def of_target(self, i: int) -> Judged:
        """The same of one of several numbers."""
        model = replace(self.model, scored=self.model.scored.of_target(i))
        own, again = numbers.of_target(self.sums, i), numbers.of_target(self.drawn, i)
        return Judged(model, own, again, self.units)


def judge(
    models: Mapping[str, Model], groups: NDArray[np.int64] | None, seed: int
) -> dict[str, Judged]:
    """Models of the same rows, with the same resamples for all."""
    sums = [row_sums(model.scored) for model in models.values()]
    drawn = resample(sums, groups, seed=seed)
    units = None if groups is None else len(np.unique(groups))
    return {
        name: Judged(model, own, again, units)
        for (name, model), own, again in zip(models.items(), sums, drawn, strict=True)
    }


def scored_rows(scorer: Scorer, kind: str, rows: Rows) -> Scored:
    """What a model said of rows.

    Raises:
        InputError: it could answer none of them.
    """
    if not len(rows):
        raise InputError("the model could not answer one row of the data")
    return Scored.of(kind, rows.targets, rows.outputs, scorer.thresholds, rows.spans)


def groups_of(dataset: Dataset, places: NDArray[np.int64]) -> tuple[NDArray[np.int64] | None, str]:
    """Which rows belong together, and by what; None where each stands for itself."""
    name = dataset.roles.group
    if name is None:
        return None, "row"
    column = dataset.take(places, [name]).column(0).combine_chunks()
    codes = column.cast(pa.large_string()).dictionary_encode().indices
    groups = codes.to_numpy(zero_copy_only=False).astype(np.float64)
    alone = np.isnan(groups)
    groups[alone] = np.arange(alone.sum()) + np.nanmax(groups, initial=0) + 1
    whole = groups.astype(np.int64)
    distinct = len(np.unique(whole))
    return (whole, name) if 1 < distinct < len(whole) else (None, "row")


def head(scorer: Scorer, fingerprint: str) -> dict[str, Any]:
    """What a report begins with."""
    return {
        "format": FORMAT,
        "task": scorer.task,
        "rows": scorer.many,
        "kind": scorer.kind,
        "labels": list(scorer.labels),
        "targets": list(scorer.targets),
        "model": {"name": scorer.name, "fingerprint": fingerprint},
        "metric": primary(scorer.kind, len(scorer.targets)),
    }


def data_of(dataset: Dataset, passed: Passed, rows: Rows) -> dict[str, Any]:
    """What a report says of the data."""
    return {
        "name": dataset.name,
        "source": dataset.source,
        "fingerprint": dataset.fingerprint,
        "rows_in": dataset.rows_in,
        "group": dataset.roles.group,
        "dropped": [{"reason": one.reason, "count": one.count} for one in dataset.dropped],
        "scored": len(rows),
        "failed": rows.failed,
        **passed.seen.facts,
    }


def warnings_of(
    passed: Passed, rows: Rows, scored: Scored, labels: Sequence[str], units: int | None
) -> list[str]:
    """What a reader of the figures must know about the rows."""
    found: list[str] = []
    if passed.failed:
        found.append(
            f"{len(passed.failed):,} rows could not be answered and are in no figure: "
            f"{passed.failed[0][1]}"
        )
    found.extend(passed.seen.warnings)
    if len(rows) < FEW:
        found.append(f"there are only {len(rows):,} rows, so every figure is rough")
    if units is not None and units < FEW // 5:
        found.append(f"the rows come from only {units:,} groups, so every figure is rough")
    if scored.kind != "number":
        targets = scored.targets
        counts = (
            targets.sum(axis=0) if targets.ndim > 1 else np.bincount(targets, minlength=len(labels))
        )
        absent = [label for label, count in zip(labels, counts, strict=True) if not count]
        if absent:
            found.append(f"no row has the {plural(len(absent), 'label')} {listed(absent)}")
    return found


def details_of(
    scorer: Scorer,
    judged: Judged,
    others: Mapping[str, Judged],
    rows: Rows,
    groups: NDArray[np.int64] | None,
    by: str,
    seed: int,
) -> dict[str, Any]:
    """The tables and examples of a report."""
    scored, labels = judged.model.scored, scorer.labels
    sums, drawn, units = judged.sums, judged.drawn, judged.units
    return {
        "confusion": details.confusion(scored, labels),
        "per_class": details.per_class(scored, labels, sums, drawn, scorer.thresholds, units),
        "per_target": _per_target(scorer.targets, judged, others, seed),
        "lengths": [],
        "reliability": details.reliability(scored, sums, drawn, units),
        "scatter": None if scorer.targets else details.scatter(scored, seed),
        "importance": None,
        "dependence": [],
        **scorer.details(rows, scored, groups, seed),
        "thresholds": None if scorer.thresholds is None else scorer.thresholds.tolist(),
        "promised": PROMISED if scored.spans is not None else None,
        "bootstrap": {
            "resamples": len(drawn["n"]),
            "by": by,
            "units": len(scored) if units is None else units,
            "seed": seed,
        },
    }


def _per_target(
    names: Sequence[str], judged: Judged, others: Mapping[str, Judged], seed: int
) -> list[dict[str, Any]]:
    """Of several numbers each by itself, in its own unit."""
    return [
        {
            "target": name,
            "n": len(judged.model.scored),
            "metrics": judged.of_target(i).metrics,
            "baselines": {other: one.of_target(i).metrics for other, one in others.items()},
            "scatter": details.scatter(judged.model.scored.of_target(i), seed),
        }
        for i, name in enumerate(names)
    ]


def write(report: Report, folder: Path, model: Path | None, settings: Mapping[str, Any]) -> None:
    """metrics.json last: where it is, all is there."""
    values = report.to_dict()
    run = values.get("run") or {"settings": dict(settings)}
    store.write_file(folder / PAGE, page(values, run=run).encode())
    if model is not None:
        store.write_file(model / CARD, card(values, run=run).encode())
    store.write_file(folder / FILE, report.to_bytes())
    report.path = folder
    for warning in report.warnings:
        logger.warning("%s", warning)


def plain(value: Any) -> Any:
    """Numbers of JSON, six digits of each; what is none is null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in cast("Sequence[Any]", value)]
    if isinstance(value, bool | np.bool_):
        return bool(cast("Any", value))
    if isinstance(value, int | np.integer):
        return int(cast("int", value))
    if isinstance(value, float | np.floating):
        number = float(f"{float(cast('Any', value)):.6g}")
        return number if np.isfinite(number) else None
    return cast("object", value)


def listed(labels: Sequence[str]) -> str:
    """Some of them, for a sentence."""
    shown = ", ".join(labels[:5])
    return f"{shown} and {len(labels) - 5:,} more" if len(labels) > 5 else shown


def plural(count: int, word: str) -> str:
    """The word, with an s unless it is one."""
    return word if count == 1 else f"{word}s"
