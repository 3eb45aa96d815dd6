"""What a column of a table holds, told from training rows alone, and how it will be read."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from datetime import date
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.runtime import cells
from silmu.runtime.columns import (
    CategoryColumn,
    Column,
    DateColumn,
    IgnoredColumn,
    NumberColumn,
)
from silmu.runtime.times import ORDERS, PARTS, are_days, read_times, taken_apart
from silmu.steps.prepare.text_columns import LEAST_OF_LEVEL, SAMPLE, fit_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.prepare.settings import TableSettings

logger = logging.getLogger("silmu")

READABLE = 0.98
"""The share of cells that must be numbers, or times, for the others to be taken for missing."""
DISTINCT = 0.9
"""A category with more different levels than this share of its rows tells rows apart, not kinds."""
FEW_ROWS = 20
"""Of fewer rows nothing is said to be an id."""
MOST_RARE = 20_000
"""Levels of fewer rows whose names are kept, so that they are not told to be new."""
MOST_KNOTS = 1000

MOST_UNITS = 8
"""Units that are named where a column has several."""

_CODE = re.compile(r"[+-]?0\d+")
_ID_NAME = re.compile(
    r"(.*[\W_])?(id|idx|index|no|nr|key|rownames?|번호|순번|아이디)|unnamed: 0|.*Id|.*ID"
)


def fit_column(name: str, values: Sequence[Any], settings: TableSettings) -> Column:
    """How a column is to be read.

    >>> from silmu.steps.prepare.settings import TableSettings
    >>> fit_column("size", ["S", "M", "L", "M", "S", "L"], TableSettings()).levels
    ('L', 'M', 'S')

    Args:
        name: of the column.
        values: its cells in some rows of the training.
        settings: `normalise`, `indicators`, `categories`, `ignore`, `read` and `max_levels`.
    """
    if name in settings.ignore:
        return IgnoredColumn(name=name, why="it was to be ignored")
    there = [value for value in values if not cells.is_missing(value)]
    if not there:
        return IgnoredColumn(name=name, why="no row of the training has it")
    if any(isinstance(value, list | dict | tuple | bytes) for value in there[:SAMPLE]):
        return IgnoredColumn(name=name, why=f"it holds cells of the type {_type_of(there)}")
    if name not in settings.categories:
        is_of_days = are_days(there[:SAMPLE]) and are_days(there)
        found = None if is_of_days else _number(name, values, there, settings)
        found = found or _date(name, values, there) or fit_text(name, values, there)
        if found is not None:
            return found
    return _category(name, values, settings)


def _type_of(there: list[Any]) -> str:
    return type(there[0]).__name__


def _plain(value: Any) -> Any:
    """A cell that can be counted: of a text itself, of all else its level."""
    return value if isinstance(value, str) else cells.level(value)


def _number(
    name: str, values: Sequence[Any], there: list[Any], settings: TableSettings
) -> Column | None:
    if any(isinstance(value, bool | np.bool_ | date) for value in there[:SAMPLE]):
        return None
    texts = [value for value in there if isinstance(value, str)]
    if any(_CODE.fullmatch(text.strip()) for text in texts):
        return None  # 007 is the name of something
    decimal, unit = ".", ""
    if texts:  # what is not read in some cells is not tried on all
        some = texts[:: max(len(texts) // SAMPLE, 1)]
        if cells.numbers(some)[1].mean() > 1 - READABLE:
            decimal, unit = cells.writing(some)
            if cells.numbers(some, decimal, unit)[1].mean() > 2 * (1 - READABLE):
                return None
    found, bad = cells.numbers(values, decimal, unit)
    known = found[~np.isnan(found)]
    strange = int(bad.sum())
    if not len(known):
        return None
    # What is a number by its type stays one, however many are infinite.
    if texts and len(known) < READABLE * (len(known) + strange):
        return None
    if texts and strange and len(np.unique(known)) <= FEW_ROWS:
        return None
    if strange:
        example = values[int(np.flatnonzero(bad)[0])]
        logger.warning(
            "`%s` is read as numbers; %s cells that are none, such as %r, are taken for missing",
            name,
            f"{strange:,}",
            example,
        )
    missing = 1 - len(known) / len(values)
    if known.min() == known.max() and not missing:
        return IgnoredColumn(name=name, why=f"it is {known[0]:g} in every row of the training")
    if name not in settings.read and (why := _why_id(name, found)):
        return IgnoredColumn(name=name, why=why)
    clipped = settings.normalise in ("auto", "quantile") and bool(known.min() < known.max())
    knots, heights = _quantiles(known) if clipped else _line(known, settings.normalise)
    return NumberColumn(
        name=name,
        fill=float(np.median(known)),
        indicator=settings.indicators and missing > 0,
        low=float(known.min()),
        high=float(known.max()),
        mean=float(known.mean()),
        deviation=float(known.std()),
        missing=missing,
        clipped=clipped,
        decimal=decimal,
        unit=unit,
        knots=knots,
        heights=heights,
    )


def _why_id(name: str, found: NDArray[np.float64]) -> str | None:
    """Whether a column numbers the rows: whole, all different, and counted on or called an id."""
    if len(found) < FEW_ROWS or np.isnan(found).any() or (found != np.floor(found)).any():
        return None
    if len(np.unique(found)) < len(found):
        return None
    rising = bool((np.diff(found) > 0).all())
    dense = found.max() - found.min() < 2 * len(found)
    if (rising and dense) or _ID_NAME.fullmatch(name.strip()):
        return "it numbers the rows: it is another whole number in each"
    return None


def _quantiles(known: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What makes numbers normally distributed: (knots,) of the column, (knots,) normal."""
    count = min(MOST_KNOTS, max(len(known), 2))
    shares = np.linspace(0, 1, count)
    knots = np.maximum.accumulate(np.quantile(known, shares))
    edge = 0.5 / count
    normal = NormalDist()
    heights = [normal.inv_cdf(min(max(float(share), edge), 1 - edge)) for share in shares]
    return knots, np.array(heights)


