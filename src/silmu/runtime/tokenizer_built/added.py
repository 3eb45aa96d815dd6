"""The tokens that are found in a text before anything else is done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InvalidModelError
from silmu.runtime.tokenizer_built.source import (
    MAX_ID,
    Parts,
    Source,
    described,
    extra_ids,
    written_token,
)
from silmu.runtime.tokenizer_families import PIECES, ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from silmu.runtime.folder import Folder


def added_tokens(source: Source, parts: Parts) -> list[dict[str, Any]]:
    """The tokens of the model, of the files and of the roles.

    The files know a token better than the model, and the class of a tokenizer better than the
    model, if it says more of it than its role.
    """
    declared = dict(sorted(declared_tokens(source), key=lambda pair: pair[0]))
    contents = {token["content"] for token in declared.values()}
    roles = list(_role_tokens(source, {*parts.ids, *contents}))
    special = {token["content"] for token in roles}
    for token in declared.values():
        if token["content"] in special:
            token["special"] = True
            if "added_tokens_decoder" not in source.settings:
                token["normalized"] = False
    found = {token["content"]: token for token in (*parts.added, *declared.values())}
    for token in roles:
        content = token["content"]
        says_more = content not in contents and token != described(content, special=True)
        if content not in found or says_more:
            found[content] = token
    found.pop("", None)
    ids, last = dict(parts.ids), -1
    for content in found:
        last = max(last, ids.setdefault(content, max(last + 1, parts.size)))
    for index, token in declared.items():
        content = token["content"]
        if content and ids[content] != index:
            raise InvalidModelError(
                f"`{source.folder.name}` gives the added token {content!r} the id {index:,}, and "
                f"its vocabulary makes it {ids[content]:,}"
            )
    added = [{"id": ids[content], **token} for content, token in found.items()]
    return sorted(added, key=lambda token: token["id"])


def declared_tokens(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """The added tokens that a file names, by id."""
    folder = source.folder
    decoder = source.settings.get("added_tokens_decoder")
    if decoder is None:
        for content, index in folder.optional_json("added_tokens.json").items():
            yield _id(index, folder), described(content, special=False, normalized=True)
        return
    if not isinstance(decoder, dict):
        raise InvalidModelError(f"`{folder.name}` has an added_tokens_decoder that is no object")
    for index, token in cast("dict[str, Any]", decoder).items():
        number = int(index) if index.isdecimal() and len(index) < 10 else index
        yield _id(number, folder), written_token(token, folder.name)


def _id(index: Any, folder: Folder) -> int:
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < MAX_ID:
        raise InvalidModelError(f"`{folder.name}` has an added token with the id {index!r:.40}")
    return index


def _role_tokens(source: Source, known: set[str]) -> Iterator[dict[str, Any]]:
    """The tokens that have a role, and those that are special without one."""
    settings, family = source.settings, source.family
    for role in ROLES:
        given = settings.get(f"{role}_token")
        if given is None:
            continue
        if not isinstance(given, str):
            yield {**written_token(given, source.folder.name), "special": True}
        # A list of tokens is whole, and what it lacks the model has no embedding for.
        elif family.kind == PIECES or given in known or given != family.roles.get(role):
            normalized, lstrip = role in family.normalized, role in family.lstrip
            yield described(given, special=True, normalized=normalized, lstrip=lstrip)
    listed: Any = settings.get("additional_special_tokens") or []
    others = cast("list[Any]", listed) if isinstance(listed, list) else [listed]
    if source.name in ("T5", "MT5") and not any("<extra_id_" in str(t) for t in others):
        others = [*others, *(f"<extra_id_{i}>" for i in range(extra_ids(source)))]
    for token in others:
        if isinstance(token, str):
            yield described(token, special=True)
        else:
            yield {**written_token(token, source.folder.name), "special": True}
