"""Labels that nobody was trained on."""

from __future__ import annotations

import itertools

from tools.golden_cases import BAD, GOOD, KOREAN, LONG, ODD, SEOUL, STORY, Case, Cases

# fmt: off


def cases() -> list[Case]:
    collected = Cases("zero-shot-classification")
    add = collected.add
    model, topics = "bert-nli", ["sport", "water", "music"]
    every = ("bert-nli", "bert-nli-backwards", "bert-nli-unnamed", "distilbert-nli",
             "gpt2-sequence")
    texts = {"good": GOOD, "korean": KOREAN, "odd": ODD, "seoul": SEOUL, "space": " "}
    entails = "[!] the output that means `it follows` is found by its name, or is the last"
    for each, (name, text) in itertools.product(every, texts.items()):
        found = {"marks": entails} if name == "good" else {}
        add(f"{each}/{name}/plain", each, text, topics, **found)
        add(f"{each}/{name}/multi-label", each, text, topics, multi_label=True)
        add(f"{each}/{name}/one-label", each, text, ["sport"],
            marks="[!] a single label is judged for itself")
        add(f"{each}/{name}/template", each, text, topics, hypothesis_template="{}이다.")
    shapes = {
        "single": GOOD,
        "list": [GOOD, BAD, KOREAN],
        "list-of-one": [GOOD],
        "generator": {"$generator": [GOOD, BAD]},
        "key-dataset": {"$key_dataset": {"rows": [{"t": GOOD}, {"t": BAD}], "key": "t"}},
        "tuple": {"$tuple": [GOOD, BAD]},
        "empty-string": "",
        "list-with-empty-string": [GOOD, ""],
        "empty-list": [],
        "empty-generator": {"$generator": []},
        "none": None,
        "number": 3,
        "dict": {"text": GOOD},
        "list-of-lists": [[GOOD, BAD]],
    }
    for name, value in shapes.items():
        found = {"marks": "[!] a list of one stays a list"} if name == "list-of-one" else {}
        add(f"input/{name}/plain", model, value, topics, **found)
        add(f"input/{name}/multi-label", model, value, topics, multi_label=True)
    add("input/keyword", model, sequences=GOOD, candidate_labels=topics)
    add("input/keyword-inputs", model, inputs=GOOD, candidate_labels=topics)
    add("input/no-input", model, candidate_labels=topics)
    add("input/labels-twice", model, GOOD, topics, candidate_labels=topics)
    add("input/three-positionals", model, GOOD, topics, "This is {}.")
    add("input/unknown-keyword", model, GOOD, topics, nonsense=1,
        marks="[!] unknown keywords are ignored")
    add("input/num-workers", model, [GOOD, BAD], topics, num_workers=0)
    labels = {
        "comma": "sport, water,music",
        "comma-blanks": " ,sport , ,water,",
        "one-text": "sport",
        "only-commas": ", ,",
        "empty-text": "",
        "empty-list": [],
        "none": None,
        "tuple": {"$tuple": topics},
        "twice": ["sport", "water", "sport"],
        "numbers": [1, 2.5, True],
        "blank": ["sport", " ", ""],
        "comma-in-list": ["sport, water", "music"],
        "korean": ["운동", "물", "음악"],
        "braces": ["{}", "{x}", "a"],
        "many": [f"the {word}" for word in LONG.split()[:12]] + topics,
        "number": 3,
        "list-in-list": [topics],
    }
    for name, value in labels.items():
        add(f"labels/{name}/positional", model, GOOD, value)
        add(f"labels/{name}/keyword", model, GOOD, candidate_labels=value, multi_label=True)
        add(f"labels/{name}/at-construction", model, [GOOD, BAD],
            init={"candidate_labels": value})
    add("labels/not-given", model, GOOD)
    add("labels/call-wins", model, GOOD, ["music"], init={"candidate_labels": topics})
    templates = ("{}", "이 글은 {}에 관한 것이다.", "no place", "", "{0} and {0}", "{} or {}",
                 "{x}", "{", "}", "{{}}", "{:>9}", "{!r}", "{.nothing}", 3, None)
    for value in templates:
        add(f"template/{value}", model, GOOD, topics, hypothesis_template=value)
        add(f"template/{value}-at-construction", model, GOOD, topics,
            init={"hypothesis_template": value})
    for name, keys in {
        "multi-label": {"multi_label": True},
        "not-multi-label": {"multi_label": False},
        "multi-class": {"multi_class": True},
        "not-multi-class": {"multi_class": False},
        "multi-class-wins": {"multi_class": True, "multi_label": False},
        "multi-label-none": {"multi_label": None},
    }.items():
        add(f"several/{name}", model, GOOD, topics, **keys)
        add(f"several/{name}-at-construction", model, [GOOD, KOREAN], topics, init=keys)
        add(f"several/{name}-over-true", model, GOOD, topics, init={"multi_label": True}, **keys)
    add("construction-not-changed-by-call", model, GOOD, init={"candidate_labels": topics},
        before=[{"args": [BAD, "a,b"], "kwargs": {"multi_label": True,
                                                  "hypothesis_template": "{}"}}])

    def short(name: str, size: int) -> dict:
        return {"init": {"tokenizer": {"$tokenizer": {"model": name, "model_max_length": size}}}}

    first = "[!] only the text is shortened"
    whole = "[!] where the label alone is too long, nothing is shortened"
    wordy = "about the old man and the sea and the boats"
    for each in ("bert-nli", "distilbert-nli", "gpt2-sequence"):
        add(f"long/{each}/text", each, LONG, topics, marks=first)
        add(f"long/{each}/texts", each, [LONG, GOOD, STORY * 3], topics, multi_label=True)
        add(f"long/{each}/short-limit", each, STORY, topics, **short(each, 24))
        add(f"long/{each}/label", each, "the sea", [wordy, "cold"], marks=whole,
            **short(each, 16))
        add(f"long/{each}/label-list", each, ["the sea", STORY], [wordy, "cold"],
            **short(each, 16))
        add(f"{each}/long-without-truncation", each, LONG, topics, **short(each, 10**30))
        add(f"label-too-long/{each}/long-without-truncation", each, GOOD, [LONG, "cold"])
        for size in (1, 2, 8):
            add(f"batch/{each}/{size}", each, [GOOD, "no", KOREAN, STORY], topics, batch_size=size)
    add("batch/at-construction", model, [GOOD, "no", KOREAN], topics, init={"batch_size": 2})
    add("batch/generator", model, {"$generator": [GOOD, "no", KOREAN]}, topics, batch_size=4)
    for member in ("predict", "transform"):
        add(f"methods/{member}", model, GOOD, method=member, init={"candidate_labels": topics})
    return collected.cases