def _line(
    known: NDArray[np.float64], normalise: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if normalise == "robust":
        low, center, high = np.quantile(known, (0.25, 0.5, 0.75))
        scale = (high - low) / 1.349 or known.std()
    else:
        center, scale = known.mean(), known.std()
    # As near to each other as numbers of that size can be, and as can be divided by.
    least = max(2 * float(np.spacing(abs(center))), 1 / cells.LARGEST)
    return np.array([center, center + max(scale or 1.0, least)]), np.array([0.0, 1.0])


def _date(name: str, values: Sequence[Any], there: list[Any]) -> Column | None:
    some = there[:: max(len(there) // SAMPLE, 1)]
    shares = {order: 1 - float(read_times(some, order).bad.mean()) for order in ORDERS}
    best = max(ORDERS, key=lambda order: shares[order])
    if shares[best] < READABLE:
        return None
    times = read_times(values, best)
    there_too = ~np.isnan(times.seconds)
    known = times.seconds[there_too]
    if not len(known) or times.bad.sum() > (1 - READABLE) * len(values):
        return None
    missing = 1 - len(known) / len(values)
    low, high = float(known.min()), float(known.max())
    if low == high and not missing:
        return IgnoredColumn(name=name, why=f"it is {there[0]} in every row of the training")
    if best == "dmy" and shares["mdy"] == shares["dmy"] > shares["ymd"]:
        logger.warning(
            "`%s` is read as day, month, year, and could be month, day, year as well: %s; write "
            "dates as 2026-01-31 to be sure",
            name,
            some[0],
        )
    apart = taken_apart(known, low, high)
    return DateColumn(
        name=name,
        order=best,
        zoned=bool(times.zoned[there_too].mean() > 0.5),
        parts=tuple(part for part in PARTS if apart[part].std() > 1e-3),
        low=low,
        high=high,
        missing=missing,
    )


def _category(name: str, values: Sequence[Any], settings: TableSettings) -> Column:
    counts: Counter[str] = Counter()
    for value, count in Counter(map(_plain, values)).items():
        if (level := cells.level(value)) is not None:
            counts[level] += count
    total = sum(counts.values())
    missing = 1 - total / len(values)
    if len(counts) < 2 and not missing:
        return IgnoredColumn(name=name, why=f"it is {next(iter(counts))!r} in every row")
    told = name in settings.read or name in settings.categories
    if not told and total >= FEW_ROWS and len(counts) > DISTINCT * total:
        why = f"it tells rows apart: {len(counts):,} levels in {total:,} rows"
        units = sorted({cells.unit_of(one) for one in list(counts)[:SAMPLE]} - {""})
        if 1 < len(units) <= MOST_UNITS:
            why += f"; its numbers have several units: {', '.join(units)}"
        return IgnoredColumn(name=name, why=why)
    often = sorted(counts, key=lambda one: (-counts[one], one))
    known = sorted(one for one in often[: settings.max_levels] if counts[one] >= LEAST_OF_LEVEL)
    if not known and not missing:
        return IgnoredColumn(name=name, why="no two rows of the training have the same")
    of_known = {*known}
    rare = [one for one in often if one not in of_known][:MOST_RARE]
    return CategoryColumn(
        name=name,
        levels=tuple(known),
        counts=tuple(counts[one] for one in known),
        rare=tuple(sorted(rare)),
        missing=missing,
    )
