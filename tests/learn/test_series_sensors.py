"""Sensors that tick ten times a second, from rows to forecasts; seconds that tell no time."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("statsmodels")

from series_child import SMALL

import silmu
from silmu import cli
from silmu.errors import UsageError
from silmu.steps.collect import collect, series
from silmu.steps.collect.checks import check

if TYPE_CHECKING:
    from pathlib import Path

START = np.datetime64("2024-01-01T00:00:00", "ms")
SETTINGS = {**SMALL, "network": "dlinear", "hidden_size": None, "num_layers": None}
SETTINGS |= {"known": None, "season": None, "context_length": 50, "max_steps": 6}


def sensor(steps: int = 1200) -> tuple[Any, Any]:
    """Milliseconds from the start, with jitter and gaps, and what was measured: 2.5 s a turn."""
    random = np.random.default_rng(4)
    keep = random.random(steps) > 0.03
    keep[500:530] = False
    (ticks,) = np.nonzero(keep)
    times = 100 * ticks + random.integers(-8, 9, len(ticks))
    times[0] = 0
    return times, 20 + 3 * np.sin(2 * np.pi * ticks / 25) + random.normal(0, 0.2, len(ticks))


def write(path: Path, stamps: Any, values: Any, name: str = "timestamp") -> Path:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([name, "volts"])
        out.writerows(zip(stamps, values.round(4).tolist(), strict=True))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> silmu.run.Run:
    place = tmp_path_factory.mktemp("sensor")
    times, values = sensor()
    data = write(place / "sensor.csv", [str(START + int(one)) for one in times], values)
    settings = {name: value for name, value in SETTINGS.items() if value is not None}
    return silmu.train(
        "time-series-forecasting",
        data=str(data),
        output=place / "run",
        settings=settings,
        quiet=True,
    )


def test_a_sensor_is_learnt_on_its_own_steps(run: silmu.run.Run) -> None:
    found = run.report.to_dict()["details"]["series"]
    assert (found["step"], found["season"]) == ("100 milliseconds", 25)
    assert re.fullmatch(r"2024-01-01T00:01:\d\d\.\d00", found["from"])
    assert found["to"] == "2024-01-01T00:01:59.900"
    assert "seasonal_naive" in run.report.baselines
    assert "the next 4 steps of 100 milliseconds" in (run.model / "README.md").read_text()
    assert found["to"] in (run.path / "5-report" / "report.html").read_text()


def test_forecasts_of_a_file_have_milliseconds(run: silmu.run.Run, tmp_path: Path) -> None:
    times, values = sensor()
    stamps = [str(START + int(one)) for one in times[:300]]
    history = write(tmp_path / "history.csv", stamps, values[:300])
    out = tmp_path / "out.csv"
    asked = ["use", str(run.model), "--data", str(history), "--output", str(out), "-q"]
    assert cli.main(asked) == 0
    with out.open(newline="") as file:
        told = [row["time"] for row in csv.DictReader(file)]
    last = 100 * round(int(times[299]) / 100)
    assert told == [str(START + last + 100 * ahead) for ahead in range(1, 5)]


def test_a_sensor_is_evaluated_on_newer_ticks(run: silmu.run.Run, tmp_path: Path) -> None:
    times, values = sensor()
    later = [str(START + 3_600_000 + int(one)) for one in times[:400]]
    data = write(tmp_path / "newer.csv", later, values[:400])
    report = silmu.run.evaluate(run.model, data=str(data), output=tmp_path / "new", quiet=True)
    assert report.to_dict()["details"]["series"]["from"].startswith("2024-01-01T01:00:")
    assert report["mean_absolute_error"].value < 3


def test_gaps_are_told_to_the_millisecond(tmp_path: Path) -> None:
    times, values = sensor()
    data = write(tmp_path / "sensor.csv", [str(START + int(one)) for one in times], values)
    found = check(collect(data, tmp_path / "dataset", kind="series"), kind="series")
    assert any("from 2024-01-01 00:00:50.000" in one.message for one in found)


@pytest.mark.parametrize("name", ["time", "elapsed (s)"])
def test_seconds_since_nobody_knows_when_become_times_by_the_query_that_is_told(
    name: str, tmp_path: Path
) -> None:
    times, values = sensor()
    data = write(tmp_path / "sensor.csv", [f"{one / 1000:.3f}" for one in times], values, name)
    with pytest.raises(
        UsageError, match=r"numbers from 0\.000 to 119\.\d+ that tell what has"
    ) as raised:
        collect(data, tmp_path / "refused", kind="series", time=name, target="volts")
    hint = str(raised.value.hint)
    assert "--time stamp" in hint
    query = hint.partition('query="')[2].rpartition('"')[0].replace('\\"', '"')
    place = tmp_path / "dataset"
    dataset = collect(data, place, kind="series", query=query, time="stamp", target="volts")
    assert dataset.series is not None
    assert dataset.series["step"] == "100ms"
    (one,) = series.read(dataset).series
    assert len(one) == 1200
    assert one.observed.sum() == len(values)


def test_rows_in_their_order_say_what_became_of_seconds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    times, values = sensor()
    data = write(tmp_path / "sensor.csv", [f"{one / 1000:.3f}" for one in times], values, "time")
    dataset = collect(data, tmp_path / "dataset", kind="series")
    assert dataset.series is not None
    assert (dataset.roles.time, dataset.series["step"]) == (None, "1")
    assert "`time` holds numbers from 0.000 to 119." in caplog.text
    assert "make times of them" in caplog.text
