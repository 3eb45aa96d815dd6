"""Windows of series: what lies before an origin, normalised by itself, and what is known after it.

Many windows are cut at once from a `Panel`, in which all series lie one behind the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.runtime.series.sizes import mean_of, typical_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NORMALISATIONS = ("standard", "mean", "none")
"""What a window is divided by: its deviation, after its mean is taken off; its mean size; nothing.
"""


@final
@dataclass(frozen=True)
class Tracks:
    """A whole series as a network reads it.

    Attributes:
        values: float64 (T,), filled, in the unit of the target.
        observed: bool (T,).
        time_features: float32 (T + ahead, K + P): the calendar and covariates that are known ahead
            first, then past ones, which are 0 after the end.
        static_real: float32 (S,).
        static_categorical: int64 (1,): the number of the series; 0 for one that training did not
            know; empty where training had one series alone.
        scale: how far values of this series usually lie from the mean of a window, as training
            saw it; 0 for a series that it did not know, of which each origin knows what lies
            before it.
    """

    values: NDArray[np.float64]
    observed: NDArray[np.bool_]
    time_features: NDArray[np.float32]
    static_real: NDArray[np.float32]
    static_categorical: NDArray[np.int64]
    scale: float

    def __len__(self) -> int:
        return len(self.values)


@final
@dataclass(frozen=True)
class Windows:
    """Windows as a network reads them.

    Attributes:
        feeds: arrays by the names of a graph's inputs, the first axis windows.
        loc: float64 (windows,): what was taken off.
        scale: float64 (windows,): what was divided by.
    """

    feeds: dict[str, NDArray[Any]]
    loc: NDArray[np.float64]
    scale: NDArray[np.float64]


@final
@dataclass(frozen=True)
class Panel:
    """Series one behind the other, each with room for a context before its beginning."""

    context: int
    values: NDArray[np.float64]
    observed: NDArray[np.bool_]
    last: NDArray[np.int64]
    """Where the last observed value at or before each place is."""
    time_features: NDArray[np.float32]
    starts: NDArray[np.int64]
    """Where the first step of each series lies in values."""
    feature_starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    reaches: NDArray[np.int64]
    """For how many steps each series has time features."""
    static_real: NDArray[np.float32]
    static_categorical: NDArray[np.int64]
    scales: NDArray[np.float64]
    default_scale: float
    """Of series that training did not know and that do not move."""
    _told: dict[tuple[int, str], NDArray[np.float64]] = field(
        default_factory=dict[tuple[int, str], "NDArray[np.float64]"], compare=False
    )

    @classmethod
    def of(cls, tracks: Sequence[Tracks], context: int, default_scale: float) -> Panel:
        """Series laid one behind the other."""
        sizes = np.array([context + len(one) for one in tracks], np.int64)
        reaches = np.array([len(one.time_features) for one in tracks], np.int64)
        blank = np.zeros(context)
        values = np.concatenate([part for one in tracks for part in (blank, one.values)])
        unseen = np.zeros(context, bool)
        observed = np.concatenate([part for one in tracks for part in (unseen, one.observed)])
        width = tracks[0].time_features.shape[1]
        before = np.zeros((context, width), np.float32)
        features = [part for one in tracks for part in (before, one.time_features)]
        starts = np.cumsum(sizes) - sizes + context
        place = np.arange(len(values))
        # Before its first observed value, a series looks no further back than its own beginning.
        own = np.repeat(starts - context, sizes)
        seen = np.maximum.accumulate(np.where(observed, place, -1))
        return cls(
            context,
            values,
            observed,
            np.where(seen >= own, seen, place),
            np.concatenate(features),
            starts,
            np.cumsum(reaches + context) - reaches,
            sizes - context,
            reaches,
            np.stack([one.static_real for one in tracks]),
            np.stack([one.static_categorical for one in tracks]),
            np.array([one.scale for one in tracks]),
            default_scale,
        )

    def cut(
        self,
        which: NDArray[np.int64],
        ends: NDArray[np.int64],
        *,
        prediction: int,
        known: int,
        fill: str,
        normalise: str,
    ) -> Windows:
        """Windows that end before the step `ends` of the series `which`.

        Nothing at or after an end changes what lies before it: where a line to the next value fills
        steps, those since the last value before the end are filled with that instead.

        Args:
            which: numbers of series, (windows,).
            ends: how many steps of it lie before the origin, (windows,).
            prediction: how many steps of the future are told of.
            known: how many of the time features are known ahead.
            fill: one of `filling.RULES`.
            normalise: one of NORMALISATIONS.

        Raises:
            ValueError: an end lies outside of its series, or the future is longer than known.
        """
        lengths, reach = self.lengths[which], self.reaches[which]
        if ((ends < 1) | (ends > lengths)).any() or (known and (ends + prediction > reach).any()):
            raise ValueError(f"ends {ends!r} of series {lengths!r} that are known for {reach!r}")
        back = np.arange(-self.context, 0)
        end = self.starts[which] + ends
        place = end[:, None] + back
        mask = self.observed[place]
        whole = bool(mask.all())
        held = place
        if fill == "linear" and not whole:
            held = np.minimum(place, self.last[end - 1][:, None])
        values = self.values[held]
        usual = self._usual(which, ends, normalise)
        loc, scale = _moments(values, None if whole else mask, usual, normalise)
        past = (values - loc[:, None]) / scale[:, None]
        if not whole:
            if fill == "none":
                past[~mask] = 0.0
            past[ends[:, None] + back < 0] = 0.0
            if normalise != "none":
                # No value that is observed lies farther; what is filled in may come from elsewhere.
                np.clip(past, -self.context - 1, self.context + 1, out=past)
        feeds: dict[str, NDArray[Any]] = {
            "past_values": past.astype(np.float32),
            "past_observed_mask": mask.astype(np.float32),
        }
        if self.time_features.shape[1]:
            first = self.feature_starts[which] + ends
            feeds["past_time_features"] = self.time_features[first[:, None] + back]
            if known:
                ahead = self.time_features[:, :known]
                feeds["future_time_features"] = ahead[first[:, None] + np.arange(prediction)]
        if self.static_real.shape[1]:
            feeds["static_real_features"] = self.static_real[which]
        if self.static_categorical.shape[1]:
            feeds["static_categorical_features"] = self.static_categorical[which]
        return Windows(feeds, loc, scale)

    def _usual(
        self, which: NDArray[np.int64], ends: NDArray[np.int64], normalise: str
    ) -> NDArray[np.float64]:
        """By what windows are usually divided, as training saw it, or what lies before each."""
        found = self.scales[which]
        for series in np.unique(which[found == 0]).tolist():
            key = (series, normalise)
            if key not in self._told:
                start = int(self.starts[series])
                part = slice(start, start + int(self.lengths[series]))
                told = typical_until(
                    self.values[part], self.observed[part], self.context, normalise
                )
                self._told[key] = np.where(told > 0, told, self.default_scale)
            own = which == series
            found[own] = self._told[key][ends[own] - 1]
        return found


def _moments(
    values: NDArray[np.float64],
    mask: NDArray[np.bool_] | None,
    usual: NDArray[np.float64],
    normalise: str,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is taken off each window, and what it is divided by.

    What is usual of the series counts as one value more: it decides for windows of few values, and
    for those that do not move.
    """
    loc = np.zeros(len(values))
    if normalise == "none":
        return loc, np.ones(len(values))
    count = float(values.shape[1]) if mask is None else mask.sum(axis=1).astype(np.float64)
    if normalise == "mean":
        sizes = np.abs(values) if mask is None else np.abs(values) * mask
        return loc, (sizes.sum(axis=1) + usual) / (count + 1)
    loc = mean_of(values, mask)
    away = values - loc[:, None]
    squares = (away * away if mask is None else away * away * mask).sum(axis=1)
    return loc, np.sqrt((squares + usual**2) / (count + 1))
