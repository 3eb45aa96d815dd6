"""What a tokenizer is made from, and the parts of its description."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InvalidModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.runtime.folder import Folder
    from silmu.runtime.tokenizer_families import Family

MAX_BYTES = 16 << 20
MAX_TOKENS = 1 << 21
MAX_ID = 1 << 24
SPACE = "▁"


@dataclass
class Parts:
    """A tokenizer without what comes after its model.

    `ids` are the tokens of the vocabulary, of which there are `size`; `added` those that are found
    in a text before anything else is done to it.
    """

    model: dict[str, Any]
    ids: dict[str, int]
    size: int
    normalizer: dict[str, Any] | None = None
    pre_tokenizer: dict[str, Any] | None = None
    decoder: dict[str, Any] | None = None
    added: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass(frozen=True)
class Source:
    """The folder, and what is known of its tokenizer."""

    folder: Folder
    name: str
    family: Family
    settings: Mapping[str, Any]

    def flag(self, key: str, default: bool | None) -> bool | None:
        """A setting that is true or false."""
        value = self.settings.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InvalidModelError(
                f"`{self.folder.name}` has {key} = {value!r}; it may be true or false"
            )
        return value

    def token(self, role: str) -> str | None:
        """The token of a role."""
        return content_of(self.settings.get(f"{role}_token"))


def described(
    content: str, *, special: bool, normalized: bool = False, lstrip: bool = False
) -> dict[str, Any]:
    """An added token, as tokenizer.json describes one."""
    return {
        "content": content,
        "single_word": False,
        "lstrip": lstrip,
        "rstrip": False,
        "normalized": normalized,
        "special": special,
    }


def written_token(token: Any, name: str) -> dict[str, Any]:
    """A token as a file writes it, with its options."""
    content = content_of(token)
    if not isinstance(token, dict) or content is None:
        raise InvalidModelError(f"`{name}` has the added token {token!r:.80}, which is none")
    options = cast("dict[str, Any]", token)
    special = bool(options.get("special", False))
    found = described(content, special=special, normalized=not special)
    for key in ("single_word", "lstrip", "rstrip", "normalized"):
        if key in options:
            found[key] = bool(options[key])
    return found


def content_of(token: Any) -> str | None:
    """The text of a token that may be written with options; None if it is none."""
    if isinstance(token, dict):
        token = cast("dict[str, Any]", token).get("content")
    return token if isinstance(token, str) else None


def sequence(key: str, *steps: dict[str, Any]) -> dict[str, Any]:
    """Steps one after another."""
    return {"type": "Sequence", key: list(steps)}


def replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    """A step that replaces what a pattern finds."""
    return {"type": "Replace", "pattern": pattern, "content": content}


def lines_of(folder: Folder, name: str) -> list[str]:
    """The lines of a file, and what follows the last end of a line, which often is nothing."""
    text = folder.text(name, limit=MAX_BYTES)
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def check_count(count: int, what: str) -> None:
    """Refuses lists that are empty, or longer than any vocabulary."""
    if not 0 < count <= MAX_TOKENS:
        raise InvalidModelError(f"{what} has {count:,} entries; from 1 to {MAX_TOKENS:,} are read")


def extra_ids(source: Source) -> int:
    """How many tokens of its own a T5 has for what is left out of a text."""
    count = source.settings.get("extra_ids", 100)
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= 10_000:
        raise InvalidModelError(
            f"`{source.folder.name}` has extra_ids = {count!r}; it may be from 0 to 10,000"
        )
    return count
