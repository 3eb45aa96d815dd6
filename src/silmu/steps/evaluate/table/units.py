"""Whether a column came in another unit than in the training: grams for kilograms, °F for °C."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.table.distances import Steps, kolmogorov

CLEAR = 0.3
"""The distance from the training from which on another unit is thought of,"""

NEAR = 0.15
"""and that which must be left when it is taken away."""

SAMPLE = 2000

# What numbers are multiplied by, and what is added then, where a unit is taken for another.
CONVERSIONS: tuple[tuple[float, float, str], ...] = (
    *((10.0**k, 0.0, "") for k in (1, 2, 3, 6, 9)),
    (2.54, 0.0, "inches as centimetres"),
    (25.4, 0.0, "inches as millimetres"),
    (0.3048, 0.0, "feet as metres"),
    (0.9144, 0.0, "yards as metres"),
    (1.609344, 0.0, "miles as kilometres"),
    (0.45359237, 0.0, "pounds as kilograms"),
    (28.349523125, 0.0, "ounces as grams"),
    (3.785411784, 0.0, "gallons as litres"),
    (0.09290304, 0.0, "square feet as square metres"),
    (0.404685642, 0.0, "acres as hectares"),
    (6.89475729, 0.0, "psi as kilopascals"),
    (0.745699872, 0.0, "horsepower as kilowatts"),
    (60.0, 0.0, "minutes as seconds"),
    (3600.0, 0.0, "hours as seconds"),
    (24.0, 0.0, "days as hours"),
    (7.0, 0.0, "weeks as days"),
    (12.0, 0.0, "years as months"),
    (365.25, 0.0, "years as days"),
    (1.8, 32.0, "\u00b0C as \u00b0F"),
    (1.0, 273.15, "\u00b0C as kelvin"),
)


def suspected(train: Steps, here: NDArray[np.float64], distance: float) -> dict[str, Any] | None:
    """The conversion that new numbers look to have gone through; None where none explains them.

    >>> weights = np.random.default_rng(0).normal(70, 12, 500)
    >>> found = suspected(Steps.of(weights), weights[:200] * 1000, 1.0)
    >>> found["factor"], found["left"] < 0.1
    (1000.0, True)

    Args:
        train: the numbers of the training.
        here: the new numbers.
        distance: how far they are apart.
    """
    if distance < CLEAR or len(here) < 2 or len(np.unique(train.points)) < 3:
        return None
    some = here[:: max(1, len(here) // SAMPLE)]
    best: dict[str, Any] | None = None
    # What is more common comes first, and what is hardly better does not take its place.
    slack = 0.5 / np.sqrt(len(some))
    for factor, offset, told in CONVERSIONS:
        for inverse in (False, True):
            # New numbers taken back to the unit of the training.
            back = some * factor + offset if inverse else (some - offset) / factor
            left = kolmogorov(train, back)
            if best is None or left < best["left"] - slack:
                best = {
                    "factor": 1 / factor if inverse else factor,
                    "offset": (-offset / factor if inverse else offset) or 0.0,
                    "told": _turned(told) if inverse else told,
                    "left": left,
                }
    chance = 1.36 / np.sqrt(len(some))
    if best is None or best["left"] > min(max(NEAR, chance), distance / 2):
        return None
    return best


def _turned(told: str) -> str:
    one, _, other = told.partition(" as ")
    return f"{other} as {one}" if other else ""
