"""What failed, told so that it can be mended: what was tried, with which file, in how much room."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from silmu.errors import StoreError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def explained(tried: str, path: Path, num_bytes: int | None = None) -> Generator[None]:
    """Turn an OSError into a StoreError that names the path."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise failure(tried, path, error, num_bytes) from error


def failure(tried: str, path: Path, error: OSError, num_bytes: int | None = None) -> StoreError:
    """The StoreError that tells of an OSError; of a full disk it says what is needed and free."""
    message, hint = f"cannot {tried} {show(path)}: {error.strerror or error}", None
    if error.errno in FULL:
        import shutil

        needed = "at least a block" if num_bytes is None else f"{num_bytes:,} bytes"
        free = "an unknown number"
        with suppress(OSError):
            free = f"{shutil.disk_usage(standing(path)).free:,}"
        message += f" ({needed} needed, {free} free)"
        hint = "make room there, or write elsewhere"
        if error.errno == errno.EDQUOT:
            hint = "your quota there is used up; make room, or write elsewhere"
    told = StoreError(message, hint=hint)
    told.errno, told.filename = error.errno, str(path)
    return told


def show(path: Path) -> str:
    """A path as it stands in a message, on one line whatever is in its name."""
    text = str(path)
    return f"`{text}`" if text.isprintable() else repr(text)


def exists(path: Path) -> bool:
    """Whether there is anything of that name, a broken link too."""
    with explained("look at", path):
        try:
            os.lstat(path)
        except FileNotFoundError:
            return False
    return True


def standing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    while not exists(path):
        path = path.parent
    return path
