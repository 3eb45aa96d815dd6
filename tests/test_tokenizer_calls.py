"""What programs ask of a pipeline's tokenizer and of its chat template, beyond one text."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from silmu import pipeline
from silmu.errors import InputError, StoreError, UsageError, WrongTypeError
from silmu.pipelines import Pipeline
from silmu.runtime import sandbox
from silmu.runtime.folder import Folder
from silmu.runtime.text import Tokenizer
from test_onnx_folders import export, lay

USER, ASSISTANT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Sure"}


@pytest.fixture(scope="module")
def tokenizer(models: Path) -> Tokenizer:
    return Tokenizer.open(Folder(models / "bert-sequence", "bert-sequence"))


@pytest.fixture
def chat(models: Path) -> Tokenizer:
    return Tokenizer.open(Folder(models / "gpt2-chat", "gpt2-chat"))


# ── a call ─────────────────────────────────────────────────────────────────────────────────────


def test_a_row_is_a_list(tokenizer: Tokenizer) -> None:
    row = tokenizer.encode("the sea", "is cold")
    assert row == tokenizer("the sea", "is cold")["input_ids"] == row.ids
    assert isinstance(row, list)
    assert row + [7] == [*row.ids, 7]  # noqa: RUF005 - as programs write it
    assert (len(row.type_ids), len(row.special), row.overflowing) == (len(row), len(row), [])
    again = copy.deepcopy(row)
    assert (again, again.type_ids) == (row, row.type_ids)


@pytest.mark.parametrize("option", [{"return_tensors": "np"}, {"padding": True}])
def test_a_row_has_no_options_of_several(tokenizer: Tokenizer, option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(option))):
        tokenizer.encode("the sea", **option)
    assert tokenizer.encode("the sea", text_pair="is cold", padding=False).type_ids[-1] == 1


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("tensors", [None, "np"])
def test_padding_is_on_the_side_of_the_tokenizer(
    models: Path, side: str, tensors: str | None
) -> None:
    own = Tokenizer.open(Folder(models / "bert-sequence", "bert-sequence"))
    own.padding_side = side
    texts = ["the sea is cold", "the"]
    long, short = (own(text)["input_ids"] for text in texts)
    rows = own(
        texts,
        padding=True,
        return_tensors=tensors,
        return_special_tokens_mask=True,
        return_offsets_mapping=True,
        return_length=True,
    )
    fill = [own.pad_token_id] * (len(long) - len(short))
    assert [*rows["input_ids"][1]] == (fill + short if side == "left" else short + fill)
    assert [*rows["special_tokens_mask"][1]].count(1) == 2 + len(fill)
    assert rows["length"][1] == len(long)
    outer = 0 if side == "left" else -1
    assert [*rows["offset_mapping"][1][outer]] == [0, 0]
    assert rows.word_ids(1)[outer] is None
    assert len(rows.tokens(1)) == len(rows.sequence_ids(1)) == len(long)
    assert own(texts, padding=True, padding_side="right").input_ids[1] == short + fill


def test_windows_come_as_rows(tokenizer: Tokenizer) -> None:
    how: dict[str, Any] = {"truncation": True, "max_length": 8, "stride": 2}
    texts = ["the sea is cold in the evening", "the"]
    rows = tokenizer(texts, return_overflowing_tokens=True, **how)
    sources = rows["overflow_to_sample_mapping"]
    assert sources == sorted(sources)
    assert set(sources) == {0, 1}
    assert len(rows["input_ids"]) == len(sources) > 2
    assert tokenizer(texts, **how)["input_ids"] == [rows.input_ids[0], rows.input_ids[-1]]


@pytest.mark.parametrize("wrong", [[["a", "b", "c"]], ["a", 3], 5, None, [["a"]]])
def test_what_is_no_text_and_no_pair(tokenizer: Tokenizer, wrong: Any) -> None:
    with pytest.raises(InputError, match="string"):
        tokenizer(wrong)


def test_not_as_many_second_texts(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="2 texts, and 1 second"):
        tokenizer(["a", "b"], ["c"])


def test_what_a_tokenizer_does_not_have(tokenizer: Tokenizer) -> None:
    for name, words in (("save_pretrained", "pipe.save_pretrained"), ("add_tokens", "embeddings")):
        with pytest.raises(AttributeError, match=words):
            getattr(tokenizer, name)


# ── chat templates ─────────────────────────────────────────────────────────────────────────────


def test_a_long_conversation_goes_through(chat: Tokenizer) -> None:
    template = (
        "{% for m in messages %}{% if loop.index0 == messages | length - 1 %}last: {% endif %}"
        "{{ m.content }};{% endfor %}"
    )
    messages = [{"role": "user", "content": f"message {i}"} for i in range(1000)]
    text: Any = chat.apply_chat_template(messages, chat_template=template, tokenize=False)
    assert text.count(";") == 1000
    assert text.endswith("last: message 999;")


def test_a_template_that_goes_on_is_ended(chat: Tokenizer, monkeypatch: Any) -> None:
    monkeypatch.setattr(sandbox, "MAX_SECONDS", 0.01)
    template = "{% for a in range(400) %}{% for b in range(400) %}{% set c = a %}{% endfor %}"
    with pytest.raises(UsageError, match="takes longer than"):
        chat.apply_chat_template([USER], chat_template=template + "{% endfor %}")


def test_what_excludes_each_other(chat: Tokenizer) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        chat.apply_chat_template(
            [USER, ASSISTANT], add_generation_prompt=True, continue_final_message=True
        )


@pytest.mark.parametrize("content", [None, 3, [{"type": "image"}]])
def test_only_a_text_goes_on(chat: Tokenizer, content: Any) -> None:
    with pytest.raises(UsageError, match="a last message with a text"):
        chat.apply_chat_template(
            [USER, {**ASSISTANT, "content": content}], continue_final_message=True
        )


def test_a_conversation_stays_as_it_is(chat: Tokenizer) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    before = copy.deepcopy(messages)
    template = "{{ messages[0].content[0].text }}!"
    text = chat.apply_chat_template(
        messages, chat_template=template, continue_final_message=True, tokenize=False
    )
    assert (text, messages) == ("Hi", before)


# ── pipelines that are kept ────────────────────────────────────────────────────────────────────


def test_a_graph_of_another_program_can_be_copied(tmp_path: Path) -> None:
    lay(tmp_path / "m", "bert-sequence", {"model.onnx": export("bert-sequence")})
    pipe = pipeline("text-classification", tmp_path / "m")
    answer = pipe("the sea")
    for other in (pickle.loads(pickle.dumps(pipe)), copy.deepcopy(pipe)):
        assert other("the sea")[0]["label"] == answer[0]["label"]
        assert other("the sea")[0]["score"] == pytest.approx(answer[0]["score"], abs=1e-5)


@pytest.fixture(scope="module")
def classify(models: Path) -> Pipeline:
    return pipeline("text-classification", models / "bert-sequence")


def test_an_empty_folder_is_filled_and_no_other(classify: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    classify.save_pretrained(tmp_path / "new")
    assert (tmp_path / "new" / "config.json").is_file()
    before = sorted(path.name for path in (tmp_path / "new").iterdir())
    with pytest.raises(StoreError, match="already there"):
        classify.save_pretrained(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == before


def test_a_tokenizer_of_another_library(classify: Pipeline) -> None:
    for wrong in (("bert-sequence", {"use_fast": True}), object()):
        with pytest.raises(WrongTypeError, match="tokenizer is a"):
            pipeline("text-classification", classify.model, tokenizer=wrong)  # type: ignore[arg-type]


def test_numbers_of_numpy_are_settings(models: Path) -> None:
    write = pipeline("text-generation", models / "gpt2-inner", do_sample=False)
    how: dict[str, Any] = {"max_new_tokens": 4, "repetition_penalty": 1.5, "eos_token_id": 5}
    same = {
        "max_new_tokens": np.int32(4),
        "repetition_penalty": np.float32(1.5),
        "eos_token_id": np.int64(5),
    }
    assert write("the sea", **same) == write("the sea", **how)


def test_none_is_not_given(models: Path) -> None:
    write = pipeline("text-generation", models / "gpt2-inner", max_new_tokens=4, streamer=None)
    answer = write("the sea", do_sample=False)
    for name in (
        *("num_beams", "num_return_sequences", "early_stopping", "length_penalty", "min_length"),
        *("stopping_criteria", "logits_processor", "streamer", "temperature", "top_p", "top_k"),
    ):
        assert write("the sea", do_sample=False, **{name: None}) == answer, name
    assert write("the sea", do_sample=None) == answer
