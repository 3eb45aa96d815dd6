"""Series of sensors: steps below a second, however times are written, and forecasts of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest

import series_models
from silmu.pipelines import pipeline
from silmu.runtime.series.calendar import parts, written
from silmu.runtime.series.frame import Layout
from silmu.runtime.series.reading import read_series
from silmu.runtime.series.steps import Step

LAYOUT = Layout(time="stamp", target=("volts",))
START = np.datetime64("2024-03-09T23:59:58.500", "ms")
"""Before midnight, which a sensor does not notice."""


def sensor(hertz: int, steps: int = 600, jitter: float = 0.1) -> tuple[Any, Any, Any]:
    """Milliseconds since 1970 of what a sensor measured, their steps and values.

    One tick in thirty is lost, and 40 ticks at once; each comes up to a share of a step too late or
    too early.
    """
    random = np.random.default_rng(hertz)
    keep = random.random(steps) > 1 / 30
    keep[200:240] = False
    keep[[0, -1]] = True
    (ticks,) = np.nonzero(keep)
    apart = 1000 // hertz
    late = np.trunc(random.uniform(-jitter, jitter, steps) * apart).astype(np.int64)
    times = START.astype(np.int64) + apart * ticks + late[ticks]
    return times, ticks, np.sin(ticks / 5) + random.normal(0, 0.1, len(ticks))


def as_written(times: Any) -> dict[str, Any]:
    stamps = times.astype("datetime64[ms]")
    texts = [str(one) for one in stamps]
    return {
        "text": texts,
        "text, a blank between": [one.replace("T", " ") for one in texts],
        "text, a comma": [one.replace(".", ",") for one in texts],
        "text, microseconds": [f"{one}000" for one in texts],
        "datetimes": [datetime.fromisoformat(one) for one in texts],
        "datetime64[ms]": stamps,
        "datetime64[ns]": stamps.astype("datetime64[ns]"),
        "milliseconds since 1970": times,
        "seconds since 1970": times / 1000,
        "seconds since 1970 as text": [f"{one / 1000:.3f}" for one in times.tolist()],
    }


@pytest.mark.parametrize("form", as_written(sensor(10)[0]))
@pytest.mark.parametrize("hertz", [10, 50, 1000])
def test_times_are_read_however_they_are_written(form: str, hertz: int) -> None:
    times, ticks, values = sensor(hertz)
    given = {"stamp": as_written(times)[form], "volts": values}
    found = read_series(given, LAYOUT)
    assert found.step.to_text() == {10: "100ms", 50: "20ms", 1000: "1ms"}[hertz]
    (one,) = found.series
    assert np.flatnonzero(one.observed).tolist() == ticks.tolist()
    assert one.values[ticks].tolist() == values.tolist()
    assert (found.found.merged, found.found.irregular) == (0, 0.0)
    first = written(found.step, None, np.array([one.first, one.first + 1]))
    apart = 1000 // hertz
    assert first == [str(START + i * apart) for i in (0, 1)]


def test_sensors_that_tick_between_each_other_share_a_grid() -> None:
    times, ticks, values = sensor(10, jitter=0)
    given = {
        "stamp": [str(one) for one in np.concatenate([times, times + 30]).astype("datetime64[ms]")],
        "volts": np.concatenate([values, values + 1]),
        "sensor": ["left"] * len(times) + ["right"] * len(times),
    }
    found = read_series(given, Layout(time="stamp", group=("sensor",), target=("volts",)))
    assert found.step.words == "100 milliseconds"
    left, right = found.series
    assert np.flatnonzero(left.observed).tolist() == ticks.tolist()
    assert (right.values - left.values)[ticks] == pytest.approx(1)


def test_a_longer_step_puts_ticks_together() -> None:
    times, _, values = sensor(10, jitter=0)
    given = {"stamp": times.astype("datetime64[ms]"), "volts": values}
    found = read_series(given, Layout(time="stamp", target=("volts",), step=Step.parse("500ms")))
    (one,) = found.series
    assert one.values[0] == pytest.approx(values[:5].mean())
    assert found.found.merged > 300


def test_clocks_that_jitter_around_seconds_keep_seconds() -> None:
    random = np.random.default_rng(1)
    times = START.astype(np.int64) + 1000 * np.arange(300) + random.integers(-90, 90, 300)
    given = {"stamp": times.astype("datetime64[ms]"), "volts": np.arange(300.0)}
    assert read_series(given, LAYOUT).step.unit == "second"


def test_no_part_of_the_calendar_is_below_a_minute() -> None:
    for name in ("1ms", "100ms", "150ms"):
        step = Step.parse(name)
        assert parts(step, 600) == ()
        assert parts(step)[0] == "minute"
        assert step.seasons == ()


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    times, _, values = sensor(10)
    own = series_models.fitted({"stamp": times.astype("datetime64[ms]"), "volts": values}, LAYOUT)
    assert own.step == Step("millisecond", 100, 0)
    path = series_models.write(tmp_path_factory.mktemp("sensor") / "model", own)
    return pipeline("time-series-forecasting", model=path)


@pytest.mark.parametrize("form", [one for one in as_written(sensor(10)[0]) if "since" not in one])
def test_forecasts_have_milliseconds(answer: Any, form: str) -> None:
    times, _, values = sensor(10)
    told = answer({"stamp": as_written(times)[form], "volts": values})
    assert told["time"] == [str(START + 100 * (600 + i)) for i in range(3)]
    assert told["mean"] == pytest.approx([values[-1]] * 3, abs=1e-5)


def test_a_history_of_few_ticks_stays_on_the_grid(answer: Any) -> None:
    stamps = ["2024-05-01T10:00:00.098", "2024-05-01T10:00:00.203", "2024-05-01T10:00:00.499"]
    told = answer({"stamp": stamps, "volts": [1.0, 2.0, 3.0]})
    assert told["time"][0] == "2024-05-01T10:00:00.600"


def test_a_model_is_opened_as_it_was_written(answer: Any) -> None:
    again = pipeline("time-series-forecasting", model=str(answer.model.folder.path))
    assert again.processor.step.to_text() == "100ms"
    given = [1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0]
    assert again(given)["mean"] == answer(given)["mean"]
