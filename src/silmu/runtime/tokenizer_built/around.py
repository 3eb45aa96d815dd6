"""What a tokenizer puts around a text, and between two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from silmu.errors import InvalidModelError
from silmu.runtime.tokenizer_built.source import Source, content_of
from silmu.runtime.tokenizer_families import BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from silmu.runtime.tokenizer_families import Family


def post_processor(source: Source, ids: Mapping[str, int]) -> dict[str, Any] | None:
    """The step that puts special tokens around a text; None where nothing is put."""
    around = source.family.around
    plain = {"add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    if source.family.frames:
        return framed(source.family, source.settings, ids, source.folder.name)
    if source.name == "GPT2" and source.flag("add_bos_token", False):
        around = ("bos A", "bos A B:1")
    elif not around[0]:
        return {"type": "ByteLevel", **plain} if source.family.kind == BYTES else None
    tokens = _role_ids(source.family, source.settings, ids, around[1], source.folder.name)
    if source.family.kind == BYTES and "sep sep" in around[1]:
        return {
            "type": "RobertaProcessing",
            "sep": tokens["sep"],
            "cls": tokens["cls"],
            "trim_offsets": source.flag("trim_offsets", True),
            "add_prefix_space": source.flag("add_prefix_space", False),
        }
    return _template(around, tokens)


def framed(
    family: Family, settings: Mapping[str, Any], ids: Mapping[str, int], name: str
) -> dict[str, Any]:
    """What add_bos_token and add_eos_token ask for, for the families that heed both."""
    begin = "bos" if settings.get("add_bos_token", True) else ""
    end = "eos" if settings.get("add_eos_token", False) else ""
    single = f"{begin} A {end}".strip()
    pair = f"{single} {begin and begin + ':1'} B:1 {end and end + ':1'}"
    return _template((single, pair), _role_ids(family, settings, ids, single, name))


def _role_ids(
    family: Family, settings: Mapping[str, Any], ids: Mapping[str, int], around: str, name: str
) -> dict[str, tuple[str, int]]:
    """The token and the id of each role that is put around a text."""
    found: dict[str, tuple[str, int]] = {}
    for role in family.roles:
        if role in around.split():
            token = content_of(settings.get(f"{role}_token"))
            if token is None or token not in ids:
                raise InvalidModelError(
                    f"the vocabulary of `{name}` has no {role} token, which goes around each text"
                    if token is None
                    else f"the vocabulary of `{name}` has no {token!r}, which goes around each text"
                )
            found[role] = (token, ids[token])
    return found


def _template(around: Iterable[str], tokens: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    def spelt(piece: str) -> dict[str, Any]:
        what, _, kind = piece.partition(":")
        type_id = int(kind or 0)
        if what in tokens:
            return {"SpecialToken": {"id": tokens[what][0], "type_id": type_id}}
        return {"Sequence": {"id": what, "type_id": type_id}}

    single, pair = ([spelt(piece) for piece in text.split()] for text in around)
    special = {
        token: {"id": token, "ids": [index], "tokens": [token]} for token, index in tokens.values()
    }
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}
