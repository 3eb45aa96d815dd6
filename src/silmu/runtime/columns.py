"""The columns of a table as training found them, each of which reads cells as numbers or levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.runtime import cells
from silmu.runtime.odd import Odd
from silmu.runtime.times import (
    DAY,
    MOST_REMEMBERED,
    ORDERS,
    PARTS,
    Times,
    read_times,
    taken_apart,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNKNOWN, NONE, FIRST = 0, 1, 2
"""The numbers of a category: unknown or rare, missing, and the first level."""
FARTHEST = 1e4
"""What a number becomes at most, of which most lie between -3 and 3."""
TINY = 0.1
"""A positive number below this share of the least of the training is far from it, whatever the
largest."""

_PLAIN = {str, int, float, bool}
_NEVER_MISSING = "it is missing, and never was"


@dataclass(frozen=True, kw_only=True)
class NumberColumn:
    """A column of numbers, filled and normalised.

    Attributes:
        fill: what stands for a missing number, in the unit of the column.
        indicator: whether a second number tells that it was missing.
        knots, heights: (K,) what numbers become: heights at knots, straight lines between them.
        clipped: whether numbers beyond the knots become the last height, or go on in its direction.
        low, high: the least and the largest number of the training.
        mean, deviation: of the training, in the unit of the column.
        missing: the share of rows of the training without one.
        decimal: what stands before the decimals of texts, "." or ",".
        unit: what stands before or behind the digits of texts in the training, such as "%".
    """

    kind = "number"
    name: str
    fill: float
    indicator: bool
    low: float
    high: float
    mean: float
    deviation: float
    missing: float
    clipped: bool
    decimal: str = "."
    unit: str = ""
    knots: NDArray[np.float64] = field(repr=False)
    heights: NDArray[np.float64] = field(repr=False)

    def __post_init__(self) -> None:
        _check_texts(self.name, self.unit)
        _check_numbers(self.fill, self.low, self.high, self.mean, self.deviation, self.missing)
        _check_arrays(self.knots, self.heights, ndim=1)
        _check_flags(self.indicator, self.clipped)
        _require(self.decimal in (".", ",") and self.low <= self.high)
        _require(
            len(self.knots) == len(self.heights) > 1 and bool((np.diff(self.knots) >= 0).all())
        )
        _require(self.knots[0] < self.knots[-1] and bool((np.abs(self.heights) < FARTHEST).all()))

    @property
    def width(self) -> int:
        """How many numbers come of a cell."""
        return 1 + self.indicator

    def found(self, values: Sequence[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Cells as numbers, NaN where there is none, and which of these hold something else."""
        return cells.numbers(values, self.decimal, self.unit)

    def read(self, values: Sequence[Any], odd: Odd) -> NDArray[np.float64]:
        """(rows, width)"""
        found, bad = self.found(values)
        odd.tell(self.name, values, bad, "{value} is no number")
        if not self.missing:
            odd.tell(self.name, values, np.isnan(found) & ~bad, _NEVER_MISSING)
        far = self._far(found)
        said = f"{{value}} is far outside of {self.low:g} to {self.high:g}"
        if odd.tell(self.name, values, far, said):
            found = np.where(far, np.nan, found)
        if self.unit == "%":
            # 0.12 may be a share, of which 12 % were in the training.
            small = (found != 0) & (np.abs(found) <= 1)
            for i in np.flatnonzero(small).tolist():
                small[i] = not (isinstance(values[i], str) and cells.unit_of(values[i]))
            if odd.tell(self.name, values, small, "{value} has no %, and 12 % is read as 12"):
                found = np.where(small, np.nan, found)
        none = np.isnan(found)
        parts = [self._normalised(np.where(none, self.fill, found))]
        if self.indicator:
            parts.append(none.astype(np.float64))
        return np.stack(parts, axis=1)

    def _far(self, found: NDArray[np.float64]) -> NDArray[np.bool_]:
        """What lies farther outside of the training's numbers than they lie apart.

        Of positive numbers also by their ratio, so that kilograms for grams are seen too.
        """
        span = self.high - self.low
        with np.errstate(invalid="ignore"):
            far = (found < self.low - span) | (found > self.high + span)
            if self.low > 0:
                far |= (found > 0) & (found < self.low * max(self.low / self.high, TINY))
        return far

    def _normalised(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self.clipped:
            (a, b), (c, d) = self.knots[[0, -1]], self.heights[[0, -1]]
            return np.clip(c + (x - a) * ((d - c) / (b - a)), -FARTHEST, FARTHEST)
        # With ties a knot has several heights; their middle is taken, as from left and from right.
        up = np.interp(x, self.knots, self.heights)
        down = -np.interp(-x, -self.knots[::-1], -self.heights[::-1])
        return (up + down) / 2


@dataclass(frozen=True, kw_only=True)
class CategoryColumn:
    """A column of levels.

    Attributes:
        levels: that the network knows, in the order of their numbers from FIRST on.
        counts: how many rows of the training have each.
        rare: levels of the training that are too rare to be known.
        missing: the share of rows of the training without one.
    """

    kind = "category"
    name: str
    levels: tuple[str, ...]
    counts: tuple[int, ...]
    rare: tuple[str, ...]
    missing: float

    def __post_init__(self) -> None:
        _check_texts(self.name, *self.levels, *self.rare)
        _check_numbers(self.missing, *self.counts)
        several = (*self.levels, *self.rare)
        _require(len(self.levels) == len(self.counts) and len({*several}) == len(several))

    @property
    def size(self) -> int:
        """How many numbers a cell may become."""
        return FIRST + len(self.levels)

    def read(self, values: Sequence[Any], odd: Odd) -> NDArray[np.int64]:
        """(rows,)"""
        found = np.empty(len(values), np.int64)
        known: dict[Any, int] = {}
        for i, value in enumerate(values):
            kind = cast("type[Any]", type(value))
            key = (kind, value) if kind in _PLAIN else None
            if (number := known.get(key)) is None:
                number = self._code(value)
                if key is not None and len(known) < MOST_REMEMBERED:
                    known[key] = number
            found[i] = number
        strange = found < 0
        found[strange] = UNKNOWN
        if odd.tell(self.name, values, strange, "{value} is no level of the training"):
            found[strange] = NONE
        if not self.missing:
            odd.tell(self.name, values, found == NONE, _NEVER_MISSING)
        return found

    def _code(self, value: Any) -> int:
        """The number of a cell; -1 where no level of the training is meant."""
        name = cells.level(value)
        if name is None:
            return NONE
        codes, folded = self._codes
        if name in codes:
            return codes[name]
        # TRUE is true where nothing else is written alike.
        near = folded.get(name.casefold(), [])
        return near[0] if len(near) == 1 else -1

    @cached_property
    def _codes(self) -> tuple[dict[str, int], dict[str, list[int]]]:
        """The numbers of levels as they are written, and of all that are written alike."""
        codes = {one: i for i, one in enumerate(self.levels, FIRST)}
        codes |= dict.fromkeys(self.rare, UNKNOWN)
        folded: dict[str, list[int]] = {}
        for one, code in codes.items():
            folded.setdefault(one.casefold(), []).append(code)
        return codes, folded


@dataclass(frozen=True, kw_only=True)
class DateColumn:
    """A column of times, taken apart.

    Attributes:
        order: how texts of it are written, one of `times.ORDERS`.
        zoned: whether times of the training had a zone.
        parts: those of PARTS that differ in the training.
        low, high: the first and the last time of the training, in seconds since 1970.
        missing: the share of rows of the training without one.
    """

    kind = "date"
    name: str
    order: str
    zoned: bool
    parts: tuple[str, ...]
    low: float
    high: float
    missing: float

    def __post_init__(self) -> None:
        _check_texts(self.name)
        _check_numbers(self.low, self.high, self.missing)
        _check_flags(self.zoned)
        _require(self.order in ORDERS and self.low <= self.high)
        _require({*self.parts} <= {*PARTS} and len({*self.parts}) == len(self.parts))
        _require(abs(self.low) < 1e12 and abs(self.high) < 1e12)

    @property
    def width(self) -> int:
        """How many numbers come of a cell."""
        return len(self.parts) + (self.missing > 0)

    def found(self, values: Sequence[Any]) -> Times:
        """Cells as times."""
        return read_times(values, self.order)

    def read(self, values: Sequence[Any], odd: Odd) -> NDArray[np.float64]:
        """(rows, width)"""
        times = self.found(values)
        found = times.seconds
        odd.tell(self.name, values, times.bad, "{value} is no time")
        if not self.missing:
            odd.tell(self.name, values, np.isnan(found) & ~times.bad, _NEVER_MISSING)
        span = max(self.high - self.low, DAY)
        with np.errstate(invalid="ignore"):
            far = (found < self.low - span) | (found > self.high + span)
        if odd.tell(self.name, values, far, "{value} is far outside of the training"):
            found = np.where(far, np.nan, found)
        other = ~np.isnan(found) & (times.zoned != self.zoned)
        said = "has no zone, and had one" if self.zoned else "has a zone, and had none"
        if odd.tell(self.name, values, other, f"{{value}} {said} in the training"):
            found = np.where(other, np.nan, found)
        none = np.isnan(found)
        middle = (self.low + self.high) / 2
        several = taken_apart(np.where(none, middle, found), self.low, self.high)
        parts = [np.where(none, 0.0, several[name]) for name in self.parts]
        if self.missing > 0:
            parts.append(none.astype(np.float64))
        return np.stack(parts, axis=1) if parts else np.zeros((len(values), 0))


@dataclass(frozen=True, kw_only=True)
class TextColumn:
    """A column of texts, as numbers of latent semantic analysis (Deerwester et al. 1990).

    Attributes:
        words: of the vocabulary.
        weights: (words,) how much each tells, its inverse document frequency.
        components: (words, numbers) of the singular value decomposition, divided so that each
            number has deviation 1 in the training.
        missing: the share of rows of the training without one.
    """

    kind = "text"
    name: str
    words: tuple[str, ...]
    missing: float
    weights: NDArray[np.float32] = field(repr=False)
    components: NDArray[np.float32] = field(repr=False)

    def __post_init__(self) -> None:
        _check_texts(self.name, *self.words)
        _check_numbers(self.missing)
        _check_arrays(self.weights, ndim=1)
        _check_arrays(self.components, ndim=2)
        count = len({*self.words})
        _require(len(self.words) == len(self.weights) == len(self.components) == count)
        _require(self.components.shape[1] > 0)

    @property
    def width(self) -> int:
        """How many numbers come of a cell."""
        return int(self.components.shape[1])

    def read(self, values: Sequence[Any], odd: Odd) -> NDArray[np.float64]:
        """(rows, width)"""
        none = np.array([cells.is_missing(value) for value in values], bool)
        bad = np.array([not isinstance(value, str) for value in values], bool) & ~none
        odd.tell(self.name, values, bad, "{value} is no text")
        if not self.missing:
            odd.tell(self.name, values, none, _NEVER_MISSING)
        found = np.zeros((len(values), self.width), np.float64)
        for row, value in zip(found, values, strict=True):
            told = cells.words(value) if isinstance(value, str) else []
            weights = cells.word_weights(told, self._places, self.weights)
            if weights:
                row[:] = np.fromiter(weights.values(), np.float64) @ self.components[[*weights]]
        return found

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}


@dataclass(frozen=True, kw_only=True)
class IgnoredColumn:
    """A column that tells nothing, and why."""

    kind = "ignored"
    name: str
    why: str

    def __post_init__(self) -> None:
        _check_texts(self.name, self.why)


ReadColumn = NumberColumn | CategoryColumn | DateColumn | TextColumn
Column = ReadColumn | IgnoredColumn
KINDS: dict[str, type[Any]] = {
    kind.kind: kind
    for kind in (NumberColumn, CategoryColumn, DateColumn, TextColumn, IgnoredColumn)
}


# What follows holds of every column that training makes, and of a file by chance at most.


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("a column is not as training makes it")


def _check_texts(*values: Any) -> None:
    _require(all(isinstance(value, str) for value in values))


def _check_flags(*values: Any) -> None:
    _require(all(isinstance(value, bool) for value in values))


def _check_numbers(*values: Any) -> None:
    kinds = {*map(type, values)}
    _require(kinds <= {int, float} and all(math.isfinite(value) for value in values))


def _check_arrays(*arrays: Any, ndim: int) -> None:
    for array in arrays:
        _require(type(array) is np.ndarray and array.ndim == ndim)
        _require(array.dtype in (np.float32, np.float64) and bool(np.isfinite(array).all()))
