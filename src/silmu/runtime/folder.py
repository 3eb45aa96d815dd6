"""A model folder: found by path or hub id, and opened without trusting anything in it.

Every file that silmu reads of a model goes through `Folder`, which permits regular files inside
the folder and nothing else. The one exception is the layout of the hub's cache, where a snapshot
holds links into the `blobs/` of the same repository.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InvalidModelError, ModelNotFoundError, UnsafeModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_JSON_BYTES = 16 << 20
MAX_JSON_DEPTH = 64
MAX_CONFIG_NUMBER = 1 << 32
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


@dataclass(frozen=True)
class Folder:
    """A folder that holds a model, whose files are opened only through `file` and `json`.

    Attributes:
        path: the real folder on disk.
        name: what the caller called it: a path or a hub id.
    """

    path: Path
    name: str

    def __post_init__(self) -> None:
        if not self.path.is_dir():
            what = "is not a folder" if self.path.exists() else "does not exist"
            raise ModelNotFoundError(
                f"`{self.name}` {what}",
                hint="give the folder that holds config.json, or the id of a model on the hub",
            )

    def has(self, name: str) -> bool:
        """Whether there is anything of that name, good or bad."""
        return os.path.lexists(self.path / _plain(name))

    def file(self, name: str) -> Path:
        """The path of a regular file of this folder, with links resolved.

        Raises:
            ModelNotFoundError: there is none.
            UnsafeModelError: it is not a regular file, or leads out of the folder.
        """
        if not self.has(name):
            raise ModelNotFoundError(
                f"`{self.name}` has no {name}",
                hint=f"it holds {', '.join(self.listing()[:12]) or 'nothing'}",
            )
        link = self.path / _plain(name)
        try:
            path = link.resolve(strict=True)
            mode = path.stat().st_mode
        except (OSError, RuntimeError) as error:
            raise InvalidModelError(f"{name} of `{self.name}` cannot be opened: {error}") from error
        if not any(path.is_relative_to(root) for root in self._roots):
            raise UnsafeModelError(
                f"{name} of `{self.name}` leads out of the folder, to {path}",
                hint="copy the file itself into the folder if you trust it",
            )
        if not stat.S_ISREG(mode):
            raise UnsafeModelError(f"{name} of `{self.name}` is not a regular file")
        return path

    def text(self, name: str, *, limit: int = MAX_JSON_BYTES) -> str:
        """A UTF-8 file of at most `limit` bytes."""
        path = self.file(name)
        if (size := path.stat().st_size) > limit:
            raise InvalidModelError(
                f"{name} of `{self.name}` has {size:,} bytes; at most {limit:,} are read"
            )
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InvalidModelError(f"{name} of `{self.name}` is not UTF-8: {error}") from error

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file that holds an object: no duplicate keys, no NaN, bounded depth."""
        return _strict_json(self.text(name), f"{name} of `{self.name}`")

    def optional_json(self, name: str) -> dict[str, Any]:
        """The same, or an empty object where there is no such file."""
        return self.json(name) if self.has(name) else {}

    def listing(self) -> list[str]:
        """The names of what lies in the folder, sorted."""
        return sorted(entry.name for entry in self.path.iterdir())

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json, with every number that sizes a tensor within bounds."""
        config = self.json("config.json")
        model_type = config.get("model_type")
        if not isinstance(model_type, str):
            raise InvalidModelError(
                f"config.json of `{self.name}` has "
                + (f"model_type {model_type!r}" if "model_type" in config else "no model_type"),
                hint="it must name the architecture, such as `bert`",
            )
        for key, value in _numbers(config):
            if abs(value) > MAX_CONFIG_NUMBER:
                raise InvalidModelError(
                    f"config.json of `{self.name}` has {key} = {value:g}; "
                    f"at most {MAX_CONFIG_NUMBER:,} is believed"
                )
        return config

    @cached_property
    def _roots(self) -> tuple[Path, ...]:
        real = self.path.resolve()
        # models--org--name/snapshots/<commit>/ links into models--org--name/blobs/
        if real.parent.name == "snapshots" and (real.parent.parent / "blobs").is_dir():
            return (real, real.parent.parent / "blobs")
        return (real,)


def _plain(name: str) -> str:
    """Refuses names that a hostile index file could use to reach outside the folder."""
    parts = PurePosixPath(name).parts
    if (
        not parts
        or "\0" in name
        or "\\" in name
        or ".." in parts
        or PurePosixPath(name).is_absolute()
        or PureWindowsPath(name).drive
    ):
        raise UnsafeModelError(f"{name!r} is not the name of a file inside a model folder")
    return name


def _strict_json(text: str, what: str) -> dict[str, Any]:
    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise InvalidModelError(f"{what} has the key {twice!r} twice")
        return found

    def no_constant(literal: str) -> Any:
        raise InvalidModelError(f"{what} holds {literal}, which is not JSON")

    # json recurses once a level; a bound on brackets keeps a hostile file from the C stack.
    if _depth(text) > MAX_JSON_DEPTH:
        raise InvalidModelError(f"{what} is nested deeper than {MAX_JSON_DEPTH} levels")
    try:
        value = json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidModelError):
            raise
        raise InvalidModelError(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidModelError(f"{what} holds a {type(value).__name__}, not an object")
    return cast("dict[str, Any]", value)


def _depth(text: str) -> int:
    """How deep the brackets outside of strings are nested."""
    deepest = depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            yield from _numbers(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _numbers(inner, key)
