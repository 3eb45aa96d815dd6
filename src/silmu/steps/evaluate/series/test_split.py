"""The sealed test part of series: a model on its rolling origins, and simpler forecasts beside."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from silmu import extras
from silmu.errors import UsageError
from silmu.runtime.series.frame import Series
from silmu.steps.design.series_defaults import LIKELIHOOD, QUANTILE_LOSS
from silmu.steps.evaluate import ledger
from silmu.steps.evaluate.history import history
from silmu.steps.evaluate.judged import listed, plain, write
from silmu.steps.evaluate.report import Report
from silmu.steps.evaluate.scoring import fingerprint_of
from silmu.steps.evaluate.series import asked, ets, memory, simple
from silmu.steps.evaluate.series.judged import Unit, judge, strongest
from silmu.steps.evaluate.series.windows import History, Windows, thinned
from silmu.steps.evaluate.test_split import fingerprint_of_rows, looks_warnings
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.series import cuts_of, processor_of, whole
from silmu.steps.prepare.windows import Cuts
from silmu.steps.prepare.windows import windows as every_window
from silmu.steps.train.progress import Progress

TOLD_BY_LIKELIHOOD = ("student_t", "transformer")
"""Heads, and networks, that learn a distribution."""


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
    """Scores a model on the sealed test part, and writes what was found."""
    with_baselines = bool(settings.get("baselines", True))
    if with_baselines:
        extras.require("series")
    started = time.monotonic()
    seed = int(settings.get("seed") or 0)
    _check(pipe, prepared)
    dataset, places = prepared.dataset, prepared.rows("test")
    series, cuts, processor = whole(prepared), cuts_of(prepared), processor_of(prepared)
    sizes = pipe.processor.context_length, pipe.processor.prediction_length
    end = max(one.end for one in series)
    every = every_window(series, cuts.test, end, *sizes)
    if not len(every):
        raise UsageError(
            f"the test part has no window of {sizes[1]:,} steps with a value to tell",
            hint="prepare with test=0.3, say, or a shorter prediction_length",
        )
    fingerprint, test = fingerprint_of(pipe), fingerprint_of_rows(dataset, places)
    looks = ledger.look(folder, model=fingerprint, test=test)
    beside = ledger.beside(folder, test=test)

    first = {int(which): int(end) for which, end in every[::-1]}
    histories = tuple(_history(one, cuts, first.get(i, 0)) for i, one in enumerate(series))
    windows = Windows(histories, *thinned(every, sizes[1]), sizes[1])
    tracks = [pipe.processor.tracks(one, 0) for one in series]
    said = asked.said(pipe, tracks, windows, progress)

    seasons = [*processor.step.seasons, processor.season]
    unit = Unit.of(histories, sizes[1], seasons)
    simpler = simple.both(histories, sizes[1], unit.season) if with_baselines else {}
    names, left_out = list(simpler), dict[str, str]()
    if with_baselines:
        smoothed = ets.fitted(histories, sizes[1], seasons, unit.season, progress)
        if isinstance(smoothed, str):
            left_out["ets"] = smoothed
        else:
            simpler["ets"] = smoothed
    own, others = judge(windows, said, simpler, unit, seed)

    strong, reached = "", dict[str, float]()
    if names:
        before = every_window(series, cuts.validation, cuts.test - cuts.gap, *sizes)
        validation = Windows(histories, *thinned(before, sizes[1]), sizes[1])
        strong, reached = strongest(validation, simpler, names, unit)
    compared = {name: own.against(one, unit.metric, name) for name, one in others.items()}
    comparison = compared.pop(strong, None)

    found = asked.told(pipe, windows, own, others.get(strong), unit, seed)
    found |= {
        "validation": reached,
        "left_out": left_out,
        "gradients": memory.of_run(folder.parent),
    }
    values: dict[str, Any] = {
        **asked.head(pipe, fingerprint, unit),
        "data": asked.data(dataset, own) | {"counts": dict(prepared.counts)},
        "look": looks,
        "looks_beside": beside,
        "metrics": own.metrics,
        "baselines": {name: one.metrics for name, one in others.items()},
        "comparison": comparison and {**comparison, "others": compared},
        "warnings": [*looks_warnings(looks, beside), *asked.warnings(windows, own, unit)],
        "seconds": {},
        "details": asked.details(own, others, found, seed),
    }
    is_likelihood = {settings.get("head"), settings.get("network")} & {*TOLD_BY_LIKELIHOOD}
    metric = LIKELIHOOD if is_likelihood else QUANTILE_LOSS
    values["run"] = history(folder.parent, prepared, settings, metric)
    values["seconds"] = {**seconds, "evaluate": time.monotonic() - started}
    report = Report(plain(values))
    ledger.shown(folder)
    write(report, folder, model, settings)
    return report


def _history(one: Series, cuts: Cuts, first: int) -> History:
    """A series of which baselines know the training.

    Where that is too short, as a series began late, they know what lies before its first origin.
    """
    known = int(np.clip(cuts.validation - cuts.gap - one.first, 0, len(one)))
    known = known if known >= ets.FEWEST_STEPS else max(known, first)
    return History(one.name, one.first, one.values, known)


def _check(pipe: Any, prepared: Prepared) -> None:
    told, target = pipe.processor.layout.target, prepared.dataset.roles.target
    if tuple(told) != tuple(target):
        raise UsageError(
            f"the model tells {listed(told)}, and the data was prepared for {listed(target)}",
            hint="silmu evaluate MODEL --data FILE scores a model of another run",
        )
