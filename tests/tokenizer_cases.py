"""Folders without a tokenizer.json, and texts to put through them.

tools/make_tokenizer_golden.py writes the vocabularies of tests/vocabularies and records what
transformers makes of each text; tests/test_tokenizer_conversion.py compares.
"""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import random
import struct
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VOCABULARIES = Path(__file__).parent / "vocabularies"
CHARACTER_MAP = "nmt_nfkc.xz"
NUM_TEXTS, NUM_SHOWN, NUM_PAIRS = 2000, 8, 200
LETTERS = 3


@dataclass(frozen=True)
class Case:
    """A folder: its config.json, tokenizer_config.json, other JSON files, and vocabularies.

    A vocabulary that ends with `+map` gets the character map that SentencePiece calls nmt_nfkc,
    which is kept once, because it is large.
    """

    model_type: str
    files: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    others: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


WORDS = {"vocab.txt": "words.txt"}
CASED = {"vocab.txt": "words-cased.txt"}
BYTES = {"vocab.json": "bytes.json", "merges.txt": "bytes-merges.txt"}


def _added(**tokens: dict[str, Any]) -> dict[str, Any]:
    decoder = {
        index.removeprefix("at"): {
            **{"lstrip": False, "rstrip": False, "normalized": False, "single_word": False},
            **{"special": True, **token},
        }
        for index, token in tokens.items()
    }
    return {"added_tokens_decoder": decoder}


