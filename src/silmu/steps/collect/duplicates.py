"""Texts that are the same text twice, or nearly.

A row leads or follows: it follows the first earlier row that is its duplicate. Who leads depends
on earlier rows alone, so rows that are added later never move older ones to another split.

Two texts are near duplicates if they share 0.8 of their pieces of five characters (the Jaccard
index of the two sets), as told from 128 minimal hashes a text (Broder, 1997, "On the resemblance
and containment of documents"), of which a byte each is kept (Li and König, 2010, "b-bit minwise
hashing"): 136 bytes a row are all that stays in memory.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR = 0.8
SHORTEST = 20  # characters: below, one word more or less is another text, so only equals count
_PIECE = 5  # characters
_HASHES, _BANDS = 128, 16  # eight hashes a band: 95 % of the pairs at 0.8 share one, all at 0.9
_BLOCK = 1 << 17  # characters hashed at once, so that they stay in the processor's cache
_PAIRS = 1 << 16  # compared at once
_CHANCE = 1 / 256  # that two different hashes have the same byte

# Not from a random generator, whose numbers a new version of numpy may change.
_DRAWN = np.frombuffer(hashlib.shake_128(b"silmu").digest(_HASHES * 8), "<u4")
_FACTORS, _SHIFTS = _DRAWN[:_HASHES] | np.uint32(1), _DRAWN[_HASHES:]


def normalise(text: str) -> str:
    """The text without what makes no difference to a reader: case, width and runs of blanks.

    >>> normalise("  Good\\n MOVIE ")
    'good movie'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def keys(texts: Iterable[str]) -> NDArray[np.uint64]:
    """A number for each text, the same on every machine and for texts that normalise alike.

    >>> len(set(keys(["Good  movie", "good movie"]).tolist()))
    1
    """
    return np.fromiter((_key(normalise(text)) for text in texts), np.uint64)


def leaders(texts: Iterable[str], *, near: bool = True) -> NDArray[np.int64]:
    """For each text the index of the one it follows, which is its own where it leads.

    What follows is an exact or near duplicate of its leader, or of another that follows it. A
    leader leads itself: `leaders[leaders] == leaders`.

    Args:
        texts: read once, and not held.
        near: also near duplicates, where a text has at least 20 characters.

    >>> leaders(["Good film.", "Bad film.", "good  film."]).tolist()
    [0, 1, 0]
    """
    return keys_and_leaders(texts, near=near)[1]


def keys_and_leaders(
    texts: Iterable[str], *, near: bool = True
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Both at once, for texts that can be read only once: `keys` and `leaders`."""
    found: list[NDArray[np.uint64]] = []
    signatures: list[NDArray[np.uint8]] = []
    signed: list[NDArray[np.int64]] = []
    seen: set[int] = set()
    start = 0
    for block in _blocks(normalise(text) for text in texts):
        numbers = [_key(text) for text in block]
        found.append(np.array(numbers, np.uint64))
        if near:
            new: list[int] = []
            for index, (text, number) in enumerate(zip(block, numbers, strict=True)):
                if len(text) >= SHORTEST and number not in seen:
                    seen.add(number)
                    new.append(index)
            signatures.append(_signatures([block[index] for index in new]))
            signed.append(np.array(new, np.int64) + start)
        start += len(block)
    if not found:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    all_keys = np.concatenate(found)
    _, first, group = np.unique(all_keys, return_index=True, return_inverse=True)
    leading = first[group].astype(np.int64)
    if near:
        rows = np.concatenate(signed)
        follow(leading, rows, *_near_pairs(np.concatenate(signatures)))
        leading = leading[leading]  # exact duplicates follow whom their first one follows
    return all_keys, leading


def follow(
    leading: NDArray[np.int64],
    rows: NDArray[np.int64],
    later: NDArray[np.int64],
    earlier: NDArray[np.int64],
) -> None:
    """Writes into `leading` whom each row follows.

    Args:
        leading: (rows,), whom each follows so far.
        rows: the row of each number in the pairs.
        later, earlier: pairs in order of the later one.
    """
    for row, other in zip(rows[later].tolist(), rows[earlier].tolist(), strict=True):
        # Whom the earlier one follows is settled, since it comes before in the order.
        leading[row] = min(leading[row], leading[other])


def _key(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(text)
        size += len(text) + 1
        if size >= _BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def _signatures(texts: list[str]) -> NDArray[np.uint8]:
    """The low bytes of each text's minimal hashes, a row a text."""
    signatures = np.empty((len(texts), _HASHES), np.uint8)
    if not texts:
        return signatures
    pieces, starts = _pieces(texts)
    for column, (factor, shift) in enumerate(zip(_FACTORS, _SHIFTS, strict=True)):
        signatures[:, column] = np.minimum.reduceat(pieces * factor + shift, starts)
    return signatures


def _pieces(texts: list[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """A hash of every five characters in a row, text after text, and where each text starts."""
    letters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")
    hashes = np.zeros(len(letters) - _PIECE + 1, np.uint64)
    for offset in range(_PIECE):
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += letters[offset : len(letters) - _PIECE + 1 + offset]
    hashes ^= hashes >> np.uint64(31)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    lengths = np.array([len(text) for text in texts], np.int64)
    within = np.ones(len(hashes), bool)
    for offset in range(1, _PIECE):  # pieces that would reach into the next text
        within[(np.cumsum(lengths) - offset)[:-1]] = False
    counts = lengths - _PIECE + 1
    pieces = (hashes[within] >> np.uint64(32)).astype(np.uint32)
    return pieces, np.cumsum(counts) - counts


def _near_pairs(
    signatures: NDArray[np.uint8],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (later, earlier) of signatures that are alike, in order of the later one.

    Of those that share a band, each is compared with the first and with the one before it: what
    a thousand near duplicates cost then is in proportion to their number and not to its square.
    """
    later: list[NDArray[np.int64]] = []
    earlier: list[NDArray[np.int64]] = []
    for band in np.split(signatures, _BANDS, axis=1):
        words = np.ascontiguousarray(band).view(np.uint64)[:, 0]
        order = np.argsort(words, kind="stable")
        same = words[order][1:] == words[order][:-1]
        if not same.any():
            continue
        position = np.arange(len(order))
        opens = np.concatenate([[True], ~same])
        first = order[np.maximum.accumulate(np.where(opens, position, 0))]
        at = np.flatnonzero(same) + 1
        later += [order[at], order[at]]
        earlier += [first[at], order[at - 1]]
    if not later:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    pairs = np.unique(np.stack([np.concatenate(later), np.concatenate(earlier)], axis=1), axis=0)
    alike = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), _PAIRS):
        part = pairs[start : start + _PAIRS]
        equal = (signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1)
        alike[start : start + _PAIRS] = (equal - _CHANCE) / (1 - _CHANCE) >= NEAR
    return pairs[alike, 0], pairs[alike, 1]
