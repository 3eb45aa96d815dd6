"""Times that lie on no grid, each refused with its row, its series and the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import InputError
from silmu.runtime.series.frame import Layout
from silmu.runtime.series.infer import distance_of_each
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
_STEADY = 0.9
"""The share of distances that are alike in a series whose step is known."""
_OTHER = 1.9
"""Steps of one table differ less than that."""


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


def check_alike(step: Step, passing: Floats, rows: Rows) -> None:
    """Refuses series of which some keep another step than most.

    Raises:
        InputError: as it says.
    """
    if len(rows.names) < 2:
        return
    order = np.lexsort((passing, rows.series))
    medians, shares = distance_of_each(passing[order], rows.series[order], len(rows.names))
    is_steady = shares >= _STEADY
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
    units = ((DAY, "day"), (3600, "hour"), (60, "minute"), (1, "second"), (0.001, "millisecond"))
    size, name = next((one for one in units if seconds >= one[0]), units[-1])
    count = f"{seconds / size:.3g}"
    return f"{count} {name}{'' if count == '1' else 's'}"


def check_length(step: Step, civil: Floats, places: Numbers, rows: Rows) -> None:
    """Refuses a grid that is nearly empty, or longer than a machine likes.

    Raises:
        InputError: as it says.
    """
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
