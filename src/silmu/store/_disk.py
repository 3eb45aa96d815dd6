"""The operations on the disk: each has a name, can be watched, and can be made to fail."""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

from silmu.errors import UsageError
from silmu.store._failures import exists, explained

if sys.platform == "darwin":
    import fcntl

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
"""What each kind of operation is called in a failpoint, and in the message when it fails."""

CHUNK = 16 << 20
FLAGS = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
# What file systems answer that cannot do what was asked, rather than fail at it.
UNABLE = {getattr(errno, name, 0) for name in ("ENOTSUP", "EOPNOTSUPP", "ENOSYS", "ENOLCK")}
# Virus scanners hold fresh files open for a moment, and Windows then refuses to rename them.
_RENAME_PAUSES = (0.01, 0.05, 0.2, 1.0) if sys.platform == "win32" else ()


# ── operations: each named, each able to fail ──────────────────────────────────────────────────


@final
class Failpoint:
    """The fault that SILMU_FAILPOINT asks for, and how often each site has been passed."""

    def __init__(self) -> None:
        self._arm("")

    def _arm(self, spec: str) -> None:
        self.counts: Counter[str] = Counter()
        self.fired = False
        self._spec = spec
        match = re.fullmatch(r"([\w*]+):(\d{1,9})(\+?):(\w+)", spec or "*:0:kill")
        if match is None or match[1] not in {*SITES, "*"}:
            form = f"<site>:<n>:<action>, site one of {', '.join(SITES)} or *"
            raise UsageError(f"SILMU_FAILPOINT is {spec!r}; it must be {form}")
        self._site, self._n, self._on, self._action = match[1], int(match[2]), match[3], match[4]
        if self._action not in ("kill", "short") and not hasattr(errno, self._action):
            raise UsageError(f"SILMU_FAILPOINT asks for {self._action!r}; no error has that name")

    def due(self, site: str) -> str | None:
        """Count one operation; the action to take at it, if any."""
        spec = os.environ.get("SILMU_FAILPOINT", "")
        if spec != self._spec:
            self._arm(spec)
        self.counts[site] += 1
        if self._site not in (site, "*"):
            return None
        passed = self.counts.total() if self._site == "*" else self.counts[site]
        if passed != self._n and not (self._on and passed > self._n):
            return None
        self.fired = True
        return self._action


failpoint = Failpoint()
_observers: list[Callable[[str, Path], None]] = []


@contextmanager
def observe(see: Callable[[str, Path], None]) -> Generator[None]:
    """Call `see(site, path)` after each operation that succeeded.

    >>> sites = []
    >>> with store.observe(lambda site, path: sites.append(site)):
    ...     store.write_file("note.txt", b"hello")
    >>> sites
    ['create', 'write', 'fsync', 'rename', 'fsync_dir']
    """
    _observers.append(see)
    try:
        yield
    finally:
        _observers.remove(see)


@contextmanager
def operation(site: str, path: Path, num_bytes: int | None = None) -> Generator[bool]:
    """One operation on the disk; true if it shall do only half of its work."""
    with explained(SITES[site], path, num_bytes):
        action = failpoint.due(site)
        if action and site != "write":
            _strike(action)
        yield bool(action)
        # A write is struck when half of it is on the disk, the worst moment there is.
        if action and site == "write":
            _strike(action)
    for see in _observers:
        see(site, path)


def _strike(action: str) -> None:
    if action == "kill":
        if sys.platform == "win32":
            os._exit(137)
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
    if action != "short":
        code = getattr(errno, action)
        raise OSError(code, os.strerror(code))


# ── reading folders ────────────────────────────────────────────────────────────────────────────


def children(folder: Path) -> list[tuple[Path, bool]]:
    """What is in a folder, and whether it is a folder too: a link to one is not."""
    with explained("list", folder), os.scandir(folder) as entries:
        listed = [(Path(one.path), one.is_dir(follow_symlinks=False)) for one in entries]
    return sorted(listed)


