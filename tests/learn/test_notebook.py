"""The notebook of examples, executed: its cells, one after another, in a process of their own."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "kaggle_table.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    return notebook["cells"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_is_kept_without_outputs(cells: list[dict[str, Any]]) -> None:
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in cells:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
        else:
            assert {*cell} == {"cell_type", "id", "metadata", "source"}


@pytest.mark.timeout(900)
def test_from_train_csv_and_test_csv_to_submission_csv(
    cells: list[dict[str, Any]], tmp_path: Path
) -> None:
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    budget = '"budget": "20s"'
    assert code.count(budget) == 1
    (tmp_path / "cells.py").write_text(code.replace(budget, '"budget": "6s"'), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "cells.py"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for said in ("985 rows: nothing wrong", "`Age`: perhaps in another unit", "'M', 'F'"):
        assert said in done.stdout

    given, answered = rows(tmp_path / "test.csv"), rows(tmp_path / "submission.csv")
    truth = {row["PassengerId"]: row["Survived"] for row in rows(tmp_path / "truth.csv")}
    assert "Survived" not in given[0]
    assert [list(row) for row in answered[:1]] == [["PassengerId", "Survived"]]
    assert [row["PassengerId"] for row in answered] == [row["PassengerId"] for row in given]
    assert len({row["PassengerId"] for row in answered}) == len(answered) == len(truth) == 328
    labels = {row["Survived"] for row in rows(tmp_path / "train.csv")}
    assert {row["Survived"] for row in answered} == labels
    right = sum(row["Survived"] == truth[row["PassengerId"]] for row in answered)
    assert right > max(Counter(truth.values()).values()) + 20
