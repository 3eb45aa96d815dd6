"""Small files that are replaced whole, and the pointers among them."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from silmu.errors import CorruptError, StoreError, UsageError
from silmu.store import _disk as disk
from silmu.store._failures import exists, explained, show
from silmu.store._manifests import MANIFEST, portable, read_small, record, verify
from silmu.store._owners import temporary

_GONE = (errno.ENOENT, errno.ENOTDIR)


def write_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace a small file: whoever reads it sees the old content or the new.

    >>> store.write_file("run.toml", b"seed = 1")
    >>> Path("run.toml").read_bytes()
    b'seed = 1'
    """
    path = Path(path).absolute()
    # Settings may hold a password; who made them private wants them to stay so.
    with explained("look at", path):
        mode = stat.S_IMODE(path.stat().st_mode) if path.is_file() else 0o666
    disk.make_folder(path.parent)
    with temporary(path) as fresh:
        disk.create(fresh, data, mode)
        disk.rename(fresh, path, replace=True)
        disk.fsync_folder(path.parent)


def write_pointer(folder: str | os.PathLike[str], name: str, target: str) -> None:
    """Let the file `name` of a folder point to the sealed folder `target` beside it.

    >>> with store.new_folder("run/step-1") as writer:
    ...     writer.write("weights", b"1")
    >>> store.write_pointer("run", "LATEST", "step-1")
    >>> store.read_pointer("run").name
    'step-1'
    """
    folder = Path(folder)
    if not portable(target) or "/" in target:
        raise UsageError(f"{target!r} is not the name of a folder in {show(folder)}")
    verify(folder / target, quick=True, extra=None)
    write_file(folder / name, _pointer_bytes(folder, target))


def read_pointer(
    folder: str | os.PathLike[str],
    name: str = "LATEST",
    *,
    quick: bool = False,
    extra: Sequence[str] | None = (),
) -> Path | None:
    """The folder that a pointer names, verified; None if nothing has been written yet.

    Where the pointer or its folder is broken, the newest sound folder is given, with a warning.
    Newest is by name, numbers in it compared as numbers: no clock is asked.
    """
    folder = Path(folder)
    pointer, content = folder / name, None
    reason = f"{show(pointer)} is missing"
    # Once more if it changed meanwhile: a writer may have moved it on and removed what it named.
    while (now := _read_pointer(pointer)) not in (None, content):
        content = now
        try:
            return _pointed(pointer, now or b"", quick, extra)
        except CorruptError as error:
            reason = error.message
    sealed = _sealed(folder)
    for path in sorted(sealed, key=_by_numbers, reverse=True):
        with suppress(CorruptError):
            verify(path, quick=quick, extra=extra)
            warnings.warn(f"{reason}; using {show(path)}, the newest that is sound", stacklevel=2)
            return path
    if content is None and not sealed:
        return None
    raise CorruptError(f"{reason}, and no folder beside it is sound")


def _read_pointer(pointer: Path) -> bytes | None:
    try:
        return read_small(pointer)
    except CorruptError:
        # Not even a file, so nothing that it says can be right.
        return b""
    except StoreError as error:
        if error.errno not in _GONE:
            raise
        return None


def _pointed(pointer: Path, content: bytes, quick: bool, extra: Sequence[str] | None) -> Path:
    wrong = CorruptError(f"{show(pointer)} is not as it was when written")
    try:
        name = json.loads(content)["folder"]
        if not portable(name) or "/" in name:
            raise wrong
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise wrong from None
    folder = pointer.with_name(name)
    verify(folder, quick=quick, extra=extra)
    try:
        written = _pointer_bytes(pointer.parent, name)
    except StoreError as error:
        if error.errno not in _GONE:
            raise
        raise CorruptError(f"{show(folder)} was removed while it was read") from error
    if content != written:
        raise wrong
    return folder


def _pointer_bytes(folder: Path, target: str) -> bytes:
    # The digest tells a pointer whose name was damaged into that of a neighbour.
    manifest = record(folder / target / MANIFEST).sha256
    return json.dumps({"folder": target, "manifest": manifest}).encode() + b"\n"


def _sealed(folder: Path) -> list[Path]:
    """The folders that were sealed, sound or not; `.tmp-` ones are nobody's to read."""
    if not exists(folder):
        return []
    inside = [path for path, is_folder in disk.children(folder) if is_folder]
    return [path for path in inside if path.name[0] != "." and exists(path / MANIFEST)]


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d*)", path.name)]
