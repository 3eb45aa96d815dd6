"""The tables of a report on series, as plain values: report.py says how each is laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.numbers import Sums
from silmu.steps.evaluate.report import Metric
from silmu.steps.evaluate.series.blocks import Blocks
from silmu.steps.evaluate.series.figures import LEVELS
from silmu.steps.evaluate.series.judged import ABSOLUTE, SCALED, Judged, Unit
from silmu.steps.evaluate.series.windows import Windows

MOST_SERIES = 200
TYPICAL, WORST = 4, 4
"""So many windows are shown."""

BEFORE, MOST_BEFORE = 3, 200
"""So many horizons of the past are shown, and so many steps at most."""

SHOWN_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)

Times = Callable[[NDArray[np.int64]], list[str]]
"""The times of steps, by their numbers, as texts."""

_COLUMN = {ABSOLUTE: "absolute", SCALED: "scaled"}
"""Where the metric that counts is among the columns of `Errors`."""


def by_horizon(judged: Judged, other: Judged | None, unit: Unit, seed: int) -> list[dict[str, Any]]:
    """How the error grows with the steps ahead, of the model and of the strong baseline."""
    steps = judged.said.mean.shape[1]

    def ahead(one: Judged) -> NDArray[np.int64]:
        return one.errors.horizon

    found, beside = _parts(judged, other, ahead, steps, _COLUMN[unit.metric], seed)
    return [
        {"step": step + 1, "score": own, "baseline": one}
        for step, (own, one) in enumerate(zip(found, beside, strict=True))
        if own is not None
    ]


def by_series(
    windows: Windows, judged: Judged, other: Judged | None, unit: Unit, seed: int
) -> list[dict[str, Any]]:
    """Each series by itself, that which is hardest to tell first."""
    size = len(windows.histories)
    found, beside = _parts(judged, other, lambda one: one.errors.which, size, "absolute", seed)
    told: list[dict[str, Any]] = []
    for place, (own, one) in enumerate(zip(found, beside, strict=True)):
        if own is None:
            continue
        scale = float(unit.scales[place])
        scaled = own["value"] / scale if scale > 0 else None
        told.append(
            {
                "series": windows.histories[place].name,
                "windows": int((windows.which == place).sum()),
                "score": own,
                "baseline": one,
                "scaled": scaled,
                "coverage": _within(judged, place),
            }
        )
    told.sort(key=lambda one: (-(one["scaled"] or 0.0), one["series"]))
    return told[:MOST_SERIES]


def by_part(
    part: NDArray[np.int64],
    count: int,
    judged: Judged,
    other: Judged | None,
    unit: Unit,
    seed: int,
) -> list[dict[str, Any]]:
    """Each part of time by itself, the earliest first; `part` is that of each window."""

    def of(one: Judged) -> NDArray[np.int64]:
        return part[one.errors.window]

    found, beside = _parts(judged, other, of, count, _COLUMN[unit.metric], seed)
    within = judged.errors.columns.get("within")
    return [
        {
            "part": place,
            "score": own,
            "baseline": one,
            "coverage": None if within is None else float(within[of(judged) == place].mean()),
        }
        for place, (own, one) in enumerate(zip(found, beside, strict=True))
        if own is not None
    ]


def coverage(judged: Judged) -> list[dict[str, Any]]:
    """Of each decile, the share of true numbers below it, which is to be the decile itself."""
    if "below" not in judged.totals:
        return []
    n = judged.totals["n"][0]
    with np.errstate(divide="ignore", invalid="ignore"):
        again = judged.drawn["below"] / judged.drawn["n"]
    return [
        {
            "quantile": level,
            "share": asdict(
                judged.blocks.metric(
                    "interval_coverage",
                    float(judged.totals["below"][i] / n),
                    again[:, i],
                    int(n),
                )
            ),
        }
        for i, level in enumerate(LEVELS)
    ]


def shown(
    windows: Windows,
    judged: Judged,
    other: Judged | None,
    unit: Unit,
    context: int,
    times: Times,
) -> dict[str, list[dict[str, Any]]]:
    """Windows with what came before, what came, and what was forecast.

    Returns:
        `typical`: windows whose error is near the median, of different series where there are
        several; `worst`: those with the largest.
    """
    error = judged.errors.of_windows("absolute", len(windows))
    scale = np.where(unit.scales > 0, unit.scales, 1.0)[windows.which]
    size = error / scale
    known = np.flatnonzero(np.isfinite(size))
    middle = float(np.median(size[known]))
    nearest = known[np.lexsort((known, np.abs(size[known] - middle)))]
    furthest = known[np.lexsort((known, -size[known]))]
    several = len(np.unique(windows.which[known])) >= TYPICAL
    worst = _apart(windows, furthest, WORST, several=False)
    others = nearest[~np.isin(nearest, worst)]
    typical = _apart(windows, others, TYPICAL, several=several)

    def told(row: int) -> dict[str, Any]:
        return _window(windows, row, judged, other, float(error[row]), context, times)

    return {"typical": [told(i) for i in sorted(typical)], "worst": [told(i) for i in worst]}


def _parts(
    judged: Judged,
    other: Judged | None,
    key: Callable[[Judged], NDArray[np.int64]],
    size: int,
    column: str,
    seed: int,
) -> tuple[list[dict[str, Any] | None], list[dict[str, Any] | None]]:
    """The mean of a column over parts, of both with the same resamples."""
    models = [judged] if other is None else [judged, other]
    tables: list[Sums] = [one.errors.by(key(one), size, column) for one in models]
    drawn = judged.blocks.resample(tables, seed=seed)
    found = [
        _means(judged.blocks, table, again) for table, again in zip(tables, drawn, strict=True)
    ]
    return found[0], found[1] if other is not None else [None] * size


def _means(
    blocks: Blocks, table: Sums, again: Mapping[str, NDArray[np.float64]]
) -> list[dict[str, Any] | None]:
    n, total = table["n"].sum(axis=0), table["of"].sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values, drawn = total / n, again["of"] / again["n"]
    return [
        None
        if not n[i]
        else asdict(Metric(float(values[i]), *blocks.interval(values[i], drawn[:, i]), int(n[i])))
        for i in range(len(n))
    ]


def _within(judged: Judged, place: int) -> float | None:
    within = judged.errors.columns.get("within")
    return None if within is None else float(within[judged.errors.which == place].mean())


def _apart(windows: Windows, order: NDArray[np.int64], count: int, *, several: bool) -> list[int]:
    """The first windows of an order that do not overlap; of different series, where asked for."""
    kept: list[int] = []
    for row in order.tolist():
        of, end = windows.which[row], windows.ends[row]
        near = [
            one
            for one in kept
            if windows.which[one] == of
            and (several or abs(windows.ends[one] - end) < windows.horizon)
        ]
        if not near:
            kept.append(row)
        if len(kept) == count:
            break
    return kept


def _window(
    windows: Windows,
    row: int,
    judged: Judged,
    other: Judged | None,
    error: float,
    context: int,
    times: Times,
) -> dict[str, Any]:
    history, end = windows.histories[int(windows.which[row])], int(windows.ends[row])
    past = min(max(BEFORE * windows.horizon, 2 * BEFORE), max(context, windows.horizon))
    start = max(0, end - min(past, MOST_BEFORE))
    numbers = np.arange(history.first + start, history.first + end + windows.horizon)
    quantiles = judged.said.quantiles
    bands: dict[str, list[float]] = {}
    if quantiles is not None:
        for level in SHOWN_LEVELS:
            bands[str(level)] = quantiles[row, :, LEVELS.index(level)].tolist()
    return {
        "series": history.name,
        "times": times(numbers),
        "past": _plain(history.values[start:end]),
        "truth": _plain(windows.truth[row]),
        "mean": judged.said.mean[row].tolist(),
        "quantiles": bands,
        "baseline": None if other is None else other.said.median[row].tolist(),
        "error": error,
    }


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(one) else one for one in values.tolist()]
