"""Large files that are written piece by piece, and replaced whole."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast, final

from silmu.store import _disk as disk
from silmu.store._failures import explained
from silmu.store._owners import temporary

PIECE = 1 << 20


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Generator[BinaryIO]:
    """Write a file of any size that appears whole, or replaces the old one whole.

    >>> with store.new_file("rows.csv") as file:
    ...     for number in range(3):
    ...         _ = file.write(b"%d\\n" % number)
    >>> Path("rows.csv").read_bytes()
    b'0\\n1\\n2\\n'
    """
    path = Path(path).absolute()
    with explained("look at", path):
        mode = stat.S_IMODE(path.stat().st_mode) if path.is_file() else 0o666
    disk.make_folder(path.parent)
    with temporary(path) as fresh:
        handle = disk.open_new(fresh, mode)
        try:
            file = _Pieces(handle, fresh)
            yield cast("BinaryIO", file)
            file.flush()
        finally:
            with explained("close", fresh):
                os.close(handle)
        disk.fsync_file(fresh, file.tell())
        disk.rename(fresh, path, replace=True)
        disk.fsync_folder(path.parent)


@final
class _Pieces(io.BufferedIOBase):
    """Gathers what is written into pieces worth an operation on the disk."""

    def __init__(self, handle: int, path: Path) -> None:
        self._handle = handle
        self._path = path
        self._waiting = bytearray()
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written + len(self._waiting)

    def write(self, data: bytes, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        piece = memoryview(data).cast("B")
        self._waiting += piece
        if len(self._waiting) >= PIECE:
            self.flush()
        return len(piece)

    def flush(self) -> None:
        data, self._waiting = bytes(self._waiting), bytearray()
        disk.write_all(self._handle, self._path, data)
        self._written += len(data)

    def close(self) -> None:
        # Whoever is handed the file may close it; it is done only when the `with` block is.
        return
