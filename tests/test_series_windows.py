"""Series as a network reads them: calendars, covariates, windows, and what comes back."""

from __future__ import annotations

import json
from dataclasses import replace
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
    UnsupportedModelError,
    UsageError,
)
from silmu.runtime.folder import Folder
from silmu.runtime.series import student
from silmu.runtime.series.calendar import calendar, parts, width, written
from silmu.runtime.series.covariates import FARTHEST, Category, Number, fit
from silmu.runtime.series.frame import Layout
from silmu.runtime.series.processor import DECILES, SeriesProcessor
from silmu.runtime.series.reading import read_series
from silmu.runtime.series.steps import Step
from silmu.runtime.series.windows import Tracks

DAYS = np.datetime64("2023-01-02") + np.arange(1200)
LAYOUT = Layout(time="day", target=("sold",))


def rows(count: int = 40, **more: Any) -> dict[str, list[Any]]:
    """Days, with what was sold on each of them."""
    sold = [float(10 + i % 7) for i in range(count)]
    columns = {"day": [str(day) for day in DAYS[:count]], "sold": sold}
    return columns | {name: list(cells) for name, cells in more.items()}


# ── the calendar ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("5min", ("hour", "day", "week", "month", "year")),
        ("1h", ("day", "week", "month", "year")),
        ("10s", ("minute", "hour", "day", "week", "month", "year")),
        ("D", ("week", "month", "year")),
        ("B", ("week", "month", "year")),
        ("W", ("year",)),
        ("M", ("year",)),
        ("Q", ("year",)),
        ("Y", ()),
        ("1", ()),
    ],
)
def test_what_of_the_calendar_matters(step: str, expected: tuple[str, ...]) -> None:
    assert parts(Step.parse(step)) == expected


def test_parts_that_were_hardly_seen_are_not_told() -> None:
    day = Step.parse("D")
    assert parts(day, 13) == ()
    assert parts(day, 14) == ("week",)
    assert parts(day, 729) == ("week", "month")
    assert parts(day, 731) == ("week", "month", "year")


def test_weekdays_return_and_differ() -> None:
    step = Step.parse("D")
    index = step.index(DAYS[:28].astype("datetime64[s]").astype(np.float64))
    found = calendar(step, None, index, ("week",))
    assert found.shape == (28, width(["week"]))
    assert np.allclose(found[:7], found[21:])
    apart = np.abs(found[:7, None] - found[None, :7]).sum(axis=-1)
    assert apart[~np.eye(7, dtype=bool)].min() > 0.5
    # One linear map of them tells weekends from other days.
    weekend = np.isin(np.arange(28) % 7, (5, 6)).astype(float)
    told = np.column_stack([found, np.ones(28)])
    assert np.allclose(told @ np.linalg.lstsq(told, weekend, rcond=None)[0], weekend, atol=1e-5)


def test_the_clock_of_the_zone_counts() -> None:
    step = Step.parse("1h")
    index = step.index(np.array([0.0]))  # 9 in the morning of 1 January 1970, in Seoul
    nine = step.index(np.array([9 * 3600.0]))
    found = calendar(step, "Asia/Seoul", index, ("day",))
    assert np.allclose(found, calendar(step, None, nine, ("day",)))
    assert written(step, "Asia/Seoul", index) == ["1970-01-01T09:00:00+09:00"]
    assert written(step, None, index) == ["1970-01-01T00:00:00"]


def test_times_of_an_autumn_night_have_their_offsets() -> None:
    step = Step.parse("1h")
    start = np.datetime64("2024-11-03T05:00", "s").astype(np.float64)
    index = step.index(start + 3600 * np.arange(3))
    assert written(step, "America/New_York", index) == [
        "2024-11-03T01:00:00-04:00",
        "2024-11-03T01:00:00-05:00",
        "2024-11-03T02:00:00-05:00",
    ]


