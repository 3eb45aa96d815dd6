"""Folders without a tokenizer.json give the ids and offsets that transformers gives.

The vocabularies are tiny, and of every kind; what transformers made of each text is recorded by
tools/make_tokenizer_golden.py.
"""

from __future__ import annotations

import base64
import json
import math
import pickle
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tokenizer_cases as cases
from judge import CAN_FORK, Judge
from silmu.errors import (
    InvalidModelError,
    ModelNotFoundError,
    UnsafeModelError,
    UnsupportedModelError,
)
from silmu.runtime import tokenizer_sentencepiece as sentencepiece
from silmu.runtime.folder import Folder
from silmu.runtime.text import Encoded, Tokenizer

GOLDEN = json.loads(
    (Path(__file__).parent / "golden/4.57.6/tokenizers.json").read_text(encoding="utf-8")
)
TEXTS = cases.texts()


def opened(path: Path, case: cases.Case) -> Tokenizer:
    cases.write(case, path)
    return Tokenizer.open(Folder(path, path.name))


def digest_of(row: Encoded) -> str:
    return cases.digest(row.ids, row.type_ids, row.encoding.offsets)


def split(digests: str) -> list[str]:
    return [digests[i : i + cases.LETTERS] for i in range(0, len(digests), cases.LETTERS)]


@pytest.mark.parametrize("name", cases.CASES)
def test_ids_and_offsets_as_transformers_gives_them(name: str, tmp_path: Path) -> None:
    golden: dict[str, Any] = GOLDEN[name]
    tokenizer = opened(tmp_path, cases.CASES[name])

    assert len(tokenizer) == golden["size"]
    for index, (ids, offsets) in golden["shown"].items():
        row = tokenizer.encode(TEXTS[int(index)])
        assert row.ids == ids, TEXTS[int(index)]
        assert [list(pair) for pair in row.encoding.offsets] == offsets, TEXTS[int(index)]
    rows = [tokenizer.encode(text) for text in TEXTS]
    recorded = split(golden["digests"])
    assert len(recorded) == len(TEXTS) >= 2000
    wrong = [i for i, row in enumerate(rows) if digest_of(row) != recorded[i]]
    assert not wrong, [TEXTS[i] for i in wrong[:5]]
    for i, digest in enumerate(split(golden["pairs"])):
        row = tokenizer.encode(TEXTS[-i - 1], TEXTS[i] or "x")
        assert digest_of(row) == digest, (TEXTS[-i - 1], TEXTS[i])
    for i, text in enumerate(golden["decoded"]):
        assert tokenizer.decode(rows[i].ids, skip_special_tokens=True) == text


# ── what is said of the files, and what they leave open ────────────────────────────────────────


