"""A whole series as a network reads it, by what a processor knows of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InputError
from silmu.runtime.series.calendar import calendar, width, written
from silmu.runtime.series.filling import filled
from silmu.runtime.series.windows import Tracks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.series.covariates import Covariate
    from silmu.runtime.series.frame import Series
    from silmu.runtime.series.processor import SeriesProcessor


_LARGEST = 1e30
"""Products of larger numbers are none that float32 holds."""


def tracks_of(own: SeriesProcessor, one: Series, ahead: int, *, is_dated: bool) -> Tracks:
    """`SeriesProcessor.tracks`."""
    steps = len(one.values)
    reach = steps + ahead
    index = np.arange(one.first, one.first + reach)
    columns = [np.zeros((reach, width(own.calendar)), np.float32)]
    if is_dated:
        columns = [calendar(own.step, own.layout.zone, index, own.calendar)]
    for covariate in own.known:
        cells = one.covariates[covariate.name][:reach]
        _refuse_unknown(own, one, covariate, cells, ahead)
        columns.append(covariate.read(cells))
    for covariate in own.past:
        told = covariate.read(one.covariates[covariate.name][:steps])
        columns.append(np.concatenate([told, np.zeros((ahead, told.shape[1]), np.float32)]))
    static = [
        covariate.read(_constant(one.covariates[covariate.name]))[0] for covariate in own.static
    ]
    observed = one.observed
    values = filled(one.values, own.fill)
    _refuse_large(own, one)
    number = [own.numbers.get(one.name, 0)] if own.numbers else []
    return Tracks(
        values,
        observed,
        np.concatenate(columns, axis=1),
        np.concatenate([np.zeros(0, np.float32), *static]),
        np.array(number, np.int64),
        own.scale.get(one.name, 0.0),
    )


def _refuse_unknown(
    own: SeriesProcessor, one: Series, covariate: Covariate, cells: NDArray[Any], ahead: int
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
    told = "at the step" if own.step.unit == "count" else "for"
    raise InputError(
        f"the covariate `{covariate.name}`{whose} is not given {told} "
        f"{written(own.step, own.layout.zone, first)[0]}; the model reads it for each of the "
        f"{ahead} steps that it forecasts",
        hint="give rows for these steps with an empty target, or future=: it is known ahead",
    )


def _refuse_large(own: SeriesProcessor, one: Series) -> None:
    """Refuses values that a network cannot hold where it reads them as they are."""
    largest = float(np.nanmax(np.abs(one.values), initial=0.0))
    if own.normalise == "none" and largest > _LARGEST:
        whose = f"the series `{one.name}`" if one.name else "the series"
        raise InputError(
            f"{whose} has {largest:g}, which is larger than {_LARGEST:g}, and the model reads "
            "values as they are",
            hint="give values in a larger unit, and train with normalise=standard or mean",
        )


def _constant(values: NDArray[Any]) -> NDArray[Any]:
    """The one value that a series has: the first, as no later one is known at each origin."""
    empty = values != values if values.dtype != object else values == None  # noqa: E711
    there = values[~empty]
    return there[:1] if len(there) else values[:1]
