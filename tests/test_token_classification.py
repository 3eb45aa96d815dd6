"""What token-classification promises beside the recorded answers of transformers."""

from __future__ import annotations

import itertools
import json
import logging
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from silmu import pipeline
from silmu.errors import InputError, UnsupportedModelError, UsageError, WrongTypeError
from silmu.pipelines import Pipeline

MODELS = Path(__file__).parent / "models"
CLARA = "My name is Clara and I live in Hamburg with two cats."
KOREAN = "나는 부산에서 태어나서 서울에서 살고 있다."
LONG = "The lighthouse keeper climbed the narrow stairs every evening. " * 20


@cache
def tagger(model: str = "bert-ner", **options: Any) -> Pipeline:
    return pipeline("ner", str(MODELS / model), **options)


def test_the_task_is_told_by_the_architecture() -> None:
    pipe = pipeline(model=str(MODELS / "bert-ner"))
    assert pipe.task == "token-classification"
    assert pipe(CLARA) == tagger()(CLARA)


def test_scores_are_floats_that_json_takes() -> None:
    """[!] 4.57 gives numpy float32, which `json.dumps` refuses."""
    for strategy in ("none", "simple", "first", "average", "max"):
        found = tagger()(CLARA, aggregation_strategy=strategy)
        assert all(isinstance(one["score"], float) for one in found)
        assert json.loads(json.dumps(found)) == found


def test_labels_are_left_out_after_joining() -> None:
    """[!] A token that is left out parts the entities on both its sides."""
    every = tagger()(CLARA, aggregation_strategy="simple", ignore_labels=[])
    kept = tagger()(CLARA, aggregation_strategy="simple")
    assert kept == [one for one in every if one["entity_group"] != "O"]
    assert len(kept) < len(every)


