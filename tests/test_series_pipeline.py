"""`pipeline("time-series-forecasting")`: histories of every form, and what is told of them."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import series_models
import silmu
from silmu.errors import (
    InputError,
    InvalidModelError,
    MissingKeyError,
    UsageError,
    WrongTypeError,
)
from silmu.runtime.series.frame import Layout
from silmu.runtime.series.processor import SeriesProcessor
from silmu.runtime.series.steps import Step
from test_series_windows import LAYOUT, LONG, long_rows, rows
from test_tables import ArrowTable, Frame, Series

SHARES = [f"0.{i}" for i in range(1, 10)]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Says the last value, of one series without covariates."""
    folder = tmp_path_factory.mktemp("series") / "one"
    return silmu.pipeline(model=series_models.write(folder, series_models.fitted(rows(), LAYOUT)))


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Reads all kinds of covariates, of two series."""
    folder = tmp_path_factory.mktemp("series") / "shops"
    own = series_models.fitted(long_rows(), LONG)
    return silmu.pipeline("time-series-forecasting", model=series_models.write(folder, own, "rnn"))


def close(found: Any, expected: Any) -> bool:
    """Equal but for the last bits of numbers."""
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(close(found[k], expected[k]) for k in found)
    if isinstance(expected, list) and expected and isinstance(expected[0], float):
        return bool(np.allclose(found, expected, rtol=1e-5))
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(close, found, expected))
    return found == expected


def by_rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


# ── what is told ───────────────────────────────────────────────────────────────────────────────


def test_the_steps_after_a_history(one: Any) -> None:
    assert (one.task, one.processor.prediction_length) == ("time-series-forecasting", 3)
    found = one(rows(20))
    assert list(found) == ["time", "mean", "quantiles"]
    assert found["time"] == ["2023-01-22", "2023-01-23", "2023-01-24"]
    assert list(found["quantiles"]) == SHARES
    assert np.allclose(found["mean"], 15)
    assert np.allclose(found["quantiles"]["0.5"], 15)
    window = np.array(rows(20)["sold"][-6:])
    usual = one.processor.scale[""]
    scale = np.sqrt((((window - window.mean()) ** 2).sum() + usual**2) / 7)
    assert np.allclose(found["quantiles"]["0.9"], 15 + scale * 0.4 * np.arange(1, 4))
    assert all(isinstance(value, float) for value in found["mean"])


def test_numbers_alone(one: Any, caplog: pytest.LogCaptureFixture) -> None:
    expected = one([10.0, 11.0, 14.5])
    assert expected["time"] == [1, 2, 3]
    assert np.allclose(expected["mean"], 14.5)
    for given in (
        np.array([10.0, 11.0, 14.5]),
        (10, 11, 14.5),
        ["10", "11", "14.5"],
        Series([10.0, 11.0, 14.5]),
    ):
        assert close(one(given), expected)
    told = [record.message for record in caplog.records if "no times" in record.message]
    assert len(told) <= 1


def test_that_numbers_have_no_calendar_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = silmu.pipeline(
        model=series_models.write(tmp_path / "m", series_models.fitted(rows(), LAYOUT), "rnn")
    )
    with caplog.at_level(logging.WARNING):
        first = pipe([1.0, 2.0])
        pipe([1.0, 2.0])
    assert caplog.text.count("a history has no times: the model, which was told the calendar") == 1
    dated = pipe({"day": ["2023-01-02", "2023-01-03"], "sold": [1.0, 2.0]})
    assert not np.allclose(first["mean"], dated["mean"], rtol=1e-3)


def test_every_form_of_rows_is_the_same_history(one: Any) -> None:
    columns = rows(12)
    expected = one(columns)
    frame = Frame(columns)
    for given in (
        by_rows(columns),
        tuple(by_rows(columns)),
        frame,
        ArrowTable(columns),
        {name: np.array(cells) for name, cells in columns.items()},
        {**columns, "other": ["x"] * 12},
        {"day": np.array(columns["day"], "datetime64[D]"), "sold": columns["sold"]},
        by_rows(columns)[::-1],
    ):
        assert close(one(given), expected)
    assert close(one([by_rows(columns), frame, columns]), [expected] * 3)


def test_several_histories_are_told_as_each_alone(one: Any, shops: Any) -> None:
    histories = [rows(9), rows(30), [3.0, 4.0], rows(1)]
    together = one(histories)
    assert [len(answer["time"]) for answer in together] == [3] * 4
    for history, answer in zip(histories, together, strict=True):
        assert close(one(history), answer)
        assert close(one([history], batch_size=1), [answer])
    assert close(one(np.array([[1.0, 2.0], [3.0, 5.0]])), [one([1.0, 2.0]), one([3.0, 5.0])])
    assert close(list(one(iter(histories))), together)
    assert close(shops([long_rows(), long_rows()]), [shops(long_rows())] * 2)


def test_several_series_of_a_table(shops: Any) -> None:
    found = shops(long_rows())
    assert [answer["series"] for answer in found] == ["A", "B"]
    assert list(found[0]) == ["series", "time", "mean", "quantiles"]
    assert found[0]["time"] == ["2023-01-27", "2023-01-28", "2023-01-29"]
    for answer in found:
        quantiles = np.array([answer["quantiles"][share] for share in SHARES])
        assert (np.diff(quantiles, axis=0) >= 0).all()
        assert np.allclose(answer["mean"], quantiles.mean(axis=0))
    alone = {name: cells[:30] for name, cells in long_rows().items()}
    assert close(shops(alone), {k: v for k, v in found[0].items() if k != "series"})


def test_history_before_the_context_changes_nothing(one: Any) -> None:
    short, long = rows(40), rows(40)
    short = {name: cells[-6:] for name, cells in short.items()}
    assert close(one(short), one(long))


def test_gaps_are_filled(one: Any) -> None:
    columns = rows(20)
    columns["sold"][14] = None
    found = one(columns)
    assert np.allclose(found["mean"], 15)
    without = {name: cells[:14] + cells[15:] for name, cells in columns.items()}
    assert close(one(without), found)


# ── covariates ─────────────────────────────────────────────────────────────────────────────────


def halves() -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The rows with targets, and what is known of the five days after them."""
    columns = long_rows()
    past = [i for i, value in enumerate(columns["sold"]) if value is not None]
    ahead = [i for i in range(60) if i not in past]
    history = {name: [cells[i] for i in past] for name, cells in columns.items()}
    future = {name: [columns[name][i] for i in ahead] for name in ("day", "shop", "holiday")}
    return history, future


