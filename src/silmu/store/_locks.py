"""One writer of a folder at a time."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from silmu.errors import LockedError, StoreError
from silmu.store import _disk as disk
from silmu.store._failures import explained, show
from silmu.store._owners import machine, owned, stamp, sweep

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".silmu.lock"
_CLAIM = f"{LOCK}-"
_CLAIM_ATTEMPTS = 50

# Handles of locks, which a forked child shares and would keep beyond its parent's death.
_held: set[int] = set()


@contextmanager
def lock(folder: str | os.PathLike[str]) -> Generator[None]:
    """Be the only writer of a folder; whoever comes second gets a LockedError.

    >>> with store.lock("run"):
    ...     store.write_file("run/run.toml", b"seed = 2")

    The kernel frees the lock when its holder dies. Where the file system has no such locks, a file
    named after its holder stands for it.
    """
    path = Path(folder).absolute() / LOCK
    disk.make_folder(path.parent)
    with ExitStack() as stack:
        with disk.operation("create", path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | disk.FLAGS, 0o666)
        _held.add(handle)
        stack.callback(_let_go, handle)
        with disk.operation("lock", path):
            taken = _take(handle)
        if taken is None:
            stack.enter_context(_claim(path))
        elif not taken:
            raise _locked(path, _holder(path))
        else:
            # Only to tell others who it is: a full disk must not keep us from making room.
            with suppress(StoreError), explained("write", path):
                os.ftruncate(handle, 0)
                disk.write_all(handle, path, stamp().encode())
        yield


def _take(handle: int) -> bool | None:
    """Whether the kernel gave us the lock; None where it has none to give."""
    try:
        if sys.platform == "win32":
            # Far behind the content, which others could not read if it were locked.
            os.lseek(handle, 1 << 30, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno in disk.UNABLE:
            return None
        raise
    return True


def _let_go(handle: int) -> None:
    if handle in _held:
        _held.remove(handle)
        os.close(handle)


def _let_all_go() -> None:
    for handle in list(_held):
        _let_go(handle)


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_all_go)


@contextmanager
def _claim(path: Path) -> Generator[None]:
    # First show one's own claim, then look for others: of two, at least one sees the other. Claims
    # are never reused, so that clearing away a dead one cannot hit its successor.
    with owned(path.parent, _CLAIM) as mine:
        disk.create(mine, b"")
        for attempt in range(_CLAIM_ATTEMPTS):
            sweep(path.parent, _CLAIM)
            others = [one.name for one, _ in disk.children(path.parent) if one != mine]
            rivals = [name for name in others if name.startswith(_CLAIM)]
            if not rivals:
                break
            # Of two that came together the smaller name stays, and waits for the other to go.
            if min(rivals) < mine.name or attempt == _CLAIM_ATTEMPTS - 1:
                raise _locked(path.with_name(rivals[0]), rivals[0].removeprefix(_CLAIM))
            time.sleep(0.01)
        yield


def _holder(path: Path) -> str:
    # Only to tell who it is, and the lock may be free again by now.
    with suppress(OSError):
        return path.read_bytes().decode("ascii", "replace")
    return ""


def _locked(path: Path, mark: str) -> LockedError:
    place, pid, *_ = [*mark.split("-"), ""]
    who = f"process {pid}" if pid else "another process"
    hint = "wait for it to end, or stop it"
    if pid and place != machine():
        who += " of another machine or container"
        # Only a claim can outlive its holder; to delete the lock itself would let two in.
        hint += f"; if it is no more, delete {show(path)}" if path.name != LOCK else ""
    return LockedError(f"{show(path.parent)} is being written by {who}", hint=hint)
