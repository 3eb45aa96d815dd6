"""`dtype="auto"` with labelled rows: the quickest that loses no more than the bound by a metric."""

from __future__ import annotations

import csv
import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import silmu
import stand_in
from silmu.cli import main
from silmu.errors import InputError, SilmuError, UsageError
from silmu.pipelines import Model, _labelled, _measured, _truth
from stand_in import DRIFT, ORT, OV

MODELS = Path(__file__).parent / "models"
TEXTS = [
    "I would not buy it again.",
    "The sea is cold in March.",
    "A lighthouse keeper climbs a narrow stair every evening.",
    "Nobody answered.",
    "Good.",
]
LABELS = ["sadness"] * 4 + ["joy"]
"""What the model itself says in fp32, so that it is right in all."""
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]


@pytest.fixture(autouse=True)
def _two(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.forget()
    stand_in.openvino(monkeypatch)
    stand_in.clock(monkeypatch)


@pytest.fixture
def measurings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return stand_in.measurings(monkeypatch)


def auto(
    rows: Any, name: str = "bert-sequence", task: str = "text-classification", **said: Any
) -> Any:
    return silmu.pipeline(
        task, MODELS / name, dtype="auto", model_kwargs={"labelled": rows, **said}
    )


def chosen(pipe: Any) -> tuple[str, str]:
    return pipe.model.engine, pipe.model.precision


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


# ── what is taken ──────────────────────────────────────────────────────────────────────────────


def test_the_metric_decides() -> None:
    pipe = auto(ROWS)  # q8 of the stand-in finds joy in all
    assert chosen(pipe) == (OV, "bf16")
    measured = pipe.model.measured
    scores = {(one["engine"], one["dtype"]): one["score"] for one in measured}
    assert (measured.metric, measured.rows) == ("accuracy", 5)
    assert scores[ORT, "fp32"] == scores[OV, "fp32"] == scores[OV, "bf16"] == 1
    assert scores[OV, "q8"] == 0.2
    assert chosen(auto(ROWS, max_loss=0.8)) == (OV, "q8")
    assert chosen(auto(ROWS, max_loss=0.79)) == (OV, "bf16")


def test_scores_may_drift_where_labels_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DRIFT, "q8", 0.3)
    pipe = auto(ROWS, max_loss=0)
    assert chosen(pipe) == (OV, "q8")
    assert pipe.model.measured[-1]["drift"] > 0.02
    plain = silmu.pipeline("text-classification", MODELS / "bert-sequence", dtype="auto")
    assert chosen(plain) == (OV, "bf16")


def test_it_may_be_better_than_fp32() -> None:
    wrong = [{"text": text, "label": "joy"} for text in TEXTS]
    assert chosen(auto(wrong, max_loss=0)) == (OV, "q8")


def test_nothing_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    for dtype in DRIFT:
        monkeypatch.setitem(DRIFT, dtype, 3.0)
    with pytest.raises(UsageError, match=r"nothing that was measured .* is within max_loss 0.005"):
        auto(ROWS, engine=OV)


def test_what_is_timed_are_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    outputs = _measured._outputs

    def noted(model: Model, ids: list[int]) -> Any:
        asked.append(len(ids))
        return outputs(model, ids)

    monkeypatch.setattr(_measured, "_outputs", noted)
    pipe = auto(ROWS)
    lengths = {len(pipe.tokenizer.encode(text).ids) for text in TEXTS}
    assert {*asked} == lengths
    assert len(asked) == len(TEXTS) * len(pipe.model.measured) * _measured.ROUNDS


# ── by what it is judged ───────────────────────────────────────────────────────────────────────


def scored(rows: Any, name: str, task: str = "text-classification", **said: Any) -> float:
    pipe = silmu.pipeline(task, MODELS / name)
    return _truth.read(rows, pipe, **said).score(pipe)


def test_f1_is_the_mean_over_labels() -> None:
    rows = [*ROWS[:3], {"text": TEXTS[3], "label": "anger"}, ROWS[4]]
    # sadness: 3 of 4 found are right, and all 3 there are; joy: 1 and 1; anger is not found.
    assert scored(rows, "bert-sequence", metric="f1_macro") == pytest.approx((6 / 7 + 1 + 0) / 3)
    assert scored(rows, "bert-sequence") == 0.8
    # Of labels that neither occur nor are told there is no mean.
    assert scored(ROWS, "bert-sequence", metric="f1_macro") == 1


