"""What pictures look like, in a few numbers without a model: as collect measured them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu.steps.collect.dataset import Dataset
from silmu.steps.collect.pictures import Pictures
from silmu.steps.evaluate.slices import Part, by_quantile, by_value
from silmu.steps.prepare.images import GRAY

TALL, WIDE = 3 / 4, 4 / 3
"""Widths in heights between which a picture is about square."""

LEVELS = 255


@final
@dataclass(frozen=True)
class Looks:
    """Of each picture a number.

    Attributes:
        brightness: the mean of all pixels, from 0 (black) to 1.
        contrast: their deviation.
        colour: how far colours are from gray on average.
        width, height: of the upright picture, in pixels.
        format: of the file, such as JPEG.
    """

    brightness: NDArray[np.float64]
    contrast: NDArray[np.float64]
    colour: NDArray[np.float64]
    width: NDArray[np.float64]
    height: NDArray[np.float64]
    format: NDArray[np.object_]

    @classmethod
    def of(cls, dataset: Dataset, rows: NDArray[np.int64] | None = None) -> Self:
        """Of all rows of a dataset, or of some."""
        facts = Pictures(dataset).facts
        if rows is not None:
            facts = facts.take(pa.array(rows))

        def numbers(name: str, scale: float = 1) -> NDArray[np.float64]:
            return facts.column(name).to_numpy().astype(np.float64) / scale

        return cls(
            brightness=numbers("brightness", LEVELS),
            contrast=numbers("contrast", LEVELS),
            colour=numbers("colour", LEVELS),
            width=numbers("width"),
            height=numbers("height"),
            format=np.array(facts.column("format").to_pylist(), object),
        )

    @property
    def shorter(self) -> NDArray[np.float64]:
        """The shorter side, in pixels."""
        return np.minimum(self.width, self.height)

    @property
    def ratio(self) -> NDArray[np.float64]:
        """How wide each is for its height."""
        return self.width / self.height

    @property
    def gray(self) -> NDArray[np.bool_]:
        """Which have no colour."""
        return self.colour * LEVELS <= GRAY

    def parts(self) -> Iterator[Part]:
        """The pictures by size, shape, colour, file format and brightness."""
        yield from by_quantile("(size)", self.shorter)
        columns = {
            "(shape)": [shape(one) for one in self.ratio.tolist()],
            "(colour)": ["gray" if one else "in colour" for one in self.gray.tolist()],
            "(format)": self.format.tolist(),
        }
        yield from by_value(columns)
        yield from by_quantile("(brightness)", self.brightness.round(2))


def shape(ratio: float) -> str:
    """How wide a picture is for its height, in words.

    >>> shape(0.5), shape(1.0), shape(1.78)
    ('tall', 'about square', 'wide')
    """
    return "tall" if ratio < TALL else "wide" if ratio > WIDE else "about square"
