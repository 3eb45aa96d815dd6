"""What the cache of graphs keeps of models that are no more, or that nothing here would ask for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from silmu import store
from silmu.errors import CorruptError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

DAMAGED = "damaged"
GONE = "of a model that is gone"
FOREIGN = "of another engine or processor"


@dataclass(frozen=True)
class Kept:
    """One folder of the cache; `why` it is of no use here, or "" if it may be."""

    path: Path
    why: str


def kept(cache: Path, machine: str) -> Iterator[Kept]:
    """What a cache keeps, folder by folder, in the order of their names.

    Args:
        cache: the folder; it need not be there.
        machine: as `runtime.session.machine` gives it.
    """
    if not cache.is_dir():
        return
    for path in sorted(cache.iterdir()):
        if not path.name.startswith(".") and path.is_dir():
            with suppress(StoreError):  # of another user, or gone in the meantime
                yield Kept(path, _why(path, machine))


def remove_gone(cache: Path, machine: str) -> None:
    """Removes what nobody can ask for again: graphs of models that are gone, and damaged ones.

    Those of another engine or processor stay, which may share the cache.
    """
    for one in kept(cache, machine):
        if one.why in (DAMAGED, GONE):
            # Another process may hold it open, which Windows does not forgive, or be removing it.
            with suppress(StoreError):
                store.remove(one.path)


def _why(path: Path, machine: str) -> str:
    try:
        meta = store.verify(path, quick=True).meta
    except CorruptError:
        return DAMAGED if path.exists() else GONE
    model = Path(str(meta.get("model")))
    # Of a path that is not whole it cannot be known from where it leads.
    if model.is_absolute() and not model.exists():
        return GONE
    return "" if machine in str(meta.get("machine")) else FOREIGN
