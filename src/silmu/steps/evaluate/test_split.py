"""The sealed test split: a model on it, the baselines beside it, and how often it was looked at."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.errors import UsageError
from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate import ledger
from silmu.steps.evaluate.comparison import compare
from silmu.steps.evaluate.history import history
from silmu.steps.evaluate.judged import (
    Model,
    data_of,
    details_of,
    groups_of,
    head,
    judge,
    listed,
    plain,
    plural,
    scored_rows,
    warnings_of,
    write,
)
from silmu.steps.evaluate.metrics import Scored
from silmu.steps.evaluate.report import Report
from silmu.steps.evaluate.rows import Rows
from silmu.steps.evaluate.scoring import Scorer, scorer_of
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.train.progress import Progress

AT_ONCE = 1024
"""Rows that a baseline is asked at once."""


def evaluate(
    pipe: Any,
    model: Path,
    prepared: Prepared,
    folder: Path,
    *,
    seconds: Mapping[str, float],
    settings: Mapping[str, Any],
    progress: Progress,
) -> Report:
    """Scores a model on the sealed test split, and writes what was found."""
    started = time.monotonic()
    seed = int(settings.get("seed") or 0)
    scorer = scorer_of(pipe, progress)
    _check(scorer, prepared)
    dataset, places = prepared.dataset, prepared.rows("test")
    if not len(places):
        raise UsageError("the test split has no rows", hint="prepare with test=0.1, say")
    columns = scorer.columns(dataset)
    fingerprint, test = scorer.fingerprint, fingerprint_of_rows(dataset, places)
    looks = ledger.look(folder, model=fingerprint, test=test)
    beside = ledger.beside(folder, test=test)

    chosen = np.zeros(dataset.num_rows, bool)
    chosen[places] = True
    passed = scorer.read(dataset, chosen)
    rows = Rows(dataset, columns, places, prepared.targets("test"), passed)
    ours = scored_rows(scorer, prepared.kind, rows)
    groups, by = groups_of(dataset, rows.places)
    models = {"": Model(ours)}
    if settings.get("baselines", True):
        models |= _baselines(scorer, prepared, rows, seed)
    with progress.busy("drawing test rows again for the intervals"):
        judged = judge(models, groups, seed)
    own, others = judged.pop(""), judged

    compared = {
        name: compare(
            ours.metric, own.parts, one.parts, name=name, title=one.model.title, units=own.units
        )
        for name, one in others.items()
    }
    strong = compared.pop(scorer.strong, None)
    values = {
        **head(scorer, fingerprint),
        "data": data_of(dataset, passed, rows)
        | {"counts": dict(prepared.counts), "moved": prepared.moved},
        "look": looks,
        "looks_beside": beside,
        "metrics": own.metrics,
        "baselines": {name: one.metrics for name, one in others.items()},
        "comparison": strong and {**strong, "others": compared},
        "warnings": [
            *looks_warnings(looks, beside),
            *warnings_of(passed, rows, ours, prepared.labels, own.units),
        ],
        "seconds": {},
        "details": details_of(scorer, own, others, rows, groups, by, seed)
        | {
            "baselines": {name: one.model.about for name, one in others.items()},
            "drift": None,
        },
    }
    values["run"] = history(folder.parent, prepared, settings)
    values["seconds"] = {**seconds, "evaluate": time.monotonic() - started}
    report = Report(plain(values))
    ledger.shown(folder)
    write(report, folder, model, settings)
    return report


def _baselines(scorer: Scorer, prepared: Prepared, rows: Rows, seed: int) -> dict[str, Model]:
    everything = np.arange(len(rows))
    parts = [everything[i : i + AT_ONCE] for i in range(0, len(rows), AT_ONCE)]
    found: dict[str, Model] = {}
    with scorer.progress.busy(f"fitting simpler models on {prepared.counts['train']:,} rows"):
        fitted = scorer.baselines(prepared, seed)
    for name, one in fitted.items():
        work = scorer.progress.work(f"rows answered by {one.title}", len(rows))
        answers: list[NDArray[Any]] = []
        for part in parts:
            answers.append(one.outputs(rows.batch(part)))
            work.done(len(part))
        outputs = np.concatenate(answers)
        scored = Scored.of(prepared.kind, rows.targets, outputs, one.thresholds)
        found[name] = Model(scored, one.title, one.about)
    return found


def _check(scorer: Scorer, prepared: Prepared) -> None:
    if scorer.kind != prepared.kind or scorer.labels != prepared.labels:
        raise UsageError(
            f"the model tells {listed(scorer.labels) or 'a number'}, and the data was prepared "
            f"for {listed(prepared.labels) or 'a number'}",
            hint="silmu evaluate MODEL --data FILE scores a model of another run",
        )


def fingerprint_of_rows(dataset: Dataset, places: NDArray[np.int64]) -> str:
    """A hash of some rows of a dataset."""
    digest = hashlib.sha256(dataset.fingerprint.encode())
    digest.update(places.astype("<i8").tobytes())
    return digest.hexdigest()


def looks_warnings(looks: int, beside: int) -> list[str]:
    """What a reader must know where the test split was looked at before."""
    found: list[str] = []
    if looks > 1:
        found.append(
            f"look {looks} at this test split: if what was seen in it before decided anything "
            "about the model, the figures are too good; choose by the validation split"
        )
    if beside:
        found.append(
            f"{beside} {plural(beside, 'look')} at the same test rows by runs beside this one: the "
            "best of several models looks better on them than it is"
        )
    return found
