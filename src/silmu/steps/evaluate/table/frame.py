"""A table as models of scikit-learn take it, made from the cells alone.

What a column holds is what prepare found in the training rows, and cells are read as the model's
processor reads them; all else is simple on purpose. Of a text its words and characters are counted,
beside the numbers that the processor makes of its words; a time is taken apart; ignored columns
stay ignored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from silmu.runtime import cells
from silmu.runtime.columns import (
    CategoryColumn,
    Column,
    DateColumn,
    IgnoredColumn,
    NumberColumn,
    Odd,
    TextColumn,
    taken_apart,
)

Cells = Mapping[str, Sequence[Any]]

MOST_LEVELS = 253
"""Levels of a category that are told apart, which with the rest are what trees can hold."""

SIZES = 2
"""The numbers that say how long a text is: words and characters."""

_PLAIN = {str, int, float, bool}
_MOST_REMEMBERED = 1 << 16

FAR = 10.0
"""So many deviations from the mean a number lies at most, for a linear model."""


@final
@dataclass(frozen=True)
class Matrix:
    """Rows as numbers and as numbers of levels.

    Attributes:
        numbers: (rows, N), NaN where there is none.
        levels: (rows, C), -1 where there is none.
    """

    numbers: NDArray[np.float64]
    levels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.int64]) -> Matrix:
        """Some of the rows."""
        return Matrix(self.numbers[rows], self.levels[rows])

    def without(self, numbers: Sequence[int]) -> Matrix:
        """The same without some of the numbers."""
        return Matrix(np.delete(self.numbers, list(numbers), axis=1), self.levels)

    @property
    def for_trees(self) -> NDArray[np.float64]:
        """(rows, N + C), NaN where there is none; the levels are the last."""
        levels = np.where(self.levels < 0, np.nan, self.levels.astype(np.float64))
        return np.concatenate([self.numbers, levels], axis=1)


@final
@dataclass(frozen=True)
class Frame:
    """How cells become a matrix.

    Attributes:
        columns: as prepare found them.
        numbers_of: for each level of each category its number, those of most training rows first.
    """

    columns: tuple[Column, ...]
    numbers_of: Mapping[str, Mapping[str, int]]

    @classmethod
    def fit(cls, columns: Sequence[Column], training: Cells) -> Self:
        """Of the cells of training rows."""
        read = tuple(one for one in columns if not isinstance(one, IgnoredColumn))
        numbers_of: dict[str, dict[str, int]] = {}
        for one in read:
            if isinstance(one, CategoryColumn):
                counts = Counter(level for level in levels_of(training[one.name]) if level)
                often = sorted(counts, key=lambda level: (-counts[level], level))[:MOST_LEVELS]
                numbers_of[one.name] = {level: i for i, level in enumerate(often)}
        return cls(read, numbers_of)

    @property
    def sizes(self) -> list[int]:
        """How many numbers the levels of each category have, with one for all others."""
        return [len(numbers) + 1 for numbers in self.numbers_of.values()]

    @property
    def of_words(self) -> list[int]:
        """Which numbers of a matrix are made of the words of texts."""
        found: list[int] = []
        start = 0
        for one in self.columns:
            if isinstance(one, TextColumn):
                found += range(start + SIZES, start + SIZES + one.width)
            if not isinstance(one, CategoryColumn):
                start += _width(one)
        return found

    def read(self, rows: Cells) -> Matrix:
        """The matrix of some rows."""
        count = len(next(iter(rows.values()))) if rows else 0
        numbers: list[NDArray[np.float64]] = [np.zeros((count, 0))]
        levels: list[NDArray[np.int64]] = [np.zeros((count, 0), np.int64)]
        for one in self.columns:
            if isinstance(one, CategoryColumn):
                levels.append(_levels(rows[one.name], self.numbers_of[one.name])[:, None])
            else:
                numbers.append(_numbers(one, rows[one.name]))
        return Matrix(np.concatenate(numbers, axis=1), np.concatenate(levels, axis=1))


@final
@dataclass(frozen=True)
class Scaling:
    """Medians for what is missing, and numbers in deviations from their mean.

    Attributes:
        medians, means, deviations: (N,) of the training.
        missing: (N,) whether a number is missing in some row of the training.
        sizes: of the categories.
    """

    medians: NDArray[np.float64]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    missing: NDArray[np.bool_]
    sizes: tuple[int, ...]

    @classmethod
    def fit(cls, matrix: Matrix, sizes: Sequence[int]) -> Self:
        """Of training rows."""
        none = np.isnan(matrix.numbers)
        empty = none.all(axis=0)
        known = np.where(empty, 0.0, matrix.numbers)
        medians = np.nanmedian(known, axis=0) if known.size else np.zeros(known.shape[1])
        filled = np.where(none, medians, matrix.numbers)
        means, deviations = filled.mean(axis=0), filled.std(axis=0)
        safe = np.where(deviations > 0, deviations, 1.0)
        return cls(medians, means, safe, np.asarray(none.any(axis=0)), tuple(sizes))

    def read(self, matrix: Matrix) -> Any:
        """(rows, features), sparse: numbers, what is missing, and a 1 for the level of each."""
        none = np.isnan(matrix.numbers)
        filled = np.where(none, self.medians, matrix.numbers)
        scaled = np.clip((filled - self.means) / self.deviations, -FAR, FAR)
        parts: list[Any] = [scaled, none[:, self.missing].astype(np.float64)]
        rows = np.arange(len(matrix))
        for column, size in zip(matrix.levels.T, self.sizes, strict=True):
            # What is missing is a level too, the first.
            shape = (len(matrix), size + 1)
            parts.append(sparse.csr_matrix((np.ones(len(rows)), (rows, column + 1)), shape))
        return sparse.hstack([sparse.csr_matrix(part) for part in parts], format="csr")


def _width(column: Column) -> int:
    """How many numbers come of a column."""
    if isinstance(column, DateColumn):
        return len(column.parts)
    return SIZES + column.width if isinstance(column, TextColumn) else 1


def levels_of(values: Sequence[Any]) -> list[str | None]:
    """The level of each cell; None where there is none."""
    known: dict[Any, str | None] = {}
    found: list[str | None] = []
    for value in values:
        # 1 and True are one key, and are no one level.
        key: Any = (type(value), value) if type(value) in _PLAIN else None
        if key is None or (key not in known and len(known) >= _MOST_REMEMBERED):
            found.append(cells.level(value))
        else:
            if key not in known:
                known[key] = cells.level(value)
            found.append(known[key])
    return found


def _levels(values: Sequence[Any], numbers: Mapping[str, int]) -> NDArray[np.int64]:
    other = len(numbers)
    return np.fromiter(
        (-1 if level is None else numbers.get(level, other) for level in levels_of(values)),
        np.int64,
        len(values),
    )


def _numbers(column: Column, values: Sequence[Any]) -> NDArray[np.float64]:
    """(rows, numbers) of a column."""
    if isinstance(column, NumberColumn):
        return column.found(values)[0][:, None]
    if isinstance(column, DateColumn):
        seconds = column.found(values).seconds
        none = np.isnan(seconds)
        apart = taken_apart(np.where(none, column.low, seconds), column.low, column.high)
        parts = [np.where(none, np.nan, apart[name]) for name in column.parts]
        return np.stack(parts, axis=1) if parts else np.zeros((len(values), 0))
    assert isinstance(column, TextColumn)
    texts = ["" if cells.is_missing(value) else str(value) for value in values]
    sizes = np.array([[len(text.split()), len(text)] for text in texts], np.float64).reshape(-1, 2)
    return np.concatenate([sizes, column.read(values, Odd("flag"))], axis=1)