@pytest.mark.parametrize("step", ["D", "W", "M", "ME", "Q", "Y"])
def test_long_steps_are_days(step: str) -> None:
    kind = Step.parse(step)
    [text] = written(kind, None, kind.index(np.array([86_400.0 * 20_000])))
    assert np.datetime64(text).dtype == np.dtype("datetime64[D]")


def test_a_month_is_the_same_whichever_day_stands_for_it() -> None:
    first, last = Step.parse("M"), Step.parse("ME")
    index = first.index(np.array([0.0, 86_400 * 200.0]))
    assert np.array_equal(calendar(first, None, index), calendar(last, None, index))


# ── covariates ─────────────────────────────────────────────────────────────────────────────────


def test_numbers_hold_until_the_next_and_are_told_apart_from_none() -> None:
    found = fit("rain", [np.array([np.nan, 1.0, np.nan, 3.0])])
    assert isinstance(found, Number)
    assert found == Number("rain", 2.0, 1.0, indicator=True)
    told = found.read(np.array([np.nan, 1.0, np.nan, 1e9]))
    assert told.tolist() == [[0, 1], [-1, 0], [-1, 1], [FARTHEST, 0]]


def test_levels_beyond_the_most_and_unknown_ones_are_none() -> None:
    cells = np.array(["a"] * 3 + ["b"] * 2 + [f"rare {i:02}" for i in range(30)], object)
    found = fit("kind", [cells])
    assert isinstance(found, Category)
    assert (len(found.levels), found.levels[:2]) == (16, ("a", "b"))
    told = found.read(np.array(["a", "never seen", None, "b"], object))
    assert told.sum(axis=1).tolist() == [1, 0, 0, 1]


def test_what_never_changes_tells_nothing() -> None:
    assert fit("one", [np.ones(5), np.ones(3)]) is None
    assert fit("one", [np.array(["x", "x"], object)]) is None
    assert fit("none", [np.full(3, np.nan)]) is None


def test_texts_where_training_had_numbers() -> None:
    found = fit("rain", [np.arange(4.0)])
    assert found is not None
    assert found.read(np.array(["1,5", "2"], object)[1:]).shape == (1, 1)
    with pytest.raises(InputError, match="the covariate `rain` is 'wet' in a step"):
        found.read(np.array(["wet"], object))


# ── windows ────────────────────────────────────────────────────────────────────────────────────


def random_tracks(random: np.random.Generator, gaps: float = 0.2) -> list[Tracks]:
    found: list[Tracks] = []
    for i in range(4):
        steps = int(random.integers(5, 60))
        observed = random.random(steps) >= gaps
        observed[[0, -1]] = True
        values = random.normal(size=steps).cumsum()
        there = np.flatnonzero(observed)
        values = np.interp(np.arange(steps), there, values[there])
        features = random.normal(size=(steps + 3, 5)).astype(np.float32)
        static = random.normal(size=2).astype(np.float32)
        found.append(Tracks(values, observed, features, static, np.array([i + 1]), 0.5))
    return found


def processor(**settings: Any) -> SeriesProcessor:
    return replace(series_models.fitted(rows(), LAYOUT), calendar=(), **settings)


def with_known(own: SeriesProcessor, known: int) -> SeriesProcessor:
    several = tuple(Number(f"k{i}", 0.0, 1.0, False) for i in range(known))
    layout = replace(own.layout, input=tuple(one.name for one in several))
    return replace(own, known=several, layout=layout)


