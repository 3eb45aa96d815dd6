"""A folder of text files: a sub-folder for each class, or for each split and in it each class."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import pyarrow as pa

from silmu.errors import InputError, SilmuError, UsageError
from silmu.steps.collect.streams import Text
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import Kinds, Numbered, batches, is_text

LARGEST = 1 << 26  # bytes of one text
HIDDEN = "the file is hidden"
OUTSIDE = "it is a link that leads out of the folder, to a folder or nowhere"
NO_FILE = "it is not a regular file"
UNREADABLE = "the file cannot be read"
TOO_LARGE = f"the file has more than {LARGEST >> 20} MB"
NO_TEXT = "the file is not text"

SPLITS = {"train", "training", "test", "testing", "validation", "valid", "val", "dev"}
_HIDDEN = {"thumbs.db", "desktop.ini", "__macosx"}


@final
class TextFolder:
    """The files of a folder in the order of their names, each a row."""

    def __init__(self, root: Path) -> None:
        self.root = root
        tops = self._folders(root)
        self.has_splits = bool(tops) and all(top.name.lower() in SPLITS for top in tops)
        if self.has_splits:
            # `train` and `test` could be two labels; with folders below them they are not.
            self.has_splits = all(self._folders(top) for top in tops)
        self.classes = [
            (folder, top.name if self.has_splits else None)
            for top in tops
            for folder in (self._folders(top) if self.has_splits else [top])
        ]
        names = ["text", "label", *(["split"] if self.has_splits else []), "file"]
        self.schema = pa.schema([(name, pa.string()) for name in names])
        if not self.classes:
            raise UsageError(
                f"`{root}` has no sub-folders",
                hint="a folder of texts has one sub-folder for each label, with a file for each "
                "text; give a table as a file, or as a pattern such as 'reviews/*.csv'",
            )

    def read(self, tally: Tally) -> Iterator[Numbered]:
        """The rows as Arrow."""
        kinds = Kinds()
        kinds.see(dict.fromkeys(self.schema.names, ""))
        return batches(self.rows(tally), kinds, tally)

    def rows(self, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each text with its label, with the number of its file in the order of names."""
        number = 0
        root = self.root.resolve()
        for folder, split in self.classes:
            for path in self._files(folder):
                number += 1
                if reason := _unfit(path, root):
                    tally.add(reason, [number])
                    continue
                try:
                    text = "".join(Text(path).blocks())
                except SilmuError as error:
                    tally.add(NO_TEXT if isinstance(error, InputError) else UNREADABLE, [number])
                    continue
                if "\0" in text or not is_text(text):
                    tally.add(NO_TEXT, [number])
                    continue
                row = {"text": text, "label": _spoken(folder.name)}
                if split is not None:
                    row["split"] = split
                yield number, {**row, "file": _spoken(path.relative_to(self.root).as_posix())}

    def _folders(self, folder: Path) -> list[Path]:
        """Those that are no links, which could lead out or round in circles, and not hidden."""
        try:
            with os.scandir(folder) as entries:
                found = [
                    Path(entry.path)
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False) and not _is_hidden(entry.name)
                ]
        except OSError as error:
            raise UsageError(f"`{folder}` cannot be read: {error.strerror}") from error
        return sorted(found)

    def _files(self, folder: Path) -> Iterator[Path]:
        """The files in a class, those in folders below it included, in the order of their names."""
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(f"`{folder}` cannot be read: {error.strerror}") from error
        for entry in found:
            if entry.is_dir(follow_symlinks=False) and not _is_hidden(entry.name):
                yield from self._files(Path(entry.path))
            else:
                yield Path(entry.path)


def _unfit(path: Path, root: Path) -> str | None:
    """Why a file is no row; None if it may be one."""
    if _is_hidden(path.name):
        return HIDDEN
    try:
        if path.is_symlink() and not path.resolve(strict=True).is_relative_to(root):
            return OUTSIDE
        status = path.stat()
    except (OSError, RuntimeError):
        return OUTSIDE if path.is_symlink() else UNREADABLE
    if not stat.S_ISREG(status.st_mode):
        return OUTSIDE if path.is_symlink() else NO_FILE
    return TOO_LARGE if status.st_size > LARGEST else None


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _HIDDEN


def _spoken(name: str) -> str:
    """A name as text, also where its bytes are none."""
    return name.encode("utf-8", "backslashreplace").decode()
