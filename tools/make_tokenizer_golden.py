"""Makes tests/vocabularies and tests/golden/<version>/tokenizers.json.

    PYTHONPATH=.:tests python tools/make_tokenizer_golden.py [train]

With `train` the vocabularies are trained anew, which needs the sentencepiece package; in any case
it is recorded what transformers' fast tokenizers, converted from the files of each folder, make of
2,000 texts: of a few all, of the others a digest.
"""

from __future__ import annotations

import json
import lzma
import sys
import tempfile
from collections import Counter
from io import BytesIO
from pathlib import Path

import sentencepiece
import transformers
from sentencepiece import sentencepiece_model_pb2 as protocol
from tokenizers import ByteLevelBPETokenizer, normalizers, pre_tokenizers
from transformers import AutoTokenizer, XLNetTokenizer

import tokenizer_cases as cases

TEXT = [*cases.ENGLISH, *cases.KOREAN] * 3


def words(lower: bool, first: list[str]) -> str:
    """A list of characters, then the most frequent words, heads and tails."""
    normalizer = normalizers.BertNormalizer(lowercase=lower)
    splitter = pre_tokenizers.BertPreTokenizer()
    normal = normalizer.normalize_str(
        "\n".join([*TEXT, "漢 字 é ß ü 😀 — … $ % & @ / \\ # ▁ < > |"])
    )
    counted: Counter[str] = Counter()
    letters: set[str] = set()
    for word, _ in splitter.pre_tokenize_str(normal):
        letters.update("##" * bool(i) + character for i, character in enumerate(word))
        for length in range(2, min(7, len(word) + 1)):
            counted[word[:length]] += 1
            counted["##" + word[-length:]] += 1
    ranked = sorted(counted, key=lambda token: (-counted[token], token))
    vocab = list(dict.fromkeys([*first, *sorted(letters), *ranked]))[:420]
    return "".join(f"{token}\n" for token in vocab)


def train(name: str, kind: str, size: int, **options: object) -> None:
    model = BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(TEXT),
        model_writer=model,
        vocab_size=size,
        model_type=kind,
        character_coverage=1.0,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **options,
    )
    proto = protocol.ModelProto.FromString(model.getvalue())
    if proto.normalizer_spec.precompiled_charsmap:
        whole = proto.normalizer_spec.precompiled_charsmap
        (cases.VOCABULARIES / cases.CHARACTER_MAP).write_bytes(lzma.compress(whole, preset=9))
        proto.normalizer_spec.precompiled_charsmap = b""
    proto.trainer_spec.ClearField("input")
    (cases.VOCABULARIES / name).write_bytes(proto.SerializeToString())


def train_all() -> None:
    cases.VOCABULARIES.mkdir(exist_ok=True)

    def write(name: str, content: str) -> None:
        (cases.VOCABULARIES / name).write_text(content, encoding="utf-8", newline="\n")

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    write("words.txt", words(True, special))
    write("words-cased.txt", words(False, special))
    write("words-mpnet.txt", words(True, ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]))
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXT, vocab_size=409, show_progress=False)
    with tempfile.TemporaryDirectory() as folder:
        trained.save_model(folder)
        vocab = json.loads(Path(folder, "vocab.json").read_text(encoding="utf-8"))
        write("bytes-merges.txt", Path(folder, "merges.txt").read_text(encoding="utf-8"))
    roles = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>", *special]
    for token in roles:
        vocab[token] = len(vocab)
    write("bytes.json", json.dumps(vocab, ensure_ascii=False))

    train("t5.model", "unigram", 320, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    train("fairseq.model", "unigram", 320, unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
    albert = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1}
    train(
        "albert.model",
        "unigram",
        320,
        control_symbols=["[CLS]", "[SEP]"],
        user_defined_symbols=["[MASK]", "(", ")", "\u2013"],
        **albert,
    )
    train(
        "kobert.model",
        "unigram",
        320,
        unk_piece="[UNK]",
        pad_piece="[PAD]",
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        **albert,
    )
    train(
        "deberta.model",
        "unigram",
        320,
        **{"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]"},
        **{"bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"},
    )
    plain = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    train(
        "llama.model",
        "bpe",
        500,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        **plain,
    )
    train(
        "gemma.model",
        "bpe",
        500,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        add_dummy_prefix=False,
        user_defined_symbols=[
            "<mask>",
            "<start_of_turn>",
            "<end_of_turn>",
            "\n",
            "\n\n",
            "▁▁",
            "▁▁▁",
        ],
        **{"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3},
        **{"pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>"},
        **plain,
    )
    # As its vocab.txt has it, in an order of its own.
    proto = protocol.ModelProto.FromString((cases.VOCABULARIES / "kobert.model").read_bytes())
    pieces = [piece.piece for piece in proto.pieces]
    first = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    write("kobert.txt", "".join(f"{p}\n" for p in [*first, *sorted({*pieces} - {*first})]))


def recorded(tokenizer, texts: list[str]) -> dict[str, object]:
    def given(encoded) -> tuple[list[int], list[int], list[tuple[int, int]]]:
        return encoded["input_ids"], encoded["token_type_ids"], encoded["offset_mapping"]

    options = {"return_offsets_mapping": True, "return_token_type_ids": True}
    all_ = [given(tokenizer(text, **options)) for text in texts]
    pairs = [
        given(tokenizer(texts[-i - 1], texts[i] or "x", **options)) for i in range(cases.NUM_PAIRS)
    ]
    step = len(texts) // cases.NUM_SHOWN
    return {
        "size": len(tokenizer),
        "shown": {str(i): all_[i][::2] for i in range(0, len(texts), step)},
        "digests": "".join(cases.digest(*one) for one in all_),
        "pairs": "".join(cases.digest(*one) for one in pairs),
        "decoded": [tokenizer.decode(all_[i][0], skip_special_tokens=True) for i in range(14)],
    }


def kobert(texts: list[str]) -> dict[str, object]:
    """What the classes of KoBERT do, by the class of transformers of which they are copies."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spiece.model")
        path.write_bytes(cases.vocabulary("kobert.model+map"))
        slow = XLNetTokenizer(str(path), do_lower_case=False, keep_accents=False, unk_token="[UNK]")
        listed = (cases.VOCABULARIES / "kobert.txt").read_text(encoding="utf-8").splitlines()
        place = {token: i for i, token in enumerate(listed)}
        rows = [[place.get(t, 0) for t in slow._tokenize(x)] for x in texts]
    return {"digests": "".join(cases.digest([2, *row, 3], [], []) for row in rows)}


def main() -> None:
    if "train" in sys.argv[1:]:
        train_all()
    texts = cases.texts()
    found: dict[str, object] = {}
    for name, case in cases.CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            cases.write(case, Path(folder))
            tokenizer = AutoTokenizer.from_pretrained(folder)
            assert tokenizer.is_fast, name
            found[name] = recorded(tokenizer, texts)
            print(name, type(tokenizer).__name__, len(tokenizer), file=sys.stderr)
    found["kobert"] = kobert(texts)
    path = Path("tests/golden", transformers.__version__, "tokenizers.json")
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        for name, value in found.items()
    )
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
