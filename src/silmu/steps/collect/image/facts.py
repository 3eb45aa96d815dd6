"""What is found out about a picture when it is opened once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InputError
from silmu.runtime.image import MAX_PIXELS
from silmu.runtime.image_processor import WHITE
from silmu.steps.collect.image import likeness
from silmu.steps.collect.image.files import Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

BROKEN = "the picture is broken"
BOMB = "it is taken for a bomb, with little data for many pixels"
_IT = "it"
_LOOKED_AT = 128  # pixels of the shorter side, from which brightness and the like are told
_STRIP = 1 << 20  # pixels hashed at once


def facts(data: bytes, name: str) -> dict[str, Any]:
    """The facts of a picture by the names of `pictures.FIELDS`; it is decoded whole.

    Args:
        data: the bytes of its file.
        name: how people call it.

    Raises:
        Refused: it is no picture, broken, or has too many pixels.
    """
    from silmu.runtime import image as reading

    try:
        header = reading.facts(data, _IT)
        picture = reading.open_image(data, _IT, background=WHITE)
    except InputError as error:
        raise Refused(name, _reason(error.message)) from error
    found = _seen(picture)
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "width": picture.width,
        "height": picture.height,
        "format": header.format,
        "mode": header.mode,
        "bytes": len(data),
        "name": name,
        **found,
    }


def _reason(message: str) -> str:
    """Why a picture is refused, in words that are the same for all that are so for that reason."""
    if "bomb" in message:
        return BOMB
    if "pixels;" in message or "more than" in message:
        return f"it has more than {MAX_PIXELS // 1_000_000} million pixels"
    return BROKEN if message.startswith(f"{_IT} is broken") else message


def _seen(picture: Image) -> dict[str, Any]:
    """What the pixels of a picture tell; it is RGB and upright."""
    by = max(min(picture.size) // _LOOKED_AT, 1)
    small = picture.reduce(by) if by > 1 else picture
    colours = np.asarray(small, np.int16)
    gray = _gray(small)
    edge = _edge(picture)
    thumbnail = likeness.thumbnail(small)
    return {
        "hash": likeness.perceptual_hash(thumbnail),
        "pixels": _key(picture),
        "thumbnail": thumbnail,
        "brightness": float(gray.mean()),
        "contrast": float(gray.std()),
        "colour": float((colours.max(axis=2) - colours.min(axis=2)).mean()),
        "edge": float(edge.mean()),
        "edge_contrast": float(edge.std()),
    }


def _key(picture: Image) -> int:
    """A number of the size and the pixels, some rows at a time."""
    width, height = picture.size
    digest = hashlib.blake2b(f"{width}x{height}".encode(), digest_size=8)
    rows = max(_STRIP // width, 1)
    for top in range(0, height, rows):
        digest.update(picture.crop((0, top, width, min(top + rows, height))).tobytes())
    return int.from_bytes(digest.digest(), "little")


def _edge(picture: Image) -> NDArray[np.float32]:
    """The outermost pixels, as gray levels."""
    width, height = picture.size
    boxes = (
        (0, 0, width, 1),
        (0, height - 1, width, height),
        (0, 0, 1, height),
        (width - 1, 0, width, height),
    )
    return np.concatenate([_gray(picture.crop(box)).ravel() for box in boxes])


def _gray(picture: Image) -> NDArray[np.float32]:
    return np.asarray(picture.convert("L"), np.float32)
