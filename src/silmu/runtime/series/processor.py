"""Series <-> the arrays that a network reads.

All that was fitted is here, and it was fitted on what training saw. Training, evaluation and use
cut their windows here, so that a network reads in use what it read in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from silmu.runtime.cells import LARGEST
from silmu.runtime.series import fitting, stored
from silmu.runtime.series.calendar import PARTS, parts, width
from silmu.runtime.series.covariates import Covariate
from silmu.runtime.series.filling import RULES
from silmu.runtime.series.forecasts import HEADS, Forecasts, floored, normalised, stretched
from silmu.runtime.series.frame import Layout, Read, Series
from silmu.runtime.series.reading_again import read_again
from silmu.runtime.series.tracks import tracks_of
from silmu.runtime.series.windows import NORMALISATIONS, Panel, Tracks, Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder
    from silmu.runtime.series.steps import Step

FILE = stored.FILE

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

MOST_STEPS = 1 << 16
"""Of the past that is read, and of the future that is told, at most."""
MOST_QUANTILES = 1000
WIDEST = 1e6
"""By how much quantiles are stretched at most."""


@final
@dataclass(frozen=True)
class SeriesProcessor:
    """How a model that silmu trained wants its series.

    Attributes:
        layout: which columns tell what, and the step of the time.
        known: covariates that are known ahead.
        past: covariates that are not.
        static: covariates that never change within a series.
        calendar: the parts of the calendar that are told.
        names: the series of the training; their numbers begin with 1.
        scale: by what windows of each of these are usually divided.
        default_scale: of series that training did not know and that do not move.
        fill: how steps without a value are filled, one of `filling.RULES`.
        normalise: how a window is normalised, one of `windows.NORMALISATIONS`.
        context_length: how many steps of the past a network reads.
        prediction_length: how many of the future it tells of.
        season: steps after which the past is likest to come again; 1 for none.
        head: what a network tells: `quantiles`, or the `student_t` distribution.
        quantiles: shares, in order, 0.5 among them.
        spread: by how much each quantile's distance to the median is stretched, as fitted on the
            validation split; None until fitted.
        floor: below what nothing is told once spreads are fitted: 0, where no value of the training
            is below it; None, where some is. A window that has values below it is free of it.
    """

    layout: Layout
    known: tuple[Covariate, ...]
    past: tuple[Covariate, ...]
    static: tuple[Covariate, ...]
    calendar: tuple[str, ...]
    names: tuple[str, ...]
    scale: Mapping[str, float]
    default_scale: float
    fill: str
    normalise: str
    context_length: int
    prediction_length: int
    season: int
    head: str = "quantiles"
    quantiles: tuple[float, ...] = DECILES
    spread: tuple[float, ...] | None = None
    floor: float | None = None

    def __post_init__(self) -> None:
        shares = self.quantiles
        scales = [*self.scale.values(), self.default_scale]
        read = [one.name for one in self.inputs]
        if not (
            self.layout.step is not None
            and self.fill in RULES
            and self.normalise in NORMALISATIONS
            and self.head in HEADS
            and min(self.context_length, self.prediction_length, self.season) >= 1
            and max(self.context_length, self.prediction_length) <= MOST_STEPS
            and len(shares) <= MOST_QUANTILES
            and all(0.001 <= share <= 0.999 for share in shares)
            and 0.5 in shares
            and list(shares) == sorted({*shares})
            and all(0 < one <= LARGEST for one in scales)
            and (self.spread is None or len(self.spread) == len(shares))
            and all(0 < one <= WIDEST for one in self.spread or ())
            and self.floor in (None, 0.0)
            and {*self.calendar} <= {*PARTS}
            and {*self.scale} == {*self.names}
            and len({*self.names}) == len(self.names)
            and {*read} <= {*self.layout.input}
            and len({*read}) == len(read)
        ):
            raise ValueError(f"not the settings of series: {self!r:.300}")

    @classmethod
    def fitted(
        cls,
        read: Read,
        layout: Layout,
        *,
        ends: Mapping[str, int],
        fill: str,
        normalise: str,
        context_length: int,
        prediction_length: int,
        season: int,
        known: Sequence[str] | None = None,
        head: str = "quantiles",
        quantiles: Sequence[float] = DECILES,
    ) -> SeriesProcessor:
        """A processor for series, told by what training may see of them.

        Args:
            read: all series, and how they were read.
            layout: as that was asked for.
            ends: by the name of a series, how many of its steps training may see.
            fill, normalise, context_length, prediction_length, season, head, quantiles: as the
                class has them.
            known: the covariates that are known ahead; those that have values after the last
                target of each series, if not given.

        Raises:
            UsageError: `known` names no covariate.
            InputError: there is nothing that training may see.
        """
        how = read.layout
        layout = replace(
            layout, step=read.step, zone=how.zone, order=how.order, written=how.written
        )
        seen = fitting.seen(read.series, ends)
        covariates = fitting.covariates(seen, layout.input, known)
        scale, default = fitting.scales(seen, context_length, normalise)
        told = parts(read.step, fitting.span(seen)) if layout.time is not None else ()
        return cls(
            layout=layout,
            known=covariates.known,
            past=covariates.past,
            static=covariates.static,
            calendar=told,
            names=tuple(scale),
            scale=scale,
            default_scale=default,
            fill=fill,
            normalise=normalise,
            context_length=context_length,
            prediction_length=prediction_length,
            season=season,
            head=head,
            quantiles=tuple(quantiles),
            floor=fitting.floor(seen),
        )

    @classmethod
    def open(cls, folder: Folder) -> SeriesProcessor:
        """The processor of a model folder.

        Raises:
            InvalidModelError: processor.json is missing or broken, or is of a model for others.
            UnsupportedModelError: it is of a newer silmu.
        """
        return stored.opened(folder, cls)

    def with_outcome(
        self, spread: Sequence[float] | None = None, *, head: str | None = None
    ) -> SeriesProcessor:
        """The same, with what training found on the validation split, and what was trained."""
        fitted = None if spread is None else tuple(map(float, spread))
        return replace(self, spread=fitted, head=head or self.head)

    def to_bytes(self) -> bytes:
        """What processor.json holds."""
        return stored.to_bytes({own.name: getattr(self, own.name) for own in fields(self)})

    @property
    def step(self) -> Step:
        """How far apart times are."""
        return cast("Step", self.layout.step)

    @property
    def sizes(self) -> dict[str, int]:
        """How many numbers the inputs of a network have: `known`, `past`, `static_real`, and
        `series`, the numbers of series with the unknown, or 0 where there was one series alone.
        """
        return {
            "known": width(self.calendar) + sum(one.width for one in self.known),
            "past": sum(one.width for one in self.past),
            "static_real": sum(one.width for one in self.static),
            "series": len(self.names) + 1 if len(self.names) > 1 else 0,
        }

    @property
    def median(self) -> int:
        """The place of the median among the quantiles."""
        return self.quantiles.index(0.5)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each series of the training; empty where there was one alone."""
        return {name: i for i, name in enumerate(self.names, 1)} if len(self.names) > 1 else {}

    def series(
        self,
        columns: Mapping[str, Sequence[Any] | NDArray[Any]],
        numbers: NDArray[np.int64] | None = None,
        *,
        layout: Layout | None = None,
    ) -> tuple[Series, ...]:
        """The series of rows, which are read as those of the training were.

        A series that training did not know may be without the columns that name series, and of
        several targets some may be left out.

        Args:
            columns: cells by the names of columns, all of one length; others are not read.
            numbers: what rows are called in errors, from 1 on if not given.
            layout: other names of the columns than those of the training.

        Raises:
            MissingKeyError: a column is not there.
            InputError: as `read_series`.
        """
        inputs = tuple(one.name for one in self.inputs)
        return read_again(columns, layout or self.layout, inputs, numbers)

    @property
    def inputs(self) -> tuple[Covariate, ...]:
        """The covariates that tell something."""
        return (*self.known, *self.past, *self.static)

    def tracks(self, one: Series, ahead: int, *, is_dated: bool = True) -> Tracks:
        """A whole series as a network reads it.

        Args:
            one: a series with its covariates.
            ahead: for how many steps after its end the future is to be told of.
            is_dated: whether its steps are those of the training; else nothing is told of the
                calendar, as if it were at its middle everywhere.

        Raises:
            InputError: a covariate that is known ahead is not given for each of these steps, or a
                covariate is no number.
        """
        return tracks_of(self, one, ahead, is_dated=is_dated)

    def panel(self, tracks: Sequence[Tracks]) -> Panel:
        """Series laid out for many calls of `arrays`."""
        return Panel.of(tracks, self.context_length, self.default_scale)

    def arrays(
        self,
        tracks: Sequence[Tracks] | Panel,
        which: NDArray[np.int64],
        ends: NDArray[np.int64],
    ) -> Windows:
        """Windows of series, each normalised by what lies before its end.

        Args:
            tracks: whole series; a `panel` of them where windows are asked for many times.
            which: the series of each window by its number, (windows,).
            ends: how many steps of it lie before the origin, (windows,): a window sees
                `values[end - context_length : end]`, and the future from `end` on.

        Returns:
            Feeds of a graph: `past_values` and `past_observed_mask` float32 (windows, context),
            `past_time_features` float32 (windows, context, K + P), `future_time_features` float32
            (windows, prediction, K), `static_real_features` float32 (windows, S) and
            `static_categorical_features` int64 (windows, 1), those that have a size.
        """
        if not isinstance(tracks, Panel):
            used, which = np.unique(which, return_inverse=True)
            places: list[int] = used.tolist()
            tracks = self.panel([tracks[i] for i in places])
        return tracks.cut(
            which,
            ends,
            prediction=self.prediction_length,
            known=self.sizes["known"],
            fill=self.fill,
            normalise=self.normalise,
        )

    def inward(self, windows: Windows, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values (windows, ...) in the unit of the target, normalised as their windows are."""
        shape = (-1, *[1] * (values.ndim - 1))
        return (values - windows.loc.reshape(shape)) / windows.scale.reshape(shape)

    def outward(self, windows: Windows, values: NDArray[Any]) -> NDArray[np.float64]:
        """Normalised values (windows, ...) in the unit of the target."""
        shape = (-1, *[1] * (values.ndim - 1))
        return values * windows.scale.reshape(shape) + windows.loc.reshape(shape)

    def told(self, parameters: NDArray[Any], windows: Windows) -> Forecasts:
        """What a network gave, in the unit of the target.

        Args:
            parameters: (windows, steps, outputs), normalised: quantiles in any order, or degrees of
                freedom, location and scale of a t distribution.
            windows: what it read.
        """
        mean, quantiles = normalised(parameters, self.head, self.quantiles)
        return self.spread_out(mean, quantiles, windows)

    def spread_out(
        self, mean: NDArray[np.float64] | None, quantiles: NDArray[np.float64], windows: Windows
    ) -> Forecasts:
        """Normalised forecasts with what training found of their spread, in the target's unit.

        Args:
            mean: (windows, steps); that of the quantiles before they are stretched, if not given.
            quantiles: (windows, steps, quantiles), in order.
            windows: what they were told of.
        """
        means = quantiles.mean(axis=-1) if mean is None else mean
        if self.spread is None:
            return Forecasts(self.outward(windows, means), self.outward(windows, quantiles))
        quantiles = stretched(quantiles, self.median, self.spread)
        found = [self.outward(windows, one) for one in (means, quantiles)]
        if self.floor is not None:
            free = self._is_below(windows, self.floor)
            found = [floored(one, self.floor, free) for one in found]
        return Forecasts(*found)

    def _is_below(self, windows: Windows, floor: float) -> NDArray[np.bool_]:
        """Which windows have read a value below a floor, by more than 32 bits lose."""
        read = self.outward(windows, windows.feeds["past_values"].astype(np.float64))
        is_below = read < floor - 1e-3 * windows.scale[:, None]
        return np.asarray((is_below & (windows.feeds["past_observed_mask"] > 0)).any(axis=1))
