"""Small pictures for a report, which hold pixels and nothing else of a file.

They are made from decoded pixels, so neither the place nor the time where a picture was taken, nor
anything else that its file tells, comes with them.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.image import rasters

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 96
"""Pixels of the longer side."""

MOST_CHARACTERS = 400_000
"""Of the URL of a sheet of many pictures that keeps every pixel."""

MOST_SIDE = 960
"""Pixels of the longer side of a larger sheet."""


def thumbnail(image: Image) -> dict[str, Any]:
    """A picture as `src`, `width` and `height` of an element img; a small one keeps its size.

    >>> from PIL import Image
    >>> found = thumbnail(Image.new("RGB", (400, 200)))
    >>> found["width"], found["height"], found["src"][:22]
    (96, 48, 'data:image/png;base64,')

    Args:
        image: RGB.
    """
    small = image.convert("RGB")
    small.thumbnail((MOST, MOST))
    pixels = np.asarray(small)
    # A gray picture is smaller with one channel.
    gray = bool((pixels == pixels[..., :1]).all())
    return _img(rasters.url(pixels[..., :1] if gray else pixels), pixels)


def sheet(data: bytes) -> dict[str, Any] | None:
    """A PNG of many pictures, made smaller where a page is too small for it; None if it is none.

    Args:
        data: of a file that training wrote.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as opened:
            pixels = np.asarray(opened.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    src = rasters.url(pixels, exact=True)
    if len(src) <= MOST_CHARACTERS:
        return _img(src, pixels)
    small = rasters.within(pixels, MOST_SIDE)
    return _img(rasters.url(small), small)


def _img(src: str, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    return {"src": src, "width": pixels.shape[1], "height": pixels.shape[0]}
