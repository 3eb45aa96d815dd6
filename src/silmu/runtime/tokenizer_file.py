"""The tokenizer files of a model folder, read without trusting them.

tokenizer.json, or one that is made of the older files in its place, goes to the `tokenizers`
library, which panics or runs for hours on some; those are refused before it sees them, or before it
sees a text. The settings beside it are checked one by one.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, cast

from tokenizers import AddedToken, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as RustTokenizer

from silmu.errors import InvalidModelError, UnsafeModelError
from silmu.runtime import patterns
from silmu.runtime.folder import parse_json, read_by_library
from silmu.runtime.tokenizer_families import BYTES, ROLES, WORDS, class_name, find

if TYPE_CHECKING:
    from silmu.runtime.folder import Folder
    from silmu.runtime.tokenizer_families import Family

UNLIMITED = int(1e30)
"""What transformers writes for `model_max_length` when a tokenizer knows no limit."""

MAX_TOKENIZER_BYTES = 64 << 20
MAX_WORD = 200
"""The longest word that WordPiece may look up, which takes time by the cube of its length."""

SIDES = ("right", "left")
_CHARACTER_MAP = re.compile(rb'"precompiled_charsmap"\s*:\s*"([^"]*)"')
# Nobody escapes a letter, unless to hide a name.
_ESCAPED_LETTER = re.compile(rb"(?<!\\)(?:\\\\)*\\u00(?:[46][0-9a-fA-F]|[57][0-9aA])")


def read(folder: Folder) -> tuple[RustTokenizer, dict[str, Any]]:
    """The tokenizer of a folder, and the settings beside it.

    What the settings leave open is filled in from what is known of the tokenizer's class.

    Raises:
        ModelNotFoundError: the folder has no tokenizer.json, and not what one can be made of.
        UnsupportedModelError: the same, because its tokenizer is code of its own.
        InvalidModelError: a file is broken.
        UnsafeModelError: it could take hours over one text.
    """
    settings = _settings(folder)
    if folder.has("tokenizer.json"):
        family = find(class_name(folder, settings))
        rust = _read(folder, folder.bytes("tokenizer.json", limit=MAX_TOKENIZER_BYTES))
        if family is not None:
            with read_by_library(f"tokenizer.json of `{folder.name}`"):
                _obey(rust, family, settings, folder.name)
            roles = {
                f"{role}_token": token
                for role, token in family.roles.items()
                if rust.token_to_id(token) is not None
            }
            settings = {**roles, **_inputs(family), **settings}
        return rust, settings
    # Here, because few folders need it.
    from silmu.runtime import tokenizer_built

    family = tokenizer_built.family_of(folder, settings)
    roles = {f"{role}_token": token for role, token in family.roles.items()}
    settings = {**roles, **family.settings, **settings}
    made = tokenizer_built.describe(folder, settings)
    rust = _read(folder, json.dumps(made, ensure_ascii=False).encode())
    for token in made["added_tokens"]:
        if (index := rust.token_to_id(token["content"])) != token["id"]:
            raise InvalidModelError(
                f"the token {token['content']!r} of `{folder.name}` would have the id {index}, "
                f"not {token['id']}"
            )
    return rust, settings


def _read(folder: Folder, data: bytes) -> RustTokenizer:
    with read_by_library(f"the tokenizer of `{folder.name}`"):
        _check_maps(data)
        rust = RustTokenizer.from_buffer(data)
        _check_cost(rust, folder.name)
    return rust


def _settings(folder: Folder) -> dict[str, Any]:
    """tokenizer_config.json and what lies beside it."""
    roles = folder.optional_json("special_tokens_map.json")
    settings = folder.optional_json("tokenizer_config.json")
    # Files without a list of added tokens are older, and then the roles were told apart.
    settings = {**roles, **settings} if "added_tokens_decoder" in settings else settings | roles
    if folder.has("chat_template.jinja"):
        settings["chat_template"] = folder.text("chat_template.jinja", limit=1 << 20)
    return settings


def _inputs(family: Family) -> dict[str, Any]:
    names = ("model_input_names", "padding_side")
    return {name: family.settings[name] for name in names if name in family.settings}


def _obey(rust: RustTokenizer, family: Family, settings: dict[str, Any], name: str) -> None:
    """Does what settings ask for that tokenizer.json says otherwise, as the classes do."""

    def given(keys: dict[str, str]) -> dict[str, bool]:
        found = {key: settings[key] for key in keys if settings.get(key) is not None}
        for key, value in found.items():
            if not isinstance(value, bool):
                raise InvalidModelError(f"`{name}` has {key} = {value!r}; it may be true or false")
        return {keys[key]: value for key, value in found.items()}

    if family.kind == WORDS and (changes := given(_BERT_SETTINGS)):
        state = _described(rust.normalizer)
        if state and state["type"] == "BertNormalizer" and state != state | changes:
            rust.normalizer = _with_state(normalizers.BertNormalizer(), state | changes)
    if family.kind == BYTES and (changes := given({"add_prefix_space": "add_prefix_space"})):
        state = _described(rust.pre_tokenizer)
        if state and state["type"] == "ByteLevel" and state != state | changes:
            rust.pre_tokenizer = _with_state(pre_tokenizers.ByteLevel(), state | changes)
        state = _described(rust.post_processor)
        if state and state["type"] == "RobertaProcessing" and state != state | changes:
            rust.post_processor = _with_state(processors.TemplateProcessing(), state | changes)
    if family.frames and given(dict.fromkeys(("add_bos_token", "add_eos_token"), "frame")):
        from silmu.runtime import tokenizer_built

        ids = rust.get_vocab(with_added_tokens=True)
        roles = {f"{role}_token": token for role, token in family.roles.items()}
        state = tokenizer_built.framed(family, {**roles, **settings}, ids, name)
        rust.post_processor = _with_state(processors.TemplateProcessing(), state)


_BERT_SETTINGS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


def _with_state(part: Any, state: dict[str, Any]) -> Any:
    part.__setstate__(json.dumps(state).encode())
    return part


def max_length(settings: dict[str, Any], name: str) -> int:
    """How many tokens the tokenizer says that its model reads."""
    # Older files call it max_len.
    key = "model_max_length" if "model_max_length" in settings else "max_len"
    value = settings.get(key)
    value = UNLIMITED if value is None else value
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 1 or value % 1:
        raise InvalidModelError(f"`{name}` has {key} = {value!r}")
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
    for role in ROLES:
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
        longest = max(map(len, blob[4 + claimed :].split(b"\0")))
        if longest > patterns.MAX_GROWTH:
            raise UnsafeModelError(f"its map makes {longest:,} bytes of one character")


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
