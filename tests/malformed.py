"""Texts that no one should send, by name, and what must hold of the answers to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

SEEDS = {
    "plain": "the man is happy . ",
    "one-word": "dog",
    "punctuation": "?!.,;:",
    "digits": "1234567890 ",
    "korean": "안녕하세요 세계 ",
    "arabic": "مرحبا بالعالم ",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈",
    "combining": "e\u0301a\u0308o\u0302 ",
    "control": "a\0b\x01c\x1b[31m\x7f\x85",
    "bidi": "\u202eabc\u202c \u2066def\u2069 \u200d\u200b",
    "special": "[CLS] [SEP] [MASK] <|endoftext|> </s> <image> ",
    "markup": "{{7*7}} {% x %} <script>'; DROP TABLE x; -- =1+1\r\n",
}


def repeat(text: str, size: int) -> str:
    return (text * (size // len(text) + 1))[:size]


MUTATIONS: dict[str, Callable[[str], Any]] = {
    "once": lambda text: text,
    "blank": lambda text: " " * len(text),
    "10-4": lambda text: repeat(text, 10**4),
    "10-5": lambda text: repeat(text, 10**5),
    "10-7": lambda text: repeat(text, 10**7),
    "nested": lambda text: [[[text]]],
    "bytes": lambda text: text.encode(),
    "odd-dict": lambda text: {"txt": text, 7: text, "": None},
}


class Odd:
    """An object that says it is anything."""

    def __len__(self) -> int:
        return 3

    def __str__(self) -> str:
        return "the man is happy ."


SPECIALS: dict[str, Callable[[], Any]] = {
    "empty": lambda: "",
    "none": lambda: None,
    "number": lambda: 7,
    "nan": lambda: math.nan,
    "true": lambda: True,
    "complex": lambda: 1j,
    "huge-number": lambda: 10**5000,
    "bytes-invalid": lambda: b"\xff\xfe\xc0\x80",
    "bytearray": lambda: bytearray(b"abc"),
    "memory-view": lambda: memoryview(b"abc"),
    "array-of-numbers": lambda: np.arange(6.0).reshape(2, 3),
    "array-of-texts": lambda: np.array(["a", "b"]),
    "array-of-objects": lambda: np.array(["a", None, 7], dtype=object),
    "array-of-nothing": lambda: np.zeros((0, 3)),
    "array-scalar": lambda: np.float32(1.5),
    "numpy-text": lambda: np.str_("the man is happy ."),
    "set": lambda: {"a", "b"},
    "range": lambda: range(3),
    "function": lambda: len,
    "class": lambda: str,
    "odd-object": Odd,
    "empty-list": lambda: [],
    "list-of-none": lambda: [None],
    "list-of-lists": lambda: [[]],
    "list-of-numbers": lambda: [1, 2.5, math.inf],
    "list-of-mixed": lambda: ["the man", None],
    "tuple": lambda: ("the man", "the dog"),
    "empty-dict": dict,
    "dict-of-none": lambda: {"text": None},
    "dict-of-numbers": lambda: {"text": 7, "text_pair": 8},
    "dict-of-lists": lambda: {"text": ["a", "b"]},
    "dict-of-itself": lambda: itself({}),
    "list-of-itself": lambda: itself([]),
    "question-of-number": lambda: {"question": 7, "context": 8},
    "question-of-blanks": lambda: {"question": " ", "context": " "},
    "question-of-none": lambda: {"question": None, "context": "a"},
    "question-empty": lambda: {"question": "", "context": "a"},
    "question-of-surrogate": lambda: {"question": "\ud800", "context": "a"},
    "question-long": lambda: {"question": repeat("who is happy ", 10**5), "context": "the man"},
    "message-of-numbers": lambda: [{"role": 7, "content": 8}],
    "message-of-none": lambda: [{"role": None, "content": None}],
    "message-without-role": lambda: [{"content": "a"}],
    "message-of-surrogate": lambda: [{"role": "user", "content": "\ud800"}],
    "deep-list": lambda: deep(10_000),
    "surrogate-high": lambda: "\ud800",
    "surrogate-low": lambda: "abc\udc00def",
    "surrogates-turned": lambda: "\udc00\ud800",
    "surrogate-pair": lambda: "\ud83d\ude00",
    "nul": lambda: "\0",
    "nuls": lambda: "\0" * 1000,
    "all-controls": lambda: "".join(map(chr, [*range(32), *range(127, 160)])),
    "private-use": lambda: "\ue000\uf8ff\U000f0000\U0010ffff",
    "not-characters": lambda: "\ufffe\uffff\ufdd0",
    "replacement": lambda: "\ufffd" * 100,
    "byte-order-mark": lambda: "\ufefftext\ufeff",
    "line-ends": lambda: "a\rb\r\nc\u2028d\u2029e\x0bf\x0cg",
    "combining-10-5": lambda: "e" + "\u0301" * 10**5,
    "joiners-10-5": lambda: "a" + "\u200d" * 10**5,
    "emoji-sequence": lambda: "👩" + "\u200d👩" * 10**4,
    "flags": lambda: "🇰🇷" * 5000,
    "tag-characters": lambda: "".join(chr(0xE0000 + i) for i in range(128)),
    "word-10-6": lambda: "a" * 10**6,
    "words-of-100": lambda: ("x" * 100 + " ") * 2000,
    "words-of-101": lambda: ("x" * 101 + " ") * 2000,
    "blanks-10-6": lambda: " " * 10**6,
    "spaces-then-word": lambda: " " * 10**5 + "x",
    "punctuation-10-6": lambda: "?" * 10**6,
    "characters-10-7": lambda: "the man " * (10**7 // 8),
    "one-too-many": lambda: "a" * ((1 << 20) + 1),
    "nfc": lambda: "\u00e9\uac00\u1e69",
    "nfd": lambda: "e\u0301\u1100\u1161s\u0323\u0307",
    "nfkc": lambda: "ﬁ①㎏ﷺ",
    "growing-when-normal": lambda: "\ufdfa" * 5000,
    "turkish": lambda: "İIıi" * 100,
    "sharp-s": lambda: "ẞßSS",
    "homoglyphs": lambda: "раyраl аdmin",
    "right-to-left-mix": lambda: "abc \u05d0\u05d1\u05d2 123 \u0627\u0644 xyz",
    "special-alone": lambda: "[CLS]",
    "special-many": lambda: "[SEP]" * 5000,
    "special-broken": lambda: "[CLS [SEP ]] [ MASK ] [pad] ##s ##",
    "end-of-text": lambda: "<|endoftext|>" * 10,
    "template-braces": lambda: "{{ ''.__class__ }}{%",
    "formats": lambda: "%s%n%x {0.__class__} ${jndi:x} $(id) `id`",
    "path": lambda: "../../../../etc/passwd",
    "url": lambda: "http://127.0.0.1:9/x.txt",
    "json": lambda: '{"text": "\\ud800"}',
    "csv-formula": lambda: "=cmd|'/c calc'!A1",
}


def itself(value: Any) -> Any:
    if isinstance(value, dict):
        value["text"] = value["question"] = value["context"] = value
    else:
        value.append(value)
    return value


def deep(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


def made(name: str) -> Any:
    seed, _, mutation = name.partition("/")
    return MUTATIONS[mutation](SEEDS[seed]) if mutation else SPECIALS[seed]()


NAMES = [*(f"{seed}/{mutation}" for seed in SEEDS for mutation in MUTATIONS), *SPECIALS]
GOOD_TEXT = "the man is happy ."
CONTEXT = "the man is happy . the dog is sad ."
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "text-classification": [{"top_k": None}, {"top_k": None, "truncation": True}],
    "feature-extraction": [{}, {"truncation": True}],
    "question-answering": [{}],
    "token-classification": [{}, {"aggregation_strategy": "average", "stride": 8}],
    "fill-mask": [{}, {"top_k": 2, "tokenizer_kwargs": {"truncation": True}}],
    "zero-shot-classification": [{"candidate_labels": ["happy", "sad , sad"]}],
    "text-generation": [{"max_new_tokens": 2, "do_sample": False}],
}


def run(task: str, folder: str, name: str) -> dict[str, Any]:
    """Puts a text to a pipeline in every way it can be; gives what became of it, and what is wrong.

    Errors that silmu does not raise on purpose are not caught: the judge sees them.
    """
    import silmu

    pipe = silmu.pipeline(task, model=folder)
    first = outcome(pipe, task, good(task), PARAMETERS[task][0])
    told: dict[str, Any] = {"outcomes": [], "wrong": []}
    for inputs in forms(task, made(name)):
        for parameters in [*PARAMETERS[task], *settings(task, made(name))]:
            alone = outcome(pipe, task, inputs, parameters)
            told["outcomes"].append(alone if isinstance(alone, str) else "an answer")
            told["wrong"] += [] if isinstance(alone, str) else wrong(task, inputs, alone)
            if is_listed(task, inputs):
                listed = outcome(pipe, task, [good(task), inputs, inputs], parameters)
                told["wrong"] += differences(alone, listed)
    if not close(outcome(pipe, task, good(task), PARAMETERS[task][0]), first):
        told["wrong"].append("a good text is answered otherwise afterwards")
    return told


def is_listed(task: str, inputs: Any) -> bool:
    """Whether the same input in a list is one input too, and not so long that it takes minutes."""
    parts = inputs.values() if isinstance(inputs, dict) else [inputs]
    if any(isinstance(part, str) and len(part) > 10**4 for part in parts):
        return False
    return isinstance(inputs, dict if task == "question-answering" else str | dict)


def good(task: str) -> Any:
    if task == "question-answering":
        return {"question": "who is happy ?", "context": CONTEXT}
    return "the man is [MASK] ." if task == "fill-mask" else GOOD_TEXT


def forms(task: str, value: Any) -> Iterator[Any]:
    """The ways in which a value can be an input of a task."""
    yield value
    if task == "question-answering":
        yield {"question": "who is happy ?", "context": value}
        if not isinstance(value, str) or len(value) < 1000:
            yield {"question": value, "context": CONTEXT}
    if task == "text-classification":
        yield {"text": GOOD_TEXT, "text_pair": value}
    if task == "fill-mask" and isinstance(value, str):
        yield f"[MASK] {value}"


def settings(task: str, value: Any) -> Iterator[dict[str, Any]]:
    """The ways in which a value can be a parameter that texts go through."""
    if isinstance(value, str) and len(value) > 10**4:
        return  # every comma of it would be a label more
    if task == "zero-shot-classification":
        yield {"candidate_labels": value}
        yield {"candidate_labels": [value, "sad"], "multi_label": True}
        yield {"candidate_labels": ["happy"], "hypothesis_template": value}
    if task == "fill-mask":
        yield {"targets": value}


def outcome(pipe: Any, task: str, inputs: Any, parameters: dict[str, Any]) -> Any:
    """The answer, or the name of the typed error."""
    from silmu.errors import SilmuError

    try:
        found = pipe(inputs, **parameters)
        return list(found) if hasattr(found, "__next__") else found
    except SilmuError as error:
        return f"{type(error).__name__}: {error}"


def differences(alone: Any, listed: Any) -> list[str]:
    if isinstance(alone, str) or isinstance(listed, str):
        one, other = (
            found.split(":")[0] if isinstance(found, str) else "" for found in (alone, listed)
        )
        return [] if one == other else [f"alone {alone!r:.90}, and in a list {listed!r:.90}"]
    if isinstance(alone, list) and len(alone) == 1 and not isinstance(listed[1], list):
        alone = alone[0]
    pairs = [(listed[1], listed[2], "twice in a list"), (alone, listed[1], "in a list")]
    return [f"not the same {how}" for one, other, how in pairs if not close(one, other)]


def close(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-4)
    return one == other


def wrong(task: str, inputs: Any, answer: Any) -> list[str]:
    """What cannot be right about an answer, whatever the model says."""
    found: list[str] = []
    if task == "text-classification":
        rows = answer if answer and isinstance(answer[0], list) else [answer]
        for row in rows:
            if row and not math.isclose(sum(label["score"] for label in row), 1, abs_tol=1e-4):
                found.append(f"the scores do not sum to 1: {row}")
    elif task == "feature-extraction":
        if not np.isfinite([x for x in flat(answer)]).all():
            found.append("a vector holds NaN")
    elif task == "question-answering" and isinstance(inputs, dict):
        for one in answer if isinstance(answer, list) else [answer]:
            text = inputs["context"][one["start"] : one["end"]]
            # Equal answers of several windows add up their scores, to more than one.
            if text != one["answer"] or not 0 <= one["score"] < math.inf:
                found.append(f"the context has {text!r:.60} where the answer is {one!r:.120}")
    elif task == "token-classification" and isinstance(inputs, str):
        for one in answer:
            if not (0 <= one["start"] <= one["end"] <= len(inputs) and 0 < one["score"] <= 1):
                found.append(f"there is no such part of the text: {one!r:.120}")
    elif task == "fill-mask" and isinstance(inputs, str):
        for row in answer if answer and isinstance(answer[0], list) else [answer]:
            scores = [one["score"] for one in row]
            if scores != sorted(scores, reverse=True) or not 0 <= sum(scores) <= 1 + 1e-4:
                found.append(f"the scores are not of the likeliest words: {row!r:.120}")
    elif task == "zero-shot-classification" and isinstance(inputs, str):
        scores = answer["scores"]
        if answer["sequence"] != inputs or scores != sorted(scores, reverse=True):
            found.append(f"the labels are not in order, or of another text: {answer!r:.120}")
        if not all(0 <= score <= 1 for score in scores):
            found.append(f"a score is no probability: {scores}")
    elif task == "text-generation" and isinstance(inputs, str):
        for one in answer:
            if not isinstance(one["generated_text"], str):
                found.append(f"no text was generated: {one!r:.120}")
            elif not one["generated_text"].startswith(inputs):
                found.append(f"the prompt is not at the head of {one!r:.120}")
    return found


def flat(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for item in value:
            yield from flat(item)
    else:
        yield value
