"""Pictures as programs have them, read as RGB arrays: files, addresses, base64, PIL, numpy.

A file is known by its content, and its header is read before any of its pixels: what is no picture,
is too large, or lies about itself is refused while that costs nothing.
"""

from __future__ import annotations

import os
import re
import struct
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from silmu import extras
from silmu.errors import InputError, SilmuError
from silmu.runtime import image_sources
from silmu.runtime.image_processor import WHITE
from silmu.runtime.image_sources import FORMATS, MAX_BYTES, MAX_PIXELS

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

DENSE_PIXELS = 4_000_000
"""From how many pixels on a file must hold a byte for a thousand of them. No photograph holds less,
and what does costs memory that nobody paid for."""

MAX_SCANNED = 16 * MAX_PIXELS
"""How many pixels all scans of a progressive JPEG may have together."""

_LONGEST_PATH = 4096
_ORIENTATION = 274
# PIL's numbers of transpositions, by what EXIF says of how the camera was held.
_UPRIGHT = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}

# What PIL raises over EXIF: it is a TIFF of its own, and in a PNG also written in hexadecimals.
_BROKEN_EXIF = (
    *(SyntaxError, struct.error, ValueError, TypeError, AttributeError),
    *(ArithmeticError, LookupError, EOFError, OSError),
)

_lock = threading.Lock()


def _renew() -> None:
    """Another thread may hold the lock while a process is forked, in which that thread is not."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@final
@dataclass(frozen=True)
class Facts:
    """What the header of a picture says.

    Attributes:
        format: one of FORMATS.
        mode: PIL's name for what a pixel is.
        width, height: in pixels, as they are stored: EXIF may turn them.
        frames: how many pictures there are, counted no further than 2; the first is read.
    """

    format: str
    mode: str
    width: int
    height: int
    frames: int


def facts(data: bytes, what: str) -> Facts:
    """What a file says of itself; no pixel is decoded.

    Args:
        data: the file.
        what: its name in messages.

    Raises:
        InputError: it is no picture, or one that is not opened.
        MissingExtraError: Pillow is not installed.
    """
    with _reading(what):
        image = _opened(data, what)
        # Pictures of phones may hold further ones, and have a name of their own in PIL.
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        with _quiet():
            frames = 2 if getattr(image, "is_animated", False) else 1
        return Facts(kind, image.mode, *image.size, frames)


def open_image(data: bytes, what: str, *, background: str | None = None) -> Image:
    """The first picture of a file in RGB, turned upright as EXIF says.

    Args:
        data: the file.
        what: its name in messages.
        background: None reads colours as transformers 4.57 does: what alpha would hide is seen, and
            16 bits are cut off at 255. With `white`, alpha is laid on white and of 16 bits the
            higher 8 are taken.

    Raises:
        InputError: it is no picture of FORMATS, is broken, cut off or empty, has more than
            MAX_PIXELS, or tiny data for many pixels.
        MissingExtraError: Pillow is not installed.
    """
    with _reading(what):
        image = _opened(data, what)
        image.load()
        return _upright(image, what, background)


def load_image(
    given: Any,
    *,
    timeout: float | None = None,
    what: str = "the picture",
    background: str | None = None,
) -> Image:
    """A picture, however a program has it, as `open_image` gives it.

    Args:
        given: an address with http or https, a path, a `data:` URL, base64, the bytes of a file, a
            PIL image, or an array of uint8: (height, width) for gray, with 3 channels at the end
            for RGB, with 4 for RGBA.
        timeout: how many seconds an address may take.
        what: its name in messages.
        background: as for `open_image`.

    Raises:
        InputError: it is none of these, or as for `open_image`.
        UsageError: the timeout is no number of seconds.
        MissingExtraError: Pillow is not installed.
    """
    _ready()
    if isinstance(given, str | Path):
        return _named(given, timeout, what, background)
    if isinstance(given, bytes | bytearray | memoryview):
        return open_image(bytes(cast("bytes", given)), what, background=background)
    from PIL import Image

    if isinstance(given, np.ndarray):
        given = image_sources.of_array(cast("NDArray[Any]", given), what)
    if not isinstance(given, Image.Image):
        raise InputError(
            f"{what} is given as {type(given).__name__}",
            hint="give a path, an address, base64, a PIL image, or an array of uint8 by height, "
            "width and channels; several pictures go in a list",
        )
    with _reading(what):
        image_sources.number_of_pixels(*given.size, what)
        given.load()
        return _upright(given, what, background)


# ── where a picture comes from ─────────────────────────────────────────────────────────────────


def _named(given: str | Path, timeout: float | None, what: str, background: str | None) -> Image:
    text = str(given)
    if isinstance(given, str) and re.match(r"https?://", given, re.IGNORECASE):
        from silmu.runtime import download

        what = f"{what} `{image_sources.short(text)}`"
        found = download.fetch(text, timeout, MAX_BYTES, what)
        return open_image(found, what, background=background)
    if len(text) <= _LONGEST_PATH and "\0" not in text and os.path.lexists(given):
        what = f"{what} `{text}`"
        return open_image(image_sources.read_file(Path(given), what), what, background=background)
    if isinstance(given, Path):
        raise InputError(f"{what} `{image_sources.short(text)}` does not exist")
    return open_image(image_sources.decoded(given, what), what, background=background)


# ── what PIL makes of it ───────────────────────────────────────────────────────────────────────


@cache
def _ready() -> None:
    """Pillow, and the formats that it has at once.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        extras.require("image")
        raise
    Image.preinit()


