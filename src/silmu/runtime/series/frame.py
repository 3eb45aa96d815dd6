"""What a table of time series is read into: regular series, and what was found on the way.

A series is named by the values of the group columns, joined by ", ", and, where there are several
targets, by its target: `Seoul`, `Seoul, temp_max`, `temp_max`; one series without a name is "".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import UnknownNameError, UsageError
from silmu.runtime.series.steps import Step
from silmu.runtime.times import ORDERS, SHORT

if TYPE_CHECKING:
    from numpy.typing import NDArray

AGGREGATES = ("mean", "sum", "last")
"""What rows that fall into one step become."""

DROPPED = -1
"""The place of a row that lies on no grid."""


@dataclass(frozen=True)
class Series:
    """One series on a regular grid.

    >>> one = Series("Seoul", 738_000, np.array([1.0, np.nan, 3.0]), {"rain": np.zeros(5)})
    >>> len(one), one.ahead, one.observed.tolist(), one.until(1).values.tolist()
    (3, 2, [True, False, True], [1.0])

    Attributes:
        name: "" where there is one series without a name.
        first: the number of the step of values[0], as `Step.index` counts.
        values: (steps,) NaN where nothing was observed; the first and the last are observed.
        covariates: by name, (steps + ahead,): float64, NaN where missing, or objects, of texts,
            None where missing. All of a series are of one length.
    """

    name: str
    first: int
    values: NDArray[np.float64]
    covariates: dict[str, NDArray[Any]] = field(default_factory=dict[str, "NDArray[Any]"])

    def __len__(self) -> int:
        """Steps of its history."""
        return len(self.values)

    @property
    def observed(self) -> NDArray[np.bool_]:
        """(steps,) where there is a value."""
        return ~np.isnan(self.values)

    @property
    def ahead(self) -> int:
        """How many steps after its end the covariates reach."""
        return max((len(one) for one in self.covariates.values()), default=len(self)) - len(self)

    @property
    def end(self) -> int:
        """The number of the step after values[-1]."""
        return self.first + len(self.values)

    def until(self, steps: int) -> Series:
        """Its first so many steps, whose covariates then reach farther ahead."""
        return replace(self, values=self.values[:steps])


@dataclass(frozen=True)
class Layout:
    """Which columns hold what, and how they are read.

    What is not told is found by `read_series`, whose answer has a layout where it is told; other
    rows are then read as those were.

    >>> layout = Layout(time="day", target=("temp",), step=Step.parse("D"))
    >>> Layout.of(layout.to_plain()) == layout
    True

    Attributes:
        time: the column of times; None where rows are steps in their order.
        group: the columns that name a series.
        target: the columns that are forecast, each a series of its own.
        input: the columns of covariates.
        step: of the grid; None where it is to be found.
        zone: whose clocks times without an offset are of, and whose days are counted.
        aggregate: one of AGGREGATES: what targets of rows that fall into one step become.
        order: how ambiguous dates are read, one of `times.ORDERS`, or `times.SHORT`.
        written: by column, how its cells are read; see `reading`.
    """

    time: str | None = None
    group: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    input: tuple[str, ...] = ()
    step: Step | None = None
    zone: str | None = None
    aggregate: str = "mean"
    order: str = "ymd"
    written: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def __post_init__(self) -> None:
        if self.aggregate not in AGGREGATES:
            raise UnknownNameError(
                f"aggregate is {self.aggregate!r}; it may be {', '.join(AGGREGATES)}"
            )
        if self.order not in (orders := (*ORDERS, SHORT)):
            raise UnknownNameError(f"order is {self.order!r}; it may be {', '.join(orders)}")
        if not self.target:
            raise UsageError("no target is named", hint="name the column that is to be forecast")
        twice = [name for name in {*self.columns} if self.columns.count(name) > 1]
        if twice:
            raise UsageError(
                f"{', '.join(f'`{name}`' for name in sorted(twice))} has several parts; a column "
                "is the time, or names the series, or is a target, or an input"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        time = () if self.time is None else (self.time,)
        return (*time, *self.group, *self.target, *self.input)

    @property
    def is_found(self) -> bool:
        """Whether rows were read by it, so that others are to be read as those were."""
        return self.step is not None and all(name in self.written for name in self.target)

    def to_plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        plain = {own.name: getattr(self, own.name) for own in fields(self)}
        plain["step"] = None if self.step is None else self.step.to_text()
        plain["written"] = {name: [*how] for name, how in self.written.items()}
        return {k: [*cast("Any", v)] if isinstance(v, tuple) else v for k, v in plain.items()}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Layout:
        """From what `to_plain` gave.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        step = plain["step"]
        return cls(
            time=_text_or_none(plain["time"]),
            group=_texts(plain["group"]),
            target=_texts(plain["target"]),
            input=_texts(plain["input"]),
            step=None if step is None else Step.parse(step),
            zone=_text_or_none(plain["zone"]),
            aggregate=_text(plain["aggregate"]),
            order=_text(plain["order"]),
            written={
                _text(name): (_text(a), _text(b)) for name, (a, b) in plain["written"].items()
            },
        )


@dataclass(frozen=True)
class Findings:
    """What was found while rows became series.

    Attributes:
        gaps: steps without a value between others: the series, the first step, how many.
        irregular: the share of times that lie more than a tenth of a step off the grid.
        merged: rows that fell into a step together with an earlier one, of another time.
        repeated: rows that repeat an earlier one, and were left out.
        unsorted: whether times of a series go back.
        ahead: rows after the end of their series' targets, which carry what is known ahead.
        nights: times of autumn nights, which their clocks show twice; told by their order.
    """

    gaps: tuple[tuple[str, int, int], ...] = ()
    irregular: float = 0.0
    merged: int = 0
    repeated: int = 0
    unsorted: bool = False
    ahead: int = 0
    nights: int = 0


@dataclass(frozen=True)
class Read:
    """Rows as series.

    Attributes:
        series: in the order in which the table names them; the targets of a group in a row.
        step: of their grid.
        places: int64 (rows,) the number of the step of each row; DROPPED if it is left out.
        names: int64 (rows,) the number of the group of each row: of `series` where there is one
            target, else series[group * targets] is its first.
        found: what was odd.
        layout: as it was given, with all that was found: step, zone, how cells are written.
    """

    series: tuple[Series, ...]
    step: Step
    places: NDArray[np.int64]
    names: NDArray[np.int64]
    found: Findings
    layout: Layout


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list | tuple):
        raise TypeError(f"{values!r} is no list")
    return tuple(_text(one) for one in cast("list[Any]", values))
