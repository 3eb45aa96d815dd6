"""Texts in, labels out."""

from __future__ import annotations

import itertools

from tools.golden_cases import BAD, GOOD, KOREAN, LONG, ODD, Case, Cases

# fmt: off


def cases() -> list[Case]:
    collected = Cases("text-classification")
    add = collected.add
    pair = {"text": GOOD, "text_pair": BAD}
    shapes = {
        "single": GOOD,
        "list": [GOOD, BAD, KOREAN],
        "list-of-one": [GOOD],
        "dict": pair,
        "dict-without-pair": {"text": GOOD},
        "list-of-dicts": [pair, {"text": BAD}],
        "list-of-one-dict": [pair],
        "legacy-pair": [[[GOOD, BAD]]],
        "list-of-two-lists": [[GOOD, BAD]],
        "lists-of-two-lists": [[GOOD, BAD], [BAD, GOOD]],
        "flat-two-list-in-list": [[[GOOD, BAD]], [[BAD, GOOD]]],
        "generator": {"$generator": [GOOD, BAD]},
        "generator-of-dicts": {"$generator": [pair, pair]},
        "key-dataset": {"$key_dataset": {"rows": [{"t": GOOD}, {"t": BAD}], "key": "t"}},
        "tuple": {"$tuple": [GOOD, BAD]},
        "empty-string": "",
        "list-with-empty-string": ["", GOOD],
        "empty-list": [],
        "empty-generator": {"$generator": []},
        "none": None,
        "number": 3,
        "list-of-numbers": [1, 2],
        "mixed": [GOOD, pair],
    }
    settings: dict[str, dict] = {
        "plain": {},
        "top-k-none": {"top_k": None},
        "top-k-1": {"top_k": 1},
        "top-k-2": {"top_k": 2},
        "top-k-99": {"top_k": 99},
        "all-scores": {"return_all_scores": True},
        "not-all-scores": {"return_all_scores": False},
    }
    wrong = {"none", "number", "tuple", "list-of-numbers"}
    wrong |= {"list-of-two-lists", "lists-of-two-lists"}
    marks = {
        ("single", "plain"): "[!] a single string gives a list of one",
        ("single", "top-k-none"): "[!] flat list, sorted descending",
        ("dict", "plain"): "[!] a pair dict gives a bare dict, no list",
        ("single", "all-scores"): "[!] unsorted, in label order, wrapped",
    }
    for (shape, value), (name, keys) in itertools.product(shapes.items(), settings.items()):
        if shape in wrong and name not in ("plain", "top-k-none"):
            continue
        found = {"marks": marks[shape, name]} if (shape, name) in marks else {}
        add(f"{shape}/{name}", "bert-sequence", value, **keys, **found)
        if keys and shape not in wrong:
            found = {}
            if shape in ("single", "empty-string") and name.startswith("top-k"):
                found["marks"] = "[!] top_k at construction does not turn the wrapper off: nested"
            add(f"{shape}/{name}-at-construction", "bert-sequence", value, init=keys, **found)
    everywhere = [
        "bert-sequence-regression",
        "bert-sequence-multilabel",
        "bert-sequence-one-label",
        "bert-gelu-new",
        "bert-relu",
        "bert-sharded",
        "bert-float16",
        "distilbert-sequence",
        "distilbert-relu",
        "gpt2-sequence",
    ]
    functions = {
        f"function-{name}": {"function_to_apply": name}
        for name in ("none", "sigmoid", "softmax", "NONE", "Sigmoid", "SOFTMAX")
    }
    chosen = ("plain", "top-k-none", "top-k-1", "top-k-2", "all-scores", "not-all-scores")
    for model in everywhere:
        init = {"dtype": "float32"} if model == "bert-float16" else {}
        for name in chosen:
            add(f"{model}/single/{name}", model, GOOD, **settings[name], init=init)
            add(f"{model}/list/{name}", model, [GOOD, BAD, KOREAN], **settings[name], init=init)
        add(f"{model}/dict/plain", model, pair, init=init)
        add(f"{model}/dict/top-k-none", model, pair, top_k=None, init=init)
        add(f"{model}/odd/top-k-none", model, ODD, top_k=None, init=init)
        add(
            f"{model}/batch/top-k-none",
            model,
            [GOOD, "no", BAD],
            top_k=None,
            batch_size=2,
            init=init,
        )
        add(f"{model}/empty/top-k-none", model, "", top_k=None, init=init)
    for model in ("bert-sequence", "distilbert-sequence", *everywhere[:3]):
        for name, keys in functions.items():
            add(f"{model}/single/{name}", model, GOOD, **keys)
            add(f"{model}/all/{name}", model, GOOD, top_k=None, **keys)
            add(f"{model}/all/{name}-at-construction", model, GOOD, top_k=None, init=keys)
    half = "[!] dtype='auto' is the pipeline's default: a float16 folder is computed in float16"
    add("float16/default-dtype", "bert-float16", [GOOD, BAD], top_k=None, marks=half)
    for name in ("float16", "float32", "auto"):
        add(f"float16/dtype-{name}", "bert-float16", GOOD, top_k=None, init={"dtype": name})
    for value in ("default", "tanh", "", "soft max"):
        add(f"function-unknown/{value}", "bert-sequence", GOOD, function_to_apply=value)
    add("function-none-object", "bert-sequence", GOOD, function_to_apply=None)
    add("function-call-wins", "bert-sequence", GOOD, function_to_apply="none",
        init={"function_to_apply": "sigmoid"})
    add("function-number", "bert-sequence", GOOD, function_to_apply=1)
    for value in (0, -1, 3, 4, True, "2", 1.0):
        kind = type(value).__name__
        add(f"top-k-odd/{kind}-{value}", "bert-sequence", GOOD, top_k=value)
        add(f"top-k-odd/{kind}-{value}-list", "bert-sequence", [GOOD, BAD], top_k=value)
    add("top-k-call-wins/2-over-none", "bert-sequence", GOOD, top_k=2, init={"top_k": None})
    add("top-k-call-wins/none-over-1", "bert-sequence", GOOD, top_k=None, init={"top_k": 1})
    add("top-k-and-all-scores", "bert-sequence", GOOD, top_k=2, return_all_scores=True)
    add("all-scores/call-wins-false", "bert-sequence", GOOD, return_all_scores=False,
        init={"return_all_scores": True})
    add("all-scores/call-wins-true", "bert-sequence", GOOD, return_all_scores=True,
        init={"return_all_scores": False})
    add("all-scores/with-function", "bert-sequence", GOOD, return_all_scores=True,
        function_to_apply="sigmoid")
    add("all-scores/construction-top-k-call", "bert-sequence", GOOD, top_k=1,
        init={"return_all_scores": True})
    add("top-k/construction-all-scores-call", "bert-sequence", GOOD, return_all_scores=True,
        init={"top_k": 1})
    add("construction-not-changed-by-call", "bert-sequence", GOOD, init={"top_k": 1},
        before=[{"args": [GOOD], "kwargs": {"top_k": None, "function_to_apply": "none"}}])
    for model in ("bert-sequence", "distilbert-sequence", "gpt2-sequence"):
        add(f"long/{model}/without-truncation", model, LONG)
        add(f"long/{model}/truncation", model, LONG, truncation=True, top_k=None)
        add(f"long/{model}/truncation-at-construction", model, LONG, init={"truncation": True})
        add(f"long/{model}/max-length", model, LONG, truncation=True, max_length=16, top_k=None)
        add(f"long/{model}/max-length-without-truncation", model, GOOD, max_length=8, top_k=None)
        add(f"long/{model}/list", model, [LONG, GOOD], truncation=True, top_k=None)
        add(f"long/{model}/batch", model, [LONG, GOOD, BAD], truncation=True, batch_size=3)
        for side in ("only_first", "only_second", "longest_first", "do_not_truncate"):
            add(f"long/{model}/pair-{side}", model, {"text": LONG, "text_pair": GOOD},
                truncation=side, top_k=None)
            add(f"long/{model}/pair-long-second-{side}", model,
                {"text": GOOD, "text_pair": LONG}, truncation=side, top_k=None)
        add(f"long/{model}/stride", model, LONG, truncation=True, max_length=16, stride=4)
        for padding in (True, "max_length", "longest", "do_not_pad"):
            add(f"padding/{model}/{padding}", model, GOOD, padding=padding, max_length=64,
                truncation=True, top_k=None)
        add(
            f"padding/{model}/multiple",
            model,
            GOOD,
            padding=True,
            pad_to_multiple_of=32,
            top_k=None,
        )
        add(f"special/{model}/none-added", model, GOOD, add_special_tokens=False, top_k=None)
        add(f"special/{model}/inside", model, "good [SEP] bad [CLS] [MASK] <|endoftext|> [PAD]",
            top_k=None)
        for size in (1, 2, 3, 8):
            add(f"batch/{model}/{size}", model, [GOOD, "no", KOREAN, BAD, ODD], batch_size=size)
            add(f"batch/{model}/{size}-at-construction", model, [GOOD, "no", KOREAN],
                init={"batch_size": size}, top_k=None)
        add(f"batch/{model}/generator", model, {"$generator": [GOOD, "no", BAD]}, batch_size=2)
        add(f"batch/{model}/dicts", model, [pair, {"text": BAD, "text_pair": "no"}], batch_size=2)
        add(f"batch/{model}/single", model, GOOD, batch_size=4)
        add(f"batch/{model}/empty-string", model, ["", GOOD], batch_size=2, top_k=None)
    add("alias/sentiment-analysis", "distilbert-sequence", GOOD, task="sentiment-analysis")
    add("alias/sentiment-analysis-list", "distilbert-sequence", [GOOD, BAD], top_k=None,
        task="sentiment-analysis")
    add("keyword/inputs", "bert-sequence", inputs=GOOD)
    add("positional/extra", "bert-sequence", GOOD, BAD)
    add("no-input", "bert-sequence")
    add("unknown-keyword", "bert-sequence", GOOD, nonsense=1)
    add("dict/unknown-key", "bert-sequence", {"sentence": GOOD})
    add("dict/only-pair", "bert-sequence", {"text_pair": GOOD})
    add("dict/list-values", "bert-sequence", {"text": [GOOD, BAD]})
    add("dict/none-pair", "bert-sequence", {"text": GOOD, "text_pair": None})
    add("dict/empty-pair", "bert-sequence", {"text": GOOD, "text_pair": ""})
    add("whitespace", "bert-sequence", "  \n\t ", top_k=None)
    add("num-workers", "bert-sequence", [GOOD, BAD], num_workers=0)
    return collected.cases