def tree(folder: Path) -> Iterator[tuple[Path, bool]]:
    """All that is below a folder, contents before what contains them."""
    for path, is_folder in children(folder):
        if is_folder:
            yield from tree(path)
        yield path, is_folder


# ── writing ────────────────────────────────────────────────────────────────────────────────────


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, so that a power cut keeps them."""
    if exists(folder):
        return
    make_folder(folder.parent)
    with operation("mkdir", folder):
        folder.mkdir(exist_ok=True)
    fsync_folder(folder.parent)


def open_new(path: Path, mode: int = 0o666) -> int:
    """A handle of a file that must not be there yet."""
    with operation("create", path):
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS, mode)


def create(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write and flush a file that must not be there yet."""
    handle = open_new(path, mode)
    try:
        write_all(handle, path, data)
        with operation("fsync", path, len(data)):
            _flush(handle)
    finally:
        with explained("close", path, len(data)):
            os.close(handle)


def write_all(handle: int, path: Path, data: bytes) -> None:
    """Write to a handle until all is written."""
    rest = memoryview(data)
    while rest:
        chunk = rest[:CHUNK]
        with operation("write", path, len(data)) as half:
            written = os.write(handle, chunk[: (len(chunk) + 1) // 2] if half else chunk)
            if not written:
                raise OSError(errno.EIO, "nothing was written")
        rest = rest[written:]


def allocate(path: Path, num_bytes: int) -> None:
    """Write a new file that takes so much room, whatever is in it."""
    handle = open_new(path)
    try:
        with operation("write", path, num_bytes):
            _extend(handle, num_bytes)
    finally:
        with explained("close", path, num_bytes):
            os.close(handle)


def _extend(handle: int, num_bytes: int) -> None:
    if num_bytes and sys.platform not in ("win32", "darwin"):
        try:
            os.posix_fallocate(handle, 0, num_bytes)
            return
        except OSError as error:
            if error.errno not in (errno.EINVAL, *UNABLE):
                raise
    while num_bytes > 0:
        num_bytes -= os.write(handle, bytes(min(num_bytes, CHUNK)))


def fsync_file(path: Path, size: int) -> None:
    """Flush a file that somebody else wrote."""
    with operation("fsync", path, size):
        # Windows flushes only what is open for writing; elsewhere the file may be read-only.
        handle = os.open(path, (os.O_RDWR if sys.platform == "win32" else os.O_RDONLY) | FLAGS)
        try:
            _flush(handle)
        finally:
            os.close(handle)


def fsync_folder(folder: Path) -> None:
    """Flush which names are in a folder."""
    with operation("fsync_dir", folder):
        if sys.platform == "win32":
            return
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _flush(handle)
        except OSError as error:
            # Some file systems, network ones above all, have nothing to flush for a folder.
            if error.errno not in (errno.EINVAL, *UNABLE):
                raise
        finally:
            os.close(handle)


def _flush(handle: int) -> None:
    if sys.platform == "darwin":
        # There fsync stops at the drive's own memory, which a power cut empties.
        with suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def rename(source: Path, target: Path, *, replace: bool = False) -> None:
    """Rename, refusing a target that is there unless it shall be replaced."""
    with operation("rename", target):
        # Asked because POSIX renames a folder onto an empty one without a word.
        if not replace and os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        for pause in _RENAME_PAUSES:
            with suppress(PermissionError):
                source.replace(target) if replace else source.rename(target)
                return
            time.sleep(pause)
        source.replace(target) if replace else source.rename(target)


def delete(path: Path) -> None:
    """Delete a file or a folder with all that is in it; nothing there is fine."""
    if not exists(path):
        return
    with explained("look at", path):
        root_is_folder = path.is_dir() and not path.is_symlink()
    for below, is_folder in [*(tree(path) if root_is_folder else ()), (path, root_is_folder)]:
        with operation("rmdir" if is_folder else "unlink", below):
            below.rmdir() if is_folder else below.unlink()
