"""The pictures of a folder: which files they may be, what class each is in, and their bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from silmu.errors import InputError
from silmu.runtime.image import MAX_BYTES
from silmu.steps.collect.classes import (
    NO_FILE,
    SPLITS,
    UNREADABLE,
    classes,
    files,
    is_hidden,
    spoken,
    subfolders,
    too_large,
    unfit,
)

LARGEST = MAX_BYTES  # of one picture
ENDINGS = frozenset(
    {
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "gif", "tif", "tiff"),
        # Which cannot be opened, but whose names tell that pictures are meant.
        *("heic", "heif", "avif", "jp2", "svg", "psd", "tga", "ppm", "pgm", "pbm", "ico"),
    }
)
"""Endings of names of pictures, small letters."""

MISSING = "there is no such file"
EMPTY = "the file is empty"
NO_LABEL = "it lies in no sub-folder, which would be its label"
NO_NAME = "its name is not UTF-8"
_MOST_THREADS = 8
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")


class Refused(InputError):
    """A picture that cannot be used.

    Args:
        what: which.
        reason: why, without its name, so that those of one reason can be counted.
    """

    def __init__(self, what: object, reason: str) -> None:
        super().__init__(f"`{what}`: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a folder or an archive, in the order of names."""

    path: str
    """From the folder on, with `/` between."""
    label: str | None
    split: str | None
    reason: str | None = None
    """Why it is no row; None if it may be one."""
    folder: str | None = None
    """Where in the class it lies, from the class on; None where it is in none."""


@dataclass(frozen=True)
class Listing:
    """All files of a folder or an archive.

    Attributes:
        entries: in the order of their names.
        has_labels: whether there are sub-folders.
        has_splits: whether these are splits, with classes in them.
        is_nested: whether classes have folders within them.
    """

    entries: Sequence[Entry]
    has_labels: bool
    has_splits: bool
    is_nested: bool


def listing(root: Path) -> Listing:
    """The files of a folder: of its classes first, then those that lie beside them.

    A folder that has nothing but one folder of classes in it is passed through.

    Raises:
        UsageError: the folder cannot be read.
        InputError: a folder in it cannot be read.
    """
    inner = root
    while len(found := subfolders(inner)) == 1 and _is_wrapping(inner, found[0]):
        inner = found[0]
    has_splits, folders = classes(inner)
    resolved = root.resolve()
    entries: list[Entry] = []
    nested = False
    for folder, split in folders:
        label = spoken(folder.name)
        for path in files(folder):
            place = spoken(path.parent.relative_to(folder.parent).as_posix())
            entries.append(_entry(path, root, resolved, label, split, place))
            nested = nested or path.parent != folder
    beside = [inner, *(subfolders(inner) if has_splits else [])]
    for folder in beside:
        for path in _strays(folder, every=not folders):
            entries.append(_entry(path, root, resolved))
    return Listing(entries, bool(folders), has_splits, nested)


def tables(root: Path) -> list[Path]:
    """The tables that lie in a folder, beside folders or pictures."""
    return [
        path
        for path in sorted(root.iterdir())
        if not is_hidden(path.name) and path.name.lower().endswith(_TABLES) and path.is_file()
    ]


def read(path: Path) -> bytes:
    """The bytes of a picture's file.

    Raises:
        Refused: there is no such file, or it is not a regular one, empty or too large.
    """
    try:
        # A pipe would keep its reader waiting for ever, and a device has no end.
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Refused(path, NO_FILE)
        if status.st_size > LARGEST:
            raise Refused(path, too_large(LARGEST))
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except Refused:
        raise
    except FileNotFoundError as error:
        raise Refused(path, MISSING) from error
    except (OSError, ValueError) as error:
        raise Refused(path, UNREADABLE) from error
    if not data:
        raise Refused(path, EMPTY)
    if len(data) > LARGEST:
        raise Refused(path, too_large(LARGEST))
    return data


def threads() -> int:
    """How many threads open pictures at once: a core each, but no more than gain by it."""
    from silmu.runtime import session  # whose engine takes a while to import

    return min(session.num_cores(), _MOST_THREADS)


def looks_like_pictures(values: Iterable[object]) -> bool:
    """Whether values are names of pictures, as most of them end.

    >>> looks_like_pictures(["a.jpg", "b/c.PNG", None]), looks_like_pictures(["cat", "dog"])
    (True, False)
    """
    texts = [value for value in values if value is not None]
    named = [
        isinstance(value, str) and "." in value and value.rpartition(".")[2].lower() in ENDINGS
        for value in texts
    ]
    return bool(named) and sum(named) >= 0.9 * len(named)


def _entry(
    path: Path,
    root: Path,
    resolved: Path,
    label: str | None = None,
    split: str | None = None,
    place: str | None = None,
) -> Entry:
    name = path.relative_to(root).as_posix()
    reason = unfit(path, resolved, LARGEST)
    if reason is None and spoken(name) != name:
        reason = NO_NAME
    return Entry(spoken(name), label, split, reason, place)


def _strays(folder: Path, *, every: bool = False) -> Iterator[Path]:
    """What lies beside the folders of classes and may have been meant as a picture, or all."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if is_hidden(entry.name) or entry.is_dir(follow_symlinks=False):
            continue
        if every or entry.is_symlink() or looks_like_pictures([entry.name]):
            yield Path(entry.path)


def _is_wrapping(folder: Path, only: Path) -> bool:
    """Whether a folder holds nothing but another that has classes in it."""
    if only.name.lower() in SPLITS or not subfolders(only):
        return False
    return not any(True for _ in _strays(folder)) and not any(True for _ in _strays(only))
