"""The line through the past that a network for series begins with: ridge regression, no torch.

What was learnt from few windows is drawn towards the naive forecast, the last season or the last
value, as strongly as the validation part wants it (Hoerl & Kennard 1970,
https://doi.org/10.1080/00401706.1970.10488634). A network then learns what the line does not tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.steps.prepare.series import features, processor_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from silmu.runtime.series.processor import SeriesProcessor
    from silmu.runtime.series.windows import Panel
    from silmu.steps.prepare.prepared import Prepared
    from silmu.steps.prepare.series import SeriesFeatures

MOST = 20_000
"""Windows of the training part that are looked at, and of the validation part, spread over all."""

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""How strongly a line is drawn towards the naive one, as multiples of what a value varies."""

FEWEST = 8
"""From fewer windows no line is learnt."""

FARTHEST = 10.0
"""Values to be told count as so many deviations of their window at most."""


def line(
    prepared: Prepared, start: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (steps, context) and shifts (steps,) that tell normalised values from past ones.

    Args:
        prepared: whose training part is learnt, and whose validation part decides how strongly.
        start: weights of a forecast by all seasons; others are drawn to them, or to the last
            season, or to the last value. They stay where no others do better.
    """
    processor, train = processor_of(prepared), features(prepared, "train")
    panel = processor.panel(train.tracks)
    past, told = _windows(processor, panel, train)
    whole = np.isfinite(told).all(axis=1)
    judged = _windows(processor, panel, features(prepared, "validation"))
    beginnings = [start.astype(np.float64), _repeated(processor, processor.season)]
    beginnings.append(_repeated(processor, 1))
    found = [one for naive in beginnings for one in _lines(past[whole], told[whole], naive)]
    best = min(found, key=lambda one: _error(*one, *judged))
    return best[0].astype(np.float32), best[1].astype(np.float32)


def _repeated(processor: SeriesProcessor, season: int) -> NDArray[np.float64]:
    """The weights of the last season; of the last value, where it is 1 or not seen whole."""
    context, steps = processor.context_length, np.arange(processor.prediction_length)
    back = season if season <= context else 1
    weights = np.zeros((len(steps), context))
    weights[steps, context - back + steps % back] = 1.0
    return weights


def _lines(
    past: NDArray[np.float64], told: NDArray[np.float64], start: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Weights and shifts: those of the start, and drawn to them ever more strongly."""
    yield start, np.zeros(len(start))
    if len(past) < FEWEST:
        return
    x = np.concatenate([past, np.ones((len(past), 1))], axis=1)
    squares, products = x.T @ x / len(x), x.T @ (told - past @ start.T) / len(x)
    values, vectors = np.linalg.eigh(squares)
    turned = vectors.T @ products
    typical = float(np.trace(squares)) / len(squares)
    for strength in STRENGTHS:
        found = vectors @ (turned / (values.clip(0) + strength * typical)[:, None])
        yield start + found[:-1].T, found[-1]


def _windows(
    processor: SeriesProcessor, panel: Panel, part: SeriesFeatures
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(windows, context) and (windows, steps), normalised, NaN where nothing was observed."""
    every = part.windows
    some = np.asarray(every[:: -(-len(every) // MOST)])
    read = processor.arrays(panel, some[:, 0], some[:, 1])
    told = processor.inward(read, part.told(some, processor.prediction_length))
    return read.feeds["past_values"].astype(np.float64), np.clip(told, -FARTHEST, FARTHEST)


def _error(
    weight: NDArray[np.float64],
    shift: NDArray[np.float64],
    past: NDArray[np.float64],
    told: NDArray[np.float64],
) -> float:
    return float(np.nanmean(np.abs(past @ weight.T + shift - told)))
