"""Series <-> the arrays that a network reads: processor.json of a model folder.

    {"format": 1, "series": true, "layout": {"time": "date", "target": ["price"], "step": "D", ...},
     "context_length": 60, "prediction_length": 14, "normalise": "standard", ...}

All that was fitted is here, and it was fitted on what training saw. Training, evaluation and use
cut their windows here, so that a network reads in use what it read in training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from silmu.errors import (
    InputError,
    InvalidModelError,
    MissingKeyError,
    UnsupportedModelError,
)
from silmu.runtime.series import covariates as kinds
from silmu.runtime.series import fitting, student
from silmu.runtime.series.calendar import PARTS, calendar, parts, width, written
from silmu.runtime.series.covariates import Covariate
from silmu.runtime.series.filling import RULES, filled
from silmu.runtime.series.forecasts import Forecasts, stretched
from silmu.runtime.series.frame import Layout, Read, Series
from silmu.runtime.series.reading import read_series
from silmu.runtime.series.windows import NORMALISATIONS, Panel, Tracks, Windows, typical

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder
    from silmu.runtime.series.steps import Step

FILE = "processor.json"
FORMAT = 1
MAX_BYTES = 64 << 20
"""How large processor.json may be, which names every series of the training."""

HEADS = ("quantiles", "student_t")
DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


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

    def __post_init__(self) -> None:
        shares = self.quantiles
        numbers = [*self.scale.values(), self.default_scale, *(self.spread or ())]
        if not (
            self.layout.step is not None
            and self.layout.target
            and self.fill in RULES
            and self.normalise in NORMALISATIONS
            and self.head in HEADS
            and min(self.context_length, self.prediction_length, self.season) >= 1
            and all(0.001 <= share <= 0.999 for share in shares)
            and 0.5 in shares
            and list(shares) == sorted({*shares})
            and all(np.isfinite(one) and one > 0 for one in numbers)
            and (self.spread is None or len(self.spread) == len(shares))
            and {*self.calendar} <= {*PARTS}
            and {*self.scale} == {*self.names}
            and len({*self.names}) == len(self.names)
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
        )

    @classmethod
    def open(cls, folder: Folder) -> SeriesProcessor:
        """The processor of a model folder.

        Raises:
            InvalidModelError: processor.json is missing or broken, or is of a model for others.
            UnsupportedModelError: it is of a newer silmu.
        """
        if not folder.has(FILE):
            raise InvalidModelError(
                f"`{folder.name}` has no {FILE}, so it is not known how its series were read",
                hint="take the whole folder that `silmu train` wrote",
            )
        values = folder.json(FILE, limit=MAX_BYTES)
        version = values.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise UnsupportedModelError(
                f"{FILE} of `{folder.name}` has format {version}; this silmu reads {FORMAT}",
                hint="pip install --upgrade silmu",
            )
        try:
            if version != FORMAT or values.get("series") is not True:
                raise ValueError("it is not of series")
            return _of_json({k: v for k, v in values.items() if k not in ("format", "series")})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidModelError(
                f"{FILE} of `{folder.name}` is not what silmu writes: {error!r:.300}"
            ) from error

    def with_outcome(
        self, spread: Sequence[float] | None = None, *, head: str | None = None
    ) -> SeriesProcessor:
        """The same, with what training found on the validation split, and what was trained."""
        fitted = None if spread is None else tuple(map(float, spread))
        return replace(self, spread=fitted, head=head or self.head)

    def to_bytes(self) -> bytes:
        """What processor.json holds."""
        values: dict[str, Any] = {"format": FORMAT, "series": True}
        values |= {own.name: getattr(self, own.name) for own in fields(self)}
        values["layout"] = self.layout.to_plain()
        for group in ("known", "past", "static"):
            several: tuple[Covariate, ...] = getattr(self, group)
            values[group] = [{"kind": one.kind, **asdict(one)} for one in several]
        return json.dumps(values, ensure_ascii=False, indent=1).encode() + b"\n"

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
    def _number(self) -> dict[str, int]:
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
        wanted = layout or self.layout
        target = tuple(name for name in wanted.target if name in columns) or wanted.target
        group = wanted.group if any(name in columns for name in wanted.group) else ()
        names = tuple(one.name for one in self._inputs)
        read = replace(wanted, target=target, group=group, input=names)
        if lacking := [name for name in read.columns if name not in columns]:
            raise MissingKeyError(
                f"there is no {', '.join(f'`{name}`' for name in lacking)}; there are "
                f"{', '.join(f'`{name}`' for name in columns) or 'no columns'}",
                hint="the model was trained on it; where time, target or group have other names, "
                "name them",
            )
        found = read_series(columns, read, numbers=numbers).series
        if len(target) == 1 < len(wanted.target):  # alone, a target is not named
            found = tuple(
                replace(one, name=", ".join(filter(None, (one.name, *target)))) for one in found
            )
        return found

    @property
    def _inputs(self) -> tuple[Covariate, ...]:
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
        steps = len(one.values)
        reach = steps + ahead
        index = np.arange(one.first, one.first + reach)
        columns = [np.zeros((reach, width(self.calendar)), np.float32)]
        if is_dated:
            columns = [calendar(self.step, self.layout.zone, index, self.calendar)]
        for covariate in self.known:
            cells = one.covariates[covariate.name][:reach]
            self._refuse_unknown(one, covariate, cells, ahead)
            columns.append(covariate.read(cells))
        for covariate in self.past:
            told = covariate.read(one.covariates[covariate.name][:steps])
            columns.append(np.concatenate([told, np.zeros((ahead, told.shape[1]), np.float32)]))
        static = [
            covariate.read(_constant(one.covariates[covariate.name]))[0]
            for covariate in self.static
        ]
        observed = one.observed
        values = filled(one.values, self.fill)
        scale = self.scale.get(one.name) or typical(
            values, observed, self.context_length, self.normalise
        )
        number = [self._number.get(one.name, 0)] if self._number else []
        return Tracks(
            values,
            observed,
            np.concatenate(columns, axis=1),
            np.concatenate([np.zeros(0, np.float32), *static]),
            np.array(number, np.int64),
            scale or self.default_scale,
        )

    def _refuse_unknown(
        self, one: Series, covariate: Covariate, cells: NDArray[Any], ahead: int
    ) -> None:
        """Refuses a future that is not told of, where training always knew it."""
        steps = len(one.values)
        missing = np.ones(ahead, bool)
        given = cells[steps:]
        missing[: len(given)] = covariate.missing(given)
        lacking = missing[len(given) :].any() or (missing.any() and not covariate.indicator)
        if not lacking:
            return
        first = np.array([one.first + steps + int(missing.argmax())], np.int64)
        whose = f" of `{one.name}`" if one.name else ""
        told = "at the step" if self.step.unit == "count" else "for"
        raise InputError(
            f"the covariate `{covariate.name}`{whose} is not given {told} "
            f"{written(self.step, self.layout.zone, first)[0]}; the model reads it for each of the "
            f"{ahead} steps that it forecasts",
            hint="give rows for these steps with an empty target, or future=: it is known ahead",
        )

    def panel(self, tracks: Sequence[Tracks]) -> Panel:
        """Series laid out for many calls of `arrays`."""
        return Panel.of(tracks, self.context_length)

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
        found = np.asarray(parameters, np.float64)
        if self.head == "student_t":
            freedom, loc, scale = (found[..., i] for i in range(3))
            shares = student.quantiles(self.quantiles, freedom)
            return self.spread_out(loc, loc[..., None] + scale[..., None] * shares, windows)
        ordered = np.sort(found, axis=-1)
        return self.spread_out(None, ordered, windows)

    def spread_out(
        self, mean: NDArray[np.float64] | None, quantiles: NDArray[np.float64], windows: Windows
    ) -> Forecasts:
        """Normalised forecasts with what training found of their spread, in the target's unit.

        Args:
            mean: (windows, steps); that of the quantiles, if not given.
            quantiles: (windows, steps, quantiles), in order.
            windows: what they were told of.
        """
        if self.spread is not None:
            quantiles = stretched(quantiles, self.median, self.spread)
        means = quantiles.mean(axis=-1) if mean is None else mean
        return Forecasts(self.outward(windows, means), self.outward(windows, quantiles))


def _of_json(values: dict[str, Any]) -> SeriesProcessor:
    layout = Layout.of(values.pop("layout"))
    for name in ("known", "past", "static"):
        values[name] = tuple(_covariate(one) for one in values[name])
    for name in ("calendar", "names"):
        values[name] = tuple(map(str, values[name]))
    values["quantiles"] = tuple(map(float, values["quantiles"]))
    values["scale"] = {str(name): float(one) for name, one in values["scale"].items()}
    values["default_scale"] = float(values["default_scale"])
    if values["spread"] is not None:
        values["spread"] = tuple(map(float, values["spread"]))
    return SeriesProcessor(layout, **values)


def _covariate(values: Mapping[str, Any]) -> Covariate:
    plain = dict(values)
    kind: Any = kinds.KINDS[plain.pop("kind")]
    given = {k: tuple(cast("list[Any]", v)) if isinstance(v, list) else v for k, v in plain.items()}
    return kind(**given)


def _constant(values: NDArray[Any]) -> NDArray[Any]:
    """The one value that a series has, the last that there is."""
    empty = values != values if values.dtype != object else values == None  # noqa: E711
    there = values[~empty]
    return there[-1:] if len(there) else values[-1:]