@pytest.mark.parametrize("normalise", ["standard", "mean", "none"])
def test_windows_are_what_a_plain_reading_gives(normalise: str) -> None:
    random = np.random.default_rng(3)
    tracks = random_tracks(random)
    own = with_known(processor(normalise=normalise, fill="linear"), 3)
    which = random.integers(0, len(tracks), 60)
    ends = np.array([random.integers(1, len(tracks[i]) + 1) for i in which])
    found = own.arrays(tracks, which, ends)
    for row, (i, end) in enumerate(zip(which.tolist(), ends.tolist(), strict=True)):
        one, start = tracks[i], max(0, end - own.context_length)
        last = int(np.flatnonzero(one.observed[:end])[-1])
        values, seen = one.values[start:end].copy(), one.observed[start:end]
        values[max(last - start, 0) :] = one.values[last]
        there = values[seen]
        loc, scale = 0.0, 1.0
        if normalise == "standard":
            loc = there.mean() if len(there) else 0.0
            scale = np.sqrt((((there - loc) ** 2).sum() + 0.5**2) / (len(there) + 1))
        elif normalise == "mean":
            scale = (np.abs(there).sum() + 0.5) / (len(there) + 1)
        expected = np.zeros(own.context_length)
        expected[own.context_length - (end - start) :] = (values - loc) / scale
        assert np.allclose([found.loc[row], found.scale[row]], [loc, scale])
        assert np.allclose(found.feeds["past_values"][row], expected, atol=1e-4)
        assert found.feeds["past_observed_mask"][row].sum() == seen.sum()
        past = found.feeds["past_time_features"][row]
        assert np.array_equal(
            past[own.context_length - (end - start) :], one.time_features[start:end]
        )
        assert not past[: own.context_length - (end - start)].any()
        ahead = found.feeds["future_time_features"][row]
        assert np.array_equal(ahead, one.time_features[end : end + 3, :3])
    assert np.array_equal(found.feeds["static_categorical_features"][:, 0], which + 1)
    assert {k: (v.dtype.name, v.shape[1:]) for k, v in found.feeds.items()} == {
        "past_values": ("float32", (6,)),
        "past_observed_mask": ("float32", (6,)),
        "past_time_features": ("float32", (6, 5)),
        "future_time_features": ("float32", (3, 3)),
        "static_real_features": ("float32", (2,)),
        "static_categorical_features": ("int64", (1,)),
    }


def test_a_panel_gives_the_same_windows() -> None:
    random = np.random.default_rng(5)
    tracks = random_tracks(random)
    own = with_known(processor(), 2)
    which = random.integers(0, len(tracks), 30)
    ends = np.array([random.integers(1, len(tracks[i]) + 1) for i in which])
    found = own.arrays(own.panel(tracks), which, ends)
    for name, array in own.arrays(tracks, which, ends).feeds.items():
        assert np.array_equal(array, found.feeds[name])
    with pytest.raises(ValueError, match="ends"):
        own.arrays(tracks, np.array([0]), np.array([len(tracks[0]) + 1]))


@pytest.mark.parametrize("fill", ["linear", "last", "mean", "zero", "none"])
def test_no_window_knows_what_comes_after_it(fill: str) -> None:
    cells: list[Any] = [1.0, 2.0, None, None, 3.0, None, None, None, 4.0, 5.0, None, 6.0]
    own = processor(fill=fill)
    step = own.step
    for end in range(1, len(cells) + 1):
        known = [i for i in range(end) if cells[i] is not None]
        plain: list[np.ndarray[Any, Any]] = []
        for after in (cells[end:], [1e6 if one is not None else None for one in cells[end:]]):
            columns = {"day": [str(day) for day in DAYS[: len(cells)]], "sold": cells[:end] + after}
            [one] = read_series(columns, replace(own.layout, step=step)).series
            tracks = own.tracks(one, 3)
            if end > len(tracks):
                continue
            windows = own.arrays([tracks], np.array([0]), np.array([end]))
            plain.append(np.append(windows.feeds["past_values"], [windows.loc, windows.scale]))
        assert known
        assert len(plain) < 2 or np.array_equal(plain[0], plain[1])


def test_one_value_and_values_that_do_not_move_have_the_usual_scale() -> None:
    own = series_models.fitted(rows(), LAYOUT)
    usual = own.scale[""]
    assert 1 < usual < 3
    for cells in ([12.0], [12.0] * 6):
        columns = {"day": [str(day) for day in DAYS[: len(cells)]], "sold": cells}
        [one] = own.series(columns)
        windows = own.arrays([own.tracks(one, 3)], np.array([0]), np.array([len(cells)]))
        expected = usual / np.sqrt(len(cells) + 1)
        assert np.allclose([windows.loc[0], windows.scale[0]], [12.0, expected])
        assert not windows.feeds["past_values"].any()


