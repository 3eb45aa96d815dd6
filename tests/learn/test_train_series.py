"""Training on series, from rows to a model that answers: every network, killed, searched, in parts.

What each step finds of the series by itself is tested beside it.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import kills
import torch
from series_child import SMALL, rows
from table_child import digest
from test_train_kills import Done, Trainings

import silmu
from silmu import cli, store
from silmu.errors import SilmuError, TrainingError, UsageError
from silmu.run import Run
from silmu.steps.collect.dataset import Dataset
from silmu.steps.design import series as design
from silmu.steps.design import series_lines, spaces
from silmu.steps.design.plan import FOR_SERIES
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.train import series_gradients

CHILD = Path(__file__).with_name("series_child.py")
UNSET = {"network": "auto", "hidden_size": None, "num_layers": None}
QUICK = {**SMALL, **UNSET, "max_steps": 6, "checkpoint_seconds": 60.0}
FILES = ("config.json", "model.safetensors", "processor.json", "schema.json")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def train(folder: Path, until: str = "train", **settings: Any) -> Run:
    return silmu.train(
        "time-series-forecasting",
        data=rows(),
        target="sold",
        output=folder,
        settings={**QUICK, **settings},
        until=until,
        quiet=True,
    )


def prepared_of(run: Run) -> Prepared:
    return Prepared.open(run.path / "2-prepared", Dataset.open(run.path / "1-dataset"))


def history() -> list[dict[str, Any]]:
    """Rows, and four days more of which the promotion is known."""
    own = rows()
    last = np.datetime64(max(row["date"] for row in own))
    ahead = [
        {"date": str(last + day), "shop": shop, "promotion": int(day == 2), "sold": None}
        for shop in ("shop 0", "shop 1")
        for day in range(1, 5)
    ]
    return [*own, *ahead]


# ── every network ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("networks")
    return {network: train(place / network, network=network) for network in FOR_SERIES}


def test_every_network_becomes_a_model_that_answers(trained: dict[str, Run]) -> None:
    told: dict[str, Any] = {}
    for network, run in trained.items():
        found = digest(run.model)
        assert {*FILES} < {*found}, network
        assert any(name.endswith(".onnx") for name in found), network
        answers = silmu.pipeline(model=str(run.model))(history())
        assert [one["series"] for one in answers] == ["shop 0", "shop 1"]
        for answer in answers:
            assert answer["time"] == [f"2023-05-{day:02}" for day in range(2, 6)], network
            deciles = np.array(list(answer["quantiles"].values()))
            assert (np.diff(deciles, axis=0) >= 0).all(), network
            assert (deciles[-1] > deciles[0]).all(), network
        told[network] = np.array([answer["mean"] for answer in answers])
    for network, means in told.items():
        # The second shop sells twice as much, whatever the network.
        assert 1.3 < means[1].mean() / means[0].mean() < 3, network


def test_answers_need_no_torch(trained: dict[str, Run], tmp_path: Path) -> None:
    models = {network: str(run.model) for network, run in trained.items()}
    (tmp_path / "asked.json").write_text(json.dumps({"models": models, "rows": history()}))
    code = """
