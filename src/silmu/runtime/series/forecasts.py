"""What is told of windows of series: means and quantiles of each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from silmu.runtime.series import student

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HEADS = ("quantiles", "student_t")
"""What a network tells of a step."""


@final
@dataclass(frozen=True)
class Forecasts:
    """What is told of windows, in the unit of the target.

    Attributes:
        mean: float64 (windows, steps).
        quantiles: float64 (windows, steps, quantiles), each at least the one before.
    """

    mean: NDArray[np.float64]
    quantiles: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[Self], axis: int = 0) -> Self:
        """Of windows one after the other, or with axis 1 of their steps."""
        return cls(
            np.concatenate([one.mean for one in parts], axis=axis),
            np.concatenate([one.quantiles for one in parts], axis=axis),
        )


def stretched(
    quantiles: NDArray[np.float64], median: int, spread: Sequence[float]
) -> NDArray[np.float64]:
    """Quantiles (..., quantiles) as far from the median as a factor for each of them says.

    >>> stretched(np.array([[-1.0, 0.0, 1.0]]), 1, (2.0, 1.0, 0.5)).tolist()
    [[-2.0, 0.0, 0.5]]
    """
    middle = quantiles[..., median, None]
    return np.sort(middle + (quantiles - middle) * np.array(spread), axis=-1)


def floored(
    values: NDArray[np.float64], floor: float, free: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Values (windows, ...) no lower than a floor, but for windows (windows,) that are free of it.

    >>> floored(np.array([[-1.0, 2.0], [-1.0, 2.0]]), 0.0, np.array([False, True])).tolist()
    [[0.0, 2.0], [-1.0, 2.0]]
    """
    is_free = free.reshape(-1, *[1] * (values.ndim - 1))
    return np.where(is_free, values, np.maximum(values, floor))


def normalised(
    parameters: NDArray[Any], head: str, shares: Sequence[float]
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    """The mean, where the head tells one, and the quantiles (windows, steps, shares) in order.

    Args:
        parameters: (windows, steps, outputs) of a network.
        head: one of HEADS.
        shares: of the quantiles.
    """
    found = np.asarray(parameters, np.float64)
    if head == "quantiles":
        return None, np.sort(found, axis=-1)
    freedom, loc, scale = (found[..., i] for i in range(3))
    return loc, loc[..., None] + scale[..., None] * student.quantiles(tuple(shares), freedom)
