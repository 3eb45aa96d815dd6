"""What a model for series is asked, as the columns that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InputError, InvalidModelError, UsageError, WrongTypeError
from silmu.pipelines._base import logger
from silmu.runtime.series import histories
from silmu.runtime.series.covariates import Category
from silmu.runtime.series.frame import Layout, Series
from silmu.runtime.series.processor import SeriesProcessor

if TYPE_CHECKING:
    from silmu.pipelines._model import Model
    from silmu.runtime.series.histories import History

NAMES = ("time", "target", "group")
"""The parts of a layout whose columns may have other names."""

OWN, PATCHED, DRAWN = "silmu-series", "patchtst", "time_series_transformer"
"""The networks for series; the last one draws trajectories."""

SHOWN = 5
"""Names that are told."""
MOST_STRANGERS = 1000
"""After so many unknown series no more are told of."""

_HEADS = {PATCHED: "student_t", DRAWN: "quantiles"}
"""What those of transformers tell, which config.json has no word for."""
_SIZES = {
    "num_known": "known",
    "num_past": "past",
    "num_static_real": "static_real",
    "num_series": "series",
}
_SIZES_OF_DRAWN = {
    "num_time_features": "known",
    "num_dynamic_real_features": "past",
    "num_static_real_features": "static_real",
}


def check(own: SeriesProcessor, model: Model) -> None:
    """Refuses a processor that is not the one of the network.

    Raises:
        InvalidModelError: config.json and processor.json differ in what both tell.
    """
    values = model.config.to_dict()
    kind = values.get("model_type")
    if kind in _HEADS:
        values = {**values, "head": _HEADS[kind]}
    for name, value in _expected(own, values).items():
        if values.get(name, 0) != value:
            raise InvalidModelError(
                f"config.json and processor.json of `{model.name_or_path}` do not belong "
                f"together: {name} is {values.get(name)!r} in one, and {value!r} in the other",
                hint="they may be of two trainings: take the whole folder of one",
            )


def _expected(own: SeriesProcessor, values: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json is to hold, by what processor.json does."""
    sizes, kind = own.sizes, values.get("model_type")
    expected: dict[str, Any] = {"prediction_length": own.prediction_length, "head": own.head}
    expected["context_length"] = own.context_length
    if kind == OWN:
        outputs = len(own.quantiles) if own.head == "quantiles" else 3
        return (
            expected | {name: sizes[size] for name, size in _SIZES.items()} | {"outputs": outputs}
        )
    if kind == DRAWN:
        lags: Any = values.get("lags_sequence") or [7]
        expected["context_length"] -= max(lags)
        expected |= {name: sizes[size] for name, size in _SIZES_OF_DRAWN.items()}
        expected["num_static_categorical_features"] = int(sizes["series"] > 0)
        if sizes["series"]:
            expected["cardinality"] = [sizes["series"]]
    return expected


def names_of(what: str, given: Any, own: str | tuple[str, ...] | None) -> Any:
    """The names of columns that a call gives.

    Args:
        what: the part of the layout, one of NAMES.
        given: a name, several with commas between them, or a list.
        own: what the training called them.

    Raises:
        WrongTypeError: they are no texts.
        UsageError: there are more of them, or fewer, than in training.
    """
    if isinstance(given, str):
        listed: list[Any] = [given] if what == "time" else given.split(",")
    else:
        listed = cast("list[Any]", given) if isinstance(given, list | tuple) else [None]
    if not all(isinstance(one, str) for one in listed):
        raise WrongTypeError(f"{what} is {given!r:.60}; it must name columns")
    names = tuple(str(one).strip() for one in listed)
    if own is None:
        raise UsageError("time is given; the model was trained on rows without times")
    known = (own,) if isinstance(own, str) else own
    if len(names) != len(known):
        raise UsageError(
            f"{what} names {len(names)} columns; in training there were {len(known)}: "
            f"{', '.join(known) or 'none'}",
            hint="name as many, in the same order, with commas between them",
        )
    return names[0] if what == "time" else names


