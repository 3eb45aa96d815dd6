"""Training on tables, from rows to a model that answers: every kind of target and of columns."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import kills
import torch
from table_child import SMALL, digest, rows
from test_train_kills import Done, Trainings

import silmu
from silmu.errors import InvalidModelError, SilmuError, UnknownNameError
from silmu.networks.tables import TableNetwork, TableNetworkConfig, bins_of
from silmu.run import Run
from silmu.runtime.folder import Folder
from silmu.steps.collect.dataset import Dataset
from silmu.steps.design import tables as design
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.train import tables as step
from silmu.steps.train.tables import TableObjective, interval_of, write_model

Rows = list[dict[str, Any]]
CHILD = Path(__file__).with_name("table_child.py")
QUICK = {**SMALL, "max_steps": 60, "learning_rate": 0.02, "checkpoint_seconds": 60.0}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def train(
    folder: Path, data: Any, *, target: str = "y", kind: str = "classification", **settings: Any
) -> Run:
    return silmu.train(
        f"tabular-{kind}",
        data=data,
        target=target,
        output=folder,
        settings={**QUICK, **settings},
        until="train",
        quiet=True,
    )


def prepared_of(run: Run) -> Prepared:
    return Prepared.open(run.path / "2-prepared", Dataset.open(run.path / "1-dataset"))


def right(answers: list[dict[str, Any]], data: Rows, target: str = "y") -> float:
    """The share of right labels."""
    pairs = zip(answers, data, strict=True)
    return float(np.mean([answer["label"] == str(row[target]) for answer, row in pairs]))


# ── every kind of target ───────────────────────────────────────────────────────────────────────


def test_one_label(tmp_path: Path) -> None:
    data = rows(count=300)
    run = train(tmp_path / "run", data)
    pipe: Any = silmu.pipeline(model=str(run.model))
    assert right(pipe(data), data) > 0.85
    assert pipe.task == "tabular-classification"
    assert set(digest(run.model)) == {
        *("config.json", "model.safetensors", "onnx/model.onnx"),
        *("processor.json", "processor.safetensors", "schema.json"),
    }
    settings = run.settings
    assert (settings["network"], settings["input"], settings["target"]) == (
        "tabm",
        "x,kind,size",
        "y",
    )
    # run.toml, given back, repeats the run.
    again = silmu.train(
        data=data, config=run.path / "run.toml", output=tmp_path / "b", until="train", quiet=True
    )
    assert digest(again.model) == digest(run.model)


def test_several_labels_in_columns_of_0_and_1(tmp_path: Path) -> None:
    data = [
        {**row, "a": int(row["x"] > 0), "b": int(row["kind"] == "b")} for row in rows(count=300)
    ]
    run = train(tmp_path / "run", data, target="a,b", input="x,kind")
    pipe: Any = silmu.pipeline(model=str(run.model))
    answers = pipe(data, top_k=None)
    for i, name in enumerate(("a", "b")):
        told = [
            next(one["score"] for one in answer if one["label"] == name) >= pipe.thresholds[i]
            for answer in answers
        ]
        assert (
            np.mean([bool(row[name]) == said for row, said in zip(data, told, strict=True)]) > 0.9
        )


def test_grades_in_order(tmp_path: Path) -> None:
    data = [{**row, "y": int(np.clip(row["x"] * 1.5 + 3, 1, 5))} for row in rows(count=400)]
    run = train(tmp_path / "run", data, labels="ordered", network="perceptron", max_steps=120)
    pipe: Any = silmu.pipeline(model=str(run.model))
    told = [int(answer["label"]) for answer in pipe(data)]
    assert np.abs(np.array(told) - [row["y"] for row in data]).mean() < 0.5
    assert list(pipe.model.config.id2label.values()) == ["1", "2", "3", "4", "5"]


def test_a_number_and_its_interval(tmp_path: Path) -> None:
    draw = random.Random(0)
    data = [{**row, "y": 5000 + 100 * row["x"] + draw.gauss(0, 10)} for row in rows(count=800)]
    run = train(tmp_path / "run", data, kind="regression", input="x,kind,size", max_steps=150)
    fresh = [{**row, "y": 5000 + 100 * row["x"] + draw.gauss(0, 10)} for row in rows(9, 400)]
    answers = silmu.pipeline(model=str(run.model))(fresh)
    errors = [
        abs(answer["prediction"] - row["y"]) for answer, row in zip(answers, fresh, strict=True)
    ]
    assert np.mean(errors) < 25
    inside = [a["low"] <= row["y"] <= a["high"] for a, row in zip(answers, fresh, strict=True)]
    assert np.mean(inside) > 0.8


def test_several_numbers_of_different_sizes(tmp_path: Path) -> None:
    data = [
        {**row, "y": 1e6 * row["x"], "z": 0.001 * (row["size"] or 100)} for row in rows(count=400)
    ]
    run = train(tmp_path / "run", data, target="y,z", kind="regression", max_steps=150)
    answers = silmu.pipeline(model=str(run.model))(data)
    for name in ("y", "z"):
        truth = np.array([row[name] for row in data])
        told = np.array([answer["prediction"][name] for answer in answers])
        assert 1 - np.square(told - truth).mean() / truth.var() > 0.7
        assert all(answer["low"][name] < answer["high"][name] for answer in answers)


def test_of_few_rows_no_interval_is_told(tmp_path: Path) -> None:
    data = [{**row, "y": row["x"]} for row in rows(count=60)]
    run = train(tmp_path / "run", data, kind="regression", input="kind,size", max_steps=3)
    answer = silmu.pipeline(model=str(run.model))(data[0])
    assert (answer["low"], answer["high"]) == (None, None)
    assert isinstance(answer["prediction"], float)


def test_an_interval_leaves_out_as_many_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(size=(20_000, 40, 1))
    fresh = np.random.default_rng(1).normal(size=20_000)
    ends = np.array([interval_of(one) for one in draws])[:, 0]
    assert np.mean((ends[:, 0] <= fresh) & (fresh <= ends[:, 1])) == pytest.approx(0.9, abs=0.01)


# ── every kind of column ───────────────────────────────────────────────────────────────────────


def of_dates(draw: random.Random) -> dict[str, Any]:
    day = date(2023, 1, 1) + timedelta(days=draw.randrange(600))
    return {"when": day.isoformat(), "y": "summer" if 4 <= day.month <= 9 else "winter"}


def of_texts(draw: random.Random) -> dict[str, Any]:
    good = draw.random() < 0.5
    own = ["lovely", "warm", "좋은"] if good else ["dull", "cold", "나쁜"]
    words = draw.choices(own, k=3) + draw.choices(["film", "song", "the", "of"], k=4)
    return {"note": " ".join([*words, str(draw.random())]), "y": "good" if good else "bad"}


def of_levels(draw: random.Random) -> dict[str, Any]:
    a, b = draw.choice(["p", "q", None]), draw.choice(["u", "v", "w", None])
    return {"a": a, "b": b, "y": str((a == "p") ^ (b in ("u", None)))}


def of_numbers(draw: random.Random) -> dict[str, Any]:
    a, b = draw.gauss(0, 1), draw.gauss(0, 1)
    return {"a": a, "b": f"{b:.3f}", "y": str(a * b > 0)}


def of_holes(draw: random.Random) -> dict[str, Any]:
    row = {"a": draw.gauss(0, 1), "b": draw.choice("pq"), "c": draw.gauss(0, 1), "d": "x"}
    hole = draw.choice("abc")
    return {**row, hole: None, "d": draw.choice("xy"), "y": "none" if hole == "a" else "some"}


@pytest.mark.parametrize("row", [of_dates, of_texts, of_levels, of_numbers, of_holes])
def test_columns_of_one_kind_are_enough(
    row: Callable[[random.Random], dict[str, Any]], tmp_path: Path
) -> None:
    draw = random.Random(1)
    data = [row(draw) for _ in range(400)]
    run = train(tmp_path / "run", data, max_steps=200, hidden_size=16, number_size=4)
    assert right(silmu.pipeline(model=str(run.model))(data), data) > 0.9


# ── the graph is the network ───────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Prepared, TableObjective]:
    torch.set_num_threads(1)
    run = train(tmp_path_factory.mktemp("run") / "a", rows(), max_steps=5)
    prepared, settings = prepared_of(run), run.settings
    network: Any = design.build("tabm", prepared, settings)
    return prepared, TableObjective(network, prepared, settings)


def test_a_graph_that_differs_is_refused(
    trained: tuple[Prepared, TableObjective], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, objective = trained
    write_model(tmp_path / "good", "tabular-classification", objective, prepared)
    save = step.safetensors.torch.save
    for name in ("output.bias", "scale", "body.blocks.1.0.s", "categories.0.weight"):

        def broken(tensors: dict[str, Any], metadata: Any, name: str = name) -> bytes:
            return save({**tensors, name: tensors[name] * 1.01 + 0.01}, metadata)

        monkeypatch.setattr(step.safetensors.torch, "save", broken)
        with pytest.raises(InvalidModelError, match="its graph differs from the network"):
            write_model(tmp_path / "bad", "tabular-classification", objective, prepared)
        assert [path.name for path in tmp_path.iterdir()] == ["good"]


def test_a_processor_that_reads_otherwise_is_refused(
    trained: tuple[Prepared, TableObjective], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, objective = trained
    whole = step.Table.with_outcome

    def wrong(table: Any, *outcome: Any) -> Any:
        first = table.columns[0]
        knots = type(first)(**{**vars(first), "knots": first.knots + 0.5})
        return type(table)(table.kind, (knots, *table.columns[1:]), *outcome)

    monkeypatch.setattr(step.Table, "with_outcome", wrong)
    with pytest.raises(InvalidModelError, match="reads the numbers of rows in another way"):
        write_model(tmp_path / "bad", "tabular-classification", objective, prepared)
    monkeypatch.setattr(step.Table, "with_outcome", whole)
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("kind", ["tabm", "perceptron"])
@pytest.mark.parametrize("shape", [(0, (3, 9, 2)), (3, ()), (1, (2,)), (40, (7,) * 30)])
@pytest.mark.parametrize("changed", [{}, {"number_bins": 0}, {"members": 1, "num_layers": 1}])
def test_networks_of_every_shape_have_a_graph(
    kind: str, shape: tuple[int, tuple[int, ...]], changed: dict[str, int], tmp_path: Path
) -> None:
    import safetensors.torch

    from silmu import graphs

    draws = np.random.default_rng(0)
    count, sizes = shape
    numbers = draws.normal(size=(50, count)).round(1)
    numbers[:, :1] = numbers[:, :1] > 0
    settings = {"members": 3, "hidden_size": 5, "number_size": 3, "category_size": 4, **changed}
    outputs = {"softmax": 3, "sigmoid": 2, "number": 1}
    for mean, width in outputs.items():
        config = TableNetworkConfig(
            **{"kind": kind, "mean": mean, "num_outputs": width, "number_bins": 6, **settings},
            num_numbers=count,
            category_sizes=sizes,
        )
        bins = bins_of(numbers, config.number_bins) if config.number_bins else []
        if bins and kind == "tabm":
            most = max(len(ends) - 1 for ends in bins)
            config = TableNetworkConfig(**{**vars(config), "number_bins": most})
        torch.manual_seed(1)
        network = TableNetwork(config, bins).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
            network.scale += torch.rand(width)
            network.shift += torch.rand(width)
        place = tmp_path / mean
        place.mkdir()
        (place / "config.json").write_text(json.dumps(config.to_dict()))
        kept = {k: v for k, v in network.state_dict().items() if v.is_floating_point()}
        safetensors.torch.save_file(kept, place / "model.safetensors")
        session = graphs.open_session(Folder(place, mean), "tabular-regression")
        feeds = {
            "numbers": (3 * draws.normal(size=(20, count))).astype(np.float32),
            "categories": draws.integers(0, np.array(sizes, int), (20, len(sizes))),
        }
        feeds = {name: array for name, array in feeds.items() if array.shape[1]}
        with torch.inference_mode():
            expected = network.told(network(**{k: torch.from_numpy(v) for k, v in feeds.items()}))
        np.testing.assert_allclose(session.run(feeds)["logits"], expected, rtol=1e-4, atol=1e-4)


def test_pieces_of_a_line_are_never_too_narrow() -> None:
    ends = bins_of(np.array([[0.0], [1e-9], [2e-9], [1.0], [1.0 + 1e-7]]), 4)[0]
    assert (np.diff(ends) >= 1e-3).all()
    assert bins_of(np.zeros((5, 1)), 4)[0].tolist() == [-0.5, 0.5]


# ── killed, and the same whatever is different ─────────────────────────────────────────────────


@pytest.fixture(scope="module")
def child() -> Iterator[Trainings]:
    yield from kills.trainings(CHILD)


@pytest.fixture(scope="module")
def whole(child: Trainings) -> Done:
    """The training that nothing happens to."""
    return child(child.folder / "whole", "--trace")


def test_a_kill_anywhere_changes_nothing(child: Trainings, whole: Done) -> None:
    kills.kill_in_each_step(child, whole, ends=True)


def test_killed_again_and_again(child: Trainings, whole: Done) -> None:
    sittings = 0
    each = len(whole.trace) // 4
    while (done := child(child.folder / "again", fail=f"*:{each}:kill")).code:
        assert done.code == -signal.SIGKILL
        sittings += 1
        assert sittings < 12
    assert sittings >= 3
    assert done.model == whole.model


def test_workers_change_nothing(child: Trainings, whole: Done) -> None:
    for workers in (1, 2):
        done = child(child.folder / f"workers-{workers}", "--set", json.dumps({"workers": workers}))
        assert done.model == whole.model
    other = child(child.folder / "seed", "--set", json.dumps({"seed": 1}))
    assert other.model["model.safetensors"] != whole.model["model.safetensors"]
    assert other.model["processor.json"] == whole.model["processor.json"]


# ── settings ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"network": "lstm"}, UnknownNameError, "no network `lstm` for tables"),
        ({"labels": "number"}, UnknownNameError, "(?s)labels is 'number'.*tabular-regression"),
        ({"normalise": "x"}, UnknownNameError, "normalise is 'x'"),
        ({"members": 0}, SilmuError, "members is 0"),
        ({"hidden_size": -1}, SilmuError, "hidden_size is -1"),
        ({"dropout": 1.5}, SilmuError, "dropout is 1.5"),
        ({"number_bins": -1}, SilmuError, "number_bins is -1"),
        ({"batch_size": 0}, SilmuError, "batch_size is 0"),
        ({"label_smoothing": 2.0}, SilmuError, "label_smoothing is 2"),
        ({"validation": 0.9, "test": 0.2}, SilmuError, "leave nothing to train on"),
        ({"ignore": '"x'}, SilmuError, "is not a list of names"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_any_work(
    settings: Any, error: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        train(tmp_path / "run", rows(), **settings)
    assert not (tmp_path / "run").exists()
