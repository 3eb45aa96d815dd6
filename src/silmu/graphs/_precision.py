"""Weights in 8 and 4 bits.

*By columns*, for encoders: one scale a column of the weights here, and one a token of what they are
multiplied with, found while the graph runs. The product is of whole numbers, so it is exact, and
what a token gives depends on nothing but that token. A scale for all tokens at once, which is the
usual form, would let the longest outlier of a batch coarsen the answers of its neighbours.

*By blocks*, for decoders and for 4 bits: one scale for every 32 weights (Frantar et al. 2022,
https://arxiv.org/abs/2210.17323, without its search), which are widened where they are used. A
decoder writes one token at a time, and waits for its weights to come from memory.

*By layers*, for OpenVINO: one scale a column, and what they are multiplied with is float; that
engine cuts it by itself, in groups of 32, where the processor has products of 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

BLOCK = 32
LOWEST = {
    "gelu": -0.1701,
    "gelu_new": -0.1701,
    "gelu_pytorch_tanh": -0.1701,
    "gelu_fast": -0.1701,
    "quick_gelu": -0.1637,
    "relu": 0.0,
    "silu": -0.2785,
    "swish": -0.2785,
}
"""The least that an activation gives, by its name: from there on up, all 8 bits are of use."""

_AT_ONCE = 1 << 20
"""Weights that are worked on at once: a table of embeddings may be a large part of memory."""

_SHRUNK = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)
"""Scales that are tried for a block of few bits: the largest weight of 32 may be cut."""


@dataclass(frozen=True)
class Precision:
    """How a graph holds its large matrices.

    `shared` says that the table of its embeddings is likely to be that of its scores too.
    """

    form: Literal["full", "columns", "blocks", "layers"] = "full"
    bits: int = 32
    shared: bool = False


FULL = Precision()


def balance(matrix: Floats) -> Floats:
    """By what each input of a matrix is multiplied, and its weights divided, before both are cut.

    It is what the matrix makes of that input. A few inputs are always large, and would take the
    scale for themselves; what is made of them is as large as of the others (after Xiao et al. 2022,
    https://arxiv.org/abs/2211.10438, without texts to learn it from).
    """
    size = np.sqrt(np.einsum("ij,ij->i", matrix, matrix) / matrix.shape[1])
    return np.maximum(size, max(float(size.max()) * 1e-3, 1e-20)).astype(np.float32)


def by_columns(matrix: Floats, bits: int) -> tuple[NDArray[np.int8], Floats]:
    """(inner, outer) -> whole numbers of so many bits, and the scale of each column."""
    top = 2 ** (bits - 1) - 1
    largest = np.maximum(matrix.max(axis=0), -matrix.min(axis=0))
    scale = np.maximum(largest / top, 1e-30).astype(np.float32)
    numbers = np.empty(matrix.shape[::-1], np.int8)
    step = max(1, _AT_ONCE // matrix.shape[0])
    for start in range(0, matrix.shape[1], step):
        part = matrix[:, start : start + step] / scale[start : start + step]
        numbers[start : start + step] = np.rint(part).T
    return numbers.T, scale


def by_blocks(table: Floats, bits: int) -> tuple[NDArray[np.uint8], Floats]:
    """(outer, inner) -> bytes (outer, blocks, bytes of a block), and scales (outer, blocks).

    What is left of the last block is filled with zeros.
    """
    outer, inner = table.shape
    count = -(-inner // BLOCK)
    packed = np.empty((outer, count, BLOCK * bits // 8), np.uint8)
    scales = np.empty((outer, count), np.float32)
    step = max(1, _AT_ONCE // (count * BLOCK))
    for start in range(0, outer, step):
        rows = np.zeros((min(step, outer - start), count * BLOCK), np.float32)
        rows[:, :inner] = table[start : start + step]
        numbers, found = _blocks(rows.reshape(len(rows), count, BLOCK), bits)
        if bits == 4:
            numbers = numbers[..., 0::2] | (numbers[..., 1::2] << 4)
        packed[start : start + step], scales[start : start + step] = numbers, found
    return packed, scales


def _blocks(rows: Floats, bits: int) -> tuple[NDArray[np.uint8], Floats]:
    half = 2 ** (bits - 1)
    place = np.abs(rows).argmax(axis=-1)[..., None]
    # There is one number more below zero than above: the largest weight takes it.
    largest = -np.take_along_axis(rows, place, axis=-1) / half
    best: Any = None
    for factor in _SHRUNK if bits < 8 else (1.0,):
        scale = largest * np.float32(factor)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(scale == 0, np.float32(0), rows / scale)
        numbers = np.clip(np.rint(ratio), -half, half - 1)
        error = np.square(numbers * scale - rows).sum(axis=-1, keepdims=True)
        if best is None:
            best = [numbers, scale, error]
            continue
        better = error < best[2]
        for kept, new in zip(best, (numbers, scale, error), strict=True):
            np.copyto(kept, new, where=better)
    return (best[0] + half).astype(np.uint8), best[1][..., 0]