def renamed(layout: Layout, **names: Any) -> Layout:
    """A layout whose columns have other names; how their cells are written stays."""
    given = {name: value for name, value in names.items() if value is not None}
    new: dict[str, str] = {}
    for name, value in given.items():
        own: Any = getattr(layout, name)
        pairs = [(own, value)] if name == "time" else zip(own, value, strict=True)
        new |= dict(pairs)
    written = {new.get(name, name): how for name, how in layout.written.items()}
    return replace(layout, **given, written=written)


def with_future(
    own: SeriesProcessor, given: History, layout: Layout, future: Any
) -> Mapping[str, Sequence[Any]]:
    """The columns of a history, and behind them what is known ahead of the steps after it.

    Raises:
        UsageError: the model reads nothing that is known ahead.
        InputError: the future is no table, or lacks a column.
    """
    known = [one.name for one in own.known]
    if not known:
        raise UsageError(
            "future is given, and the model reads nothing that is known ahead",
            hint="leave it out",
        )
    if given.columns is None:
        raise InputError(
            "future is given with a history of numbers alone, which has no "
            f"{', '.join(f'`{name}`' for name in known)}",
            hint="give the history as columns or rows, with what is known of its steps",
        )
    columns = given.named(layout.time, layout.target[0])
    time = () if layout.time is None else (layout.time,)
    group = [name for name in layout.group if name in columns]
    told = histories.history(future, "future").named(layout.time, "")
    return histories.joined(columns, told, [*time, *group, *known])


def refuse_numbers(own: SeriesProcessor) -> None:
    """Numbers alone are no history for a network that reads other columns.

    Raises:
        InputError: it does.
    """
    read = [one.name for one in own.inputs]
    if not read:
        return
    needed = [*filter(None, (own.layout.time,)), *own.layout.target, *read]
    form = ", ".join(f'"{name}": [...]' for name in needed)
    raise InputError(
        "a history of numbers alone has no "
        f"{', '.join(f'`{name}`' for name in read)}, which the model was trained on",
        hint=f"give columns: {{{form}}}",
    )


def tell_strangers(own: SeriesProcessor, series: tuple[Series, ...], told: set[str]) -> None:
    """Says once of each series that it is none of those that training told apart.

    Args:
        own: what training knew.
        series: of one history.
        told: names of which it was said already; those that are said now are added.
    """
    strange = [one.name for one in series if own.numbers and one.name not in own.numbers]
    new = [name for name in dict.fromkeys(strange) if name not in told]
    if not new or len(told) >= MOST_STRANGERS:
        return
    told |= {*new}
    logger.warning(
        "%s %s none of the %s series that the model was trained on (%s), and forecast as %s",
        _shown([name for name in new if name]) or "the history, which names no series,",
        "is" if len(new) == 1 else "are",
        f"{len(own.numbers):,}",
        _shown(list(own.numbers)),
        "a new one" if len(new) == 1 else "new ones",
    )


def _shown(names: Sequence[str]) -> str:
    """The first of some names."""
    more = len(names) - SHOWN
    listed = ", ".join(f"`{name:.60}`" for name in names[:SHOWN])
    return f"{listed} and {more:,} more" if more > 0 else listed


def tell_unknown(own: SeriesProcessor, series: tuple[Series, ...]) -> None:
    """Says which levels are read as none, since training knew none of them."""
    for covariate in own.inputs:
        several = [one.covariates[covariate.name] for one in series]
        if isinstance(covariate, Category) and (unknown := covariate.unknown(several)):
            logger.warning(
                "the covariate `%s` is %s in some steps, which the model does not know and "
                "takes for none; it knows %s",
                *(covariate.name, ", ".join(map(repr, unknown))),
                ", ".join(map(repr, covariate.levels)),
            )
