"""A model on rows that it was not prepared with, such as newer ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from silmu.runtime.schema import Schema
from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate.judged import (
    Model,
    data_of,
    details_of,
    groups_of,
    head,
    judge,
    plain,
    scored_rows,
    warnings_of,
    write,
)
from silmu.steps.evaluate.report import Report
from silmu.steps.evaluate.rows import Rows
from silmu.steps.evaluate.scoring import scorer_of
from silmu.steps.evaluate.truth import Truth, truth_of
from silmu.steps.train.progress import Progress


def evaluate(
    pipe: Any, model: Path, dataset: Dataset, folder: Path | None, *, progress: Progress
) -> Report:
    """Scores a model on new rows; writes what was found where a folder is given."""
    started = time.monotonic()
    scorer = scorer_of(pipe, progress)
    columns = scorer.columns(dataset)
    passed = scorer.read(dataset)
    schema = Schema.open(pipe.model.folder)
    truth = truth_of(dataset, scorer.kind, scorer.labels, scorer.targets, schema)
    everything = np.arange(dataset.num_rows)
    rows = Rows(dataset, columns, everything, truth.targets, passed, truth.known)
    drift, unlike = scorer.drift(dataset, passed, Path(model))
    values: dict[str, Any] = {
        **head(scorer, scorer.fingerprint),
        "data": data_of(dataset, passed, rows)
        | {"counts": {}, "moved": 0, "unseen": truth.unseen, "without_label": truth.missing},
        "look": None,
        "looks_beside": 0,
        "metrics": {},
        "baselines": {},
        "comparison": None,
        "warnings": [*_warnings(truth), *unlike],
        "details": {**drift, "baselines": {}},
    }
    if len(rows):
        ours = scored_rows(scorer, scorer.kind, rows)
        groups, by = groups_of(dataset, rows.places)
        with progress.busy("drawing rows again for the intervals"):
            judged = judge({"": Model(ours)}, groups, 0)[""]
        values["metrics"] = judged.metrics
        values["warnings"] += warnings_of(passed, rows, ours, scorer.labels, judged.units)
        values["details"] |= details_of(scorer, judged, {}, rows, groups, by, 0)
    values["seconds"] = {"evaluate": time.monotonic() - started}
    report = Report(plain(values))
    if folder is not None:
        write(report, folder, None, {})
    return report


def _warnings(truth: Truth) -> list[str]:
    """What a reader of the figures must know about new rows."""
    found: list[str] = []
    if truth.unseen:
        count = sum(one["count"] for one in truth.unseen)
        named = ", ".join(one["label"] for one in truth.unseen[:5])
        more = f" and {len(truth.unseen) - 5} more" if len(truth.unseen) > 5 else ""
        found.append(
            f"{count:,} labels are none that the model was trained on ({named}{more}); "
            "rows with no other are in no figure"
        )
    if truth.missing and truth.missing < len(truth.known):
        found.append(f"{truth.missing:,} rows have no label and are in no figure")
    return found
