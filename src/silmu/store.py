"""The one writer: whatever silmu leaves on a disk is there whole, or not there.

A folder is written beside its target under a `.tmp-` name, flushed, sealed by a manifest of sizes
and SHA-256 that is written last, and renamed to a name that never existed. A file is written beside
its target and renamed over it. A pointer file such as `LATEST` names the newest folder; a reader
that cannot trust the pointer takes the newest folder whose manifest verifies.

    lock(run) -> reserve(run, n) -> new_folder(run/"step-2") -> write_pointer(run, "LATEST", "step-2")
              -> remove(run/"step-1")

No other module opens files for writing, so a fault can be planted at every operation there is:
`SILMU_FAILPOINT=<site>:<n>:<action>` strikes at the n-th operation of a site (`*` for all of SITES;
`<n>+` strikes at every one from the n-th on). Actions are `kill`, `short` (half of a write) and the
names of errors: ENOSPC, EIO, EDQUOT, EMFILE, EACCES.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import re
import stat
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, final

from silmu.errors import CorruptError, LockedError, SilmuError, StoreError, UsageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

MANIFEST = "MANIFEST.json"
LOCK = ".silmu.lock"
FORMAT = 1
SITES = {
    "mkdir": "make the folder",
    "create": "create",
    "write": "write",
    "fsync": "flush",
    "rename": "rename",
    "fsync_dir": "flush the folder",
    "unlink": "delete",
    "rmdir": "delete the folder",
    "lock": "lock",
}

_TEMPORARY = ".tmp-"
_CHUNK = 16 << 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_FLAGS = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
# Virus scanners hold fresh files open for a moment, and Windows then refuses to rename them.
_RENAME_PAUSES = (0.01, 0.05, 0.2, 1.0) if sys.platform == "win32" else ()
_NO_FLOCK = {getattr(errno, name, None) for name in ("ENOTSUP", "EOPNOTSUPP", "ENOSYS", "ENOLCK")}

StrPath = str | os.PathLike[str]


# ── folders ────────────────────────────────────────────────────────────────────────────────────


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

        _check_name(name)
        # A folder copied to a Mac or to Windows would keep only one of `A.txt` and `a.txt`.
        twin = self._names.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if twin != name:
            raise StoreError(f"`{name}` and `{twin}` are one name on some systems")
        path = self.folder / name
        _make_folder(path.parent)
        return path

    def write(self, name: str, data: bytes) -> None:
        """Write one file, which must be new."""
        _create(self.path(name), data)


@contextmanager
def new_folder(
    target: StrPath, *, meta: Mapping[str, object] | None = None, exist_ok: bool = False
) -> Iterator[FolderWriter]:
    """Write a folder that appears whole, or not at all.

    >>> with new_folder("model", meta={"task": "text-classification"}) as writer:
    ...     writer.write("config.json", b"{}")
    >>> sorted(path.name for path in Path("model").iterdir())
    ['MANIFEST.json', 'config.json']

    Args:
        target: must not exist; its parent is made.
        meta: goes into the manifest as JSON; `writer.meta` may be added to until the end.
        exist_ok: if the target is there, even by another process a moment ago, drop this work:
            for caches, whose names say what is in them.
    """
    target = Path(target).absolute()
    if not exist_ok and _exists(target):
        raise _already_there(target)
    _manifest_bytes(meta or {}, {})
    _make_folder(target.parent)
    with _temporary(target) as folder:
        _make_folder(folder)
        writer = FolderWriter(folder, meta or {})
        try:
            yield writer
        except SilmuError:
            raise
        except OSError as error:
            # A library that writes by itself fails in its own words; a full disk is ours to explain.
            if error.errno in (errno.ENOSPC, errno.EDQUOT) or str(folder) in str(error.filename):
                raise _failure("write", folder, error) from error
            raise
        _seal(folder, writer.meta)
        # Asked first because POSIX renames a folder onto an empty one without a word.
        if not _exists(target):
            try:
                _rename(folder, target)
            except StoreError:
                if not _exists(target):
                    raise
            else:
                _fsync_folder(target.parent)
                return
        if not exist_ok:
            raise _already_there(target)
        verify(target, quick=True)


def _already_there(target: Path) -> StoreError:
    return StoreError(f"{_show(target)} is already there", hint="choose another name, or remove it")


def _seal(folder: Path, meta: Mapping[str, object]) -> None:
    files: dict[str, FileRecord] = {}
    folders: list[Path] = []
    for path, is_folder in _tree(folder):
        if is_folder:
            folders.append(path)
            continue
        name = path.relative_to(folder).as_posix()
        _check_name(name)
        if not stat.S_ISREG(path.lstat().st_mode):
            raise StoreError(f"{_show(path)} is not a regular file")
        files[name] = _record(path)
        _fsync_file(path, files[name].size)
    _create(folder / MANIFEST, _manifest_bytes(meta, files))
    for path in [*folders, folder]:
        _fsync_folder(path)


def remove(folder: StrPath) -> None:
    """Delete a folder so that a kill half-way leaves nothing that looks whole.

    >>> with new_folder("old") as writer:
    ...     writer.write("a.txt", b"a")
    >>> remove("old")
    >>> Path("old").exists()
    False
    """
    folder = Path(folder).absolute()
    with _temporary(folder) as condemned:
        _rename(folder, condemned)
        # The new name must be on the disk before the contents go, or a power cut could bring
        # the old name back around half of them.
        _fsync_folder(folder.parent)
        _delete(condemned)


def reserve(folder: StrPath, num_bytes: int) -> None:
    """Refuse before a long job what would fail at its end for want of space.

    >>> reserve("runs", 1000)
    """
    import shutil

    path = Path(folder).absolute()
    place = path
    while not _exists(place):
        place = place.parent
    with _explained("look at", place):
        free = shutil.disk_usage(place).free
    if free < num_bytes:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise _failure("reserve space in", path, full, num_bytes)


# ── files and pointers ─────────────────────────────────────────────────────────────────────────


def write_file(path: StrPath, data: bytes) -> None:
    """Replace a small file: whoever reads it sees the old content or the new.

    >>> write_file("run.toml", b"seed = 1")
    >>> Path("run.toml").read_bytes()
    b'seed = 1'
    """
    path = Path(path).absolute()
    # Settings may hold a password; who made them private wants them to stay so.
    mode = stat.S_IMODE(path.stat().st_mode) if _exists(path) and path.is_file() else 0o666
    _make_folder(path.parent)
    with _temporary(path) as temporary:
        _create(temporary, data, mode)
        _rename(temporary, path, replace=True)
        _fsync_folder(path.parent)


def write_pointer(folder: StrPath, name: str, target: str) -> None:
    """Let the file `name` of a folder point to the sealed folder `target` beside it.

    >>> with new_folder("run/step-1") as writer:
    ...     writer.write("weights", b"1")
    >>> write_pointer("run", "LATEST", "step-1")
    >>> read_pointer("run").name
    'step-1'
    """
    folder = Path(folder)
    if "/" in target:
        raise UsageError(f"{target!r} is not the name of a folder in {_show(folder)}")
    verify(folder / target, quick=True, extra=None)
    write_file(folder / name, _pointer_bytes(folder, target))


def read_pointer(
    folder: StrPath, name: str = "LATEST", *, quick: bool = False, extra: Sequence[str] | None = ()
) -> Path | None:
    """The folder that a pointer names, verified; None if nothing has been written yet.

    Where the pointer or its folder is broken, the newest sound folder is given, with a warning.
    Newest is by name, numbers in it compared as numbers: no clock is asked.
    """
    folder = Path(folder)
    reason, content = f"{_show(folder / name)} is missing", None
    while (seen := _read_if_there(folder / name)) != content:
        # Once more if it changed meanwhile: a writer moved it on and removed what it named.
        content = seen
        try:
            return _pointed(folder, name, seen or b"", quick, extra)
        except CorruptError as error:
            reason = error.message
    sealed = [path for path, _ in _children(folder) if _exists(path / MANIFEST)]
    for path in sorted(sealed, key=_by_numbers, reverse=True):
        with suppress(CorruptError):
            verify(path, quick=quick, extra=extra)
            warnings.warn(f"{reason}; using {_show(path)}, the newest that is sound", stacklevel=2)
            return path
    if content is None and not sealed:
        return None
    raise CorruptError(f"{reason}, and no other folder beside it is sound")


def _pointed(
    folder: Path, name: str, content: bytes, quick: bool, extra: Sequence[str] | None
) -> Path:
    try:
        target = json.loads(content)["folder"]
        _check_name(target)
        sound = content == _pointer_bytes(folder, target)
    except (ValueError, KeyError, TypeError, RecursionError, StoreError):
        sound, target = False, ""
    if not sound:
        raise CorruptError(f"{_show(folder / name)} does not name a folder as it was when written")
    verify(folder / target, quick=quick, extra=extra)
    return folder / target


def _pointer_bytes(folder: Path, target: str) -> bytes:
    # The digest tells a pointer whose name was damaged into that of a neighbour.
    manifest = _record(folder / target / MANIFEST).sha256
    return json.dumps({"folder": target, "manifest": manifest}).encode() + b"\n"


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d*)", path.name)]


# ── manifests ──────────────────────────────────────────────────────────────────────────────────


class FileRecord(NamedTuple):
    """What a manifest knows of one file."""

    size: int
    sha256: str


class Manifest(NamedTuple):
    """What was written into a folder."""

    meta: Mapping[str, Any]
    files: Mapping[str, FileRecord]


def verify(
    folder: StrPath, *, quick: bool = False, extra: Sequence[str] | None = ()
) -> Manifest:
    """Check that a folder is what was written; CorruptError names the file and both values.

    >>> with new_folder("sound", meta={"step": 3}) as writer:
    ...     writer.write("weights", b"abc")
    >>> verify("sound").meta["step"]
    3

    Args:
        folder: one that `new_folder` wrote, wherever it has been copied to since.
        quick: sizes only.
        extra: files, or folders of files, that may be there besides; None allows any.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder / MANIFEST)
    for name, written in manifest.files.items():
        _verify_file(folder / name, written, quick)
    # A killed write_file may have left its temporary file, which nobody reads.
    ours = (LOCK, _TEMPORARY)
    for path, is_folder in _tree(folder) if extra is not None else ():
        name = path.relative_to(folder).as_posix()
        known = name in manifest.files or name == MANIFEST or name.startswith(ours) or is_folder
        if not known and not any(f"{name}/".startswith(f"{one}/") for one in extra or ()):
            raise CorruptError(f"{_show(path)} is not in the manifest")
    return manifest