def test_b_begins_a_group_and_no_prefix_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """[!] Labels without a prefix join their like; B- never joins what is before it."""
    labels = ["PER", "PER", "B-PER", "I-PER", "B-PER", "DATE-TIME", "B-DATE", "I-PER"]
    pipe = pipeline("ner", str(MODELS / "bert-ner"), aggregation_strategy="simple")
    pipe.model.config.id2label = dict(enumerate(labels))

    def run(feeds: dict[str, Any], *_: Any) -> dict[str, Any]:
        tokens = feeds["input_ids"].shape[1]
        logits = np.full((1, tokens, len(labels)), -9.0, np.float32)
        for i in range(1, tokens - 1):
            logits[0, i, i - 1] = 9.0
        return {"logits": logits}

    monkeypatch.setattr(pipe.model.session, "run", run)
    found = pipe("the " * 8, ignore_labels=[])
    groups = [(one["entity_group"], one["start"] // 4, one["end"] // 4) for one in found]
    assert groups == [
        ("PER", 0, 1),
        ("PER", 2, 3),
        ("PER", 4, 4),
        ("TIME", 5, 5),  # what the group is called is cut at the hyphen, though it is no prefix
        ("DATE", 6, 6),
        ("PER", 7, 7),
    ]


def test_words_of_one_text_are_answered_with_a_list_of_one() -> None:
    """[!] A list of words is one text, and its answer is in a list."""
    words = CLARA.split()
    alone = tagger()(words, is_split_into_words=True)
    assert len(alone) == 1
    assert alone == tagger()([words], is_split_into_words=True)
    text = " ".join(words)
    assert all(
        text[one["start"] : one["end"]].lower() == one["word"].strip("#") for one in alone[0]
    )


def test_words_at_construction_are_words() -> None:
    """4.57 forgets it at the call, and takes each word for a text."""
    words = ["Clara", "lives", "in", "Seoul"]
    pipe = pipeline("ner", str(MODELS / "bert-ner"), is_split_into_words=True, delimiter="_")
    assert pipe(words) == tagger()(words, is_split_into_words=True, delimiter="_")
    assert pipe(CLARA, is_split_into_words=False) == tagger()(CLARA)


def test_a_stream_of_words() -> None:
    """4.57 uses a generator of words up before it answers."""
    rows = [CLARA.split(), ["Seoul"]]
    found = list(tagger()(iter(rows), is_split_into_words=True))
    assert found == tagger()(rows, is_split_into_words=True)
    assert len(found) == 2


def test_words_need_a_tokenizer_that_can_begin_with_one() -> None:
    with pytest.raises(UsageError, match="by the space before them"):
        tagger("bert-ner-bytes")(["My", "name"], is_split_into_words=True)


@pytest.mark.parametrize("strategy", ["simple", "first", "average", "max"])
@pytest.mark.parametrize("model", ["bert-ner", "distilbert-ner", "bert-ner-bytes"])
def test_a_long_text_is_read_to_its_end(model: str, strategy: str) -> None:
    found = tagger(model)(LONG, aggregation_strategy=strategy, stride=16, ignore_labels=[])
    assert found[0]["start"] == 0
    assert found[-1]["end"] >= len(LONG.rstrip()) - 1
    for one, other in itertools.pairwise(found):
        assert one["start"] < one["end"] <= other["start"]
    cut = tagger(model)(LONG, aggregation_strategy=strategy, ignore_labels=[])
    assert cut[-1]["end"] < len(LONG) / 2


def test_windows_are_as_the_model_reads_them_where_the_tokenizer_has_no_limit() -> None:
    pipe = pipeline("ner", str(MODELS / "bert-ner"), aggregation_strategy="simple")
    expected = pipe(LONG, stride=16)
    pipe.tokenizer.model_max_length = 10**30
    assert pipe(LONG, stride=16) == expected
    with pytest.raises(InputError, match="reads at most 128") as caught:
        pipe(LONG)
    assert "stride" in (caught.value.hint or "")


def test_of_entities_that_overlap_the_longest_stays() -> None:
    """[!] And of equally long ones the surest; touching is no overlap."""
    from silmu.pipelines import token_classification

    def entity(start: int, end: int, score: float) -> dict[str, Any]:
        return {"start": start, "end": end, "score": score}

    given = [entity(0, 4, 0.5), entity(2, 8, 0.1), entity(3, 9, 0.4), entity(9, 10, 0.2)]
    kept = token_classification._without_overlaps(given)
    assert kept == [entity(3, 9, 0.4), entity(9, 10, 0.2)]


def test_what_is_cut_off_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    pipe = pipeline("ner", str(MODELS / "bert-ner"))
    with caplog.at_level(logging.WARNING, "silmu"):
        pipe(["short", LONG, LONG])
    assert [record.getMessage()[:43] for record in caplog.records] == [
        "of a long text the first 128 tokens are rea"
    ]


@pytest.mark.parametrize(
    "parameters",
    [
        {"stride": 128, "aggregation_strategy": "simple"},
        {"stride": 126, "aggregation_strategy": "simple"},
        {"stride": -1, "aggregation_strategy": "simple"},
        {"stride": 8, "aggregation_strategy": "none"},
        {"stride": 8, "grouped_entities": False},
        {"aggregation_strategy": "most"},
        {"ignore_labels": "O"},
        {"nonsense": 1},
        {"offset_mapping": []},
        {"offset_mapping": 3},
        {"stride": "8", "aggregation_strategy": "simple"},
    ],
)
def test_what_cannot_be_asked(parameters: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        tagger()(CLARA, **parameters)


def test_older_words_win_and_warn(caplog: pytest.LogCaptureFixture) -> None:
    """[!] `grouped_entities` wins over `aggregation_strategy`, even where it is False."""
    with caplog.at_level(logging.WARNING, "silmu"):
        found = tagger()(CLARA, grouped_entities=True, aggregation_strategy="max")
    assert 'aggregation_strategy="simple"' in caplog.text
    assert found == tagger()(CLARA, aggregation_strategy="simple")
    assert found != tagger()(CLARA, aggregation_strategy="max")
    assert tagger()(CLARA, grouped_entities=True, ignore_subwords=True) == tagger()(
        CLARA, aggregation_strategy="first"
    )
    assert tagger()(CLARA, ignore_subwords=True, aggregation_strategy="max") == tagger()(CLARA)


def test_a_tokenizer_without_words_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """[!] Without a prefix for what continues a word, a word begins behind a space."""
    with caplog.at_level(logging.WARNING, "silmu"):
        found = tagger("bert-ner-bytes")(CLARA, aggregation_strategy="first", ignore_labels=[])
    assert "a word is taken to begin behind a space" in caplog.text
    starts = {0, *(i + 1 for i, letter in enumerate(CLARA) if letter == " ")}
    spaces = {i for i, letter in enumerate(CLARA) if letter == " "}
    assert {one["start"] for one in found} <= starts | spaces


def test_unknown_tokens_show_the_text() -> None:
    """[!] Where the vocabulary has no token, the word is what stands in the text."""
    found = tagger()("뷁 is 뷁", ignore_labels=[])
    assert [one["word"] for one in found] == ["뷁", "is", "뷁"]


def test_offsets_of_several_texts_are_each_their_own() -> None:
    texts = ["my name", "the sea is cold"]
    own = [tagger().tokenizer.encode(text).encoding.offsets for text in texts]
    plain = tagger()(texts, ignore_labels=[])
    assert tagger()(texts, ignore_labels=[], offset_mapping=own) == plain
    moved = [[(start, start) for start, _ in places] for places in own]
    found = tagger()(texts, ignore_labels=[], offset_mapping=moved)
    for row, places in zip(found, moved, strict=True):
        assert [(one["start"], one["end"]) for one in row] == places[1:-1]
    with pytest.raises(UsageError, match="has 3 places, and the text"):
        tagger()(texts[0], offset_mapping=own[0][:3])


def decomposed(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.lower())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@pytest.mark.parametrize("text", [KOREAN, "한국의 수도는 서울이다", "Zoë는 서울에서 café에 갔다"])
@pytest.mark.parametrize("model", ["bert-ner", "distilbert-ner"])
def test_korean_places_are_those_of_the_text(model: str, text: str) -> None:
    found = tagger(model)(text, ignore_labels=[])
    for one in found:
        word, span = one["word"].removeprefix("##"), text[one["start"] : one["end"]]
        assert decomposed(word) in decomposed(span)
        assert len(span) <= len(word)
    assert "".join(text[one["start"] : one["end"]] for one in found)[0] == text[0]
    assert found[-1]["end"] == len(text)


def test_a_classifier_of_texts_is_no_tagger() -> None:
    """Both heads are called `classifier`; what the folder says it was trained for decides."""
    with pytest.raises(UnsupportedModelError, match="not trained for token-classification"):
        pipeline("ner", str(MODELS / "bert-sequence"))
    with pytest.raises(UnsupportedModelError, match="not trained for text-classification"):
        pipeline("text-classification", str(MODELS / "distilbert-ner"))


def test_a_copy_answers_the_same(tmp_path: Path) -> None:
    tagger().save_pretrained(tmp_path / "copy")
    assert pipeline(model=str(tmp_path / "copy"))(CLARA) == tagger()(CLARA)


def test_a_text_must_be_one() -> None:
    with pytest.raises(InputError, match="is_split_into_words"):
        tagger()([["My", "name"]])
    with pytest.raises(InputError, match="list of words"):
        tagger()(CLARA, is_split_into_words=True)
    with pytest.raises(WrongTypeError, match="takes no"):
        tagger()(CLARA, truncation=True)


def test_a_token_is_named_as_the_vocabulary_spells_it() -> None:
    """[!] The mask takes in the space before it, which is not part of its name."""
    pipe = tagger("albert-tokens")
    text = "sea [MASK] air"
    found = pipe(text, ignore_labels=[])
    (mask,) = (one for one in found if "MASK" in one["word"])
    assert mask["word"] == "[MASK]"
    assert text[mask["start"] : mask["end"]].strip() == "[MASK]"


TAKEN_APART = unicodedata.normalize("NFD", "서울에서 한글 갸륵 ") * 12


@pytest.mark.parametrize("model", ["bert-ner", "bert-ner-bytes"])
def test_tokens_stand_where_the_tokenizer_says(model: str) -> None:
    """Also those that are less than a syllable of a text in NFD."""
    pipe = tagger(model)
    text = TAKEN_APART[:20]
    row = pipe.tokenizer.encode(text)
    places = zip(row.encoding.offsets, row.special, strict=True)
    of_text = [place for place, is_special in places if not is_special]
    found = pipe(text, ignore_labels=[])
    assert [(one["start"], one["end"]) for one in found] == of_text
    assert any("\u1160" <= text[end] <= "\u11ff" for _, end in of_text if end < len(text))


@pytest.mark.parametrize("model", ["bert-ner", "bert-ner-bytes"])
def test_no_entity_is_lost_for_being_widened_to_a_syllable(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tagger(model, aggregation_strategy="simple", stride=1)
    widened = pipe(TAKEN_APART, ignore_labels=[])
    monkeypatch.setattr("silmu.runtime.korean.whole_syllables", lambda _, start, end: (start, end))
    plain = pipe(TAKEN_APART, ignore_labels=[])
    assert [one["word"] for one in widened] == [one["word"] for one in plain]
    assert widened != plain
