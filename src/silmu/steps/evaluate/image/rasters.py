"""Arrays as small pictures that a page carries within itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(height, width, channels), of one channel or three."""

PHOTO = 64
"""From this side on, a picture in colour is kept as JPEG."""

QUALITY = 80

GAP = 128
"""The grey between tiles, which is seen by day and by night."""

FRAME = (255, 122, 26)

_INK = np.array([(13, 17, 38), (29, 95, 190), (125, 190, 255), (255, 250, 225)], np.float64)
_FOR, _AGAINST = np.array((29.0, 95.0, 190.0)), np.array((214.0, 104.0, 34.0))


def url(pixels: Pixels, *, exact: bool = False) -> str:
    """A picture as a `data:` URL: PNG, or JPEG for photographs; nothing but pixels is in it.

    `exact` is for what is no photograph, however large.

    >>> url(np.zeros((2, 2, 1), np.uint8))[:22]
    'data:image/png;base64,'
    """
    from PIL import Image

    plain = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    is_photo = plain.ndim == 3 and min(plain.shape[:2]) >= PHOTO and not exact
    kind: dict[str, Any] = {"format": "PNG", "optimize": True}
    if is_photo:
        kind = {"format": "JPEG", "quality": QUALITY}
    held = io.BytesIO()
    Image.fromarray(plain).save(held, **kind)
    word = "jpeg" if is_photo else "png"
    return f"data:image/{word};base64,{base64.b64encode(held.getvalue()).decode('ascii')}"


def within(pixels: Pixels, most: int) -> Pixels:
    """A picture made smaller, its sides no longer than `most`."""
    height, width = pixels.shape[:2]
    share = most / max(height, width)
    if share >= 1:
        return pixels
    return scaled(pixels, max(1, round(height * share)), max(1, round(width * share)))


def scaled(pixels: Pixels, height: int, width: int) -> Pixels:
    """A picture of another size."""
    from PIL import Image

    plain = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    done = Image.fromarray(plain).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(done).reshape(height, width, pixels.shape[2])


def in_colour(pixels: Pixels) -> Pixels:
    """Three channels, also of a grey picture."""
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def inked(values: NDArray[Any]) -> Pixels:
    """(height, width) of numbers from 0 to 1 as colours from dark to light."""
    at = np.clip(np.nan_to_num(values), 0, 1) * (len(_INK) - 1)
    low = np.minimum(at.astype(int), len(_INK) - 2)
    share = (at - low)[..., None]
    return np.rint(_INK[low] * (1 - share) + _INK[low + 1] * share).astype(np.uint8)


def spread(values: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers moved to lie between 0 and 1; a half where all are alike."""
    wide = np.asarray(values, np.float64)
    low, high = wide.min(), wide.max()
    return (wide - low) / (high - low) if high > low else np.full(wide.shape, 0.5)


def enlarged(pixels: Pixels, least: int) -> Pixels:
    """A picture whose pixels are made larger, until its sides are no shorter than `least`."""
    times = -(-least // min(pixels.shape[:2]))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def tiled(tiles: Sequence[Pixels], columns: int, gap: int = 1, between: int = GAP) -> Pixels:
    """Pictures of one size side by side, in rows of `columns`, with lines of a grey `between`."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    whole = np.full(
        (rows * (height + gap) - gap, min(columns, len(tiles)) * (width + gap) - gap, 3),
        between,
        np.uint8,
    )
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        whole[top : top + height, left : left + width] = in_colour(tile)
    return whole


def framed(pixels: Pixels, top: int, left: int, bottom: int, right: int) -> Pixels:
    """A picture with a frame around a part of it; the ends are within the frame."""
    drawn = in_colour(pixels).copy()
    height, width = drawn.shape[:2]
    top, bottom = (min(max(0, one), height - 1) for one in (top, bottom))
    left, right = (min(max(0, one), width - 1) for one in (left, right))
    for line in (
        drawn[top, left : right + 1],
        drawn[bottom, left : right + 1],
        drawn[top : bottom + 1, left],
        drawn[top : bottom + 1, right],
    ):
        line[:] = FRAME
    return drawn


def shaded(pixels: Pixels, weights: NDArray[Any]) -> Pixels:
    """A picture in grey under blue where weights are above zero, and orange where below.

    Args:
        pixels: the picture.
        weights: (rows, columns) of a grid over it, of any size; the strongest is laid on fullest.
    """
    height, width = pixels.shape[:2]
    most = float(np.abs(weights).max(initial=0)) or 1.0
    fine = _stretched(np.asarray(weights, np.float64) / most, height, width)[..., None]
    grey = in_colour(pixels).astype(np.float64).mean(axis=2, keepdims=True)
    grey = 96 + grey * (255 - 96) / 255  # so that colours are seen on black too
    share = 0.85 * np.abs(fine)
    return np.rint(grey * (1 - share) + np.where(fine > 0, _FOR, _AGAINST) * share).astype(np.uint8)


def _stretched(values: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """A grid of numbers as one of pixels, bilinear between the middles of its cells."""

    def along(size: int, count: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        at = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
        low = np.minimum(at.astype(int), max(count - 2, 0))
        return low, np.minimum(low + 1, count - 1), at - low

    top, bottom, down = along(height, values.shape[0])
    left, right, across = along(width, values.shape[1])
    rows = values[top] * (1 - down)[:, None] + values[bottom] * down[:, None]
    return rows[:, left] * (1 - across) + rows[:, right] * across
