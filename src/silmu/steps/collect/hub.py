"""Data sets of the hub, by their Parquet files; the cache is asked first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from silmu.errors import InputError, UsageError
from silmu.runtime.hub import cache_folder, is_offline

# The hub turns every data set into Parquet by itself, and keeps it on a branch of this name.
REVISIONS = ("main", "refs/convert/parquet")
_SPLITS = ("train", "validation", "valid", "val", "dev", "test")
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_ID = re.compile(rf"({_PART}/{_PART})(?:/({_PART}))?")


def repository(name: str) -> tuple[str, str | None] | None:
    """The id of a data set and the name of its part, if a name may be one: `owner/name[/part]`."""
    found = _ID.fullmatch(name)
    if found is None or ".." in name or "--" in name:
        return None
    return found[1], found[2]


def parquet_files(name: str, part: str | None = None) -> list[tuple[Path, str | None]]:
    """The Parquet files of a data set, each with the split that its name tells.

    Raises:
        UsageError: there is no such data set, or it has several parts and none is named.
        InputError: the data set has no Parquet files.
    """
    for revision in REVISIONS:
        snapshot = _cached(name, revision)
        if snapshot is None and not is_offline():
            snapshot = _fetched(name, revision)
        if snapshot is not None and (files := _found(snapshot, part, name)):
            return files
    if is_offline():
        raise UsageError(
            f"there is no file `{name}`, nor is a data set of that id in the cache",
            hint="HF_HUB_OFFLINE is set: where there is a network, run it without",
        )
    raise InputError(f"the data set `{name}` has no Parquet files")


def _cached(name: str, revision: str) -> Path | None:
    root = cache_folder() / f"datasets--{name.replace('/', '--')}"
    try:
        commit = (root / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        return None
    snapshot = root / "snapshots" / commit
    return snapshot if any(snapshot.rglob("*.parquet")) else None


def _fetched(name: str, revision: str) -> Path | None:
    """What the hub has; None if it has no such branch."""
    import huggingface_hub
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(
            huggingface_hub.snapshot_download(  # pyright: ignore[reportUnknownMemberType]
                name,
                repo_type="dataset",
                revision=revision,
                allow_patterns=["*.parquet"],
                cache_dir=cache_folder(),
            )
        )
    except RevisionNotFoundError:
        return None
    except GatedRepoError as error:
        raise UsageError(
            f"the data set `{name}` must be asked for", hint=f"at https://huggingface.co/{name}"
        ) from error
    except RepositoryNotFoundError as error:
        raise UsageError(
            f"there is neither a file `{name}` nor a data set of that id on the hub"
        ) from error
    except Exception as error:
        # What a network can do wrong is told in many types, of libraries that may change.
        raise UsageError(
            f"there is no file `{name}`, and the hub could not be asked for a data set of that id: "
            f"{type(error).__name__}",
            hint="check the path, or the network",
        ) from error


def _found(snapshot: Path, part: str | None, name: str) -> list[tuple[Path, str | None]]:
    root = snapshot.parent.parent.resolve()
    files: dict[str, list[tuple[Path, str | None]]] = {}
    for path in sorted(snapshot.rglob("*.parquet")):
        # The cache links into its own blobs; a link to elsewhere is none of its own.
        if path.resolve().is_relative_to(root):
            inside = PurePosixPath(path.relative_to(snapshot).as_posix())
            own, split = _told(inside)
            files.setdefault(own, []).append((path, split))
    if part is not None:
        if part not in files:
            raise UsageError(f"`{name}` has no part `{part}`; it has {_listed([*files])}")
        return files[part]
    if len(files) > 1:
        if "default" in files:
            return files["default"]
        raise UsageError(
            f"`{name}` has several parts: {_listed([*files])}",
            hint=f"name one: {name}/{next(iter(files))}",
        )
    return [one for found in files.values() for one in found]


def _told(inside: PurePosixPath) -> tuple[str, str | None]:
    """The part and the split of a file such as `plain_text/train-00000-of-00001.parquet`."""
    folders = [one for one in inside.parts[:-1] if one != "data"]
    split = _split(inside.stem)
    if split is None and folders:
        # As on the branch of the hub's own files: `default/train/0000.parquet`.
        split = _split(folders[-1].removeprefix("partial-"))
        folders = folders[:-1] if split else folders
    return "/".join(folders) or "default", split


def _split(name: str) -> str | None:
    word = re.split(r"[-_.\d]", name.lower(), maxsplit=1)[0]
    return word if word in _SPLITS else None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
