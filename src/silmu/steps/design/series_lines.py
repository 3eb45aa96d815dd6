"""The line through the past that a network for series begins with: ridge regression, no torch.

What was learnt from few windows is drawn towards the naive forecast, the last season or the last
value, as strongly as the validation part wants it (Hoerl & Kennard 1970,
https://doi.org/10.1080/00401706.1970.10488634). A network then learns what the line does not tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.steps.design.series_shares import SHARES, smallest
from silmu.steps.prepare.series import features, processor_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from silmu.runtime.series.processor import SeriesProcessor
    from silmu.runtime.series.windows import Panel
    from silmu.steps.prepare.prepared import Prepared
    from silmu.steps.prepare.series import SeriesFeatures

    Line = tuple[NDArray[np.float64], NDArray[np.float64]]

MOST = 20_000
"""Windows of the training part that are looked at, and of the validation part, spread over all."""

AT_ONCE = 512
"""Windows that are cut at once, with all that is known of them."""

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""How strongly a line is drawn towards the naive one, as multiples of what a value varies."""

FEWEST = 8
"""From fewer windows no line is learnt."""

DRIFTING = 0.8
"""A drift is gone on with where that makes the error on the validation part smaller by this factor:
one that ends is worse than none."""

SMOOTHED = 24
"""To either side of a step a season is smoothed over one step of so many."""

FEW, HALFWAY = 6, 0.5
"""Of fewer blocks of time the mean of a plain forecast and a learnt one is taken, or more of it:
such means are hard to beat (Bates & Granger 1969, https://doi.org/10.1057/jors.1969.103)."""

FARTHEST = 10.0
"""Values to be told count as so many deviations of their window at most."""


def line(
    prepared: Prepared, start: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (steps, context) and shifts (steps,) that tell normalised values from past ones.

    Args:
        prepared: whose training part is learnt, and whose validation part decides how strongly.
        start: weights of a forecast by all seasons; others are drawn to them, to those of smoothed
            seasons, or to those of the last season or value, with their drift or without. They stay
            where no others do clearly better.
    """
    processor = processor_of(prepared)
    train, validation = (features(prepared, one) for one in ("train", "validation"))
    panel = processor.panel(train.tracks)
    past, told = _windows(processor, panel, train, _some(train))
    whole = np.isfinite(told).all(axis=1)
    some = _some(validation)
    judged = _windows(processor, panel, validation, some)
    seasons = start.astype(np.float64)
    simple = [seasons, *_smoothed(seasons, processor.season), *_repeated(processor)]

    def best(lines: Iterable[Line]) -> Line:
        return min(lines, key=lambda one: _error(*one, *judged))

    plain = best((one, np.zeros(len(one))) for one in simple)
    level, drifting = (
        best(one for naive in begun for one in _lines(past[whole], told[whole], naive))
        for begun in (simple, _drifting(processor))
    )
    clear = _error(*drifting, *judged) < DRIFTING * _error(*level, *judged)
    blocks = validation.blocks(some, processor.prediction_length)
    weight, shift = _drawn(plain, drifting if clear else level, judged, blocks)
    return weight.astype(np.float32), shift.astype(np.float32)


def _drawn(
    plain: Line,
    learnt: Line,
    judged: tuple[NDArray[np.float64], NDArray[np.float64]],
    blocks: NDArray[np.int64],
) -> Line:
    """A line between a plain forecast and what was learnt: as plain as does not do clearly worse.

    Of few blocks of time little is clear; there it is no plainer than the mean of both.
    """
    past, told = judged
    names = [name for name in np.unique(blocks) if np.isfinite(told[blocks == name]).any()]
    lines = [(plain[0] + share * (learnt[0] - plain[0]), share * learnt[1]) for share in SHARES]
    losses = [
        [_error(*one, past[blocks == name], told[blocks == name]) for name in names]
        for one in lines
    ]
    counts = [float(np.isfinite(told[blocks == name]).sum()) for name in names]
    share = smallest(SHARES, np.array(losses), np.array(counts))
    return lines[SHARES.index(max(share, HALFWAY) if len(names) < FEW else share)]


def _repeated(processor: SeriesProcessor) -> list[NDArray[np.float64]]:
    """Weights of the last season, where it is seen whole, and of the last value."""
    context, season = processor.context_length, processor.season
    steps = np.arange(processor.prediction_length)
    found: list[NDArray[np.float64]] = []
    for back in sorted({1, season if season <= context else 1}):
        weights = np.zeros((len(steps), context))
        weights[steps, context - back + steps % back] = 1.0
        found.append(weights)
    return found


def _smoothed(seasons: NDArray[np.float64], season: int) -> list[NDArray[np.float64]]:
    """The same with neighbouring steps, where a season is so long that each tells little.

    >>> _smoothed(np.eye(48)[2:3], 48)[0][0, :6].round(2).tolist()
    [0.11, 0.22, 0.33, 0.22, 0.11, 0.0]
    """
    reach = season // SMOOTHED
    if not 0 < reach < season <= seasons.shape[1]:
        return []
    wide = np.pad(seasons, ((0, 0), (reach, reach)))
    found = sum(
        (1 + min(i, 2 * reach - i)) * wide[:, i : i + seasons.shape[1]]
        for i in range(2 * reach + 1)
    )
    return [found / np.sum(found, axis=1, keepdims=True)]


def _drifting(processor: SeriesProcessor) -> list[NDArray[np.float64]]:
    """The same with the drift of what was read: from season to season, from beginning to end."""
    context, season = processor.context_length, processor.season
    ahead = np.arange(1, processor.prediction_length + 1)
    found: list[NDArray[np.float64]] = []
    if 1 < season <= context // 2:
        weights, seasons = _repeated(processor)[-1].copy(), -(-ahead // season)[:, None]
        weights[:, context - season :] += seasons / season
        weights[:, context - 2 * season : context - season] -= seasons / season
        found.append(weights)
    for reach in sorted({context - 1, (context - 1) // 4} - {0}):
        weights = np.zeros((len(ahead), context))
        weights[:, -1] = 1 + ahead / reach
        weights[:, -1 - reach] = -ahead / reach
        found.append(weights)
    return found or _repeated(processor)


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


def _some(part: SeriesFeatures) -> NDArray[np.int64]:
    every = part.windows
    return np.asarray(every[:: -(-len(every) // MOST)])


def _windows(
    processor: SeriesProcessor, panel: Panel, part: SeriesFeatures, some: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(windows, context) and (windows, steps), normalised, NaN where nothing was observed."""
    past = np.empty((len(some), processor.context_length))
    told = np.empty((len(some), processor.prediction_length))
    for start in range(0, len(some), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        which, ends = some[rows].T
        read = processor.arrays(panel, which, ends)
        past[rows] = read.feeds["past_values"]
        told[rows] = processor.inward(read, part.told(some[rows], processor.prediction_length))
    return past, np.clip(told, -FARTHEST, FARTHEST)


def _error(
    weight: NDArray[np.float64],
    shift: NDArray[np.float64],
    past: NDArray[np.float64],
    told: NDArray[np.float64],
) -> float:
    return float(np.nanmean(np.abs(past @ weight.T + shift - told)))
