"""Forecasts judged: metrics, intervals over time, simpler forecasts, the report, newer series."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("statsmodels")

from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from silmu import cli
from silmu.errors import InputError, UsageError
from silmu.pipelines import pipeline
from silmu.steps.collect import collect
from silmu.steps.evaluate import Report, evaluate, evaluate_data
from silmu.steps.evaluate.series import asked, details, drawing, ets, sections, simple
from silmu.steps.evaluate.series.blocks import Blocks
from silmu.steps.evaluate.series.figures import LEVELS, Said, errors, measure
from silmu.steps.evaluate.series.judged import Unit, judge, strongest
from silmu.steps.evaluate.series.windows import History, Windows, thinned
from silmu.steps.prepare import prepare_series
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.series import whole

NORMAL_DECILES = np.array(
    [-1.2815516, -0.8416212, -0.5244005, -0.2533471, 0, 0.2533471, 0.5244005, 0.8416212, 1.2815516]
)


def history(values: Any, known: int | None = None, name: str = "") -> History:
    array = np.asarray(values, np.float64)
    return History(name, 0, array, len(array) * 2 // 3 if known is None else known)


def windows_of(*histories: History, horizon: int, start: int | None = None) -> Windows:
    pairs = [
        (i, end)
        for i, one in enumerate(histories)
        for end in range(start or one.known, len(one.values) - horizon + 1)
    ]
    return Windows(histories, *np.array(pairs, np.int64).T, horizon)


def seasonal_values(steps: int, season: int, noise: float = 0.5, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    t = np.arange(steps)
    return 20 + 5 * np.sin(2 * np.pi * t / season) + random.normal(0, noise, steps)


# ── metrics ────────────────────────────────────────────────────────────────────────────────────


def test_metrics_are_those_of_the_field() -> None:
    random = np.random.default_rng(1)
    values = random.normal(10, 3, 60)
    values[45] = np.nan
    windows = windows_of(history(values, 40), horizon=4)
    mean = random.normal(10, 3, windows.truth.shape)
    quantiles = mean[..., None] + 2 * NORMAL_DECILES + 0.3
    scales = np.array([2.5])
    found = errors(windows, Said(mean, quantiles), scales)
    told = measure({name: block.sum(axis=0) for name, block in found.sums().items()})

    known = ~np.isnan(windows.truth)
    true, said, median = windows.truth[known], mean[known], quantiles[..., 4][known]
    assert math.isclose(told["mean_absolute_error"], mean_absolute_error(true, median))
    assert math.isclose(told["root_mean_squared_error"], root_mean_squared_error(true, said))
    assert math.isclose(told["mean_absolute_scaled_error"], mean_absolute_error(true, median) / 2.5)
    symmetric = 200 * np.abs(true - median) / (np.abs(true) + np.abs(median))
    assert math.isclose(told["symmetric_mean_absolute_percentage_error"], symmetric.mean())
    low, high = quantiles[..., 0][known], quantiles[..., -1][known]
    assert math.isclose(told["interval_coverage"], ((low <= true) & (true <= high)).mean())
    assert math.isclose(told["interval_width"], (high - low).mean())
    losses = [
        np.where(true > q, level * (true - q), (1 - level) * (q - true)).mean()
        for level, q in zip(LEVELS, np.moveaxis(quantiles[known], -1, 0), strict=True)
    ]
    assert math.isclose(told["crps"], 2 * np.mean(losses))


def test_crps_of_deciles_is_near_that_of_the_distribution() -> None:
    values = np.random.default_rng(2).normal(0, 1, 4000)
    windows = windows_of(history(values, 100), horizon=1)
    mean = np.zeros(windows.truth.shape)
    said = Said(mean, mean[..., None] + NORMAL_DECILES)
    found = errors(windows, said, np.ones(1))
    told = measure({name: block.sum(axis=0) for name, block in found.sums().items()})
    # Of a standard normal forecast of standard normal numbers it is 1 / sqrt(pi).
    assert abs(told["crps"] - 1 / math.sqrt(math.pi)) < 0.06
    assert abs(told["interval_coverage"] - 0.8) < 0.03


def test_series_that_do_not_move_are_in_no_scaled_error() -> None:
    random = np.random.default_rng(3)
    still, moving = history(np.full(60, 7.0)), history(random.normal(0, 1, 60))
    unit = Unit.of([still, moving], 3, [])
    windows = windows_of(still, moving, horizon=3)
    own, _ = judge(windows, simple.naive([still, moving], 3).said(windows), {}, unit, 0)
    alone = windows_of(moving, horizon=3)
    unit_alone = Unit.of([moving], 3, [])
    other, _ = judge(alone, simple.naive([moving], 3).said(alone), {}, unit_alone, 0)
    name = "mean_absolute_scaled_error"
    assert own.metrics[name]["value"] == pytest.approx(other.metrics[name]["value"])


# ── origins ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("most", "horizon"), [(400, 5), (30, 5), (10, 7), (1, 3)])
def test_every_step_is_forecast_however_few_origins_there_are(most: int, horizon: int) -> None:
    ends = [(i, end) for i, last in ((0, 200), (1, 63), (2, 41)) for end in range(40, last + 1)]
    which, chosen = thinned(np.array(ends, np.int64), horizon, most)
    for series, last in ((0, 200), (1, 63), (2, 41)):
        own = chosen[which == series]
        told = {end + ahead for end in own.tolist() for ahead in range(horizon)}
        assert told == set(range(40, last + horizon))
        assert own[-1] == last
    if most == 400:
        assert len(chosen) == len(ends)


def test_truth_is_what_came_and_moments_are_shared_by_series() -> None:
    early = History("early", 0, np.arange(10.0), 5)
    late = History("late", 4, 100 + np.arange(6.0), 3)
    windows = Windows((early, late), np.array([0, 1]), np.array([7, 4]), 3)
    assert windows.truth[0].tolist() == [7, 8, 9]
    assert windows.truth[1, :2].tolist() == [104, 105]
    assert np.isnan(windows.truth[1, 2])
    assert windows.moments.tolist() == [[0, 1, 2], [1, 2, 3]]


# ── intervals ──────────────────────────────────────────────────────────────────────────────────


def test_blocks_tell_how_uncertain_a_mean_of_dependent_errors_is() -> None:
    """Errors of forecasts made at neighbouring origins hang together; single steps hide that."""
    random = np.random.default_rng(4)
    steps, span = 400, 12
    means, widths, alone = [], [], []
    for _ in range(25):
        noise = np.convolve(random.normal(0, 1, steps + span), np.ones(span), "valid")[:steps]
        table = {"n": np.ones((steps, 1)), "of": np.abs(noise)[:, None]}
        for length, kept in ((span, widths), (1, alone)):
            blocks = Blocks(steps, length, short=False)
            (drawn,) = blocks.resample([table], seed=1)
            low, high = blocks.interval(
                0.0, (drawn["of"] / drawn["n"])[:, 0] - np.abs(noise).mean()
            )
            kept.append((high - low) / 3.92)
        means.append(np.abs(noise).mean())
    spread = np.std(means)
    assert 0.7 * spread < np.mean(widths) < 1.4 * spread
    assert np.mean(alone) < 0.55 * spread


def test_resamples_are_whole_blocks_and_the_same_for_all_tables() -> None:
    blocks = Blocks.of(moments=50, horizon=7)
    table = {"n": np.ones((50, 1)), "at": np.eye(50)}
    one, two = blocks.resample([table, table], seed=3)
    assert np.array_equal(one["at"], two["at"])
    assert np.all(one["n"] == one["at"].sum(axis=1, keepdims=True))
    assert np.all(one["n"] == 7 * math.ceil(50 / 7))
    # A step that is drawn is in a run of seven, around the end too.
    drawn = one["at"][0] > 0
    edges = np.count_nonzero(drawn & ~np.roll(drawn, 1))
    assert edges <= math.ceil(50 / 7)
    again = blocks.resample([table], seed=4)[0]
    assert not np.array_equal(one["at"], again["at"])


def test_few_blocks_are_shorter_and_the_reader_is_told() -> None:
    blocks = Blocks.of(moments=12, horizon=12)
    assert (blocks.length, blocks.count, blocks.short) == (3, 4, True)
    # A share of 1 of few blocks is not told as certain.
    assert blocks.metric("interval_coverage", 1.0, np.ones(50), 12).low < 0.6


def test_one_block_tells_no_difference() -> None:
    one = history(np.array([1.0, 2.0, 4.0, 8.0, 9.0]), 4)
    windows = windows_of(one, horizon=1)
    unit = Unit.of([one], 1, ())
    naive = simple.naive([one], 1)
    own, others = judge(windows, Said(np.full((1, 1), 5.0)), {"naive": naive}, unit, 0)
    told = own.against(others["naive"], unit.metric, "naive")
    assert told["verdict"] == "no clear difference"
    assert "one block" in told["sentence"]


def test_two_blocks_that_agree_tell_no_difference() -> None:
    two = history(np.array([1.0, 2.0, 4.0, 8.0, 9.0, 11.0]), 4)
    windows = windows_of(two, horizon=1)
    unit = Unit.of([two], 1, ())
    naive = simple.naive([two], 1)
    own, others = judge(windows, Said(windows.truth), {"naive": naive}, unit, 0)
    told = own.against(others["naive"], unit.metric, "naive")
    assert (own.blocks.count, told["low"] > 0, told["verdict"]) == (2, True, "no clear difference")
    assert told["sentence"].endswith("; two blocks of time tell nothing of chance")


def test_a_naive_forecast_in_32_bits_does_not_differ() -> None:
    moving = history(np.random.default_rng(2).normal(size=90).cumsum() + 50)
    windows = windows_of(moving, horizon=3)
    unit = Unit.of([moving], 3, [])
    naive = simple.naive([moving], 3)
    above = Said(naive.said(windows).median * (1 + 1e-7))
    told = judge(windows, above, {"naive": naive}, unit, 0)
    compared = told[0].against(told[1]["naive"], unit.metric, "naive")
    assert (compared["difference"], compared["verdict"]) == (0, "no clear difference")


def test_what_sums_are_rounded_by_is_no_error() -> None:
    still = history(np.full(60, 5.0))
    windows = windows_of(still, horizon=3)
    rounded = Said(windows.truth * (1 + 2**-52))
    unit = Unit.of([still], 3, [])
    naive = simple.naive([still], 3)
    own, others = judge(windows, rounded, {"naive": naive}, unit, 0)
    assert own.metrics["mean_absolute_error"]["value"] == 0
    assert own.against(others["naive"], unit.metric, "naive")["difference"] == 0


# ── simpler forecasts ──────────────────────────────────────────────────────────────────────────


def test_naive_forecasts_repeat_what_was_last_observed() -> None:
    values = [1, 2, 3, 4, 5, 6, 7, np.nan, 9, np.nan]
    one = history(values, 4)
    ends = np.array([8, 9, 10])
    assert simple.naive([one], 2).points(0, ends).tolist() == [[7, 7], [9, 9], [9, 9]]
    # Three steps before; where nothing was observed then, six.
    found = simple.seasonal([one], 4, 3).points(0, ends)
    assert found.tolist() == [[6, 7, 5, 6], [7, 5, 9, 7], [5, 9, 7, 5]]
    # Before there was a season, the last value.
    assert simple.seasonal([one], 4, 5).points(0, np.array([2])).tolist() == [[2, 2, 2, 1]]


def test_bands_of_naive_forecasts_hold_what_they_promise_of_a_random_walk() -> None:
    random = np.random.default_rng(5)
    walks = [history(np.cumsum(random.normal(0, 1, 900)), 600, f"{i}") for i in range(8)]
    windows = windows_of(*walks, horizon=6)
    unit = Unit.of(walks, 6, [])
    own, _ = judge(windows, simple.naive(walks, 6).said(windows), {}, unit, 0)
    assert 0.75 < own.metrics["interval_coverage"]["value"] < 0.85
    assert np.array_equal(own.said.median, own.said.mean)


def test_the_season_that_returns_is_chosen_on_the_training_alone() -> None:
    values = seasonal_values(500, 24)
    # What comes later has another season, which must not be seen.
    values[300:] = seasonal_values(200, 10)
    found, tried = simple.chosen_season([history(values, 300)], 24, (10, 24, 168))
    assert found == 24
    assert tried[24] < 0.6 < tried[10]
    assert 168 not in tried
    noise = np.random.default_rng(6).normal(0, 1, 300)
    assert Unit.of([history(np.cumsum(noise))], 5, (7,)).repeats is False


@pytest.mark.parametrize(
    "form",
    [
        ("add", None, False, None),
        ("add", "add", False, "add"),
        ("mul", "add", True, "mul"),
        ("add", None, False, "mul"),
    ],
)
def test_states_follow_as_statsmodels_has_them(form: ets.Form) -> None:
    values = seasonal_values(160, 6) + 0.05 * np.arange(160)
    error, trend, damped, season = form
    wanted: dict[str, Any] = {
        "error": error,
        "trend": trend,
        "damped_trend": damped,
        "seasonal": season,
        "seasonal_periods": 6 if season else None,
        "initialization_method": "estimated",
    }
    fitted = ETSModel(values[:120], **wanted).fit(disp=False)
    states = ets._followed(values, 120, fitted, form, 0, 6, np.zeros(180), 1)
    whole = ETSModel(values, **wanted).smooth(fitted.params)
    first, last = states.points(np.array([120, 160]), 9)
    assert np.abs(first - fitted.forecast(9)).max() < 1e-9
    assert np.abs(last - whole.forecast(9)).max() < 1e-9
    told = states.points(np.arange(1, 160), 1)[:, 0]
    assert np.abs(told - whole.fittedvalues[1:]).max() < 1e-9


def test_smoothing_sees_nothing_of_what_comes_after_an_origin() -> None:
    values = seasonal_values(200, 12)
    ends = np.array([150, 160])
    before = ets.fitted([history(values, 140)], 5, (12,), 12)
    values[160:] = 1e6
    after = ets.fitted([history(values, 140)], 5, (12,), 12)
    assert not isinstance(before, str)
    assert not isinstance(after, str)
    assert np.array_equal(before.points(0, ends), after.points(0, ends))


@pytest.mark.parametrize("unit", [1e-300, 1e-6, 1e9, 1e300])
def test_smoothing_is_the_same_in_every_unit(unit: float) -> None:
    """Turnover of electrical equipment, by the month; its size is about 100 at first."""
    from statsmodels.datasets import elec_equip

    values = elec_equip.load_pandas().data.iloc[:, -1].to_numpy(np.float64)
    one, other = (ets.fitted([history(values * by, 190)], 12, (12,), 12) for by in (1.0, unit))
    assert not isinstance(one, str)
    assert not isinstance(other, str)
    assert one.about == other.about
    ends = np.arange(190, 240, 7)
    away = np.abs(other.points(0, ends) / unit - one.points(0, ends))
    assert away.max() < 1e-3 * values.std()


def test_smoothing_beats_repetition_on_carbon_dioxide() -> None:
    """Weekly since 1958, with gaps; a season of a year, which the model cannot hold itself."""
    from statsmodels.datasets import co2

    values = co2.load_pandas().data["co2"].to_numpy(np.float64)[:1200]
    one = history(values, 1000)
    windows = windows_of(one, horizon=13)
    unit = Unit.of([one], 13, (52,))
    smoothed = ets.fitted([one], 13, (52,), unit.season)
    assert not isinstance(smoothed, str)
    simpler = simple.both([one], 13, unit.season)
    own, others = judge(windows, smoothed.said(windows), simpler, unit, 0)
    strong, reached = strongest(windows_of(one, horizon=13, start=900), simpler, [*simpler], unit)
    assert strong == "seasonal_naive"
    assert reached["seasonal_naive"] < reached["naive"]
    assert own.against(others[strong], unit.metric, strong)["verdict"] == "better"
    assert "a season of 52" in next(iter(smoothed.about["forms"]))


def test_figures_of_what_is_mostly_nothing() -> None:
    """Two of three steps are 0; a forecast of 0 has a part in each metric that is told."""
    values = np.tile([0.0, 0.0, 6.0], 40)
    one = history(values, 90)
    windows = windows_of(one, horizon=3)
    said = Said(np.zeros(windows.truth.shape), np.zeros((*windows.truth.shape, 9)))
    unit = Unit.of([one], 3, ())
    own, _ = judge(windows, said, simple.both([one], 3, unit.season), unit, 0)
    assert own.metrics["mean_absolute_error"]["value"] == pytest.approx(2)
    assert own.metrics["symmetric_mean_absolute_percentage_error"]["value"] == pytest.approx(
        200 / 3
    )
    assert own.metrics["mean_absolute_scaled_error"]["value"] == pytest.approx(2 / 4, rel=0.02)
    [told] = [line for line in asked.warnings(windows, own, unit) if "are 0" in line]
    assert told.startswith("67% of the numbers that are told are 0")
    still = history(np.zeros(120), 90)
    unit = Unit.of([still], 3, ())
    own, _ = judge(windows_of(still, horizon=3), said, simple.both([still], 3, 1), unit, 0)
    assert "mean_absolute_scaled_error" not in own.metrics
    assert own.metrics["symmetric_mean_absolute_percentage_error"]["value"] == 0
    told = "\n".join(asked.warnings(windows_of(still, horizon=3), own, unit))
    assert "is in no scaled error" in told
    assert "100% of the numbers that are told are 0" in told


@pytest.mark.parametrize("values", [np.full(60, 3.0), np.zeros(60), np.r_[np.zeros(50), 5, 6]])
def test_what_does_not_move_is_repeated(values: Any) -> None:
    found = ets.fitted([history(values, 40)], 3, (7,), 7)
    assert not isinstance(found, str)
    last = found.points(0, np.array([len(values)]))
    assert last[0].tolist() == pytest.approx([values[-1]] * 3)


def test_a_short_training_gets_no_form_that_fits_by_chance() -> None:
    random = np.random.default_rng(7)
    walk = 30 + np.cumsum(random.normal(0, 1, 200))
    found = ets.fitted([history(walk, 16)], 10, (5,), 5)
    assert not isinstance(found, str)
    windows = windows_of(history(walk, 16), horizon=10)
    away = np.nanmean(np.abs(found.points(0, windows.ends) - windows.truth))
    plain = np.nanmean(
        np.abs(simple.naive([history(walk, 16)], 10).points(0, windows.ends) - windows.truth)
    )
    assert away < 1.5 * plain


# ── verdicts ───────────────────────────────────────────────────────────────────────────────────


def test_a_model_that_knows_the_pattern_is_better_and_one_of_a_random_walk_is_not() -> None:
    random = np.random.default_rng(8)
    clean = seasonal_values(700, 7, noise=0.0)
    one = history(clean + random.normal(0, 1, 700), 400)
    windows = windows_of(one, horizon=7)
    unit = Unit.of([one], 7, (7,))
    truth = clean[windows.ends[:, None] + np.arange(7)]
    said = Said(truth, truth[..., None] + NORMAL_DECILES)
    own, others = judge(windows, said, simple.both([one], 7, unit.season), unit, 0)
    told = own.against(others["seasonal_naive"], unit.metric, "seasonal_naive")
    assert (told["verdict"], told["metric"]) == ("better", "mean_absolute_error")
    assert "repeating the last 7 steps" in told["sentence"]
    assert 0.75 < own.metrics["interval_coverage"]["value"] < 0.85

    walk = history(np.cumsum(random.normal(0, 1, 700)), 400)
    windows = windows_of(walk, horizon=7)
    unit = Unit.of([walk], 7, (7,))
    naive = simple.naive([walk], 7)
    guess = naive.points(0, windows.ends) + random.normal(0, 0.05, windows.truth.shape)
    own, others = judge(windows, Said(guess), {"naive": naive}, unit, 0)
    assert own.against(others["naive"], unit.metric, "naive")["verdict"] == "no clear difference"
    assert "crps" not in own.metrics


def test_series_of_different_size_count_alike() -> None:
    random = np.random.default_rng(9)
    small, large = (
        history(scale * np.cumsum(random.normal(0, 1, 300)), 200) for scale in (1.0, 1e4)
    )
    unit = Unit.of([small, large], 4, [])
    assert unit.metric == "mean_absolute_scaled_error"
    assert Unit.of([small, small], 4, []).metric == "mean_absolute_error"
    windows = windows_of(small, large, horizon=4)
    naive = simple.naive([small, large], 4)
    points = naive.said(windows).mean
    # Worse on the small series by far, on the large one by nothing.
    worse = points + np.where(windows.which == 0, 20.0, 0.0)[:, None]
    own, others = judge(windows, Said(worse), {"naive": naive}, unit, 0)
    assert own.against(others["naive"], unit.metric, "naive")["verdict"] == "worse"


# ── a run ──────────────────────────────────────────────────────────────────────────────────────


def rows(days: int = 300, **more: Any) -> list[dict[str, Any]]:
    """Two shops with a weekly season and a promotion that is known ahead; a week is missing."""
    random = np.random.default_rng(10)
    found: list[dict[str, Any]] = []
    for shop, size in (("north", 1.0), ("south", 3.0)):
        for day in range(days):
            if shop == "south" and 100 <= day < 107:
                continue
            promotion = int(day % 17 == 0)
            value = 20 + 6 * math.sin(2 * math.pi * day / 7) + 4 * promotion + random.normal()
            date = np.datetime64("2023-01-02") + day
            found.append(
                {"date": str(date), "shop": shop, "sold": size * value, "promotion": promotion}
            )
    return [one | more for one in found]


def collected(source: Any, place: Path, **roles: Any) -> Any:
    wanted: dict[str, Any] = {
        "time": "date",
        "group": "shop",
        "target": "sold",
        "input": "promotion",
        "series": {"known": "promotion"},
    }
    return collect(source, place / "1-dataset", kind="series", **wanted | roles)


@pytest.fixture(scope="module")
def run(tmp_path_factory: Any) -> tuple[Path, Prepared]:
    """A run up to its model, whose network has learnt nothing yet."""
    torch = pytest.importorskip("torch")
    from silmu.steps.design import series as designing
    from silmu.steps.train.series import SeriesObjective, write_model

    place = tmp_path_factory.mktemp("series") / "run"
    dataset = collected(rows(), place)
    settings = {"prediction_length": 7, "context_length": 21, "known": "promotion"}
    prepared = prepare_series(dataset, place / "2-prepared", settings=settings)
    decided = designing.decided("dlinear", {"seed": 0, "dtype": "fp32"})
    with torch.random.fork_rng():
        network = designing.build("dlinear", prepared, {**decided, "seed": 0})
    write_model(place / "4-model", SeriesObjective(network, prepared, decided), prepared)
    (place / "4-train").mkdir()
    (place / "4-train" / "gradients.json").write_text(json.dumps(gradients()))
    return place, prepared


def gradients() -> dict[str, Any]:
    """What training tells of recurrent cells, of which the plain one forgets."""
    cells: dict[str, Any] = {}
    for name, kept in (("rnn", 0.5), ("lstm", 0.95), ("gru", 0.9)):
        sizes = [kept**i for i in range(21)]
        reach = {"half": 1, "hundredth": min(20, round(math.log(0.01) / math.log(kept)))}
        curve = {"gradients": sizes, "reach": reach}
        cells[name] = {"loss": 1 - kept / 2, "parameters": 99, "before": curve, "after": curve}
    sizes = {"updates": 10, "windows": 90, "shown": 8, "hidden_size": 4, "context_length": 21}
    return {**sizes, "cells": cells}


@pytest.fixture(scope="module")
def report(run: tuple[Path, Prepared]) -> Report:
    place, prepared = run
    return evaluate(
        place / "4-model",
        prepared,
        place / "5-report",
        seconds={"train": 1.0},
        settings={"seed": 1},
    )


METRICS = (
    "mean_absolute_error root_mean_squared_error mean_absolute_scaled_error "
    "symmetric_mean_absolute_percentage_error crps interval_coverage interval_width"
)


def test_a_report_holds_what_its_docstring_says(report: Report) -> None:
    values = report.to_dict()
    assert " ".join(report) == METRICS
    assert (values["task"], values["rows"], values["kind"]) == (
        *("time-series-forecasting", "series"),
        "number",
    )
    assert set(report.baselines) == {"naive", "seasonal_naive", "ets"}
    assert all(" ".join(one) == METRICS for one in report.baselines.values())
    for metric in report.values():
        assert metric.low <= metric.value <= metric.high
    assert report.comparison["against"] == "seasonal_naive"
    assert set(report.comparison["others"]) == {"naive", "ets"}
    assert report.look == 1
    found = report.details["series"]
    assert (found["season"], found["prediction_length"], found["series"]) == (7, 7, 2)
    assert [one["step"] for one in found["by_horizon"]] == list(range(1, 8))
    assert {one["series"] for one in found["by_series"]} == {"north", "south"}
    assert [one["quantile"] for one in found["coverage"]] == list(LEVELS)
    assert report.details["bootstrap"]["by"] == "block"
    assert report.details["bootstrap"]["steps"] >= 7
    # The mean over series, weighted by their steps, is the metric.
    parts = found["by_series"]
    mean = sum(p["score"]["value"] * p["score"]["n"] for p in parts) / sum(
        p["score"]["n"] for p in parts
    )
    assert mean == pytest.approx(report["mean_absolute_error"].value, rel=1e-4)
    assert json.loads((report.path / "metrics.json").read_bytes()) == values


def test_what_is_measured_is_what_a_user_gets(run: tuple[Path, Prepared], report: Report) -> None:
    """A window that the report shows, forecast by the pipeline from rows that end before it."""
    place, _ = run
    shown = report.details["series"]["typical"][0]
    first = shown["times"][len(shown["past"])]
    own = [one for one in rows() if one["shop"] == shown["series"]]
    past = [one for one in own if one["date"] < first]
    ahead = [one | {"sold": None} for one in own if one["date"] >= first]
    pipe = pipeline("time-series-forecasting", model=str(place / "4-model"))
    answer = pipe([*past, *ahead[:7]])
    answer = answer[0] if isinstance(answer, list) else answer
    assert answer["time"] == shown["times"][len(shown["past"]) :]
    assert np.allclose(answer["mean"], shown["mean"], rtol=1e-4)
    assert np.allclose(answer["quantiles"]["0.1"], shown["quantiles"]["0.1"], rtol=1e-4)
    truth = [one["sold"] for one in own if one["date"] >= first][:7]
    assert np.allclose(truth, shown["truth"], rtol=1e-4)


def test_a_second_look_is_counted_and_tells_the_same(
    run: tuple[Path, Prepared], report: Report
) -> None:
    place, prepared = run
    again = evaluate(
        place / "4-model", prepared, place / "5-report", seconds={}, settings={"seed": 1}
    )
    assert again.look == report.look + 1
    assert any("look 2" in warning for warning in again.warnings)
    assert again.to_dict()["metrics"] == report.to_dict()["metrics"]
    plain = evaluate(
        place / "4-model", prepared, place / "other", seconds={}, settings={"baselines": False}
    )
    assert plain.baselines == {}
    assert plain.comparison == {}


def test_baselines_know_the_training_and_no_more(run: tuple[Path, Prepared]) -> None:
    from silmu.steps.evaluate.series.parts import _history
    from silmu.steps.prepare.series import cuts_of

    _, prepared = run
    cuts = cuts_of(prepared)
    for one in whole(prepared):
        known = _history(one, cuts, 200)
        assert known.first + known.known == cuts.validation


def test_the_page_shows_forecasts_with_bands_and_says_how(
    run: tuple[Path, Prepared], report: Report
) -> None:
    place, _ = run
    page = (place / "5-report" / "report.html").read_text(encoding="utf-8")
    assert page.count('class="band inner"') == 8
    assert 'class="truth"' in page
    for heading in ("Forecasts", "By steps ahead", "By series", "Furthest from the truth"):
        assert heading in page
    assert "one at each step" in page
    assert f"{len(report.details['series']['by_horizon'])}" in page
    assert "forecast steps" in page
    card = (place / "4-model" / "README.md").read_text(encoding="utf-8")
    assert "the next 7 steps of 1 day come out" in card
    assert "blocks of" in card
    assert "forecast = pipe(" in card
    # A card is what is published first: no number of the data is in it.
    assert "2023-" not in card.replace(report.details["series"]["from"], "").replace(
        report.details["series"]["to"], ""
    )


def test_names_of_series_are_only_text() -> None:
    wild = "<script>alert(1)</script>"
    window = {
        "series": wild,
        "times": ["2023-01-01", "2023-01-02", "2023-01-03"],
        "past": [1.0, None],
        "truth": [2.0],
        "mean": [1.5],
        "quantiles": {"0.1": [1.0], "0.5": [1.5], "0.9": [2.0]},
        "baseline": [1.0],
        "error": 0.5,
    }
    drawn = drawing.window(window, wild)
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn


def test_newer_rows_are_forecast_from_what_they_have(
    run: tuple[Path, Prepared], tmp_path: Path
) -> None:
    place, _ = run
    newer = [one for one in rows(420) if one["date"] >= "2023-10-29"]
    new = [one for one in rows(420) if one["shop"] == "north" and one["date"] >= "2023-11-01"]
    dataset = collected([*newer, *(one | {"shop": "west"} for one in new)], tmp_path)
    report = evaluate_data(place / "4-model", dataset, tmp_path / "5-report")
    assert " ".join(report) == METRICS
    assert set(report.baselines) == {"naive", "seasonal_naive"}
    assert report.look is None
    assert report.details["series"]["series"] == 3
    assert "1 series is none of the training: west" in report.warnings
    assert not any("before the test part" in warning for warning in report.warnings)
    assert (tmp_path / "5-report" / "report.html").is_file()

    old = collected(rows(), tmp_path / "old")
    told = evaluate_data(place / "4-model", old, None)
    assert any("lie before the test part" in warning for warning in told.warnings)


def test_a_file_that_is_too_short_says_how_long_it_must_be(
    run: tuple[Path, Prepared], tmp_path: Path
) -> None:
    place, _ = run
    few = collected([one for one in rows() if one["date"] < "2023-01-08"], tmp_path)
    with pytest.raises(InputError, match=r"longest series has 6 steps.* 7 steps") as caught:
        evaluate_data(place / "4-model", few, None)
    assert "28 have a whole context" in str(caught.value.hint)


def test_the_command_reads_newer_rows_as_the_training_was_read(
    run: tuple[Path, Prepared], tmp_path: Path, capsys: Any
) -> None:
    place, _ = run
    lines = ["day,date,shop,sold,promotion"]
    lines += [
        f"{i},{one['date']},{one['shop']},{one['sold']},{one['promotion']}"
        for i, one in enumerate(rows(400))
        if one["date"] >= "2023-11-01"
    ]
    path = tmp_path / "newer.csv"
    path.write_text("\n".join(lines))
    code = cli.main(
        ["evaluate", str(place / "4-model"), "--data", str(path), "--output", str(tmp_path / "out")]
    )
    told = capsys.readouterr().out
    assert code == 0
    assert "mean_absolute_error" in told
    assert "repeating the last 7 steps" in told


def test_a_model_of_another_target_is_refused(run: tuple[Path, Prepared], tmp_path: Path) -> None:
    place, _ = run
    renamed = [{("revenue" if k == "sold" else k): v for k, v in one.items()} for one in rows()]
    dataset = collected(renamed, tmp_path, target="revenue")
    settings = {"prediction_length": 7, "context_length": 21}
    prepared = prepare_series(dataset, tmp_path / "2-prepared", settings=settings)
    with pytest.raises(UsageError, match=r"the model tells sold, and the data .* for revenue"):
        evaluate(place / "4-model", prepared, tmp_path / "5-report", seconds={}, settings={})
    assert not (tmp_path / "5-report").exists()


def test_why_lstm_and_gru_has_its_place(run: tuple[Path, Prepared], report: Report) -> None:
    """The picture is of what training left; without it the part is left out."""
    page = (run[0] / "5-report" / "report.html").read_text(encoding="utf-8")
    assert "Why LSTM and GRU" in page
    assert "plain RNN" in page
    values = report.to_dict()
    values["details"]["series"] = values["details"]["series"] | {"gradients": None}
    told = {name: content for name, _, content in sections.of(values)}
    assert told["memory"] is None
    assert told["forecasts"] is not None


def test_errors_by_steps_ahead_are_of_the_metric_that_counts() -> None:
    random = np.random.default_rng(11)
    walks = [history(size * np.cumsum(random.normal(0, 1, 240)), 160) for size in (1.0, 500.0)]
    windows = windows_of(*walks, horizon=5)
    unit = Unit.of(walks, 5, [])
    assert unit.metric == "mean_absolute_scaled_error"
    own, _ = judge(windows, simple.naive(walks, 5).said(windows), {}, unit, 0)
    found = details.by_horizon(own, None, unit, 0)
    mean = np.mean([one["score"]["value"] for one in found])
    assert mean == pytest.approx(own.metrics[unit.metric]["value"], rel=1e-6)
    # Of a random walk they grow as the root of the steps ahead.
    assert 1.5 < found[-1]["score"]["value"] / found[0]["score"]["value"] < 3


def test_windows_that_are_shown_do_not_overlap() -> None:
    one = history(seasonal_values(400, 7), 250)
    windows = windows_of(one, horizon=7)
    unit = Unit.of([one], 7, (7,))
    own, _ = judge(windows, simple.naive([one], 7).said(windows), {}, unit, 0)

    def times(numbers: Any) -> list[str]:
        return [str(one) for one in numbers.tolist()]

    found = details.shown(windows, own, None, unit, 21, times)
    starts = sorted(int(w["times"][len(w["past"])]) for part in found.values() for w in part)
    assert len(starts) == 8
    worst = [int(w["times"][len(w["past"])]) for w in found["worst"]]
    assert all(abs(a - b) >= 7 for a in worst for b in worst if a != b)
    assert found["worst"][0]["error"] >= found["typical"][0]["error"]
