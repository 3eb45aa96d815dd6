"""Series cut by time: what is learnt from, what judges, and what is sealed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from silmu.errors import InputError, UsageError
from silmu.runtime.series.frame import Series
from silmu.runtime.series.steps import Step
from silmu.steps.collect import collect
from silmu.steps.collect.dataset import Dataset
from silmu.steps.prepare import prepare_series
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.series import (
    SeriesFeatures,
    cuts_of,
    features,
    processor_of,
    whole,
)
from silmu.steps.prepare.settings import SeriesSettings
from silmu.steps.prepare.windows import Cuts, context, cut, season_of, windows

DAY = Step("day")
START = np.datetime64("2022-01-01")


def rows(steps: int = 400, *, series: int = 1, seed: int = 0) -> list[dict[str, Any]]:
    """Daily series with a week in them, some days missing."""
    random = np.random.default_rng(seed)
    found: list[dict[str, Any]] = []
    for one in range(series):
        for day in range(steps):
            value = 10 * (one + 1) + np.sin(2 * np.pi * day / 7) + 0.1 * random.normal()
            if day % 53 == 11:
                continue
            row = {"date": str(START + day), "sales": round(float(value), 4)}
            found.append({"shop": f"shop {one}", **row} if series > 1 else row)
    return found


def prepared(place: Path, given: list[dict[str, Any]], **settings: Any) -> Prepared:
    dataset = collect(given, place / "1-dataset", kind="series", target="sales")
    return prepare_series(dataset, place / "2-prepared", settings=settings)


def line(first: int, steps: int) -> Series:
    return Series("", first, np.arange(steps, dtype=np.float64), {})


@pytest.mark.parametrize("series", [1, 3])
def test_no_target_of_one_part_lies_in_another(tmp_path: Path, series: int) -> None:
    found = prepared(tmp_path, rows(series=series), prediction_length=7, gap=2)
    cuts = cuts_of(found)
    sides: dict[str, set[int]] = {}
    for name in ("train", "validation"):
        part = features(found, name)
        first = np.array([one.first for one in whole(found)])
        ends = part.windows[:, 1] + first[part.windows[:, 0]]
        sides[name] = {int(end) + ahead for end in ends for ahead in range(7)}
    first = np.array([one.first for one in whole(found)])
    end = max(one.end for one in whole(found))
    which, ends = windows(whole(found), cuts.test, end, 14, 7).T
    sides["test"] = {int(e) + ahead for e in ends + first[which] for ahead in range(7)}
    assert max(sides["train"]) == cuts.validation - 3
    assert min(sides["validation"]) == cuts.validation
    assert max(sides["validation"]) == cuts.test - 3
    assert min(sides["test"]) == cuts.test
    assert max(sides["test"]) == max(one.first + len(one.values) for one in whole(found)) - 1


def test_training_holds_nothing_of_the_test(tmp_path: Path) -> None:
    given = rows()
    other = [dict(row) for row in given]
    for row in other[-50:]:
        row["sales"] = 1e6
    found = [prepared(tmp_path / str(i), one) for i, one in enumerate((given, other))]
    assert found[0].fitted == found[1].fitted
    for name in ("train", "validation"):
        ours, theirs = (features(one, name) for one in found)
        np.testing.assert_array_equal(ours.windows, theirs.windows)
        for a, b in zip(ours.tracks, theirs.tracks, strict=True):
            np.testing.assert_array_equal(a.values, b.values)
            np.testing.assert_array_equal(a.time_features, b.time_features)
    assert len(features(found[0], "validation").tracks[0]) <= 400 - 50


def test_what_is_fitted_is_of_the_training_part(tmp_path: Path) -> None:
    given = rows()
    other = [dict(row) for row in given]
    cuts = cuts_of(prepared(tmp_path / "a", given))
    count = sum(np.datetime64(row["date"]) < np.datetime64(cuts.validation, "D") for row in given)
    for row in other[count:]:
        row["sales"] *= 100
    a = Prepared.open(tmp_path / "a" / "2-prepared", Dataset.open(tmp_path / "a" / "1-dataset"))
    b = prepared(tmp_path / "b", other)
    assert processor_of(a).to_bytes() == processor_of(b).to_bytes()


def test_rows_have_sides_by_their_time(tmp_path: Path) -> None:
    given = [*rows(), {"date": "2023-03-01", "sales": None}, {"date": "2023-03-02", "sales": None}]
    found = prepared(tmp_path, given)
    dates = np.array([row["date"] for row in given])
    ends = [dates[found.rows(name)] for name in ("train", "validation", "test")]
    assert max(ends[0]) < min(ends[1]) <= max(ends[1]) < min(ends[2])
    assert max(ends[2]) < "2023-03-01"
    assert sum(found.counts.values()) == len(given) - 2
    assert list(found.left_out.values()) == [2]
    assert found.kind == "number"
    assert found.method == "time"


def test_windows_tell_what_came(tmp_path: Path) -> None:
    found = prepared(tmp_path, rows(), prediction_length=7)
    part, series = features(found, "validation"), whole(found)[0]
    told = part.told(np.asarray(part.windows), 7)
    for (_, end), came in zip(part.windows.tolist(), told, strict=True):
        np.testing.assert_array_equal(came, series.values[end : end + 7])
    assert np.isnan(told).any(), "a missing day is nothing to be told"


def test_features_are_passed_on_by_their_path(tmp_path: Path) -> None:
    part = features(prepared(tmp_path, rows()), "train")
    again: SeriesFeatures = pickle.loads(pickle.dumps(part))
    np.testing.assert_array_equal(again.windows, part.windows)
    assert len(pickle.dumps(part)) < 1000


def test_the_season_is_seen_in_the_training_part() -> None:
    week = np.tile([1.0, 2, 3, 4, 5, 9, 9], 40)
    assert season_of([week], DAY, 14) == 7
    assert season_of([np.cumsum(np.random.default_rng(0).normal(size=300))], DAY, 14) == 1
    assert season_of([np.tile([0.0, 1, 5, 1], 50)], Step("count"), 4) == 4
    assert season_of([np.full(100, 3.0)], DAY, 14) == 1


def test_contexts_fit_the_series() -> None:
    assert context(7, 14, 1000) == 32
    assert context(52, 13, 2000) == 104
    assert context(288, 12, 5000) == 288
    assert context(12, 12, 60) == 16, "a third of what there is"
    assert context(1, 1, 3) == 1


def test_cuts_leave_room_for_windows() -> None:
    found = cut([line(5, 100)], 10, 0.15, 0.15, 0)
    assert found == Cuts(65, 85)
    assert cut([line(0, 1000)], 10, 0.1, 0.2, 5) == Cuts(695, 800, 5)
    assert cut([line(0, 1000)], 10, 0.1, 0.4, 0) == Cuts(500, 600), "as much as was asked for"
    with pytest.raises(InputError, match=r"--set prediction_length=9") as error:
        cut([line(0, 40)], 10, 0.15, 0.15, 0)
    assert "40 steps, and at least 41" in str(error.value)


def test_short_series_beside_long_ones_are_read_too() -> None:
    series = [line(0, 200), line(150, 20), line(190, 10)]
    found = windows(series, 0, 200, 64, 7)
    counts = np.bincount(found[:, 0], minlength=3)
    assert counts.tolist() == [162, 8, 3]
    assert found[found[:, 0] == 1, 1].tolist() == [*range(6, 14)]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"fill": "spline"}, "fill is 'spline'; it may be linear"),
        ({"normalise": "x"}, "normalise is 'x'; it may be standard"),
        ({"prediction_length": 0}, "prediction_length is 0; it must be from 1"),
        ({"gap": -1}, "gap is -1"),
        ({"split": "hash"}, "series are split by time"),
        ({"validation": 0.5, "test": 0.5}, "leave nothing to train on"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("(", r"\(")):
        SeriesSettings.of(settings)


def test_series_that_are_too_short_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 57 are needed") as error:
        prepared(tmp_path, rows(40), prediction_length=14)
    assert "prediction_length=9" in str(error.value)
    assert not (tmp_path / "2-prepared").exists()


def test_it_is_opened_again(tmp_path: Path) -> None:
    found = prepared(tmp_path, rows())
    again = Prepared.open(found.path, found.dataset)
    assert again.counts == found.counts
    about = json.loads((found.path / "prepared.json").read_text())
    assert about["windows"]["train"] == len(features(again, "train"))