# ── what was fitted ────────────────────────────────────────────────────────────────────────────


def long_rows() -> dict[str, list[Any]]:
    """Two shops of different size, with a kind, a price, and holidays that reach ahead."""
    found: dict[str, list[Any]] = {
        name: [] for name in ("day", "shop", "sold", "kind", "price", "holiday", "one")
    }
    for shop, size in (("A", 10.0), ("B", 1000.0)):
        for i in range(30):
            found["day"].append(str(DAYS[i]))
            found["shop"].append(shop)
            found["sold"].append(size + size * 0.1 * (i % 5) if i < 25 else None)
            found["kind"].append("small" if shop == "A" else "large")
            found["price"].append(float(i % 3) if i < 25 else None)
            found["holiday"].append("yes" if i % 7 == 6 else "no")
            found["one"].append(1)
    return found


LONG = Layout(
    time="day", group=("shop",), target=("sold",), input=("kind", "price", "holiday", "one")
)


def test_covariates_are_sorted_by_what_is_known_of_them() -> None:
    own = series_models.fitted(long_rows(), LONG)
    assert [one.name for one in own.known] == ["holiday"]
    assert [one.name for one in own.past] == ["price"]
    assert [one.name for one in own.static] == ["kind"]
    assert own.calendar == ("week",)
    assert own.sizes == {"known": 6 + 2, "past": 1, "static_real": 2, "series": 3}
    assert own.names == ("A", "B")
    assert own.scale["B"] == pytest.approx(100 * own.scale["A"])
    told = series_models.fitted(long_rows(), LONG, known=("price", "holiday"))
    assert [one.name for one in told.known] == ["price", "holiday"]
    with pytest.raises(UsageError, match="known names `rain`, which is no covariate; there are"):
        series_models.fitted(long_rows(), LONG, known=("rain",))


@pytest.mark.parametrize(("mark", "kind"), [("Christmas", "Category"), (1.0, "Number")])
def test_a_mark_of_some_days_that_is_else_empty_changes(mark: Any, kind: str) -> None:
    columns = long_rows()
    columns["holiday"] = [mark if one == "yes" else None for one in columns["holiday"]]
    own = series_models.fitted(columns, LONG)
    (holiday,) = own.known
    assert (holiday.name, type(holiday).__name__, holiday.indicator) == ("holiday", kind, True)
    # The kind of a shop is the same where a cell of it was left empty.
    columns["kind"][3] = None
    assert [one.name for one in series_models.fitted(columns, LONG).static] == ["kind"]


def test_nothing_after_what_may_be_seen_is_fitted() -> None:
    columns = long_rows()
    changed = {name: list(cells) for name, cells in columns.items()}
    for i in range(20, 25):
        changed["sold"][i], changed["price"][i], changed["holiday"][i] = 1e6, 77.0, "never"
    ends = {"A": 20, "B": 25}
    found = [series_models.fitted(one, LONG, ends=ends) for one in (columns, changed)]
    assert found[0].to_bytes() == found[1].to_bytes()
    with pytest.raises(InputError, match="no series has a step for training"):
        series_models.fitted(columns, LONG, ends={"A": 0, "B": 0})


def test_tracks_of_a_series() -> None:
    own = series_models.fitted(long_rows(), LONG)
    shops = own.series(long_rows())
    tracks = [own.tracks(one, 3) for one in shops]
    assert [len(one) for one in tracks] == [25, 25]
    assert [one.static_categorical.tolist() for one in tracks] == [[1], [2]]
    assert tracks[0].static_real.tolist() == [0, 1]  # levels are in order: large, small
    assert tracks[0].time_features.shape == (28, 6 + 2 + 1)
    assert not tracks[0].time_features[25:, 8:].any()
    assert tracks[0].time_features[27, 6:8].tolist() == [0, 1]
    unknown = own.tracks(replace(shops[1], name="C"), 3)
    assert unknown.static_categorical.tolist() == [0]
    assert unknown.scale == 0
    with pytest.raises(
        InputError, match="the covariate `holiday` of `A` is not given for 2023-02-"
    ):
        own.tracks(shops[0], 6)


