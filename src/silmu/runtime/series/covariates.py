"""Covariates of a series as numbers that a network reads; what is fitted is of the training."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from silmu.errors import InputError
from silmu.runtime import cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

MOST_LEVELS = 16
"""How many levels of a category are told apart, those that are seen most often."""

MOST_EMPTY = 0.1
"""The share of empty cells in what is still taken for one value of a series."""

SHOWN = 5
"""How many unknown levels are named."""

FARTHEST = 10.0
"""Numbers farther from the mean, in deviations of the training, are as far as that."""


@final
@dataclass(frozen=True)
class Number:
    """A covariate of numbers: its distance from the mean of the training, in deviations.

    Where there is none the last one holds, and before the first one the mean.

    Attributes:
        name: of its column.
        mean: of the training.
        deviation: likewise.
        indicator: whether a second number says that there is none, as there were such in training.
    """

    kind: ClassVar[str] = "number"
    name: str
    mean: float
    deviation: float
    indicator: bool

    def __post_init__(self) -> None:
        is_sound = abs(self.mean) <= cells.LARGEST and 0 < self.deviation <= cells.LARGEST
        if not is_sound:
            raise ValueError(f"{self!r:.300} is no covariate")

    @property
    def width(self) -> int:
        """How many numbers tell it."""
        return 2 if self.indicator else 1

    def missing(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Where there is none."""
        return np.isnan(_numbers(self.name, values))

    def read(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """(steps,) as (steps, width).

        Raises:
            InputError: they are no numbers.
        """
        found = _numbers(self.name, values)
        there = ~np.isnan(found)
        last = np.maximum.accumulate(np.where(there, np.arange(len(found)), -1))
        held = np.where(last >= 0, found[np.maximum(last, 0)], self.mean)
        most = FARTHEST * self.deviation
        plain = np.clip(held - self.mean, -most, most) / self.deviation
        columns = [plain, ~there] if self.indicator else [plain]
        return np.stack(columns, axis=1).astype(np.float32)


@final
@dataclass(frozen=True)
class Category:
    """A covariate of levels: 1 in the place of its level, all 0 for another one and for none.

    Attributes:
        name: of its column.
        levels: of the training, at most MOST_LEVELS.
        gaps: whether there were steps without a level.
    """

    kind: ClassVar[str] = "category"
    name: str
    levels: tuple[str, ...]
    gaps: bool

    def __post_init__(self) -> None:
        if not 1 <= len({*self.levels}) == len(self.levels) <= MOST_LEVELS:
            raise ValueError(f"{self!r:.300} is no covariate")

    @property
    def indicator(self) -> bool:
        """Whether there may be none."""
        return self.gaps

    @property
    def width(self) -> int:
        """How many numbers tell it."""
        return len(self.levels)

    def missing(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Where there is none."""
        return np.array([cells.level(one) is None for one in values.tolist()], bool)

    def read(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """(steps,) as (steps, width)."""
        place = {level: i for i, level in enumerate(self.levels)}
        ids = np.array([place.get(cells.level(one) or "", -1) for one in values.tolist()], np.int64)
        return (ids[:, None] == np.arange(self.width)).astype(np.float32)

    def unknown(self, parts: Iterable[NDArray[Any]]) -> list[str]:
        """Some of the levels that it does not tell apart from none, in their order."""
        found = {cells.level(one) for part in parts for one in part.tolist()}
        return sorted(one for one in found - {*self.levels} if one is not None)[:SHOWN]


Covariate = Number | Category


def fit(name: str, parts: Sequence[NDArray[Any]]) -> Covariate | None:
    """A covariate from what training saw of it, series by series; None if it never changes.

    Args:
        name: of its column.
        parts: numbers, NaN for none, or texts, None for none, as `frame.Series` has them.
    """
    if any(part.dtype == object for part in parts):
        levels = Counter(cells.level(one) for part in parts for one in part.tolist())
        gaps = levels.pop(None, 0) > 0
        if len(levels) + gaps < 2:
            return None
        known = sorted(str(level) for level, _ in levels.most_common(MOST_LEVELS))
        return Category(name, tuple(known), gaps)
    values = np.concatenate([np.asarray(part, np.float64) for part in parts])
    there = values[~np.isnan(values)]
    gaps = len(there) < len(values)
    deviation = float(there.std()) if len(there) else 0.0
    if not len(there) or deviation <= 1e-12 * float(np.abs(there).max()):
        return Number(name, float(there[0]), 1.0, indicator=True) if len(there) and gaps else None
    return Number(name, float(there.mean()), deviation, gaps)


def is_static(parts: Sequence[NDArray[Any]]) -> bool:
    """Whether a covariate never changes within any of the series that training saw.

    A cell that is left empty here and there stands for the value of the others; where many are, as
    in a column that names the holidays, empty says something of its own.

    Args:
        parts: series by series, of the steps that have a row.
    """
    return not any(_changes(part) for part in parts)


def _changes(values: NDArray[Any]) -> bool:
    if values.dtype == object:
        there = [one for one in map(cells.level, values.tolist()) if one is not None]
        different = len({*there})
    else:
        there = values[~np.isnan(values)]
        different = len(np.unique(there))
    empty = len(values) - len(there)
    return different > 1 or (different == 1 and empty > MOST_EMPTY * len(values))


def _numbers(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    if values.dtype != object:
        return values.astype(np.float64)
    found, bad = cells.numbers(values.tolist())
    if bad.any():
        wrong = values[int(bad.argmax())]
        raise InputError(
            f"the covariate `{name}` is {wrong!r:.60} in a step; it was numbers in training",
            hint="give a number, or nothing",
        )
    return found
