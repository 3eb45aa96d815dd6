"""Pictures in a zip or tar: read from it, member by member, and never written anywhere.

The names of members only tell classes; a member that is a link, a device, encrypted, or named so
that it would lead out of a folder is left out, and what unpacks to far more than it may is refused.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast, final

from silmu.errors import InputError
from silmu.steps.collect.classes import (
    HIDDEN,
    NO_FILE,
    SPLITS,
    UNREADABLE,
    is_hidden,
    spoken,
    too_large,
)
from silmu.steps.collect.image.files import EMPTY, LARGEST, NO_NAME, Entry, Listing
from silmu.steps.collect.streams import regular

MOST_MEMBERS = 1_000_000
_BOMB_BYTES, _BOMB_RATIO = 1 << 30, 100  # pictures are packed already
_MEMBER_BYTES, _MEMBER_RATIO = 1 << 26, 200
ENCRYPTED = "the member is encrypted"
ASTRAY = "its name leads out of the archive"
BOMB = f"it unpacks to more than {_MEMBER_RATIO} times its size"
_DRIVE = re.compile(r"[A-Za-z]:")
_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
# What modules that read archives raise where one is cut, flipped or made up.
_FAULTS = (
    *(OSError, EOFError, ValueError, KeyError, IndexError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError, OverflowError),
)


def kind(path: Path) -> str | None:
    """`zip` or `tar` for an archive, by its content; None for anything else.

    >>> kind(Path("reviews.csv")) is None                                # doctest: +SKIP
    True
    """
    try:
        with regular(path) as file:
            beginning = file.read(4)
            if beginning in (b"PK\x03\x04", b"PK\x05\x06"):
                return "zip"
        with _unpacked(path) as file:
            return "tar" if _is_tar(file.read(512)) else None
    except (InputError, *_FAULTS):
        return None


@final
class Archive:
    """The members of an archive, as the files of a folder are listed.

    Raises:
        InputError: it is broken, has far too many members, or unpacks to far too much.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kind = kind(path)
        self._names: list[tuple[str, str | None]] = []
        for name, reason, _ in self._members(read=False):
            self._names.append((name, reason))
            if len(self._names) > MOST_MEMBERS:
                raise self._wrong(f"has more than {MOST_MEMBERS:,} members")
        self.listing = _listed(self._names)

    def pictures(self) -> Iterator[tuple[Entry, bytes]]:
        """Each member with its bytes, which are empty where it has a reason to be left out."""
        for entry, (name, reason, data) in zip(
            self.listing.entries, self._members(read=True), strict=False
        ):
            if name != entry.path:
                raise self._wrong("was changed while it was read")
            if reason is not None and entry.reason is None:
                yield replace(entry, reason=reason), b""
            else:
                yield entry, data

    def _members(self, *, read: bool) -> Iterator[tuple[str, str | None, bytes]]:
        """Name, why it is left out, and bytes of each member that is no folder."""
        try:
            yield from (self._of_zip if self._kind == "zip" else self._of_tar)(read=read)
        except InputError:
            raise
        except _FAULTS as error:
            raise self._wrong(f"cannot be read: {error or type(error).__name__}") from error

    def _of_zip(self, *, read: bool) -> Iterator[tuple[str, str | None, bytes]]:
        total = 0
        most = max(_BOMB_BYTES, self.path.stat().st_size * _BOMB_RATIO)
        with regular(self.path) as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = _zip_name(member).replace("\\", "/")  # as some programs of Windows write it
                if name.endswith("/"):
                    continue
                reason = _unfit(name) or self._unfit_in_zip(member)
                if reason is not None or not read:
                    yield spoken(name), reason, b""
                    continue
                try:
                    with archive.open(member) as one:
                        data = one.read(member.file_size + 1)
                except _FAULTS:
                    yield spoken(name), UNREADABLE, b""
                    continue
                total += len(data)
                if total > most:
                    raise self._wrong(f"unpacks to more than {_BOMB_RATIO} times its size")
                yield spoken(name), None if data else EMPTY, data

    def _unfit_in_zip(self, member: zipfile.ZipInfo) -> str | None:
        if member.flag_bits & 0x1:
            return ENCRYPTED
        kind = member.external_attr >> 28  # of a file that Unix packed
        if kind not in (0, 0o10):
            return NO_FILE
        return _size_unfit(member.file_size, member.compress_size)

    def _of_tar(self, *, read: bool) -> Iterator[tuple[str, str | None, bytes]]:
        with _unpacked(self.path) as file:
            most = max(_BOMB_BYTES, self.path.stat().st_size * _BOMB_RATIO)
            bounded = _Bounded(file, most, self._wrong)
            with tarfile.open(fileobj=cast("IO[bytes]", bounded), mode="r|") as archive:
                for member in archive:
                    if member.isdir():
                        continue
                    name = member.name
                    reason = _unfit(name) or (None if member.isreg() else NO_FILE)
                    reason = reason or _size_unfit(member.size, member.size)
                    data = b""
                    if read and reason is None:
                        one = archive.extractfile(member)
                        data = one.read() if one is not None else b""
                        reason = None if data else EMPTY
                    yield spoken(name), reason, data
                    archive.members = []  # type: ignore[attr-defined] # would grow with each

    def _wrong(self, what: str) -> InputError:
        return InputError(
            f"`{self.path}` {what}", hint="fetch it again, or unpack it and give the folder"
        )


