"""silmu explain: answers of labels and of numbers, of pairs of texts, and what may be set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import silmu
from picture_models import write
from silmu import cli
from silmu.errors import InputError
from silmu.runtime.processor import FILE, Processor
from silmu.steps.evaluate import explaining

MODELS = Path(__file__).parent / "models"
ROWS = json.loads((Path(__file__).parent / "golden" / "tables.json").read_bytes())
SIDE = 12


def drawn() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE), np.uint8)
    return Image.fromarray(pixels).convert("RGB")


def left(folder: Path, labels: list[str], **config: Any) -> str:
    """A perceptron whose last label hangs on the left half of a picture."""
    weights = np.zeros((len(labels), SIDE, SIDE))
    weights[-1, :, : SIDE // 2] = 0.002
    tensors = {"output.weight": weights.reshape(len(labels), -1)}
    tensors["output.bias"] = np.full(len(labels), 0.5)
    shape = {"image_size": [SIDE, SIDE], "hidden_size": 1, "num_layers": 1}
    return write(folder, tensors, labels, kind="perceptron", **shape, **config)


def explained(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command answers."""
    assert cli.main(["explain", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Why the command answers nothing."""
    assert cli.main(["explain", *map(str, arguments)]) == 2
    done = capsys.readouterr()
    assert done.out == ""
    return done.err


# ── labels ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "given", "weights"),
    [
        ("bert-sequence", "I love this film", "pieces"),
        ("table-single", ROWS["table-single"]["rows"][0], "cells"),
        ("vit-image", drawn(), "saliency"),
    ],
)
def test_labels_of_one_name_keep_their_own_scores(
    model: str, given: Any, weights: str, tmp_path: Path
) -> None:
    shutil.copytree(MODELS / model, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_bytes())
    alike = {number: "same" for number in config["id2label"]}
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "id2label": alike}))
    told, own = (
        explaining.explain(silmu.pipeline(model=str(folder)), given)
        for folder in (tmp_path / "model", MODELS / model)
    )
    assert {one["label"] for one in told["answer"]} == {"same"}
    scores = [one["score"] for one in own["answer"]]
    assert [one["score"] for one in told["answer"]] == pytest.approx(scores)
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert told[weights] == own[weights]
    assert explaining.page(told)


def test_a_label_may_be_called_true(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    drawn().save(tmp_path / "a.png")
    model = left(tmp_path / "model", ["1", "false", "true"])
    for label in ("1", "false", "true"):
        out = explained(capsys, model, tmp_path / "a.png", "--json", "--set", f"label={label}")
        assert json.loads(out)["of"] == label


# ── numbers ────────────────────────────────────────────────────────────────────────────────────


def test_of_a_number_between_0_and_1_a_number_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    drawn().save(tmp_path / "a.png")
    model = left(tmp_path / "model", ["age"], problem_type="regression")
    (tmp_path / "model" / FILE).write_bytes(Processor(("image",), "number", None).to_bytes())
    told = explaining.explain(silmu.pipeline(model=model), drawn())
    assert told["kind"] == "number"
    assert 0 < told["answer"][0]["score"] < 1
    cells = np.array(told["saliency"]["cells"])
    half = cells.shape[1] // 2
    assert np.abs(cells[:, :half]).max() > 0.01 > np.abs(cells[:, half + 2 :]).max()
    page = explaining.page(told)
    assert "covering the strongest part lowers the number by" in page
    out = explained(capsys, model, tmp_path / "a.png")
    assert "log-odds" not in page + out

    labels = left(tmp_path / "labels", ["no", "yes"])
    assert "log-odds" in explained(capsys, labels, tmp_path / "a.png")
    named = explaining.explain(silmu.pipeline(model=labels), drawn())
    assert named["kind"] == "single"
    assert "lowers the log-odds by" in explaining.page(named)


def test_of_a_text_with_a_number_the_number_falls() -> None:
    pipe = silmu.pipeline(model=str(MODELS / "bert-sequence-regression"))
    told = explaining.explain(pipe, "I love this film")

    def number(text: str) -> float:
        return pipe(text)[0]["score"]

    assert told["kind"] == "number"
    assert told["answer"][0]["score"] == pytest.approx(number("I love this film"), abs=1e-6)
    fall = number("I love this film") - number("I this film")
    assert dict(told["pieces"])["love "] == pytest.approx(fall, abs=1e-5)


@pytest.mark.parametrize(
    ("model", "kind"), [("table-ordered", "ordered"), ("table-numbers", "number")]
)
def test_a_table_tells_its_kind(model: str, kind: str) -> None:
    pipe = silmu.pipeline(model=str(MODELS / model))
    assert explaining.explain(pipe, ROWS[model]["rows"][0])["kind"] == kind


# ── pairs of texts ─────────────────────────────────────────────────────────────────────────────


def test_of_a_pair_the_first_text_is_explained() -> None:
    pipe = silmu.pipeline("text-classification", str(MODELS / "bert-nli"))
    pair = {"text": "I love this film", "text_pair": "This film is good"}
    told = explaining.explain(pipe, pair)

    def score(text: str) -> float:
        answers: Any = pipe({**pair, "text": text}, top_k=None)
        return next(one["score"] for one in answers if one["label"] == told["of"])

    assert "".join(piece for piece, _ in told["pieces"]) == pair["text"]
    fall = score(pair["text"]) - score("I this film")
    assert dict(told["pieces"])["love "] == pytest.approx(fall, abs=1e-5)
    alone = explaining.explain(pipe, {"text": "I love this film", "text_pair": None})
    assert alone == explaining.explain(pipe, "I love this film")
    assert alone["answer"] != told["answer"]


@pytest.mark.parametrize(
    "given",
    [{"text_pair": "b"}, {"text": None}, {"text": "a", "text_pair": 3}, {"text": "a", "x": "b"}, 5],
)
def test_what_is_no_text_is_refused(given: Any) -> None:
    pipe = silmu.pipeline("text-classification", str(MODELS / "bert-nli"))
    with pytest.raises(InputError, match="is not a text, nor a pair of texts"):
        explaining.explain(pipe, given)


def test_a_text_in_braces_is_a_text_as_for_use(capsys: pytest.CaptureFixture[str]) -> None:
    text = '{"text": "I love this film"}'
    told = json.loads(explained(capsys, MODELS / "bert-sequence", text, "--json"))
    assert "".join(piece for piece, _ in told["pieces"]) == text
    assert cli.main(["use", str(MODELS / "bert-sequence"), text, "--json"]) == 0
    used = json.loads(capsys.readouterr().out)
    assert told["answer"][0]["score"] == pytest.approx(used["score"], abs=1e-6)


# ── odd cells ──────────────────────────────────────────────────────────────────────────────────


def test_odd_cells_are_read_as_they_are_by_use(capsys: pytest.CaptureFixture[str]) -> None:
    model = MODELS / "table-single"
    row = {**ROWS["table-single"]["rows"][1], "age": "62000"}
    pipe = silmu.pipeline(model=str(model))
    scores: list[float] = []
    for odd in ("flag", "impute"):
        out = explained(capsys, model, json.dumps(row), "--json", "--set", f"odd={odd}")
        told = json.loads(out)
        answers: Any = pipe(row, top_k=None, odd=odd)
        best = max(answers, key=lambda one: one["score"])
        assert told["answer"][0]["label"] == best["label"]
        assert told["answer"][0]["score"] == pytest.approx(best["score"], abs=1e-6)
        scores.append(best["score"])
    assert scores[0] != scores[1], "what is set makes a difference"
    err = refused(capsys, model, json.dumps(row), "--set", "odd=error")
    assert "row 1: `age`: '62000' is far outside" in err
    assert "odd" in refused(capsys, model, json.dumps(row), "--set", "odd=maybe")
    err = refused(capsys, MODELS / "bert-sequence", "a film", "--set", "odd=error")
    assert "explain has no setting `odd`; there are label, engine, max_drift" in err
