"""Which pictures are one picture: resized, compressed again, brightened or cut a little.

Each picture is known by a thumbnail of gray levels and a few colours. Of two that may be one, the
second is predicted from the first: moved, stretched, and its light changed, each as much as in a
copy (Lucas and Kanade, 1981, "An iterative image registration technique with an application to
stereo vision"). Pictures that only resemble each other, such as two figures by one hand, leave
more of it unexplained than copies do.

Which may be one is told by the lowest frequencies of the thumbnail, as by perceptual hashes: those
that lie in one cell of a grid, for several grids (Datar and others, 2004, "Locality-sensitive
hashing scheme based on p-stable distributions"). So the cost is in proportion to the number of
pictures, and never to that of all pairs.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Grays = NDArray[np.float32]
    Pairs = NDArray[np.int64]

SIDE, COLOURS = 24, 4
"""Pixels of a side of a thumbnail, of its gray levels and of its colours."""
SIZE = SIDE * SIDE + 3 * COLOURS * COLOURS
"""Bytes of a thumbnail."""

FLAT = 6.0
"""Gray levels that pixels of a thumbnail differ by (a standard deviation); of less, nothing is
said to be a copy unless all pixels are equal."""

_LIMIT, _SMALL, _LARGE = 0.004, 32, 96
# What may be left unexplained of the variance: of pictures of up to 32 pixels, which a thumbnail
# holds almost whole; of larger ones in proportion, up to three times as much.
_COARSE = 8  # pixels of a side, by which most of those are told that are no copies
_TINT = 14.0  # gray levels by which colours may differ
_STEPS = 3
_MOVED, _STRETCHED = 0.06, 0.12  # of the side
_LEAST_GAIN, _MOST_GAIN = 0.4, 2.5

_FREQUENCIES = tuple((u, v) for u in range(5) for v in range(5) if 0 < u + v < 6)
_GRIDS, _PER_GRID, _WIDTH = 24, 8, 0.2
_NEIGHBOURS = 6  # of a cell that each is compared with
_FAR = 0.04  # distance of the frequencies, squared, of small pictures that cannot be copies
_BLOCK = 4096  # pairs compared at once
_DRAWN = np.frombuffer(hashlib.shake_128(b"silmu pictures").digest(_GRIDS * 64 * 4), "<u4")


def thumbnail(picture: Image) -> bytes:
    """What is kept of a picture: 24 x 24 gray levels, then 4 x 4 colours, row after row.

    Args:
        picture: RGB.
    """
    from PIL.Image import Resampling

    gray = picture.convert("L").resize((SIDE, SIDE), Resampling.BILINEAR)
    colours = picture.resize((COLOURS, COLOURS), Resampling.BOX)
    return gray.tobytes() + colours.tobytes()


def perceptual_hash(kept: bytes) -> int:
    """64 bits of which copies share most: whether each low frequency is above their median."""
    grays = np.frombuffer(kept, np.uint8, SIDE * SIDE).reshape(1, SIDE, SIDE).astype(np.float32)
    low = (_cosines() @ grays @ _cosines().T)[0, :8, :8].ravel()
    bits = np.packbits(low > np.median(low[1:]))
    return int.from_bytes(bits.tobytes(), "big")


def near_pairs(kept: NDArray[np.uint8], sides: NDArray[np.int32]) -> tuple[Pairs, Pairs]:
    """Pairs (later, earlier) of pictures of which one is a copy of the other.

    Args:
        kept: (pictures, SIZE), what `thumbnail` keeps of each.
        sides: (pictures,), the pixels of the shorter side of each.

    Returns:
        Both (pairs,), in order of the later one, then of the earlier.
    """
    grays = _smooth(kept[:, : SIDE * SIDE])
    rows = np.flatnonzero(grays.std(axis=(1, 2)) >= FLAT)
    if len(rows) < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    grays = grays[rows]
    scale = np.clip(sides[rows] / _SMALL, 1, _LARGE / _SMALL)
    pairs = _candidates(_low(grays), _FAR * scale)
    tints = _tints(kept[rows])
    parts = np.array_split(pairs, len(pairs) // _BLOCK + 1)
    near = [np.abs(tints[part[:, 0]] - tints[part[:, 1]]).mean(axis=1) for part in parts]
    pairs = pairs[np.concatenate(near) < _TINT]
    limits = _LIMIT * scale
    blocks = (-1, _COARSE, SIDE // _COARSE, _COARSE, SIDE // _COARSE)
    coarse: Grays = grays.reshape(blocks).mean(axis=(2, 4))
    for seen, steps, times in ((coarse, 1, 16.0), (coarse, _STEPS, 7.0), (grays, _STEPS, 1.0)):
        most = times * np.minimum(limits[pairs[:, 0]], limits[pairs[:, 1]])
        parts = np.array_split(pairs, len(pairs) // _BLOCK + 1)
        left = [unexplained(seen[part[:, 0]], seen[part[:, 1]], steps) for part in parts]
        pairs = pairs[np.concatenate(left) < most]
    found = rows[pairs]
    return found[:, 0], found[:, 1]


def unexplained(one: Grays, other: Grays, steps: int) -> NDArray[np.float64]:
    """The share of the variance of one picture that the other does not explain, at its best.

    Both ways, and the smaller of the two: where a copy was cut, there is no edge to compare.

    Args:
        one: (pairs, side, side), gray levels.
        other: the same, a picture for each.
        steps: how often the place is corrected; the first time from where it lies.

    Returns:
        (pairs,), 1 where a picture has no contrast.
    """
    return np.minimum(_left(one, other, steps), _left(other, one, steps))


# ── what may be one ────────────────────────────────────────────────────────────────────────────


def _candidates(low: NDArray[np.float32], far: NDArray[np.float64]) -> Pairs:
    """Pairs (later, earlier) that share a cell and are not too far, in order; (pairs, 2)."""
    count = len(low)
    drawn = _DRAWN.reshape(_GRIDS, 64)
    found: list[NDArray[np.int64]] = []
    for grid in drawn:
        used = np.argsort(grid[: low.shape[1]], kind="stable")[:_PER_GRID]
        shifts = grid[32 : 32 + _PER_GRID] / 2**32
        cells = np.floor(low[:, used] / _WIDTH + shifts).astype(np.int64)
        words = np.zeros(count, np.int64)
        for column in cells.T:
            words = words * 31 + column
        # Within a cell those that lie side by side along another direction are compared first.
        order = np.lexsort((low @ _direction(grid, low.shape[1]), words))
        ranked = words[order]
        for step in range(1, _NEIGHBOURS + 1):
            at = np.flatnonzero(ranked[step:] == ranked[:-step])
            one, other = order[at], order[at + step]
            near = _near(low, far, one, other)
            one, other = one[near], other[near]
            found.append(np.maximum(one, other) * count + np.minimum(one, other))
    pairs = np.unique(np.concatenate(found))
    return np.stack([pairs // count, pairs % count], axis=1)


def _near(
    low: NDArray[np.float32], far: NDArray[np.float64], one: Pairs, other: Pairs
) -> NDArray[np.bool_]:
    found = np.empty(len(one), bool)
    for start in range(0, len(one), 1 << 16):
        a, b = one[start : start + (1 << 16)], other[start : start + (1 << 16)]
        distance = ((low[a] - low[b]) ** 2).sum(axis=1)
        found[start : start + (1 << 16)] = distance < np.minimum(far[a], far[b])
    return found


def _direction(grid: NDArray[np.uint32], size: int) -> NDArray[np.float32]:
    return (grid[64 - size :] / 2**31 - 1).astype(np.float32)


def _low(grays: Grays) -> NDArray[np.float32]:
    """The lowest frequencies of each, as parts of its contrast; (pictures, frequencies)."""
    cosines = _cosines()
    found = np.empty((len(grays), len(_FREQUENCIES)), np.float32)
    u, v = np.array(_FREQUENCIES).T
    for start in range(0, len(grays), _BLOCK):
        part = grays[start : start + _BLOCK]
        contrast = part.std(axis=(1, 2))[:, None] * SIDE
        found[start : start + _BLOCK] = (cosines[:5] @ part @ cosines[:5].T)[:, u, v] / contrast
    return found


@cache
def _cosines() -> NDArray[np.float32]:
    """The matrix of the discrete cosine transform (type 2, orthonormal)."""
    k, n = np.mgrid[:SIDE, :SIDE]
    matrix = np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE)) * np.sqrt(2 / SIDE)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def _smooth(kept: NDArray[np.uint8]) -> Grays:
    """Gray levels without what only one pixel shows, so that half a pixel aside looks alike."""
    if len(kept) > _BLOCK:  # of many pictures only what is to stay is held
        parts = np.array_split(kept, len(kept) // _BLOCK + 1)
        return np.concatenate([_smooth(part) for part in parts])
    grays = kept.reshape(-1, SIDE, SIDE).astype(np.float32)
    for axis in (1, 2):
        wide = np.pad(
            grays, [(0, 0), *((1, 1) if axis == one else (0, 0) for one in (1, 2))], "edge"
        )
        parts = [np.take(wide, range(start, start + SIDE), axis) for start in range(3)]
        grays = np.asarray((parts[0] + 2 * parts[1] + parts[2]) / 4, np.float32)
    return grays


def _tints(kept: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How far from gray the colours of each are; (pictures, 48)."""
    colours = kept[:, SIDE * SIDE :].reshape(len(kept), -1, 3).astype(np.float32)
    return (colours - colours.mean(axis=2, keepdims=True)).reshape(len(kept), -1)