def test_a_series_that_training_did_not_know_needs_no_name() -> None:
    own = series_models.fitted(long_rows(), LONG)
    columns = {name: cells[:30] for name, cells in long_rows().items() if name != "shop"}
    [one] = own.series(columns)
    assert one.name == ""
    del columns["price"]
    with pytest.raises(MissingKeyError, match="there is no `price`; there are `day`, `sold`"):
        own.series(columns)


def test_some_targets_of_a_wide_table() -> None:
    wide = {**rows(), "lost": [float(i % 3) for i in range(40)]}
    own = series_models.fitted(wide, Layout(time="day", target=("sold", "lost")))
    assert own.names == ("sold", "lost")
    del wide["sold"]
    [one] = own.series(wide)
    assert one.name == "lost"
    assert own.tracks(one, 3).static_categorical.tolist() == [2]


def test_what_is_fitted_is_kept(tmp_path: Path) -> None:
    own = series_models.fitted(long_rows(), LONG).with_outcome([1.5] * 9, head="student_t")
    (tmp_path / "processor.json").write_bytes(own.to_bytes())
    folder = Folder(tmp_path, "model")
    assert SeriesProcessor.open(folder) == own
    values = json.loads(own.to_bytes())
    (tmp_path / "processor.json").write_text(json.dumps({**values, "format": 3}))
    with pytest.raises(UnsupportedModelError, match="has format 3; this silmu reads 2"):
        SeriesProcessor.open(folder)
    del values["floor"]
    (tmp_path / "processor.json").write_text(json.dumps({**values, "format": 1}))
    assert SeriesProcessor.open(folder) == replace(own, floor=None)


@pytest.mark.parametrize("lowest", [0.0, -1.0])
def test_counts_are_told_no_lower_than_nought(tmp_path: Path, lowest: float) -> None:
    counts = [lowest if i % 3 else float(i % 7) for i in range(40)]
    own = series_models.fitted({**rows(), "sold": counts}, LAYOUT, prediction_length=2)
    assert own.floor == (0 if lowest == 0 else None)
    name = series_models.write(tmp_path / "model", own.with_outcome([40.0] * 9))
    pipe = silmu.pipeline("time-series-forecasting", name)
    for length in (2, 7):
        told = pipe([0, 3, 0, 1, 0, 0, 2, 0], prediction_length=length)
        least = min(map(min, (told["mean"], *told["quantiles"].values())))
        assert least == 0 if lowest == 0 else least < 0
        assert told["quantiles"]["0.9"][-1] > 2
        # A history that is below it says that values can be.
        told = pipe([0, 3, 0, -1, 0, 0, 2, 0], prediction_length=length)
        assert min(told["quantiles"]["0.1"]) < 0


@pytest.mark.parametrize(
    "broken",
    [
        {"series": False},
        {"context_length": 0},
        {"context_length": "long"},
        {"layout": {}},
        {"layout": None},
        {"quantiles": [0.1, 0.9]},
        {"quantiles": [0.9, 0.5]},
        {"spread": [1.0]},
        {"spread": [-1.0] * 9},
        {"scale": {"A": 0.0, "B": 1.0}},
        {"scale": {"A": 1.0}},
        {"default_scale": None},
        {"fill": "spline"},
        {"normalise": 3},
        {"head": "oracle"},
        {"calendar": ["moon"]},
        {"known": [{"kind": "vibe", "name": "x"}]},
        {"known": [{"kind": "number", "name": "x"}]},
        {"static": 5},
        {"more": 1},
    ],
)
def test_a_broken_processor(tmp_path: Path, broken: dict[str, Any]) -> None:
    values = json.loads(series_models.fitted(long_rows(), LONG).to_bytes())
    (tmp_path / "processor.json").write_text(json.dumps({**values, **broken}))
    with pytest.raises(InvalidModelError, match="of `model` is not what silmu writes"):
        SeriesProcessor.open(Folder(tmp_path, "model"))


