"""The measures as a program for `pipeline()` has them: silmu and transformers are called alike.

One pipeline serves the single text and the many texts, and one serves all prompts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ._serve import Runs


def label(classify: Any, texts: list[str], **options: Any) -> list[list[Any]]:
    answers = classify(texts if len(texts) > 1 else texts[0], **options)
    return [[answer["label"], answer["score"]] for answer in answers]


def locate(find: Any, question: str, context: str) -> list[int]:
    found = find(question=question, context=context)
    return [found["start"], found["end"]]


def go_on(generate: Any, prompts: list[str], num: int, **options: Any) -> list[str]:
    options |= {"max_new_tokens": num, "min_new_tokens": num, "do_sample": False}
    if len(prompts) == 1:
        return [generate(prompts[0], **options)[0]["generated_text"]]
    return [answers[0]["generated_text"] for answers in generate(prompts, **options)]


def load(
    pipeline: Callable[..., Any], models: Path, work: dict[str, Any], measures: list[str]
) -> tuple[Runs, dict[str, Any]]:
    """The runs, and the pipelines by task."""
    runs: Runs = {}
    opened: dict[str, Any] = {}

    def open_once(task: str, folder: str) -> Any:
        if task not in opened:
            opened[task] = pipeline(task, model=str(models / folder))
        return opened[task]

    for name in measures:
        given = work[name]
        if "texts" in given:
            classify = open_once("text-classification", "sentiment")
            runs[name] = partial(label, classify, given["texts"])
        elif "context" in given:
            find = open_once("question-answering", "question-answering")
            runs[name] = partial(locate, find, given["question"], given["context"])
        else:
            generate = open_once("text-generation", "gpt2")
            runs[name] = partial(go_on, generate, given["prompts"], given["new_tokens"])
    return runs, opened
