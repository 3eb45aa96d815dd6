"""Reads a SentencePiece model (`spiece.model`, `tokenizer.model`, `source.spm`) byte by byte.

Such a file is one protocol buffer. The few fields that tokenizing needs are read here, without a
library, and nothing of it is believed: every length is checked against what is there.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from silmu.errors import InvalidModelError, UnsafeModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_BYTES = 16 << 20
MAX_PIECES = 1 << 20
MAX_PIECE = 512
"""The longest piece, in characters: reading a text takes time by its length."""
MAX_SPLITS = 1 << 22
"""How many ways to split a piece in two are looked at, over all pieces."""

UNIGRAM, BPE = 1, 2
CONTROL, USER_DEFINED = 3, 4
_NORMAL = 1

_FLOAT_OF = struct.Struct("<f")
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5


class Piece(NamedTuple):
    """A token: its text, the logarithm of how likely it is, and its kind, such as CONTROL."""

    text: str
    score: float
    kind: int


@dataclass
class SentencePiece:
    """What a model file holds.

    Attributes:
        pieces: the vocabulary; a piece's id is its place.
        algorithm: UNIGRAM or BPE, or one that nobody uses.
        unk_id, unk_piece: what stands for what no piece covers.
        character_map: the map from characters to normal ones, as SentencePiece compiles it.
    """

    pieces: list[Piece] = field(default_factory=list[Piece])
    algorithm: int = UNIGRAM
    unk_id: int = 0
    unk_piece: str = "<unk>"
    character_map: bytes = b""


def read(data: bytes, name: str) -> SentencePiece:
    """The model that a file holds; `name` is what to call it in a message.

    >>> read(b"\\x0a\\x08\\x0a\\x01a\\x15\\x00\\x00\\x80\\xbf", "spiece.model").pieces
    [Piece(text='a', score=-1.0, kind=1)]

    Raises:
        InvalidModelError: it is not a SentencePiece model, or a broken one.
        UnsafeModelError: it could take out of all proportion to a text.
    """
    found = SentencePiece()
    try:
        for number, value in _fields(data):
            if number == 1 and isinstance(value, bytes):
                found.pieces.append(_piece(value))
                if len(found.pieces) > MAX_PIECES:
                    raise ValueError(f"it has more than {MAX_PIECES:,} pieces")
            elif number == 2 and isinstance(value, bytes):
                _read_training(value, found)
            elif number == 3 and isinstance(value, bytes):
                for inner, map_ in _fields(value):
                    if inner == 2 and isinstance(map_, bytes):
                        found.character_map = map_
        if not found.pieces:
            raise ValueError("it holds no pieces")
    except ValueError as error:
        raise InvalidModelError(f"{name} is not a SentencePiece model: {error}") from error
    longest = max(len(piece.text) for piece in found.pieces)
    if longest > MAX_PIECE:
        raise UnsafeModelError(
            f"{name} has a piece of {longest:,} characters; at most {MAX_PIECE} are allowed"
        )
    return found


def merges(places: Mapping[str, int], scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """The pairs that byte-pair encoding joins, the best first.

    A BPE model of SentencePiece only scores what pairs result in: every split of a piece into two
    others is a pair.

    >>> merges({"a": 0, "b": 1, "ab": 2}, {"a": 0.0, "b": -1.0, "ab": -2.0})
    [('a', 'b')]

    Raises:
        UnsafeModelError: there are too many ways to split.
    """
    if sum(map(len, scores)) > MAX_SPLITS:
        raise UnsafeModelError(f"its pieces can be split in more than {MAX_SPLITS:,} ways")
    found: list[tuple[str, str, float]] = []
    for piece, score in scores.items():
        pairs = [
            (left, piece[cut:], score)
            for cut in range(1, len(piece))
            if (left := piece[:cut]) in places and piece[cut:] in places
        ]
        if len(pairs) > 1:
            pairs.sort(key=lambda pair: (places[pair[0]], places[pair[1]]))
        found.extend(pairs)
    found.sort(key=lambda pair: (pair[2], len(pair[0]), len(pair[1])), reverse=True)
    return [(left, right) for left, right, _ in found]


def _piece(data: bytes) -> Piece:
    text, score, kind = "", 0.0, _NORMAL
    length = data[1] if len(data) > 1 else 0
    fields: Iterable[tuple[int, int | float | bytes]] = _fields(data)
    if length < 0x80 and len(data) == length + 7 and data[0] == 0x0A and data[length + 2] == 0x15:
        # As nearly all of them are written; a vocabulary may have a quarter of a million.
        fields = ((1, data[2 : length + 2]), (2, _FLOAT_OF.unpack_from(data, length + 3)[0]))
    for number, value in fields:
        if number == 1 and isinstance(value, bytes):
            text = value.decode("utf-8")
        elif number == 2 and isinstance(value, float):
            score = value
        elif number == 3 and isinstance(value, int):
            kind = value
    if not text:
        raise ValueError("a piece is empty")
    if not math.isfinite(score):
        raise ValueError(f"the piece {text!r:.40} has the score {score}")
    return Piece(text, score, kind)


def _read_training(data: bytes, found: SentencePiece) -> None:
    for number, value in _fields(data):
        if number == 3 and isinstance(value, int):
            found.algorithm = value
        elif number == 40 and isinstance(value, int):
            found.unk_id = value
        elif number == 45 and isinstance(value, bytes):
            found.unk_piece = value.decode("utf-8")


def _fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """The fields of a message, in order, as (number, value)."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("a field has the number 0")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
        elif wire == _BYTES:
            length, at = _varint(data, at)
            if length > end - at:
                raise ValueError(f"a field claims {length:,} bytes, and {end - at:,} are left")
            yield number, data[at : at + length]
            at += length
        elif wire in (_FLOAT, _DOUBLE):
            length = 4 if wire == _FLOAT else 8
            if length > end - at:
                raise ValueError("it ends in the middle of a number")
            yield number, struct.unpack_from("<f" if wire == _FLOAT else "<d", data, at)[0]
            at += length
        else:
            raise ValueError(f"a field is of the kind {wire}, which there is not")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than 64 bits")
    raise ValueError("it ends in the middle of a number")