def _verify_file(path: Path, written: FileRecord, quick: bool) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise CorruptError(f"{_show(path)} is missing; {written.size:,} bytes were written") from None
    except OSError as error:
        raise _failure("look at", path, error) from error
    # Anything else, a named pipe say, could keep its reader waiting for ever.
    if not stat.S_ISREG(status.st_mode):
        raise CorruptError(f"{_show(path)} is not a regular file")
    if status.st_size != written.size:
        raise CorruptError(
            f"{_show(path)} has {status.st_size:,} bytes; {written.size:,} were written"
        )
    if not quick and (found := _record(path)) != written:
        raise CorruptError(
            f"{_show(path)} has SHA-256 {found.sha256}; {written.sha256} was written"
        )


def _read_manifest(path: Path) -> Manifest:
    content = _read_if_there(path)
    if content is None:
        raise CorruptError(f"{_show(path)} is missing", hint="it was not written to its end")
    try:
        document: Any = json.loads(content)
        version = document["format"]
        if isinstance(version, int) and version > FORMAT:
            raise StoreError(
                f"{_show(path)} has format {version}; this silmu reads up to {FORMAT}",
                hint="pip install --upgrade silmu",
            )
        files = {str(name): FileRecord(**record) for name, record in document["files"].items()}
        for name, record in files.items():
            _check_name(name)
            if type(record.size) is not int or type(record.sha256) is not str:
                raise TypeError(record)
        # Byte for byte, because a flipped bit in meta is as wrong as one in a size.
        if content == _manifest_bytes(document["meta"], files):
            return Manifest(document["meta"], files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise CorruptError(f"{_show(path)} is not as it was when written")


def _manifest_bytes(meta: Mapping[str, object], files: Mapping[str, FileRecord]) -> bytes:
    import hashlib

    try:
        # There and back, so that number keys and tuples are what a reader will see.
        plain = json.loads(json.dumps(meta, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(f"meta cannot be written as JSON: {error}") from error
    records = {name: record._asdict() for name, record in files.items()}
    document: dict[str, object] = {"files": records, "format": FORMAT, "meta": plain}
    document["sha256"] = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def _record(path: Path) -> FileRecord:
    import hashlib

    with _explained("read", path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileRecord(file.tell(), digest)


def _check_name(name: str) -> None:
    """Allow only names that mean the same place inside a folder on every system."""
    odd = set(name) & set('\0\\:') or {"", ".", ".."} & set(name.split("/"))
    if odd or name.casefold() == MANIFEST.casefold():
        raise StoreError(f"{name!r} is not a name for a file inside a folder")


# ── locks ──────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def lock(folder: StrPath) -> Iterator[None]:
    """Be the only writer of a folder; whoever comes second gets a LockedError.

    >>> with lock("run"):
    ...     write_file("run/run.toml", b"seed = 2")

    The kernel frees the lock when its holder dies. Where the file system has no such locks, a file
    with the holder's identity stands for it.
    """
    folder = Path(folder).absolute()
    _make_folder(folder)
    path = folder / LOCK
    with ExitStack() as stack:
        with _operation("create", path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        _held.add(handle)
        stack.callback(_release, handle)
        with _operation("lock", path):
            taken = _take(handle)
        if taken is None:
            stack.enter_context(_claim(path))
        elif not taken:
            with suppress(StoreError):
                _locked(path, (_read_if_there(path) or b"").decode("ascii", "replace"))
            _locked(path, "")
        else:
            with _explained("write", path):
                os.ftruncate(handle, 0)
            _write_all(handle, path, _stamp().encode())
        yield


# A forked child shares its parent's lock, and would keep it after the parent's death.
_held: set[int] = set()


def _release(handle: int) -> None:
    if handle in _held:
        _held.remove(handle)
        os.close(handle)
