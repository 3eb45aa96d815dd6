"""Arrays of numbers in files: written as they come, and mapped into memory when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import CorruptError

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray

_SMALL = 4096  # bytes; an array of no numbers cannot be mapped


def open_array(path: Path) -> NDArray[Any]:
    """The array in a .npy file, memory mapped.

    Raises:
        CorruptError: the file holds none.
    """
    try:
        mode = None if path.stat().st_size < _SMALL else "r"
        return np.load(path, allow_pickle=False, mmap_mode=mode)
    except (OSError, ValueError) as error:
        raise CorruptError(f"`{path}` cannot be read: {error}") from error


def write_array(file: BinaryIO, array: NDArray[Any]) -> None:
    """Writes a whole .npy file."""
    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def write_head(file: BinaryIO, shape: tuple[int, ...], kind: str) -> None:
    """Writes the head of a .npy file, after which the numbers come row by row.

    Args:
        file: what is written to.
        shape: of the whole array.
        kind: the type of its numbers, such as `<f4`.
    """
    head: dict[str, Any] = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, head)
