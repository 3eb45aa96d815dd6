"""Texts as 64 bits each, many at once; and numbers for what is equal.

A text becomes a polynomial of its bytes in a fixed odd number, modulo 2^64 (Karp and Rabin, 1987,
"Efficient randomized pattern-matching algorithms"), told from the sums of all bytes before each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BASE = 0xD1342543DE82EF95
_INVERSE = pow(_BASE, -1, 1 << 64)
_BLOCK = 1 << 20  # bytes at once
_MISSING = np.int64(0x5BD1E995A3C59AC3)  # as any number, hardly one of the keys


def texts(array: pa.Array) -> NDArray[np.uint64]:
    """A number for each text, equal for equal ones.

    >>> found = texts(pa.array(["ab", "ba", "ab", ""]))
    >>> int(found[0]) == int(found[2]), len(set(found.tolist()))
    (True, 3)
    """
    found = np.empty(len(array), np.uint64)
    buffers = cast("list[Any]", array.buffers())
    _, ends, data = buffers
    if not len(array) or ends is None:
        return found
    every: NDArray[np.int32] = np.frombuffer(ends, np.int32)
    offsets = every[array.offset : array.offset + len(array) + 1].astype(np.int64)
    letters = np.frombuffer(cast("Any", data or b""), np.uint8)
    start = 0
    while start < len(array):
        limit = np.array([offsets[start] + _BLOCK], np.int64)
        stop = int(np.searchsorted(offsets, limit, side="right")[0]) - 1
        stop = min(max(stop, start + 1), len(array))
        own = offsets[start : stop + 1] - offsets[start]
        found[start:stop] = _hashes(letters[offsets[start] : offsets[stop]], own)
        start = stop
    return found


def _hashes(letters: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        sums = np.zeros(len(letters) + 1, np.uint64)
        np.cumsum(
            (letters.astype(np.uint64) + np.uint64(1)) * _powers(_BASE, len(letters)), out=sums[1:]
        )
        found = (sums[offsets[1:]] - sums[offsets[:-1]]) * _powers(_INVERSE, len(letters) + 1)[
            offsets[:-1]
        ]
        found ^= found >> np.uint64(32)
        found *= np.uint64(0x9E3779B97F4A7C15)
        return found ^ (found >> np.uint64(29))


def numbered(
    keys: NDArray[np.int64], missing: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A number from 0 for each key, the same for equal ones, and the first row of each.

    With as little memory as it takes, since there may be many; the keys are lost.

    >>> codes, first = numbered(np.array([7, 5, 7, 5]))
    >>> codes.tolist(), first.tolist()
    ([1, 0, 1, 0], [1, 0])

    Args:
        keys: (rows,), which become the numbers.
        missing: rows that have none; they become -1.
    """
    if missing is not None:
        keys[missing] = _MISSING
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    new = np.empty(len(keys), bool)
    new[:1] = True
    np.not_equal(ranked[1:], ranked[:-1], out=new[1:])
    first = order[new]
    lost = np.searchsorted(ranked[new], _MISSING) if missing is not None and missing.any() else -1
    del ranked
    groups = np.cumsum(new, dtype=np.int64)
    groups -= 1
    if missing is not None and lost >= 0:
        groups -= groups > lost
        first = np.delete(first, lost)
    keys[order] = groups
    if missing is not None:
        keys[missing] = -1
    return keys, first


_known: dict[int, NDArray[np.uint64]] = {}


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    """1, base, base squared, ..."""
    known = _known.get(base)
    if known is None or len(known) < count:
        powers = np.full(max(count, _BLOCK + 1), base, np.uint64)
        powers[0] = 1
        known = np.cumprod(powers)
        if len(known) <= _BLOCK + 1:
            _known[base] = known
    return known[:count]