# ── what comes back ────────────────────────────────────────────────────────────────────────────


def windows_of(own: SeriesProcessor) -> Any:
    [one] = own.series(rows())
    return own.arrays([own.tracks(one, 3)], np.array([0, 0]), np.array([20, 40]))


def test_normalising_goes_both_ways() -> None:
    own = series_models.fitted(rows(), LAYOUT)
    windows = windows_of(own)
    values = np.arange(6.0).reshape(2, 3)
    assert np.allclose(own.outward(windows, own.inward(windows, values)), values)
    cube = np.arange(12.0).reshape(2, 3, 2)
    assert np.allclose(own.outward(windows, own.inward(windows, cube)), cube)


def test_quantiles_are_sorted_stretched_and_averaged() -> None:
    own = series_models.fitted(rows(), LAYOUT)
    windows = windows_of(own)
    given = np.random.default_rng(0).permutation(np.linspace(-2, 2, 9))
    found = own.told(np.broadcast_to(given, (2, 3, 9)), windows)
    plain = own.inward(windows, found.quantiles)
    assert np.allclose(plain, np.linspace(-2, 2, 9))
    assert np.allclose(own.inward(windows, found.mean), 0)
    spread = [2.0] * 4 + [1.0] + [0.5] * 4
    wide = own.with_outcome(spread).told(np.broadcast_to(given, (2, 3, 9)), windows)
    told = own.inward(windows, wide.quantiles)[0, 0]
    assert np.allclose(told, [-4, -3, -2, -1, 0, 0.25, 0.5, 0.75, 1])
    assert np.allclose(wide.mean, found.mean)  # a spread moves no mean


def test_a_t_distribution() -> None:
    own = series_models.fitted(rows(), LAYOUT, head="student_t")
    windows = windows_of(own)
    given = np.broadcast_to(np.array([3.0, 0.5, 2.0]), (2, 3, 3))
    found = own.told(given, windows)
    assert np.allclose(own.inward(windows, found.mean), 0.5)
    told = own.inward(windows, found.quantiles)[1, 2]
    assert np.allclose(told[[4, 8]], [0.5, 0.5 + 2 * 1.6377443536962102])
    assert np.allclose(told + told[::-1], 1.0)


def test_quantiles_of_t_distributions() -> None:
    # Of the Cauchy distribution, and of one with two degrees of freedom, there are formulas.
    shares = np.array([0.025, 0.1, 0.3, 0.5, 0.8, 0.999])
    one = np.tan(np.pi * (shares - 0.5))
    two = (2 * shares - 1) / np.sqrt(2 * shares * (1 - shares))
    found = student.quantiles(shares.tolist(), np.array([[1.0], [2.0]]))
    assert found.shape == (2, 1, 6)
    assert np.allclose(found[:, 0], [one, two], rtol=1e-8, atol=1e-8)
    normal = student.quantiles(DECILES, np.array(1e12))
    assert np.allclose(normal[8], 1.2815515655446004)


@pytest.mark.parametrize(("aggregate", "first"), [("sum", 240.0), ("mean", 10.0), ("last", 10.0)])
def test_rows_that_share_a_step_are_told(
    aggregate: Any, first: float, caplog: pytest.LogCaptureFixture
) -> None:
    own = series_models.fitted(rows(), replace(LAYOUT, aggregate=aggregate))
    own.series(rows(20))
    assert not caplog.text
    hours = [f"{day} {hour:02}:00" for day in DAYS[:10] for hour in range(24)]
    [one] = own.series({"day": hours, "sold": [10.0] * 240})
    assert one.values.tolist() == [first] * 10
    said = {"sum": "sum", "mean": "mean", "last": "last one"}[aggregate]
    assert f"240 rows fall into 10 steps of 1 day, 24 in each on average, and their {said} is" in (
        caplog.text
    )