def test_what_is_known_ahead_comes_with_the_history_or_as_future(shops: Any) -> None:
    expected = shops(long_rows())
    history, future = halves()
    for given in (future, by_rows(future), Frame(future)):
        assert close(shops(history, future=given), expected)
    future["holiday"] = ["yes"] * 10
    assert not close(shops(history, future=future), expected)


def test_what_is_known_ahead_is_needed(shops: Any) -> None:
    history, future = halves()
    with pytest.raises(InputError, match="`holiday` of `A` is not given for 2023-01-27") as told:
        shops(history)
    assert "future=" in (told.value.hint or "")
    short = {name: cells[:2] + cells[5:] for name, cells in future.items()}
    with pytest.raises(InputError, match="`holiday` of `A` is not given for 2023-01-29"):
        shops(history, future=short)
    assert len(shops(history, future=short, prediction_length=2)[0]["mean"]) == 2
    with pytest.raises(InputError, match="future has no `holiday`; it has `day`, `shop`"):
        shops(history, future={"day": future["day"], "shop": future["shop"]})


def test_future_where_nothing_is_known_ahead(one: Any) -> None:
    with pytest.raises(UsageError, match="future is given, and the model reads nothing that is"):
        one(rows(9), future=rows(3))


def test_numbers_alone_where_covariates_are_read(shops: Any) -> None:
    expected = r"numbers alone has no `holiday`, `price`, `kind`, which the model was trained on"
    with pytest.raises(InputError, match=expected) as told:
        shops([1.0, 2.0])
    assert told.value.hint == (
        'give columns: {"day": [...], "sold": [...], "holiday": [...], "price": [...], '
        '"kind": [...]}'
    )
    with pytest.raises(InputError, match="future is given with a history of numbers alone"):
        shops([1.0, 2.0], future=halves()[1])


