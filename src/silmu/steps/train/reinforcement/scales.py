"""Scales of observations and rewards, which are not known before there are some."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

EPSILON = 1e-12


@final
class Moments:
    """Mean and deviation of all rows seen so far (Chan et al. 1983).

    >>> moments = Moments((1,))
    >>> for rows in ([[1.0], [2.0]], [[6.0]]):
    ...     moments.take(np.array(rows))
    >>> moments.mean, moments.deviation
    (array([3.]), array([2.1602469]))
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(shape)
        self.squares: NDArray[np.float64] = np.zeros(shape)

    def take(self, rows: NDArray[Any]) -> None:
        """Counts more rows, the first axis."""
        values = rows.astype(np.float64)
        count, mean = len(values), values.mean(0)
        squares = ((values - mean) ** 2).sum(0)
        total, apart = self.count + count, mean - self.mean
        self.squares = self.squares + squares + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    @property
    def deviation(self) -> NDArray[np.float64]:
        """The standard deviation; 1 of what never changed."""
        variance = self.squares / max(self.count, 1)
        return np.where(variance > EPSILON, np.sqrt(variance + EPSILON), 1.0)

    def state(self) -> dict[str, Tensor]:
        """All of it."""
        return {
            "count": torch.tensor(self.count),
            "mean": torch.from_numpy(np.array(self.mean)),
            "squares": torch.from_numpy(np.array(self.squares)),
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """What `state` gave."""
        self.count = int(tensors["count"])
        self.mean, self.squares = (tensors[name].numpy().copy() for name in ("mean", "squares"))
