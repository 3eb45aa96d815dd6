"""Korean answers and entities: where they stand in the user's own text, and without particles."""

from __future__ import annotations

import re
import time
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tokenizer_cases as cases
from korean_cases import TUNED, UNSEEN
from silmu import pipeline
from silmu.errors import UsageError
from silmu.pipelines import Pipeline
from silmu.runtime import korean
from silmu.runtime.folder import Folder
from silmu.runtime.text import Tokenizer

FORMS = ("NFC", "NFD")


def read(case: str, form: str) -> tuple[str, int, int, int]:
    """The text of a case, where the span begins and ends, and where it should end."""
    found = re.search(r"\[([^|\]]*)\|([^\]]*)\]", case)
    assert found is not None
    parts = (case[: found.start()], found[1], found[2], case[found.end() :])
    before, stem, particles, after = (unicodedata.normalize(form, part) for part in parts)
    text = before + stem + particles + after
    return text, len(before), len(before + stem + particles), len(before + stem)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", TUNED)
def test_particles_are_told_from_the_ends_of_words(case: str, form: str) -> None:
    text, start, end, wanted = read(case, form)
    assert text[start : korean.without_particles(text, start, end)] == text[start:wanted]


def test_cases_that_were_never_tuned_on() -> None:
    right = 0
    for case in UNSEEN:
        text, start, end, wanted = read(case, "NFC")
        right += korean.without_particles(text, start, end) == wanted
    assert len(UNSEEN) == 60
    assert right >= 57


def test_there_are_enough_cases_of_both_kinds() -> None:
    kept = sum("|]" in case for case in TUNED)
    assert len(set(TUNED)) == len(TUNED) >= 100
    assert kept >= 40
    assert len(TUNED) - kept >= 60
    assert not {*TUNED} & {*UNSEEN}


@pytest.mark.parametrize("form", FORMS)
def test_a_span_never_cuts_a_syllable_nor_leaves_the_text(form: str) -> None:
    text = unicodedata.normalize(form, "서울에서는 café의 값이 올랐다")
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            first, last = korean.whole_syllables(text, start, end)
            assert 0 <= first <= start < end <= last <= len(text)
            assert not "\u1160" <= text[first] <= "\u11ff"
            assert last == len(text) or not "\u1160" <= text[last] <= "\u11ff"
            assert first <= korean.without_particles(text, first, last) <= last
            assert form == "NFD" or (first, last) == (start, end)
    assert korean.whole_syllables(text, 0, 0) == (0, 0)
    assert korean.without_particles(text, 3, 3) == 3
    assert korean.without_particles("", 0, 0) == 0


def test_nothing_but_korean_is_touched() -> None:
    for text in (
        "Berlin is big",
        "東京は大きい",
        "Москва большая",
        "!!!",
        "   ",
        "😀 👍🏽",
        "e\u0301",
    ):
        assert korean.without_particles(text, 0, len(text)) == len(text)


@pytest.mark.parametrize(
    "letter", ["가", "은", "도", "에서", "으로부터", " 은", "ᄀ", "ᅡ", "가\u11a8"]
)
def test_odd_texts_take_no_time(letter: str) -> None:
    text = letter * 20_000
    start = time.process_time()
    for place in (1, 5_000, len(text)):
        assert 0 <= korean.without_particles(text, 0, place) <= place
    assert time.process_time() - start < 20


# ── through the pipelines ──────────────────────────────────────────────────────────────────────

CONTEXT = "등대지기는 부산에서 태어나서 서울에서 살고 있다. 서울에는 한강이 흐른다."


@pytest.fixture(scope="module")
def reader(models: Path) -> Pipeline:
    return pipeline("question-answering", models / "bert-qa")


