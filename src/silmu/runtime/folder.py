"""A model folder: found by path or hub id, and opened without trusting anything in it.

Every file that silmu reads of a model goes through `Folder`, which permits regular files inside
the folder and nothing else. The one exception is the layout of the hub's cache, where a snapshot
holds links into the `blobs/` of the same repository.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import (
    InvalidModelError,
    ModelNotFoundError,
    SilmuError,
    UnsafeModelError,
)
from silmu.runtime import foreign, genai

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

logger = logging.getLogger("silmu")

MAX_JSON_BYTES = 4 << 20
MAX_JSON_DEPTH = 64
MAX_JSON_DIGITS = 100
MAX_CONFIG_NUMBER = 1 << 32
REMOTE_CODE = ("auto_map", "custom_pipelines", "trust_remote_code")
"""The keys of config.json by which a folder asks for code of its own to be run."""

# A string that is never closed runs to the end: tried again from each quote in it, a hostile file
# would take time by the square of its size.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+[\\"]?+|[\[\]{}]', re.DOTALL)


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
        return os.path.lexists(self.place(name))

    def place(self, name: str) -> Path:
        """Where a file of that name lies or would lie, links not resolved."""
        return self.path / _plain(name)

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
        link = self.place(name)
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

    def bytes(self, name: str, *, limit: int = MAX_JSON_BYTES) -> bytes:
        """What a file holds, of at most `limit` bytes."""
        path = self.file(name)
        try:
            if (size := path.stat().st_size) > limit:
                raise InvalidModelError(
                    f"{name} of `{self.name}` has {size:,} bytes; at most {limit:,} are read"
                )
            return path.read_bytes()
        except OSError as error:
            raise InvalidModelError(f"{name} of `{self.name}` cannot be read: {error}") from error

    def text(self, name: str, *, limit: int = MAX_JSON_BYTES) -> str:
        """A UTF-8 file of at most `limit` bytes."""
        try:
            return self.bytes(name, limit=limit).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidModelError(f"{name} of `{self.name}` is not UTF-8: {error}") from error

    def json(self, name: str, *, limit: int = MAX_JSON_BYTES) -> dict[str, Any]:
        """A JSON file that holds an object, read by `parse_json`."""
        return parse_json(self.text(name, limit=limit), f"{name} of `{self.name}`")

    def optional_json(self, name: str) -> dict[str, Any]:
        """The same, or an empty object where there is no such file."""
        return self.json(name) if self.has(name) else {}

    def listing(self) -> list[str]:
        """The names of what lies in the folder, sorted."""
        return sorted(entry.name for entry in self.path.iterdir())

    def refuse_foreign(self) -> None:
        """Says why what the folder holds is not read, where it holds weights of another format.

        Raises:
            UnsupportedModelError: it does.
        """
        files = self.listing()
        foreign.refuse_files(
            self.name, files, self.json(foreign.ADAPTER) if foreign.ADAPTER in files else None
        )

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json: its architecture named, every number that sizes a tensor within bounds."""
        if not self.has("config.json") and self.has(genai.FILE):
            config = genai.as_config(self.json(genai.FILE), f"{genai.FILE} of `{self.name}`")
        else:
            if not self.has("config.json"):
                self.refuse_foreign()
            config = self.json("config.json")
        model_type = config.get("model_type")
        if not isinstance(model_type, str):
            raise InvalidModelError(
                f"config.json of `{self.name}` has "
                + (f"model_type {model_type!r}" if "model_type" in config else "no model_type"),
                hint="it must name the architecture, such as `bert`",
            )
        architectures: Any = config.get("architectures") or []
        names = cast("list[Any]", architectures)
        if not isinstance(architectures, list) or not all(
            isinstance(name, str) and name.isidentifier() for name in names
        ):
            raise InvalidModelError(
                f"config.json of `{self.name}` has architectures {architectures!r}; "
                'it must be a list of class names, such as ["BertModel"]'
            )
        for key, value in _numbers(config):
            if abs(value) > MAX_CONFIG_NUMBER:
                raise InvalidModelError(
                    f"config.json of `{self.name}` has {key} = {value}; "
                    f"at most {MAX_CONFIG_NUMBER:,} is believed"
                )
        if code := [key for key in REMOTE_CODE if config.get(key)]:
            logger.warning(
                "config.json of `%s` asks for code of its own (%s), which is never run",
                self.name,
                ", ".join(code),
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


@contextmanager
def read_by_library(what: str) -> Generator[None, None, None]:
    """Turns whatever a library does over a broken file into InvalidModelError.

    A panic of a library written in Rust is a BaseException that no `except Exception` catches.
    """
    try:
        yield
    except (SilmuError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise InvalidModelError(f"{what} is broken: {error}") from error


def parse_json(text: str, what: str) -> dict[str, Any]:
    """A JSON object that holds nothing which two readers would read differently.

    No key twice, no NaN or infinity, no half of a surrogate pair, no number of more digits than
    any has, and no more than MAX_JSON_DEPTH levels.

    Raises:
        InvalidModelError: the text is not that; `what` is its name in the message.
    """

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))
            raise InvalidModelError(f"{what} has the key {twice!r} twice")
        return found

    def no_constant(literal: str) -> Any:
        raise InvalidModelError(f"{what} holds {literal}, which is not JSON")

    def number(literal: str) -> float:
        if len(literal) > MAX_JSON_DIGITS or not math.isfinite(value := float(literal)):
            raise InvalidModelError(f"{what} holds the number {literal:.40}, which is out of range")
        return value

    def whole(literal: str) -> int:
        return int(literal) if len(literal) <= MAX_JSON_DIGITS else int(number(literal))

    if _deeper(text, MAX_JSON_DEPTH):
        raise InvalidModelError(f"{what} is nested deeper than {MAX_JSON_DEPTH} levels")
    try:
        value = json.loads(
            text,
            object_pairs_hook=no_duplicates,
            parse_constant=no_constant,
            parse_float=number,
            parse_int=whole,
        )
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidModelError):
            raise
        raise InvalidModelError(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidModelError(f"{what} holds a {type(value).__name__}, not an object")
    return cast("dict[str, Any]", value)


def _deeper(text: str, most: int) -> bool:
    """Whether brackets outside of strings are nested deeper; the reader recurses once a level."""
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        bracket = found[0]
        if bracket in ("[", "{"):
            depth += 1
            if depth > most:
                return True
        elif bracket in ("]", "}"):
            depth -= 1
    return False


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
