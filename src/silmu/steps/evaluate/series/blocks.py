"""Intervals of what is measured over time, by resampling blocks of it.

Forecasts of one origin err together, and so do those of neighbouring ones. What is drawn again is
therefore not a step but a block of steps that is at least as long as the forecast, with all series
in it: the circular block bootstrap of Politis and Romano, 1992.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.intervals import percentiles, wilson
from silmu.steps.evaluate.numbers import Sums, Totals
from silmu.steps.evaluate.report import Metric

RESAMPLES = 2000
FEWEST = 4
"""Of fewer blocks nothing could be drawn; they are shorter then than the forecast."""

_AT_ONCE = 2_000_000


@final
@dataclass(frozen=True)
class Blocks:
    """How time is cut.

    >>> Blocks.of(moments=100, horizon=7)
    Blocks(moments=100, length=7, short=False)
    >>> Blocks.of(moments=14, horizon=7)
    Blocks(moments=14, length=3, short=True)

    Attributes:
        moments: how many steps of time there are.
        length: of a block, in steps.
        short: whether blocks are shorter than the forecast, as the time is.
    """

    moments: int
    length: int
    short: bool

    @classmethod
    def of(cls, moments: int, horizon: int) -> Blocks:
        """Blocks of at least a horizon, and of as many steps as grow with the time (Kunsch, 1989).

        Args:
            moments: how many steps of time there are.
            horizon: how many steps are forecast at once.
        """
        wanted = max(horizon, round(moments ** (1 / 3)))
        length = max(1, min(wanted, moments // FEWEST))
        return cls(moments, length, length < horizon)

    @property
    def count(self) -> int:
        """How many blocks there are side by side."""
        return max(1, self.moments // self.length)

    def resample(self, tables: Sequence[Sums], *, seed: int) -> list[Totals]:
        """Totals over blocks that are drawn again, alike for all tables.

        Args:
            tables: by name (moments, columns).
            seed: of the draw.
        """
        moments, length = self.moments, self.length
        draws = -(-moments // length)
        random = np.random.default_rng(seed)
        pieces: list[list[dict[str, NDArray[np.float64]]]] = [[] for _ in tables]
        at_once = max(1, _AT_ONCE // moments)
        for start in range(0, RESAMPLES, at_once):
            rows = min(at_once, RESAMPLES - start)
            begins = random.integers(0, moments, (rows, draws))
            weights = _covered(begins, moments, length)
            for table, piece in zip(tables, pieces, strict=True):
                piece.append({name: weights @ block for name, block in table.items()})
        return [
            {name: np.concatenate([part[name] for part in piece]) for name in piece[0]}
            for piece in pieces
        ]

    def interval(self, value: float, again: NDArray[np.float64]) -> tuple[float, float]:
        """Both ends of the 95 % interval of a figure, which is within."""
        low, high = percentiles(again, self.count)
        return min(low, value), max(high, value)

    def metric(self, name: str, value: float, again: NDArray[np.float64], n: int) -> Metric:
        """A figure with its interval.

        Args:
            name: of the metric.
            value: of all steps.
            again: of each resample.
            n: of how many forecast steps it is told.
        """
        if name == "interval_coverage" and value in (0.0, 1.0):
            # No resample shows what it lacks; blocks, not steps, are independent.
            return Metric(value, *wilson(value * self.count, self.count), n)
        return Metric(value, *self.interval(value, again), n)

    def to_dict(self, seed: int) -> dict[str, Any]:
        """As a report tells it."""
        return {
            "resamples": RESAMPLES,
            "by": "block",
            "units": self.count,
            "steps": self.length,
            "seed": seed,
        }


def _covered(begins: NDArray[np.int64], moments: int, length: int) -> NDArray[np.float64]:
    """(resamples, moments): how many blocks hold a moment; the last is followed by the first."""
    rows = len(begins)
    place = begins + np.arange(rows)[:, None] * moments
    counts = np.bincount(place.ravel(), minlength=rows * moments).reshape(rows, moments)
    wrapped = np.concatenate([counts[:, moments - length + 1 :], counts], axis=1)
    running = np.concatenate([np.zeros((rows, 1), np.int64), wrapped.cumsum(axis=1)], axis=1)
    return (running[:, length:] - running[:, :-length]).astype(np.float64)
