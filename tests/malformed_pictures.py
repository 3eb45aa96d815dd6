"""Pictures that no one should send, by name: broken files, bombs, and odd ones that are good."""

from __future__ import annotations

import base64
import io
import random
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from silmu.errors import InputError
from silmu.runtime import image as images
from silmu.runtime.image_processor import ImageProcessor

images._ready()  # what every case needs is imported before its memory is counted

ERROR, ANSWER, EITHER = "a typed error", "an answer", "either"
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


@dataclass(frozen=True)
class Case:
    """What is given, and what must come of it."""

    make: Callable[[], Any]
    expected: str = ERROR
    words: str = ""
    given_megabytes: int = 0
    """What the input itself takes while it is made."""


CASES: dict[str, Case] = {}


def case(name: str, make: Callable[[], Any], expected: str = ERROR, words: str = "") -> None:
    assert name not in CASES
    CASES[name] = Case(make, expected, words)


# ── good files to spoil ────────────────────────────────────────────────────────────────────────


def noise(width: int = 60, height: int = 44, bands: int = 3) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, bands), np.uint8)
    return Image.fromarray(pixels[:, :, 0] if bands == 1 else pixels)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def good(kind: str) -> bytes:
    return encoded(noise(), kind, **({"compression": "tiff_deflate"} if kind == "TIFF" else {}))


def flipped(kind: str, seed: int) -> bytes:
    data, chance = bytearray(good(kind)), random.Random(f"{kind} {seed}")
    for _ in range(20):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def headed(kind: str, seed: int) -> bytes:
    """Flips where files say what they are."""
    data, chance = bytearray(good(kind)), random.Random(f"{kind} {seed} header")
    for _ in range(3):
        data[chance.randrange(min(64, len(data)))] ^= 1 << chance.randrange(8)
    return bytes(data)


def sized(kind: str, width: int, height: int) -> bytes:
    """A file that says it is of another size than its pixels are."""
    data = bytearray(good(kind))
    if kind == "PNG":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
    elif kind == "WEBP":
        at = data.index(b"\x9d\x01\x2a") + 3
        data[at : at + 4] = struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
        at = data.index(b",", 13 + 3 * 256)
        data[at + 5 : at + 9] = struct.pack("<HH", width, height)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    else:
        for tag, value in ((256, width), (257, height)):
            set_tag(data, tag, value)
    return bytes(data)


def set_tag(data: bytearray, tag: int, value: int) -> None:
    """Another value for a tag of a TIFF of one page."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for i in range(count):
        at = start + 2 + 12 * i
        if struct.unpack_from("<H", data, at)[0] == tag:
            struct.pack_into("<HII", data, at + 2, 4, 1, value)


def tagged(tag: int, value: int) -> bytes:
    data = bytearray(good("TIFF"))
    set_tag(data, tag, value)
    return bytes(data)


def in_a_circle() -> bytes:
    """A TIFF whose next page is its first."""
    data = bytearray(good("TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    return bytes(data)


def chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    return struct.pack(">I", size) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    *chunks: bytes,
    width: int = 8,
    height: int = 8,
    depth: int = 8,
    colour: int = 2,
    interlace: int = 0,
    pixels: bytes | None = None,
) -> bytes:
    """A PNG by hand, with some chunks before its pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    row = (width * channels * depth + 7) // 8 + 1
    squeezed = zlib.compress(bytes(row * height)) if pixels is None else pixels
    parts = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", squeezed), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def zeros(megabytes: int) -> bytes:
    """What inflates to that many megabytes."""
    deflate, block = zlib.compressobj(9), bytes(1 << 20)
    return b"".join(deflate.compress(block) for _ in range(megabytes)) + deflate.flush()


def gif(frames: int, frame: tuple[int, int, int, int] = (0, 0, 2, 2), code: int = 0) -> bytes:
    whole = encoded(Image.new("P", (2, 2)), "GIF")
    at = whole.index(b",", 13)
    pixels = whole[at + 11 : -1]
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
    part = b"\x21\xf9\x04\0\0\0\0\0," + struct.pack("<HHHHB", *frame, 0)
    return whole[:at] + loop + (part + bytes([code or whole[at + 10]]) + pixels) * frames + b";"


