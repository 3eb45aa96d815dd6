"""Whose a temporary name is: of a writer at work, or of one that died and left it behind.

The name holds the machine, the number of the process and when that process was born, so that
neither a clock nor a number that was given away to another process can mislead.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from silmu.errors import StoreError
from silmu.store import _disk as disk
from silmu.store._failures import exists, show

TEMPORARY = ".tmp-"
_UNKNOWN = "unknown"
_PROC = Path("/proc")

# Stamps of this process that are in use: what else carries its name is a leftover.
_active: set[str] = set()

if sys.platform != "win32":
    # What is in use by a parent is not its child's to clear away.
    os.register_at_fork(after_in_child=_active.clear)


@contextmanager
def owned(parent: Path, prefix: str) -> Generator[Path]:
    """A path of our own, gone at the end if it has not been renamed."""
    mark = stamp()
    _active.add(mark)
    try:
        yield parent / f"{prefix}{mark}"
    finally:
        # Not in a forked child, whose parent still needs it.
        if mark in _active:
            with suppress(StoreError):
                discard(parent / f"{prefix}{mark}")
            _active.discard(mark)


@contextmanager
def temporary(target: Path) -> Generator[Path]:
    """A path beside the target, to become the target by being renamed."""
    sweep(target.parent, TEMPORARY)
    with owned(target.parent, TEMPORARY) as path:
        try:
            yield path
        except StoreError as error:
            if path.name in error.message:
                error.message += f", for {show(target)}"
            raise


def sweep(parent: Path, prefix: str) -> None:
    """Delete what writers left in this folder when they died."""
    for path, _ in disk.children(parent):
        if path.name.startswith(prefix) and not alive(path.name.removeprefix(prefix)):
            # Another writer may be sweeping too, and the leftover may be another user's.
            with suppress(StoreError):
                discard(path)


def discard(path: Path) -> None:
    """Delete a temporary file or folder, if it is there."""
    if exists(path):
        # It may be a folder to be removed that was given this name a moment ago. The name must be
        # on the disk before the contents go, or a power cut could bring the old name back around
        # half of them.
        disk.fsync_folder(path.parent)
        disk.delete(path)


def stamp() -> str:
    """What this process writes into the names of what is its own, different each time."""
    return f"{machine()}-{os.getpid()}-{_born(os.getpid())}-{os.urandom(4).hex()}"


def alive(mark: str) -> bool:
    """Whether the process of a stamp may still be alive; what cannot be known counts as alive."""
    match = re.fullmatch(r"(\w+)-(\d{1,9})-([\w.]+)-\w+", mark)
    if match is None or match[1] != machine():
        return True
    born = _born(int(match[2]))
    if int(match[2]) == os.getpid() and born == match[3]:
        return mark in _active
    return born in (match[3], _UNKNOWN)


@functools.cache
def machine() -> str:
    """Where process numbers mean what they mean here: this host, this container."""
    import hashlib

    if sys.platform == "win32":
        place = os.environ.get("COMPUTERNAME", "")
    else:
        place = os.uname().nodename
        with suppress(OSError):
            place += str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(place.encode()).hexdigest()[:12]


if sys.platform == "win32":

    def _born(pid: int) -> str | None:
        import ctypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel.OpenProcess(0x1000, False, pid)
        if not handle:
            # 87: no such process. Any other refusal proves that there is one.
            return None if ctypes.get_last_error() == 87 else _UNKNOWN
        times = [ctypes.c_uint64() for _ in range(4)]
        known = kernel.GetProcessTimes(handle, *map(ctypes.byref, times))
        kernel.CloseHandle(handle)
        born, died = times[0].value, times[1].value
        return None if died else f"{born:x}" if known else _UNKNOWN

else:

    def _born(pid: int) -> str | None:
        """What tells a process from a later one of the same number; None if there is none."""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except (PermissionError, OverflowError):
            pass
        try:
            # Linux counts from the start of the machine, so a wrong clock cannot mislead.
            boot = (_PROC / "sys/kernel/random/boot_id").read_text()[:8]
            fields = (_PROC / f"{pid}/stat").read_bytes().rpartition(b")")[2].split()
            state, born = fields[0].decode(), f"{boot}.{fields[19].decode()}"
        except OSError:
            state, born = _born_by_ps(pid)
        # A zombie is dead but for a parent that has not yet asked how it died.
        return None if state[:1] in ("Z", "X") else born

    def _born_by_ps(pid: int) -> tuple[str, str]:
        import subprocess

        command = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
        settled = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
        with suppress(OSError):
            done = subprocess.run(command, capture_output=True, text=True, env=settled, check=False)
            if words := done.stdout.split():
                return words[0], re.sub(r"\W", "", "".join(words[1:]))
        return "", _UNKNOWN
