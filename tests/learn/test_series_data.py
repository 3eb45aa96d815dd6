"""The real series of benchmarks and recipes are what their packages ship."""

from __future__ import annotations

import csv
import gzip
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import series_data  # noqa: E402 - it is no package


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [*csv.reader(file)]


def test_gaps_of_installed_series_stay_gaps(tmp_path: Path) -> None:
    co2, equipment = series_data.write(tmp_path, names=["co2", "elec_equip"])
    found = rows(co2)
    assert found[:2] == [["date", "co2"], ["1958-03-29", "316.1"]]
    assert sum(not value for _, value in found) == 59
    assert len(found) == 2285
    assert rows(equipment)[:2] == [["date", "turnover"], ["1995-01-01", "66.19"]]


def test_a_wheel_is_read_where_it_lies(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bokeh_sampledata-1-py3-none-any.whl", "w") as wheel:
        table = "Ticker,Date,Open,Close\nIBM,2000-03-01,1.5,2.5\nXOM,2000-03-01,3,4\n"
        wheel.writestr("bokeh_sampledata/_data/stocks.csv.gz", gzip.compress(table.encode()))
    (path,) = series_data.write(tmp_path / "out", tmp_path, ["stocks"])
    assert rows(path) == [["date", "symbol", "close"], ["2000-03-01", "IBM", "2.5"]]


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(SystemExit, match="no_such_package is not installed; see --wheels"):
        series_data.reader(None)("no_such_package/a.csv")
