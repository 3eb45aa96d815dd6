"""Folders whose sub-folders are classes, or splits and in each of these its classes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from silmu.errors import InputError, UsageError

HIDDEN = "the file is hidden"
OUTSIDE = "it is a link that leads out of the folder, to a folder or nowhere"
NO_FILE = "it is not a regular file"
UNREADABLE = "the file cannot be read"

SPLITS = {"train", "training", "test", "testing", "validation", "valid", "val", "dev"}
_HIDDEN = {"thumbs.db", "desktop.ini", "__macosx"}


def classes(root: Path) -> tuple[bool, list[tuple[Path, str | None]]]:
    """Whether there are splits; and the folder of each class, with the split that it is in.

    Raises:
        UsageError: the folder cannot be read.
    """
    tops = subfolders(root)
    has_splits = bool(tops) and all(top.name.lower() in SPLITS for top in tops)
    if has_splits:
        # `train` and `test` could be two labels; with folders below them they are not.
        has_splits = all(subfolders(top) for top in tops)
    return has_splits, [
        (folder, top.name if has_splits else None)
        for top in tops
        for folder in (subfolders(top) if has_splits else [top])
    ]


def subfolders(folder: Path) -> list[Path]:
    """Those that are no links, which could lead out or round in circles, and not hidden."""
    try:
        with os.scandir(folder) as entries:
            found = [
                Path(entry.path)
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not is_hidden(entry.name)
            ]
    except OSError as error:
        raise UsageError(f"`{folder}` cannot be read: {error.strerror}") from error
    return sorted(found)


def files(folder: Path) -> Iterator[Path]:
    """The files in a class, those in folders below it included, in the order of their names.

    Raises:
        InputError: a folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"`{folder}` cannot be read: {error.strerror}") from error
    for entry in found:
        if entry.is_dir(follow_symlinks=False) and not is_hidden(entry.name):
            yield from files(Path(entry.path))
        else:
            yield Path(entry.path)


def unfit(path: Path, root: Path, largest: int) -> str | None:
    """Why a file is no row; None if it may be one.

    Args:
        path: of the file, in the folder.
        root: the folder, resolved.
        largest: how many bytes it may have.
    """
    if is_hidden(path.name):
        return HIDDEN
    try:
        if path.is_symlink() and not path.resolve(strict=True).is_relative_to(root):
            return OUTSIDE
        status = path.stat()
    except (OSError, RuntimeError):
        return OUTSIDE if path.is_symlink() else UNREADABLE
    if not stat.S_ISREG(status.st_mode):
        return OUTSIDE if path.is_symlink() else NO_FILE
    return too_large(largest) if status.st_size > largest else None


def too_large(largest: int) -> str:
    """What is said of a file of more bytes."""
    size = largest // 1_000_000 if largest % 1_000_000 == 0 else largest >> 20
    return f"the file has more than {size} MB"


def is_hidden(name: str) -> bool:
    """Whether a file or folder is the system's own, or named so that it is not shown.

    >>> is_hidden(".DS_Store"), is_hidden("Thumbs.db"), is_hidden("cat.jpg")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in _HIDDEN


def spoken(name: str) -> str:
    """A name as text, also where its bytes are none."""
    return name.encode("utf-8", "backslashreplace").decode()
