"""What a window says of the steps after its origin, and of other windows: nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import series_models
import silmu
from silmu.errors import InputError
from silmu.runtime.series import horizon
from silmu.runtime.series.filling import RULES
from silmu.runtime.series.frame import Layout, Series
from silmu.runtime.series.processor import SeriesProcessor
from silmu.runtime.series.windows import NORMALISATIONS, typical_until

DAYS = np.datetime64("2024-01-01") + np.arange(400)
LAYOUT = Layout(
    time="day", group=("shop",), target=("sold",), input=("holiday", "rain", "kind", "size")
)
STEPS, AHEAD = 40, 3


def table(random: np.random.Generator, names: list[str], end: int = 1) -> dict[str, list[Any]]:
    """Shops with gaps, of one kind and size, but for new ones, which change.

    Before `end` there is a value.
    """
    found: dict[str, list[Any]] = {name: [] for name in LAYOUT.columns}
    for shop in names:
        level = 10.0 ** random.integers(-6, 9)
        sold: list[Any] = (level * (3 + random.normal(size=STEPS))).tolist()
        for i in np.flatnonzero(random.random(STEPS) < 0.25).tolist():
            sold[i] = None
        sold[0] = sold[end - 1] = sold[-1] = level
        changed = int(random.integers(5, STEPS))
        found["day"] += [str(day) for day in DAYS[: STEPS + AHEAD]]
        found["shop"] += [shop] * (STEPS + AHEAD)
        found["sold"] += sold + [None] * AHEAD
        found["holiday"] += random.choice(["no", "eve", "yes"], STEPS + AHEAD).tolist()
        found["rain"] += [
            None if i >= STEPS or random.random() < 0.1 else float(random.normal())
            for i in range(STEPS + AHEAD)
        ]
        is_new = shop.startswith("new")
        found["kind"] += [
            "large" if is_new and i >= changed else "small" if len(shop) % 2 else "large"
            for i in range(STEPS + AHEAD)
        ]
        found["size"] += [len(shop) + 9.0 * (is_new and i >= changed) for i in range(STEPS + AHEAD)]
    return found


def until(columns: dict[str, list[Any]], own: SeriesProcessor, end: int) -> tuple[Series, ...]:
    """The series of what was there at a step, with the future that is known ahead of it."""
    is_later = [place % (STEPS + AHEAD) >= end for place in range(len(columns["day"]))]
    cut = dict(columns)
    for name in {*columns} - {"day", "shop", "holiday"}:
        pairs = zip(columns[name], is_later, strict=True)
        cut[name] = [None if later else cell for cell, later in pairs]
    return own.series(cut)


@given(
    st.integers(0, 1000),
    st.sampled_from(RULES),
    st.sampled_from(NORMALISATIONS),
    st.integers(1, STEPS - 1),
)
@example(0, "linear", "standard", 30)
@settings(max_examples=40, deadline=None)
def test_a_window_is_that_of_its_history_alone(
    seed: int, fill: str, normalise: str, end: int
) -> None:
    random = np.random.default_rng(seed)
    own = series_models.fitted(
        table(random, ["a", "bb", "ccc"]), LAYOUT, fill=fill, normalise=normalise, known=["holiday"]
    )
    assert [one.name for one in own.static] == ["kind", "size"]
    columns = table(random, ["a", "bb", "new", "newer"], end)
    whole = own.series(columns)
    which, ends = np.arange(4), np.full(4, end)
    tracks = [own.tracks(one, AHEAD) for one in whole]
    found = own.arrays(tracks, which, ends)
    alone = [own.arrays([own.tracks(one, AHEAD)], np.array([0]), np.array([end])) for one in whole]
    past = [own.tracks(one, AHEAD) for one in until(columns, own, end)]
    then = own.arrays(past, which, ends)
    for name, array in found.feeds.items():
        assert np.array_equal(array, then.feeds[name]), name
        assert np.array_equal(array, np.concatenate([one.feeds[name] for one in alone])), name
    assert np.array_equal(found.loc, then.loc)
    assert np.array_equal(found.scale, then.scale)


@pytest.mark.parametrize("normalise", ["standard", "mean"])
def test_what_is_usual_is_told_by_what_lies_before(normalise: str) -> None:
    random = np.random.default_rng(1)
    values, observed = random.normal(5, 2, 200), random.random(200) < 0.8
    told = typical_until(values, observed, 20, normalise)
    for end in (1, 2, 3, 19, 20, 21, 60, 199, 200):
        changed = np.where(np.arange(200) < end, values, 1e9)
        assert np.array_equal(typical_until(changed, observed, 20, normalise)[:end], told[:end])
    size = np.abs(values).mean() if normalise == "mean" else values.std()
    assert told[-1] == pytest.approx(size, rel=0.3)
    assert not typical_until(np.full(50, 7.0), np.ones(50, bool), 20, "standard").any()


def forecast(folder: Path, columns: dict[str, list[Any]], layout: Layout, **options: Any) -> Any:
    own = series_models.fitted(columns, layout, **options)
    return silmu.pipeline("time-series-forecasting", series_models.write(folder / "m", own))


def test_numbers_alone_are_of_none_of_several_targets(tmp_path: Path) -> None:
    days = [str(day) for day in DAYS[:30]]
    wide = {
        "day": days,
        "low": [float(i % 3) for i in range(30)],
        "high": [900.0 * i for i in range(30)],
    }
    pipe = forecast(tmp_path, wide, Layout(time="day", target=("low", "high")))
    [one] = pipe.preprocess([1.0, 2.0, 3.0])["series"]
    assert one.name == ""
    [low] = pipe.preprocess({"day": days[:3], "low": [1.0, 2.0, 3.0]})["series"]
    assert low.name == "low"


def test_what_is_filled_in_is_no_farther_than_what_is_observed(tmp_path: Path) -> None:
    columns = {"day": [str(day) for day in DAYS[:30]], "sold": [float(i % 3) for i in range(30)]}
    pipe = forecast(tmp_path, columns, Layout(time="day", target=("sold",)))
    found = pipe([1e90, None, None, None, None, None, None, 1.0, 2.0, 1.0])
    assert np.isfinite(found["mean"]).all()
    assert np.allclose(found["mean"], 1.0, atol=1e-3)


def test_numbers_that_a_network_cannot_hold_are_refused(tmp_path: Path) -> None:
    columns = {"day": [str(day) for day in DAYS[:30]], "sold": [float(i % 3) for i in range(30)]}
    layout = Layout(time="day", target=("sold",))
    pipe = forecast(tmp_path, columns, layout, normalise="none")
    with pytest.raises(InputError, match=r"has 1e\+39, which is larger than"):
        pipe([1.0, 2.0, 1e39])
    (tmp_path / "other").mkdir()
    usual = forecast(tmp_path / "other", columns, layout)
    assert np.isfinite(usual([1.0, 2.0, 1e39])["mean"]).all()


@pytest.mark.parametrize("name", ["time", "target", "group"])
@pytest.mark.parametrize("given", [5, [1], {"a": 1}])
def test_names_of_columns_are_texts(tmp_path: Path, name: str, given: Any) -> None:
    random = np.random.default_rng(0)
    layout = Layout(time="day", group=("shop",), target=("sold",))
    pipe = forecast(tmp_path, table(random, ["a", "bb"]), layout)
    with pytest.raises(silmu.errors.WrongTypeError, match="it must name columns"):
        pipe([1.0, 2.0], **{name: given})


Cube = NDArray[np.float64]


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 12))
@settings(max_examples=100, deadline=None)
def test_quantiles_stay_in_order_where_a_forecast_goes_on(seed: int, once: int, more: int) -> None:
    random = np.random.default_rng(seed)
    quantiles: Cube = np.sort(random.normal(size=(3, once + more, 9)), axis=-1)
    found = horizon.grown(quantiles, once, 4)
    assert (np.diff(found, axis=-1) >= 0).all()
    assert np.array_equal(found[:, :once], quantiles[:, :once])
    assert np.array_equal(found[..., 4], quantiles[..., 4])
