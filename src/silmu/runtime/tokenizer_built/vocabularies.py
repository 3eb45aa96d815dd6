"""The models of vocab.txt, and of vocab.json with merges.txt."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.runtime.folder import parse_json
from silmu.runtime.tokenizer_built.source import (
    MAX_BYTES,
    MAX_ID,
    SPACE,
    Parts,
    Source,
    check_count,
    lines_of,
    sequence,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.runtime.folder import Folder

logger = logging.getLogger("silmu")

_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SYLLABLE, _JAMO = re.compile("[가-힣]"), re.compile("[\u1100-\u11ff]")


def words(source: Source) -> Parts:
    """WordPiece over words that are cut at spaces, punctuation and Chinese characters."""
    what = f"vocab.txt of `{source.folder.name}`"
    lines = lines_of(source.folder, "vocab.txt")
    tokens = lines[:-1] if lines[-1] == "" else lines
    check_count(len(tokens), what)
    ids = {token: index for index, token in enumerate(tokens)}
    if (unk := source.token("unk")) not in ids:
        raise InvalidModelError(f"{what} has no {unk}, the token of unknown words")
    starts = sum(token.startswith(SPACE) for token in ids)
    if starts > len(ids) // 20 and not any(token.startswith("##") for token in ids):
        raise UnsupportedModelError(
            f"{what} lists the pieces of a SentencePiece model, which is not there",
            hint="bring the .model file that its tokenizer was made with",
        )
    lower, strip = _cases(source, ids)
    return Parts(
        model={
            "type": "WordPiece",
            "unk_token": unk,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
        ids=ids,
        size=len(ids),
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": source.flag("tokenize_chinese_chars", True),
            "strip_accents": strip,
            "lowercase": lower,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
    )


def _cases(source: Source, ids: Mapping[str, int]) -> tuple[bool | None, bool | None]:
    """Whether letters are made small, and whether accents are taken off (None: if they are).

    Taking off accents takes Hangul syllables apart. A vocabulary of syllables would then know no
    Korean word, so it is not done to one unless it is asked for by name.
    """
    lower = source.flag("do_lower_case", True)
    strip = source.flag("strip_accents", None)
    if lower and strip is None:
        every = "\n".join(ids)
        if _SYLLABLE.search(every) and not _JAMO.search(every):
            strip = False
            if source.settings.get("do_lower_case") is None:
                words = "\n".join(token for token in ids if not token.startswith(("[", "<")))
                lower = words.lower() == words
            logger.warning(
                "the vocabulary of `%s` is of whole Hangul syllables, so these are not taken "
                'apart; tokenizer_config.json can say so with "strip_accents": false',
                source.folder.name,
            )
    return lower, strip


def byte_pairs(source: Source) -> Parts:
    """Byte-pair encoding over the bytes of a text."""
    folder = source.folder
    what = f"vocab.json of `{folder.name}`"
    ids = parse_json(folder.text("vocab.json", limit=MAX_BYTES), what)
    check_count(len(ids), what)
    for token, index in ids.items():
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < MAX_ID:
            raise InvalidModelError(f"{what} gives {token!r:.40} the id {index!r:.40}")
    if len(set(ids.values())) != len(ids):
        raise InvalidModelError(f"{what} gives two tokens the same id")
    add_prefix_space = source.flag("add_prefix_space", False)
    cut: dict[str, Any] = {
        "type": "ByteLevel",
        "add_prefix_space": add_prefix_space,
        "trim_offsets": True,
        "use_regex": True,
    }
    is_qwen = source.name == "Qwen2"
    if is_qwen:
        split = {"pattern": {"Regex": _QWEN2}, "behavior": "Isolated", "invert": False}
        cut = sequence("pretokenizers", {"type": "Split", **split}, {**cut, "use_regex": False})
    return Parts(
        model={
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": ids,
            "merges": _merges(folder, is_qwen),
        },
        ids=cast("dict[str, int]", ids),
        size=len(ids),
        normalizer={"type": "NFC"} if is_qwen else None,
        pre_tokenizer=cut,
        decoder=_BYTE_LEVEL,
    )


_BYTE_LEVEL = {
    **{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
}


def _merges(folder: Folder, is_qwen: bool) -> list[tuple[str, str]]:
    lines = lines_of(folder, "merges.txt")
    if is_qwen:
        lines = [line for line in lines[lines[0].startswith("#version:") :] if line.strip()]
    else:
        # The first line is taken for a version, and what follows the last end of a line for
        # nothing, whatever they hold: as transformers does, so as to give the same ids.
        lines = lines[1:-1]
    check_count(len(lines), f"merges.txt of `{folder.name}`")
    found: dict[tuple[str, str], None] = {}
    for line in lines:
        pair = line.split()
        if len(pair) != 2:
            raise InvalidModelError(
                f"merges.txt of `{folder.name}` has the line {line!r:.60}; each holds two tokens"
            )
        found[pair[0], pair[1]] = None
    return list(found)