@pytest.mark.parametrize("form", ["list", "separated"])
def test_several_labels_at_once(form: str) -> None:
    name = "bert-sequence-multilabel"
    pipe = silmu.pipeline("text-classification", MODELS / name)
    told = pipe.outputs(TEXTS) >= 0.5
    labels = [[pipe.model.config.id2label[int(i)] for i in np.flatnonzero(row)] for row in told]
    assert max(map(len, labels)) > 1
    own = [one if form == "list" else ";".join(one) for one in labels]
    rows = [{"text": text, "labels": label} for text, label in zip(TEXTS, own, strict=True)]
    for metric in ("f1_macro", "accuracy"):
        assert scored(rows, name, metric=metric) == 1
    rows[0] = {**rows[0], "labels": [] if form == "list" else ""}
    assert scored(rows, name, metric="accuracy") == 0.8
    assert 0.5 < scored(rows, name) < 1


def test_numbers() -> None:
    name = "bert-sequence-regression"
    pipe = silmu.pipeline("text-classification", MODELS / name)
    own = pipe.outputs(TEXTS)[:, 0]
    rows = [{"text": t, "rating": f"{n + 0.5:.6f}"} for t, n in zip(TEXTS, own, strict=True)]
    assert scored(rows, name, target="rating") == pytest.approx(0.5, abs=1e-5)
    # q8 of the stand-in tells four times the number, bf16 1.002 times.
    assert chosen(auto(rows, name, target="rating", max_loss=0.01)) == (OV, "bf16")
    assert chosen(auto(rows, name, target="rating", max_loss=1000.0)) == (OV, "q8")
    with pytest.raises(UsageError, match="max_loss is missing: by how much mean_absolute_error"):
        auto(rows, name, target="rating")


def test_answers_to_questions() -> None:
    pipe = silmu.pipeline("question-answering", MODELS / "bert-qa")
    asked = [{"question": "Who climbs?", "context": text} for text in TEXTS[:4]]
    own = [one["answer"] for one in pipe(asked)]
    rows: list[Any] = [
        {**q, "answers": {"text": ["no", a]}} for q, a in zip(asked, own, strict=True)
    ]
    task = "question-answering"
    for metric in ("f1", "exact_match"):
        assert scored(rows, "bert-qa", task, metric=metric) == 1
    rows[0] = {**asked[0], "answers": [f"The {own[0].upper()}, surely!"]}
    assert scored(rows, "bert-qa", task, metric="exact_match") == 0.75
    assert 0.75 < scored(rows, "bert-qa", task) < 1
    assert chosen(auto(rows, "bert-qa", task))[0] == OV
    assert scored(rows[1:2], "bert-qa", task) == 1


def test_words_of_answers() -> None:
    words = _labelled._words
    assert words("The lighthouse, a keeper's!") == ["lighthouse", "keepers"]
    assert words("서울에서, 부산까지.") == ["서울에서", "부산까지"]
    assert _labelled._overlap(["a1", "b", "b"], ["b", "b", "c"]) == pytest.approx(2 / 3)
    assert _labelled._overlap([], []) == 1
    assert _labelled._overlap([], ["b"]) == 0
    assert _labelled._is_exact(["b"], ["b"]) == 1


# ── which rows ─────────────────────────────────────────────────────────────────────────────────


def test_files_and_rows_are_the_same(tmp_path: Path, measurings: list[str]) -> None:
    path = table(tmp_path / "dev.csv", ROWS)
    lines = tmp_path / "dev.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    for given in (ROWS, path, str(path), lines):
        assert chosen(auto(given)) == (OV, "bf16")
    assert len(measurings) == 1

    table(path, ROWS[:4])
    auto(path)
    auto(path)
    assert len(measurings) == 2  # for what other rows say
    auto(ROWS)
    assert len(measurings) == 2  # and those of before are kept
    auto(ROWS, metric="f1_macro")
    assert len(measurings) == 3
    silmu.pipeline("text-classification", MODELS / "bert-sequence", dtype="auto")
    assert len(measurings) == 4


