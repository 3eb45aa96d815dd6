"""The tokenizer files of a model folder, read without trusting them.

tokenizer.json goes to the `tokenizers` library, which panics or runs for hours on some; those are
refused before it sees them, or before it sees a text. The settings beside it are checked one by
one.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, cast

from tokenizers import AddedToken
from tokenizers import Tokenizer as RustTokenizer

from silmu.errors import InvalidModelError, ModelNotFoundError, UnsafeModelError
from silmu.runtime import patterns
from silmu.runtime.folder import parse_json, read_by_library

if TYPE_CHECKING:
    from silmu.runtime.folder import Folder

UNLIMITED = int(1e30)
"""What transformers writes for `model_max_length` when a tokenizer knows no limit."""

MAX_TOKENIZER_BYTES = 64 << 20
MAX_WORD = 200
"""The longest word that WordPiece may look up, which takes time by the cube of its length."""

SIDES = ("right", "left")
SPECIAL_TOKENS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_CHARACTER_MAP = re.compile(rb'"precompiled_charsmap"\s*:\s*"([^"]*)"')
# Nobody escapes a letter, unless to hide a name.
_ESCAPED_LETTER = re.compile(rb"(?<!\\)(?:\\\\)*\\u00(?:[46][0-9a-fA-F]|[57][0-9aA])")


def read(folder: Folder) -> tuple[RustTokenizer, dict[str, Any]]:
    """The tokenizer of tokenizer.json, and the settings beside it.

    Raises:
        ModelNotFoundError: the folder has no tokenizer.json.
        InvalidModelError: it is broken.
        UnsafeModelError: it could take hours over one text.
    """
    if not folder.has("tokenizer.json"):
        raise ModelNotFoundError(
            f"`{folder.name}` has no tokenizer.json",
            hint='where transformers is installed, write one with `python -c "from '
            f"transformers import AutoTokenizer as T; T.from_pretrained('{folder.name}')"
            f".save_pretrained('{folder.name}')\"`",
        )
    data = folder.bytes("tokenizer.json", limit=MAX_TOKENIZER_BYTES)
    with read_by_library(f"tokenizer.json of `{folder.name}`"):
        _check_maps(data)
        rust = RustTokenizer.from_buffer(data)
        _check_cost(rust, folder.name)
    settings = folder.optional_json("special_tokens_map.json")
    settings |= folder.optional_json("tokenizer_config.json")
    if folder.has("chat_template.jinja"):
        settings["chat_template"] = folder.text("chat_template.jinja", limit=1 << 20)
    return rust, settings


def max_length(settings: dict[str, Any], name: str) -> int:
    """How many tokens the tokenizer says that its model reads."""
    value = settings.get("model_max_length", UNLIMITED)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 1 or value % 1:
        raise InvalidModelError(f"`{name}` has model_max_length = {value!r}")
    return min(int(value), UNLIMITED)


def side(settings: dict[str, Any], key: str, name: str) -> str:
    """`right` or `left`, of padding_side or truncation_side."""
    given = settings.get(key) or SIDES[0]
    if given not in SIDES:
        raise InvalidModelError(f"`{name}` has {key} = {given!r}; it may be {' or '.join(SIDES)}")
    return given


def input_names(settings: dict[str, Any], name: str) -> list[str]:
    """Which arrays the model reads."""
    names = settings.get("model_input_names") or ["input_ids", "token_type_ids", "attention_mask"]
    if not isinstance(names, list) or not all(isinstance(n, str) for n in cast("list[Any]", names)):
        raise InvalidModelError(
            f"`{name}` has model_input_names = {names!r}; it must be a list of names"
        )
    return cast("list[str]", names)


def special_tokens(settings: dict[str, Any], name: str) -> dict[str, str]:
    """The token of each role that has one."""
    found: dict[str, str] = {}
    for role in SPECIAL_TOKENS:
        given = token = settings.get(f"{role}_token")
        if isinstance(token, dict):  # a serialised AddedToken
            token = cast("dict[str, Any]", token).get("content")
        if isinstance(token, AddedToken):
            token = token.content
        if given is None:
            continue
        if not isinstance(token, str):
            raise InvalidModelError(f"`{name}` has {role}_token = {given!r}")
        found[role] = token
    return found


def _check_maps(data: bytes) -> None:
    """Refuses a map of characters that claims to be longer than it is.

    The library makes room for what it claims, and where there is none, the whole process ends.
    """
    if b"\\u00" in data and _ESCAPED_LETTER.search(data):
        data = json.dumps(parse_json(data.decode(), "the file"), ensure_ascii=False).encode()
    for found in _CHARACTER_MAP.finditer(data):
        blob = base64.b64decode(found[1].replace(b"\\/", b"/"), validate=True)
        if (claimed := int.from_bytes(blob[:4], "little")) > len(blob) - 4:
            raise ValueError(f"its map of {len(blob):,} bytes claims to have {claimed:,}")


def _check_cost(rust: RustTokenizer, name: str) -> None:
    """Refuses what would take out of all proportion to a text, before any text is read."""
    parts = {"normalizer": rust.normalizer, "pre_tokenizer": rust.pre_tokenizer}
    try:
        patterns.check_parts({part: _described(value) for part, value in parts.items()})
    except patterns.UnboundedError as error:
        raise UnsafeModelError(
            f"the tokenizer of `{name}` could take hours over one text: {error}",
            hint="if it is a model that many use, report it, so that its pattern can be allowed",
        ) from error
    longest = getattr(rust.model, "max_input_chars_per_word", 0)
    if longest > MAX_WORD:
        raise UnsafeModelError(
            f"the tokenizer of `{name}` looks up words of {longest:,} characters; "
            f"at most {MAX_WORD} are allowed"
        )


def _described(part: Any) -> Any:
    """A part of the tokenizer as its file describes it, or None."""
    return None if part is None else json.loads(part.__getstate__())
