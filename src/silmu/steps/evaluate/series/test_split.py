"""The sealed test part of series: a model on its rolling origins, and simpler forecasts beside.

Where a run has a backtest, earlier parts of time are judged with it, each by its own network.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from silmu import extras
from silmu.errors import UsageError
from silmu.steps.design.series_defaults import LIKELIHOOD, QUANTILE_LOSS
from silmu.steps.evaluate import ledger
from silmu.steps.evaluate.history import history
from silmu.steps.evaluate.judged import listed, plain, write
from silmu.steps.evaluate.report import Report
from silmu.steps.evaluate.scoring import fingerprint_of, opened
from silmu.steps.evaluate.series import asked, ets, memory, parts, simple
from silmu.steps.evaluate.series.judged import Simpler, Unit, judge, strongest
from silmu.steps.evaluate.series.parts import Part
from silmu.steps.evaluate.test_split import fingerprint_of_rows, looks_warnings
from silmu.steps.evaluate.words import figure, metric_name
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.series import earlier_of
from silmu.steps.train.progress import Progress

TOLD_BY_LIKELIHOOD = ("student_t", "transformer")
"""Heads, and networks, that learn a distribution."""

NAIVE = ("naive", "seasonal_naive")
"""What a model must be better than; the first where no window of the validation part tells."""


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
    fingerprint, test = fingerprint_of(pipe), fingerprint_of_rows(dataset, places)
    looks = ledger.look(folder, model=fingerprint, test=test)
    beside = ledger.beside(folder, test=test)

    last = parts.part(pipe, prepared, progress)
    before = parts.earlier(prepared, folder.parent)
    every = [*(parts.part(opened(path), one, progress) for path, one in reversed(before)), last]
    unit = Unit.of(last.windows.histories, last.windows.horizon, last.seasons)
    simpler, left_out = list[dict[str, Simpler]](), dict[str, str]()
    for one in every:
        found, why = _simpler(one, unit, progress) if with_baselines else ({}, {})
        simpler.append(found)
        left_out |= why
    told = parts.joined(every, simpler)
    own, others = judge(told.windows, told.said, told.simpler, unit, seed)

    strong, reached = "", dict[str, float]()
    if names := [name for name in NAIVE if name in told.simpler]:
        strong, reached = strongest(last.before, simpler[-1], names, unit)
    compared = {name: own.against(one, unit.metric, name) for name, one in others.items()}
    comparison = compared.pop(strong, None)

    found = asked.told(pipe, told.windows, own, others.get(strong), unit, seed)
    found |= {
        "parts": asked.by_part(pipe, told, own, others.get(strong), unit, seed),
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
        "warnings": [
            *looks_warnings(looks, beside),
            *_of_parts(found["parts"], unit.metric),
            *_lacking(len(earlier_of(prepared)) - len(before), folder.parent),
            *asked.warnings(told.windows, own, unit),
        ],
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


def _simpler(
    part: Part, unit: Unit, progress: Progress
) -> tuple[dict[str, Simpler], dict[str, str]]:
    """Baselines that know what lies before a part, and why one of them does not."""
    windows = part.windows
    sizes = windows.histories, windows.horizon
    found: dict[str, Simpler] = {**simple.both(*sizes, unit.season)}
    smoothed = ets.fitted(*sizes, part.seasons, unit.season, progress)
    if isinstance(smoothed, str):
        return found, {"ets": smoothed}
    return {**found, "ets": smoothed}, {}


def _of_parts(found: Sequence[Mapping[str, Any]], metric: str) -> list[str]:
    """That figures are of several parts, and what the model itself reached."""
    if not found:
        return []
    last = found[-1]
    beside = "" if last["baseline"] is None else f" beside {figure(last['baseline']['value'])}"
    return [
        f"figures are of {len(found)} parts of time together, each told by a network that saw only "
        f"what lies before; in the last, from {last['from']} on, that is the model: "
        f"{metric_name(metric)} {figure(last['score']['value'])}{beside}"
    ]


def _lacking(count: int, run: Path) -> list[str]:
    """Earlier parts that no network has learnt yet."""
    if not count:
        return []
    lacks = "1 earlier part of time lacks" if count == 1 else f"{count} earlier parts of time lack"
    return [f"{lacks} a network, so figures are of fewer parts; `silmu train {run}` goes on"]


def _check(pipe: Any, prepared: Prepared) -> None:
    told, target = pipe.processor.layout.target, prepared.dataset.roles.target
    if tuple(told) != tuple(target):
        raise UsageError(
            f"the model tells {listed(told)}, and the data was prepared for {listed(target)}",
            hint="silmu evaluate MODEL --data FILE scores a model of another run",
        )
