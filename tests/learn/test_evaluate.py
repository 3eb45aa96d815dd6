"""A model folder evaluated: the report, the ledger, the baselines, new data."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rows import dataset, reviews

from silmu import store
from silmu.errors import CorruptError, StoreError, UnknownNameError, UsageError
from silmu.pipelines import pipeline
from silmu.runtime.processor import Processor
from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate import Report, evaluate, evaluate_data, ledger
from silmu.steps.evaluate.baselines import simplest
from silmu.steps.evaluate.metrics import PRIMARY, Scored, measure, row_sums, total
from silmu.steps.evaluate.slices import by_value
from silmu.steps.evaluate.text.attribution import occlusion, pieces
from silmu.steps.evaluate.text.scripts import by_length, script
from silmu.steps.evaluate.text.tfidf import Labelled, fit
from silmu.steps.prepare import prepare_texts
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.thresholds import choose_thresholds

KINDS = ("single", "ordered", "multiple", "number")
NAMES = {
    "single": "accuracy balanced_accuracy f1_macro roc_auc log_loss expected_calibration_error",
    "multiple": "f1_macro f1_micro accuracy hamming_loss roc_auc log_loss",
    "number": "mean_absolute_error root_mean_squared_error r2",
}
NAMES["ordered"] = NAMES["single"] + " mean_absolute_error quadratic_kappa"
MODEL = {
    "single": "bert-sequence",
    "ordered": "bert-sequence",
    "multiple": "bert-sequence-multilabel",
    "number": "bert-sequence-regression",
}


def columns(kind: str, count: int = 400) -> dict[str, Any]:
    """Reviews with a target that follows from their words, a group and a column of few values."""
    texts, sides = reviews(count, seed=7)
    random = np.random.default_rng(0)
    good = np.array([side == "good" for side in sides])
    if kind == "number":
        target: list[Any] = (good * 10 + random.normal(size=count)).round(3).tolist()
    elif kind == "multiple":
        parts = np.stack([good, ~good, random.random(count) < 0.5, random.random(count) < 0.3], 1)
        names = ["music", "politics", "science", "sport"]
        target = [[name for name, there in zip(names, row, strict=True) if there] for row in parts]
    else:
        middle = random.random(count) < 0.2
        target = [("1" if m else "2" if g else "0") for g, m in zip(good, middle, strict=True)]
    film = random.integers(0, 60, count)
    return {
        "text": texts,
        "label": target,
        "film": [f"film {i}" for i in film],
        "store": ["web" if i % 3 else "app" for i in range(count)],
    }


def model_for(prepared: Prepared, folder: Path, models: Path) -> Path:
    """A tiny random model that answers with the labels of what was prepared."""
    shutil.copytree(models / MODEL[prepared.kind], folder)
    config = json.loads((folder / "config.json").read_text())
    labels = prepared.labels or ("LABEL_0",)
    config["id2label"] = {str(i): label for i, label in enumerate(labels)}
    config["label2id"] = {label: i for i, label in enumerate(labels)}
    (folder / "config.json").write_text(json.dumps(config))
    processor = Processor(("text",), prepared.kind, 40)
    if prepared.kind == "multiple":
        processor = processor.with_thresholds([0.4, 0.5, 0.6, 0.5])
    (folder / "processor.json").write_bytes(processor.to_bytes())
    return folder


@pytest.fixture(scope="module", params=KINDS)
def run(request: Any, tmp_path_factory: Any, models: Path) -> tuple[Path, Prepared, Report]:
    """A run folder up to its report, for each kind of label."""
    kind, place = request.param, tmp_path_factory.mktemp(request.param) / "run"
    group = None if kind == "single" else "film"
    rows = dataset(place / "1-dataset", columns(kind), group=group)
    prepared = prepare_texts(rows, place / "2-prepared", settings={"labels": kind, "test": 0.3})
    model = model_for(prepared, place / "4-model", models)
    report = evaluate(
        model, prepared, place / "5-report", seconds={"train": 2.5}, settings={"seed": 1}
    )
    return place, prepared, report


def test_the_report_has_what_it_promises(run: tuple[Path, Prepared, Report]) -> None:
    place, prepared, report = run
    kind = prepared.kind
    assert list(report) == NAMES[kind].split()
    assert report.metric == PRIMARY[kind]
    simple = "median" if kind == "number" else "majority"
    assert set(report.baselines) == {simple, "tfidf"}
    values = report.to_dict()
    assert values["data"]["scored"] == prepared.counts["test"]
    assert values["data"]["counts"] == prepared.counts
    assert report.seconds["train"] == 2.5
    assert report.seconds["evaluate"] > 0
    assert report.look == 1
    for metrics in (report.metrics, *report.baselines.values()):
        for metric in metrics.values():
            assert metric.low <= metric.value <= metric.high
    # A random model against one that reads the words that decide.
    assert report.comparison["verdict"] == "worse"
    assert report.comparison["sentence"].startswith("worse than TF-IDF over ")
    assert set(report.comparison["others"]) == {simple}
    details = report.details
    assert details["bootstrap"]["by"] == ("row" if kind == "single" else "film")
    assert len(details["worst"]) == 20
    assert {one["kind"] for one in details["attributions"]} <= {"mistake", "typical"}
    assert sum(part["n"] for part in details["lengths"]) == prepared.counts["test"]
    assert {p["value"] for p in details["slices"] if p["column"] == "store"} == {"app", "web"}
    assert (place / "5-report" / "report.html").is_file()
    assert (place / "4-model" / "README.md").is_file()


def test_what_is_written_is_what_is_returned(run: tuple[Path, Prepared, Report]) -> None:
    place, _, report = run
    for path in (place, place / "5-report", place / "5-report" / "metrics.json"):
        assert Report.open(path).to_dict() == report.to_dict()
    assert json.loads((place / "5-report" / "metrics.json").read_bytes()) == report.to_dict()


def test_the_figures_are_those_of_the_pipeline(run: tuple[Path, Prepared, Report]) -> None:
    place, prepared, report = run
    pipe = pipeline("text-classification", model=place / "4-model")
    texts = [text for (text,) in prepared.texts("test")]
    answers: Any = pipe(texts, top_k=None, truncation=True, max_length=40)
    if prepared.kind == "number":
        outputs = np.array([one[0]["score"] for one in answers], np.float32)
    else:
        scores = [{a["label"]: a["score"] for a in one} for one in answers]
        outputs = np.array([[s[label] for label in prepared.labels] for s in scores], np.float32)
    limits = np.array([0.4, 0.5, 0.6, 0.5]) if prepared.kind == "multiple" else None
    scored = Scored.of(prepared.kind, prepared.targets("test"), outputs, limits)
    for name, value in measure(prepared.kind, total(row_sums(scored))).items():
        assert report[name].value == pytest.approx(float(value), rel=1e-4), name


def test_examples_are_rows_of_the_source(run: tuple[Path, Prepared, Report]) -> None:
    _, prepared, report = run
    texts = prepared.dataset.column("text").to_pylist()
    test = set(prepared.dataset.row_numbers[prepared.rows("test")].tolist())
    for one in report.details["worst"]:
        assert one["row"] in test
        assert texts[one["row"] - 1] == one["text"]
        assert one["label"] != one["prediction"]
    for one in report.details["attributions"]:
        assert "".join(piece for piece, _ in one["pieces"]) == texts[one["row"] - 1]


def test_tables_agree_with_the_figures(run: tuple[Path, Prepared, Report]) -> None:
    _, prepared, report = run
    details = report.details
    if prepared.kind == "number":
        assert details["confusion"] is None
        assert len(details["scatter"]["target"]) == prepared.counts["test"]
        return
    f1 = [one["f1"]["value"] for one in details["per_class"] if one["f1"]]
    assert np.mean(f1) == pytest.approx(report["f1_macro"].value, abs=1e-5)
    if prepared.kind != "multiple":
        counts = np.array(details["confusion"]["counts"])
        assert np.trace(counts) / counts.sum() == pytest.approx(report["accuracy"].value, abs=1e-5)
        bins = details["reliability"]
        gap = sum(b["n"] * abs(b["confidence"] - b["accuracy"]["value"]) for b in bins)
        expected = report["expected_calibration_error"].value
        assert gap / counts.sum() == pytest.approx(expected, abs=1e-4)
    else:
        assert details["thresholds"] == [0.4, 0.5, 0.6, 0.5]


# ── looks ──────────────────────────────────────────────────────────────────────────────────────


def test_each_look_is_counted_and_said(
    tmp_path: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = dataset(tmp_path / "data", columns("single", 150))
    prepared = prepare_texts(rows, tmp_path / "prepared", settings={"near_duplicates": False})
    options: Any = {"seconds": {}, "settings": {"baselines": False}}
    first, second = tmp_path / "runs" / "a", tmp_path / "runs" / "b"
    for place in (first, second):
        model_for(prepared, place / "4-model", models)
    report = evaluate(first / "4-model", prepared, first / "5-report", **options)
    assert (report.look, report.comparison) == (1, {})
    assert not any("look" in warning for warning in report.warnings)
    again = evaluate(first / "4-model", prepared, first / "5-report", **options)
    assert again.look == 2
    assert any("look 2 at this test split" in warning for warning in again.warnings)
    assert "look 2 at this test split" in caplog.text
    assert again.metrics == report.metrics
    beside = evaluate(second / "4-model", prepared, second / "5-report", **options)
    assert (beside.look, beside.to_dict()["looks_beside"]) == (1, 2)
    assert any("by runs beside this one" in warning for warning in beside.warnings)
    looks = ledger.read(first / "5-report")
    assert [look.shown for look in looks] == [True, True]
    assert len({look.model for look in looks}) == 1


def test_a_look_that_showed_nothing_is_taken_up_again(tmp_path: Path) -> None:
    assert ledger.look(tmp_path, model="m", test="t") == 1
    assert ledger.look(tmp_path, model="m", test="t") == 1  # killed in between
    ledger.shown(tmp_path)
    assert ledger.look(tmp_path, model="m", test="t") == 2
    assert ledger.look(tmp_path, model="other", test="t") == 3
    assert ledger.look(tmp_path, model="other", test="other rows") == 1


def test_a_ledger_that_was_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "looks.jsonl").write_text('{"model": "m"}\n')
    with pytest.raises(CorruptError, match="list of looks"):
        ledger.look(tmp_path, model="m", test="t")


def test_a_model_of_other_labels_is_refused_before_the_look(tmp_path: Path, models: Path) -> None:
    rows = dataset(tmp_path / "data", columns("single", 150))
    prepared = prepare_texts(rows, tmp_path / "prepared")
    with pytest.raises(UsageError, match="the model tells sadness, joy, anger"):
        evaluate(models / "bert-sequence", prepared, tmp_path / "5-report", seconds={}, settings={})
    assert not (tmp_path / "5-report").exists()


# ── baselines ──────────────────────────────────────────────────────────────────────────────────


def rows_of(texts: list[str], targets: Any) -> Labelled:
    return Labelled(texts, np.asarray(targets))


def test_the_baseline_never_sees_the_test_split(tmp_path: Path, models: Path) -> None:
    fitted: list[str] = []
    for name in ("as it is", "test rows changed"):
        given = columns("single", 300)
        # Given splits, so that changed texts stay where they are.
        given["part"] = ["test" if i % 4 == 0 else "train" for i in range(300)]
        for row in range(0, 300, 4) if fitted else ():
            given["text"][row] = f"entirely other words {row} rotten good good good"
            given["label"][row] = "2"
        rows = dataset(tmp_path / name / "data", given, split="part")
        prepared = prepare_texts(rows, tmp_path / name / "2-prepared")
        model = model_for(prepared, tmp_path / name / "4-model", models)
        report = evaluate(model, prepared, tmp_path / name / "5-report", seconds={}, settings={})
        fitted.append(report.details["baselines"]["tfidf"]["fitted"])
    assert fitted[0] == fitted[1]


def test_the_hash_of_the_baseline_sees_a_change_of_the_training() -> None:
    texts, sides = reviews(200)
    targets = [side == "good" for side in sides]
    some, rest = (
        rows_of(texts[:150], np.int64(targets[:150])),
        rows_of(texts[150:], np.int64(targets[150:])),
    )
    changed = rows_of([*texts[:149], "another"], np.int64(targets[:150]))
    first, second = (fit("single", 2, one, rest).about["fitted"] for one in (some, changed))
    assert first != second
    assert first == fit("single", 2, some, rest).about["fitted"]


@pytest.mark.parametrize(("chosen", "korean"), [("words", False), ("characters", True)])
def test_the_better_on_validation_is_chosen(chosen: str, korean: bool) -> None:
    random = np.random.default_rng(0)
    sides = random.integers(0, 2, 600)
    if korean:  # a stem that tells, with endings that never come again
        endings = ["".join(chr(0xAC00 + i) for i in random.integers(0, 11000, 4)) for _ in sides]
        texts = [f"{('좋았' if s else '별로')}{end}" for s, end in zip(sides, endings, strict=True)]
    else:  # two words, whose letters are the same
        texts = [
            " ".join(["ab cd" if s else "cd ab", *random.choice(["ab", "cd"], 2)]) for s in sides
        ]
        texts = [f"{text[:5]}" for text in texts]
    train, rest = rows_of(texts[:400], sides[:400]), rows_of(texts[400:], sides[400:])
    found = fit("single", 2, train, rest)
    validation = found.about["validation"]
    assert set(validation) == {"words", "characters"}
    assert found.about["chosen"] == max(validation, key=validation.__getitem__) == chosen
    assert chosen in found.title
    assert (found.score(rest.texts, rest.targets).right.mean()) > 0.9


def test_too_many_rows_are_capped_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    texts, sides = reviews(200)
    rows = rows_of(texts, np.int64([side == "good" for side in sides]))
    monkeypatch.setattr("silmu.steps.evaluate.text.tfidf.MOST_ROWS", 100)
    with caplog.at_level(logging.WARNING):
        about = fit("single", 2, rows, rows).about
    assert (about["rows"], about["capped"]) == (100, True)
    assert "fitted on 100 of the 200 training rows" in caplog.text


def test_the_simplest_answers() -> None:
    single = simplest("single", np.array([0, 1, 1]), ["no", "yes"])
    assert single.title == "always answering yes"
    assert single.outputs(["a", "b"]).tolist() == pytest.approx(np.array([[1 / 3, 2 / 3]] * 2))
    sets = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.uint8)
    multiple = simplest("multiple", sets, ["a", "b", "c"])
    assert multiple.title == "always answering a and b"
    assert multiple.score(["x"], sets[:1]).predictions.tolist() == [[1, 1, 0]]
    assert simplest("number", np.array([1.0, 2.0, 9.0]), []).outputs(["a"]).tolist() == [2.0]


def test_texts_without_a_word_have_a_baseline_too() -> None:
    rows = rows_of(["", " ", ""], np.array([0, 1, 1]))
    assert fit("single", 2, rows, rows).outputs(["", "x"]).argmax(axis=1).tolist() == [1, 1]


def test_thresholds_are_better_than_a_half_on_rare_labels() -> None:
    random = np.random.default_rng(0)

    def draw() -> tuple[Any, Any]:
        targets = (random.random((2000, 3)) < [0.03, 0.05, 0.3]).astype(np.uint8)
        logits = random.normal(size=(2000, 3)) + 2 * targets - [3, 2.5, 1]
        return 1 / (1 + np.exp(-logits)), targets

    limits = np.array(choose_thresholds(*draw()))
    outputs, targets = draw()
    chosen, half = (
        float(
            measure("multiple", total(row_sums(Scored.of("multiple", targets, outputs, t))))[
                "f1_macro"
            ]
        )
        for t in (limits, None)
    )
    assert chosen > half + 0.05


# ── parts ──────────────────────────────────────────────────────────────────────────────────────


def test_writing_systems() -> None:
    texts = [
        "좋은 film",
        "ひらがなと漢字",
        "漢字",
        "Плохо",
        "¡Qué bien!",
        "10/10 ★",
        "ვარსკვლავი",
        "",
    ]
    expected = ["Latin", "Kana", "Han", "Cyrillic", "Latin", "none", "Georgian", "none"]
    assert [script(text) for text in texts] == expected


def test_parts_by_value() -> None:
    many = [str(i) for i in range(60)]
    few = ["a"] * 40 + ["b"] * 15 + [None] * 3 + ["c"] * 2
    found = list(by_value({"many": many, "few": few, "same": ["x"] * 60}))
    assert [(c, v, len(rows)) for c, v, rows in found] == [
        ("few", "a", 40),
        ("few", "b", 15),
        ("few", "(others)", 5),
    ]


def test_parts_by_length_cover_every_row_once() -> None:
    words = np.random.default_rng(0).integers(1, 30, 200)
    unit, parts = by_length(words, words * 5)
    assert unit == "words"
    assert np.array_equal(np.sort(np.concatenate([rows for *_, rows in parts])), np.arange(200))
    assert [low for low, *_ in parts] == sorted(low for low, *_ in parts)
    assert all(one[1] < two[0] for one, two in pairwise(parts))
    assert by_length(np.ones(50, int), np.full(50, 30))[0] == "characters"
    assert by_length(np.zeros(0, int), np.zeros(0, int))[1] == []


@pytest.mark.parametrize("text", ["", " ", "one", " two  words\n", "漢" * 50, "a b " * 500])
def test_pieces_joined_are_the_text(text: str) -> None:
    found = pieces(text)
    assert "".join(found) == text
    assert len(found) <= 64


def test_occlusion_finds_the_word_that_decides() -> None:
    def score(asked: Any) -> Any:
        return np.array([[0.9, 0.1] if "awful" in text else [0.2, 0.8] for (text,) in asked])

    (first, second) = occlusion(score, [("an awful film",), ("film",)], [0, 1])
    assert first == [("an ", 0.0), ("awful ", pytest.approx(0.7)), ("film", 0.0)]
    assert second == [("film", 0.0)]


# ── new data ───────────────────────────────────────────────────────────────────────────────────


def test_new_rows(run: tuple[Path, Prepared, Report], tmp_path: Path) -> None:
    place, prepared, _ = run
    given = columns(prepared.kind, 120)
    if prepared.kind in ("single", "ordered"):
        given["label"][:5] = ["7"] * 5
        given["label"][5] = None
    given["text"][10:60] = [f"완전히 새로운 글 {i} 입니다" for i in range(50)]
    new = dataset(tmp_path / "data", given)
    report = evaluate_data(place / "4-model", new, tmp_path / "report")
    assert list(report) == NAMES[prepared.kind].split()
    assert report.look is None
    data = report.to_dict()["data"]
    if prepared.kind in ("single", "ordered"):
        assert data["unseen"] == [{"label": "7", "count": 5}]
        assert (data["without_label"], data["scored"]) == (1, 114)
        assert any("none that the model was trained on (7)" in one for one in report.warnings)
    else:
        assert data["scored"] == 120
    drift = {one["what"]: one for one in report.details["drift"]}
    assert drift["share of words not in training"]["clear"]
    assert any("texts were in the training" in one for one in report.warnings)
    assert Report.open(tmp_path / "report").to_dict() == report.to_dict()
    assert (tmp_path / "report" / "report.html").is_file()


def test_new_rows_without_labels_show_their_texts_only(
    run: tuple[Path, Prepared, Report], tmp_path: Path
) -> None:
    place, prepared, _ = run
    given = columns(prepared.kind, 60)
    new = dataset(tmp_path / "data", given)
    new.roles = replace(new.roles, target=())
    report = evaluate_data(place / "4-model", new, tmp_path / "report")
    assert len(report) == 0
    assert report.details["drift"]
    assert (tmp_path / "report" / "report.html").is_file()
    with pytest.raises(UnknownNameError, match="the data had no labels"):
        report["accuracy"]


def test_a_twin_of_the_training_shows_no_drift(tmp_path: Path, models: Path) -> None:
    texts, labels = reviews(600, seed=3)
    rows = dataset(tmp_path / "1-dataset", {"text": texts[:400], "label": labels[:400]})
    prepare_texts(rows, tmp_path / "2-prepared")
    shutil.copytree(models / "bert-sequence", tmp_path / "4-model")
    new = dataset(tmp_path / "new", {"text": texts[400:], "label": labels[400:]})
    report = evaluate_data(tmp_path / "4-model", new, None)
    assert not any(one["clear"] for one in report.details["drift"])
    assert len(report) == 0  # its labels are sadness, joy and anger
    assert sum(one["count"] for one in report.to_dict()["data"]["unseen"]) == 200


def test_a_model_outside_of_its_run_says_so(models: Path, tmp_path: Path) -> None:
    new = dataset(tmp_path / "new", {"text": ["fine", "bad"], "label": ["joy", "anger"]})
    report = evaluate_data(models / "bert-sequence", new, None)
    assert report.details["drift"] is None
    assert any("not in its run" in warning for warning in report.warnings)
    assert any("only 2 rows" in warning for warning in report.warnings)


# ── the file ───────────────────────────────────────────────────────────────────────────────────


def test_a_report_that_is_not_there_or_not_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no metrics"):
        Report.open(tmp_path)
    for content in (b"{", b"[]", b'{"format": 99}', b'{"format": 1, "metrics": {"a": {}}}'):
        store.write_file(tmp_path / "metrics.json", content)
        with pytest.raises(CorruptError):
            Report.open(tmp_path)


def test_rows_that_cannot_be_answered_are_said(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from silmu.errors import InputError
    from silmu.pipelines.text_classification import TextClassificationPipeline

    whole = TextClassificationPipeline.preprocess

    def fails(self: Any, inputs: Any, **options: Any) -> Any:
        if inputs == "broken":
            raise InputError("a text has no tokens")
        return whole(self, inputs, **options)

    monkeypatch.setattr(TextClassificationPipeline, "preprocess", fails)
    given = {"text": ["fine", "broken", "bad"], "label": ["joy", "joy", "anger"]}
    report = evaluate_data(models / "bert-sequence", dataset(tmp_path / "new", given), None)
    data = report.to_dict()["data"]
    assert data["failed"] == [{"row": 2, "error": "a text has no tokens"}]
    assert data["scored"] == 2
    assert any("1 rows could not be answered" in warning for warning in report.warnings)


def test_a_dataset_of_pairs(tmp_path: Path, models: Path) -> None:
    given = {"a": ["fine film"] * 4, "b": ["so", "it", "", "is"], "label": ["joy", "anger"] * 2}
    pairs = dataset(tmp_path / "new", given, input="a,b")
    assert isinstance(pairs, Dataset)
    report = evaluate_data(models / "bert-sequence", pairs, None)
    assert report["accuracy"].n == 4
