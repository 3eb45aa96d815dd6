"""A model on series that it was not prepared with, such as the months since: rolling origins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.errors import InputError
from silmu.runtime.series.frame import Series
from silmu.steps.collect.dataset import Dataset
from silmu.steps.collect.series import columns_of, layout_of
from silmu.steps.evaluate.judged import plain, write
from silmu.steps.evaluate.report import Report
from silmu.steps.evaluate.scoring import fingerprint_of
from silmu.steps.evaluate.series import asked, simple
from silmu.steps.evaluate.series.judged import Unit, judge
from silmu.steps.evaluate.series.windows import History, Windows, thinned
from silmu.steps.evaluate.trained import training_of
from silmu.steps.prepare.series import cuts_of
from silmu.steps.prepare.windows import windows as every_window
from silmu.steps.train.progress import Progress

SEED = 0


def evaluate(
    pipe: Any, model: Path, dataset: Dataset, folder: Path | None, *, progress: Progress
) -> Report:
    """Scores a model on new series; writes what was found where a folder is given.

    A forecast is made from each step that has a whole context before it, or of a short series half
    of it. The naive forecasts beside it take what lies before the first of these for what they
    know of a series.
    """
    started = time.monotonic()
    processor = pipe.processor
    # Columns as this file has them, on the steps that the model knows.
    own, here = processor.layout, layout_of(dataset)
    layout = replace(here, step=own.step, zone=own.zone, aggregate=own.aggregate)
    series = processor.series(columns_of(dataset), dataset.row_numbers, layout=layout)
    context, horizon = processor.context_length, processor.prediction_length
    starts = [_start(one, context, horizon) for one in series]
    every = _windows(series, starts, context, horizon)
    if not len(every):
        longest = max(len(one) for one in series)
        raise InputError(
            f"the longest series has {longest:,} steps, and none tells of {horizon:,} steps after "
            "a history",
            hint=f"give at least {horizon + 1:,} steps; {context + horizon:,} have a whole context",
        )
    histories = tuple(
        History(one.name, one.first, one.values, start)
        for one, start in zip(series, starts, strict=True)
    )
    windows = Windows(histories, *thinned(every, horizon), horizon)
    tracks = [processor.tracks(one, 0) for one in series]
    said = asked.said(pipe, tracks, windows, progress)
    unit = Unit.of(histories, horizon, [*processor.step.seasons, processor.season])
    judged, others = judge(windows, said, simple.both(histories, horizon, unit.season), unit, SEED)
    strong = "seasonal_naive" if unit.repeats else "naive"
    compared = {name: judged.against(one, unit.metric, name) for name, one in others.items()}
    comparison = compared.pop(strong)
    values: dict[str, Any] = {
        **asked.head(pipe, fingerprint_of(pipe), unit),
        "data": asked.data(dataset, judged) | {"counts": {}, "unseen": [], "without_label": 0},
        "look": None,
        "looks_beside": 0,
        "metrics": judged.metrics,
        "baselines": {name: one.metrics for name, one in others.items()},
        "comparison": {**comparison, "others": compared},
        "warnings": [
            *_warnings(pipe, windows, Path(model)),
            *asked.warnings(windows, judged, unit),
        ],
        "details": asked.details(
            judged, others, asked.told(pipe, windows, judged, others[strong], unit, SEED), SEED
        ),
    }
    values["seconds"] = {"evaluate": time.monotonic() - started}
    report = Report(plain(values))
    if folder is not None:
        write(report, folder, None, {})
    return report


def _start(one: Series, context: int, horizon: int) -> int:
    """The first origin: after a context, or where a series is short, half way to its last."""
    last = len(one) - horizon
    return context if context <= last else max(1, last // 2)


def _windows(
    series: Sequence[Series], starts: Sequence[int], context: int, horizon: int
) -> NDArray[np.int64]:
    found = [np.zeros((0, 2), np.int64)]
    for number, (one, start) in enumerate(zip(series, starts, strict=True)):
        own = every_window([one], one.first + start, one.end, context, horizon)
        own[:, 0] = number
        found.append(own)
    return np.concatenate(found)


def _warnings(pipe: Any, windows: Windows, model: Path) -> list[str]:
    """Series that training did not know, and steps that it saw."""
    found: list[str] = []
    known = set(pipe.processor.names)
    there = [windows.histories[int(i)].name for i in np.unique(windows.which)]
    unknown = [name for name in there if name not in known]
    if unknown and len(known) > 1:
        named = ", ".join(unknown[:5])
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        are = "1 series is" if len(unknown) == 1 else f"{len(unknown):,} series are"
        found.append(f"{are} none of the training: {named}{more}")
    prepared = training_of(model)
    if prepared is not None and prepared.dataset.roles.time is not None:
        test = cuts_of(prepared).test
        of_training = np.array([history.name in known for history in windows.histories])
        seen = (windows.steps < test) & of_training[windows.which][:, None]
        if share := float(seen.mean()):
            found.append(
                f"{share:.0%} of the steps that are forecast lie before the test part of the "
                "training, which chose the model by them: figures are too good where the series "
                "are the same"
            )
    return found
