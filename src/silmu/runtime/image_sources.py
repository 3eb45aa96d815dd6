"""Pictures before anything decodes them: the limits, and files, base64 and arrays."""

from __future__ import annotations

import base64
import binascii
import re
import stat
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Told by content, never by name."""

MAX_PIXELS = 50_000_000
"""Read from the header, before decoding."""

MAX_BYTES = 100_000_000
"""Of a file, of what an address gives, and of base64."""

_SHORTEST = 40  # the smallest picture that there is takes more letters of base64
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]*")

# What else is given as a picture: where it begins to say so, and how.
_OTHERS: tuple[tuple[int, tuple[bytes, ...], str], ...] = (
    (0, (b"%PDF",), "a PDF"),
    (0, (b"%!PS", b"\xc5\xd0\xd3\xc6"), "PostScript"),
    (0, (b"8BPS",), "a file of Photoshop"),
    (0, (b"SIMPLE  =",), "a FITS file"),
    (4, (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1"), "HEIC, as phones write it"),
    (4, (b"ftypavif", b"ftypavis"), "AVIF"),
    (4, (b"ftyp",), "a video"),
    (0, (b"\x1aE\xdf\xa3",), "a video"),
    (0, (b"\0\0\1\0",), "an icon"),
    (0, (b"\xff\x0a", b"\0\0\0\x0cJXL "), "JPEG XL"),
    (0, (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), "JPEG 2000"),
    (0, (b"PK\3\4",), "a zip archive"),
    (0, (b"\x1f\x8b",), "a gzip file"),
    (0, tuple(b"P%d" % i for i in range(1, 8)), "a portable bitmap"),
    (0, (b"version https://git-lfs",), "a pointer of Git LFS, without the file itself"),
)


def read_file(path: Path, what: str) -> bytes:
    """What a file holds, of at most MAX_BYTES.

    Raises:
        InputError: it is no regular file, is larger, or cannot be read.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{what} is no file" + (", but a folder" if path.is_dir() else ""))
        if found.st_size > MAX_BYTES:
            raise too_many_bytes(what, found.st_size)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{what} cannot be read: {error.strerror or error}") from error


def decoded(text: str, what: str) -> bytes:
    """The bytes of a `data:` URL or of base64.

    Raises:
        InputError: the text is neither.
    """
    shown = f"{what} `{short(text)}`"
    if len(text) > MAX_BYTES:
        raise too_many_bytes(what, len(text))
    start = 0
    if text[:5].lower() == "data:":
        start = text.find(",", 0, 400) + 1
        if not start or not text[:start].lower().endswith(";base64,"):
            raise InputError(
                f"{shown} is a data URL, but not in base64",
                hint="it must begin like data:image/png;base64,",
            )
    elif scheme := re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text[:40]):
        raise InputError(
            f"{shown} begins with {scheme[0]}, and pictures are fetched by http and https only"
        )
    if not text:
        raise InputError(f"{what} is an empty text", hint="give a path, an address or base64")
    if not start and not may_be_base64(text):
        raise InputError(f"{shown} is no file that there is, and no address and no base64")
    encoded = re.sub(rb"\s+", b"", text[start:].encode("ascii", "replace")).rstrip(b"=")
    encoded = encoded.translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{shown} is no base64: {error}") from error


def may_be_base64(text: str) -> bool:
    """Whether a text is long enough for a picture, and begins as base64 may."""
    return len(text) >= _SHORTEST and _BASE64.fullmatch(text, 0, 1000) is not None


def of_array(array: NDArray[Any], what: str) -> Image:
    """An array of uint8 as a picture: (height, width), or with 1, 3 or 4 channels at the end.

    Raises:
        InputError: it is of another type or shape.
    """
    from PIL import Image

    if array.dtype != np.uint8:
        raise InputError(
            f"{what} is an array of {array.dtype}; it must be of uint8, from 0 to 255",
            hint="(255 * array).round().astype(numpy.uint8), where numbers are from 0 to 1",
        )
    shape = array.shape
    if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[2] not in (1, 3, 4)):
        hint = "give (height, width), or with 1, 3 or 4 channels at the end"
        if len(shape) == 3 and shape[0] in (1, 3, 4):
            hint = "channels go to the end: array.transpose(1, 2, 0)"
        elif len(shape) == 4:
            hint = "several pictures go in a list: list(arrays)"
        raise InputError(f"{what} is an array of shape {shape}", hint=hint)
    number_of_pixels(shape[1], shape[0], what)
    if shape[-1] == 1 and len(shape) == 3:
        array = array[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(array))


def number_of_pixels(width: int, height: int, what: str) -> int:
    """How many there are.

    Raises:
        InputError: none, or more than MAX_PIXELS.
    """
    if width < 1 or height < 1:
        raise InputError(f"{what} has {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{what} has {width:,} x {height:,} pixels; at most {MAX_PIXELS:,} are read",
            hint="make it smaller first",
        )
    return width * height


def unknown(data: bytes, what: str) -> InputError:
    """What is said of a file that is of none of FORMATS."""
    head = data[:1024]
    kind = next((name for at, starts, name in _OTHERS if head.startswith(starts, at)), None)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if kind is None and text.startswith(b"<"):
        kind = "a drawing in SVG" if b"<svg" in text else "a web page or XML"
    return InputError(
        f"{what} is {kind}" if kind else f"{what} is no picture, or one whose header is broken",
        hint=f"silmu opens {', '.join(FORMATS)}, whatever a file is called",
    )


def too_many_bytes(what: str, size: int) -> InputError:
    """What is said of a file, or of base64, that is too large."""
    return InputError(f"{what} has {size:,} bytes; at most {MAX_BYTES:,} are read")


def short(text: str) -> str:
    """What of a text is shown in a message."""
    return text if len(text) <= 80 else f"{text[:60]}..."
