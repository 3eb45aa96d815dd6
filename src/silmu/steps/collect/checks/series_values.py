"""What is odd about the values of series: outliers, level shifts, numbers that stand for none.

All of it is robust: measured by medians of the changes from step to step, so that a trend, a
season or a random walk is nothing odd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from silmu.steps.collect.checks.sequence import Sequences
from silmu.steps.collect.checks.view import Finding, number, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from silmu.runtime.series.frame import Series

_FEWEST = 40  # values, below which nothing is said of them
_SIGMA = 1.4826  # of a median absolute deviation
_CODES = (99, 999, 9999, 99999, 999999)
_WINDOW = 7  # steps that a value is compared with
_FAR, _PART = 12.0, 0.5  # deviations of neighbours, and parts of the range, that outliers lie off
_FEW = 0.01  # of the values
_JUMP, _STAYS = 10.0, 0.7  # deviations of changes; part of the jump by which the level stays
_SIDE = 20  # steps of either side of a shift
_MOST_SHIFTS = 3
_STILL, _MOVES = 12, 0.95  # steps that stand still, where so much of the rest moves
_NEGATIVE = 0.25  # parts of the range below the rest
MOSTLY = 0.5  # of the values of a series that is asked for now and then
_NEAR = 61  # steps from which is told what is usual around one

Where = list[tuple[int, "NDArray[np.int64]"]]


def check(seen: Sequences) -> list[Finding]:
    """Everything about the values."""
    told = _mostly_nothing(seen)
    coded: Where = []
    noughts: Where = []
    far: Where = []
    shifts: Where = []
    still: Where = []
    negative: Where = []
    for index, one in enumerate(seen.series):
        if one.observed.sum() < _FEWEST:
            continue
        codes = _codes(one)
        for places, at in (
            (coded, codes),
            (noughts, _noughts(one, seen.step.seasons)),
            (shifts, _shifts(one, seen.step.seasons)),
            (still, _still(one, seen.step.seasons)),
        ):
            if len(at):
                places.append((index, at))
        odd = np.setdiff1d(_far(one), codes)
        below = np.setdiff1d(_negative(one), codes)
        if len(below):
            negative.append((index, below))
        odd = np.setdiff1d(odd, below)
        if len(odd):
            far.append((index, odd))
    for kind, severity, places, what, cure in (
        (
            "missing as a number",
            "wrong",
            coded,
            "far from all others and repeated, as if it stood for none",
            "leave the cells empty, if so: as a number it is learned from",
        ),
        (
            "zeros that may be missing",
            "note",
            noughts,
            "0, where nothing else comes near it",
            "leave the cells empty, if nothing was measured there",
        ),
        (
            "outliers",
            "note",
            far,
            "far from what is around",
            "look at them: a slip of the pen, or a day of its own",
        ),
        (
            "level shifts",
            "note",
            shifts,
            "the first after a jump, where the level stays",
            "see what changed: a unit, a sensor, a split of shares; what is before it may be "
            "left out",
        ),
        (
            "values that stand still",
            "note",
            still,
            "the same as the steps before it, in a run, in series that else always move",
            "leave the cells empty, if the sensor had stopped",
        ),
        (
            "negative among positive",
            "note",
            negative,
            "below 0, in series that else are not",
            "see whether they are meant, such as goods that were returned",
        ),
    ):
        if places:
            told.append(_finding(seen, kind, severity, places, what, cure))
    return told


def _mostly_nothing(seen: Sequences) -> list[Finding]:
    """Series that are 0 in most steps, of which a median tells little."""
    shares = {
        index: float((one.values[one.observed] == 0).mean())
        for index, one in enumerate(seen.series)
    }
    rare = [index for index, part in shares.items() if MOSTLY <= part < 1]
    if not rare:
        return []
    values = np.concatenate([seen.series[i].values[seen.series[i].observed] for i in rare])
    return [
        seen.finding(
            "mostly zeros",
            "note",
            f"{share(int((values == 0).sum()), len(values))} of the values are 0, in "
            f"{seen.of(rare)}",
            "the median of a forecast may be 0 then: read the mean, and of the figures the root "
            "mean squared error and crps; longer steps (`--set step=`), summed up (`--set "
            "aggregate=sum`), have fewer of them",
        )
    ]


def _finding(
    seen: Sequences, kind: str, severity: str, places: Where, what: str, cure: str
) -> Finding:
    count = sum(len(at) for _, at in places)
    index, at = places[0]
    one, first = seen.series[index], int(at[0])
    shown = f"{one.values[first]:g} at {seen.when(one.first + first)}"
    rough: Literal["wrong", "note"] = "wrong" if severity == "wrong" else "note"
    return seen.finding(
        kind,
        rough,
        f"{number(count, 'value')} {'is' if count == 1 else 'are'} {what}, in "
        f"{seen.of([index for index, _ in places])}, such as {shown}",
        cure,
        places,
    )


def _codes(one: Series) -> NDArray[np.int64]:
    """Steps with one number such as -999, far from all others."""
    at = np.flatnonzero(one.observed)
    values = one.values[at]
    for end in (values.min(), values.max()):
        rest = values[values != end]
        if abs(end) not in _CODES or len(values) - len(rest) < 2 or len(rest) < _FEWEST / 2:
            continue
        low, high = np.quantile(rest, (0.25, 0.75))
        nearest = rest.min() if end < rest.min() else rest.max()
        if abs(nearest - end) >= 2 * max(high - low, rest.max() - rest.min()):
            return at[values == end]
    return at[:0]


def _noughts(one: Series, seasons: Sequence[int]) -> NDArray[np.int64]:
    """Noughts among values that else stay far from it, unless it is a day of rest."""
    at = np.flatnonzero(one.observed)
    values = one.values[at]
    zero, rest = at[values == 0], values[values != 0]
    if not len(zero) or len(zero) > 0.2 * len(at) or rest.min() <= 0:
        return at[:0]
    if np.quantile(rest, 0.01) <= 0.3 * np.median(rest) or rest.min() < 0.1 * np.median(rest):
        return at[:0]
    for season in seasons:
        most = max(1, season // 7)
        counts = np.sort(np.bincount(zero % season, minlength=season))
        if len(zero) >= max(4, 3 * most) and counts[-most:].sum() > 0.6 * len(zero):
            return at[:0]
    return zero


def _far(one: Series) -> NDArray[np.int64]:
    """Values that neither those around them nor the range of the rest leads to."""
    at, off, scale = _around(one)
    values = one.values[at]
    low, high = np.quantile(values, (0.05, 0.95))
    if high == low:
        return at[:0]
    beyond = np.maximum(values - high, low - values) > _PART * (high - low)
    odd = at[beyond & (np.abs(off) > _FAR * scale)]
    return odd if len(odd) <= max(1, _FEW * len(at)) else odd[:0]


def _negative(one: Series) -> NDArray[np.int64]:
    """The few values below 0, where the others do not lead to them."""
    at = np.flatnonzero(one.observed)
    values = one.values[at]
    below, rest = values < 0, values[values >= 0]
    if not below.any() or below.sum() > max(1, _FEW * len(at)):
        return at[:0]
    low, high = np.quantile(rest, (0.01, 0.99))
    return at[below & (low - values > _NEGATIVE * (high - low))]


def _around(
    one: Series,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Observed steps, how far each lies from the median around it, and how far is usual."""
    at = np.flatnonzero(one.observed)
    values = one.values[at]
    return at, values - _medians(values, _WINDOW), _usual(np.diff(values, prepend=values[0]))