def apng(frames: int) -> bytes:
    control = [chunk(b"acTL", struct.pack(">II", frames, 0))]
    for i in range(min(frames, 100_000)):
        at = struct.pack(">IIIIIHHBB", i, 8, 8, 0, 0, 0, 0, 0, 0)
        control.append(chunk(b"fcTL", at))
    return png(*control)


def jpeg_segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def with_segment(marker: int, data: bytes) -> bytes:
    whole = good("JPEG")
    return whole[:2] + jpeg_segment(marker, data) + whole[2:]


def scans(side: int, number: int) -> bytes:
    """A progressive JPEG whose last scan is there many times."""
    data = encoded(Image.new("L", (side, side), 77), "JPEG", progressive=True, quality=20)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * number + data[-2:]


def turned(value: int, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[274] = value
    return encoded(noise(), "JPEG", exif=exif, **options)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


# ── every format, spoilt in every way ──────────────────────────────────────────────────────────


def _spoil(kind: str) -> None:
    name = kind.lower()
    data = lambda: good(kind)  # noqa: E731
    for part in (0.01, 0.1):
        case(
            f"{name}-cut-to-{part}",
            lambda part=part: data()[: max(1, int(len(data()) * part))],
        )
    # GIF, BMP and TIFF may be whole although a last byte is missing.
    case(f"{name}-cut-to-0.5", lambda: data()[: len(data()) // 2])
    case(f"{name}-cut-to-0.99", lambda: data()[: int(len(data()) * 0.99)], EITHER)
    for seed in range(6):
        case(f"{name}-flipped-{seed}", lambda seed=seed: flipped(kind, seed), EITHER)
        case(f"{name}-header-flipped-{seed}", lambda seed=seed: headed(kind, seed), EITHER)
    case(f"{name}-wrong-magic", lambda: b"XXXX" + data()[4:])
    case(f"{name}-megabyte-after", lambda: data() + bytes(1 << 20), ANSWER)
    case(f"{name}-and-zip", lambda: data() + b"PK\x05\x06" + bytes(18), ANSWER)
    case(f"{name}-after-html", lambda: b"<html><body>" + data(), ERROR, "web page")
    case(f"{name}-header-twice", lambda: data()[:32] + data(), EITHER)
    case(f"{name}-empty-behind-header", lambda: data()[:32] + bytes(3000), EITHER)
    case(f"{name}-no-width", lambda: sized(kind, 0, 44))
    case(f"{name}-no-height", lambda: sized(kind, 60, 0))
    case(f"{name}-claims-65535", lambda: sized(kind, 65535, 65535))
    case(f"{name}-claims-7000", lambda: sized(kind, 7000, 7000))
    case(f"{name}-claims-1900", lambda: sized(kind, 1900, 1900), EITHER)
    case(f"{name}-of-one-pixel", lambda: encoded(noise(1, 1), kind), ANSWER)
    case(f"{name}-very-wide", lambda: encoded(noise(16_000, 1), kind), ANSWER)
    case(f"{name}-very-tall", lambda: encoded(noise(1, 16_000), kind), ANSWER)


for _kind in FORMATS:
    _spoil(_kind)

# ── PNG ────────────────────────────────────────────────────────────────────────────────────────

case("png-by-hand", lambda: png(), ANSWER)
case("png-wrong-crc", lambda: png()[:29] + b"\0\0\0\0" + png()[33:])
case("png-wrong-crc-of-pixels", lambda: png()[:-20] + b"\0\0\0\0" + png()[-16:], EITHER)
case("png-depth-3", lambda: png(depth=3))
case("png-colour-5", lambda: png(colour=5))
case("png-without-palette", lambda: png(colour=3), EITHER)
case(
    "png-palette-of-2",
    lambda: png(
        chunk(b"PLTE", b"abcdef"), colour=3, pixels=zlib.compress((b"\0" + bytes(range(8))) * 8)
    ),
    EITHER,
)
case("png-palette-of-257", lambda: png(chunk(b"PLTE", bytes(257 * 3)), colour=3), EITHER)
case(
    "png-alpha-of-300",
    lambda: png(chunk(b"PLTE", bytes(9)), chunk(b"tRNS", bytes(300)), colour=3),
    EITHER,
)
case("png-no-pixels", lambda: png(pixels=b""))
case("png-pixels-are-no-zlib", lambda: png(pixels=b"not compressed at all"))
case("png-pixels-too-few", lambda: png(pixels=zlib.compress(bytes(25))), EITHER)
case("png-pixels-too-many", lambda: png(pixels=zeros(50)), EITHER)
case("png-filter-77", lambda: png(pixels=zlib.compress((b"\x4d" + bytes(24)) * 8)), EITHER)
case("png-interlaced", lambda: png(interlace=1), EITHER)
case("png-interlace-7", lambda: png(interlace=7), EITHER)
case(
    "png-two-headers",
    lambda: png(chunk(b"IHDR", struct.pack(">IIBBBBB", 9999, 9999, 8, 2, 0, 0, 0))),
    EITHER,
)
case("png-chunk-of-2-GB", lambda: png(chunk(b"tEXt", b"a\0b", length=0x7FFFFFFF)))
case("png-chunk-of-4-GB", lambda: png(chunk(b"tEXt", b"a\0b", length=0xFFFFFFFF)))
case("png-unknown-critical-chunk", lambda: png(chunk(b"ABCD", b"xyz")), EITHER)
case("png-100000-empty-chunks", lambda: png(*[chunk(b"tEXt", b"a\0")] * 100_000), EITHER)
case("png-profile-bomb", lambda: png(chunk(b"iCCP", b"x\0\0" + zeros(80))), EITHER)
case("png-profile-garbage", lambda: png(chunk(b"iCCP", b"x\0\0garbage")), EITHER)
case("png-text-bomb", lambda: png(chunk(b"zTXt", b"x\0\0" + zeros(80))), EITHER)
case("png-international-text-bomb", lambda: png(chunk(b"iTXt", b"x\0\1\0\0\0" + zeros(80))), EITHER)
case("png-60-text-bombs", lambda: png(*[chunk(b"zTXt", b"x\0\0" + zeros(1))] * 120), EITHER)
case(
    "png-bomb-of-10-gigapixels",
    lambda: png(width=100_000, height=100_000, depth=1, colour=0, pixels=zeros(50)),
    ERROR,
    "50,000,000",
)
case(
    "png-bomb-of-49-megapixels",
    lambda: png(width=7000, height=7000, depth=1, colour=0, pixels=zeros(6)),
    ERROR,
    "bomb",
)
case(
    "png-bomb-of-4-megapixels",
    lambda: png(width=2000, height=2000, depth=1, colour=0, pixels=zeros(1)),
    EITHER,
)
case("png-blank-of-4-megapixels", lambda: png(width=2000, height=1990, depth=1, colour=0), ANSWER)
case("png-size-of-2-to-the-31", lambda: png(width=1 << 31, height=1, pixels=zeros(1)))
case("png-size-of-4-billion", lambda: png(width=0xFFFFFFFF, height=0xFFFFFFFF, pixels=zeros(1)))
case("png-100000-wide", lambda: png(width=100_000, height=1), ANSWER)
case("png-100000-tall", lambda: png(width=1, height=100_000), ANSWER)
case("png-moving-100000-frames", lambda: apng(100_000), EITHER)
case("png-moving-2-to-the-31", lambda: png(chunk(b"acTL", struct.pack(">II", 1 << 31, 0))), EITHER)
case("png-moving-no-frames", lambda: png(chunk(b"acTL", struct.pack(">II", 0, 0))), EITHER)
case("png-moving-twice", lambda: png(*[chunk(b"acTL", struct.pack(">II", 2, 0))] * 2), EITHER)
case(
    "png-moving-frame-outside",
    lambda: png(
        chunk(b"acTL", struct.pack(">II", 1, 0)),
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 8, 8, 7, 7, 0, 0, 0, 0)),
    ),
    EITHER,
)
case("png-exif-garbage", lambda: png(chunk(b"eXIf", bytes(range(200)))), ANSWER)
case("png-sixteen-bits", lambda: png(depth=16, colour=0), ANSWER)
case("png-sixteen-bits-alpha", lambda: png(depth=16, colour=6), ANSWER)
case("png-one-bit", lambda: png(depth=1, colour=0), ANSWER)
case("png-gray-alpha", lambda: png(colour=4), ANSWER)

# ── JPEG ───────────────────────────────────────────────────────────────────────────────────────

case("jpeg-start-only", lambda: b"\xff\xd8")
case("jpeg-start-and-end", lambda: b"\xff\xd8\xff\xd9")
case("jpeg-fill-bytes", lambda: b"\xff\xd8" + b"\xff" * (1 << 20) + good("JPEG")[2:], EITHER)
case("jpeg-no-frame", lambda: good("JPEG").replace(b"\xff\xc0", b"\xff\xe5", 1))
case("jpeg-no-huffman", lambda: good("JPEG").replace(b"\xff\xc4", b"\xff\xe5"), EITHER)
case("jpeg-no-quantisation", lambda: good("JPEG").replace(b"\xff\xdb", b"\xff\xe5"))
case("jpeg-no-scan", lambda: good("JPEG").replace(b"\xff\xda", b"\xff\xe5"))
case("jpeg-no-end", lambda: good("JPEG")[:-2], EITHER)
case("jpeg-arithmetic", lambda: good("JPEG").replace(b"\xff\xc0", b"\xff\xc9", 1), EITHER)
case("jpeg-lossless", lambda: good("JPEG").replace(b"\xff\xc0", b"\xff\xc3", 1))
case(
    "jpeg-5-components",
    lambda: good("JPEG").replace(b"\x03\x01\x22\0", b"\x05\x01\x22\0", 1),
    EITHER,
)
case("jpeg-sampling-15", lambda: good("JPEG").replace(b"\x03\x01\x22\0", b"\x03\x01\xff\0", 1))
case("jpeg-segment-too-long", lambda: good("JPEG")[:2] + b"\xff\xe1\xff\xff" + good("JPEG")[2:])
case(
    "jpeg-segment-of-nothing", lambda: good("JPEG")[:2] + b"\xff\xe1\0\0" + good("JPEG")[2:], EITHER
)
case("jpeg-1000-scans-small", lambda: scans(40, 1000), EITHER)
case("jpeg-1000-scans", lambda: scans(1500, 1000), ERROR, "scans")
case("jpeg-cmyk", lambda: encoded(noise(bands=4).convert("RGB").convert("CMYK"), "JPEG"), ANSWER)
case("jpeg-adobe-says-5", lambda: with_segment(0xEE, b"Adobe\0\x64\0\0\0\0\x05"), EITHER)
case("jpeg-adobe-cut", lambda: with_segment(0xEE, b"Adobe"), EITHER)
case("jpeg-profile-garbage", lambda: encoded(noise(), "JPEG", icc_profile=b"garbage"), ANSWER)
case(
    "jpeg-profile-parts-missing",
    lambda: with_segment(0xE2, b"ICC_PROFILE\0\x02\x09" + bytes(99)),
    ANSWER,
)
case("jpeg-profile-cut", lambda: with_segment(0xE2, b"ICC_PROFILE\0"), EITHER)
case(
    "jpeg-exif-60-kB-garbage",
    lambda: with_segment(0xE1, b"Exif\0\0" + random.Random(0).randbytes(60_000)),
    ANSWER,
)
case(
    "jpeg-exif-endless",
    lambda: with_segment(
        0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff\0\0\0\0" * 99
    ),
    ANSWER,
)
case(
    "jpeg-exif-in-a-circle",
    lambda: with_segment(
        0xE1, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
    ),
    ANSWER,
)
case("jpeg-exif-empty", lambda: with_segment(0xE1, b"Exif\0\0"), ANSWER)
case(
    "jpeg-xmp-garbage",
    lambda: with_segment(
        0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<!DOCTYPE x [<!ENTITY a 'b'>]>&a;"
    ),
    ANSWER,
)
case(
    "jpeg-many-pictures-that-are-not-there",
    lambda: with_segment(
        0xE2, b"MPF\0II*\0\x08\0\0\0\x01\0\x01\xb0\x04\0\x01\0\0\0\xff\xff\0\0\0\0\0\0"
    ),
    EITHER,
)
case("jpeg-dots-of-nothing", lambda: with_segment(0xE0, b"JFIF\0\1\1\1\0\0\0\0\0\0"), ANSWER)
for _turn in (*range(10), 65535):
    case(f"jpeg-turned-{_turn}", lambda turn=_turn: turned(turn), ANSWER)

# ── GIF, WEBP, BMP, TIFF ───────────────────────────────────────────────────────────────────────

case("gif-by-hand", lambda: gif(1), ANSWER)
case("gif-100000-frames", lambda: gif(100_000), ANSWER)
case("gif-no-frames", lambda: gif(0))
case("gif-frame-outside", lambda: gif(1, (60_000, 60_000, 5000, 5000)))
case("gif-frame-larger", lambda: gif(1, (0, 0, 900, 900)), EITHER)
case("gif-frame-of-nothing", lambda: gif(1, (0, 0, 0, 0)), EITHER)
case("gif-code-of-200-bits", lambda: gif(1, code=200), EITHER)
case("gif-comments-only", lambda: b"GIF89a" + bytes(7) + b"\x21\xfe\x01a\0" * 50_000)
case(
    "gif-no-palette",
    lambda: b"GIF87a\x02\0\x02\0\0\0\0,\0\0\0\0\x02\0\x02\0\0\x02\x02D\x01\0;",
    EITHER,
)
case(
    "webp-moving",
    lambda: encoded(noise(), "WEBP", save_all=True, append_images=[noise(60, 44)] * 3, duration=0),
    ANSWER,
)
case(
    "webp-canvas-of-16383",
    lambda: (
        b"RIFF"
        + struct.pack("<I", 30)
        + b"WEBPVP8X"
        + struct.pack("<I", 10)
        + b"\x02\0\0\0"
        + b"\xfe\x3f\0" * 2
        + b"VP8 "
        + struct.pack("<I", 4)
        + bytes(4)
    ),
)
case(
    "webp-size-says-4-GB", lambda: good("WEBP")[:4] + b"\xff\xff\xff\xff" + good("WEBP")[8:], EITHER
)
case("webp-lossless-cut", lambda: encoded(noise(), "WEBP", lossless=True)[:900])
case("webp-blank-of-49-megapixels", lambda: webp_blank(7000), ERROR, "bomb")
case("bmp-upside-down", lambda: sized("BMP", 60, -44), ANSWER)
case("bmp-negative-width", lambda: sized("BMP", -60, 44))
case("bmp-header-of-4-GB", lambda: good("BMP")[:14] + b"\xff\xff\xff\xff" + good("BMP")[18:])
case("bmp-pixels-far-away", lambda: good("BMP")[:10] + b"\xff\xff\xff\x7f" + good("BMP")[14:])
case("bmp-31-bits", lambda: good("BMP")[:28] + b"\x1f\0" + good("BMP")[30:])
case("bmp-runs-without-end", lambda: run_lengths(b"\0\x02\xff\xff" * 2000), EITHER)
case("bmp-runs-too-long", lambda: run_lengths(b"\xff\x07" * 9000), EITHER)
case("tiff-in-a-circle", in_a_circle, ANSWER)
case("tiff-directory-outside", lambda: good("TIFF")[:4] + b"\xff\xff\xff\x7f" + good("TIFF")[8:])
case("tiff-strip-far-away", lambda: tagged(273, 0x7FFFFFFF))
case("tiff-strip-of-4-GB", lambda: tagged(279, 0xFFFFFFF0), EITHER)
case("tiff-rows-of-nothing", lambda: tagged(278, 0), EITHER)
case("tiff-12345-bits", lambda: tagged(258, 12345))
case("tiff-60000-bands", lambda: tagged(277, 60_000))
case("tiff-compression-unknown", lambda: tagged(259, 4242))
case("tiff-compression-jpeg", lambda: tagged(259, 7))
case("tiff-compression-fax", lambda: tagged(259, 4))
case("tiff-predictor-9", lambda: tagged(317, 9), EITHER)
case("tiff-tags-without-end", lambda: b"II*\0\x08\0\0\0\xff\xff" + bytes(9000))
case(
    "tiff-tag-of-4-GB",
    lambda: b"II*\0\x08\0\0\0\x01\0\x00\x01\x04\0\xff\xff\xff\xff\x08\0\0\0" + bytes(8),
)
case("tiff-big", lambda: b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 60) + bytes(400))
case(
    "tiff-10000-pages",
    lambda: encoded(noise(2, 2), "TIFF", save_all=True, append_images=[noise(2, 2)] * 2000),
    ANSWER,
)
case(
    "tiff-floats",
    lambda: encoded(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"),
    EITHER,
)
case(
    "tiff-32-bits", lambda: encoded(Image.fromarray(np.full((9, 9), -7, np.int32)), "TIFF"), EITHER
)
case("tiff-cmyk", lambda: encoded(noise().convert("CMYK"), "TIFF"), ANSWER)
case("tiff-lab", lambda: encoded(noise().convert("LAB"), "TIFF"), EITHER)
case("tiff-faxed", lambda: encoded(noise().convert("1"), "TIFF", compression="group4"), ANSWER)


def webp_blank(side: int) -> bytes:
    """A lossless file of one colour: each of its five codes has one symbol, which takes no bits."""
    bits, at = 0, 0

    def put(value: int, width: int) -> None:
        nonlocal bits, at
        bits |= value << at
        at += width

    put(0x2F, 8)
    put(side - 1, 14)
    put(side - 1, 14)
    put(0, 1 + 3 + 1 + 1 + 1)  # no alpha, version, no transform, no colour cache, no more codes
    for _ in range(5):
        put(1, 1)  # a simple code
        put(0, 1)  # of one symbol
        put(0, 1)  # of one bit
        put(0, 1)
    body = bits.to_bytes((at + 7) // 8 + 8, "little")
    body += bytes(len(body) % 2)
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def run_lengths(runs: bytes) -> bytes:
    """A BMP of 8 bits whose pixels are written as runs."""
    start = 54 + 1024
    header = struct.pack("<IiiHHIIiiII", 40, 900, 900, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return (
        b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header + bytes(1024) + runs
    )


# ── what is no picture ─────────────────────────────────────────────────────────────────────────

_OTHERS = {
    "nothing": b"",
    "one-byte": b"\x89",
    "blanks": b" " * 5000,
    "zeros": bytes(5000),
    "random": random.Random(1).randbytes(100_000),
    "text": "안녕하세요, a picture of a cat".encode() * 50,
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n",
    "eps-with-preview": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, 900) + bytes(900),
    "fits": b"SIMPLE  =                    T" + b" " * 2850,
    "psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + bytes(99),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "svg-with-head": b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg/>',
    "html": b"<!doctype html><title>404</title>",
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500),
    "avif": b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(500),
    "video": b"\0\0\0\x18ftypmp42\0\0\0\0isom" + bytes(500),
    "icon": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0\x68\4\0\0\x16\0\0\0" + bytes(99),
    "jpeg-2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99),
    "jpeg-xl": b"\xff\x0a" + bytes(99),
    "ppm": b"P6 100000 100000 255\n" + bytes(99),
    "tga": bytes([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 9, 0, 24, 0]) + bytes(243),
    "dds": b"DDS " + struct.pack("<I", 124) + bytes(120),
    "zip": b"PK\x03\x04" + bytes(99),
    "gzip": b"\x1f\x8b\x08" + bytes(99),
    "pickle": b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x07os.path\x94.",
    "lfs-pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
}
for _name, _data in _OTHERS.items():
    case(f"no-picture-{_name}", lambda data=_data: data)

# ── other forms in which pictures are given ────────────────────────────────────────────────────

_PNG = good("PNG")
case("base64", lambda: text(_PNG), ANSWER)
case("base64-blanks", lambda: " ".join(text(_PNG)[i : i + 60] for i in range(0, 9**5, 60)), ANSWER)
case("base64-without-padding", lambda: text(_PNG + b"\0").rstrip("="), ANSWER)
case("base64-of-addresses", lambda: base64.urlsafe_b64encode(_PNG).decode(), ANSWER)
case("base64-cut", lambda: text(_PNG)[:-4001], EITHER)
case("base64-of-one-letter-more", lambda: text(_PNG).rstrip("=") + "A" * 9, EITHER)
case("base64-other-letters", lambda: text(_PNG)[:200] + "!*" + text(_PNG)[200:])
case("base64-korean", lambda: text(_PNG)[:2000] + "그림" + text(_PNG)[2000:])
case("base64-of-text", lambda: text(b"not a picture, but a text of some length"))
case("base64-twice", lambda: text(text(_PNG).encode()))
case("data-url-with-a-wrong-type", lambda: "data:text/html;base64," + text(_PNG), ANSWER)
case("data-url-without-a-type", lambda: "data:;base64," + text(_PNG), ANSWER)
case("data-url-empty", lambda: "data:image/png;base64,")
case("data-url-alone", lambda: "data:")
case("data-url-in-percent", lambda: "data:image/svg+xml,%3Csvg/%3E")
case("data-url-endless-type", lambda: "data:" + "a" * 100_000 + ";base64," + text(_PNG))
case("path-that-is-not-there", lambda: "photos/cat.jpg")
case("path-of-nul", lambda: "cat\0.jpg")
case("path-of-10000-letters", lambda: "a/" * 5000 + "cat.jpg")
case("path-of-surrogates", lambda: "\ud800.png")
case("path-of-a-folder", lambda: "/")
case("path-of-a-device", lambda: "/dev/zero", words="is no file")
case("path-of-an-empty-name", lambda: "")
case("path-of-dots", lambda: "../../../../nowhere/cat.png")
case("address-of-a-file", lambda: "file:///etc/hostname")
case("address-of-ftp", lambda: "ftp://example.org/cat.png")
case("address-of-gopher", lambda: "gopher://example.org/1")
case("address-of-nothing", lambda: "s3://bucket/cat.png")
case("array-of-nan", lambda: np.full((8, 8, 3), np.nan))
case("array-of-inf", lambda: np.full((8, 8, 3), np.inf, np.float32))
case("array-of-floats", lambda: np.zeros((8, 8, 3), np.float32))
case("array-of-int64", lambda: np.zeros((8, 8, 3), np.int64))
case("array-of-uint16", lambda: np.zeros((8, 8), np.uint16))
case("array-of-bools", lambda: np.zeros((8, 8), bool))
case("array-of-objects", lambda: np.array([[None, "a"]], object))
case("array-of-texts", lambda: np.array([["a", "b"]]))
case("array-of-records", lambda: np.zeros((8, 8), [("a", np.uint8)]))
case("array-channels-first", lambda: np.zeros((3, 30, 40), np.uint8), words="transpose")
case("array-3-3-3", lambda: np.zeros((3, 3, 3), np.uint8), ANSWER)
case("array-of-two-channels", lambda: np.zeros((8, 8, 2), np.uint8))
case("array-of-four-channels", lambda: np.zeros((8, 8, 4), np.uint8), ANSWER)
case("array-of-five-channels", lambda: np.zeros((8, 8, 5), np.uint8))
case("array-of-nothing", lambda: np.zeros((0, 0, 3), np.uint8))
case("array-without-rows", lambda: np.zeros((0, 8, 8, 3), np.uint8))
case("array-of-a-number", lambda: np.array(7, np.uint8))
case("array-of-six-axes", lambda: np.zeros((1, 1, 1, 8, 8, 3), np.uint8))
case("array-backwards", lambda: np.zeros((9, 8, 3), np.uint8)[::-1, ::-1, ::-1], ANSWER)
case("array-by-columns", lambda: np.asfortranarray(np.zeros((9, 8, 3), np.uint8)), ANSWER)
case("array-repeated", lambda: np.broadcast_to(np.uint8(7), (900, 900, 3)), ANSWER)
case("array-of-10-gigapixels", lambda: np.broadcast_to(np.uint8(7), (100_000, 100_000, 3)))
case("array-masked", lambda: np.ma.masked_all((8, 8, 3), np.uint8), EITHER)
case("pil-of-no-size", lambda: Image.new("RGB", (0, 9)))
case("pil-closed", lambda: closed())
case("pil-cut", lambda: Image.open(io.BytesIO(_PNG[:3000])))
case("pil-floats", lambda: Image.new("F", (8, 8), float("nan")), EITHER)
case("pil-hsv", lambda: noise().convert("HSV"), ANSWER)
case("pil-lab", lambda: noise().convert("LAB"), EITHER)
case("pil-premultiplied", lambda: noise(bands=4).convert("RGBa"), EITHER)
case("none", lambda: None)
case("number", lambda: 7)
case("huge-number", lambda: 10**5000)
case("dict", lambda: {"image": "cat.png"})
case("tuple", lambda: ("cat.png", "dog.png"))
case("set", lambda: {"cat.png"})
case("function", lambda: len)
case("open-file", lambda: io.BytesIO(_PNG))
CASES["base64-of-100-MB"] = Case(lambda: "A" * 100_000_001, ERROR, "at most 100,000,000", 96)
CASES["bytes-of-101-MB"] = Case(lambda: bytes(101 << 20), ERROR, "at most 100,000,000", 102)


def closed() -> Image.Image:
    image = Image.open(io.BytesIO(_PNG))
    image.close()
    return image


# ── what is done with each ─────────────────────────────────────────────────────────────────────


def run(name: str) -> dict[str, Any]:
    """Reads one picture in every way; what came of it, and the most seconds of the processor."""
    given = CASES[name].make()
    ways = [partial(outcome, given, background) for background in (None, "white")]
    if isinstance(given, bytes):
        ways.append(partial(told, given))
    outcomes, seconds = list[str](), list[float]()
    for way in ways:
        start = time.process_time()
        outcomes.append(way())
        seconds.append(time.process_time() - start)
    return {"outcomes": outcomes, "seconds": max(seconds)}


def outcome(given: Any, background: str | None) -> str:
    processor = ImageProcessor.fitted((24, 24), 3, [0.5] * 3, [0.5] * 3)
    try:
        image = images.load_image(given, background=background)
    except InputError as error:
        return f"error: {error}"
    assert image.mode == "RGB"
    assert not image.info
    found = processor.arrays([image])["pixel_values"]
    assert found.shape == (1, 3, 24, 24)
    assert abs(found).max() <= 1
    return "answer"


def told(data: bytes) -> str:
    try:
        found = images.facts(data, "the picture")
    except InputError as error:
        return f"error: {error}"
    assert found.format in images.FORMATS
    assert 0 < found.width * found.height <= images.MAX_PIXELS
    return "answer"


def eat(count: int) -> int:
    """Takes megabytes, so that a test sees that they are counted."""
    return len(np.ones(count << 20, np.uint8))
