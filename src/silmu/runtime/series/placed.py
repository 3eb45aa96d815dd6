"""Times on a grid of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import InputError, UsageError
from silmu.runtime.series import zones
from silmu.runtime.series.frame import Layout
from silmu.runtime.series.infer import distance_of_each, infer, largest_grid
from silmu.runtime.series.said import Rows, moment, quoted
from silmu.runtime.series.steps import DAY, Step
from silmu.runtime.times import ORDERS, Times, read_times

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int64]

MOST_STEPS = 10_000_000
"""Of all series together."""

_SHORT, _SPARSE = 10_000, 1000
"""A series of more steps has rows for one in so many."""
_NEAR = 0.2
"""Times this share of a step from the grid are on it, if most are."""
_MOST = 0.9
_OTHER = 1.9
"""Steps of one table differ less than that."""


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


def check(found: Times, values: Sequence[Any] | NDArray[Any], layout: Layout, rows: Rows) -> None:
    """Refuses rows without a time.

    Raises:
        InputError: a cell is empty, or cannot be read; or some times have an offset, others none.
    """
    name = layout.time
    (bad,) = np.nonzero(found.bad)
    if len(bad):
        some = [values[i] for i in bad[:1000].tolist()]
        other = [one for one in ORDERS if not read_times(some, one).bad.any()]
        raise InputError(
            f"{rows.one(int(bad[0]))} has `{name}` {quoted(some[0])}, which is no time"
            f"{rows.likewise(bad)}",
            hint=f"dates are read as {layout.order}; these are {other[0]}"
            if other
            else "times are read as 2024-03-05, 2024-03-05 14:30, 2024-03-05T14:30:00+09:00 and "
            "alike; correct them, or leave the rows out",
        )
    (none,) = np.nonzero(np.isnan(found.seconds))
    if len(none):
        raise InputError(
            f"{rows.one(int(none[0]))} has no time in `{name}`{rows.likewise(none)}",
            hint="fill it in, or leave the rows out",
        )
    zoned = found.zoned
    if zoned.any() and not zoned.all():
        first, other = (int(np.flatnonzero(one)[0]) for one in (zoned, ~zoned))
        raise InputError(
            f"times of `{name}` with an offset and without one are mixed: {rows.one(first)} has "
            f"{quoted(values[first])}, {rows.one(other)} {quoted(values[other])}",
            hint="write all of them with their offset, or none and set timezone",
        )


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
            again = infer(apart)
            step = again if (again.unit, again.size) == (step.unit, step.size) else step
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
        _check_alike(found, passing, rows)
        return found
    asked = layout.step
    return found if (asked.unit, asked.size) == (found.unit, found.size) else asked


def _tell(apart: list[Floats]) -> bool:
    """Whether some series has two different times."""
    return any(one[0] < one[-1] for one in apart)


def _check_alike(step: Step, passing: Floats, rows: Rows) -> None:
    """Refuses series of which some keep another step than most."""
    if len(rows.names) < 2:
        return
    order = np.lexsort((passing, rows.series))
    medians, shares = distance_of_each(passing[order], rows.series[order], len(rows.names))
    is_steady = shares >= _MOST
    length = step.seconds
    other = is_steady & ((medians >= _OTHER * length) | (medians * _OTHER <= length))
    if not other.any():
        return
    odd = int(np.flatnonzero(other)[0])
    first = int(order[np.flatnonzero(rows.series[order] == odd)[0]])
    longest = _length(max(float(medians[other].max()), length))
    raise InputError(
        f"series have different steps: most have one of {step.words}, and "
        f"{quoted(rows.names[odd])}, from {rows.one(first)} on, has a time every "
        f"{_length(float(medians[odd]))}",
        hint=f"set step to the longest, about {longest}, into which shorter ones are then put "
        "together by aggregate; or forecast them apart",
    )


def _length(seconds: float) -> str:
    """A distance in words, about."""
    units = ((DAY, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
    size, name = next((one for one in units if seconds >= one[0]), units[-1])
    count = f"{seconds / size:.3g}"
    return f"{count} {name}{'' if count == '1' else 's'}"


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
    if step.unit in ("second", "day"):
        span = step.seconds
        near = step.index(counted + span / 2)
        is_near = np.abs(counted - step.times(near)) <= _NEAR * span
        if is_near.mean() >= _MOST:
            places = near
    _check_length(step, civil, places, rows)
    # Of weeks and longer steps, the time of the day tells nothing.
    spare = DAY if step.is_civil and step.unit != "day" else 0
    off = np.abs(counted - step.times(places)) - spare > 0.1 * step.seconds
    return Placed(step, zone, civil, moments, places, float(off.mean()), nights)


def _check_length(step: Step, civil: Floats, places: Numbers, rows: Rows) -> None:
    """Refuses a grid that is nearly empty, or longer than a machine likes."""
    order = np.lexsort((places, rows.series))
    counts = np.bincount(rows.series, minlength=len(rows.names))
    ends = np.cumsum(counts)
    spans = places[order][ends - 1] - places[order][ends - counts] + 1
    most = np.maximum(_SHORT, _SPARSE * counts)
    if (spans <= most).all() and spans.sum() <= MOST_STEPS:
        return
    odd = int((spans / most).argmax())
    own = order[ends[odd] - counts[odd] : ends[odd]]
    leaps = np.diff(places[own])
    if spans[odd] > most[odd] and leaps.max() * 2 < spans[odd]:
        raise InputError(
            f"{rows.one(int(own[0]))} begins {int(spans[odd]):,} steps of {step.words}, of which "
            f"{len(own):,} have rows; there may be {_SPARSE:,} for each row",
            hint="set a longer step, or leave it out",
        )
    if spans[odd] <= most[odd]:
        raise InputError(
            f"series have {int(spans.sum()):,} steps of {step.words} together, more than "
            f"{MOST_STEPS:,}",
            hint="set a longer step, or collect fewer series",
        )
    leap = int(leaps.argmax())
    is_late = leap + 1 > len(own) / 2
    row, near = (int(own[i]) for i in ((leap + 1, leap) if is_late else (leap, leap + 1)))
    times = [moment(one) if step.unit != "count" else f"{one:g}" for one in civil[[row, near]]]
    raise InputError(
        f"{rows.one(row)} has the time {times[0]}, and the nearest one is {times[1]}, "
        f"{int(leaps.max()):,} steps of {step.words} {'before' if is_late else 'later'}",
        hint="correct it or leave the row out; if it is right, set a longer step",
    )