def _medians(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The median of so many values around each."""
    window = min(window, len(values) - 1 | 1)
    padded = np.pad(values, window // 2, mode="reflect")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)


def _usual(changes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The deviation of changes around each, and at least that of all; infinite where it is 0."""
    size = np.abs(changes)
    whole = float(np.median(size))
    if not whole:
        return np.full(len(changes), np.inf)
    return _SIGMA * np.maximum(_medians(size, _NEAR), whole)


def _shifts(one: Series, seasons: Sequence[int]) -> NDArray[np.int64]:
    """Steps at which the level jumps, farther than it ever goes, and stays there."""
    at = np.flatnonzero(one.observed)
    values = one.values[at]
    jumps = np.diff(values)
    season = seasons[0] if seasons and seasons[0] < len(jumps) // 2 else 0
    odd = jumps - np.median(jumps)
    if season:
        # What a step changes at that place of the season is nothing odd.
        odd[season:] = jumps[season:] - jumps[:-season]
    side = max(_SIDE, season)
    found: list[int] = []
    for place in np.flatnonzero(np.abs(odd) > _JUMP * _usual(odd)).tolist():
        before = values[max(0, place + 1 - side) : place + 1]
        after = values[place + 1 : place + 1 + side]
        if min(len(before), len(after)) < side // 2:
            continue
        lower, upper = (before, after) if jumps[place] > 0 else (after, before)
        jump = abs(float(odd[place]))
        stays = min(float(np.median(upper) - np.median(lower)), abs(float(jumps[place])))
        apart = float(np.quantile(upper, 0.1) - np.quantile(lower, 0.9))
        if stays > _STAYS * jump and apart > 0:
            found.append(place + 1)
    if not 0 < len(found) <= _MOST_SHIFTS:
        return at[:0]
    return at[np.array(found, np.int64)]


def _still(one: Series, seasons: Sequence[int]) -> NDArray[np.int64]:
    """Long runs of one value, in series that change from nearly every step to the next."""
    at = np.flatnonzero(one.observed)
    values = one.values[at]
    starts = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)
    lengths = np.diff(np.append(starts, len(values)))
    longest = max(_STILL, seasons[0] if seasons else 0)
    runs = np.flatnonzero(lengths >= longest)
    inside = int(lengths[runs].sum())
    others = len(values) - inside
    if not len(runs) or others < _FEWEST or inside > 0.2 * len(values):
        return at[:0]
    if (len(lengths) - len(runs)) < _MOVES * others:
        return at[:0]
    return np.concatenate([at[starts[run] + 1 : starts[run] + lengths[run]] for run in runs])
