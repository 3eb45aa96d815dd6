"""Which pictures a channel answers most, and how well it tells labels apart.

Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2013, show the nine
pictures of a set that a channel answers most, and the part of each that it saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.image import rasters
from silmu.steps.evaluate.image.rasters import Pixels

if TYPE_CHECKING:
    from silmu.graphs import Field
    from silmu.steps.evaluate.image.activations import Map

CHANNELS = 4
"""Channels of a layer that are shown,"""

MOST_SHOWN = 6
"""and pictures of each."""

ALIKE = 0.95
"""Of channels that are correlated so much, one is shown."""

SIDE = 40
"""Pixels of a side of what is shown."""

FEWEST_STEPS = 3
"""A part is shown that is so many places of the layer wide, however little each sees."""


@final
class Strongest:
    """The strongest answer of each channel to each picture, and where it was.

    Attributes:
        sides: how many places the layer has, down and across.
    """

    def __init__(self) -> None:
        self._values: list[NDArray[np.float32]] = []
        self._places: list[NDArray[np.int64]] = []
        self.sides = (1, 1)

    def add(self, found: Map) -> None:
        """Takes in what a layer holds of some pictures more."""
        rows, channels, *sides = found.values.shape
        flat = found.values.reshape(rows, channels, -1)
        at = flat.argmax(axis=2)
        self._values.append(np.take_along_axis(flat, at[..., None], axis=2)[..., 0])
        self._places.append(at)
        self.sides = (sides[0], sides[1])

    @property
    def values(self) -> NDArray[np.float32]:
        """The strongest answers, (pictures, channels)."""
        return np.concatenate(self._values)

    def told(
        self,
        pixels: Sequence[Pixels],
        rows: Sequence[int],
        labels: Sequence[str],
        separation: NDArray[np.float64],
        field: Field | None,
    ) -> list[dict[str, Any]]:
        """The channels that tell labels apart best, and the pictures that each answers most.

        Args:
            pixels: the pictures, in the order in which they were added.
            rows, labels: of each.
            separation: how well each channel tells labels apart.
            field: what a place of the layer sees; None where that is all, or not known.
        """
        values, places = self.values, np.concatenate(self._places)
        told: list[dict[str, Any]] = []
        for channel in _different(values, separation):
            order: list[int] = np.argsort(-values[:, channel], kind="stable")[:MOST_SHOWN].tolist()
            tiles = [self._part(pixels[i], int(places[i, channel]), field) for i in order]
            told.append(
                {
                    "channel": channel,
                    "separation": float(separation[channel]),
                    "rows": [rows[i] for i in order],
                    "labels": [labels[i] for i in order],
                    "image": rasters.url(rasters.tiled(tiles, MOST_SHOWN, gap=2)),
                }
            )
        return told

    def _part(self, pixels: Pixels, place: int, field: Field | None) -> Pixels:
        """What a place sees; the whole picture with a frame where it sees that, or none knows."""
        height, width = pixels.shape[:2]
        down, across = divmod(place, self.sides[1])
        steps = (height / self.sides[0], width / self.sides[1])
        middle = [(one + 0.5) * step for one, step in zip((down, across), steps, strict=True)]
        seen = (float(height), float(width))
        if field is not None:
            seen = field.size
            middle = [
                first + step * one + 0.5
                for first, step, one in zip(field.first, field.step, (down, across), strict=True)
            ]
        halves = [max(FEWEST_STEPS * step, 3) / 2 for step in steps]
        if self.sides == (1, 1) or not (seen[0] < height and seen[1] < width):
            whole = rasters.scaled(pixels, SIDE, SIDE)
            if self.sides == (1, 1):
                return rasters.in_colour(whole)
            ends = [
                round(end * SIDE / size)
                for end, size in (
                    (middle[0] - halves[0], height),
                    (middle[1] - halves[1], width),
                    (middle[0] + halves[0], height),
                    (middle[1] + halves[1], width),
                )
            ]
            return rasters.framed(whole, *ends)
        sides = [max(one, 2 * half) for one, half in zip(seen, halves, strict=True)]
        top, left = (
            int(np.clip(round(at - side / 2), 0, max(0, size - round(side))))
            for at, side, size in zip(middle, sides, (height, width), strict=True)
        )
        part = pixels[top : top + round(sides[0]), left : left + round(sides[1])]
        return rasters.in_colour(rasters.scaled(part, SIDE, SIDE))


def separation(
    kind: str, targets: NDArray[Any], values: NDArray[np.float32]
) -> NDArray[np.float64]:
    """How well each channel tells labels apart, by its strongest answer to each picture.

    The share of its variance that lies between the labels, from 0 to 1 (eta squared, which orders
    channels as the F ratio of a one-way analysis of variance does). Of several labels at once it
    is the largest of any of them; of numbers the largest squared correlation.
    """
    wide = values.astype(np.float64)
    wide = wide - wide.mean(axis=0)
    spread = np.maximum((wide**2).sum(axis=0), 1e-12)
    if kind in ("single", "ordered"):
        member = np.eye(int(targets.max(initial=0)) + 1)[targets]
        counts = np.maximum(member.sum(axis=0), 1)[:, None]
        return ((member.T @ wide) ** 2 / counts).sum(axis=0) / spread
    columns = targets.reshape(len(targets), -1).astype(np.float64)
    columns = columns - columns.mean(axis=0)
    own = np.maximum((columns**2).sum(axis=0), 1e-12)[:, None]
    return ((columns.T @ wide) ** 2 / (own * spread)).max(axis=0)


def _different(values: NDArray[np.float32], separation: NDArray[np.float64]) -> list[int]:
    """The channels that tell labels apart best, without those that answer as one before them."""
    chosen: list[int] = []
    centred = values.astype(np.float64) - values.mean(axis=0)
    size = np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    for channel in np.argsort(-separation, kind="stable"):
        if size[channel] <= 1e-6:
            continue
        unit = centred[:, channel] / size[channel]
        if all(abs(unit @ centred[:, one]) / size[one] < ALIKE for one in chosen):
            chosen.append(int(channel))
        if len(chosen) == CHANNELS:
            break
    return chosen