def test_settings_that_answers_hang_on_are_measured_anew(measurings: list[str]) -> None:
    asked = {"question": "Who climbs?", "context": TEXTS[2], "answers": "every evening"}
    made: dict[str, Any] = {"dtype": "auto", "model_kwargs": {"labelled": [asked]}}
    for settings in ({}, {"max_answer_len": 2}, {"max_answer_len": 2}):
        pipe = silmu.pipeline("question-answering", MODELS / "bert-qa", **made, **settings)
        assert len(pipe(**{k: asked[k] for k in ("question", "context")})["answer"]) > 0
    assert len(measurings) == 2


def test_columns_are_told_or_named(tmp_path: Path) -> None:
    named = [{"review": r["text"], "author": "Kim", "mood": r["label"]} for r in ROWS]
    path = table(tmp_path / "dev.tsv", named).rename(tmp_path / "dev.csv")
    assert chosen(auto(path, input="review", target="mood")) == (OV, "bf16")
    with pytest.raises(UsageError, match="has 2 columns of texts among `review`, `author`, `mood`"):
        auto(path, target="mood")
    with pytest.raises(UsageError, match=r"cannot be told which column of .* holds the truth"):
        auto(path, input="review")
    with pytest.raises(UsageError, match="has no column `stars`; it has `review`"):
        auto(path, input="review", target="stars")
    pairs = [{"one": r["text"], "two": "Yes.", "label": "ENTAILMENT"} for r in ROWS]
    pipe = silmu.pipeline("text-classification", MODELS / "bert-nli")
    found = _truth.read(pairs, pipe, input="one,two")
    assert found.inputs[0] == {"text": TEXTS[0], "text_pair": "Yes."}
    assert found.texts(2) == [("Good.", "Yes."), (TEXTS[2], "Yes.")]


def test_of_many_rows_some_are_asked(caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"text": f"Row {i}.", "label": "joy"} for i in range(5300)]
    pipe = silmu.pipeline("text-classification", MODELS / "bert-sequence")
    with caplog.at_level(logging.INFO, logger="silmu"):
        found = _truth.read(rows, pipe)
    assert "of the 5300 rows of `labelled`, 1000 are asked" in caplog.text
    numbers = [int(re.sub(r"\D", "", text)) for text in found.inputs]
    assert (len(numbers), len(set(numbers)), numbers[0]) == (1000, 1000, 0)
    gaps = np.diff(numbers)
    assert numbers[-1] > 5290
    assert gaps.min() >= 4
    assert gaps.max() <= 8


@pytest.mark.parametrize(
    ("name", "task", "rows"),
    [
        ("bert-sequence", "text-classification", ROWS[:1]),
        (
            "bert-sequence-multilabel",
            "text-classification",
            [{"text": "Fine.", "label": ["music"]}],
        ),
        ("bert-sequence-one-label", "text-classification", [{"text": "Fine.", "label": 1.5}]),
        (
            "bert-qa",
            "question-answering",
            [{"question": "Where?", "context": "At sea.", "answers": "sea"}],
        ),
    ],
)
def test_nan_of_a_frame_is_no_truth(name: str, task: str, rows: list[Any]) -> None:
    target = [*rows[0]][-1]
    pipe = silmu.pipeline(task, MODELS / name)
    read = _truth.read([*rows, {**rows[0], target: float("nan")}], pipe)
    assert len(read.inputs) == len(read.truth) == 1


def test_rows_without_truth_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    rows: list[Any] = [*ROWS, {"text": " ", "label": "joy"}, {"text": "Fine.", "label": None}]
    pipe = silmu.pipeline("text-classification", MODELS / "bert-sequence")
    assert len(_truth.read(rows, pipe).inputs) == 5
    assert "of 7 rows of `labelled`, 2 lack a text or a `label`, and are left out" in caplog.text


# ── what is refused ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"metric": "bleu"}, "metric is 'bleu'; for text-classification it may be accuracy"),
        ({"metric": "f1"}, "metric is 'f1'; for text-classification it may be"),
        ({"max_drift": 0.1}, "max_drift and labelled are given; give one of the two"),
        ({"max_loss": -0.1}, "max_loss is -0.1; it must be a number from 0 on"),
        ({"max_loss": True}, "max_loss is True"),
        ({"labelled": "no.csv"}, "labelled is `no.csv`, and there is no such file"),
    ],
)
def test_what_does_not_go_together_is_refused_first(said: dict[str, Any], words: str) -> None:
    for model in (MODELS / "bert-sequence", "nobody/nothing"):  # before it would be fetched
        with pytest.raises(UsageError, match=re.escape(words)):
            silmu.pipeline(
                "text-classification",
                model,
                dtype="auto",
                model_kwargs={"labelled": ROWS, **said},
            )


