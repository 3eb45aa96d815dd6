"""Manifests: what was written into a folder, and whether that is what is there now."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from silmu.errors import CorruptError, StoreError, UsageError
from silmu.store import _disk as disk
from silmu.store._failures import explained, show
from silmu.store._locks import LOCK
from silmu.store._owners import TEMPORARY

MANIFEST = "MANIFEST.json"
FORMAT = 1

# Names of devices on Windows, whatever ending they are given.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE | re.DOTALL)


class FileRecord(NamedTuple):
    """What a manifest knows of one file."""

    size: int
    sha256: str


class Manifest(NamedTuple):
    """What was written into a folder."""

    meta: Mapping[str, Any]
    files: Mapping[str, FileRecord]


def verify(
    folder: str | os.PathLike[str], *, quick: bool = False, extra: Sequence[str] | None = ()
) -> Manifest:
    """Check that a folder is what was written; CorruptError names the file and both values.

    >>> with store.new_folder("sound", meta={"step": 3}) as writer:
    ...     writer.write("weights", b"abc")
    >>> store.verify("sound").meta["step"]
    3

    Args:
        folder: one that `new_folder` wrote, wherever it has been copied to since.
        quick: sizes only.
        extra: files, or folders of files, that may be there besides; None allows any.
    """
    folder = Path(folder)
    try:
        # What is not found on this walk is not read: it leaves out what lies behind a link.
        files = [path for path, is_folder in disk.tree(folder) if not is_folder]
        present = {path.relative_to(folder).as_posix() for path in files}
        manifest = _read_manifest(folder / MANIFEST)
        for name, written in manifest.files.items():
            path = folder / name
            if name not in present:
                raise CorruptError(f"{show(path)} is missing")
            found = record(path, quick)
            if found.size != written.size:
                values = f"{found.size:,} bytes; {written.size:,} were written"
                raise CorruptError(f"{show(path)} has {values}")
            if not quick and found != written:
                values = f"SHA-256 {found.sha256}; {written.sha256} was written"
                raise CorruptError(f"{show(path)} has {values}")
    except StoreError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        raise CorruptError(f"{show(Path(str(error.filename)))} is missing") from error
    if extra is not None:
        # A killed write_file may have left its temporary file, which nobody reads.
        known = (LOCK, TEMPORARY, *(f"{name}/" for name in [MANIFEST, *extra]))
        for name in sorted(present - set(manifest.files)):
            if not f"{name}/".startswith(known):
                raise CorruptError(f"{show(folder / name)} is not in the manifest")
    return manifest


def record(path: Path, quick: bool = False) -> FileRecord:
    """Size and SHA-256 of a file, without the latter if it shall be quick."""
    import hashlib

    with explained("read", path):
        size = _regular(path)
        if quick:
            return FileRecord(size, "")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return FileRecord(file.tell(), digest)


def read_small(path: Path) -> bytes:
    """The content of a manifest or a pointer."""
    with explained("read", path):
        _regular(path)
        return path.read_bytes()


def portable(name: str) -> bool:
    """Whether a name means the same place inside a folder on every system."""
    parts = name.split("/")
    odd = set(name) & set("\0\\:") or {"", ".", ".."} & set(parts)
    # Windows takes a device for a file, and leaves out a dot or a blank at the end.
    odd = odd or any(_DEVICE.fullmatch(part) or part[-1] in ". " for part in parts)
    return not odd and name.casefold() != MANIFEST.casefold()


def manifest_bytes(meta: Mapping[str, object], files: Mapping[str, FileRecord]) -> bytes:
    """The one way to write a manifest, so that any other way is damage."""
    import hashlib

    try:
        # There and back, so that number keys and tuples are what a reader will see.
        plain = json.loads(json.dumps(meta, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(f"meta cannot be written as JSON: {error}") from error
    records = {name: one._asdict() for name, one in files.items()}
    document: dict[str, object] = {"files": records, "format": FORMAT, "meta": plain}
    document["sha256"] = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def _read_manifest(path: Path) -> Manifest:
    content = read_small(path)
    try:
        document: Any = json.loads(content)
        version = document["format"]
        if isinstance(version, int) and version > FORMAT:
            raise StoreError(
                f"{show(path)} has format {version}; this silmu reads up to {FORMAT}",
                hint="pip install --upgrade silmu",
            )
        files = {str(name): FileRecord(**one) for name, one in document["files"].items()}
        sound = all(
            portable(name) and type(one.size) is int and type(one.sha256) is str
            for name, one in files.items()
        )
        # Byte for byte, because a flipped bit in meta is as wrong as one in a size.
        if sound and content == manifest_bytes(document["meta"], files):
            return Manifest(document["meta"], files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise CorruptError(f"{show(path)} is not as it was when written")


def _regular(path: Path) -> int:
    """The size of a file that is not a link, nor a pipe that could keep its reader waiting."""
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise CorruptError(f"{show(path)} is not a regular file")
    return status.st_size
