"""Which parts of a picture an answer hangs on: what it loses when a patch is covered.

Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2013.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.image import rasters
from silmu.steps.evaluate.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

CELLS, CELLS_OF_LARGE = 14, 7
"""Cells along the longer side of a picture, and of one of more pixels than a square of `LARGE`:
205 answers tell what one of a small square hangs on, and 45 of a large one."""

LARGE = 128

SCALES = ((2, 1), (4, 2))
"""Patches that are covered: how many cells long they are, and how many they move by."""

Patch = tuple[int, int, int, int]
"""Between which cells a patch lies: top, bottom, left, right."""

MOST_NUMBERS = 1 << 21
"""Numbers of covered pictures that are computed at once."""


def saliency(pipe: Any, image: Image, label_index: int) -> NDArray[np.float32]:
    """How far the log-odds of a label fall when a part of the picture is covered.

    Patches of two sizes are moved over the picture and filled with the mean colour of the training,
    which the network reads as zero; a cell is told the mean over the patches of each size that
    cover it, and the mean of the two. Where a probability near 1 would hardly fall, its log-odds
    do. Of a number it is the number itself that falls.

    Args:
        pipe: a pipeline for image-classification.
        image: the picture.
        label_index: the label, by its place among the model's, or the target of several numbers.

    Returns:
        (rows, columns) of cells; above zero where the part speaks for the label.
    """
    whole = pipe.image_processor.arrays([image])["pixel_values"]
    height, width = whole.shape[2:]
    longer = max(height, width)
    count = min(CELLS_OF_LARGE if height * width > LARGE * LARGE else CELLS, longer)
    down = max(1, round(count * height / longer))
    across = max(1, round(count * width / longer))
    tops = _ends(height, down)
    lefts = _ends(width, across)
    parts = [
        [*_patches(down, across, size, by)] for size, by in SCALES if size <= min(down, across)
    ] or [[(0, down, 0, across)]]
    flat = [part for scale in parts for part in scale]

    # A session's first run computes with weights that are not packed yet, which last bits show.
    pipe.model(pixel_values=whole)
    at_once = max(1, MOST_NUMBERS // whole[0].size)
    covered: list[NDArray[np.float64]] = []
    for start in range(0, len(flat), at_once):
        some = flat[start : start + at_once]
        # The first is the picture as it is, so that what is compared was computed alike.
        rows = np.repeat(whole, len(some) + 1, axis=0)
        for row, (top, bottom, left, right) in zip(rows[1:], some, strict=True):
            row[:, tops[top] : tops[bottom], lefts[left] : lefts[right]] = 0
        found = strength(pipe, pipe.model(pixel_values=rows)["logits"], label_index)
        covered.append(found[0] - found[1:])
    falls: Iterator[float] = iter(np.concatenate(covered).tolist())
    maps = [_spread(scale, falls, down, across) for scale in parts]
    return np.mean(maps, axis=0).astype(np.float32)


def strength(pipe: Any, logits: NDArray[Any], label: int) -> NDArray[np.float64]:
    """Logits (rows, labels) as the log-odds of one label; a number as it is."""
    wide = np.asarray(logits, np.float64)
    own = wide[:, label]
    if kind_of(pipe.fitted, pipe.model.config) not in ("single", "ordered") or wide.shape[1] < 2:
        return own
    others = np.delete(wide, label, axis=1)
    most = others.max(axis=1)
    return own - most - np.log(np.exp(others - most[:, None]).sum(axis=1))


def overlay(pipe: Any, image: Image, weights: NDArray[Any], most: int = 224) -> str:
    """What `saliency` found, laid over the picture as the network reads it, as a `data:` URL."""
    seen = rasters.in_colour(pipe.image_processor.pixels(image))
    height, width = seen.shape[:2]
    if max(height, width) < most:  # small pictures would show the map in steps
        times = most // max(height, width)
        seen = seen.repeat(times, axis=0).repeat(times, axis=1)
    return rasters.url(rasters.shaded(rasters.within(seen, most), weights))


def _ends(length: int, count: int) -> list[int]:
    """Where cells begin and end."""
    return [round(i * length / count) for i in range(count + 1)]


def _patches(down: int, across: int, size: int, by: int) -> Iterator[Patch]:
    """Patches of `size` cells, the last of which end where the grid does."""
    for top in dict.fromkeys([*range(0, down - size, by), down - size]):
        for left in dict.fromkeys([*range(0, across - size, by), across - size]):
            yield top, top + size, left, left + size


def _spread(
    patches: list[Patch], falls: Iterator[float], down: int, across: int
) -> NDArray[np.float64]:
    """For each cell the mean fall of the patches that cover it."""
    total, count = np.zeros((down, across)), np.zeros((down, across))
    for top, bottom, left, right in patches:
        total[top:bottom, left:right] += next(falls)
        count[top:bottom, left:right] += 1
    return total / count