def test_what_is_only_for_labelled_rows() -> None:
    for name, value in {"metric": "accuracy", "max_loss": 0.1, "target": "label"}.items():
        made = {"model_kwargs": {name: value}}
        with pytest.raises(UsageError, match=f"{name} is given without labelled"):
            silmu.pipeline("text-classification", MODELS / "bert-sequence", dtype="auto", **made)
        for plain in ({}, {"dtype": "q8"}, {"torch_dtype": "auto"}):
            with pytest.raises(UsageError, match=f"{name} is for dtype='auto'"):
                silmu.pipeline("text-classification", MODELS / "bert-sequence", **plain, **made)


@pytest.mark.parametrize(
    "task", ["token-classification", "fill-mask", "text-generation", "image-classification"]
)
def test_tasks_that_are_not_judged(task: str) -> None:
    with pytest.raises(UsageError, match=f"question-answering, and the task is {task}"):
        silmu.pipeline(task, "nobody/nothing", dtype="auto", model_kwargs={"labelled": ROWS})


@pytest.mark.parametrize(
    ("name", "rows", "said", "words"),
    [
        ("bert-sequence", [], {}, "`labelled` has no rows"),
        ("bert-sequence", [{"text": "a", "label": "fear"}], {}, "'fear'; the model tells sadness"),
        ("bert-sequence", [{"text": "a", "label": 0}], {}, "holds 0; the model tells sadness"),
        (
            "bert-sequence",
            [{"text": "", "label": "joy"}],
            {"input": "text"},
            "no row of `labelled`",
        ),
        ("bert-sequence", ["a"], {}, "labelled is a list; it must be a file, or a list of dicts"),
        ("bert-sequence", {"text": ["a"]}, {}, "labelled is a dict; it must be a file"),
        ("bert-sequence", MODELS / "bert-sequence" / "config.json", {}, "must be a .csv, .tsv or"),
        ("bert-sequence", ROWS, {"metric": "mean_absolute_error"}, "tells is judged by accuracy"),
        ("bert-sequence-regression", ROWS, {"max_loss": 1}, "holds 'sadness', no number"),
        ("bert-sequence-regression", ROWS, {"metric": "accuracy"}, "by mean_absolute_error"),
    ],
)
def test_rows_that_are_not_for_the_model(
    name: str, rows: Any, said: dict[str, Any], words: str, measurings: list[str]
) -> None:
    with pytest.raises((UsageError, InputError), match=re.escape(words)) as caught:
        auto(rows, name, **said)
    assert isinstance(caught.value, SilmuError)
    assert not measurings


# ── how it is told ─────────────────────────────────────────────────────────────────────────────


def test_it_is_a_table() -> None:
    lines = str(auto(ROWS, max_loss=0.1).model.measured).splitlines()
    assert lines[0].split() == ["engine", "dtype", "ms", "a", "text", "drift", "accuracy"]
    assert re.fullmatch(r"onnxruntime +fp32 +9000\.00 +0 +1 +slower", lines[1])
    assert re.fullmatch(r"openvino +bf16 +3000\.00 +\S+ +1 +chosen", lines[4])
    assert re.fullmatch(
        r"openvino +q8 +2000\.00 +\S+ +0\.2 +worse by 0\.8, which is more than 0\.1", lines[5]
    )
    assert lines[6:] == ["accuracy on 5 labelled rows"]


def test_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], measurings: list[str]
) -> None:
    path = table(tmp_path / "dev.csv", ROWS)
    settings = [f"labelled={path}", "target=label", "metric=accuracy", "max_loss=0.1"]
    asked = ["use", str(MODELS / "bert-sequence"), "fine", "--dtype", "auto"]
    asked += [part for one in settings for part in ("--set", one)]
    for verbose in ([], ["-v"]):
        assert main([*asked, *verbose]) == 0
        told = capsys.readouterr()
        assert ("accuracy on 5 labelled rows" in told.err) is bool(verbose)
        assert bool(re.search(r"openvino +bf16 .* chosen", told.err)) is bool(verbose)
        assert told.out.split()[0] in ("sadness", "joy")
    assert len(measurings) == 1
