"""Exponential smoothing, fitted by statsmodels: what a forecaster tries first.

Error, trend and season are chosen by the corrected information criterion (Hyndman, Koehler, Ord and
Snyder, Forecasting with Exponential Smoothing, 2008) on the training; the parameters stay as they
were fitted there, and level, trend and season follow every value up to each origin. Where there is
a season longer than the model can hold, the last that STL sees in the training is repeated
(Cleveland et al., 1990), and what is left is smoothed.

All is done in a unit in which values are about 20: steps and limits of the optimiser are absolute,
and a series in won would else be fitted in another way than in millions of won. No mean is taken
off, since forms that multiply need what is positive to stay so, and one unit for all forms keeps
their criteria comparable.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.series.simple import Baseline
from silmu.steps.evaluate.series.windows import History
from silmu.steps.train.progress import Progress, Work

LONGEST = 24
"""The longest season that the model holds itself."""

MOST_SERIES = 50
"""Of more series none is fitted: it is done for each by itself."""

MOST_STEPS = 5000
"""So many of the newest steps of the training are fitted."""

FEWEST_STEPS = 16
"""Of a series with a shorter training, or one that does not move, the last value is repeated."""

CYCLES = 3
"""So often a long season has to be seen: of fewer, chance looks like a season."""

STRONG = 0.64
"""A long season counts where it explains so much of what is neither trend nor season: the measure
of Wang, Smith and Hyndman, 2006, and the limit that the M4 competition's benchmarks had."""

USUAL = 20.0
"""The size that values have, about, when they are fitted."""

EXACT = 500
"""Of no more steps the first level and season are fitted too; of more they hardly matter."""

Form = tuple[str, str | None, bool, str | None]
"""Error, trend, whether the trend is damped, and season: as statsmodels names them."""

_NAIVE: Form = ("add", None, False, None)


@final
@dataclass(frozen=True)
class States:
    """Of each step what the model knows after it.

    Attributes:
        form: of the model.
        start: the first step that it has seen.
        level, trend: (steps,).
        season: (steps,), of each step its own season; all seasons before the first step go ahead
            of it.
        length: of the season, 1 where there is none.
        damping: what is left of the trend a step later.
        repeated: (steps + horizon,), a season from outside of the model, which is added.
        outer: its length, 1 where there is none.
    """

    form: Form
    start: int
    level: NDArray[np.float64]
    trend: NDArray[np.float64]
    season: NDArray[np.float64]
    length: int
    damping: float
    repeated: NDArray[np.float64]
    outer: int

    def points(self, ends: NDArray[np.int64], horizon: int) -> NDArray[np.float64]:
        """(ends, horizon): forecasts from some steps on; NaN before the first it has seen."""
        there = ends > self.start
        last = np.maximum(ends - self.start - 1, 0)
        ways = np.cumsum(self.damping ** np.arange(1, horizon + 1))
        found = self.level[last, None] + self.trend[last, None] * ways
        # The season's row lags by its length, since the ones before the first step stand ahead.
        at = last[:, None] + 1 + np.arange(horizon) % self.length
        seasonal = self.season[at]
        found = found * seasonal if self.form[3] == "mul" else found + seasonal
        found = found + self.repeated[ends[:, None] + np.arange(horizon)]
        return np.where(there[:, None], found, np.nan)


def fitted(
    histories: Sequence[History],
    horizon: int,
    seasons: Sequence[int],
    season: int,
    progress: Progress | None = None,
) -> Baseline | str:
    """Exponential smoothing of each series, or why there is none.

    Args:
        histories: the series.
        horizon: how many steps are forecast.
        seasons: that there may be, in steps.
        season: the likeliest of them; 1 where there is none.
        progress: what shows how long it goes; nothing, if not given.
    """
    if len(histories) > MOST_SERIES:
        return f"it is fitted for each series by itself, and {len(histories):,} are too many"
    short = [one for one in seasons if 1 < one <= LONGEST]
    inner = season if season in short else max(short, default=1)
    long = sorted((one for one in seasons if one > LONGEST), reverse=True)
    units = [unit_of(history) for history in histories]
    work = (progress or Progress(quiet=True)).work("series smoothed", len(histories))
    states = [
        _fitted(replace(history, values=history.values / unit), horizon, inner, long, work)
        for history, unit in zip(histories, units, strict=True)
    ]

    def points(place: int, ends: NDArray[np.int64]) -> NDArray[np.float64]:
        return states[place].points(ends, horizon) * units[place]

    title = "exponential smoothing (ETS)"
    forms = [_told(one) for one in states]
    counts = {form: forms.count(form) for form in dict.fromkeys(forms)}
    return Baseline(title, points, {"title": title, "forms": counts})


def unit_of(history: History) -> float:
    """What a series is divided by so that values of its training have a mean size of USUAL.

    >>> unit_of(History("", 0, np.array([1e9, -3e9, np.nan]), 3))
    100000000.0
    """
    values = history.values[: history.known]
    sizes = np.abs(values[~np.isnan(values)])
    # Shares of the largest, as the sum of huge numbers is none.
    largest = float(sizes.max(initial=0.0))
    return largest * (float(np.mean(sizes / largest)) / USUAL) if largest else 1.0


