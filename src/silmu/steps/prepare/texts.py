"""Texts as token ids: with the tokenizer of a backbone, or with a vocabulary that is made here.

What is fitted (`vocabulary`, `length`) is given the training texts and nothing else.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from silmu.errors import UnknownNameError, UsageError
from silmu.runtime.processor import not_empty
from silmu.runtime.text import MAX_CHARACTERS, Tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder

KINDS = ("bpe", "unigram", "characters")
PAD, UNK, SEP = "[PAD]", "[UNK]", "[SEP]"
SIZES = {"bpe": 16_000, "unigram": 16_000, "characters": 8_000}
LEAST = 2  # times that a character or a token must be seen
LONGEST = 512
"""Tokens that are read of a text where neither a backbone nor a setting says how many."""
LONGEST_ASKED = 1 << 16
SHARE = 0.995
"""Of the training texts that `max_length` lets whole."""
FIT_TEXTS = 500_000
LENGTH_TEXTS = 20_000
TOKENIZER_FILES = (
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_SEED_FACTOR, _ROUNDS, _KEPT = 2, 2, 0.7  # of the unigram vocabulary

Texts = Callable[[], Iterable[tuple[str, ...]]]
"""What gives the rows of one split, anew each time."""


@final
@dataclass
class Encodings:
    """Rows as token ids, and what was done to them."""

    ids: list[NDArray[np.int32]]
    type_ids: list[NDArray[np.int32]]
    truncated: int
    empty: int


def vocabulary(texts: Texts, kind: str, size: int | None, *, num_texts: int) -> bytes:
    """tokenizer.json of a vocabulary made from training texts.

    Characters are as NFC writes them, in lower case: a Hangul syllable is never taken apart. What
    was seen once is unknown. The same texts give the same bytes, on any number of threads.

    Args:
        texts: the training texts.
        kind: `bpe` (Sennrich et al. 2016), `unigram` (Kudo 2018, by its best segmentations),
            `characters`, or `auto`: characters for Hangul, kana and Chinese, whose syllables and
            signs are short words already, and otherwise `bpe`.
        size: tokens at most.
        num_texts: how many texts there are; of more than 500,000, every second or third is read.

    Raises:
        UsageError: too small a size.
    """
    if kind not in ("auto", *KINDS):
        raise UnknownNameError(f"vocabulary is {kind!r}; it may be auto, {', '.join(KINDS)}")
    if size is not None and size < 100:
        raise UsageError(f"vocabulary_size is {size}; it must be at least 100")
    step = -(-num_texts // FIT_TEXTS)
    pairs = False
    clean = _normalizer()
    letters: Counter[str] = Counter()
    for parts in _some(texts, step):
        pairs = pairs or len(parts) > 1
        for part in parts:
            letters.update(clean.normalize_str(part))
    if kind == "auto":
        kind = "characters" if _is_mostly_syllables(letters) else "bpe"
    size = SIZES[kind] if size is None else size
    special = [PAD, UNK, SEP] if pairs else [PAD, UNK]
    blank = {letter for letter in letters if letter.isspace()}
    common = sorted(letters.keys() - blank, key=lambda letter: (-letters[letter], letter))
    known = common[: size // (1 if kind == "characters" else 2)]
    known = [one for one in known if letters[one] >= LEAST and one != _BLANK]
    rare = dict.fromkeys(map(ord, letters.keys() - set(known)), " ")

    def words() -> Iterator[str]:
        for parts in _some(texts, step):
            for part in parts:
                yield clean.normalize_str(part).translate(rare)

    if kind == "characters":
        tokens = [*special, _BLANK, *known][:size]
        rust = _assembled(models.BPE({t: i for i, t in enumerate(tokens)}, [], unk_token=UNK))
        rust.add_special_tokens(special)  # pyright: ignore[reportUnknownMemberType]
    else:
        rust = _trained(words(), special, size * (_SEED_FACTOR if kind == "unigram" else 1))
        if kind == "unigram":
            rust = _unigram(words(), rust, special, size)
    if pairs:
        rust.post_processor = processors.TemplateProcessing(
            single="$A:0",
            pair=f"$A:0 {SEP}:0 $B:1",
            special_tokens=[(SEP, special.index(SEP))],
        )
    return rust.to_str().encode()


def _is_mostly_syllables(letters: Counter[str]) -> bool:
    """Whether most letters are of Hangul, kana or Chinese."""
    words = {letter: count for letter, count in letters.items() if letter.isalpha()}
    own = sum(n for c, n in words.items() if "\u3040" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3")
    return 2 * own > sum(words.values())


def vocabulary_config(max_length: int, *, pairs: bool) -> bytes:
    """tokenizer_config.json beside it, with which transformers opens it as well."""
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "pad_token": PAD,
        "unk_token": UNK,
    }
    return as_json(config | ({"sep_token": SEP} if pairs else {}))


def backbone_config(folder: Folder, max_length: int) -> bytes:
    """tokenizer_config.json of a backbone, reading as much of a text as is trained on."""
    return as_json(folder.optional_json("tokenizer_config.json") | {"model_max_length": max_length})


def backbone_limit(folder: Folder, tokenizer: Tokenizer) -> int:
    """How many tokens a backbone can read."""
    given = (folder.config.get(name) for name in ("max_position_embeddings", "n_positions"))
    return min(
        [tokenizer.model_max_length, *(size for size in given if isinstance(size, int))],
    )


def length(
    tokenizer: Tokenizer, texts: Texts, *, limit: int, num_texts: int, asked: int | None = None
) -> int:
    """How many tokens of a text are read: as many as 99.5 % of the training texts have.

    Raises:
        UsageError: more was asked for than the network can read.
    """
    if asked is not None:
        if not 1 <= asked <= limit:
            raise UsageError(f"max_length is {asked}; it may be from 1 to {limit:,}")
        return asked
    rows = _some(texts, -(-num_texts // LENGTH_TEXTS))
    lengths = [len(tokenizer.encode(*_cut(parts))) for parts in rows]
    most = math.ceil(np.quantile(lengths, SHARE, method="higher"))
    return min(max(-(-most // 8) * 8, 8), limit)


def encode(tokenizer: Tokenizer, rows: Iterable[tuple[str, ...]], max_length: int) -> Encodings:
    """Rows as a pipeline would read them."""
    found = Encodings([], [], 0, 0)
    for parts in rows:
        read = tokenizer.encode(*_cut(parts), truncation=True, max_length=max_length)
        found.truncated += bool(read.overflowing)
        found.empty += 0 not in read.special
        read = not_empty(tokenizer, read)
        found.ids.append(np.array(read.ids, np.int32))
        if len(parts) > 1:
            found.type_ids.append(np.array(read.type_ids, np.int32))
    return found


def as_json(values: object) -> bytes:
    """A JSON file."""
    return json.dumps(values, ensure_ascii=False, indent=1).encode() + b"\n"


_BLANK = "\u2581"  # what stands before a word


def _normalizer() -> Any:
    clean = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=True
    )
    return normalizers.Sequence([clean, normalizers.NFC()])


def _assembled(model: Any) -> RustTokenizer:
    rust = RustTokenizer(model)
    rust.normalizer = _normalizer()
    rust.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(_BLANK, prepend_scheme="always", split=False),
            pre_tokenizers.Punctuation(),
        ]
    )
    rust.decoder = decoders.Metaspace(_BLANK, prepend_scheme="always")
    return rust


def _trained(words: Iterator[str], special: list[str], size: int) -> RustTokenizer:
    rust = _assembled(models.BPE(unk_token=UNK))
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=LEAST, special_tokens=special, show_progress=False
    )
    rust.train_from_iterator(words, trainer)
    return rust


def _unigram(
    words: Iterator[str], seeds: RustTokenizer, special: list[str], size: int
) -> RustTokenizer:
    """The tokens of a larger vocabulary that the best segmentations of the words use most.

    The trainer of the library sums in the order of its threads, and so never gives the same twice.
    """
    pre: Any = seeds.pre_tokenizer
    counts: Counter[str] = Counter()
    for text in words:
        counts.update(word for word, _ in pre.pre_tokenize_str(text))
    numbers = seeds.get_vocab()
    tokens = sorted(numbers.keys() - set(special), key=lambda token: numbers[token])
    used = _use(seeds.model, counts)
    while True:
        model: Any = None
        for _ in range(_ROUNDS):
            total = sum(used.values()) + len(tokens)
            scores = [(token, math.log((used[token] + 1) / total)) for token in tokens]
            pairs = [*((token, 0.0) for token in special), *scores]
            model = models.Unigram(pairs, special.index(UNK), False)
            used = _use(model, counts)
        if len(special) + len(tokens) <= size:
            break
        tokens.sort(key=lambda token: (len(token) > 1, -used[token], token))
        del tokens[max(int(len(tokens) * _KEPT), size - len(special)) :]
    rust = _assembled(model)
    rust.add_special_tokens(special)  # pyright: ignore[reportUnknownMemberType]
    return rust


def _use(model: Any, counts: Counter[str]) -> Counter[str]:
    """How often each token stands in the best segmentations of words."""
    used: Counter[str] = Counter()
    for word, count in counts.items():
        for token in model.tokenize(word):
            used[token.value] += count
    return used


def _some(texts: Texts, step: int) -> Iterator[tuple[str, ...]]:
    for i, parts in enumerate(texts()):
        if i % max(step, 1) == 0:
            yield tuple(part[:MAX_CHARACTERS] for part in parts)


def _cut(parts: tuple[str, ...]) -> tuple[str, ...]:
    """A text, or a pair, of no more characters than are read at once; an empty second is none."""
    most = MAX_CHARACTERS // len(parts)
    first, *second = (part[:most] for part in parts)
    return (first, *filter(None, second))
