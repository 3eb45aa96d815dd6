"""Writes, from the other files of a folder, the tokenizer.json that it lacks.

vocab.txt, vocab.json with merges.txt and SentencePiece models say only what the tokens are; how a
text is normalised, cut and framed comes with the class of the tokenizer (tokenizer_families.py).
The description made here gives the ids and offsets that transformers' fast tokenizers give.
"""

from __future__ import annotations

import base64
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InvalidModelError, ModelNotFoundError, UnsupportedModelError
from silmu.runtime import tokenizer_sentencepiece as sentencepiece
from silmu.runtime.folder import parse_json
from silmu.runtime.tokenizer_families import BYTES, PIECES, ROLES, WORDS, Family, class_name, find

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from silmu.runtime.folder import Folder

logger = logging.getLogger("silmu")

MAX_BYTES = 16 << 20
MAX_TOKENS = 1 << 21
MAX_ID = 1 << 24

SPACE = "▁"
_KOBERT = "tokenizer_78b3253a26.model"
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SYLLABLE, _JAMO = re.compile("[가-힣]"), re.compile("[\u1100-\u11ff]")
_NUMBER_COMMA = re.compile(r".*\d,", re.DOTALL)


@dataclass
class _Parts:
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
    source = _Source(folder, name, family, settings)
    parts = {WORDS: _words, BYTES: _bytes, PIECES: _pieces}[family.kind](source)
    added = _added_tokens(source, parts)
    ids = {**parts.ids, **{token["content"]: token["id"] for token in added}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": _post_processor(source, ids),
        "decoder": parts.decoder,
        "model": parts.model,
    }


def _named_family(folder: Folder, settings: Mapping[str, Any]) -> tuple[str, Family]:
    name = "KoBert" if folder.has(_KOBERT) else class_name(folder, settings)
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


@dataclass(frozen=True)
class _Source:
    """The folder, and what is known of its tokenizer."""

    folder: Folder
    name: str
    family: Family
    settings: Mapping[str, Any]

    def flag(self, key: str, default: bool | None) -> bool | None:
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
        return _content(self.settings.get(f"{role}_token"))


# ── vocab.txt ──────────────────────────────────────────────────────────────────────────────────


