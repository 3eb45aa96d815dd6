"""Masked words."""

from __future__ import annotations

import itertools

from tools.golden_cases import EMOJI, LONG, ODD, STORY, Case, Cases

# fmt: off


def cases() -> list[Case]:
    collected = Cases("fill-mask")
    add = collected.add
    model, france = "bert-mask", "The capital of France is [MASK]."
    several = "The [MASK] of France is [MASK]."
    texts = {
        "france": france,
        "several": several,
        "alone": "[MASK]",
        "three": "[MASK][MASK] [MASK]",
        "korean": "한국의 수도는 [MASK]이다.",
        "odd": f"{ODD} [MASK]",
        "emoji": f"{EMOJI} [MASK] it's",
        "specials": "good [SEP] [MASK] bad [CLS] [PAD]",
        "unknown": "뷁 [MASK] 뷁",
    }
    shown = "[!] with several masks the special tokens are shown"
    for each, (name, text) in itertools.product(
        ("bert-mask", "distilbert-mask", "distilbert-mask-untied"), texts.items()
    ):
        found = {"marks": shown} if name == "several" else {}
        add(f"{each}/{name}/plain", each, text, **found)
        add(f"{each}/{name}/top-k-2", each, text, top_k=2)
        add(f"{each}/{name}/targets", each, text, targets=["the", "sea", "##s"])
    pair = [france, "I [MASK] it."]
    unwrapped = "[!] a list of one is answered like the text alone"
    shapes = {
        "list": pair,
        "list-of-one": [france],
        "list-of-one-several": [several],
        "list-several": [several, france],
        "generator": {"$generator": pair},
        "generator-of-one": {"$generator": [france]},
        "key-dataset": {"$key_dataset": {"rows": [{"t": each} for each in pair], "key": "t"}},
        "tuple": {"$tuple": pair},
        "empty-list": [],
        "empty-generator": {"$generator": []},
        "empty-string": "",
        "no-mask": "The capital of France is Paris.",
        "lower-case-mask": "The capital of France is [mask].",
        "other-mask": "The capital of France is <mask>.",
        "list-with-no-mask": [france, "Paris"],
        "none": None,
        "number": 3,
        "dict": {"text": france},
        "list-of-lists": [pair],
        "list-of-numbers": [1, 2],
    }
    for name, value in shapes.items():
        found = {"marks": unwrapped} if name == "list-of-one" else {}
        add(f"input/{name}", model, value, **found)
    add("input/keyword", model, inputs=france)
    add("input/no-input", model)
    add("input/two-positionals", model, france, several)
    add("input/unknown-keyword", model, france, nonsense=1)
    add("input/truncation-loose", model, france, truncation=True)
    add("input/num-workers", model, pair, num_workers=0)
    for value in (0, 1, 3, 299, 300, 301, -1, True, None, "2", 1.0):
        kind = type(value).__name__
        add(f"top-k/{kind}-{value}/one", model, france, top_k=value)
        if value not in (299, 300):  # the last of many words are as unlikely as each other
            add(f"top-k/{kind}-{value}/several", model, several, top_k=value)
    add("top-k/at-construction", model, france, init={"top_k": 2})
    add("top-k/call-wins", model, france, top_k=1, init={"top_k": 3})
    targets = {
        "one": "paris",
        "upper": "Paris",
        "list": ["paris", "berlin", "seoul"],
        "twice": ["sea", "sea"],
        "unknown": ["xylophone"],
        "two-words": ["old man", "the"],
        "unknowable": ["뷁"],
        "korean": ["서울", "서울이다"],
        "tail": ["##ing", "##s"],
        "special": ["[CLS]", "[MASK]", "the"],
        "pad": ["[PAD]"],
        "empty-text": "",
        "empty-text-in-list": ["", "the"],
        "empty-list": [],
        "number": 3,
        "numbers": [3],
        "tuple": {"$tuple": ["the", "a"]},
        "none": None,
    }
    for name, value in targets.items():
        found = {"marks": "[!] the padding token is left out of the sequence"}
        found = found if name == "pad" else {}
        add(f"targets/{name}/one", model, france, targets=value, **found)
        add(f"targets/{name}/several", model, several, targets=value)
        add(f"targets/{name}/at-construction", model, france, init={"targets": value})
    capped = "[!] top_k is capped by the number of targets"
    add("targets/top-k-9", model, france, targets=["the", "sea"], top_k=9, marks=capped)
    add("targets/top-k-1", model, france, targets=["the", "sea"], top_k=1)
    add("targets/top-k-0", model, france, targets=["the", "sea"], top_k=0)
    add("targets/call-wins", model, france, targets=["the"], init={"targets": ["sea"]})
    add("targets/distilbert", "distilbert-mask", several, targets=["sea", "Sea", "SEA"])
    add("construction-not-changed-by-call", model, france, init={"top_k": 2},
        before=[{"args": [france], "kwargs": {"top_k": 1, "targets": "the",
                                              "tokenizer_kwargs": {"add_special_tokens": False}}}])
    first = f"The [MASK] {LONG}"
    for each in ("bert-mask", "distilbert-mask"):
        add(f"{each}/long-without-truncation", each, first)
        add(f"long/{each}/truncation", each, first, top_k=2,
            tokenizer_kwargs={"truncation": True})
        add(f"long/{each}/truncation-at-construction", each, first, top_k=2,
            init={"tokenizer_kwargs": {"truncation": True}})
        add(f"long/{each}/mask-cut-off", each, f"{LONG} [MASK]",
            tokenizer_kwargs={"truncation": True})
        add(f"long/{each}/max-length", each, first,
            tokenizer_kwargs={"truncation": True, "max_length": 8})
        for size in (1, 2, 8):
            add(f"batch/{each}/{size}", each, [france, several, "[MASK]", f"{STORY} [MASK]"],
                batch_size=size)
    for keys in (
        {"padding": "max_length", "max_length": 16},
        {"padding": True},
        {"add_special_tokens": False},
        {"return_token_type_ids": False},
        {"return_attention_mask": False},
        {"nonsense": 1},
        {},
    ):
        name = "-".join(f"{key}={value}" for key, value in keys.items()) or "empty"
        add(f"tokenize/{name}", model, france, tokenizer_kwargs=keys)
        add(f"tokenize/{name}-several", model, several, tokenizer_kwargs=keys)
    add("tokenize/call-wins", model, france, tokenizer_kwargs={"add_special_tokens": False},
        init={"tokenizer_kwargs": {"padding": "max_length", "max_length": 16}})
    add("batch/at-construction", model, pair, init={"batch_size": 2})
    add("batch/generator", model, {"$generator": pair}, batch_size=2)
    for member in ("predict", "transform"):
        add(f"methods/{member}", model, france, method=member)
    return collected.cases
