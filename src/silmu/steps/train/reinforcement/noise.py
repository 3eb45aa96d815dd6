"""Noise whose next number resembles the last, so that what is tried is kept up for a while.

Its power falls as the frequency rises, by 1 / f, between white noise, of which steps cancel each
other out, and a random walk, which tries one thing only. It explores better than white noise where
that does not suffice, and about as well elsewhere (Eberhard et al. 2023,
https://openreview.net/forum?id=hQ9V5QN27eS).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.steps.train.batches import derive

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERIOD = 1024
"""Steps after which it begins anew."""
COLOURS = {"white": 0.0, "pink": 1.0, "red": 2.0}
"""By which power of the frequency the power falls."""


@final
class Noise:
    """Standard normal numbers for each step, environment and number of an action.

    What a step gets follows from the seed and the step alone.

    Args:
        colour: one of COLOURS.
        shape: (environments, size).
        seed: from which it follows.
    """

    def __init__(self, colour: str, shape: tuple[int, int], seed: int) -> None:
        self.exponent, self.shape, self.seed = COLOURS[colour], shape, seed
        self.block, self.values = -1, np.zeros((0, *shape), np.float32)

    def at(self, step: int) -> NDArray[np.float32]:
        """(environments, size) of a step, counted from 0."""
        block, position = divmod(step, PERIOD)
        if block != self.block:
            random = np.random.Generator(np.random.Philox(key=derive(self.seed, "noise", block)))
            self.block, self.values = block, _coloured(random, self.exponent, self.shape)
        return self.values[position]


def _coloured(
    random: np.random.Generator, exponent: float, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """(PERIOD, *shape), each column of variance 1 where it is expected."""
    count = PERIOD // 2 + 1
    frequencies = np.maximum(np.arange(count), 1) / PERIOD
    scale = frequencies ** (-exponent / 2)
    real, imaginary = random.standard_normal((2, *shape, count)) * scale
    # The first and the last of a real signal's frequencies have no phase.
    imaginary[..., [0, -1]] = 0
    real[..., [0, -1]] *= math.sqrt(2)
    power = 2 * (scale[1:-1] ** 2).sum() + scale[0] ** 2 + scale[-1] ** 2
    drawn = np.fft.irfft(real + 1j * imaginary, PERIOD) * PERIOD / math.sqrt(2 * power)
    return np.ascontiguousarray(np.moveaxis(drawn, -1, 0).astype(np.float32))


def uniform(normal: NDArray[Any]) -> NDArray[np.float32]:
    """Standard normal numbers as such that are spread evenly from -1 to 1, in the same order."""
    return np.array([math.erf(one / math.sqrt(2)) for one in normal.flat], np.float32).reshape(
        normal.shape
    )
