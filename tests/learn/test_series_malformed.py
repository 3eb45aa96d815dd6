"""No series, however malformed, is read wrongly: an error that names the row, or rows counted.

Whatever is collected can be looked at by the checks.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from malformed_series import CASES, EITHER, ERROR, Case, Columns
from silmu.errors import InputError, SilmuError, UsageError
from silmu.runtime import cells
from silmu.steps.collect import collect, series
from silmu.steps.collect.checks import check
from silmu.steps.collect.dataset import Dataset


def outcome(source: Any, folder: Path, case: Case) -> Dataset | SilmuError:
    try:
        return collect(source, folder, kind="series", series=case.settings, **case.roles)
    except SilmuError as error:
        assert not folder.exists()
        return error


def as_csv(table: Columns, path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path


def is_text(table: Columns) -> bool:
    """Whether a CSV holds the same as the table, so that both must come to the same."""
    return all(isinstance(one, str | None) for column in table.values() for one in column)


def judge(found: Dataset | SilmuError, table: Columns, case: Case) -> None:
    if isinstance(found, SilmuError):
        assert case.expected in (ERROR, EITHER), found
        assert isinstance(found, InputError | UsageError), type(found)
        told = str(found)
        assert case.words.lower() in told.lower(), told
        if case.row is not None:
            assert re.search(rf"\brows? ([\d,]+(, | and ))*{case.row:,}\b", told), told
        assert len(told) < 900, told
        return
    assert case.expected in ("a dataset", EITHER), found.column(found.roles.target[0])
    rows = len(next(iter(table.values())))
    dropped = sum(drop.count for drop in found.dropped)
    assert found.rows_in == rows
    assert found.num_rows + dropped == rows
    if case.expected != EITHER:
        assert dropped == case.dropped
    lost = sorted(number for drop in found.dropped for number in drop.rows)
    assert sorted([*found.row_numbers.tolist(), *lost]) == [*range(1, rows + 1)]
    every_value_is_there(found, table)
    for one in check(found, kind="series"):
        assert one.cure
        assert one.message


def every_value_is_there(found: Dataset, table: Columns) -> None:
    """No value of a row that is kept is lost: it is in a series, or shares its step."""
    read = series.read(found)
    kept = found.row_numbers - 1
    there = 0
    for name in found.roles.target:
        values = [table[name][row] for row in kept.tolist()]
        there += sum(not empty(value) for value in values)
    held = sum(int(one.observed.sum()) for one in read.series)
    assert held <= there
    assert there - held <= read.found.merged + read.found.repeated


def empty(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in cells.MISSING
    return cells.is_missing(value)


@pytest.mark.parametrize("name", CASES)
def test_a_malformed_series_ends_in_a_count_or_an_error(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = CASES[name]
    table = case.make()
    with caplog.at_level(logging.CRITICAL, "silmu"):
        judge(outcome(table, tmp_path / "rows", case), table, case)
        if is_text(table) and any(table.values()):
            path = as_csv(table, tmp_path / "a.csv")
            judge(outcome(path, tmp_path / "file", case), table, case)


def test_there_are_enough_series() -> None:
    assert len(CASES) >= 60
    errors: Sequence[Case] = [case for case in CASES.values() if case.expected == ERROR]
    assert len(errors) >= 40
    assert sum(case.row is not None for case in errors) >= 20


def test_a_stream_of_odd_cells_never_crashes(tmp_path: Path) -> None:
    odd = [
        *("", " ", "NA", "nan", "inf", "1e309", "-1", "0", "2024-01-05", "5.1.2024", "soon"),
        *("2024-02-30", "12:00", "1,5", "1,200", "$5", "9" * 30, "\u0661", "\uff10", "true", "[1]"),
    ]
    draw = np.random.default_rng(0)
    for number in range(60):
        rows = int(draw.integers(1, 8))
        table = {
            name: [odd[place] for place in draw.integers(0, len(odd), rows)]
            for name in ("date", "city", "value")[: int(draw.integers(1, 4))]
        }
        roles: dict[str, Any] = {"time": "date"} if draw.random() < 0.5 else {}
        if "value" in table and draw.random() < 0.5:
            roles["target"] = "value"
        found = outcome(table, tmp_path / str(number), Case(dict, EITHER, roles=roles))
        if isinstance(found, Dataset):
            assert found.rows_in == rows
            check(found, kind="series")
        else:
            assert isinstance(found, InputError | UsageError)
