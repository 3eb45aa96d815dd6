"""No text, however malformed, crashes, hangs or bursts a pipeline: a typed error or a right answer.

Each text is put to each task that reads text, alone and in a list, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from judge import CAN_FORK, Judge
from malformed import NAMES, SPECIALS, differences, wrong
from silmu import registry

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="the judge needs os.fork")

MODELS = Path(__file__).parent / "models"
MODEL_OF = {
    "text-classification": "bert-sequence",
    "question-answering": "bert-qa",
    "feature-extraction": "bert-base",
    "text-generation": "gpt2-lm",
    "token-classification": "bert-ner",
    "fill-mask": "bert-mask",
    "zero-shot-classification": "bert-nli",
}
TASKS = [task for task in MODEL_OF if task in registry.pipelines()]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as one:
        yield one


# A million tokens take each task half a minute to read in windows; one task is enough.
HEAVY = ("punctuation-10-6",)
PAIRS = [(n, task) for n in NAMES for task in (TASKS[:1] if n in HEAVY else TASKS)]


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_a_malformed_text_has_a_typed_error_or_a_right_answer(
    name: str, task: str, judge: Judge
) -> None:
    verdict = judge(
        "malformed:run",
        folder=MODELS / MODEL_OF[task],
        task=task,
        name=name,
        seconds=60,
        megabytes=2048,
    )
    assert verdict.outcome == "ok", verdict
    assert verdict.answer["wrong"] == [], verdict.answer["outcomes"]


def test_there_are_enough_texts() -> None:
    assert len(NAMES) >= 100 + len(SPECIALS) // 2


@pytest.mark.parametrize(
    ("task", "inputs", "answer"),
    [
        ("text-classification", "a", [{"label": "x", "score": 0.5}]),
        ("text-classification", "a", [[{"label": "x", "score": float("nan")}]]),
        ("feature-extraction", "a", [[[0.0, float("nan")]]]),
        (
            "question-answering",
            {"context": "abc"},
            {"start": 0, "end": 2, "answer": "bc", "score": 0.1},
        ),
        (
            "question-answering",
            {"context": "abc"},
            {"start": 0, "end": 1, "answer": "a", "score": -1.0},
        ),
        ("token-classification", "abc", [{"start": 1, "end": 4, "score": 0.5}]),
        ("token-classification", "abc", [{"start": 1, "end": 2, "score": float("nan")}]),
        ("fill-mask", "abc", [{"score": 0.1}, {"score": 0.2}]),
        ("fill-mask", "abc", [[{"score": 0.9}, {"score": 0.2}]]),
        ("zero-shot-classification", "abc", {"sequence": "ab", "scores": [0.5]}),
        ("zero-shot-classification", "abc", {"sequence": "abc", "scores": [0.2, 0.8]}),
        ("zero-shot-classification", "abc", {"sequence": "abc", "scores": [1.5]}),
        ("text-generation", "abc", [{"generated_text": "ab"}]),
        ("text-generation", "abc", [{"generated_text": 7}]),
    ],
)
def test_a_wrong_answer_is_seen(task: str, inputs: object, answer: object) -> None:
    assert wrong(task, inputs, answer)


def test_an_answer_that_depends_on_its_companions_is_seen() -> None:
    row = [{"label": "x", "score": 0.5}]
    assert not differences(row, [row, row, row])
    assert differences(row, [row, row, [{"label": "x", "score": 0.6}]])
    assert differences(row, "InputError: no")
    assert differences("InputError: no", [row, row, row])
    assert not differences("InputError: no", "InputError: twice no")
