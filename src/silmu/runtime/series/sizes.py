"""How large windows of a series usually are, which decides where one of them does not move."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def typical(
    values: NDArray[np.float64], observed: NDArray[np.bool_], context: int, normalise: str
) -> float:
    """By what a window of a series is usually divided; 0 where nothing moves."""
    blocks = max(1, len(values) // context)
    size = len(values) // blocks
    end = blocks * size
    cut = values[len(values) - end :].reshape(blocks, size)
    seen = observed[len(values) - end :].reshape(blocks, size)
    sizes = _sizes(cut, seen, normalise)
    moving = sizes[sizes > 0]
    return float(np.median(moving)) if len(moving) else 0.0


def typical_until(
    values: NDArray[np.float64], observed: NDArray[np.bool_], context: int, normalise: str
) -> NDArray[np.float64]:
    """(steps,) by what a window is usually divided, as the series tells until each step; 0 where
    nothing has moved.

    It is the median of the blocks of a context that have ended, and before the first one has, that
    of its first 1, 2, 4, 8 ... steps.
    """
    steps = len(values)
    told = np.zeros(steps)
    size = 1
    while size < min(context, steps + 1):
        told[size - 1 : 2 * size - 1] = _sizes(
            values[None, :size], observed[None, :size], normalise
        )
        size *= 2
    blocks = steps // context
    end = blocks * context
    sizes = _sizes(
        values[:end].reshape(blocks, context), observed[:end].reshape(blocks, context), normalise
    )
    moving: list[float] = []
    for i, size in enumerate(sizes.tolist(), 1):
        if size > 0:
            insort(moving, size)
        told[i * context - 1 : (i + 1) * context - 1] = _middle(moving)
    return told


def _sizes(
    values: NDArray[np.float64], observed: NDArray[np.bool_], normalise: str
) -> NDArray[np.float64]:
    """(blocks,) by what each is divided; 0 where it does not move."""
    mean = mean_of(values, observed)
    if normalise == "mean":
        sizes = mean_of(np.abs(values), observed)
    else:
        sizes = np.sqrt(mean_of((values - mean[:, None]) ** 2, observed))
    return np.where(sizes > 1e-9 * np.abs(mean), sizes, 0.0)


def _middle(numbers: Sequence[float]) -> float:
    """The median of sorted numbers; 0 of none."""
    half = len(numbers) // 2
    return (numbers[half] + numbers[-half - 1]) / 2 if numbers else 0.0


def mean_of(values: NDArray[np.float64], mask: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """The mean of the observed values of each row; 0 where there are none."""
    if mask is None:
        return values.mean(axis=1)
    return (values * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
