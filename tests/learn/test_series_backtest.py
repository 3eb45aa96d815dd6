"""A short test part is told with earlier ones, each by a network that saw only what lies before."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from series_child import SMALL, rows
from table_child import digest
from test_train_kills import Trainings

import silmu
from silmu.errors import UsageError, WrongTypeError
from silmu.run import Run
from silmu.runtime.series.frame import Series
from silmu.steps.prepare import windows
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.series import BACKTEST, LATER, earlier_of, processor_of, whole
from silmu.tasks.time_series_forecasting import TimeSeriesForecasting, TimeSeriesForecastingConfig

CHILD = Path(__file__).with_name("series_child.py")
QUICK = {**SMALL, "max_steps": 6, "checkpoint_seconds": 60.0}
LEARNT = ("model.safetensors", "processor.json")
FIRST = "2023-01-02"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def train(folder: Path, data: list[dict[str, Any]], until: str = "evaluate", **more: Any) -> Run:
    return silmu.train(
        "time-series-forecasting",
        data=data,
        target="sold",
        output=folder,
        settings={**QUICK, **more},
        until=until,
        quiet=True,
    )


def prepared(run: Run) -> Prepared:
    return TimeSeriesForecasting.open_prepared(run.path)


def day(one: Series, step: int) -> str:
    """The day of a step, of a series that begins where all do."""
    return str(np.datetime64(FIRST) + (step - one.first))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    torch.set_num_threads(1)
    return train(tmp_path_factory.mktemp("backtest") / "run", rows(), backtest=2)


# ── where the parts lie ────────────────────────────────────────────────────────────────────────


def parts(
    steps: int, ahead: int, share: float = 0.15, outage: slice = slice(0), **more: Any
) -> tuple[int, ...]:
    one = Series("", 1000, np.arange(float(steps)))
    one.values[outage] = np.nan
    cuts = windows.cut([one], ahead, share, share, 0)
    found = windows.earlier([one], cuts, 8, ahead, share, share, **more)
    return tuple(1000 + steps - end for end in found)


def test_a_test_of_four_horizons_is_enough() -> None:
    assert parts(400, 15) == ()
    assert len(parts(400, 16)) == 3


def test_parts_are_added_until_there_are_ten_horizons() -> None:
    # 36 + 31 + 26 + 22 steps of 240, and 37 + 32 + 26 of 250.
    assert parts(240, 10) == (36, 67, 93)
    assert parts(250, 9) == ()
    assert parts(250, 10) == (38, 70, 97)


def test_none_has_less_than_half_of_the_training() -> None:
    assert len(parts(240, 20, share=0.25)) == 2
    assert len(parts(240, 20, share=0.25, count=3)) == 3


def test_what_there_is_no_room_for_is_refused() -> None:
    with pytest.raises(UsageError, match="backtest is 9, and the series have room for 3") as error:
        parts(100, 10, count=9)
    assert error.value.hint is not None
    assert "backtest=3" in error.value.hint


def test_a_part_in_which_nothing_was_observed_is_left_out() -> None:
    # Of 200 days told 10 at once, the parts end 30, 56 and 78 days before the last.
    assert parts(200, 10) == (30, 56, 78)
    assert parts(200, 10, outage=slice(122, 144)) == (30, 78)
    assert 56 not in parts(200, 10, outage=slice(100, 122))
    with pytest.raises(UsageError, match="have room for"):
        parts(200, 10, outage=slice(20, 170), count=3)


def test_an_outage_in_an_earlier_part_ends_no_run(tmp_path: Path) -> None:
    gone = {str(np.datetime64(FIRST) + day) for day in range(58, 72)}
    data = [{**row, "sold": None} if row["date"] in gone else row for row in rows()]
    run = train(tmp_path / "run", data, prediction_length=6)
    assert 1 <= len(run.report.details["series"]["parts"]) <= 4


def test_a_series_that_begins_later_is_in_no_part_before_it() -> None:
    late = [Series("a", 0, np.arange(200.0)), Series("b", 150, np.arange(50.0))]
    cuts = windows.cut(late, 10, 0.15, 0.15, 0)
    assert windows.earlier(late, cuts, 8, 10, 0.15, 0.15) == (170, 144, 122)


@pytest.mark.parametrize("value", [-1, 21])
def test_how_many_is_checked_before_any_work(value: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"backtest is {value}; it must be from 0 to 20"):
        train(tmp_path / "run", rows(), backtest=value)
    with pytest.raises(WrongTypeError, match="backtest is 'some'"):
        train(tmp_path / "run", rows(), backtest="some")
    assert not (tmp_path / "run").exists()


def test_a_budget_is_for_the_model(tmp_path: Path) -> None:
    """Without one, a short test is told with earlier parts; with one, where they are asked for."""
    short = {"prediction_length": 6, "until": "prepare"}
    runs = {
        "none": train(tmp_path / "none", rows(), **short),
        "budget": train(tmp_path / "budget", rows(), budget="10m", **short),
        "asked": train(tmp_path / "asked", rows(), budget="10m", backtest=2, **short),
    }
    counts = {name: len(earlier_of(prepared(run))) for name, run in runs.items()}
    assert counts == {"none": 3, "budget": 0, "asked": 2}
    # What was decided of this series is no demand on another one.
    assert "backtest" not in runs["none"].settings
    asked = TimeSeriesForecastingConfig().changed({"budget": "10m", "backtest": 3})
    assert asked.training_seconds == 150


def test_a_search_is_told_by_the_last_part(tmp_path: Path) -> None:
    """For it chooses settings by time that earlier parts would be tested on."""
    with pytest.raises(UsageError, match="backtest is 2 beside a search"):
        train(tmp_path / "run", rows(), search=2, backtest=2)
    assert not (tmp_path / "run").exists()
    found = train(tmp_path / "run", rows(), until="prepare", search=2, prediction_length=6)
    assert earlier_of(prepared(found)) == ()


# ── what the networks of the parts saw ─────────────────────────────────────────────────────────


def test_nothing_later_is_in_a_part(run: Run, tmp_path: Path) -> None:
    """Whatever comes after its end, of an earlier part the same is learnt."""
    found = prepared(run)
    for number, end in enumerate(earlier_of(found), 1):
        from_then = day(whole(found)[0], end)
        changed = [
            {**row, "sold": 1e6 - row["sold"], "promotion": 1 - row["promotion"]}
            if row["date"] >= from_then
            else row
            for row in rows()
        ]
        other = train(tmp_path / str(number), changed, until="train", backtest=2)
        place = f"{BACKTEST}/{number}/4-model"
        own, theirs = (digest(one.path / place) for one in (run, other))
        assert {name: own[name] for name in LEARNT} == {name: theirs[name] for name in LEARNT}
        # The run itself learns of what comes before its own test part, which is where part 1 ends.
        weights = [digest(one.model)["model.safetensors"] for one in (run, other)]
        assert (weights[0] == weights[1]) is (number == 1)


def test_a_part_is_a_run_that_ended_then(run: Run, tmp_path: Path) -> None:
    """The same weights, and the same figures, as of the rows before its end alone."""
    found = prepared(run)
    told = run.report.details["series"]["parts"]
    for number, end in enumerate(earlier_of(found), 1):
        from_then = day(whole(found)[0], end)
        before = [row for row in rows() if row["date"] < from_then]
        alone = train(tmp_path / str(number), before, backtest=0)
        own, theirs = (
            digest(path / "4-model") for path in (run.path / BACKTEST / str(number), alone.path)
        )
        assert {name: own[name] for name in LEARNT} == {name: theirs[name] for name in LEARNT}
        part, report = told[-1 - number], alone.report
        error = report["mean_absolute_error"].value
        assert part["score"]["value"] == pytest.approx(error, rel=1e-9)
        assert part["score"]["n"] == report["mean_absolute_error"].n
        assert part["coverage"] == pytest.approx(report["interval_coverage"].value)
        assert part["windows"] == report.details["series"]["windows"]
        assert report.details["series"]["parts"] == []
        strong = run.report.comparison["against"]
        beside = report.baselines[strong]["mean_absolute_error"].value
        assert part["baseline"]["value"] == pytest.approx(beside, rel=1e-9)


def test_what_was_known_ahead_stays_known(run: Run) -> None:
    """Though a part's covariates reach past its end, which would make all of them known ahead."""
    for number in (1, 2):
        part = prepared(run).path.parent / BACKTEST / str(number) / "2-prepared"
        found = Prepared.open(part, prepared(run).dataset)
        assert [one.name for one in processor_of(found).known] == ["promotion"]
        assert sum(found.counts.values()) + found.left_out[LATER] == len(rows())