# ── what one explains of another ───────────────────────────────────────────────────────────────


def _left(one: Grays, other: Grays, steps: int) -> NDArray[np.float64]:
    pairs, side = one.shape[:2]
    margin = max(side // 12, 1)  # where a copy that was moved shows what the other lacks
    inner = slice(margin, side - margin)
    pixels = (side - 2 * margin) ** 2
    there: Grays = other[:, inner, inner].reshape(pairs, pixels, 1)
    there = there - there.mean(axis=1, keepdims=True)
    whole = (there.astype(np.float64) ** 2).sum(axis=(1, 2))
    least = np.ones(pairs)
    place = np.zeros((pairs, 4))  # right, down, wider, taller
    x = np.linspace(-(side - 1) / 2, (side - 1) / 2, side, dtype=np.float32)
    for step in range(steps):
        seen = _moved(one, place, x) if step else one
        terms = _terms(seen, x)[:, inner, inner].reshape(pairs, pixels, 6)
        terms = terms - terms.mean(axis=1, keepdims=True)
        turned = terms.transpose(0, 2, 1)
        squares: NDArray[np.float64] = (turned @ terms).astype(np.float64)
        count = squares.shape[1]
        size = np.trace(squares, axis1=1, axis2=2)[:, None, None] / count
        squares += np.eye(count) * (1e-6 * size + 1e-9)
        wanted: NDArray[np.float64] = (turned @ there).astype(np.float64)
        found = np.asarray(np.linalg.solve(squares, wanted), np.float64)
        told: Grays = terms @ found.astype(np.float32)
        rest: NDArray[np.float64] = ((there - told) ** 2).sum(axis=(1, 2)).astype(np.float64)
        gain = found[:, 0, 0]
        sound = (whole > FLAT**2 * pixels) & (gain > _LEAST_GAIN) & (gain < _MOST_GAIN)
        least = np.where(sound, np.minimum(least, rest / np.maximum(whole, 1e-9)), least)
        place += np.clip(found[:, 2:, 0] / np.maximum(gain, _LEAST_GAIN)[:, None], -1, 1)
        place[:, :2] = np.clip(place[:, :2], -_MOVED * side, _MOVED * side)
        place[:, 2:] = np.clip(place[:, 2:], -_STRETCHED, _STRETCHED)
    return least


def _terms(seen: Grays, x: Grays) -> Grays:
    """What a copy may add to a picture: light, and small steps aside; (pairs, side, side, 6)."""
    terms = np.zeros((*seen.shape, 6), np.float32)
    terms[..., 0] = seen - seen.mean(axis=(1, 2), keepdims=True)
    terms[..., 1] = terms[..., 0] ** 2 / 128
    terms[:, :, 1:-1, 2] = (seen[:, :, 2:] - seen[:, :, :-2]) / 2
    terms[:, 1:-1, :, 3] = (seen[:, 2:] - seen[:, :-2]) / 2
    terms[..., 4] = terms[..., 2] * x
    terms[..., 5] = terms[..., 3] * x[:, None]
    return terms


def _moved(grays: Grays, place: NDArray[np.float64], x: Grays) -> Grays:
    """Each picture as it is seen from another place, between its pixels too."""
    pairs, side = grays.shape[:2]
    middle = (side - 1) / 2
    across = np.clip(x * (1 + place[:, 2:3]) + place[:, 0:1] + middle, 0, side - 1.001)
    along = np.clip(x * (1 + place[:, 3:4]) + place[:, 1:2] + middle, 0, side - 1.001)
    left, top = across.astype(np.int64), along.astype(np.int64)
    right = (across - left).astype(np.float32)[:, None, :]
    below = (along - top).astype(np.float32)[:, :, None]
    which: NDArray[np.int64] = np.arange(pairs, dtype=np.int64)[:, None, None]
    left, top = left[:, None, :], top[:, :, None]
    upper = grays[which, top, left] * (1 - right) + grays[which, top, left + 1] * right
    lower = grays[which, top + 1, left] * (1 - right) + grays[which, top + 1, left + 1] * right
    return upper * (1 - below) + lower * below
