"""BART where it labels texts, beyond what test_logits compares.

Reference answers are in tests/golden/bart.json, of transformers 4.57.6.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import silmu
from silmu import graphs
from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.runtime.folder import Folder
from test_encoder_families import alike
from test_onnx_folders import export, lay

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "bart.json").read_text(encoding="utf-8")
)
LONGEST = 96
END, PAD = 2, 1
TOPICS = ["sport", "the weather in Berlin", "water", "영화"]
TEXTS = [
    "a",
    "The sea takes what it wants and gives nothing back.",
    "한국의 수도는 서울이다.",
    "x " * 80,
]
Outputs = dict[str, NDArray[Any]]


def run(folder: Path, rows: list[list[int]], dtype: str = "fp32") -> NDArray[Any]:
    width = max(map(len, rows))
    feeds = {
        "input_ids": np.array([row + [PAD] * (width - len(row)) for row in rows]),
        "attention_mask": np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
    }
    session = graphs.open_session(Folder(folder, "x"), "text-classification", dtype=dtype)
    return session.run(feeds)["logits"]


def rows(*lengths: int) -> list[list[int]]:
    random = np.random.default_rng(7)
    return [[0, *random.integers(5, 320, length).tolist(), END] for length in lengths]


@pytest.mark.parametrize("case", GOLDEN["answers"])
def test_answers(case: dict[str, Any], models: Path) -> None:
    pipe = silmu.pipeline(case["task"], str(models / case["model"]))
    alike(pipe(*case["input"], **case["options"]), case["output"])


def test_the_task_is_told_by_the_class(models: Path) -> None:
    assert silmu.pipeline(model=models / "bart-nli").task == "text-classification"
    assert silmu.pipeline(model=models / "bart-qa").task == "question-answering"
    assert silmu.pipeline(model=models / "bart-base").task == "feature-extraction"


@pytest.mark.parametrize("model", ["bart-nli", "bart-sequence"])
def test_an_answer_does_not_depend_on_its_neighbours(model: str, models: Path) -> None:
    mixed = rows(7, LONGEST - 2, 0, 30)
    together = run(models / model, mixed)
    for found, row in zip(together, mixed, strict=True):
        np.testing.assert_allclose(found, run(models / model, [row])[0], rtol=1e-4, atol=1e-4)


def test_8_bits_give_exactly_the_same_beside_any_neighbours(models: Path) -> None:
    classify = silmu.pipeline(
        "zero-shot-classification", str(models / "bart-nli"), dtype="q8", batch_size=4
    )
    alone = [classify(text, TOPICS) for text in TEXTS]
    assert classify(TEXTS, TOPICS) == alone
    assert classify(TEXTS[::-1], TOPICS) == alone[::-1]


@pytest.mark.parametrize("dtype", ["q8", "q4"])
def test_few_bits_agree_with_full_precision(dtype: str, models: Path) -> None:
    mixed = rows(7, 30, 61, 12, 25, 80)
    full, few = (run(models / "bart-nli", mixed, each) for each in ("fp32", dtype))
    assert not np.array_equal(full, few)
    least = {"q8": 0.97, "q4": 0.7}[dtype]  # of random weights, which quantize badly
    assert np.corrcoef(full.ravel(), few.ravel())[0, 1] > least


def test_what_comes_after_the_last_end_is_not_read_by_the_decoder_alone(models: Path) -> None:
    """[!] The last of several ends of text is what stands for it."""
    (one,) = rows(9)
    (other,) = rows(4)
    joined = run(models / "bart-nli", [one + other])
    assert np.abs(joined - run(models / "bart-nli", [one])).max() > 1e-3
    padded = run(models / "bart-nli", [one + other, one + other + one])
    np.testing.assert_allclose(padded[0], joined[0], rtol=1e-4, atol=1e-4)


def test_a_row_that_never_ends_is_refused(models: Path) -> None:
    with pytest.raises(InvalidModelError, match="failed while it ran"):
        run(models / "bart-nli", [[0, 7, 8, 9]])
    classify = silmu.pipeline("text-classification", str(models / "bart-nli"))
    with pytest.raises(InvalidModelError, match="failed while it ran"):
        classify("a text", add_special_tokens=False)


@pytest.mark.parametrize(
    "name", ["model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"]
)
def test_words_under_any_of_their_names(name: str, copy: Callable[..., Path], models: Path) -> None:
    """Who saves a tensor that several share keeps any of its names, or all."""

    def renamed(stored: Outputs) -> Outputs:
        return {name if key == "model.shared.weight" else key: v for key, v in stored.items()}

    expected = run(models / "bart-nli", rows(9))
    np.testing.assert_array_equal(run(copy("bart-nli", renamed), rows(9)), expected)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"d_model": 40}, "shared"),
        ({"decoder_layers": 1}, "says 1 layers"),
        ({"encoder_layers": 3}, "no tensor"),
        ({"encoder_attention_heads": 5}, "5 attention heads"),
        ({"eos_token_id": None}, "no eos_token_id"),
        ({"decoder_start_token_id": None}, "no decoder_start_token_id"),
        ({"max_position_embeddings": 98}, "embed_positions"),
    ],
)
def test_a_config_that_does_not_agree(
    changes: dict[str, Any], said: str, copy: Callable[..., Path]
) -> None:
    with pytest.raises(InvalidModelError, match=said):
        run(copy("bart-nli", **changes), rows(5))


def test_a_model_that_was_not_trained_for_it(models: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="not trained for text-classification"):
        silmu.pipeline("zero-shot-classification", str(models / "bart-base"))


def test_the_exported_graph_answers_the_same(models: Path, tmp_path: Path) -> None:
    """As an ONNX folder, which other programs open by the names that optimum gives."""
    from silmu.__main__ import main

    target = tmp_path / "onnx"
    assert main(["export", str(models / "bart-nli"), "--output", str(target)]) == 0
    (target / "model.safetensors").unlink(missing_ok=True)
    full, out = (
        silmu.pipeline("zero-shot-classification", str(each))(TEXTS, TOPICS)
        for each in (models / "bart-nli", target)
    )
    alike(out, full)


def test_the_graph_that_optimum_exports(models: Path, tmp_path: Path) -> None:
    found = lay(tmp_path / "model", "bart-nli", {"onnx/model.onnx": export("bart-nli")})
    own, theirs = (
        silmu.pipeline("zero-shot-classification", each)(TEXTS, TOPICS)
        for each in (str(models / "bart-nli"), found)
    )
    alike(theirs, own)
