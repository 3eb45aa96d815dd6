"""Forecasts of rolling origins, made into what a report says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.comparison import concluded
from silmu.steps.evaluate.metrics import LOWER_IS_BETTER
from silmu.steps.evaluate.numbers import Sums, Totals
from silmu.steps.evaluate.series.blocks import Blocks
from silmu.steps.evaluate.series.figures import Errors, Said, errors, measure
from silmu.steps.evaluate.series.simple import chosen_season, scales
from silmu.steps.evaluate.series.windows import History, Windows

ABSOLUTE, SCALED = "mean_absolute_error", "mean_absolute_scaled_error"
DIFFERENT = 10.0
"""Where the sizes of series differ by more than this factor, scaled errors count."""


ROUNDED = 1e-4
"""The share of an error that is no difference: forecasts of 32 bits, whose errors are a thousandth
of what is forecast, differ by as much."""


@final
@dataclass(frozen=True)
class Unit:
    """By what errors are judged.

    Attributes:
        season: after which the seasonal naive forecast repeats, 1 where there is none.
        tried: of each season the error of repeating it in the training, over that of season 1.
        scales: (series,), the size of the errors in each series.
        metric: that counts.
    """

    season: int
    tried: Mapping[int, float]
    scales: NDArray[np.float64]
    metric: str

    @property
    def repeats(self) -> bool:
        """Whether the season is nearer to the truth than the last value, in the training."""
        return self.tried.get(self.season, np.inf) < 1

    @classmethod
    def of(cls, histories: Sequence[History], horizon: int, seasons: Sequence[int]) -> Unit:
        """What the training tells of it."""
        season, tried = chosen_season(histories, horizon, seasons)
        found = scales(histories, season if tried.get(season, np.inf) < 1 else 1)
        there = found[found > 0]
        differ = len(there) > 1 and there.max() > DIFFERENT * there.min()
        return cls(season, tried, found, SCALED if differ else ABSOLUTE)


@final
@dataclass(frozen=True)
class Judged:
    """What one model said of windows, with the sums of its metrics and of resamples."""

    said: Said
    errors: Errors
    totals: Totals
    drawn: Totals
    blocks: Blocks
    title: str = ""
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Each metric with its interval, as in metrics.json."""
        once, again = measure(self.totals), measure(self.drawn)
        n = int(self.totals["n"][0])
        return {
            name: asdict(self.blocks.metric(name, float(value), again[name], n))
            for name, value in once.items()
            if np.isfinite(value)
        }

    def against(self, other: Judged, metric: str, name: str) -> dict[str, Any]:
        """The paired difference to another, as `comparison` of metrics.json has it."""
        sign = -1 if metric in LOWER_IS_BETTER else 1
        own, others = (float(measure(one.totals)[metric]) for one in (self, other))
        again = measure(self.drawn)[metric] - measure(other.drawn)[metric]
        difference = sign * (own - others)
        low, high = self.blocks.interval(difference, sign * again)
        if max(-low, high) < ROUNDED * max(abs(own), abs(others)):
            difference = low = high = 0.0
        units = self.blocks.count
        return concluded(metric, difference, low, high, name=name, title=other.title, units=units)


class Simpler(Protocol):
    """What a model is judged beside, such as `simple.Baseline`."""

    @property
    def title(self) -> str:
        """What it is, in words that fit after "better than"."""
        ...

    @property
    def about(self) -> Mapping[str, Any]:
        """What a report says of how it was chosen."""
        ...

    def said(self, windows: Windows) -> Said:
        """Its forecasts."""
        ...


def judge(
    windows: Windows,
    model: Said,
    baselines: Mapping[str, Simpler],
    unit: Unit,
    seed: int,
) -> tuple[Judged, dict[str, Judged]]:
    """A model and its baselines on the same windows, with the same resamples for all."""
    said = {"": model, **{name: one.said(windows) for name, one in baselines.items()}}
    found = {name: errors(windows, one, unit.scales) for name, one in said.items()}
    sums: list[Sums] = [one.sums() for one in found.values()]
    blocks = Blocks.of(found[""].moments, windows.horizon)
    drawn = blocks.resample(sums, seed=seed)
    judged: dict[str, Judged] = {}
    for (name, one), own, again in zip(said.items(), sums, drawn, strict=True):
        totals = {key: block.sum(axis=0) for key, block in own.items()}
        about: Mapping[str, Any] = baselines[name].about if name else {}
        title = baselines[name].title if name else ""
        judged[name] = Judged(one, found[name], totals, again, blocks, title, about)
    return judged.pop(""), judged


def strongest(
    windows: Windows, baselines: Mapping[str, Simpler], names: Sequence[str], unit: Unit
) -> tuple[str, dict[str, float]]:
    """Which of some baselines errs least in windows that are not those of the test.

    Args:
        windows: of the validation part.
        baselines: all of them.
        names: of those that are compared; the first is the strongest where no window tells.
        unit: by what errors are judged.

    Returns:
        Its name, and what each reached.
    """
    reached: dict[str, float] = {}
    for name in names:
        found = errors(windows, baselines[name].said(windows), unit.scales)
        value = float(measure({k: b.sum(axis=0) for k, b in found.sums().items()})[unit.metric])
        if np.isfinite(value):
            reached[name] = value
    return min(reached, key=lambda name: reached[name], default=names[0]), reached