@final
class _Bounded:
    """A file that ends in an error where more comes out of it than may."""

    def __init__(self, file: IO[bytes], most: int, wrong: Any) -> None:
        self._file, self._left, self._wrong = file, most, wrong

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise self._wrong(f"unpacks to more than {_BOMB_RATIO} times its size")
        return data


def _unpacked(path: Path) -> IO[bytes]:
    with regular(path) as file:
        beginning = file.read(6)
    for magic, opened in _PACKED.items():
        if beginning.startswith(magic):
            return cast("IO[bytes]", opened(path, "rb"))
    return regular(path)


def _is_tar(block: bytes) -> bool:
    if len(block) < 512:
        return False
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except _FAULTS:
        return False
    return True


def _zip_name(member: zipfile.ZipInfo) -> str:
    """The name of a member; where it does not say how it is written, as it reads best."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        raw = member.filename.encode("cp437")
    except UnicodeEncodeError:
        return member.filename
    for encoding in ("utf-8", "cp949"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return member.filename


def _unfit(name: str) -> str | None:
    """Why a member of such a name is left out."""
    parts = name.split("/")
    if (
        not name
        or name.startswith("/")
        or ".." in parts
        or "\\" in name
        or "\0" in name
        or _DRIVE.match(name)
    ):
        return ASTRAY
    if spoken(name) != name:
        return NO_NAME
    return HIDDEN if any(is_hidden(part) for part in parts if part != ".") else None


def _size_unfit(size: int, packed: int) -> str | None:
    if size > LARGEST:
        return too_large(LARGEST)
    if size > _MEMBER_BYTES and size > _MEMBER_RATIO * packed:
        return BOMB
    return None if size else EMPTY


def _listed(names: list[tuple[str, str | None]]) -> Listing:
    """The classes of members by their names, as those of the files of a folder."""
    sound = [_parts(name) for name, reason in names if reason is None]
    skip = 0
    # A folder that has nothing but one folder of classes in it is passed through.
    while sound and all(len(parts) > skip + 2 for parts in sound):
        tops = {parts[skip] for parts in sound}
        if len(tops) > 1 or next(iter(tops)).lower() in SPLITS:
            break
        skip += 1
    inner = [parts[skip:] for parts in sound]
    tops = {parts[0] for parts in inner if len(parts) > 1}
    has_splits = bool(tops) and all(top.lower() in SPLITS for top in tops)
    has_splits = has_splits and all(
        any(len(parts) > 2 and parts[0] == top for parts in inner) for top in tops
    )
    depth = 2 if has_splits else 1
    entries: list[Entry] = []
    nested = False
    for name, reason in names:
        parts = _parts(name)[skip:]
        in_class = len(parts) > depth and reason is None
        entries.append(
            Entry(
                name,
                parts[depth - 1] if in_class else None,
                parts[0] if in_class and has_splits else None,
                reason,
                "/".join(parts[depth - 1 : -1]) if in_class else None,
            )
        )
        nested = nested or (in_class and len(parts) > depth + 1)
    return Listing(entries, bool(tops), has_splits, nested)


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]
