"""Pictures that are drawn: discs, squares and crosses of any colour, anywhere, on noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SHAPES = ("cross", "disc", "square")


def picture(shape: str, draw: np.random.Generator, size: int = 24) -> NDArray[np.uint8]:
    """(size, size, 3), larger drawn and made smaller, so that no edge is sharp."""
    wide = 4 * size
    back, front = draw.integers(0, 110, 3), draw.integers(150, 256, 3)
    image = Image.new("RGB", (wide, wide), tuple(back.tolist()))
    radius = wide * draw.uniform(0.2, 0.32)
    x, y = draw.uniform(radius, wide - radius, 2)
    pen = ImageDraw.Draw(image)
    colour = tuple(front.tolist())
    box = (x - radius, y - radius, x + radius, y + radius)
    if shape == "disc":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(
            (x - 0.8 * radius, y - 0.8 * radius, x + 0.8 * radius, y + 0.8 * radius), fill=colour
        )
    else:
        thick = radius / 3
        pen.rectangle((x - radius, y - thick, x + radius, y + thick), fill=colour)
        pen.rectangle((x - thick, y - radius, x + thick, y + radius), fill=colour)
    small = np.asarray(image.resize((size, size), Image.Resampling.LANCZOS), np.float64)
    return (small + draw.normal(0, 12, small.shape)).clip(0, 255).astype(np.uint8)


def pictures(count: int, seed: int = 0, size: int = 24) -> list[dict[str, Any]]:
    """Rows of `image` and `label`, the shapes in turn."""
    draw = np.random.default_rng(seed)
    labels = [SHAPES[i % len(SHAPES)] for i in range(count)]
    return [{"image": picture(label, draw, size), "label": label} for label in labels]
