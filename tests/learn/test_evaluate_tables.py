"""Models for tables evaluated: figures of numbers, baselines, what columns matter, new rows."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rows import dataset

pytest.importorskip("torch")

import torch
from sklearn import metrics  # pyright: ignore[reportAttributeAccessIssue]
from table_child import SMALL

import silmu
from silmu import run as running
from silmu.errors import UnknownTaskError, UsageError
from silmu.run import Run
from silmu.runtime.columns import CategoryColumn, DateColumn, NumberColumn
from silmu.runtime.folder import Folder
from silmu.runtime.table import Table
from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate import evaluate_data
from silmu.steps.evaluate.intervals import resample, with_intervals
from silmu.steps.evaluate.metrics import (
    Scored,
    measure,
    measure_primary,
    primary_sums,
    row_sums,
    total,
)
from silmu.steps.evaluate.report import Report
from silmu.steps.evaluate.scoring import Answers
from silmu.steps.evaluate.slices import by_quantile
from silmu.steps.evaluate.table import drift, fitting, models
from silmu.steps.evaluate.table.frame import Frame, Scaling
from silmu.steps.evaluate.table.models import Task, fit
from silmu.steps.evaluate.table.occlusion import occluded
from silmu.steps.prepare import prepare_tables
from silmu.steps.prepare.columns import fit_column
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.settings import TableSettings

QUICK = {**SMALL, "max_steps": 150, "learning_rate": 0.02, "checkpoint_seconds": 60.0, "test": 0.3}
KINDS = ("single", "multiple", "number", "numbers")
TARGETS = {"single": "y", "multiple": "a,b", "number": "n", "numbers": "n,m"}
NAMES = {
    "single": "accuracy balanced_accuracy f1_macro roc_auc log_loss expected_calibration_error",
    "multiple": "f1_macro f1_micro accuracy hamming_loss roc_auc log_loss",
    "number": "mean_absolute_error root_mean_squared_error r2 interval_coverage interval_width",
    "numbers": "r2 interval_coverage",
}


Columns = dict[str, list[Any]]


def cells(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows whose targets follow from `x` and `kind`, and not from `size`, which has holes."""
    draw = random.Random(seed)
    found: list[dict[str, Any]] = []
    for i in range(count):
        x, kind = round(draw.gauss(50, 10), 3), draw.choice(["red", "green", "blue", None])
        size = round(draw.gauss(100, 20), 3) if draw.random() < 0.8 else None
        told = (x - 50) / 10 + 2 * (kind == "red")
        row = {"x": x, "kind": kind, "size": size, "when": f"2024-0{draw.randint(1, 9)}-11"}
        more = {"y": "high" if told > 0.5 else "low", "a": int(x > 50), "b": int(kind == "red")}
        n = 10 * told + draw.gauss(0, 1)
        found.append({**row, **more, "n": n, "m": 1000 * x, "store": f"store {i % 3}"})
    return found


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory, where there is one."""
    torch.set_num_threads(1)
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.fixture(scope="module", params=KINDS)
def run(request: Any, memory: Path) -> tuple[str, Run, Report]:
    """A run up to its report, for each kind of target."""
    kind = request.param
    task = "regression" if kind.startswith("number") else "classification"
    done = silmu.train(
        f"tabular-{task}",
        data=cells(500),
        input="x,kind,size,when",
        target=TARGETS[kind],
        output=memory / kind,
        settings=QUICK,
        quiet=True,
    )
    return kind, done, done.report


def prepared_of(run: Run) -> Prepared:
    return Prepared.open(run.path / "2-prepared", Dataset.open(run.path / "1-dataset"))


# ── the report ─────────────────────────────────────────────────────────────────────────────────


def test_the_report_has_what_it_promises(run: tuple[str, Run, Report]) -> None:
    kind, done, report = run
    assert [*report] == NAMES[kind].split()
    simple = {"number": "median", "numbers": "mean"}.get(kind, "majority")
    assert [*report.baselines] == [simple, "linear", "boosted_trees"]
    assert report.comparison["against"] == "boosted_trees"
    assert {*report.comparison["others"]} == {simple, "linear"}
    values, details = report.to_dict(), report.details
    assert (values["task"], values["rows"]) == (done.task, "rows")
    assert values["data"]["scored"] == prepared_of(done).counts["test"]
    for found in (report.metrics, *report.baselines.values()):
        assert all(one.low <= one.value <= one.high for one in found.values())
    assert details["promised"] == (0.9 if kind.startswith("number") else None)
    assert (done.path / "5-report" / "report.html").is_file()
    card = (done.model / "README.md").read_text()
    assert "trained from nothing" in card
    assert "A row of a table goes in" in card


def test_the_baselines_learn_what_there_is_to_learn(run: tuple[str, Run, Report]) -> None:
    kind, _, report = run
    simple = next(iter(report.baselines))
    for name in ("linear", "boosted_trees"):
        better, worse = (report.baselines[one][report.metric].value for one in (name, simple))
        assert (better < worse / 2) if kind == "number" else (better > worse + 0.2)


def test_the_columns_that_decide_are_found(run: tuple[str, Run, Report]) -> None:
    kind, _, report = run
    importance = report.details["importance"]
    found = {one["column"]: one for one in importance["columns"]}
    assert {*found} == {"x", "kind", "size", "when"}
    assert (importance["metric"], importance["repeats"]) == (report.metric, 5)
    values = [one["value"] for one in importance["columns"]]
    assert values == sorted(values, reverse=True)
    assert found["x"]["low"] > 0
    # Two numbers are told together, of which the one hangs on x alone.
    order = [one["column"] for one in importance["columns"]]
    assert order[0] == "x" if kind == "numbers" else {*order[:2]} == {"x", "kind"}
    assert all(one["low"] <= one["value"] <= one["high"] for one in found.values())
    assert all(np.mean(one["repeats"]) == pytest.approx(one["value"], abs=1e-5)
               for one in found.values())  # fmt: skip


def test_answers_depend_on_a_column_as_the_targets_do(run: tuple[str, Run, Report]) -> None:
    kind, _, report = run
    found = {one["column"]: one for one in report.details["dependence"]}
    x = found["x"]
    assert (x["kind"], x["at"]) == ("number", sorted(x["at"]))
    curve = x["curves"][0]
    assert all(a <= b for a, b in zip(curve["low"], curve["high"], strict=True))
    # Of two labels the second is told, which is the smaller x the likelier.
    rises = -1 if kind == "single" else 1
    assert rises * (curve["mean"][-1] - curve["mean"][0]) > 0
    levels = found["kind"]
    assert {*levels["at"]} == {"red", "green", "blue", None}
    curve = next((one for one in levels["curves"] if one["of"] != "a"), levels["curves"][0])
    means = dict(zip(levels["at"], curve["mean"], strict=True))
    if kind != "numbers":
        assert (max if kind != "single" else min)(means, key=means.__getitem__) == "red"


def test_parts_of_the_rows(run: tuple[str, Run, Report]) -> None:
    _, done, report = run
    parts: dict[str, list[Any]] = {}
    for one in report.details["slices"]:
        parts.setdefault(one["column"], []).append(one)
    assert {one["value"] for one in parts["kind"]} == {"red", "green", "blue", "(missing)"}
    assert {one["value"] for one in parts["store"]} == {"store 0", "store 1", "store 2"}
    assert "(missing)" in {one["value"] for one in parts["size"]}
    assert "when" not in parts
    for several in parts.values():
        assert sum(one["n"] for one in several) == prepared_of(done).counts["test"]


def test_examples_are_rows_of_the_source(run: tuple[str, Run, Report]) -> None:
    kind, done, report = run
    rows, details = cells(500), report.details
    test = {*prepared_of(done).dataset.row_numbers[prepared_of(done).rows("test")].tolist()}
    for one in (*details["worst"], *details["attributions"]):
        assert one["row"] in test
        own = rows[one["row"] - 1]
        assert {cell[0]: cell[1] for cell in one["cells"]} == pytest.approx(
            {name: own[name] for name in ("x", "kind", "size", "when")}
        )
        if kind == "numbers":
            assert one["label"] == pytest.approx({"n": own["n"], "m": own["m"]}, rel=1e-4)
    order = [one["column"] for one in details["importance"]["columns"]]
    assert [cell[0] for cell in details["worst"][0]["cells"]] == order
    weights = [cell[2] for cell in details["attributions"][0]["cells"]]
    assert [*map(abs, weights)] == sorted(map(abs, weights), reverse=True)


def test_figures_of_numbers_are_those_of_scikit_learn(run: tuple[str, Run, Report]) -> None:
    kind, done, report = run
    if not kind.startswith("number"):
        return
    prepared = prepared_of(done)
    names = TARGETS[kind].split(",")
    table = prepared.dataset.take(prepared.rows("test"), ["x", "kind", "size", "when", *names])
    answers: Any = silmu.pipeline(model=str(done.model))(table)
    truth = np.array([table.column(name).to_numpy() for name in names]).T
    columns = {key: np.array([
        [one[key][name] for name in names] if len(names) > 1 else [one[key]] for one in answers
    ]) for key in ("prediction", "low", "high")}  # fmt: skip
    told = columns["prediction"]
    within = (columns["low"] <= truth) & (truth <= columns["high"])
    assert report["r2"].value == pytest.approx(metrics.r2_score(truth, told), abs=1e-4)
    assert report["interval_coverage"].value == pytest.approx(within.mean(), abs=1e-5)
    assert 0.75 < within.mean() <= 1
    targets = {one["target"]: one for one in report.details["per_target"]}
    assert [*targets] == (names if len(names) > 1 else [])
    for i, name in enumerate(names):
        found = targets[name]["metrics"] if targets else report.to_dict()["metrics"]
        error = metrics.mean_absolute_error(truth[:, i], told[:, i])
        root = metrics.root_mean_squared_error(truth[:, i], told[:, i])
        assert found["mean_absolute_error"]["value"] == pytest.approx(error, rel=1e-4)
        assert found["root_mean_squared_error"]["value"] == pytest.approx(root, rel=1e-4)
        width = (columns["high"] - columns["low"])[:, i].mean()
        assert found["interval_width"]["value"] == pytest.approx(width, rel=1e-4)


def test_the_metric_that_counts_is_told_alike_both_ways() -> None:
    draw = np.random.default_rng(0)
    scores = draw.random((200, 3)).astype(np.float32)
    labels = draw.integers(0, 3, 200)
    several = (draw.random((200, 3)) < 0.4).astype(np.uint8)
    numbers = draw.normal(size=(200, 2))
    for scored in (
        Scored.of("single", labels, scores),
        Scored.of("ordered", labels, scores),
        Scored.of("multiple", several, scores),
        Scored.of("number", numbers[:, 0], scores[:, 0]),
        Scored.of("number", numbers, scores[:, :2]),
    ):
        whole = measure(scored.kind, total(row_sums(scored)))[scored.metric]
        part = measure_primary(scored.kind, total(primary_sums(scored)))
        assert float(part) == pytest.approx(float(whole))


def test_an_interval_that_holds_all_may_hold_less() -> None:
    truth = np.arange(20.0)
    spans = np.stack([truth - 1, truth + 1], axis=1)[:, None]
    scored = Scored.of("number", truth, truth + 0.5, spans=spans)
    sums = row_sums(scored)
    found = with_intervals(scored, sums, resample([sums])[0])
    assert found["interval_coverage"].value == 1
    assert found["interval_coverage"].low < 0.9


def test_parts_by_quantile_cover_every_row_that_has_a_number() -> None:
    draw = np.random.default_rng(0)
    values = np.where(draw.random(300) < 0.2, np.nan, draw.normal(size=300))
    parts = [*by_quantile("x", values)]
    assert np.array_equal(np.sort(np.concatenate([rows for *_, rows in parts])), np.arange(300))
    assert [value for _, value, _ in parts][-1] == "(missing)"
    few = [*by_quantile("x", draw.integers(1, 4, 300).astype(float))]
    assert [value for _, value, _ in few] == ["1", "2", "3"]
    assert [*by_quantile("x", np.full(50, 7.0))] == []


# ── baselines ──────────────────────────────────────────────────────────────────────────────────


def table_of(columns: dict[str, list[Any]]) -> Table:
    fitted = (fit_column(name, values, TableSettings()) for name, values in columns.items())
    return Table("single", tuple(fitted))


def task_of(
    columns: dict[str, list[Any]], targets: Any, kind: str, labels: int, validation: int = 0
) -> tuple[Task, Frame]:
    """The first rows to learn from, the last to choose by."""
    table = table_of(columns)
    frame = Frame.fit(table.columns, columns)
    matrix, told = frame.read(columns), np.asarray(targets)
    here = np.arange(len(told) - validation)
    rest = np.arange(len(told) - validation, len(told))
    train, chosen = (matrix.take(here), told[here]), (matrix.take(rest), told[rest])
    return Task(kind, labels, frame, train, chosen, len(here)), frame


def test_many_labels_one_of_which_was_never_seen() -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(360) % 120
    columns = {"x": (labels + draw.random(360)).tolist(), "c": [f"k{i % 7}" for i in labels]}
    task, _ = task_of(columns, labels, "single", 121, validation=60)
    for name, one in fit(task).items():
        scores = one.outputs(columns)
        assert scores.shape == (360, 121)
        assert np.allclose(scores.sum(axis=1), 1, atol=1e-4), name
        assert not scores[:, 120].any()
    assert (scores.argmax(axis=1) == labels).mean() > 0.7  # pyright: ignore[reportPossiblyUnboundVariable]


def test_levels_with_holes_alone() -> None:
    draw = random.Random(0)
    columns = {name: [draw.choice(["p", "q", None]) for _ in range(200)] for name in "ab"}
    targets = np.array([value == "p" for value in columns["a"]], np.int64)
    task, _ = task_of(columns, targets, "single", 2)
    for one in fit(task).values():
        assert (one.outputs(columns).argmax(axis=1) == targets).all()
        # Levels that were never seen, and none at all, are answered too.
        assert np.isfinite(one.outputs({"a": ["new", None], "b": [None, "new"]})).all()


@pytest.mark.parametrize("kind", ["single", "number"])
def test_numbers_beyond_all_measure(kind: str) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=100)
    wild = [1e300, -1e300, 1e-300, float("inf"), float("nan")]
    columns: Columns = {"x": x.tolist(), "wild": draw.choice(np.array(wild), 100).tolist()}
    columns["k"] = ["u" if i % 3 else None for i in range(100)]
    targets = (x > 0).astype(np.int64) if kind == "single" else (x * 1e20).astype(np.float32)
    task, _ = task_of(columns, targets, kind, 2 if kind == "single" else 0)
    for one in fit(task).values():
        told = one.outputs(columns)
        assert np.isfinite(told).all()
        if kind == "number":
            assert metrics.r2_score(targets.astype(float), told) > 0.5


def test_words_are_left_out_where_they_do_not_help() -> None:
    draw = random.Random(0)
    names = ["red", "green", "blue", "old", "new", "big", "small", "round", "flat", "cheap"]
    texts = [" ".join(draw.choices(names, k=draw.choice([4, 12]))) for _ in range(400)]
    words = np.array(["red" in text for text in texts], np.int64)
    sizes = np.array([len(text.split()) > 8 for text in texts], np.int64)
    for targets, chosen in ((words, "words of texts"), (sizes, "lengths of texts")):
        task, frame = task_of({"t": texts}, targets, "single", 2, validation=100)
        assert len(frame.of_words) > 2
        about = fit(task)["boosted_trees"].about
        assert {*about["validation"]} == {"words of texts", "lengths of texts"}
        assert about["chosen"] == chosen


def test_a_level_is_a_level_and_not_a_number() -> None:
    columns = {"c": [1, 2, "x", True, None, "1"] * 10}
    table = table_of(columns)
    frame = Frame.fit(table.columns, columns)
    levels = frame.read({"c": [1, "1", 1.0, True, None, "never"]}).levels[:, 0]
    assert levels[0] == levels[1] == levels[2] != levels[3]
    assert levels[4] == -1
    assert levels[5] == len(frame.numbers_of["c"])


def test_what_is_scaled_is_what_was_fitted() -> None:
    columns = {"x": [0.0, 10.0, None, 1e9], "c": ["p", "q", None, "p"]}
    columns = {name: values * 5 for name, values in columns.items()}
    frame = Frame.fit(table_of(columns).columns, columns)
    matrix = frame.read(columns)
    features = Scaling.fit(matrix, frame.sizes).read(matrix).toarray()
    assert features.shape == (20, 1 + 1 + 4)  # a number, whether it is missing, levels
    assert np.abs(features).max() <= 10
    assert features[2, 1] == 1
    assert (features[:, 2:].sum(axis=1) == 1).all()


def test_the_baselines_never_see_the_test_split(memory: Path) -> None:
    fitted: list[list[str]] = []
    for name in ("as it is", "test rows changed"):
        rows = cells(200)
        for i, row in enumerate(rows):
            row["part"] = "test" if i % 4 == 0 else "validation" if i % 4 == 1 else "train"
            if fitted and i % 4 == 0:
                row |= {"x": -999.0, "kind": "other", "size": 1e9, "y": "high"}
        data = {key: [row[key] for row in rows] for key in rows[0]}
        place = memory / name
        given = dataset(place / "1-dataset", data, input="x,kind,size", target="y", split="part")
        prepared = prepare_tables(given, place / "2-prepared")
        found = fitting.fitted(Table.open(Folder(prepared.processor, "processor")), prepared, 0)
        fitted.append([found[key].about["fitted"] for key in ("linear", "boosted_trees")])
        assert found["majority"].title == "always answering low"
    assert fitted[0] == fitted[1]


def test_too_many_rows_are_capped_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(models, "LEAST_ROWS", 50)
    monkeypatch.setattr(models, "MOST_WORK", {"trees": 300, "linear": 300})
    labels = np.arange(200) % 5
    task, _ = task_of({"x": labels.astype(float).tolist()}, labels, "single", 5)
    about = fit(task)["boosted_trees"].about
    assert (about["rows"], about["capped"]) == (60, True)
    assert "fitted on 60 of the 200 training rows" in caplog.text


# ── what a single answer hangs on ──────────────────────────────────────────────────────────────


def test_occlusion_finds_the_cell_that_decides() -> None:
    columns = {"x": [1.0, 2.0, 3.0, 2.0] * 5, "c": ["p", "q", "p", "p"] * 5, "z": [*range(20)]}
    read = table_of(columns).read

    def ask(given: Any) -> Answers:
        scores = [0.9 if c == "q" else 0.2 for c in given["c"]]
        return Answers(np.array([[score, 1 - score] for score in scores]))

    row = {"x": [3.0, 1.0], "c": ["q", "p"], "z": [4, 4]}
    first, second = occluded(ask, row, read, [0, 0])
    assert first["cells"][0] == ["c", "q", pytest.approx(0.7)]
    assert [cell[2] for cell in first["cells"][1:]] == [0.0] * (len(read) - 1)
    assert {cell[2] for cell in second["cells"]} == {0.0}


# ── new rows ───────────────────────────────────────────────────────────────────────────────────


def drawn(count: int, seed: int) -> Columns:
    """Columns of every kind: close, skewed and whole numbers, levels few and many, days."""
    draw = np.random.default_rng(seed)
    words = np.array([f"w{i}" for i in range(3000)])
    days = np.datetime64("2024-01-01") + draw.integers(0, 300, count)
    found: Columns = {
        "weight": draw.normal(70, 12, count).tolist(),
        "price": np.exp(draw.normal(3, 1, count)).tolist(),
        "rooms": draw.integers(1, 6, count).tolist(),
        "colour": draw.choice(["red", "green", "blue"], count, p=[0.6, 0.3, 0.1]).tolist(),
        "word": draw.choice(words, count, p=(w := 1 / np.arange(1, 3001)) / w.sum()).tolist(),
        "day": [str(day) for day in days],
    }
    holes = draw.random(count) < 0.1
    found["price"] = [None if h else p for h, p in zip(holes, found["price"], strict=True)]
    return found


def compared(place: Path, table: Table, columns: Columns, seed: int) -> dict[str, Any]:
    new = dataset(place / f"new {seed}", columns, input=",".join(columns), target="")
    found, warnings = drift.compared(table, new, place / "nowhere" / "4-model")
    told = {one["column"]: one for one in found["columns"]["columns"]}
    return {"told": told, "warnings": warnings, **found["columns"]}


def test_twins_of_the_training_show_no_drift(tmp_path: Path) -> None:
    alarms = 0
    for seed in range(12):
        table = table_of(drawn(800, 2 * seed))
        found = compared(tmp_path, table, drawn(300, 2 * seed + 1), seed)
        alarms += sum(one["clear"] for one in found["told"].values())
        assert (found["from"], found["repeated"]) == ("model", None)
        assert found["rows"]["train"] >= 799
    assert alarms <= 1


def test_every_change_of_a_column_is_told(tmp_path: Path) -> None:
    table = table_of(drawn(800, 0))
    new = drawn(300, 1)
    new["weight"] = [value / 0.45359237 for value in new["weight"]]
    new["price"] = [None if i % 2 else value for i, value in enumerate(new["price"])]
    new["rooms"] = [9] * 60 + new["rooms"][60:]
    new["colour"] = ["violet"] * 30 + new["colour"][30:]
    new["day"] = [day.replace("2024", "2025") for day in new["day"]]
    found = compared(tmp_path, table, new, 0)
    told = found["told"]
    assert {name for name, one in told.items() if one["clear"]} == {
        *("weight", "price", "rooms", "colour")
    }
    units = told["weight"]["units"]
    assert units["told"] == "kilograms as pounds"
    assert told["weight"]["psi"] > 1
    assert told["rooms"]["units"] is None
    assert told["price"]["missing"]["clear"]
    assert not told["price"]["distance"]["clear"]
    assert told["rooms"]["outside"] == pytest.approx(0.2)
    unseen = told["colour"]["unseen"]
    assert unseen["levels"] == [{"level": "violet", "count": 30}]
    assert unseen["clear"]
    # A word that comes once more or less often, or never came, is what many levels are like.
    assert told["word"]["unseen"]["count"] > 0
    assert not told["word"]["unseen"]["clear"]
    # Newer rows are newer: their range is told, and is no alarm.
    assert told["day"]["outside"] == 1
    assert found["warnings"][0].startswith("unlike the training: `weight`: perhaps in another unit")
    assert len(found["warnings"]) == 4


@pytest.mark.parametrize(
    ("name", "change", "factor", "offset"),
    [
        ("weight", lambda x: x * 1000, 1000, 0),
        ("weight", lambda x: x / 100, 0.01, 0),
        ("price", lambda x: x * 10, 10, 0),
        ("weight", lambda x: 1.8 * x + 32, 1.8, 32),
        ("weight", lambda x: x + 273.15, 1, 273.15),
        ("weight", lambda x: x * 2.54, 2.54, 0),
    ],
)
def test_changed_units_are_named(
    tmp_path: Path, name: str, change: Any, factor: float, offset: float
) -> None:
    new = drawn(300, 1)
    new[name] = [None if value is None else change(value) for value in new[name]]
    units = compared(tmp_path, table_of(drawn(800, 0)), new, 0)["told"][name]["units"]
    assert units is not None
    assert (units["factor"], units["offset"]) == (pytest.approx(factor), pytest.approx(offset))


def test_without_quantiles_ranges_are_compared_all_the_same(tmp_path: Path) -> None:
    settings = TableSettings(normalise="standard")
    columns = drawn(400, 0)
    fitted = tuple(fit_column(name, values, settings) for name, values in columns.items())
    assert isinstance(fitted[0], NumberColumn)
    assert isinstance(fitted[3], CategoryColumn)
    assert isinstance(fitted[5], DateColumn)
    found = compared(tmp_path, Table("single", fitted), drawn(200, 1), 0)["told"]["weight"]
    assert found["median"]["train"] == pytest.approx(70, abs=3)
    assert found["range"]["here"][0] > 20


def test_new_rows(run: tuple[str, Run, Report], memory: Path) -> None:
    kind, done, _ = run
    new = cells(150, seed=7)
    for row in new[:40]:
        row |= {"x": row["x"] * 1000, "kind": "violet"}
    new += cells(500)[:20]  # of the training, or the test
    report = running.evaluate(done.model, data=new, output=memory / f"{kind} new")
    assert [*report] == NAMES[kind].split()
    told = report.details["columns"]
    found = {one["column"]: one for one in told["columns"]}
    assert (told["from"], told["rows"]["here"]) == ("run", 170)
    assert 0 < told["repeated"] <= 20
    assert found["kind"]["unseen"]["levels"] == [{"level": "violet", "count": 40}]
    assert {name for name, one in found.items() if one["clear"]} == {"x", "kind"}
    assert report.to_dict()["data"]["flagged"] == 40
    assert any("in `kind` (40)" in one or "in `x` (40)" in one for one in report.warnings)
    assert (memory / f"{kind} new" / "5-report" / "report.html").is_file()


def test_new_rows_without_a_target_show_their_drift_only(
    run: tuple[str, Run, Report], memory: Path
) -> None:
    kind, done, _ = run
    inputs = ("x", "kind", "size", "when")
    new = [{name: row[name] for name in inputs} for row in cells(60, seed=8)]
    report = running.evaluate(done.model, data=new, output=memory / f"{kind} bare")
    assert len(report) == 0
    assert len(report.details["columns"]["columns"]) == 4
    lacking = {"x": [1.0], "kind": ["red"]}
    with pytest.raises(UsageError, match=r"the data has no `size`, `when`"):
        evaluate_data(done.model, dataset(memory / f"{kind} less", lacking, input="x,kind"), None)


def test_a_model_whose_answers_are_not_scored_is_refused(models: Path, tmp_path: Path) -> None:
    new = dataset(tmp_path / "new", {"text": ["a"], "label": ["b"]})
    with pytest.raises(UnknownTaskError, match="question-answering, whose answers are not scored"):
        evaluate_data(models / "bert-qa", new, None)


def test_nothing_but_numbers_is_in_the_file(run: tuple[str, Run, Report]) -> None:
    _, done, report = run
    whole = json.loads((done.path / "5-report" / "metrics.json").read_bytes())
    assert whole == report.to_dict()
