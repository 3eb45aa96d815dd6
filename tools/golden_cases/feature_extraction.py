"""Texts in, vectors out."""

from __future__ import annotations

from tools.golden_cases import LONG, Case, Cases

# fmt: off


def cases() -> list[Case]:
    collected = Cases("feature-extraction")
    add = collected.add
    bases = [
        "bert-base",
        "bert-base-nopool",
        "distilbert-base",
        "distilbert-sinusoidal",
        "gpt2-base",
    ]
    short, other = "The sea is cold.", "A letter"
    for model in bases:
        add(f"{model}/single", model, short)
        add(f"{model}/list", model, [short, other])
        add(f"{model}/odd", model, "café 🚀 한국")
        add(f"{model}/empty", model, "")
        padded = "[!] a batch is padded, and the padding's vectors are in the answer"
        add(f"{model}/batch", model, [short, "a", other], batch_size=2, marks=padded)
        add(f"{model}/truncation-cuts", model, LONG, tokenize_kwargs={"max_length": 6},
            truncation=True)
    model = "bert-base"
    add("list-of-one", model, [short])
    add("empty-list", model, [])
    add("generator", model, {"$generator": [short, other]})
    add("key-dataset", model, {"$key_dataset": {"rows": [{"t": short}, {"t": other}], "key": "t"}})
    add("tuple", model, {"$tuple": [short, other]})
    add("two-positionals", model, short, other, marks="[!] further positionals are ignored")
    add("none", model, None)
    add("number", model, 3)
    add("dict", model, {"text": short})
    add("list-of-lists", model, [[short, other]])
    add("keyword/inputs", model, inputs=short)
    add("unknown-keyword", model, short, nonsense=1, marks="[!] unknown keywords are ignored")
    add("max-length-loose", model, short, max_length=4, marks="[!] unknown keywords are ignored")
    for name in bases:
        add(f"{name}/long-without-truncation", name, LONG)
    add("truncation-true", model, short, truncation=True)
    add("truncation-false", model, short, truncation=False)
    add("truncation-at-construction", model, LONG, init={"truncation": True,
        "tokenize_kwargs": {"max_length": 5}})
    add("truncation-twice", model, short, truncation=True, tokenize_kwargs={"truncation": True})
    add("truncation-in-both-places", model, LONG, tokenize_kwargs={"max_length": 5},
        init={"truncation": True})
    for keys in (
        {"truncation": True, "max_length": 5},
        {"truncation": "only_first", "max_length": 4},
        {"padding": "max_length", "max_length": 8},
        {"padding": True},
        {"add_special_tokens": False},
        {"return_token_type_ids": False},
        {"return_attention_mask": False},
        {"nonsense": 1},
    ):
        name = "-".join(f"{key}={value}" for key, value in keys.items())
        add(f"tokenize/{name}", model, short, tokenize_kwargs=keys)
        add(f"tokenize/{name}/at-construction", model, short, init={"tokenize_kwargs": keys})
    add("tokenize/call-wins", model, short, tokenize_kwargs={"max_length": 4},
        init={"tokenize_kwargs": {"max_length": 5, "truncation": True}})
    add("construction-not-changed-by-call", model, other, init={"tokenize_kwargs": {}},
        before=[{"args": [short], "kwargs": {"tokenize_kwargs": {"add_special_tokens": False}}}])
    for value in (True, False):
        add(f"tensors/{value}/single", model, short, return_tensors=value)
        add(f"tensors/{value}/list", model, [short, other], return_tensors=value)
        add(f"tensors/{value}/at-construction", model, other, init={"return_tensors": value})
    add("tensors/generator", model, {"$generator": [short, other]}, return_tensors=True)
    add("tensors/batch", model, [short, other], return_tensors=True, batch_size=2)
    for size in (1, 3, 8):
        add(f"batch/{size}", model, [short, other, "a"], batch_size=size)
    add("batch/at-construction", model, [short, other, "a"], init={"batch_size": 2})
    add("batch/generator", model, {"$generator": [short, other, "a"]}, batch_size=2)
    add("pair-text", model, short, tokenize_kwargs={"text_pair": other})
    add("from-head/bert-sequence", "bert-sequence", other)
    add("from-head/distilbert-qa", "distilbert-qa", other)
    add("from-head/gpt2-lm", "gpt2-lm", other, marks="the network without its head")
    add("from-head/gpt2-lm-batch-without-pad", "gpt2-lm", [short, other], batch_size=2)
    return collected.cases
