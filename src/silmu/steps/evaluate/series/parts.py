"""Parts of time that a run is tested on: its test part, and the earlier ones of a backtest.

Each was forecast by a network, and by baselines, that knew only what lies before it. What all of
them forecast is judged together, for a short test part alone tells little (Tashman 2000,
https://doi.org/10.1016/S0169-2070(00)00065-0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from silmu.errors import UsageError
from silmu.runtime.series.frame import Series
from silmu.steps.evaluate.series import asked, ets
from silmu.steps.evaluate.series.figures import Said
from silmu.steps.evaluate.series.judged import Simpler
from silmu.steps.evaluate.series.windows import History, Windows, thinned
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.series import BACKTEST, cuts_of, earlier_of, whole
from silmu.steps.prepare.windows import Cuts
from silmu.steps.prepare.windows import windows as every_window
from silmu.steps.train.progress import Progress


@final
@dataclass(frozen=True)
class Part:
    """A part of time, and what its network says of it.

    Attributes:
        windows: whose targets lie in it.
        said: of the windows, by the network.
        before: windows of its validation part, which may choose.
        seasons: steps after which its series may look alike.
    """

    windows: Windows
    said: Said
    before: Windows
    seasons: tuple[int, ...]


@final
@dataclass(frozen=True)
class Told:
    """What a baseline said of the windows of several parts."""

    title: str
    about: Mapping[str, Any]
    all: Said

    def said(self, windows: Windows) -> Said:
        """Its forecasts."""
        assert len(windows) == len(self.all.mean)
        return self.all


@final
@dataclass(frozen=True)
class Joined:
    """Several parts as one, their windows sorted by series and time.

    Attributes:
        windows: on the whole series of the run.
        said: of them, by the network of their part.
        simpler: baselines that every part has.
        part: (windows,), of which part each is, the earliest first.
    """

    windows: Windows
    said: Said
    simpler: Mapping[str, Simpler]
    part: NDArray[np.int64]


def earlier(prepared: Prepared, run: Path) -> list[tuple[Path, Prepared]]:
    """The model and what it was prepared with of each earlier part that was trained."""
    numbers = range(1, len(earlier_of(prepared)) + 1)
    folders = [run / BACKTEST / str(number) for number in numbers]
    return [
        (folder / "4-model", Prepared.open(folder / "2-prepared", prepared.dataset))
        for folder in folders
        if (folder / "4-model").exists()
    ]


def part(pipe: Any, prepared: Prepared, progress: Progress) -> Part:
    """What a pipeline says of the test part that it was prepared with.

    Raises:
        UsageError: that has no window.
    """
    series, cuts, processor = whole(prepared), cuts_of(prepared), pipe.processor
    context, horizon = processor.context_length, processor.prediction_length
    end = max(one.end for one in series)
    every = every_window(series, cuts.test, end, context, horizon)
    if not len(every):
        raise UsageError(
            f"the test part has no window of {horizon:,} steps with a value to tell",
            hint="prepare with test=0.3, say, or a shorter prediction_length",
        )
    first = {int(which): int(end) for which, end in every[::-1]}
    histories = tuple(_history(one, cuts, first.get(i, 0)) for i, one in enumerate(series))
    windows = Windows(histories, *thinned(every, horizon), horizon)
    tracks = [processor.tracks(one, 0) for one in series]
    said = asked.said(pipe, tracks, windows, progress)
    before = every_window(series, cuts.validation, cuts.test - cuts.gap, context, horizon)
    validation = Windows(histories, *thinned(before, horizon), horizon)
    return Part(windows, said, validation, (*processor.step.seasons, processor.season))


def joined(parts: Sequence[Part], simpler: Sequence[Mapping[str, Simpler]]) -> Joined:
    """All parts as one.

    Args:
        parts: the earliest first; the last has the whole series.
        simpler: of each part the baselines that knew what lies before it.
    """
    whole = parts[-1].windows
    places = {history.name: place for place, history in enumerate(whole.histories)}
    which, ends, of = (np.zeros(0, np.int64) for _ in range(3))
    for number, one in enumerate(parts):
        own = np.array([places[history.name] for history in one.windows.histories], np.int64)
        which = np.concatenate([which, own[one.windows.which]])
        ends = np.concatenate([ends, one.windows.ends])
        of = np.concatenate([of, np.full(len(one.windows), number)])
    order = np.lexsort((ends, which))
    names = [name for name in simpler[-1] if all(name in own for own in simpler)]
    told: dict[str, Simpler] = {}
    for name in names:
        every = [own[name].said(one.windows) for one, own in zip(parts, simpler, strict=True)]
        last = simpler[-1][name]
        told[name] = Told(last.title, last.about, _sorted(every, order))
    windows = replace(whole, which=which[order], ends=ends[order])
    return Joined(windows, _sorted([one.said for one in parts], order), told, of[order])


def _sorted(said: Sequence[Said], order: NDArray[np.int64]) -> Said:
    mean = np.concatenate([one.mean for one in said])[order]
    quantiles = [one.quantiles for one in said if one.quantiles is not None]
    if len(quantiles) < len(said):
        return Said(mean)
    return Said(mean, np.concatenate(quantiles)[order])


def _history(one: Series, cuts: Cuts, first: int) -> History:
    """A series of which baselines know the training.

    Where that is too short, as a series began late, they know what lies before its first origin.
    """
    known = int(np.clip(cuts.validation - cuts.gap - one.first, 0, len(one)))
    known = known if known >= ets.FEWEST_STEPS else max(known, first)
    return History(one.name, one.first, one.values, known)