# ── what is said of them ───────────────────────────────────────────────────────────────────────


def test_figures_are_of_all_parts_together(run: Run) -> None:
    report = run.report
    told = report.details["series"]["parts"]
    assert len(told) == 3
    counts = np.array([one["score"]["n"] for one in told])
    for name, metrics in (
        ("score", report.metrics),
        ("baseline", report.baselines[report.comparison["against"]]),
    ):
        errors = np.array([one[name]["value"] for one in told])
        pooled = metrics["mean_absolute_error"]
        assert pooled.n == counts.sum()
        assert pooled.value == pytest.approx((errors * counts).sum() / counts.sum(), rel=1e-4)
    assert sum(one["windows"] for one in told) == report.details["series"]["windows"]
    ends = [one["to"] for one in told]
    assert ends == sorted(ends)
    assert all(before["to"] < after["from"] for before, after in pairwise(told))
    assert any("figures are of 3 parts of time together" in one for one in report.warnings)


def test_the_page_and_the_card_tell_of_them(run: Run) -> None:
    page = (run.path / "5-report" / "report.html").read_text()
    assert "By part of time" in page
    for one in run.report.details["series"]["parts"]:
        assert f"{one['from']} to {one['to']}" in page
    told = "3 parts of time were told, each by a network with the same settings"
    assert told in page
    assert told in " ".join((run.model / "README.md").read_text().split())


