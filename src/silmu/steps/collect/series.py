"""Series as a dataset: which rows are kept, and what was found when they were laid on steps.

A row is kept if its time can be read and it says of which series it is, with a value or without
one: rows at the end that have none carry what is known ahead. Whatever `runtime.series` refuses
is refused here, before anything is written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from silmu.errors import InputError, UnknownNameError, UsageError, WrongTypeError
from silmu.runtime import cells
from silmu.runtime.series import covariates, zones
from silmu.runtime.series.frame import AGGREGATES, Layout, Read, Series
from silmu.runtime.series.reading import read_series
from silmu.runtime.series.stamps import SERIAL, read_stamps
from silmu.runtime.series.steps import Step
from silmu.steps.collect import names, series_columns, series_roles
from silmu.steps.collect.dataset import Dataset, Roles
from silmu.steps.collect.roles import Wanted
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import Numbered

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("silmu")

SETTINGS = ("step", "timezone", "aggregate", "known")
EMPTY = "the row is empty"
"""Why a row is left out that nobody misses."""

MOST_GAPS = 1000
"""That are kept in `dataset.json`."""


@dataclass(frozen=True)
class Settings:
    """How rows become steps.

    Attributes:
        step: such as `1h` or `D`; None for what the times tell.
        timezone: such as `Asia/Seoul`; None for times as they are.
        aggregate: what becomes of several rows of one step.
        known: covariates that are known ahead.
    """

    step: Step | None = None
    timezone: str | None = None
    aggregate: str = "mean"
    known: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> Settings:
        """Checked settings; those that are None are as if not given.

        Raises:
            UnknownNameError: there is no such setting.
            UsageError: a value is not allowed.
        """
        found = {name: value for name, value in (given or {}).items() if value is not None}
        for name, value in found.items():
            if name not in SETTINGS:
                raise UnknownNameError(
                    f"series have no setting `{name}`; there are {', '.join(SETTINGS)}"
                )
            if not isinstance(value, str) and not (name == "known" and isinstance(value, Sequence)):
                raise WrongTypeError(f"{name} is {value!r}; it must be a text")
        step, zone = found.get("step"), found.get("timezone")
        aggregate, known = found.get("aggregate", AGGREGATES[0]), found.get("known", ())
        if aggregate not in AGGREGATES:
            raise UsageError(
                f"aggregate is {aggregate!r}; it may be {', '.join(map(repr, AGGREGATES))}"
            )
        if zone is not None:
            zones.zone_of(zone)
        known = names.split(known) if isinstance(known, str) else known
        return cls(None if step is None else Step.parse(step), zone, aggregate, tuple(known))


@dataclass(frozen=True)
class Gathered:
    """All rows of a source that are kept, with their roles."""

    roles: Roles
    batches: Iterator[Numbered]
    about: dict[str, Any]
    """What `dataset.json` holds of it as `series`."""


def gather(
    batches: Iterable[Numbered], wanted: Wanted, settings: Settings, tally: Tally
) -> Gathered | None:
    """Reads all rows, since only all of them tell what the series are; None where there is none.

    Raises:
        UsageError: a role cannot be guessed.
        InputError: the rows are no series, with the row that says so.
    """
    parts = list(batches)
    if not parts:
        return None
    table = pa.Table.from_batches([batch for _, batch in parts])
    numbers = np.concatenate([numbers for numbers, _ in parts])
    roles = series_roles.settle(table, wanted, settings.known)
    columns = _columns(table, roles)
    order = "ymd" if roles.time is None else series_columns.order_of(columns[roles.time])
    written: dict[str, tuple[str, str]] = {}
    if roles.time is not None:
        how = series_columns.how_written(columns[roles.time], roles.time)
        written = {roles.time: how}
        if how == SERIAL:
            logger.warning("`%s` is read as the days that a spreadsheet numbers", roles.time)
    zone = settings.timezone or _zone_of(table, roles)
    layout = Layout(
        time=roles.time,
        group=_group(roles),
        target=roles.target,
        input=roles.input,
        step=settings.step,
        zone=zone,
        aggregate=settings.aggregate,
        order=order,
        written=written,
    )
    kept = _kept(columns, layout, numbers, tally)
    if not kept.any():
        return None
    some = columns if kept.all() else {name: _some(one, kept) for name, one in columns.items()}
    found = read_series(some, layout, numbers=numbers[kept])
    return Gathered(roles, _filtered(parts, kept), _about(found, settings))


def layout_of(dataset: Dataset) -> Layout:
    """How the rows of a dataset became series, with all that was found of them.

    Raises:
        InputError: it was not collected as series.
    """
    if dataset.series is None:
        raise InputError(
            f"`{dataset.path}` holds no series", hint='collect it anew, with kind="series"'
        )
    return Layout.of(dataset.series["layout"])


def columns_of(dataset: Dataset) -> dict[str, Any]:
    """The columns that have a role, as `read_series` takes them."""
    roles = dataset.roles
    wanted = [one for one in _names(roles) if one in dataset.schema.names]
    return _columns(pa.table({one: dataset.column(one) for one in wanted}), roles)


def read(dataset: Dataset) -> Read:
    """The series of a dataset, as they were found when it was collected."""
    return read_series(columns_of(dataset), layout_of(dataset), numbers=dataset.row_numbers)


def told(dataset: Dataset) -> list[str]:
    """What was found when rows became series, line by line, for who waits.

    Raises:
        InputError: it was not collected as series.
    """
    layout, about = layout_of(dataset), dataset.series or {}
    assert layout.step is not None
    zone = "" if layout.zone is None else f" on the clocks of {layout.zone}"
    many = "1 series" if about["count"] == 1 else f"{about['count']:,} series"
    lines = [f"{many}, {about['steps']:,} steps of {layout.step.words}{zone}"]
    if layout.time is None:
        lines.append("steps are numbered, as there are no times: a season is one that is measured")
    means = {"mean": "their mean", "sum": "their sum", "last": "the last of them"}
    for said, count in (
        ("steps between others without a value", about["missing"]),
        (f"rows that share a step, of which {means[layout.aggregate]} is taken", about["merged"]),
        ("rows that repeat an earlier one, which are read once", about["repeated"]),
        ("rows after the end, which carry what is known ahead", about["ahead"]),
        ("times of autumn nights that are told apart by their order", about["nights"]),
    ):
        if count:
            lines.append(f"{said}: {count:,}")
    if about["irregular"]:
        lines.append(f"times that lie beside the steps: {about['irregular']:.1%}")
    if about.get("constant"):
        names = ", ".join(f"`{name}`" for name in about["constant"])
        lines.append(f"covariates that never change, which are ignored: {names}")
    return lines


def constant(series: Sequence[Series], names: Sequence[str]) -> list[str]:
    """The covariates of which nothing can be learnt, as they never change in any series."""
    parts = {name: [one.covariates[name][: len(one)] for one in series] for name in names}
    return [name for name, several in parts.items() if covariates.fit(name, several) is None]


def _group(roles: Roles) -> tuple[str, ...]:
    return () if roles.group is None else tuple(names.split(roles.group))


def _names(roles: Roles) -> list[str]:
    time = () if roles.time is None else (roles.time,)
    return [*time, *_group(roles), *roles.target, *roles.input]


def _columns(table: pa.Table, roles: Roles) -> dict[str, Any]:
    return {name: _cells(table.column(name), name) for name in _names(roles)}


def _cells(column: pa.ChunkedArray, name: str) -> Any:
    """Numbers and times as arrays, with NaN where there is none; all else as Python has it."""
    kind, types = column.type, pa.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return column.cast(pa.float64(), safe=False).to_numpy()
    if types.is_date(kind):
        return column.cast(pa.timestamp("ms")).to_numpy()
    if not types.is_timestamp(kind):
        return column.to_pylist()
    if kind.tz is None:
        return column.to_numpy()
    try:
        return column.cast(pa.timestamp("us", kind.tz), safe=False).to_pylist()
    except (ArithmeticError, LookupError, OSError, ValueError) as error:
        raise InputError(
            f"the times of `{name}` cannot be read in their zone, {kind.tz}: {error}",
            hint="store them as UTC",
        ) from error


def _kept(
    columns: Mapping[str, Any], layout: Layout, numbers: NDArray[np.int64], tally: Tally
) -> NDArray[np.bool_]:
    """Rows with a time that can be read, and with a series."""
    left = np.ones(len(numbers), bool)
    if layout.time is not None:
        left = ~_empty(columns, len(numbers))
        tally.add(EMPTY, numbers[~left].tolist())
    for name in layout.group:
        there = _named(columns[name])
        tally.add(f"`{name}` is missing", numbers[left & ~there].tolist())
        left &= there
    time = layout.time
    if time is None:
        return left
    found = read_stamps(columns[time], layout.order, layout.written[time])
    none = np.isnan(found.seconds) & ~found.bad
    tally.add(f"`{time}` is missing", numbers[left & none].tolist())
    tally.add(f"`{time}` holds no time", numbers[left & found.bad].tolist())
    return left & ~none & ~found.bad


def _empty(columns: Mapping[str, Any], rows: int) -> NDArray[np.bool_]:
    """Rows that hold nothing in any of the columns."""
    found = np.ones(rows, bool)
    for column in columns.values():
        if isinstance(column, np.ndarray):
            array = cast("NDArray[Any]", column)
            found &= np.isnat(array) if array.dtype.kind == "M" else np.isnan(array)
        else:
            is_none = (cells.is_missing(one) or one == "" for one in column)
            found &= np.fromiter(is_none, bool, rows)
    return found


def _named(column: Sequence[Any] | NDArray[Any]) -> NDArray[np.bool_]:
    """Which cells name a series."""
    known: dict[Any, bool] = {}
    found = np.empty(len(column), bool)
    for place, value in enumerate(column):
        key = value if isinstance(value, str) else repr(value)
        if key not in known:
            known[key] = bool(cells.level(value))
        found[place] = known[key]
    return found


def _some(column: Any, kept: NDArray[np.bool_]) -> Any:
    if isinstance(column, np.ndarray):
        return cast("NDArray[Any]", column)[kept]
    return [column[place] for place in np.flatnonzero(kept).tolist()]


def _filtered(parts: Sequence[Numbered], kept: NDArray[np.bool_]) -> Iterator[Numbered]:
    start = 0
    for numbers, batch in parts:
        left = kept[start : start + batch.num_rows]
        start += batch.num_rows
        if left.all():
            yield numbers, batch
        elif left.any():
            yield numbers[left], batch.filter(pa.array(left))


def _zone_of(table: pa.Table, roles: Roles) -> str | None:
    """The zone that a column of times is stored with."""
    zone = None if roles.time is None else getattr(table.schema.field(roles.time).type, "tz", None)
    try:
        return zone if zone is None or zones.zone_of(zone) else None
    except UsageError:
        return None


def _about(found: Read, settings: Settings) -> dict[str, Any]:
    layout = found.layout
    return {
        "step": found.step.to_text(),
        "zone": layout.zone,
        "order": layout.order,
        "aggregate": layout.aggregate,
        "known": list(settings.known) or None,
        "layout": layout.to_plain(),
        "count": len(found.series),
        "steps": sum(map(len, found.series)),
        "missing": sum(int((~one.observed).sum()) for one in found.series),
        "constant": constant(found.series, layout.input),
        **{name: _plain(value) for name, value in asdict(found.found).items()},
    }


def _plain(value: Any) -> Any:
    """A finding as JSON has it."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in cast("Sequence[Any]", value)[:MOST_GAPS]]
    return cast("Any", value.item()) if isinstance(value, np.generic) else value