def test_hangul_is_not_taken_apart_where_the_vocabulary_is_of_syllables(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    silent = opened(tmp_path / "silent", cases.Case("bert", cases.CASED))
    told = opened(tmp_path / "told", cases.Case("bert", cases.CASED, {"do_lower_case": False}))
    for text in cases.KOREAN:
        assert silent.encode(text).ids == told.encode(text).ids
        assert silent.special_id("unk") not in silent.encode(text).ids
    assert "strip_accents" in caplog.text

    forced = opened(
        tmp_path / "forced",
        cases.Case("bert", cases.CASED, {"do_lower_case": True, "strip_accents": True}),
    )
    assert forced.special_id("unk") in forced.encode(cases.KOREAN[0]).ids


def test_the_class_decides_what_no_file_says(tmp_path: Path) -> None:
    bert = opened(tmp_path / "bert", cases.CASES["bert"])
    assert (bert.cls_token, bert.pad_token_id, bert.mask_token_id) == ("[CLS]", 0, 4)
    assert "token_type_ids" in bert("a")
    distil = opened(tmp_path / "distil", cases.Case("distilbert", cases.WORDS))
    assert "token_type_ids" not in distil("a")
    llama = opened(tmp_path / "llama", cases.CASES["llama"])
    assert (llama.padding_side, llama.pad_token) == ("left", None)


def test_a_class_of_its_own_may_be_named_in_either_config(tmp_path: Path) -> None:
    config = cases.Case("unheard-of", cases.WORDS, {"tokenizer_class": "BertTokenizerFast"})
    row = opened(tmp_path / "a", config).encode("the sea")
    assert row.ids == opened(tmp_path / "b", cases.CASES["bert"]).encode("the sea").ids


KOBERT = cases.Case(
    "bert",
    {"tokenizer_78b3253a26.model": "kobert.model+map", "vocab.txt": "kobert.txt"},
    {"auto_map": {"AutoTokenizer": ["tokenization_kobert.KoBertTokenizer", None]}},
)


def test_kobert_is_rebuilt_without_its_code(tmp_path: Path) -> None:
    # What its classes do to a text was recorded from XLNetTokenizer, of which they are copies.
    tokenizer = opened(tmp_path, KOBERT)
    recorded = split(GOLDEN["kobert"]["digests"])
    rows = [tokenizer.encode(text).ids for text in TEXTS]
    wrong = [i for i, ids in enumerate(rows) if cases.digest(ids, [], []) != recorded[i]]
    ordinary = [i for i in wrong if not _ODD.search(TEXTS[i])]
    assert not ordinary, [TEXTS[i] for i in ordinary[:5]]
    assert sum(not _ODD.search(text) for text in TEXTS) > 1400
    assert tokenizer.encode("한강", "서울").type_ids[-1] == 1


# A marker in a text is found as such, which their tokenizer does not do; and what has no width is
# for SentencePiece itself sometimes nothing, sometimes a space, and for the library another thing.
_ODD = re.compile(
    r"\[(?:MASK|CLS|SEP|UNK|PAD)\]|[\u200b-\u200f\u2028\u202e\ufeff\ufffd▁\x00-\x08\x0e-\x1f\x7f-\x9f\xad]"
    r"|\s\u0301"
)


@pytest.mark.parametrize(
    ("settings", "files", "words"),
    [
        ({"tokenizer_class": "KoBigThingTokenizer", "auto_map": {}}, cases.WORDS, "never run"),
        ({"tokenizer_class": "PhobertTokenizer"}, cases.WORDS, "does not know"),
        ({}, {"vocab.txt": "kobert.txt"}, "SentencePiece"),
    ],
)
def test_what_cannot_be_read_right_is_refused(
    settings: dict[str, Any], files: dict[str, str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModelError, match=words):
        opened(tmp_path, cases.Case("bert", files, settings))


@pytest.mark.parametrize(
    ("model_type", "files", "words"),
    [
        ("bert", {}, "vocab.txt"),
        ("gpt2", {"vocab.json": "bytes.json"}, "merges.txt"),
        ("t5", cases.WORDS, "spiece.model"),
        ("gpt_neox", cases.BYTES, "tokenizer.json"),
        ("unheard-of", cases.WORDS, "names the class"),
    ],
)
def test_what_is_not_there_is_named(
    model_type: str, files: dict[str, str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelNotFoundError, match=words):
        opened(tmp_path, cases.Case(model_type, files))


def test_a_tokenizer_json_heeds_the_settings_beside_it(tmp_path: Path) -> None:
    def saved(name: str, case: cases.Case, **settings: Any) -> Tokenizer:
        path = tmp_path / name
        opened(path, case).backend_tokenizer.save(str(path / "tokenizer.json"))
        (path / "tokenizer_config.json").write_text(json.dumps(settings))
        return Tokenizer.open(Folder(path, name))

    lower = saved("bert", cases.CASES["bert-cased"])
    assert lower.cls_token == "[CLS]", "its class says so"
    assert "[UNK]" not in lower.encode("한국").encoding.tokens, "what is not said stays as it is"
    upper = saved("lower", cases.CASES["bert-cased"], do_lower_case=True)
    assert upper.encode("I").ids == upper.encode("i").ids != lower.encode("I").ids
    spaced = saved("roberta", cases.CASES["roberta"], add_prefix_space=True)
    row = opened(tmp_path / "other", cases.CASES["roberta-prefix-space"]).encode("sea air")
    assert spaced.encode("sea air").ids == row.ids
    framed = saved("llama", cases.CASES["llama"], add_bos_token=False, add_eos_token=True)
    assert framed.encode("sea").encoding.tokens[-1] == "</s>"
    assert framed.encode("sea").encoding.tokens[0] != "<s>"


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({"max_len": 5}, 5),
        ({"max_len": 5, "model_max_length": 7}, 7),
        ({"max_len": 5, "model_max_length": None}, int(1e30)),
        ({}, int(1e30)),
    ],
)
def test_older_files_call_the_limit_max_len(
    settings: dict[str, Any], most: int, tmp_path: Path
) -> None:
    """As those of many Korean models do."""
    tokenizer = opened(tmp_path, cases.CASES["bert-cased"])
    text = "sea " * 20
    whole = len(tokenizer.encode(text))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = Tokenizer.open(Folder(tmp_path, "older"))
    assert tokenizer.model_max_length == most
    assert len(tokenizer.encode(text, truncation=True)) == min(whole, most)


# ── broken and hostile files ───────────────────────────────────────────────────────────────────

PIECES = [cases.piece("<unk>", kind=2), cases.piece("<s>", kind=3), cases.piece("</s>", kind=3)]
XLM = ("xlm-roberta", "sentencepiece.bpe.model")
LLAMA = ("llama", "tokenizer.model")
BPE = cases.message(2, b"\x18\x02")


def spm(*parts: bytes) -> bytes:
    return b"".join([*PIECES, cases.piece("▁a", -1.0), *parts])


def charmap(trie: bytes, texts: bytes, claimed: int | None = None) -> bytes:
    size = len(trie) if claimed is None else claimed
    return cases.message(3, cases.message(2, size.to_bytes(4, "little") + trie + texts))


BROKEN: dict[str, tuple[tuple[str, str], bytes]] = {
    "empty": (XLM, b""),
    "only a number": (XLM, b"\x08\x01"),
    "cut in a number": (XLM, spm() + b"\x0a"),
    "a length beyond the end": (XLM, spm() + b"\x0a\xff\xff\xff\x7f"),
    "a length one too long": (XLM, spm() + b"\x0a\x09\x0a\x01b\x15\x00\x00\x80\xbf"),
    "a length of 2**63": (XLM, spm() + b"\x0a" + b"\xff" * 8 + b"\x7f"),
    "a number without end": (XLM, spm() + b"\x08" + b"\xff" * 40),
    "a group": (XLM, spm() + b"\x0b\x0c"),
    "field 0": (XLM, spm() + b"\x02\x01a"),
    "a float cut short": (XLM, spm() + b"\x15\x00"),
    "a piece that is not UTF-8": (XLM, spm(cases.piece(b"\xff\xfe"))),
    "an empty piece": (XLM, spm(cases.piece(""))),
    "a score that is no number": (XLM, spm(cases.piece("b", math.nan))),
    "an endless score": (XLM, spm(cases.piece("b", -math.inf))),
    "a piece without end": (XLM, spm(cases.piece("a" * 100_000))),
    "a piece of pieces": (XLM, spm(cases.message(1, cases.message(1, spm()) * 3))),
    "whole words": (XLM, spm(cases.message(2, b"\x18\x03"))),
    "an unknown token beyond the end": (
        ("deberta-v2", "spm.model"),
        spm(cases.message(2, b"\xc0\x02\xff\x7f")),
    ),
    "pairs without end": (LLAMA, spm(BPE, *(cases.piece("a" * 500 + str(i)) for i in range(9000)))),
    "an unknown token that is not there": (
        LLAMA,
        spm(BPE, cases.message(2, cases.varint(45 << 3 | 2) + b"\x03<x>")),
    ),
    "a map that claims too much": (XLM, spm(charmap(b"", b"", claimed=1 << 31))),
    "a map cut short": (XLM, spm(cases.message(3, cases.message(2, b"\x01")))),
    "a map that is not UTF-8": (XLM, spm(charmap(b"\0" * 1024, b"\xff\xfe\0"))),
    "a map that makes a book of a letter": (
        XLM,
        spm(charmap(b"\0" * 1024, b"a" * 100_000 + b"\0")),
    ),
    "a text": (XLM, b'{"model": {}}'),
    "a pickle": (XLM, pickle.dumps({"pieces": [1]})),
    "vocab.txt empty": (("bert", "vocab.txt"), b""),
    "vocab.txt without the unknown": (("bert", "vocab.txt"), b"[PAD]\n[CLS]\n[SEP]\na\n"),
    "vocab.txt without [CLS]": (("bert", "vocab.txt"), b"[PAD]\n[UNK]\n[SEP]\na\n"),
    "vocab.txt not UTF-8": (("bert", "vocab.txt"), b"[UNK]\n\xff\n"),
    "vocab.txt of too many": (("bert", "vocab.txt"), b"a\n" * (1 << 21 | 1)),
    "vocab.json of a list": (("gpt2", "vocab.json"), b"[]"),
    "vocab.json empty": (("gpt2", "vocab.json"), b"{}"),
    "vocab.json of texts": (("gpt2", "vocab.json"), b'{"a": "0"}'),
    "vocab.json of truths": (("gpt2", "vocab.json"), b'{"a": true}'),
    "vocab.json below nothing": (("gpt2", "vocab.json"), b'{"a": -1}'),
    "vocab.json beyond all": (("gpt2", "vocab.json"), b'{"a": 1e99}'),
    "vocab.json of twins": (("gpt2", "vocab.json"), b'{"a": 0, "b": 0}'),
    "vocab.json with a key twice": (("gpt2", "vocab.json"), b'{"a": 0, "a": 1}'),
    "merges.txt of threes": (("gpt2", "merges.txt"), b"#version\na b c\nd\n"),
    "merges.txt of strangers": (("gpt2", "merges.txt"), b"#version\nqq zz\n\n"),
    "merges.txt not UTF-8": (("gpt2", "merges.txt"), b"\xff\n\xff\n\n"),
    "added_tokens.json of texts": (("bert", "added_tokens.json"), b'{"x": "y"}'),
    "added_tokens.json elsewhere": (("bert", "added_tokens.json"), b'{"x": 7}'),
    "an added token that is a number": (
        ("bert", "tokenizer_config.json"),
        b'{"added_tokens_decoder": {"420": 5}}',
    ),
    "an added token without a number": (
        ("bert", "tokenizer_config.json"),
        b'{"added_tokens_decoder": {"x": {"content": "y"}}}',
    ),
    "added tokens that are a list": (
        ("bert", "tokenizer_config.json"),
        b'{"added_tokens_decoder": [1]}',
    ),
    "a flag that is a text": (("bert", "tokenizer_config.json"), b'{"do_lower_case": "no"}'),
    "a role that is a list": (("bert", "tokenizer_config.json"), b'{"cls_token": ["[CLS]"]}'),
    "a million extra tokens": (("t5", "tokenizer_config.json"), b'{"extra_ids": 1000000}'),
    "more extra tokens than none": (("t5", "tokenizer_config.json"), b'{"extra_ids": -1}'),
}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as one:
        yield one


def tokenized(folder: str) -> list[int]:
    """A case of the judge: opens a tokenizer and reads a text."""
    return Tokenizer.open(Folder(Path(folder), folder)).encode("the sea, 한강 a").ids


@pytest.mark.skipif(not CAN_FORK, reason="the judge needs os.fork")
@pytest.mark.parametrize("model_type", sorted({model for (model, _), _ in BROKEN.values()}))
def test_the_folders_are_sound_before(model_type: str, judge: Judge, tmp_path: Path) -> None:
    cases.write(cases.CASES[model_type], tmp_path)
    assert judge("test_tokenizer_conversion:tokenized", folder=tmp_path).outcome == "ok"


@pytest.mark.skipif(not CAN_FORK, reason="the judge needs os.fork")
@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(name: str, judge: Judge, tmp_path: Path) -> None:
    (model_type, file), data = BROKEN[name]
    cases.write(cases.CASES[model_type], tmp_path)
    (tmp_path / file).write_bytes(data)

    verdict = judge("test_tokenizer_conversion:tokenized", folder=tmp_path)

    assert verdict.outcome == "typed error", verdict
    assert len(verdict.message) < 4000


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.skipif(not CAN_FORK, reason="the judge needs os.fork")
def test_flipped_bits_never_crash(seed: int, judge: Judge, tmp_path: Path) -> None:
    chance = random.Random(seed)
    for case in (cases.CASES["t5"], cases.CASES["llama"], cases.CASES["bert"], cases.CASES["gpt2"]):
        path = tmp_path / case.model_type
        cases.write(case, path)
        for name in case.files:
            data = bytearray((path / name).read_bytes())
            for _ in range(1 + seed * 5):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            (path / name).write_bytes(data[: chance.choice((len(data), len(data) // 2))])
        verdict = judge("test_tokenizer_conversion:tokenized", folder=path)
        assert verdict.outcome in ("ok", "typed error"), (case, verdict)


@pytest.mark.parametrize(
    "data", [bytes([i, j]) for i in range(0, 256, 5) for j in (0, 7, 128, 255)]
)
def test_two_bytes_are_no_model(data: bytes) -> None:
    with pytest.raises(InvalidModelError):
        sentencepiece.read(data, "x")


def test_a_map_of_characters_in_a_tokenizer_json_is_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "model"
    opened(path, cases.CASES["xlm-roberta"]).backend_tokenizer.save(str(path / "tokenizer.json"))
    assert Tokenizer.open(Folder(path, "model")).encode("ﷺ").ids
    data = json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))
    blob = (1024).to_bytes(4, "little") + b"\0" * 1024 + b"a" * 100_000 + b"\0"
    steps = data["normalizer"]["normalizers"]
    steps[0]["precompiled_charsmap"] = base64.b64encode(blob).decode()
    (path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UnsafeModelError, match="one character"):
        Tokenizer.open(Folder(path, "model"))
