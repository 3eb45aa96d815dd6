"""The options of a call to a tokenizer that say how rows are padded and what comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken
from tokenizers import Tokenizer as RustTokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase, Prepend

from silmu import pipeline
from silmu.errors import UsageError
from silmu.pipelines import Pipeline
from silmu.runtime.folder import Folder
from silmu.runtime.text import Tokenizer

SHORT, LONGER = "the sea", "the sea is cold in the evening"


@pytest.fixture(scope="module")
def tokenizer(models: Path) -> Tokenizer:
    return Tokenizer.open(Folder(models / "bert-sequence", "bert-sequence"))


@pytest.fixture(scope="module")
def extract(models: Path) -> Pipeline:
    return pipeline("feature-extraction", models / "bert-base", return_tensors=True)


@pytest.mark.parametrize(
    ("longest", "padding", "max_length", "multiple", "width"),
    [
        (5, False, None, None, 5),
        (5, False, 9, 8, 5),
        (5, "do_not_pad", 9, 8, 5),
        (5, True, 9, None, 5),
        (5, True, None, 8, 8),
        (8, "longest", None, 8, 8),
        (9, "longest", None, 8, 16),
        (5, "max_length", 9, None, 9),
        (5, "max_length", 9, 4, 12),
        (12, "max_length", 9, None, 12),
        (0, True, None, 8, 0),
    ],
)
def test_padded_length(
    tokenizer: Tokenizer,
    longest: int,
    padding: bool | str,
    max_length: int | None,
    multiple: int | None,
    width: int,
) -> None:
    assert tokenizer.padded_length(longest, padding, max_length, multiple) == width


def test_padding_to_a_limit_that_is_not_known(models: Path) -> None:
    tokenizer = Tokenizer.open(Folder(models / "bert-sequence", "bert-sequence"))
    tokenizer.model_max_length = int(1e30)
    assert tokenizer.padded_length(5, "max_length", None, None) == 5


def test_rows_of_one_width(tokenizer: Tokenizer) -> None:
    found = tokenizer([SHORT, LONGER], padding=True, pad_to_multiple_of=32, return_tensors="np")
    assert {name: array.shape for name, array in found.items()} == {
        "input_ids": (2, 32),
        "token_type_ids": (2, 32),
        "attention_mask": (2, 32),
    }
    lengths = [len(ids) for ids in tokenizer([SHORT, LONGER])["input_ids"]]
    assert found["attention_mask"].sum(axis=1).tolist() == lengths


@pytest.mark.parametrize("name", ["token_type_ids", "attention_mask"])
@pytest.mark.parametrize("tensors", [None, "np"])
def test_what_is_asked_for_comes_back(tokenizer: Tokenizer, name: str, tensors: Any) -> None:
    options: dict[str, Any] = {"return_tensors": tensors}
    assert name in tokenizer(SHORT, **options)
    assert name in tokenizer(SHORT, **options, **{f"return_{name}": True})
    assert set(tokenizer(SHORT, **options, **{f"return_{name}": False})) == {
        *("input_ids", "token_type_ids", "attention_mask")
    } - {name}


def test_what_a_model_does_not_read_comes_only_when_asked_for(models: Path) -> None:
    tokenizer = Tokenizer.open(Folder(models / "distilbert-sequence", "distilbert-sequence"))
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    assert list(tokenizer(SHORT)) == ["input_ids", "attention_mask"]
    assert "token_type_ids" in tokenizer(SHORT, return_token_type_ids=True)


def test_a_pair_without_types_is_read_as_one_segment(extract: Pipeline) -> None:
    pair = {"text_pair": "a letter"}
    typed = extract(SHORT, tokenize_kwargs=pair)
    untyped = extract(SHORT, tokenize_kwargs={**pair, "return_token_type_ids": False})
    assert typed.shape == untyped.shape
    assert abs(typed - untyped).max() > 1e-3


def test_padding_without_a_mask_is_read(extract: Pipeline) -> None:
    padded = {"padding": "max_length", "max_length": 16}
    masked = extract(SHORT, tokenize_kwargs=padded)
    unmasked = extract(SHORT, tokenize_kwargs={**padded, "return_attention_mask": False})
    assert masked.shape == unmasked.shape == (1, 16, masked.shape[2])
    assert abs(masked[0, :3] - unmasked[0, :3]).max() > 1e-3
    assert abs(masked[0, :3] - extract(SHORT)[0, :3]).max() < 1e-5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"padding": "widest"}, "longest, max_length, do_not_pad"),
        ({"padding": True, "pad_to_multiple_of": 0}, "pad_to_multiple_of is 0"),
        ({"padding": True, "pad_to_multiple_of": 4096}, "padded to 4,096 tokens"),
        ({"padding": "max_length", "max_length": 100_000}, "padded to 100,000 tokens"),
        ({"paddign": True}, "paddign.*pad_to_multiple_of"),
    ],
)
def test_what_cannot_be_is_refused(extract: Pipeline, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        extract(SHORT, tokenize_kwargs=options)


@pytest.mark.parametrize("normalizer", [Lowercase(), Prepend("▁")])
def test_special_tokens_are_named_and_skipped_as_they_are_written(normalizer: Any) -> None:
    """[!] tokenizers 0.23 calls them what their normalised text is, and no longer special."""
    rust = RustTokenizer(WordLevel({"[UNK]": 0, "[END]": 1, "sea": 2}, unk_token="[UNK]"))
    rust.normalizer = normalizer
    rust.add_special_tokens([AddedToken(t, normalized=True) for t in ("[UNK]", "[END]")])
    tokenizer = Tokenizer("made", rust, {"eos_token": "[END]"})
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3]) == ["[UNK]", "[END]", "sea", None]
    assert tokenizer.decode([2, 0, 2, 1]) == "sea [UNK] sea [END]"
    assert tokenizer.decode([2, 0, 2, 1], skip_special_tokens=True) == "sea sea"
    tokenizer.pad_token_id = 1
    assert tokenizer.pad_token == "[END]"