def test_a_series_that_training_did_not_know(shops: Any) -> None:
    columns = long_rows()
    known = {name: cells[30:] for name, cells in columns.items()}
    unknown = {**known, "shop": ["C"] * 30}
    nameless = {name: cells for name, cells in known.items() if name != "shop"}
    assert close(shops(unknown), shops(nameless))
    assert not close(shops(unknown)["mean"], shops(known)["mean"])


def test_series_that_training_did_not_know_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = series_models.fitted(long_rows(), LONG)
    pipe = silmu.pipeline(model=series_models.write(tmp_path / "model", own, "rnn"))
    known = {name: cells[30:] for name, cells in long_rows().items()}
    of_others = "none of the 2 series that the model was trained on (`A`, `B`), and forecast as"
    with caplog.at_level(logging.WARNING):
        pipe(known)
        pipe({**known, "shop": ["C"] * 30})
        pipe({**known, "shop": ["C"] * 30})
        pipe({name: cells for name, cells in known.items() if name != "shop"})
        pipe({**long_rows(), "shop": ["D"] * 30 + ["E"] * 30})
    assert [record.getMessage() for record in caplog.records] == [
        f"`C` is {of_others} a new one",
        f"the history, which names no series, is {of_others} a new one",
        f"`D`, `E` are {of_others} new ones",
    ]