import json, sys
import silmu
asked = json.load(open(sys.argv[1]))
told = {k: silmu.pipeline(model=v)(asked["rows"]) for k, v in asked["models"].items()}
assert not {"torch", "transformers", "pyarrow"} & {*sys.modules}
print(json.dumps(told))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "asked.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for network, answers in json.loads(done.stdout).items():
        assert answers == silmu.pipeline(model=models[network])(history()), network


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("patchtst", "PatchTSTForPrediction"),
        ("transformer", "TimeSeriesTransformerForPrediction"),
    ],
)
def test_transformers_opens_its_own(trained: dict[str, Run], network: str, name: str) -> None:
    import safetensors.torch
    import transformers

    run = trained[network]
    kind: Any = getattr(transformers, name)
    opened, told = kind.from_pretrained(run.model, output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    stored = safetensors.torch.load_file(run.model / "model.safetensors")
    own = opened.state_dict()
    assert all(torch.equal(own[key], value) for key, value in stored.items())


def test_the_metric_is_called_what_it_is(trained: dict[str, Run]) -> None:
    for network, run in trained.items():
        outcome = json.loads(next((run.path / "4-train").rglob("outcome.json")).read_bytes())
        learns = network in ("patchtst", "transformer")
        name = "negative_log_likelihood" if learns else "quantile_loss"
        assert set(outcome["metrics"]) == {"loss", name}, network


def test_run_toml_repeats_a_run(trained: dict[str, Run], tmp_path: Path) -> None:
    for network in ("gru", "dlinear"):
        again = silmu.train(
            data=rows(), config=trained[network].path / "run.toml", output=tmp_path / network,
            until="train", quiet=True,
        )  # fmt: skip
        assert digest(again.model) == digest(trained[network].model)


# ── step by step ───────────────────────────────────────────────────────────────────────────────


def test_run_toml_repeats_a_run_without_covariates(tmp_path: Path) -> None:
    data = tmp_path / "sales.csv"
    lines = [f"{row['date']},{row['sold']}\n" for row in rows(shops=1)]
    data.write_text("date,sold\n" + "".join(lines))
    settings = {**QUICK, "known": None}
    task, file = "time-series-forecasting", tmp_path / "one" / "run.toml"
    one = silmu.train(
        task, data=data, output=file.parent, settings=settings, until="prepare", quiet=True
    )
    two = silmu.train(config=file, output=tmp_path / "two", until="prepare", quiet=True)
    assert "input" not in one.settings
    assert two.settings == one.settings
    # An older silmu wrote that nothing is the input.
    file.write_text(file.read_text() + 'input = ""\n')
    silmu.train(config=file, output=tmp_path / "three", until="prepare", quiet=True)


def test_verb_by_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(series_gradients, "LEAST", 2)
    monkeypatch.setattr(series_gradients, "MOST", 2)
    source, run = tmp_path / "sales.json", tmp_path / "run"
    source.write_text(json.dumps(rows()))
    settings = {**QUICK, "network": None, "gradients": True}
    chosen = [f"--set={k}={json.dumps(v)}" for k, v in settings.items() if v is not None]
    chosen = [one.replace('"', "") for one in chosen]
    begin = ["time-series-forecasting", "--data", str(source), "--target", "sold"]
    prepare = ["prepare", *begin, "--network", "gru", "--output", str(run), *chosen]
    assert cli.main(prepare) == 0, capsys.readouterr().err
    for verb, left in (("design", "3-design.json"), ("train", "4-model")):
        assert not (run / left).exists()
        assert cli.main([verb, str(run)]) == 0, capsys.readouterr().err
        assert (run / left).exists()
    assert cli.main(["evaluate", str(run)]) == 0, capsys.readouterr().err
    found = json.loads((run / "5-report" / "metrics.json").read_bytes())
    assert found["look"] == 2
    page = (run / "5-report" / "report.html").read_text(encoding="utf-8")
    assert "no figure here is of that part" in page
    assert set(found["baselines"]) == {"naive", "seasonal_naive", "ets"}
    assert found["run"]["validation_metric"] == "quantile_loss"
    assert found["run"]["log"][-1][2] is not None
    assert found["details"]["series"]["gradients"]["cells"]["lstm"]["loss"] > 0
    # All at once comes to the same; the card that evaluate leaves is no part of it.
    whole = digest(train(tmp_path / "whole", network="gru").model)
    assert {name: one for name, one in digest(run / "4-model").items() if name in whole} == whole


def test_a_search_begins_with_the_defaults_and_measures_gradients_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    monkeypatch.setattr(series_gradients, "LEAST", 2)
    monkeypatch.setattr(series_gradients, "MOST", 2)
    written: list[str] = []

    def note(site: str, path: Path) -> None:
        if site == "rename" and path.name == series_gradients.FILE:
            written.append(path.parent.relative_to(tmp_path).as_posix())

    with store.observe(note):
        run = train(
            tmp_path / "run", network="tcn", search=2, gradients=True, max_steps=4,
            context_length=40,
        )  # fmt: skip
    told = json.loads((run.path / "search" / "trials.json").read_bytes())
    assert [one["state"] for one in told["trials"]] == ["done", "done"]
    assert told["trials"][0]["values"]["num_layers"] == 4
    assert written == ["run/4-train"]


@pytest.mark.parametrize("network", FOR_SERIES)
def test_defaults_are_in_the_space(network: str) -> None:
    settings = design.decided(network, {"seed": 0, "dtype": "fp32"}, 5000, 336)
    for name, one in spaces.for_series(network, settings).items():
        value = settings[name]
        if isinstance(one, spaces.Choice):
            assert value in one.of, name
        else:
            assert one.low <= value <= one.high, name


def test_a_budget_makes_it_short(tmp_path: Path) -> None:
    run = train(tmp_path / "run", network="gru", budget="0.05s", max_steps=None)
    assert 1 <= run.settings["max_steps"] < 300
    log = (run.path / "4-train" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["step"] == run.settings["max_steps"]


# ── settings ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"label_smoothing": 0.1}, "series have no label_smoothing"),
        ({"class_weights": True}, "series have no class_weights"),
        ({"split_seed": 3}, "series have no split_seed"),
        ({"split": "stratified"}, "series are split by time"),
        ({"network": "perceptron"}, "no network `perceptron` for series"),
        ({"network": "gru", "kernel_size": 5}, "kernel_size is set, and gru has none"),
        ({"network": "dlinear", "hidden_size": 8}, "hidden_size is set, and dlinear has none"),
        ({"network": "dlinear", "dropout": 0.3}, "dropout is set, and dlinear has none"),
        ({"network": "patchtst", "head": "quantiles"}, "whose head is student_t"),
        ({"head": "normal"}, "head is 'normal'"),
        ({"hidden_size": -1}, "hidden_size is -1"),
        ({"network": "transformer", "num_layers": 0}, "num_layers is 0"),
        ({"kernel_size": 0}, "kernel_size is 0"),
        ({"dropout": 1.5}, "dropout is 1.5"),
        ({"dtype": "fp16"}, "dtype is 'fp16'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"step": "fortnight"}, "fortnight"),
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"aggregate": "median"}, "aggregate is 'median'"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_work(
    settings: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(SilmuError, match=told):
        train(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("settings", [{"head": "student_t"}, {"network": "transformer"}])
def test_a_loss_that_is_no_number_is_told(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"is (nan|inf)|are no numbers"):
        train(tmp_path / "run", learning_rate=1e12, clip=None, max_steps=30, **settings)


def test_a_line_is_the_same_however_its_windows_are_cut(
    trained: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepared_of(trained["gru"])
    start = np.zeros((4, 14), np.float32)
    start[:, -1] = 1.0
    found = series_lines.line(prepared, start)
    monkeypatch.setattr(series_lines, "AT_ONCE", 7)
    for one, other in zip(found, series_lines.line(prepared, start), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(found[0] - start).max() > 0.01, "something was learnt"


def test_a_noisy_season_of_weeks_is_smoothed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weeks = np.arange(260)
    noise = np.random.default_rng(5).normal(0, 3, 260)
    yearly = 10 + 8 * np.sin(2 * np.pi * weeks / 52.18)
    data = {"week": np.datetime64("2019-01-07") + 7 * weeks, "sold": yearly + noise}
    run = silmu.train(
        "time-series-forecasting",
        data=data,
        target="sold",
        output=tmp_path / "run",
        settings={"prediction_length": 8, "season": 52, "context_length": 104},
        until="prepare",
        quiet=True,
    )
    prepared = prepared_of(run)
    start = np.zeros((8, 104), np.float32)
    start[np.arange(8), 52 + np.arange(8)] = 1.0
    smooth = series_lines.line(prepared, start)[0]
    monkeypatch.setattr(series_lines, "SMOOTHED", 1000)
    rough = series_lines.line(prepared, start)[0]
    # What is forecast by many weeks beside the one of last year has less of its noise.
    assert np.square(smooth).sum(1).max() < 0.5 * np.square(rough).sum(1).min()


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


def test_workers_change_nothing(child: Trainings, whole: Done) -> None:
    assert child(child.folder / "workers", workers=2).model == whole.model


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"clip": 1e-3},
        {"average": 0.05},
        {"weight_decay": 0.5},
        {"warmup": 0.6},
        {"schedule": "linear"},
        {"dropout": 0.6},
        {"accumulation": 2},
        {"head": "student_t"},
        {"normalise": "mean"},
        {"fill": "zero"},
        {"gap": 2},
        {"validation": 0.24},
        {"known": None},
    ],
)
def test_every_setting_changes_the_weights(
    child: Trainings, whole: Done, changed: dict[str, Any]
) -> None:
    other = child(child.folder / "-".join(changed), **changed).model
    assert other["model.safetensors"] != whole.model["model.safetensors"]


@pytest.mark.enable_socket
def test_two_processes_train_together(child: Trainings, whole: Done) -> None:
    """As torchrun starts them; the second follows, and writes nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    pair = [Trainings(child.folder, CHILD) for _ in range(2)]
    made: list[dict[str, str]] = []
    for name in ("two", "again"):
        for rank, one in enumerate(pair):
            environment = {**ranks, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            one.begin(child.folder / name, environment=environment)
        first, second = (one.end() for one in pair)
        # It may tell what the model holds before the first has written it.
        assert second.code == 0 or "has no model yet" in second.error, second.error
        made.append(first.model)
    for one in pair:
        one.close()
    assert {*made[0]} == {*whole.model}
    assert made[0] == made[1]


def test_gradients_are_measured_after_a_kill_too(child: Trainings) -> None:
    """Of a training that had ended; the file is not in the model, and is the same."""
    folders = [child.folder / name for name in ("measured", "killed")]
    whole = child(folders[0], "--trace", gradients=True)
    file = "4-train/gradients.json"
    n = next(n for n, one in enumerate(whole.trace, 1) if one.endswith(file))
    assert child(folders[1], fail=f"*:{n}:kill", gradients=True).code < 0
    assert not (folders[1] / file).exists()
    assert child(folders[1], gradients=True).model == whole.model
    first, second = ((folder / file).read_bytes() for folder in folders)
    assert first == second


def test_a_run_keeps_its_settings(child: Trainings, whole: Done) -> None:
    assert whole.model
    with pytest.raises(UsageError, match="begun with other settings: context_length"):
        silmu.train(child.folder / "whole", settings={"context_length": 21}, quiet=True)
