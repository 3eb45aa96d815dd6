"""What fill-mask promises beside the recorded answers of transformers."""

from __future__ import annotations

import json
import logging
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from silmu import graphs, pipeline
from silmu.errors import InputError, UnsupportedModelError, UsageError
from silmu.pipelines import Pipeline
from silmu.runtime.folder import Folder
from silmu.runtime.text import Tokenizer

MODELS = Path(__file__).parent / "models"
FRANCE = "The capital of France is [MASK]."
SEVERAL = "The [MASK] of France is [MASK]."
CUT = {"truncation": True}


@cache
def filler(model: str = "bert-mask") -> Pipeline:
    return pipeline("fill-mask", str(MODELS / model))


def test_the_task_is_told_by_the_architecture() -> None:
    pipe = pipeline(model=str(MODELS / "distilbert-mask"))
    assert pipe.task == "fill-mask"
    assert len(pipe(FRANCE)) == 5


def test_a_list_of_one_is_unwrapped() -> None:
    """[!] A list of one text is answered like the text alone; a stream of one is not."""
    alone = filler()(FRANCE)
    assert close(filler()([FRANCE]), alone)
    assert close(list(filler()(iter([FRANCE]))), [alone])
    assert close(filler()([FRANCE, FRANCE]), [alone, alone])


def test_several_masks_have_a_list_each_and_show_the_others() -> None:
    """[!] Special tokens are left out of the sequence only where there is one mask."""
    first, second = filler()(SEVERAL, top_k=2)
    assert first[0]["sequence"].startswith("[CLS] the ")
    assert first[0]["sequence"].count("[MASK]") == second[0]["sequence"].count("[MASK]") == 1
    assert "[" not in filler()(FRANCE)[0]["sequence"]


def test_targets_are_scored_among_all_words() -> None:
    """[!] Targets choose what is shown; scores stay those among the whole vocabulary."""
    every = {one["token"]: one["score"] for one in filler()(FRANCE, top_k=300)}
    assert sum(every.values()) == pytest.approx(1, abs=1e-5)
    found = filler()(FRANCE, targets=["the", "sea"])
    assert len(found) == 2
    assert all(one["score"] == pytest.approx(every[one["token"]]) for one in found)


def test_a_target_that_is_no_token(caplog: pytest.LogCaptureFixture) -> None:
    """[!] What the vocabulary lacks stands for its first token, with a warning."""
    with caplog.at_level(logging.WARNING, "silmu"):
        found = filler()(FRANCE, targets=["theatre"])
    assert "`theatre` is not in the vocabulary" in caplog.text
    assert found[0]["token_str"] == "the"
    with pytest.raises(UsageError, match="no target"):
        filler()(FRANCE, targets=[""])


def test_padding_is_left_out_of_the_sequence() -> None:
    """[!] Also where the padding token is what fills the mask."""
    found = filler()(FRANCE, targets="[PAD]")[0]
    assert (found["token_str"], found["sequence"]) == ("[PAD]", "the capital of france is.")


def test_scores_are_floats_that_json_takes() -> None:
    found = filler()([FRANCE, SEVERAL])
    assert json.loads(json.dumps(found)) == found
    assert {type(one["score"]) for one in found[0]} == {float}
    assert {type(one["token"]) for one in found[0]} == {int}


def test_a_text_without_a_mask_is_refused_with_what_the_mask_is() -> None:
    with pytest.raises(InputError, match=r"no mask, which this model calls \[MASK\]"):
        filler()("The capital of France is <mask>.")
    with pytest.raises(InputError, match="no mask"):
        filler()(FRANCE, tokenizer_kwargs={"max_length": 4, **CUT})


def test_a_text_that_is_too_long_says_what_to_write() -> None:
    with pytest.raises(InputError, match="reads at most 128") as caught:
        filler()(FRANCE + " the sea" * 200)
    assert 'tokenizer_kwargs={"truncation": True}' in (caught.value.hint or "")
    assert len(filler()(FRANCE + " the sea" * 200, tokenizer_kwargs=CUT)) == 5


@pytest.mark.parametrize(
    "parameters", [{"top_k": -1}, {"top_k": "2"}, {"targets": []}, {"targets": 3}, {"nonsense": 1}]
)
def test_what_cannot_be_asked(parameters: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        filler()(FRANCE, **parameters)


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    tokenizer = Tokenizer.open(Folder(MODELS / "bert-mask", "bert-mask"))
    tokenizer.mask_token = None
    with pytest.raises(UnsupportedModelError, match="no mask token"):
        pipeline("fill-mask", str(MODELS / "bert-mask"), tokenizer=tokenizer)


def test_a_classifier_fills_no_masks() -> None:
    with pytest.raises(UnsupportedModelError, match="not trained for fill-mask"):
        pipeline("fill-mask", str(MODELS / "bert-sequence"))


def test_a_korean_gap() -> None:
    found = filler("distilbert-mask")("서울 [MASK] 서울.", targets=["서울", "한"])
    assert {one["sequence"] for one in found} == {"서울 한 서울.", "서울 서울 서울."}
    assert {one["token_str"] for one in found} == {"서울", "한"}


# The vocabulary is computed for masks only.


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """For each run of the engine, how many tokens it got and at how many the vocabulary was."""
    seen: list[tuple[int, int]] = []
    session = filler().model.session
    run = session.run

    def spy(feeds: dict[str, Any], *rest: Any) -> Any:
        found = run(feeds, *rest)
        seen.append((feeds["input_ids"].size, found["logits"][..., 0].size))
        return found

    monkeypatch.setattr(session, "run", spy)
    return seen


def test_the_vocabulary_is_computed_for_masks_only(computed: list[tuple[int, int]]) -> None:
    texts = [FRANCE, SEVERAL, "[MASK]", "the sea " * 20 + "[MASK]"]
    expected = [filler()(text) for text in texts]
    computed.clear()
    assert close(filler()(texts), expected)
    assert sum(words for _, words in computed) == 5
    assert sum(tokens for tokens, _ in computed) > 60


def test_a_graph_that_computes_all_of_it_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs that others exported know of no places."""
    texts = [FRANCE, SEVERAL, "[MASK] [MASK]", "the sea " * 20 + "[MASK]"]
    expected = filler()(texts)
    monkeypatch.setattr(filler().model.session, "options", set())
    assert close(filler()(texts), expected)


@pytest.mark.parametrize("model", ["bert-mask", "distilbert-mask", "distilbert-mask-untied"])
def test_places_of_a_graph(model: str) -> None:
    session = graphs.open_session(Folder(MODELS / model, model), "fill-mask")
    ids = np.random.default_rng(0).integers(5, 300, (3, 7))
    feeds = {name: np.ones_like(ids) for name in ("attention_mask", "token_type_ids")}
    feeds |= {"input_ids": ids, "token_type_ids": np.zeros_like(ids)}
    every = session.run(feeds)["logits"]
    assert every.shape == (3, 7, 300)
    places = np.array([20, 0, 8])
    some = session.run({**feeds, "places": places})["logits"]
    np.testing.assert_allclose(some[0], every.reshape(21, 300)[places], rtol=1e-5, atol=1e-5)


def close(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(close, found, expected))
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            close(found[key], expected[key]) for key in expected
        )
    return found == (pytest.approx(expected, abs=1e-5) if type(expected) is float else expected)