def _formats(data: bytes) -> list[str]:
    """The formats that a file may have, those that Pillow has late if it begins like them.

    Pillow would else look for them among all of its plugins.
    """
    from PIL import Image

    if data[:4] == b"RIFF":
        from PIL import WebPImagePlugin

        del WebPImagePlugin
    elif data[:2] in (b"II", b"MM"):
        from PIL import TiffImagePlugin

        del TiffImagePlugin
    return [name for name in FORMATS if name in Image.OPEN]


@contextmanager
def _reading(what: str) -> Generator[None, None, None]:
    """Whatever PIL does over a broken file, as InputError."""
    _ready()
    try:
        yield
    except SilmuError:
        raise
    except MemoryError as error:
        raise InputError(f"{what} does not fit into memory") from error
    except Exception as error:
        from PIL.Image import DecompressionBombError

        if isinstance(error, DecompressionBombError):
            raise InputError(
                f"{what} has more than {MAX_PIXELS:,} pixels, the most that is read"
            ) from error
        said = f": {error}" if str(error) else ""
        raise InputError(f"{what} is broken{said}"[:400]) from error


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """What PIL warns of is either an error here, or not worth a word."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _opened(data: bytes, what: str) -> ImageFile:
    """A picture of which the header is read, and found to be true as far as that can be told."""
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise InputError(f"{what} is empty: it has 0 bytes")
    if len(data) > MAX_BYTES:
        raise image_sources.too_many_bytes(what, len(data))
    try:
        with _quiet():
            image = Image.open(BytesIO(data), formats=_formats(data))
    except UnidentifiedImageError as error:
        raise image_sources.unknown(data, what) from error
    pixels = image_sources.number_of_pixels(*image.size, what)
    if pixels > DENSE_PIXELS and pixels > 1000 * len(data):
        raise InputError(
            f"{what} has {len(data):,} bytes for {pixels:,} pixels, and is taken for a bomb",
            hint="save it smaller if it is none",
        )
    if image.format in ("JPEG", "MPO"):
        scans = data.count(b"\xff\xda")
        if scans * pixels > MAX_SCANNED:
            raise InputError(f"{what} has {scans:,} scans, and is taken for a bomb")
    return image


def _upright(image: Image, what: str, background: str | None) -> Image:
    orientation = _orientation(image)
    coloured = _on_white(image, what) if background == WHITE else _without_alpha(image)
    # What else the file says, such as where it was taken, ends here; nor is it turned twice.
    coloured.info.clear()
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    from PIL.Image import Transpose

    return coloured if turn is None else coloured.transpose(Transpose(turn))


def _orientation(image: Image) -> Any:
    """What EXIF says of how the camera was held; None where it says nothing.

    Broken EXIF is no reason to refuse a picture: programs that cut or copy pictures break it often,
    its pixels are whole, and viewers show such a one as it is stored.
    """
    try:
        with _quiet():
            return image.getexif().get(_ORIENTATION)
    except _BROKEN_EXIF:
        return None


def _without_alpha(image: Image) -> Image:
    if "transparency" in image.info:
        image = image.copy()
        del image.info["transparency"]
    return image.convert("RGB")


def _on_white(image: Image, what: str) -> Image:
    from PIL import Image

    if image.mode in ("I", "F"):
        raise InputError(
            f"{what} has pixels of 32 bits, and nothing says which of them is white",
            hint="save it with 8 or 16 bits",
        )
    if image.mode.startswith("I;16"):
        wide = np.asarray(image)
        narrow = (wide >> 8).astype(np.uint8)
        if isinstance(hidden := image.info.get("transparency"), int):
            narrow[wide == hidden] = 255
        return Image.fromarray(narrow).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode == "P":
        image = image.copy()  # whose palette is given the alpha
    canvas = Image.new("RGBA", image.size, "white")
    canvas.alpha_composite(image.convert("RGBA"))
    return canvas.convert("RGB")
