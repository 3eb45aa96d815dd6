"""Times on a grid of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import InputError, UsageError
from silmu.runtime.series import zones
from silmu.runtime.series.frame import Layout
from silmu.runtime.series.infer import anchored, infer, largest_grid
from silmu.runtime.series.refused import check_alike, check_length
from silmu.runtime.series.said import Rows, moment
from silmu.runtime.series.steps import DAY, PASSING, Step
from silmu.runtime.times import Times

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int64]

_NEAR = 0.2
"""Times this share of a step from the grid are on it, if most are."""
_MOST = 0.9


@dataclass(frozen=True)
class Placed:
    """Rows on the grid.

    Attributes:
        step: of the grid.
        zone: whose clocks count; None for times without one, and for counts.
        seconds: (rows,) what clocks show, or numbers of steps.
        moments: (rows,) the same where it is the same moment.
        places: (rows,) the number of the step of each.
        irregular: the share of times that lie more than a tenth of a step off the grid.
        nights: how many times were told by their order, since clocks show them twice.
    """

    step: Step
    zone: str | None
    seconds: Floats
    moments: Floats
    places: Numbers
    irregular: float = 0.0
    nights: int = 0


def placed(found: Times, layout: Layout, rows: Rows) -> Placed:
    """Times on the grid of a layout, or on the one that they keep.

    Raises:
        InputError: there is one time alone; series have different steps; clocks never showed a
            time; the grid has far more steps than there are rows.
        UsageError: the layout's zone or step does not fit.
    """
    zone, civil, passing = _clocks(found, layout)
    is_open = layout.step is None or layout.step.is_plain
    step = _step(civil, passing, layout, rows) if is_open else layout.step
    assert step is not None
    if step.unit == "count":
        raise UsageError(
            f"step is {step.to_text()}, and `{layout.time}` holds times",
            hint="leave step out, or name no column of times",
        )
    if step.is_civil and layout.zone is None and len(np.unique(found.offsets)) > 1:
        # Days of clocks that change are what those show, of whichever place they are.
        zone, passing = None, civil
    moments, nights = passing, 0
    if passing is civil and zone is not None:
        moments = _moments(civil, zone, step, rows)
        nights = int(zones.shown_twice(moments, zone).sum())
        if is_open and not step.is_civil and _tell(apart := _apart(moments, rows)):
            step = _fitting(step, apart)
    return _on_grid(step, zone, civil, moments, civil if step.is_civil else moments, rows, nights)


def counted(numbers: Floats, layout: Layout, rows: Rows) -> Placed:
    """Numbers of steps on their grid.

    Raises:
        UsageError: the layout's step is one of times.
        InputError: the grid has far more steps than there are rows.
    """
    step = layout.step
    if step is not None and step.unit != "count":
        where = "there is no column of times" if layout.time is None else f"`{layout.time}` counts"
        raise UsageError(
            f"step is {step.to_text()}, and {where}",
            hint="name the column of times with time, or leave step out",
        )
    if step is None:
        apart = _apart(numbers, rows)
        size = largest_grid([np.unique(one).astype(np.int64) for one in apart])
        step = Step("count", max(size, 1))
    return _on_grid(step, None, numbers, numbers, numbers, rows)


def _clocks(found: Times, layout: Layout) -> tuple[str | None, Floats, Floats]:
    """The zone that counts, what its clocks show, and the seconds that pass, or the same again."""
    zone = layout.zone
    if not found.zoned.all():
        return zone, found.seconds, found.seconds
    if zone is not None:
        return zone, zones.civil(found.seconds, zone), found.seconds
    told = found.seconds + found.offsets
    if layout.is_found:
        # The rows that it was found of had no zone, and what clocks show counted.
        return None, told, told
    offsets = np.unique(found.offsets)
    minutes = 0 if len(offsets) > 1 else round(float(offsets[0]) / 60)
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{hours:02}:{rest:02}" if minutes else "UTC", told, found.seconds


def _moments(civil: Floats, zone: str | None, step: Step, rows: Rows) -> Floats:
    """When clocks of the zone showed these."""
    try:
        return zones.absolute(civil, zone, series=rows.series, numbers=rows.numbers)
    except InputError:
        # Midnight is the name of a day, also of one that begins at one o'clock.
        if step.is_civil:
            return civil
        raise


def _step(civil: Floats, passing: Floats, layout: Layout, rows: Rows) -> Step:
    """The step that times keep, or the layout's, with the place in it that they have."""
    apart = _apart(passing, rows)
    if not _tell(apart):
        if layout.step is not None:
            return layout.step
        count = len(civil)
        raise InputError(
            f"there is only {rows.one(0)}"
            if count == 1
            else f"{rows.several(np.arange(count))} have one time in each series, "
            f"{moment(civil[0])} in {rows.one(0)}",
            hint="a series needs rows of at least two times, so that the step between them is told",
        )
    found = infer(apart)
    if found.is_civil and passing is not civil:
        shown = _apart(civil, rows)
        found = infer(shown) if _tell(shown) else found
    if layout.step is None:
        check_alike(found, passing, rows)
        return found
    return _fitting(layout.step, _apart(civil if layout.step.is_civil else passing, rows))


def _fitting(asked: Step, apart: list[Floats]) -> Step:
    """A step at the place in it at which times lie."""
    if not _tell(apart):
        return asked
    found = infer(apart)
    same = (asked.unit, asked.size) == (found.unit, found.size)
    return found if same else anchored(asked, apart)


def _tell(apart: list[Floats]) -> bool:
    """Whether some series has two different times."""
    return any(one[0] < one[-1] for one in apart)


def _apart(seconds: Floats, rows: Rows) -> list[Floats]:
    """The sorted times of each series."""
    order = np.lexsort((seconds, rows.series))
    counts = np.bincount(rows.series, minlength=len(rows.names))
    return np.split(seconds[order], np.cumsum(counts)[:-1])


def _on_grid(
    step: Step,
    zone: str | None,
    civil: Floats,
    moments: Floats,
    counted: Floats,
    rows: Rows,
    nights: int = 0,
) -> Placed:
    """Rows on the grid of a step that counts these times or numbers."""
    places = step.index(counted)
    if step.unit in (*PASSING, "day"):
        span = step.seconds
        near = step.index(counted + span / 2)
        is_near = np.abs(counted - step.times(near)) <= _NEAR * span
        if is_near.mean() >= _MOST:
            places = near
    check_length(step, civil, places, rows)
    # Of weeks and longer steps, the time of the day tells nothing.
    spare = DAY if step.is_civil and step.unit != "day" else 0
    off = np.abs(counted - step.times(places)) - spare > 0.1 * step.seconds
    return Placed(step, zone, civil, moments, places, float(off.mean()), nights)
