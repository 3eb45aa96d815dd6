"""What zero-shot-classification promises beside the recorded answers of transformers."""

from __future__ import annotations

import json
import logging
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from silmu import pipeline
from silmu.errors import InputError, UsageError
from silmu.pipelines import Pipeline

MODELS = Path(__file__).parent / "models"
SEA = "The sea takes what it wants and gives nothing back."
TOPICS = ["sport", "water", "music"]
WORDY = "about the old man and the sea and the boats"


@cache
def classifier(model: str = "bert-nli") -> Pipeline:
    return pipeline("zero-shot-classification", str(MODELS / model))


def test_labels_come_in_the_order_of_their_scores() -> None:
    found = classifier()(SEA, TOPICS)
    assert list(found) == ["sequence", "labels", "scores"]
    assert found["sequence"] == SEA
    assert sorted(found["labels"]) == sorted(TOPICS)
    assert found["scores"] == sorted(found["scores"], reverse=True)
    assert sum(found["scores"]) == pytest.approx(1, abs=1e-6)
    assert json.loads(json.dumps(found)) == found


def test_a_list_of_one_stays_a_list() -> None:
    """[!] Unlike fill-mask."""
    assert classifier()([SEA], TOPICS) == [classifier()(SEA, TOPICS)]


def test_one_label_is_judged_for_itself() -> None:
    """[!] Among one label the softmax would always be 1."""
    found = classifier()(SEA, "sport")
    assert found["scores"][0] < 1
    several = classifier()(SEA, TOPICS, multi_label=True)
    own = several["scores"][several["labels"].index("sport")]
    assert found["scores"][0] == pytest.approx(own, abs=1e-6)


def test_what_entails_is_found_by_name(caplog: pytest.LogCaptureFixture) -> None:
    """[!] By the beginning of the label, whatever its case; else it is the last output."""
    assert classifier("bert-nli").entailment_id == 2
    assert classifier("bert-nli-backwards").entailment_id == 0
    assert classifier("distilbert-nli").entailment_id == 1
    with caplog.at_level(logging.WARNING, "silmu"):
        unnamed = pipeline("zero-shot-classification", str(MODELS / "bert-nli-unnamed"))
    assert unnamed.entailment_id == -1
    assert "`LABEL_2`" in caplog.text


def test_only_the_text_is_shortened() -> None:
    """[!] The sentence of a label is never cut."""
    pipe = pipeline("zero-shot-classification", str(MODELS / "bert-nli"), candidate_labels=TOPICS)
    rows = list(pipe.preprocess("the sea " * 500, candidate_labels=TOPICS))
    for row, label in zip(rows, TOPICS, strict=True):
        ids = row["input_ids"][0]
        assert len(ids) == 128
        sentence = pipe.tokenizer.encode(f"This example is {label}.", add_special_tokens=False).ids
        assert ids[-len(sentence) - 1 : -1].tolist() == sentence


def test_where_the_label_alone_is_too_long_nothing_is_shortened() -> None:
    """[!] A pair that the model can read is answered whole, whatever the tokenizer's limit."""
    pipe = pipeline("zero-shot-classification", str(MODELS / "bert-nli"))
    expected = pipe("the sea", [WORDY, "cold"], hypothesis_template="{}")
    pipe.tokenizer.model_max_length = 16
    found = pipe("the sea", [WORDY, "cold"], hypothesis_template="{}")
    assert found["labels"] == expected["labels"]
    assert found["scores"] == pytest.approx(expected["scores"], abs=1e-5)


def test_a_label_that_the_model_cannot_read() -> None:
    with pytest.raises(InputError, match="reads at most 128") as caught:
        classifier()(SEA, [f"{WORDY} " * 20])
    assert "shorter labels" in (caught.value.hint or "")


def test_a_book_is_read_to_where_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not made into tokens once for each label, and the answer is the same."""
    book = "The sea takes what it wants. " * 3000
    pipe = pipeline("zero-shot-classification", str(MODELS / "bert-nli"))
    lengths: list[int] = []
    encode = pipe.tokenizer.encode

    def spy(text: str, *rest: Any, **options: Any) -> Any:
        lengths.append(len(text))
        return encode(text, *rest, **options)

    monkeypatch.setattr(pipe.tokenizer, "encode", spy)
    found = pipe(book, TOPICS)
    assert lengths[0] == len(book) > 20 * max(lengths[1:])
    monkeypatch.setattr(type(pipe), "_beginning", lambda _, text: text)
    assert pipe(book, TOPICS) == found


def test_labels_of_a_text_are_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, int]] = []
    session = classifier().model.session
    run = session.run

    def spy(feeds: dict[str, Any], *rest: Any) -> Any:
        shapes.append(feeds["input_ids"].shape)
        return run(feeds, *rest)

    monkeypatch.setattr(session, "run", spy)
    alone = classifier()(SEA, TOPICS, batch_size=1)
    assert len(shapes) == 3
    shapes.clear()
    found = classifier()(SEA, TOPICS)
    assert [rows for rows, _ in shapes] == [3]
    assert found["labels"] == alone["labels"]
    assert found["scores"] == pytest.approx(alone["scores"], abs=1e-5)


def test_the_older_word_for_several_labels(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "silmu"):
        found = classifier()(SEA, TOPICS, multi_class=True)
    assert "write `multi_label`" in caplog.text
    assert found == classifier()(SEA, TOPICS, multi_label=True)


def test_korean_labels_and_template() -> None:
    found = classifier()(
        "나는 부산에서 태어나서 서울에서 살고 있다.",
        "운동, 음악 , 여행",
        hypothesis_template="이 글은 {}에 관한 것이다.",
    )
    assert sorted(found["labels"]) == ["여행", "운동", "음악"]


@pytest.mark.parametrize(
    ("args", "parameters"),
    [
        ((), {}),
        ((), {"candidate_labels": None}),
        (([],), {}),
        ((" , ",), {}),
        (([["a"]],), {}),
        ((TOPICS,), {"candidate_labels": TOPICS}),
        ((TOPICS, "{}"), {}),
        ((TOPICS,), {"hypothesis_template": "no place"}),
        ((TOPICS,), {"hypothesis_template": "{} {}"}),
        ((TOPICS,), {"hypothesis_template": "{label}"}),
        ((TOPICS,), {"hypothesis_template": "{"}),
        ((TOPICS,), {"hypothesis_template": 3}),
        (([10**5000],), {}),
    ],
)
def test_what_cannot_be_asked(args: tuple[Any, ...], parameters: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        classifier()(SEA, *args, **parameters)


@pytest.mark.parametrize("given", ["", None, 3, {"text": SEA}, [SEA, ""], [[SEA]]])
def test_what_cannot_be_answered(given: Any) -> None:
    with pytest.raises(InputError):
        classifier()(given, TOPICS)


def test_the_same_model_classifies_and_chooses() -> None:
    whole = pipeline("text-classification", str(MODELS / "bert-nli"))
    other = pipeline("zero-shot-classification", whole.model, tokenizer=whole.tokenizer)
    assert other.model is whole.model
    assert other(SEA, TOPICS) == classifier()(SEA, TOPICS)
