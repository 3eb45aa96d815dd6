"""What a model forecasts of windows, and what a report says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.runtime.series.calendar import written
from silmu.runtime.series.windows import Tracks
from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate.report import FORMAT
from silmu.steps.evaluate.series import details as tables
from silmu.steps.evaluate.series.figures import LEVELS, PROMISED, Said
from silmu.steps.evaluate.series.judged import SCALED, Judged, Unit
from silmu.steps.evaluate.series.windows import Windows
from silmu.steps.prepare.windows import FEW
from silmu.steps.train.progress import Progress

if TYPE_CHECKING:
    from silmu.steps.evaluate.series.parts import Joined

AT_ONCE = 64
"""So many windows are asked together; networks that draw trajectories take a while for them."""

MOSTLY = 0.5
"""From which share of true numbers that are 0 on it is told what figures mean then."""


def said(pipe: Any, tracks: Sequence[Tracks], windows: Windows, progress: Progress) -> Said:
    """The forecasts of a pipeline, as anyone will have them."""
    means: list[Any] = [np.zeros((0, windows.horizon))]
    quantiles: list[Any] = [np.zeros((0, windows.horizon, len(LEVELS)))]
    chosen = [pipe.processor.quantiles.index(level) for level in LEVELS]
    work = progress.work("windows forecast", len(windows))
    for start in range(0, len(windows), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        found = pipe.forecast(tracks, windows.which[some], windows.ends[some])
        means.append(found.mean)
        quantiles.append(found.quantiles[..., chosen])
        work.done(len(found.mean))
    return Said(np.concatenate(means), np.concatenate(quantiles))


def head(pipe: Any, fingerprint: str, unit: Unit) -> dict[str, Any]:
    """What a report begins with."""
    folder, target = pipe.model.folder, pipe.processor.layout.target
    return {
        "format": FORMAT,
        "task": pipe.task,
        "rows": "series",
        "kind": "number",
        "labels": [],
        "targets": list(target) if len(target) > 1 else [],
        "model": {"name": Path(folder.name).name or folder.name, "fingerprint": fingerprint},
        "metric": unit.metric,
    }


def data(dataset: Dataset, judged: Judged) -> dict[str, Any]:
    """What a report says of the data."""
    return {
        "name": dataset.name,
        "source": dataset.source,
        "fingerprint": dataset.fingerprint,
        "rows_in": dataset.rows_in,
        "group": dataset.roles.group,
        "dropped": [{"reason": one.reason, "count": one.count} for one in dataset.dropped],
        "scored": len(judged.errors.moment),
        "failed": [],
        "moved": None,
    }


def told(
    pipe: Any, windows: Windows, own: Judged, strong: Judged | None, unit: Unit, seed: int
) -> dict[str, Any]:
    """`details.series` of a report."""
    processor = pipe.processor
    times = partial(written, processor.step, processor.layout.zone)
    ends = windows.steps
    distances = np.diff(windows.ends)[np.diff(windows.which) == 0]
    first, last = times(np.array([ends.min(), ends.max()]))
    return {
        "step": processor.step.words,
        "context_length": processor.context_length,
        "prediction_length": processor.prediction_length,
        "season": unit.season if unit.season > 1 else None,
        "seasons": {str(season): error for season, error in unit.tried.items()},
        "series": len(np.unique(windows.which)),
        "windows": len(windows),
        "stride": int(np.median(distances)) if len(distances) else 1,
        "from": first,
        "to": last,
        "by_horizon": tables.by_horizon(own, strong, unit, seed),
        "by_series": tables.by_series(windows, own, strong, unit, seed),
        "coverage": tables.coverage(own),
        **tables.shown(windows, own, strong, unit, processor.context_length, times),
    }


def by_part(
    pipe: Any, told: Joined, own: Judged, strong: Judged | None, unit: Unit, seed: int
) -> list[dict[str, Any]]:
    """`parts` of `details.series`; none where the test part is alone."""
    count = int(told.part.max()) + 1
    if count == 1:
        return []
    times = partial(written, pipe.processor.step, pipe.processor.layout.zone)
    found: list[dict[str, Any]] = []
    for one in tables.by_part(told.part, count, own, strong, unit, seed):
        steps = told.windows.steps[told.part == one.pop("part")]
        first, last = times(np.array([steps.min(), steps.max()]))
        found.append({"from": first, "to": last, "windows": len(steps), **one})
    return found


def details(
    own: Judged, others: Mapping[str, Judged], found: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """The details of a report; what is only of rows is left out."""
    return {
        "series": dict(found),
        "promised": PROMISED,
        "baselines": {name: dict(one.about) for name, one in others.items()},
        "bootstrap": own.blocks.to_dict(seed),
    }


def warnings(windows: Windows, own: Judged, unit: Unit) -> list[str]:
    """What a reader of the figures must know."""
    found: list[str] = []
    blocks = own.blocks
    if blocks.moments < FEW * windows.horizon:
        found.append(
            f"the steps that are told span only {blocks.moments:,}, which is "
            f"{blocks.moments / windows.horizon:.1f} times what is forecast at once, so every "
            "figure is rough"
        )
    there = np.unique(windows.which)
    still = int((~(unit.scales[there] > 0)).sum())
    if still:
        found.append(
            f"{still:,} series {'do' if still > 1 else 'does'} not move in the training, and "
            f"{'are' if still > 1 else 'is'} in no scaled error"
        )
    truth = windows.truth[~np.isnan(windows.truth)]
    nothing = float((truth == 0).mean()) if len(truth) else 0.0
    if nothing >= MOSTLY:
        found.append(
            f"{nothing:.0%} of the numbers that are told are 0, and so may be the median that errs "
            "least: read the mean, by the root mean squared error, and crps. In sMAPE a step at "
            "which both are 0 counts as no error, and one at which only one is as 200"
        )
    unseen = len(windows.histories) - len(there)
    if unseen:
        have, are = ("have", "are") if unseen > 1 else ("has", "is")
        found.append(f"{unseen:,} series {have} no step to tell here, and {are} in no figure")
    if unit.metric == SCALED:
        found.append(
            "the series differ in size by more than ten times: figures in their unit tell of the "
            "largest, and scaled errors count"
        )
    return found
