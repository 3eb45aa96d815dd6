"""A model on rows that it was not prepared with, such as newer ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from silmu.errors import UsageError
from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate.drift import compared, training_of
from silmu.steps.evaluate.judged import (
    Model,
    Rows,
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
from silmu.steps.evaluate.scoring import Scorer
from silmu.steps.evaluate.truth import Truth, truth_of
from silmu.steps.prepare.prepared import chosen_texts


def evaluate(model: Path, dataset: Dataset, folder: Path | None) -> Report:
    """Scores a model on new rows; writes what was found where a folder is given."""
    started = time.monotonic()
    scorer = Scorer(model)
    if scorer.inputs and len(scorer.inputs) != len(dataset.roles.input):
        raise UsageError(
            f"the model reads {len(scorer.inputs)} texts a row ({', '.join(scorer.inputs)}), and "
            f"the data gives {len(dataset.roles.input)} ({', '.join(dataset.roles.input)})",
            hint="name the columns: --input",
        )
    everything = np.arange(dataset.num_rows)
    passed = scorer.read(chosen_texts(dataset, np.ones(dataset.num_rows, bool)))
    truth = truth_of(dataset, scorer.kind, scorer.labels)
    rows = Rows(dataset, everything, truth.targets, passed, truth.known)
    trained = training_of(Path(model))
    drift, repeated = compared(dataset, trained, passed) if trained else (None, 0)
    values: dict[str, Any] = {
        **head(scorer, scorer.kind, scorer.labels, scorer.fingerprint),
        "data": data_of(dataset, passed, rows)
        | {"counts": {}, "moved": 0, "unseen": truth.unseen, "without_label": truth.missing},
        "look": None,
        "looks_beside": 0,
        "metrics": {},
        "baselines": {},
        "comparison": None,
        "warnings": _warnings(truth, drift, repeated),
        "details": {"drift": drift, "baselines": {}},
    }
    if len(rows):
        ours = scored_rows(scorer, scorer.kind, rows)
        groups, by = groups_of(dataset, rows.places)
        judged = judge({"": Model(ours)}, groups, 0)[""]
        values["metrics"] = judged.metrics
        values["warnings"] += warnings_of(passed, rows, ours, scorer.labels, scorer, judged.units)
        values["details"] |= details_of(scorer, judged, rows, groups, by, 0)
    values["seconds"] = {"evaluate": time.monotonic() - started}
    report = Report(plain(values))
    if folder is not None:
        write(report, folder, None, {})
    return report


def _warnings(truth: Truth, drift: list[dict[str, Any]] | None, repeated: int) -> list[str]:
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
    if repeated:
        found.append(
            f"{repeated:,} of {len(truth.known):,} texts were in the training: on them the model "
            "looks better than it is"
        )
    if drift is None:
        found.append("the model is not in its run, so its training texts were not compared")
    for one in drift or []:
        if one["clear"]:
            found.append(
                f"unlike the training: {one['what']} {one['here']:.3g}, there {one['train']:.3g}"
            )
    return found