CASES = {
    "bert": Case("bert", WORDS),
    "bert-cased": Case("bert", CASED, {"do_lower_case": False}),
    "bert-as-one-word": Case(
        "bert",
        CASED,
        {"do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False},
    ),
    "bert-added": Case(
        "bert",
        WORDS,
        {"model_max_length": 64},
        {
            "added_tokens.json": {"[SEOUL]": 420, "Straße": 421, "[CLS]": 2},
            "special_tokens_map.json": {"additional_special_tokens": ["[SEOUL]"]},
        },
    ),
    "electra": Case(
        "electra", CASED, {"do_lower_case": False, "tokenizer_class": "ElectraTokenizer"}
    ),
    "distilbert": Case(
        "distilbert",
        CASED,
        {
            "do_lower_case": False,
            **_added(
                at4={"content": "[MASK]", "lstrip": True},
                at420={"content": "한강", "special": False, "single_word": True},
                at421={"content": "<ent>", "special": False, "normalized": True, "rstrip": True},
            ),
        },
    ),
    "mpnet": Case("mpnet", {"vocab.txt": "words-mpnet.txt"}),
    "gpt2": Case("gpt2", BYTES),
    "gpt2-prefix-space": Case("gpt2", BYTES, {"add_prefix_space": True, "add_bos_token": True}),
    "gpt2-chat": Case(
        "gpt2",
        BYTES,
        {
            "eos_token": "<|im_end|>",
            **_added(at420={"content": "<|im_start|>"}, at421={"content": "<|im_end|>"}),
        },
    ),
    "roberta": Case("roberta", BYTES),
    "roberta-prefix-space": Case(
        "roberta", BYTES, {"add_prefix_space": True, "trim_offsets": False}
    ),
    "bart": Case(
        "bart",
        BYTES,
        others={
            "special_tokens_map.json": {
                "mask_token": {"content": "<mask>", "lstrip": True, "normalized": True}
            }
        },
    ),
    "deberta": Case("deberta", BYTES, {"do_lower_case": False}),
    "qwen2": Case("qwen2", BYTES, {"add_prefix_space": False}),
    "albert": Case("albert", {"spiece.model": "albert.model+map"}),
    "albert-cased": Case(
        "albert",
        {"spiece.model": "albert.model+map"},
        {"do_lower_case": False, "keep_accents": True},
    ),
    "xlm-roberta": Case("xlm-roberta", {"sentencepiece.bpe.model": "fairseq.model+map"}),
    "xlm-roberta-no-map": Case("xlm-roberta", {"sentencepiece.bpe.model": "fairseq.model"}),
    "camembert": Case("camembert", {"sentencepiece.bpe.model": "fairseq.model+map"}),
    "t5": Case("t5", {"spiece.model": "t5.model+map"}),
    "t5-first": Case("t5", {"spiece.model": "t5.model+map"}, {"legacy": False, "extra_ids": 5}),
    "mt5": Case("mt5", {"spiece.model": "t5.model+map"}, {"extra_ids": 0}),
    "deberta-v2": Case("deberta-v2", {"spm.model": "deberta.model+map"}),
    "deberta-v2-lower": Case(
        "deberta-v2",
        {"spm.model": "deberta.model+map"},
        {"do_lower_case": True, "split_by_punct": True},
    ),
    "llama": Case("llama", {"tokenizer.model": "llama.model"}, {"legacy": True}),
    "llama-first": Case(
        "llama",
        {"tokenizer.model": "llama.model"},
        {
            "legacy": False,
            "add_eos_token": True,
            **_added(at500={"content": "<|user|>"}, at501={"content": "<pad>"}),
            "pad_token": "<pad>",
        },
    ),
    "mistral": Case(
        "mistral",
        {"tokenizer.model": "llama.model"},
        {"legacy": False, "add_prefix_space": False, "add_bos_token": False},
    ),
    "gemma": Case("gemma", {"tokenizer.model": "gemma.model"}),
}
"""Folders that transformers opens; there is another in the test, which it does not."""


def write(case: Case, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "config.json": {"model_type": case.model_type},
        "tokenizer_config.json": case.settings,
        **case.others,
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    for name, source in case.files.items():
        (folder / name).write_bytes(vocabulary(source))


def vocabulary(source: str) -> bytes:
    data = (VOCABULARIES / source.removesuffix("+map")).read_bytes()
    if source.endswith("+map"):
        # A message that comes twice in a protocol buffer is merged.
        data += message(3, message(2, lzma.decompress((VOCABULARIES / CHARACTER_MAP).read_bytes())))
    return data


def message(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def piece(text: str | bytes, score: float = 0.0, kind: int = 1) -> bytes:
    """A piece of a SentencePiece model."""
    text = text.encode() if isinstance(text, str) else text
    return message(
        1, message(1, text) + b"\x15" + struct.pack("<f", score) + b"\x18" + varint(kind)
    )


def digest(ids: list[int], types: list[int], offsets: list[tuple[int, int]]) -> str:
    """A few letters that stand for what a tokenizer gave."""
    told = json.dumps([ids, types, [list(pair) for pair in offsets]], separators=(",", ":"))
    return base64.b64encode(hashlib.sha256(told.encode()).digest()).decode()[:LETTERS]


ENGLISH = """\
The lighthouse keeper climbed the narrow stairs every evening before the sun went down.
She carried a small lamp, a bottle of oil and the letter that her brother had written.
Nobody in the village knew why the light had failed on the night of the great storm.
The company was founded in 1987 by three engineers; it sold 12,500 pumps in the year 2021.
I loved this movie: the story was warm, the actors were wonderful and the music was perfect.
Where do you live? What's your name? I'm sure they've written it, haven't they?
An unbelievable, unforgettable, extraordinarily beautiful performance!
""".splitlines()
KOREAN = """\
등대지기는 매일 저녁 좁은 계단을 올라갔다.
한국의 수도는 서울이다. 서울에는 한강이 흐른다.
이 영화는 정말 재미있고 음악도 좋았다.
나는 부산에서 태어나서 서울에서 살고 있다.
철수가 학교에서는 조용하지만 집에서는 시끄럽다.
세종대왕은 1443년에 훈민정음을 만들었다고 합니다.
삼성전자와 LG전자의 2023년 매출은 3조 2,500억 원이었다.
""".splitlines()
ODD = (
    *("", " ", "\t", "\n", "  \n\n ", "\u00a0", "\u3000", "\u200b", "\u2028", "\ufeff", "\ufffd"),
    *("\x00", "\x01", "\x07", "\x1b[0m", "\x7f", "\u0085", "\u00ad", "\u200d", "\u202e", "\r\n"),
    *("😀", "👨‍👩‍👧‍👦", "🇰🇷", "❤️", "👍🏽", "①", "㎏", "㈜", "½", "ﷺ", "ﬁ", "Å", "ǅ", "İ", "ß", "ŉ"),
    *(
        "café",
        "cafe\u0301",
        "naïve",
        "e\u0323\u0302",
        "\u0301",
        "\uff21\uff42\uff11",
        "ｱﾞ",
        "カ\u3099",
        "한",
        "ㅎㅏㄴ",
    ),
    *(
        "ᄒ",
        "ᅡᆫ",
        "\u1112\u1161\u11ab\u11ab",
        "ﾡ",
        "漢字",
        "中文。",
        "日本語です",
        "ไทย",
        "हिन्दी",
        "עברית",
    ),
    *("[MASK]", " [MASK] ", "[CLS]", "[SEP]", "[UNK]", "<mask>", "  <mask>  ", "<s>", "</s>"),
    *("<pad>", "<unk>", "<extra_id_0>", " <extra_id_3> ", "<|endoftext|>", "<0x0A>", "<bos>"),
    *("[SEOUL]", "straße", "Straße", "한강", "한강이", "<ent>", "<|im_start|>", "<start_of_turn>"),
    *("``quoted''", "don't", "DON'T", "1,", "1,234,567.89", "3.14", "a,b", ",,", "...", "—", "…"),
    *("▁", "##", "##a", "Ġ", "http://a.b/c?d=e&f", "a@b.kr", "C++", "x_y", "$5", "100%", "\\n"),
    *("\U0001f9ff", "\U00020000", "\U0010ffff", "ꥠ", "가\u11a8", "각", "\u1100\u1161", "ᄀᆞᆷ"),
)
LONG = ("a" * 99, "b" * 101, "한" * 120, "x1" * 150, "가나다" * 60, "supercalifragilistic" * 12)


def texts() -> list[str]:
    """The same 2,000 texts, wherever they are made."""
    chance = random.Random(20_240_601)
    alone = [*ENGLISH, *KOREAN, *ODD, *LONG]
    found = [*alone, *(unicodedata.normalize("NFD", text) for text in alone)]
    spaces = (" ", " ", " ", " ", "", "  ", "\n", "\t", "\u00a0", "   ", "\u3000")
    while len(found) < NUM_TEXTS:
        kind = chance.randrange(8)
        words: list[str] = []
        for _ in range(chance.randrange(1, 9)):
            source = (ENGLISH, KOREAN, (*ENGLISH, *KOREAN), ODD)[min(kind, 3) if kind < 4 else 2]
            line = chance.choice(source)
            pieces = line.split(" ")
            words.append(chance.choice(pieces))
            if kind >= 4 and not chance.randrange(3):
                words.append(chance.choice(ODD))
            if kind == 7 and not chance.randrange(6):
                words.append(chance.choice(LONG)[: chance.randrange(1, 130)])
        text = ""
        for word in words:
            text += word + chance.choice(spaces)
        if chance.randrange(3):
            text = text.strip()
        form = chance.randrange(6)
        if form < 2:
            text = unicodedata.normalize(("NFD", "NFC")[form], text)
        elif form == 2:
            text = text.upper()
        found.append(text)
    return found
