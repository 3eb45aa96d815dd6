"""Pictures changed a little, as if they had been taken once more: another place, size or light.

What becomes of a picture follows from a number alone, so that a training that was interrupted goes
on with the same pictures. Torch is not needed for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from PIL import Image

from silmu.errors import UsageError
from silmu.steps.prepare.images import features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.prepare.prepared import Prepared

_GRAY = np.array([0.299, 0.587, 0.114], np.float32)  # as PIL sees brightness


@final
@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How much pictures are changed; all zero changes nothing.

    >>> still = Augmentation(crop=0, rotate=0, flip=False, colour=0)
    >>> picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    >>> bool((still.changed(picture, 0) == picture).all())
    True

    Attributes:
        crop: how far a picture is moved, in each direction, and made larger or smaller, as a share
            of its sides.
        rotate: by how many degrees it is turned, to either side.
        flip: whether left and right are changed, every second time.
        colour: how much brightness, contrast and saturation change, as a share.
    """

    crop: float
    rotate: float
    flip: bool
    colour: float

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Augmentation:
        """Those of a run's settings."""
        return cls(**{name: settings[name] for name in ("crop", "rotate", "flip", "colour")})

    def __post_init__(self) -> None:
        for name, most in (("crop", 0.5), ("rotate", 180.0), ("colour", 0.9)):
            if not 0 <= getattr(self, name) <= most:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be from 0 to {most:g}")

    def changed(self, pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """A picture (height, width, channels) as it is shown once, which follows from the seed."""
        # Raw numbers of a generator that counts: numpy changes what it makes of them, never these.
        raw = np.random.Philox(key=seed).random_raw(8)
        drawn: list[float] = ((raw >> np.uint64(11)) / 2.0**53).tolist()
        moved = self._moved(pixels, drawn)
        return self._lit(moved, drawn[5:]) if self.colour else moved

    def _moved(self, pixels: NDArray[np.uint8], drawn: list[float]) -> NDArray[np.uint8]:
        flips = self.flip and drawn[0] < 0.5
        if not (self.crop or self.rotate):
            return np.ascontiguousarray(pixels[:, ::-1]) if flips else pixels
        height, width, channels = pixels.shape
        angle = math.radians(self.rotate * (2 * drawn[1] - 1))
        zoom = math.exp(self.crop * (2 * drawn[2] - 1))
        across, down = (
            self.crop * side * (2 * u - 1)
            for side, u in zip((width, height), drawn[3:5], strict=True)
        )
        # From each place of what comes out to the place in the picture that is seen there.
        a, b = math.cos(angle) / zoom, math.sin(angle) / zoom
        mirror = -1.0 if flips else 1.0
        middle = width / 2, height / 2
        x0 = middle[0] + across - mirror * a * middle[0] - b * middle[1]
        y0 = middle[1] + down + mirror * b * middle[0] - a * middle[1]
        places = (mirror * a, b, x0, -mirror * b, a, y0)
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        seen = image.transform(
            (width, height),
            Image.Transform.AFFINE,
            places,
            Image.Resampling.BILINEAR,
            fillcolor=_border(pixels),
        )
        return np.asarray(seen, np.uint8).reshape(pixels.shape)

    def _lit(self, pixels: NDArray[np.uint8], drawn: list[float]) -> NDArray[np.uint8]:
        brightness, contrast, saturation = (1 + self.colour * (2 * u - 1) for u in drawn)
        found = pixels.astype(np.float32)
        if pixels.shape[-1] == len(_GRAY):
            gray = (found @ _GRAY)[..., None]
            found = gray + (found - gray) * np.float32(saturation)
        mean = found.mean()
        found = (found - mean) * np.float32(contrast) + mean * np.float32(brightness)
        return np.rint(found).clip(0, 255).astype(np.uint8)


def samples(
    prepared: Prepared, settings: Mapping[str, Any], count: int, seed: int
) -> list[list[NDArray[np.uint8]]]:
    """Training pictures at even distances, each as it is and as it is shown a few times.

    Args:
        prepared: of pictures.
        settings: of the training.
        count: of pictures.
        seed: another one shows other changes.

    Returns:
        For each picture (height, width, channels) itself, and five changed ones.
    """
    train, augmentation = features(prepared, "train"), Augmentation.of(settings)
    rows = np.unique(np.linspace(0, len(train) - 1, count).astype(int)).tolist()
    return [
        [
            np.asarray(train.pixels[row]),
            *(augmentation.changed(train.pixels[row], seed + 5 * row + i) for i in range(5)),
        ]
        for row in rows
    ]


def sheet(rows: list[list[NDArray[np.uint8]]]) -> Image.Image:
    """Pictures of one size beside and below each other, two pixels apart."""
    height, width, channels = rows[0][0].shape
    size = len(rows) * (height + 2) - 2, max(map(len, rows)) * (width + 2) - 2
    whole = np.full((*size, channels), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, one in enumerate(row):
            whole[i * (height + 2) :, j * (width + 2) :][:height, :width] = one
    return Image.fromarray(whole[..., 0] if channels == 1 else whole)


def _border(pixels: NDArray[np.uint8]) -> tuple[int, ...] | int:
    """The mean colour of the outermost pixels, for what lies beyond them."""
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    mean: list[int] = np.rint(edge.mean(axis=0)).astype(int).tolist()
    return mean[0] if len(mean) == 1 else tuple(mean)
