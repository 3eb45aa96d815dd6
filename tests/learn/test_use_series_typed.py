"""Forecasts of data frames and of Parquet, and quantiles beside those of scipy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

import series_models
import silmu
from silmu import cli
from silmu.runtime.series import student
from test_series_windows import LAYOUT, LONG, long_rows, rows


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("series") / "one"
    return series_models.write(folder, series_models.fitted(rows(), LAYOUT))


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("series") / "shops"
    return series_models.write(folder, series_models.fitted(long_rows(), LONG), "rnn")


def close(found: Any, expected: Any) -> bool:
    same_times = [found["time"], *found["quantiles"]] == [expected["time"], *expected["quantiles"]]
    return same_times and np.allclose(found["mean"], expected["mean"], rtol=1e-5)


def test_data_frames(one: str) -> None:
    pipe = silmu.pipeline(model=one)
    columns = rows(20)
    expected = pipe(columns)
    frame = pd.DataFrame(columns).assign(day=lambda own: pd.to_datetime(own["day"]))
    # Of pandas, times may lie beside the columns, under any name or none.
    for given in (
        frame,
        frame.set_index("day"),
        pd.DataFrame(columns).set_index("day"),
        frame.set_index("day").rename_axis("when"),
        frame.set_index("day").rename_axis(None),
        frame.set_index("day")["sold"],
        frame.sample(frac=1, random_state=0),
        pa.Table.from_pandas(frame),
        frame.to_dict("records"),
        frame.to_dict("list"),
    ):
        assert close(pipe(given), expected)
    assert pipe(frame["sold"])["time"] == [1, 2, 3]
    assert pipe([frame, frame["sold"]])[0]["time"] == expected["time"]


def test_missing_values_of_data_frames(shops: str) -> None:
    pipe = silmu.pipeline(model=shops)
    frame = pd.DataFrame(long_rows())
    found = pipe(frame)
    assert [answer["series"] for answer in found] == ["A", "B"]
    typed = frame.convert_dtypes()
    assert all(map(close, pipe(typed), found))


@pytest.mark.parametrize("output", ["forecast.parquet", "forecast.csv"])
def test_parquet(shops: str, tmp_path: Path, output: str) -> None:
    frame = pd.DataFrame(long_rows()).assign(day=lambda own: pd.to_datetime(own["day"]))
    frame.to_parquet(tmp_path / "history.parquet")
    target = tmp_path / output
    assert (
        cli.main(["use", shops, "--data", f"{tmp_path}/history.parquet", "--output", str(target)])
        == 0
    )
    found = pq.read_table(target).to_pandas() if "parquet" in output else pd.read_csv(target)
    assert list(found.columns) == ["series", "time", "mean", *(f"0.{i}" for i in range(1, 10))]
    expected = silmu.pipeline(model=shops)(long_rows())
    assert found["time"].tolist() == [time for answer in expected for time in answer["time"]]
    assert np.allclose(found["mean"], [one for answer in expected for one in answer["mean"]])
    assert found["0.9"].dtype == np.float64


def test_quantiles_of_t_are_those_of_scipy() -> None:
    shares = [0.001, 0.025, 0.1, 0.3, 0.5, 0.6, 0.9, 0.999]
    freedom = np.concatenate([np.linspace(1, 5, 401), np.geomspace(5, 1e9, 200)])
    found = student.quantiles(shares, freedom)
    distribution: Any = stats.t
    expected = distribution.ppf(shares, freedom[:, None])
    away = np.abs(found - expected)
    assert (away / np.maximum(np.abs(expected), 1)).max() < 1e-6
    assert away[100:].max() < 1e-6  # from two degrees of freedom on, as networks give them
