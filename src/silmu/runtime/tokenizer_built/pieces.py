"""The models of SentencePiece, renumbered and cut as each family wants it."""

from __future__ import annotations

import base64
import re
from typing import Any

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.runtime import tokenizer_sentencepiece as sentencepiece
from silmu.runtime.tokenizer_built.added import declared_tokens
from silmu.runtime.tokenizer_built.source import (
    SPACE,
    Parts,
    Source,
    described,
    extra_ids,
    lines_of,
    replace,
    sequence,
)

KOBERT = "tokenizer_78b3253a26.model"
_NUMBER_COMMA = re.compile(r".*\d,", re.DOTALL)


def pieces(source: Source) -> Parts:
    """The pieces of a SentencePiece model, renumbered as the family wants it."""
    file = next(name for name in source.family.files if source.folder.has(name))
    what = f"{file} of `{source.folder.name}`"
    read = sentencepiece.read(source.folder.bytes(file, limit=sentencepiece.MAX_BYTES), what)
    pieces, unk_id = _renumbered(source, read, what)
    ids = {token: index for index, (token, _) in enumerate(pieces)}
    falls_back = source.name in ("Llama", "Gemma")
    if read.algorithm == sentencepiece.UNIGRAM:
        model: dict[str, Any] = {
            "type": "Unigram",
            "unk_id": unk_id,
            "vocab": pieces,
            "byte_fallback": falls_back,
        }
    elif read.algorithm == sentencepiece.BPE:
        places = {piece.text: index for index, piece in enumerate(read.pieces)}
        if source.name == "Gemma" and "<0x09>" in places:
            places.setdefault("\t", places["<0x09>"])
        model = {
            "type": "BPE",
            "dropout": None,
            "unk_token": read.unk_piece,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": falls_back,
            "vocab": ids,
            "merges": sentencepiece.merges(places, dict(pieces)),
        }
    else:
        raise UnsupportedModelError(f"{what} is of whole words or characters, not of pieces")
    special = (sentencepiece.CONTROL, sentencepiece.USER_DEFINED)
    return Parts(
        model=model,
        ids=ids,
        size=len(pieces) if model["type"] == "Unigram" else len(ids),
        normalizer=_normalizer(source, read.character_map),
        pre_tokenizer=_cut_pieces(source),
        decoder=_joined_pieces(source),
        added=[
            described(piece.text, special=piece.kind == special[0] or piece.text in _GEMMA_TURNS)
            for piece in read.pieces
            if piece.kind in special
        ],
    )


_GEMMA_TURNS = ("<start_of_turn>", "<end_of_turn>")


def _renumbered(
    source: Source, read: sentencepiece.SentencePiece, what: str
) -> tuple[list[tuple[str, float]], int]:
    """Every token with its score, in the order of the ids; and the id of the unknown one."""
    pieces = [(piece.text, piece.score) for piece in read.pieces]
    match source.name:
        case "XLMRoberta":
            first = _unscored("<s>", "<pad>", "</s>", "<unk>")
            return [*first, *pieces[3:], ("<mask>", 0.0)], 3
        case "Camembert":
            first = _unscored("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>")
            return [*first, ("<unk>NOTUSED", -100.0), *pieces[1:], ("<mask>", 0.0)], 3
        case "T5" | "MT5":
            extra = range(extra_ids(source) - 1, -1, -1)
            return [*pieces, *_unscored(*(f"<extra_id_{i}>" for i in extra))], read.unk_id
        case "Gemma":
            first = _unscored(*(source.token(role) or "" for role in ("pad", "eos", "bos")))
            pieces = [*first, *pieces[3:]]
            # The first Gemmas have no piece for a tab.
            if all(text != "\t" for text, _ in pieces):
                pieces = [("\t", 0.0) if text == "<0x09>" else (text, s) for text, s in pieces]
            return pieces, 3
        case "Llama":
            named = dict(declared_tokens(source))
            return [
                (named.get(i, {}).get("content", text), 0.0 if i < 3 else score)
                if i < 3
                else (text, score)
                for i, (text, score) in enumerate(pieces)
            ], 0
        case "Albert" | "KoBert":
            # "1," should rather be two pieces.
            pieces = [
                (text, score - 100 if _NUMBER_COMMA.fullmatch(text) else score)
                for text, score in pieces
            ]
            if source.name == "KoBert" and source.folder.has("vocab.txt"):
                return _listed(source, pieces, what)
            return pieces, read.unk_id
        case _:
            return pieces, read.unk_id