def _words(source: _Source) -> _Parts:
    """WordPiece over words that are cut at spaces, punctuation and Chinese characters."""
    what = f"vocab.txt of `{source.folder.name}`"
    lines = _lines(source.folder, "vocab.txt")
    tokens = lines[:-1] if lines[-1] == "" else lines
    _check_count(len(tokens), what)
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
    return _Parts(
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


def _cases(source: _Source, ids: Mapping[str, int]) -> tuple[bool | None, bool | None]:
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


# ── vocab.json and merges.txt ──────────────────────────────────────────────────────────────────


def _bytes(source: _Source) -> _Parts:
    """Byte-pair encoding over the bytes of a text."""
    folder = source.folder
    what = f"vocab.json of `{folder.name}`"
    ids = parse_json(folder.text("vocab.json", limit=MAX_BYTES), what)
    _check_count(len(ids), what)
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
        cut = _sequence("pretokenizers", {"type": "Split", **split}, {**cut, "use_regex": False})
    return _Parts(
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
    lines = _lines(folder, "merges.txt")
    if is_qwen:
        lines = [line for line in lines[lines[0].startswith("#version:") :] if line.strip()]
    else:
        # The first line is taken for a version, and what follows the last end of a line for
        # nothing, whatever they hold: as transformers does, so as to give the same ids.
        lines = lines[1:-1]
    _check_count(len(lines), f"merges.txt of `{folder.name}`")
    found: dict[tuple[str, str], None] = {}
    for line in lines:
        pair = line.split()
        if len(pair) != 2:
            raise InvalidModelError(
                f"merges.txt of `{folder.name}` has the line {line!r:.60}; each holds two tokens"
            )
        found[pair[0], pair[1]] = None
    return list(found)


# ── SentencePiece ──────────────────────────────────────────────────────────────────────────────


def _pieces(source: _Source) -> _Parts:
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
    return _Parts(
        model=model,
        ids=ids,
        size=len(pieces) if model["type"] == "Unigram" else len(ids),
        normalizer=_normalizer(source, read.character_map),
        pre_tokenizer=_cut_pieces(source),
        decoder=_joined_pieces(source),
        added=[
            _token(piece.text, special=piece.kind == special[0] or piece.text in _GEMMA_TURNS)
            for piece in read.pieces
            if piece.kind in special
        ],
    )


_GEMMA_TURNS = ("<start_of_turn>", "<end_of_turn>")


def _renumbered(
    source: _Source, read: sentencepiece.SentencePiece, what: str
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
            extra = range(_extra_ids(source) - 1, -1, -1)
            return [*pieces, *_unscored(*(f"<extra_id_{i}>" for i in extra))], read.unk_id
        case "Gemma":
            first = _unscored(*(source.token(role) or "" for role in ("pad", "eos", "bos")))
            pieces = [*first, *pieces[3:]]
            # The first Gemmas have no piece for a tab.
            if all(text != "\t" for text, _ in pieces):
                pieces = [("\t", 0.0) if text == "<0x09>" else (text, s) for text, s in pieces]
            return pieces, 3
        case "Llama":
            named = dict(_declared(source))
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
    source: _Source, pieces: list[tuple[str, float]], what: str
) -> tuple[list[tuple[str, float]], int]:
    """The pieces under the ids that vocab.txt gives them."""
    lines = _lines(source.folder, "vocab.txt")
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


def _normalizer(source: _Source, character_map: bytes) -> dict[str, Any] | None:
    one_space = _replace({"Regex": " {2,}"}, " ")
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
                steps += [_replace({"Regex": r"\s+"}, " "), _strip(left=True)]
            else:
                lower = [{"type": "Lowercase"}] if source.flag("do_lower_case", True) else []
            steps += [_replace({"String": "``"}, '"'), _replace({"String": "''"}, '"')]
            if not source.flag("keep_accents", False):
                steps += [{"type": "NFKD"}, {"type": "StripAccents"}]
                # The map puts no syllable together again, which SentencePiece itself would do.
                steps += [{"type": "NFC"}] if source.name == "KoBert" else []
            return _sequence("normalizers", *steps, *lower, *mapped, one_space)
        case "DebertaV2":
            return _sequence("normalizers", *lower, _strip(left=True), *mapped, one_space)
        case "Llama":
            if not source.flag("legacy", True):
                return None
            prepend = {"type": "Prepend", "prepend": SPACE}
            steps = [prepend] if source.flag("add_prefix_space", True) else []
            return _sequence("normalizers", *steps, _replace({"String": " "}, SPACE))
        case "Gemma":
            return _replace({"String": " "}, SPACE)
        case _:
            two_spaces = _replace({"Regex": " {2,}"}, SPACE)
            return _sequence("normalizers", *mapped, _strip(left=False), two_spaces)


def _metaspace(source: _Source, **options: Any) -> dict[str, Any]:
    scheme = "never"
    if source.flag("add_prefix_space", True):
        scheme = "always" if source.flag("legacy", True) else "first"
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, **options}


def _cut_pieces(source: _Source) -> dict[str, Any] | None:
    match source.name:
        case "Gemma":
            split = {"pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
            return {"type": "Split", **split}
        case "Llama":
            return None if source.flag("legacy", True) else _metaspace(source, split=False)
        case "DebertaV2":
            marks = {"type": "Punctuation", "behavior": "Isolated"}
            first = [marks] if source.flag("split_by_punct", False) else []
            return _sequence("pretokenizers", *first, _metaspace(source, split=True))
        case _:
            return _metaspace(source, split=True)


def _joined_pieces(source: _Source) -> dict[str, Any]:
    if source.name not in ("Llama", "Gemma"):
        return _metaspace(source, split=True)
    steps = [_replace({"String": SPACE}, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
    if source.name == "Llama" and source.flag("add_prefix_space", True):
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return _sequence("decoders", *steps)


def _extra_ids(source: _Source) -> int:
    count = source.settings.get("extra_ids", 100)
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= 10_000:
        raise InvalidModelError(
            f"`{source.folder.name}` has extra_ids = {count!r}; it may be from 0 to 10,000"
        )
    return count


# ── tokens that are found before anything else ─────────────────────────────────────────────────


def _added_tokens(source: _Source, parts: _Parts) -> list[dict[str, Any]]:
    """The tokens of the model, of the files and of the roles.

    The files know a token better than the model, and the class of a tokenizer better than the
    model, if it says more of it than its role.
    """
    declared = dict(sorted(_declared(source), key=lambda pair: pair[0]))
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
        says_more = content not in contents and token != _token(content, special=True)
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


def _declared(source: _Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """The added tokens that a file names, by id."""
    folder = source.folder
    decoder = source.settings.get("added_tokens_decoder")
    if decoder is None:
        for content, index in folder.optional_json("added_tokens.json").items():
            yield _id(index, folder), _token(content, special=False, normalized=True)
        return
    if not isinstance(decoder, dict):
        raise InvalidModelError(f"`{folder.name}` has an added_tokens_decoder that is no object")
    for index, token in cast("dict[str, Any]", decoder).items():
        number = int(index) if index.isdecimal() and len(index) < 10 else index
        yield _id(number, folder), _written_token(token, folder.name)


def _id(index: Any, folder: Folder) -> int:
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < MAX_ID:
        raise InvalidModelError(f"`{folder.name}` has an added token with the id {index!r:.40}")
    return index


def _role_tokens(source: _Source, known: set[str]) -> Iterator[dict[str, Any]]:
    """The tokens that have a role, and those that are special without one."""
    settings, family = source.settings, source.family
    for role in ROLES:
        given = settings.get(f"{role}_token")
        if given is None:
            continue
        if not isinstance(given, str):
            yield {**_written_token(given, source.folder.name), "special": True}
        # A list of tokens is whole, and what it lacks the model has no embedding for.
        elif family.kind == PIECES or given in known or given != family.roles.get(role):
            normalized, lstrip = role in family.normalized, role in family.lstrip
            yield _token(given, special=True, normalized=normalized, lstrip=lstrip)
    listed: Any = settings.get("additional_special_tokens") or []
    others = cast("list[Any]", listed) if isinstance(listed, list) else [listed]
    if source.name in ("T5", "MT5") and not any("<extra_id_" in str(t) for t in others):
        others = [*others, *(f"<extra_id_{i}>" for i in range(_extra_ids(source)))]
    for token in others:
        if isinstance(token, str):
            yield _token(token, special=True)
        else:
            yield {**_written_token(token, source.folder.name), "special": True}


def _token(
    content: str, *, special: bool, normalized: bool = False, lstrip: bool = False
) -> dict[str, Any]:
    return {
        "content": content,
        "single_word": False,
        "lstrip": lstrip,
        "rstrip": False,
        "normalized": normalized,
        "special": special,
    }


def _written_token(token: Any, name: str) -> dict[str, Any]:
    """A token as a file writes it, with its options."""
    content = _content(token)
    if not isinstance(token, dict) or content is None:
        raise InvalidModelError(f"`{name}` has the added token {token!r:.80}, which is none")
    options = cast("dict[str, Any]", token)
    special = bool(options.get("special", False))
    found = _token(content, special=special, normalized=not special)
    for key in ("single_word", "lstrip", "rstrip", "normalized"):
        if key in options:
            found[key] = bool(options[key])
    return found


def _content(token: Any) -> str | None:
    if isinstance(token, dict):
        token = cast("dict[str, Any]", token).get("content")
    return token if isinstance(token, str) else None


# ── what is put around a text ──────────────────────────────────────────────────────────────────


def _post_processor(source: _Source, ids: Mapping[str, int]) -> dict[str, Any] | None:
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
            token = _content(settings.get(f"{role}_token"))
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


# ── small things ───────────────────────────────────────────────────────────────────────────────


def _sequence(key: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", key: list(steps)}


def _replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _strip(*, left: bool) -> dict[str, Any]:
    return {"type": "Strip", "strip_left": left, "strip_right": True}


def _unscored(*tokens: str) -> list[tuple[str, float]]:
    return [(token, 0.0) for token in tokens]


def _lines(folder: Folder, name: str) -> list[str]:
    """The lines of a file, and what follows the last end of a line, which often is nothing."""
    text = folder.text(name, limit=MAX_BYTES)
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _check_count(count: int, what: str) -> None:
    if not 0 < count <= MAX_TOKENS:
        raise InvalidModelError(f"{what} has {count:,} entries; from 1 to {MAX_TOKENS:,} are read")
