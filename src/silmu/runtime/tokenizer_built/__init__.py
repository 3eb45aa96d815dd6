"""Writes, from the other files of a folder, the tokenizer.json that it lacks.

vocab.txt, vocab.json with merges.txt and SentencePiece models say only what the tokens are; how a
text is normalised, cut and framed comes with the class of the tokenizer (tokenizer_families.py).
The description made here gives the ids and offsets that transformers' fast tokenizers give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from silmu.errors import ModelNotFoundError, UnsupportedModelError
from silmu.runtime.tokenizer_built.added import added_tokens
from silmu.runtime.tokenizer_built.around import framed, post_processor
from silmu.runtime.tokenizer_built.pieces import KOBERT, pieces
from silmu.runtime.tokenizer_built.source import Source
from silmu.runtime.tokenizer_built.vocabularies import byte_pairs, words
from silmu.runtime.tokenizer_families import BYTES, PIECES, WORDS, Family, class_name, find

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.runtime.folder import Folder

__all__ = ["describe", "family_of", "framed"]


def family_of(folder: Folder, settings: Mapping[str, Any]) -> Family:
    """The family of a folder that has no tokenizer.json.

    Raises:
        ModelNotFoundError: its class needs a tokenizer.json, or a file that is not there.
        UnsupportedModelError: its class is code of its own, or one that is not known.
    """
    return _named_family(folder, settings)[1]


def describe(folder: Folder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a tokenizer.json of this folder would hold.

    Args:
        folder: has no tokenizer.json.
        settings: what is said of the tokenizer beside its vocabulary, defaults of its family
            included.

    Raises:
        ModelNotFoundError, UnsupportedModelError: as `family_of`.
        InvalidModelError: a file is broken, or two of them disagree.
        UnsafeModelError: a file could take out of all proportion to a text.
    """
    name, family = _named_family(folder, settings)
    source = Source(folder, name, family, settings)
    parts = {WORDS: words, BYTES: byte_pairs, PIECES: pieces}[family.kind](source)
    added = added_tokens(source, parts)
    ids = {**parts.ids, **{token["content"]: token["id"] for token in added}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": post_processor(source, ids),
        "decoder": parts.decoder,
        "model": parts.model,
    }


def _named_family(folder: Folder, settings: Mapping[str, Any]) -> tuple[str, Family]:
    name = "KoBert" if folder.has(KOBERT) else class_name(folder, settings)
    family = find(name)
    if family is None and name not in ("", "PreTrained"):
        own = "auto_map" in settings or "auto_map" in folder.optional_json("config.json")
        raise UnsupportedModelError(
            f"the tokenizer of `{folder.name}` is a {name}Tokenizer, "
            + ("code of its own, which is never run" if own else "which silmu does not know")
            + ", and it has no tokenizer.json",
            hint="take a model with a tokenizer.json, or one of another tokenizer",
        )
    if family is None or not family.files:
        raise ModelNotFoundError(
            f"`{folder.name}` has no tokenizer.json"
            + ("" if name else ", and nothing in it names the class of its tokenizer"),
            hint='where transformers is installed, write one with `python -c "from '
            f"transformers import AutoTokenizer as T; T.from_pretrained('{folder.name}')"
            f".save_pretrained('{folder.name}')\"`",
        )
    needed = family.files
    if not (any if family.kind == PIECES else all)(folder.has(file) for file in needed):
        words = " or ".join(needed) if family.kind == PIECES else " and ".join(needed)
        raise ModelNotFoundError(
            f"`{folder.name}` has neither tokenizer.json nor {words}, of which its "
            f"{name}Tokenizer is made",
            hint=f"it holds {', '.join(folder.listing()[:12]) or 'nothing'}",
        )
    return name, family
