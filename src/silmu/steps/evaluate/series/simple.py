"""Forecasts that anyone could have had: the last value, or the last season, repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.series.figures import LEVELS, Said
from silmu.steps.evaluate.series.windows import History, Windows, ahead

Points = Callable[[int, NDArray[np.int64]], NDArray[np.float64]]
"""Of the place of a series and some ends of it the forecasts (ends, horizon)."""

ORIGINS = 500
"""Of so many origins of the training the errors are told, of each series."""

FEWEST = 20
"""Of fewer errors of one step ahead, those of all steps ahead are taken together."""


@final
@dataclass(frozen=True)
class Baseline:
    """A simpler forecast.

    Attributes:
        title: what it is, in words that fit after "better than".
        points: its forecasts.
        about: what a report says of how it was chosen.
    """

    title: str
    points: Points
    about: dict[str, Any] = field(default_factory=dict[str, Any])

    def said(self, windows: Windows) -> Said:
        """Its forecasts, with deciles from the errors that it makes in the training.

        Errors are told of each series and step ahead, and taken for as likely on both sides, so
        that the median stays what it repeats. Where the training of a series tells of no error,
        there are no deciles.
        """
        mean = np.full((len(windows), windows.horizon), np.nan)
        deciles = np.full((*mean.shape, len(LEVELS)), np.nan)
        for place in map(int, np.unique(windows.which)):
            own = np.flatnonzero(windows.which == place)
            mean[own] = self.points(place, windows.ends[own])
            away = self._away(windows.histories[place], place, windows.horizon)
            deciles[own] = mean[own][..., None] + away
        return Said(mean, None if np.isnan(deciles).any() else deciles)

    def _away(self, history: History, place: int, horizon: int) -> NDArray[np.float64]:
        """(horizon, LEVELS): how far the deciles lie from the forecast."""
        values = history.values[: history.known]
        ends = np.arange(1, len(values), dtype=np.int64)
        if len(ends) > ORIGINS:
            ends = ends[np.linspace(0, len(ends) - 1, ORIGINS).astype(np.int64)]
        if not len(ends):
            return np.full((horizon, len(LEVELS)), np.nan)
        missed = ahead(values, ends, horizon) - self.points(place, ends)
        return _deciles(missed)


def both(histories: Sequence[History], horizon: int, season: int) -> dict[str, Baseline]:
    """The naive forecast, and the seasonal one where there is a season; by name."""
    found = {"naive": naive(histories, horizon)}
    if season > 1:
        found["seasonal_naive"] = seasonal(histories, horizon, season)
    return found


def naive(histories: Sequence[History], horizon: int) -> Baseline:
    """The last observed value, for all steps."""
    return seasonal(histories, horizon, 1)


def seasonal(histories: Sequence[History], horizon: int, season: int) -> Baseline:
    """What was observed a season before, or else two seasons before, and so on.

    Args:
        histories: the series.
        horizon: how many steps are forecast.
        season: in steps; 1 repeats the last value.
    """
    carried = [_carried(history.values, season) for history in histories]

    def points(place: int, ends: NDArray[np.int64]) -> NDArray[np.float64]:
        lags = season - np.arange(horizon) % season
        at = ends[:, None] - lags
        found = np.where(at >= 0, carried[place][np.maximum(at, 0)], np.nan)
        # Before there was a season, the last value.
        last = _carried(histories[place].values, 1)[ends - 1]
        return np.where(np.isnan(found), last[:, None], found)

    title = f"repeating the last {season:,} steps" if season > 1 else "repeating the last value"
    return Baseline(title, points, {"title": title})


def chosen_season(
    histories: Sequence[History], horizon: int, seasons: Sequence[int]
) -> tuple[int, dict[int, float]]:
    """The season whose repetition is nearest to the truth in the training.

    Args:
        histories: the series.
        horizon: how many steps are forecast.
        seasons: to choose from, in steps.

    Returns:
        The season, 1 where none is seen twice in the training; and of each that is, the mean
        absolute error over that of the season 1, of all series together.
    """
    tried: dict[int, float] = {}
    for season in sorted({1, *seasons}):
        away: list[float] = []
        for history in histories:
            values = history.values[: history.known]
            plain, own = (_mean_error(values, horizon, m) for m in (1, season))
            if len(values) >= 2 * season and np.isfinite(own) and plain > 0:
                away.append(own / plain)
        if away:
            tried[season] = float(np.mean(away))
    several = {season: error for season, error in tried.items() if season > 1}
    return min(several, key=lambda season: several[season]) if several else 1, tried


def scales(histories: Sequence[History], season: int) -> NDArray[np.float64]:
    """(series,): how far values are from those a season before in the training, on average.

    Where the training is no longer than a season it is the step before; NaN where it tells of
    neither, and 0 where it does not move.
    """
    found: list[float] = []
    for history in histories:
        values = history.values[: history.known]
        error = _mean_error(values, 1, season)
        found.append(error if np.isfinite(error) else _mean_error(values, 1, 1))
    return np.array(found)


def _mean_error(values: NDArray[np.float64], horizon: int, season: int) -> float:
    """Of repeating a season, over all steps ahead and all origins."""
    lags, counts = np.unique(season * (np.arange(horizon) // season + 1), return_counts=True)
    above = below = 0.0
    for lag, count in zip(lags.tolist(), counts.tolist(), strict=True):
        away = np.abs(values[lag:] - values[:-lag]) if lag < len(values) else np.zeros(0)
        known = away[~np.isnan(away)]
        above, below = above + count * float(known.sum()), below + count * len(known)
    return above / below if below else float("nan")


def _carried(values: NDArray[np.float64], season: int) -> NDArray[np.float64]:
    """The value of each step, or where none was observed that of a season before."""
    rows = -(-len(values) // season)
    padded = np.full(rows * season, np.nan)
    padded[: len(values)] = values
    table = padded.reshape(rows, season)
    seen = np.where(np.isnan(table), 0, np.arange(rows)[:, None])
    last = np.maximum.accumulate(seen, axis=0)
    return np.take_along_axis(table, last, axis=0).ravel()[: len(values)]


def _deciles(missed: NDArray[np.float64]) -> NDArray[np.float64]:
    """(horizon, LEVELS): as far on both sides as the errors were, so that the median stays."""
    size = np.abs(missed)
    every = size[~np.isnan(size)]
    if not len(every):
        return np.full((missed.shape[1], len(LEVELS)), np.nan)
    side = 2 * np.array(LEVELS) - 1
    found = np.empty((missed.shape[1], len(LEVELS)))
    for step, column in enumerate(size.T):
        known = column[~np.isnan(column)]
        enough = known if len(known) >= FEWEST else every
        found[step] = np.sign(side) * np.quantile(enough, np.round(np.abs(side), 9))
    return found
