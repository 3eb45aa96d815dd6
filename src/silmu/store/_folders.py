"""Folders that appear whole, and go whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, final

from silmu.errors import SilmuError, StoreError
from silmu.store import _disk as disk
from silmu.store._failures import FULL, exists, explained, failure, show, standing
from silmu.store._manifests import MANIFEST, FileRecord, manifest_bytes, portable, record, verify
from silmu.store._owners import TEMPORARY, discard, owned, sweep, temporary


@final
class FolderWriter:
    """What `new_folder` hands out: places for the files of a folder that is not yet there."""

    def __init__(self, folder: Path, meta: Mapping[str, object]) -> None:
        self.folder = folder
        self.meta = dict(meta)
        self._names: dict[str, str] = {}

    def path(self, name: str) -> Path:
        """Where a library that writes files itself may write this one.

        Folders in the name are made. A name that another system would read differently is refused.
        """
        import unicodedata

        if not portable(name):
            raise StoreError(f"{name!r} is not a name for a file inside a folder")
        # A folder copied to a Mac or to Windows would keep only one of `A.txt` and `a.txt`.
        for part in accumulate(name.split("/"), "{}/{}".format):
            twin = self._names.setdefault(unicodedata.normalize("NFC", part).casefold(), part)
            if twin != part:
                raise StoreError(f"{part!r} and {twin!r} are one name on some systems")
        path = self.folder / name
        disk.make_folder(path.parent)
        return path

    def write(self, name: str, data: bytes) -> None:
        """Write one file, which must be new."""
        disk.create(self.path(name), data)

    @contextmanager
    def open(self, name: str) -> Generator[BinaryIO]:
        """A new file to write to piece by piece."""
        path = self.path(name)
        with os.fdopen(disk.open_new(path), "wb") as file:
            yield file
            with disk.operation("write", path):
                file.flush()

    def copy(self, source: Path, name: str) -> None:
        """Copy a file into the folder."""
        import shutil

        with source.open("rb") as old, self.open(name) as new:
            shutil.copyfileobj(old, new, disk.CHUNK)

    def discard(self, name: str) -> None:
        """Take back a file of this folder that was needed only on the way."""
        disk.delete(self.path(name))


@contextmanager
def new_folder(
    target: str | os.PathLike[str],
    *,
    meta: Mapping[str, object] | None = None,
    exist_ok: bool = False,
) -> Generator[FolderWriter]:
    """Write a folder that appears whole, or not at all.

    >>> with store.new_folder("model", meta={"task": "text-classification"}) as writer:
    ...     writer.write("config.json", b"{}")
    >>> sorted(path.name for path in Path("model").iterdir())
    ['MANIFEST.json', 'config.json']

    Args:
        target: must not exist; its parent is made.
        meta: goes into the manifest as JSON: what made the folder, such as the fingerprint of the
            data and the versions of libraries; `writer.meta` may be added to until the end.
        exist_ok: if the target is there, even by another process a moment ago, drop this work:
            for caches, whose names say what is in them.
    """
    target = Path(target).absolute()
    taken = StoreError(f"{show(target)} is already there", hint="choose another name, or remove it")
    if not exist_ok and exists(target):
        raise taken
    manifest_bytes(meta or {}, {})
    disk.make_folder(target.parent)
    with temporary(target) as folder:
        disk.make_folder(folder)
        writer = FolderWriter(folder, meta or {})
        try:
            yield writer
        except SilmuError:
            raise
        except OSError as error:
            # A library that writes by itself fails in its own words; a full disk is ours to tell.
            if error.errno in (*FULL, errno.EFBIG) or str(folder) in str(error.filename):
                raise failure("write", folder, error) from error
            raise
        _seal(folder, writer.meta)
        try:
            disk.rename(folder, target)
        except StoreError as error:
            if not exists(target):
                raise
            if not exist_ok:
                raise taken from error
            verify(target, quick=True)
        else:
            disk.fsync_folder(target.parent)


def _seal(folder: Path, meta: Mapping[str, object]) -> None:
    files: dict[str, FileRecord] = {}
    folders: list[Path] = []
    for path, is_folder in disk.tree(folder):
        name = path.relative_to(folder).as_posix()
        if is_folder:
            folders.append(path)
        elif portable(name):
            files[name] = record(path)
            disk.fsync_file(path, files[name].size)
        else:
            raise StoreError(f"{show(path)} has a name that a sealed folder cannot hold")
    disk.create(folder / MANIFEST, manifest_bytes(meta, files))
    for path in [*folders, folder]:
        disk.fsync_folder(path)


def move(folder: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Give a folder another place on the same disk, at once.

    A kill leaves it at one of the two places. So does a power cut where the file system has a
    journal; elsewhere it may leave it at none, so move only what can be made again.

    >>> with store.new_folder("drafts/first") as writer:
    ...     writer.write("a.txt", b"a")
    >>> store.move("drafts/first", "final")
    >>> Path("final", "a.txt").exists()
    True

    Args:
        folder: nobody may be writing to it.
        target: must not exist; its parent is made.
    """
    folder, target = Path(folder).absolute(), Path(target).absolute()
    disk.make_folder(target.parent)
    disk.rename(folder, target)
    disk.fsync_folder(target.parent)
    disk.fsync_folder(folder.parent)


def remove(folder: str | os.PathLike[str]) -> None:
    """Delete a folder, or a file, so that a kill half-way leaves nothing that looks whole.

    >>> with store.new_folder("old") as writer:
    ...     writer.write("a.txt", b"a")
    >>> store.remove("old")
    >>> Path("old").exists()
    False
    """
    folder = Path(folder).absolute()
    with temporary(folder) as condemned:
        disk.rename(folder, condemned)
        discard(condemned)


def reserve(folder: str | os.PathLike[str], num_bytes: int) -> None:
    """Refuse before a long job what would fail at its end for want of space.

    >>> store.reserve("runs", 1000)
    """
    import shutil

    path = Path(folder).absolute()
    with explained("look at", path):
        place = standing(path)
        free = shutil.disk_usage(place).free
    if free < num_bytes:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise failure("reserve space in", path, full, num_bytes)
    # What is free may be more than a quota grants: only a file of that size proves that it is ours.
    sweep(place, TEMPORARY)
    with owned(place, TEMPORARY) as proof:
        disk.allocate(proof, num_bytes)
