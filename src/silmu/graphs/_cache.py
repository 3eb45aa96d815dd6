"""Where graphs are kept: under names that change when the model does, the old ones removed."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from silmu import store
from silmu.errors import CorruptError, StoreError
from silmu.graphs._families import bytes_a_number, check
from silmu.runtime import session, weights

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from silmu.runtime.folder import Folder

logger = logging.getLogger("silmu")

FORMAT = 7
"""Raised when a builder changes what it writes, so that no older graph is taken for it."""

GRAPH, WEIGHTS = "model.onnx", "model.onnx_data"
"""What a graph of ONNX Runtime is kept in."""


def place(folder: Folder, head: str, kind: str, machine: str) -> Path:
    """Where what is made of a folder is kept, under a name that changes when the folder does.

    Args:
        head: what for.
        kind: what it is.
        machine: what else it depends on.
    """
    parts = [folder.file(name) for name in ("config.json", *weights.files(folder))]
    return cache_folder() / f"{_slug(folder.name)}-{head}-{kind}-{_key(parts, head, kind, machine)}"


def made(
    folder: Folder,
    head: str,
    kind: str,
    machine: str,
    dtype: str,
    make: Callable[[store.FolderWriter], None],
) -> Path:
    """Where a graph is kept, built if it is not there yet; those that it supersedes are removed.

    Args:
        folder, head, kind, machine: as `place` takes them.
        dtype: one of DTYPES, by which it is known how much room a graph needs.
        make: writes it.
    """
    cached = place(folder, head, kind, machine)
    if not is_there(cached):
        meta = {"model": str(folder.path.resolve()), "machine": machine}
        needed = bytes_a_number(check(folder, head), dtype)
        with _new(folder, cached, meta, needed) as writer:
            make(writer)
        remove_older(cached, meta)
    return cached


def cache_folder() -> Path:
    """Where built graphs are kept: SILMU_CACHE, or the platform's place for caches."""
    if given := os.environ.get("SILMU_CACHE"):
        return Path(given) / "graphs"
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "silmu" / "graphs"


def is_there(cached: Path) -> bool:
    """Whether something is kept there, and whole; what is damaged is removed."""
    if not cached.exists():
        return False
    try:
        store.verify(cached, quick=True)
    except CorruptError as error:
        logger.warning("a cached graph is damaged, and is built again: %s", error)
        store.remove(cached)
        return False
    return True


def remove_older(newest: Path, meta: dict[str, str]) -> None:
    """Removes graphs that this one supersedes: of the same folder as it was before, same head.

    With them go those of models that are gone, and damaged ones.
    """
    stem = newest.name.rpartition("-")[0]
    for other in newest.parent.glob(f"{glob.escape(stem)}-*"):
        # Another process may hold it open, which Windows does not forgive, or be removing it too.
        with suppress(StoreError):
            is_kin = other != newest and other.name.rpartition("-")[0] == stem
            if is_kin and store.verify(other, quick=True).meta == meta:
                store.remove(other)
    from silmu.graphs import _kept

    _kept.remove_gone(newest.parent, session.machine())


def kept_in_cache() -> list[tuple[Path, str]]:
    """What the cache keeps: folders, and of each why it is of no use here, or ""."""
    from silmu.graphs import _kept

    found = _kept.kept(cache_folder(), session.machine())
    return [(one.path, one.why) for one in found]


@contextmanager
def _new(
    folder: Folder, target: Path, meta: dict[str, str], needed: int
) -> Generator[store.FolderWriter]:
    """A folder of the cache, with room for so many bytes for each number of a model."""
    try:
        with store.new_folder(target, meta=meta, exist_ok=True) as writer:
            numbers = weights.Weights.open(folder).num_numbers
            store.reserve(cache_folder(), needed * numbers)
            yield writer
    except StoreError as error:
        raise StoreError(
            f"the graph of `{folder.name}` could not be kept: {error.message}",
            hint="set SILMU_CACHE to a folder that can be written and has room",
        ) from error


def _key(parts: list[Path], head: str, kind: str, machine: str) -> str:
    described = [f"silmu graph {FORMAT}", head, kind, machine]
    for path in parts:
        status = path.stat()
        described.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:16]


def _slug(name: str) -> str:
    last = Path(name).name or "model"
    return "".join(c if c.isalnum() or c in "-." else "-" for c in last)[:60].strip(".") or "model"