def test_parts_that_lack_a_network_are_told(run: Run, tmp_path: Path) -> None:
    place = shutil.copytree(run.path, tmp_path / "run")
    shutil.rmtree(place / BACKTEST / "2" / "4-model")
    report = silmu.evaluate(place, quiet=True)
    assert len(report.details["series"]["parts"]) == 2
    assert any("1 earlier part of time lacks a network" in one for one in report.warnings)
    # As it says, the run goes on, and is judged again.
    report = silmu.train(place, data=rows(), quiet=True).report
    assert len(report.details["series"]["parts"]) == 3
    assert not any("lacks a network" in one for one in report.warnings)


def test_without_baselines_too(run: Run, tmp_path: Path) -> None:
    from silmu.steps.evaluate import evaluate

    settings = {**run.settings, "baselines": False}
    found = evaluate(run.model, prepared(run), tmp_path / "none", seconds={}, settings=settings)
    assert found.details["series"]["parts"] == []  # that report is in no run
    found = evaluate(run.model, prepared(run), run.path / "other", seconds={}, settings=settings)
    assert [one["baseline"] for one in found.details["series"]["parts"]] == [None] * 3


def test_what_an_older_silmu_prepared_names_no_parts(run: Run) -> None:
    found = prepared(run)
    for name in ("earlier", "until"):
        del found.about[name]
    assert earlier_of(found) == ()
    assert [len(one) for one in whole(found)] == [120, 120]


# ── kills ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def child() -> Iterator[Trainings]:
    import tempfile

    from test_train_series import CHILD as own

    with tempfile.TemporaryDirectory() as folder:
        trainings = Trainings(Path(folder), own)
        yield trainings
        trainings.close()


def test_a_kill_among_the_parts_changes_nothing(child: Trainings) -> None:
    assert child(child.folder / "first", backtest=2).model  # which leaves graphs in the cache
    whole = child(child.folder / "whole", "--trace", backtest=2)
    of_parts = [n for n, one in enumerate(whole.trace, 1) if f"{BACKTEST}/" in one]
    expected = digest(child.folder / "whole" / BACKTEST)
    assert {"1/4-model/model.safetensors", "2/4-model/model.safetensors"} <= {*expected}
    for place in np.linspace(0, len(of_parts) - 1, 6).astype(int).tolist():
        folder = child.folder / f"killed-{place}"
        killed = child(folder, fail=f"*:{of_parts[place]}:kill", backtest=2)
        assert killed.code == -signal.SIGKILL, place
        resumed = child(folder, backtest=2)
        assert resumed.model == whole.model, place
        found = digest(folder / BACKTEST)
        for name in (f"{number}/4-model/{file}" for number in (1, 2) for file in LEARNT):
            assert found[name] == expected[name], (place, name)
        assert list(folder.rglob(".tmp-*")) == [], place


def test_several_processes_leave_them_to_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once the model is there, a process alone goes on with them."""
    other = train(tmp_path / "run", rows(), until="design", backtest=2)
    own = {k: v for k, v in other.settings.items() if k not in ("task", "silmu")}
    task = TimeSeriesForecasting(TimeSeriesForecastingConfig().changed(own), other.path)
    found, design = prepared(other), other.design
    assert design is not None
    monkeypatch.setattr("silmu.tasks._supervised.Supervised.train", lambda *_: run.model)
    monkeypatch.setenv("WORLD_SIZE", "2")
    task.train(design, found)
    assert "backtest: left out among several processes" in capsys.readouterr().err
    assert not (other.path / BACKTEST).exists()
    monkeypatch.undo()
    gone_on = silmu.train(other.path, data=rows(), quiet=True)
    assert len(gone_on.report.details["series"]["parts"]) == 3