def _fitted(history: History, horizon: int, inner: int, long: Sequence[int], work: Work) -> States:
    observed = np.flatnonzero(~np.isnan(history.values))
    start = max(0, history.known - MOST_STEPS, int(observed[0]))
    whole = causally_filled(history.values[start:])
    known = history.known - start
    repeated, outer = np.zeros(len(history.values) + horizon), 1
    seasons = long if known >= FEWEST_STEPS else ()
    for season in seasons:
        cycle = _cycle(whole[:known], season) if known >= CYCLES * season else None
        if cycle is not None:
            repeated = cycle[(np.arange(len(repeated)) - start) % season]
            whole, outer = whole - repeated[start : start + len(whole)], season
            break
    result, form = None, _NAIVE
    if known >= FEWEST_STEPS:
        result, form = _chosen(whole[:known], inner if known >= 2 * inner + 5 else 1, work)
    else:
        work.done()
    if result is None:
        flat = np.zeros(len(whole) + 1)
        return States(form, start, whole, flat[:-1], flat, 1, 1.0, repeated, outer)
    return _followed(whole, known, result, form, start, inner, repeated, outer)


def _cycle(values: NDArray[np.float64], season: int) -> NDArray[np.float64] | None:
    """(season,): the newest season that STL sees, from that of step 0 on; None if it is weak."""
    from statsmodels.tsa.seasonal import STL

    found = STL(values, period=season).fit()
    seasonal, rest = (np.asarray(one, np.float64) for one in (found.seasonal, found.resid))
    both = float(np.var(seasonal + rest))
    if both <= 0 or 1 - float(np.var(rest)) / both < STRONG:
        return None
    cycle = np.empty(season)
    newest = np.arange(len(values) - season, len(values))
    cycle[newest % season] = seasonal[newest]
    return cycle


def _chosen(values: NDArray[np.float64], season: int, work: Work) -> tuple[Any, Form]:
    """The fit with the least criterion; None where none can be told, as nothing moves."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    positive = bool(values.min() > 0)
    errors = ("add", "mul") if positive else ("add",)
    seasons: tuple[str | None, ...] = (None,)
    if season > 1:
        seasons = (None, "add", "mul") if positive else (None, "add")
    trends = ((None, False), ("add", False), ("add", True))
    share = 1 / (len(errors) * len(trends) * len(seasons))
    best: Any = None
    least = np.inf
    chosen = _NAIVE

    def fit(form: Form, first: str) -> Any:
        error, trend, damped, seasonal = form
        model = ETSModel(
            values,
            error=error,
            trend=trend,
            damped_trend=damped,
            seasonal=seasonal,
            seasonal_periods=season if seasonal else None,
            initialization_method=first,
        )
        return model.fit(disp=False)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # A form that does not fit warns in many ways, and loses.
        warnings.simplefilter("ignore")
        for error in errors:
            for trend, damped in trends:
                for seasonal in seasons:
                    work.done(share)
                    form: Form = (error, trend, damped, seasonal)
                    try:
                        one = fit(form, "heuristic")
                    except (ValueError, np.linalg.LinAlgError):
                        continue
                    criterion = _criterion(one.llf, form, season, len(values))
                    if criterion < least:
                        best, chosen, least = one, form, criterion
        if best is not None and len(values) <= EXACT:
            try:
                exact = fit(chosen, "estimated")
                best = exact if np.isfinite(exact.llf) and exact.llf > best.llf else best
            except (ValueError, np.linalg.LinAlgError):
                pass  # the first level and season stay as they were
    return best, chosen


def _criterion(likelihood: float, form: Form, season: int, steps: int) -> float:
    """The corrected information criterion, of which first states are parameters too.

    statsmodels leaves out those that it does not fit, and forms with long seasons then fit a short
    series by chance.
    """
    _, trend, damped, seasonal = form
    states = 1 + bool(trend) + (season - 1 if seasonal else 0)
    count = 1 + bool(trend) + damped + bool(seasonal) + states + 1
    if not np.isfinite(likelihood) or steps <= count + 1:
        return float("inf")
    return -2 * likelihood + 2 * count + 2 * count * (count + 1) / (steps - count - 1)


def _followed(
    values: NDArray[np.float64],
    known: int,
    result: Any,
    form: Form,
    start: int,
    length: int,
    repeated: NDArray[np.float64],
    outer: int,
) -> States:
    """The states of all steps: those of the fit, and then by the same equations."""
    _, trended, damped, seasonal = form
    length = length if seasonal else 1
    neutral = 1.0 if seasonal == "mul" else 0.0
    level, trend = np.empty(len(values)), np.zeros(len(values))
    season = np.full(len(values) + length, neutral)
    level[:known] = result.level
    if trended:
        trend[:known] = result.slope
    if seasonal:
        season[length : length + known] = result.season
        season[:length] = np.asarray(result.initial_seasonal)
    alpha = float(result.smoothing_level)
    beta = float(result.smoothing_trend) if trended else 0.0
    gamma = float(result.smoothing_seasonal) if seasonal else 0.0
    damping = float(result.damping_trend) if damped else 1.0
    for t in range(known, len(values)):
        base = level[t - 1] + damping * trend[t - 1]
        own = season[t]
        error = values[t] - (base * own if seasonal == "mul" else base + own)
        by_season = own if seasonal == "mul" else 1.0
        level[t] = base + alpha * error / by_season
        trend[t] = damping * trend[t - 1] + beta * error / by_season
        # The level after the step, as statsmodels has it; Hyndman et al. take that before.
        season[t + length] = own + gamma * error / (level[t] if seasonal == "mul" else 1.0)
    return States(form, start, level, trend, season, length, damping, repeated, outer)


def causally_filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values in which the last one stays where none was observed: nothing comes from later."""
    seen = np.where(np.isnan(values), 0, np.arange(len(values)))
    return values[np.maximum.accumulate(seen)]


def _told(states: States) -> str:
    """A form as it is written in the field: ETS(A,Ad,M)."""
    error, trend, damped, seasonal = states.form
    letters = {"add": "A", "mul": "M", None: "N"}
    told = f"ETS({letters[error]},{letters[trend]}{'d' if damped else ''},{letters[seasonal]})"
    return f"{told} beside a season of {states.outer:,}" if states.outer > 1 else told