def tokenizer_of(name: str, folder: Path) -> Tokenizer:
    cases.write(cases.CASES[name], folder)
    return Tokenizer.open(Folder(folder, name))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name",
    [
        *("bert", "bert-cased", "gpt2", "roberta", "qwen2", "albert", "xlm-roberta", "t5"),
        *("deberta-v2", "llama", "gemma"),
    ],
)
def test_answers_stand_in_the_text_as_it_was_given(
    name: str, form: str, reader: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_tokenizer", tokenizer_of(name, tmp_path))
    # The tokenizer is not the model's, which is not asked.
    monkeypatch.setattr(reader, "_arrays", lambda window: {})
    context = unicodedata.normalize(form, CONTEXT)
    word = unicodedata.normalize(form, "서울에서")
    begin = context.index(word)
    example = {"question": "어디?", "context": context}
    (window,) = reader.preprocess(example, max_seq_len=1000, doc_stride=1)
    encoding = window["window"].encoding
    sequence = 1 if reader.tokenizer.padding_side == "right" else 0
    inside = [
        i
        for i, (start, end) in enumerate(encoding.offsets)
        if encoding.sequence_ids[i] == sequence and start < begin + len(word) and end > begin
    ]
    logits = np.full((2, 1, len(encoding.ids)), -5, np.float32)
    logits[0, 0, inside[0]] = logits[1, 0, inside[-1]] = 5
    output = {**window, "start_logits": logits[0], "end_logits": logits[1]}
    options = {"max_answer_len": 100}
    # Without anything that cuts words, all of a text is one.
    for align in (False,) if name in ("llama", "gemma") else (True, False):
        whole = reader.postprocess([output], align_to_words=align, **options)
        # As in transformers, a word may have the space before it.
        assert whole["answer"].strip() == word
        assert whole["end"] == begin + len(word)
        assert context[whole["start"] : whole["end"]] == whole["answer"]
        stem = reader.postprocess([output], align_to_words=align, trim_particles=True, **options)
        assert stem["answer"].strip() == unicodedata.normalize(form, "서울")
        assert context[stem["start"] : stem["end"]] == stem["answer"]


@pytest.mark.parametrize("form", FORMS)
def test_every_answer_of_a_model_ends_with_a_syllable(form: str, reader: Pipeline) -> None:
    context = unicodedata.normalize(form, CONTEXT)
    options: dict[str, Any] = {"question": "who?", "context": context, "top_k": 30}
    for answer in [*reader(**options), *reader(**options, align_to_words=False)]:
        assert answer["answer"] == context[answer["start"] : answer["end"]]
        assert not "\u1160" <= context[answer["end"] :][:1] <= "\u11ff"
    plain, trimmed = reader(**options), reader(**options, trim_particles=True)
    assert {answer["answer"] for answer in plain} - {answer["answer"] for answer in trimmed}
    for answer in trimmed:
        start, end = answer["start"], answer["end"]
        assert answer["answer"] == context[start:end]
    assert len({answer["answer"] for answer in trimmed}) == len(trimmed)


def test_an_answer_that_is_none_stays_none(reader: Pipeline) -> None:
    found = reader(
        question="who?",
        context=CONTEXT,
        top_k=30,
        handle_impossible_answer=True,
        trim_particles=True,
    )
    assert any(answer["answer"] == "" and answer["end"] == 0 for answer in found)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["bert", "qwen2", "xlm-roberta"])
def test_entities_end_before_their_particles(
    name: str, form: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = pipeline("token-classification", models / "bert-ner", aggregation_strategy="simple")
    monkeypatch.setattr(tag, "_tokenizer", tokenizer_of(name, tmp_path))
    monkeypatch.setattr(tag, "_arrays", lambda window: {})
    text = unicodedata.normalize(form, CONTEXT)
    word = unicodedata.normalize(form, "서울에서")
    begin = text.index(word)
    (window,) = tag.preprocess(text)
    labels = tag.model.config.id2label
    outside = next(i for i, label in labels.items() if label == "O")
    inside = next(i for i, label in labels.items() if label.startswith("I-"))
    logits = np.zeros((1, len(window["window"]), len(labels)), np.float32)
    for i, (start, end) in enumerate(window["offsets"]):
        here = start < begin + len(word) and end > begin
        logits[0, i, int(inside if here else outside)] = 9
    output = {**window, "logits": logits}
    (whole,) = tag.postprocess([output], aggregation_strategy="simple")
    assert text[whole["start"] : whole["end"]].strip() == word
    (stem,) = tag.postprocess([output], aggregation_strategy="simple", trim_particles=True)
    assert text[stem["start"] : stem["end"]].strip() == unicodedata.normalize(form, "서울")
    assert stem["word"].strip() == unicodedata.normalize(form, "서울")


def test_a_token_alone_has_no_particles(models: Path) -> None:
    tag = pipeline("token-classification", models / "bert-ner")
    with pytest.raises(UsageError, match="aggregation_strategy"):
        tag("서울에서", trim_particles=True)