def _listed(
    source: Source, pieces: list[tuple[str, float]], what: str
) -> tuple[list[tuple[str, float]], int]:
    """The pieces under the ids that vocab.txt gives them."""
    lines = lines_of(source.folder, "vocab.txt")
    tokens = lines[:-1] if lines[-1] == "" else lines
    scores = dict(pieces)
    unk = source.token("unk")
    if unk not in tokens:
        raise InvalidModelError(f"vocab.txt of `{source.folder.name}` has no {unk}")
    lost = scores.keys() - set(tokens) - {"<unk>", "<s>", "</s>", "<pad>"}
    if lost:
        raise InvalidModelError(
            f"{what} has {len(lost):,} pieces that vocab.txt lacks, such as {min(lost)!r}"
        )
    # What is not of the model must never win over what is.
    least = min(scores.values()) - 1000
    return [(token, scores.get(token, least)) for token in tokens], tokens.index(unk)


def _normalizer(source: Source, character_map: bytes) -> dict[str, Any] | None:
    one_space = replace({"Regex": " {2,}"}, " ")
    mapped = (
        [{"type": "Precompiled", "precompiled_charsmap": base64.b64encode(character_map).decode()}]
        if character_map
        else []
    )
    lower = [{"type": "Lowercase"}] if source.flag("do_lower_case", False) else []
    match source.name:
        case "Albert" | "KoBert":
            steps: list[dict[str, Any]] = []
            if source.name == "KoBert":
                steps += [replace({"Regex": r"\s+"}, " "), _strip(left=True)]
            else:
                lower = [{"type": "Lowercase"}] if source.flag("do_lower_case", True) else []
            steps += [replace({"String": "``"}, '"'), replace({"String": "''"}, '"')]
            if not source.flag("keep_accents", False):
                steps += [{"type": "NFKD"}, {"type": "StripAccents"}]
                # The map puts no syllable together again, which SentencePiece itself would do.
                steps += [{"type": "NFC"}] if source.name == "KoBert" else []
            return sequence("normalizers", *steps, *lower, *mapped, one_space)
        case "DebertaV2":
            return sequence("normalizers", *lower, _strip(left=True), *mapped, one_space)
        case "Llama":
            if not source.flag("legacy", True):
                return None
            prepend = {"type": "Prepend", "prepend": SPACE}
            steps = [prepend] if source.flag("add_prefix_space", True) else []
            return sequence("normalizers", *steps, replace({"String": " "}, SPACE))
        case "Gemma":
            return replace({"String": " "}, SPACE)
        case _:
            two_spaces = replace({"Regex": " {2,}"}, SPACE)
            return sequence("normalizers", *mapped, _strip(left=False), two_spaces)


def _metaspace(source: Source, **options: Any) -> dict[str, Any]:
    scheme = "never"
    if source.flag("add_prefix_space", True):
        scheme = "always" if source.flag("legacy", True) else "first"
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, **options}


def _cut_pieces(source: Source) -> dict[str, Any] | None:
    match source.name:
        case "Gemma":
            split = {"pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
            return {"type": "Split", **split}
        case "Llama":
            return None if source.flag("legacy", True) else _metaspace(source, split=False)
        case "DebertaV2":
            marks = {"type": "Punctuation", "behavior": "Isolated"}
            first = [marks] if source.flag("split_by_punct", False) else []
            return sequence("pretokenizers", *first, _metaspace(source, split=True))
        case _:
            return _metaspace(source, split=True)


def _joined_pieces(source: Source) -> dict[str, Any]:
    if source.name not in ("Llama", "Gemma"):
        return _metaspace(source, split=True)
    steps = [replace({"String": SPACE}, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
    if source.name == "Llama" and source.flag("add_prefix_space", True):
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return sequence("decoders", *steps)


def _strip(*, left: bool) -> dict[str, Any]:
    return {"type": "Strip", "strip_left": left, "strip_right": True}


def _unscored(*tokens: str) -> list[tuple[str, float]]:
    return [(token, 0.0) for token in tokens]