def test_one_series_alone_may_have_any_name(one: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        one({**rows(), "shop": ["C"] * len(next(iter(rows().values())))})
    assert not caplog.records


def test_levels_that_training_did_not_know(shops: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        shops({**long_rows(), "kind": ["huge"] * 30 + ["small"] * 30})
    [told] = [record.getMessage() for record in caplog.records]
    assert told == (
        "the covariate `kind` is 'huge' in some steps, which the model does not know and takes for "
        "none; it knows 'large', 'small'"
    )


# ── other horizons ─────────────────────────────────────────────────────────────────────────────


def test_fewer_steps_are_the_first_of_all(one: Any, shops: Any) -> None:
    whole, some = one(rows(20)), one(rows(20), prediction_length=2)
    assert some["time"] == whole["time"][:2]
    assert close(some["quantiles"], {k: v[:2] for k, v in whole["quantiles"].items()})
    first = shops(long_rows(), prediction_length=1)
    assert close([a["mean"] for a in first], [a["mean"][:1] for a in shops(long_rows())])


def test_more_steps_go_on_from_the_median(one: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = one(rows(20), prediction_length=8)
    assert "prediction_length 8: the model was trained for 3" in caplog.text
    assert found["time"][-1] == "2023-01-29"
    whole = one(rows(20))
    assert close({k: v[:3] for k, v in found["quantiles"].items()}, whole["quantiles"])
    assert np.allclose(found["mean"], 15)
    # Those of the model grow with the time: 0.1 deviations a step.
    upper = np.array(found["quantiles"]["0.9"]) - 15
    assert np.allclose(upper, upper[0] * np.arange(1, 9))


def test_more_steps_need_what_is_known_of_them(shops: Any) -> None:
    assert len(shops(long_rows(), prediction_length=5)[1]["mean"]) == 5
    with pytest.raises(InputError, match="`holiday` of `A` is not given for 2023-02-01"):
        shops(long_rows(), prediction_length=6)


# ── times ──────────────────────────────────────────────────────────────────────────────────────


def test_times_have_the_offset_of_their_zone(tmp_path: Path) -> None:
    hours = np.datetime64("2024-03-09T00") + np.arange(48)
    columns = {"at": [f"{hour}:00Z" for hour in hours.astype(str)], "load": list(range(48))}
    layout = Layout(time="at", target=("load",), zone="America/New_York")
    pipe = silmu.pipeline(
        model=series_models.write(tmp_path / "m", series_models.fitted(columns, layout))
    )
    cut = {name: cells[:31] for name, cells in columns.items()}
    # In the night of 10 March 2024, clocks in New York went from 2 to 3.
    assert pipe(cut)["time"] == [
        "2024-03-10T03:00:00-04:00",
        "2024-03-10T04:00:00-04:00",
        "2024-03-10T05:00:00-04:00",
    ]


ODD_STEPS = {
    "36 hours": timedelta(hours=36),
    "10 days": timedelta(days=10),
    "4 weeks": timedelta(weeks=4),
    "200 seconds": timedelta(minutes=3, seconds=20),
    "45 days": timedelta(days=45),
    "7 minutes": timedelta(minutes=7),
}


@pytest.mark.parametrize("words", ODD_STEPS)
@pytest.mark.parametrize("asked", [False, True])
def test_odd_steps_with_gaps_are_told_ahead_at_their_stamps(
    words: str, asked: bool, tmp_path: Path
) -> None:
    first, step = datetime(2024, 1, 5, 7), ODD_STEPS[words]
    random = np.random.default_rng(8)
    there = [i for i in range(150) if i in (0, 149) or random.random() > 0.3]
    columns = {"at": [str(first + i * step) for i in there], "load": [float(i) for i in there]}
    count, unit = words.split()
    named = Step.parse(
        count + {"hours": "h", "days": "D", "weeks": "W", "seconds": "s"}.get(unit, "min")
    )
    layout = Layout(time="at", target=("load",), step=named if asked else None)
    own = series_models.fitted(columns, layout)
    pipe = silmu.pipeline(model=series_models.write(tmp_path / "m", own))
    assert own.step.words == words
    (series,) = own.series(columns)
    assert len(series) == 150
    assert np.flatnonzero(series.observed).tolist() == there
    # Histories of few rows lie where those of the training did.
    for rows_of_it in (slice(None), slice(-9, None), slice(-2, None)):
        told = pipe({name: cells[rows_of_it] for name, cells in columns.items()})["time"]
        expected = [first + i * step for i in (150, 151, 152)]
        is_timed = unit in ("hours", "minutes", "seconds")
        assert told == [(one if is_timed else one.date()).isoformat() for one in expected]


def test_rows_without_times(tmp_path: Path) -> None:
    columns = {"sold": [float(i % 5) for i in range(30)]}
    own = series_models.fitted(columns, Layout(target=("sold",)))
    pipe = silmu.pipeline(model=series_models.write(tmp_path / "m", own))
    expected = pipe([1.0, 2.0, 3.0])
    assert expected["time"] == [1, 2, 3]
    assert close(pipe({"sold": [1.0, 2.0, 3.0]}), expected)
    with pytest.raises(UsageError, match="time is given; the model was trained on rows without"):
        pipe([1.0], time="day")


def test_rows_of_totals_and_notes_are_left_out(one: Any, caplog: pytest.LogCaptureFixture) -> None:
    columns = rows(20)
    time, target = (next(name for name in columns if name == own) for own in _names(one))
    noted = {
        name: [*cells[:7], None, *cells[7:], "합계" if name == time else 999.0]
        for name, cells in columns.items()
    }
    with caplog.at_level(logging.WARNING):
        assert close(one(noted), one(columns))
    assert [record.getMessage() for record in caplog.records] == [
        f"2 rows are left out, which have no time in `{time}`, such as `합계`"
    ]
    odd = {**columns, time: [*columns[time][:-1], "2023-13-45"]}
    with pytest.raises(InputError, match=r"row 20 has .* `2023-13-45`, which is no time"):
        one(odd)
    lacking = {**columns, time: [*columns[time][:-1], None]}
    assert lacking[target][-1] is not None
    with pytest.raises(InputError, match="row 20 has no time"):
        one(lacking)


def _names(pipe: Any) -> tuple[str, str]:
    layout = pipe.processor.layout
    return layout.time, layout.target[0]


# ── other names ────────────────────────────────────────────────────────────────────────────────


def test_columns_may_have_other_names(shops: Any, one: Any) -> None:
    columns = long_rows()
    for old, new in (("day", "date"), ("shop", "store"), ("sold", "units")):
        columns[new] = columns.pop(old)
    found = shops(columns, time="date", group="store", target="units")
    assert close(found, shops(long_rows()))
    with pytest.raises(MissingKeyError, match="there is no `day`, `sold`; there are"):
        shops(columns)
    with pytest.raises(UsageError, match="target names 2 columns; in training there were 1: sold"):
        one(rows(3), target="a, b")


# ── what is refused ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "the history is empty"),
        ({}, "the history is empty"),
        ({"day": [], "sold": []}, "the history is empty"),
        (np.array([]), "the history is empty"),
        ("prices.csv", "the history is 'prices.csv'"),
        (5, "the history is 5"),
        (object(), "the history is a object"),
        ([1.0, {"sold": 3}], "the history has numbers, and a dict among them"),
        ([{"sold": 3, "day": "2024-01-01"}, 4], "row 2 of the history is 4"),
        ({"day": ["2024-01-01"], "sold": 3}, "`day` is given as a list, and `sold` is not"),
        ({"day": ["2024-01-01"], "sold": [3, 4]}, "different lengths: `day` 1, `sold` 2"),
        ({"sold": [1, 2]}, "there is no `day`; there are `sold`"),
        ({"day": ["2024-01-01"]}, "there is no `sold`; there are `day`"),
        ([None, None], "no value|nothing|has no"),
        ([1.0, float("inf")], "inf"),
        (["many"], "many"),
        ({"day": ["soon"], "sold": [1]}, "soon"),
    ],
)
def test_what_is_no_history(one: Any, given: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        one(given)


def test_which_of_several_is_wrong(one: Any) -> None:
    with pytest.raises(InputError, match="the history is empty") as told:
        one([[1.0, 2.0], []])
    assert told.value.__notes__ == ["history 2 of 2"]


def test_parameters_that_are_refused(one: Any) -> None:
    for length in (0, -1, 301, 2.0, "3", True):
        with pytest.raises(UsageError, match="; it must be a whole number from 1 to 300"):
            one([1.0], prediction_length=length)
    with pytest.raises(WrongTypeError, match="unexpected keyword horizon; time-series-forecasting"):
        one([1.0], horizon=3)
    with pytest.raises(WrongTypeError, match="nothing was given to answer"):
        one()


@pytest.mark.parametrize("odd", [{"num_series": 3}, {"num_known": 0}])
def test_a_processor_of_another_network(tmp_path: Path, odd: dict[str, Any]) -> None:
    own = series_models.fitted(rows(), LAYOUT)
    folder = series_models.write(tmp_path / "m", own, **odd)
    with pytest.raises(InvalidModelError, match="do not belong together"):
        silmu.pipeline(model=folder)


def test_a_model_without_a_processor(tmp_path: Path) -> None:
    folder = series_models.write(tmp_path / "m", series_models.fitted(rows(), LAYOUT))
    (tmp_path / "m" / "processor.json").unlink()
    with pytest.raises(InvalidModelError, match="so it is not known how its series were"):
        silmu.pipeline(model=folder)


def test_windows_as_evaluation_asks_for_them(one: Any) -> None:
    own = one.processor
    [series] = own.series(rows())
    tracks = [own.tracks(series, 0)]
    ends = np.arange(1, 38)
    found = one.forecast(tracks, np.zeros(37, np.int64), ends)
    assert found.mean.shape == (37, 3)
    assert found.quantiles.shape == (37, 3, 9)
    assert np.allclose(found.mean, series.values[ends - 1][:, None])
    few = one.forecast(tracks, np.zeros(37, np.int64), ends, at_once=5)
    assert np.allclose(few.quantiles, found.quantiles)
    none = one.forecast(tracks, np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert none.quantiles.shape == (0, 3, 9)


# ── networks of transformers ───────────────────────────────────────────────────────────────────


def of_transformers(folder: Path, name: str, own: SeriesProcessor) -> Any:
    """A tiny model of transformers with a processor beside it."""
    shutil.copytree(Path(__file__).parent / "models" / name, folder)
    (folder / "processor.json").write_bytes(own.to_bytes())
    return silmu.pipeline(model=str(folder))


def test_patches(tmp_path: Path) -> None:
    own = series_models.fitted(
        rows(), LAYOUT, context_length=24, prediction_length=5, head="student_t"
    )
    pipe = of_transformers(tmp_path / "m", "patchtst-mean", own)
    assert pipe.task == "time-series-forecasting"
    found = pipe(rows(30))
    [series] = own.series(rows(30))
    windows = own.arrays([own.tracks(series, 5)], np.array([0]), np.array([30]))
    freedom, loc, scale = np.moveaxis(pipe.model(**windows.feeds)["parameters"][0], -1, 0)
    assert (freedom > 2).all()
    assert (scale > 0).all()
    assert np.allclose(found["mean"], own.outward(windows, loc[None])[0], rtol=1e-5)
    assert np.allclose(found["quantiles"]["0.5"], found["mean"])
    above, below = (np.array(found["quantiles"][share]) for share in ("0.8", "0.2"))
    assert np.allclose(above - found["mean"], found["mean"] - below)
    assert (above > below).all()


def test_trajectories(tmp_path: Path) -> None:
    columns = rows(60, holiday=[float(i % 7 == 6) for i in range(60)])
    columns["sold"][50:] = [None] * 10
    layout = Layout(time="day", target=("sold",), input=("holiday",))
    own = series_models.fitted(columns, layout, context_length=19, prediction_length=5)
    own = replace(own, calendar=())
    assert [one.name for one in own.known] == ["holiday"]
    pipe = of_transformers(tmp_path / "m", "series-transformer-plain", own)
    found = pipe(columns)
    quantiles = np.array([found["quantiles"][share] for share in SHARES])
    assert quantiles.shape == (9, 5)
    assert (np.diff(quantiles, axis=0) > 0).all()
    later = {name: cells[7:] for name, cells in columns.items()}
    together = pipe([later, columns, later])
    assert close(together, [pipe(later), found, pipe(later)])
    stretched = own.with_outcome([2.0] * 9)
    wide = of_transformers(tmp_path / "wide", "series-transformer-plain", stretched)(columns)
    away = np.array(wide["quantiles"]["0.9"]) - wide["quantiles"]["0.5"]
    assert np.allclose(away, 2 * (quantiles[8] - quantiles[4]), rtol=1e-4)


MINUTES = [1_700_000_040 + 60 * n for n in range(33)]
NUMBERED: dict[str, list[Any]] = {
    "years": [1980 + n for n in range(33)],
    "months": [100 * (2020 + n // 12) + n % 12 + 1 for n in range(33)],
    "seconds": MINUTES,
    "milliseconds": [1000 * one for one in MINUTES],
    "nanoseconds": [10**9 * one for one in MINUTES],
    "days": [str(np.datetime64("2024-01-01") + n) for n in range(33)],
    "days of digits": [20240101 + n for n in range(31)],
}


@pytest.mark.parametrize("name", NUMBERED)
@pytest.mark.parametrize("form", [None, str])
def test_times_are_told_as_the_training_had_them(name: str, form: Any, tmp_path: Path) -> None:
    times = NUMBERED[name]
    given = {"when": times[:30] if form is None else [str(one) for one in times[:30]]}
    given["sold"] = [float(10 + n % 7) for n in range(30)]
    layout = Layout(time="when", target=("sold",))
    own = series_models.fitted(given, layout)
    pipe = silmu.pipeline(model=series_models.write(tmp_path / "model", own))
    found = pipe(given)["time"]
    if name == "days of digits":
        assert found == ["2024-01-31", "2024-02-01", "2024-02-02"]
    else:
        assert found == times[30:]
