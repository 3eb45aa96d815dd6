"""Collect for tables: what is read and told, what is dropped, and where rows come from."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from silmu import cli, registry
from silmu.errors import InputError, UnknownNameError, UsageError
from silmu.run import task_class
from silmu.steps.collect import KINDS, collect
from silmu.steps.collect.dataset import Dataset

Collect = Callable[..., Dataset]

HOUSES = """rooms,garden,built,district,price
3,yes,1990-05-01,North,210
2,,1971-01-01,,150
4,no,,South,
,,,,90
5,yes,2004-09-30,North,340
"""


@pytest.fixture
def run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Collect:
    """collect(kind="table") into a new folder each time."""
    caplog.set_level(logging.INFO, "silmu")
    count = iter(range(1000))

    def collected(source: Any, **options: Any) -> Dataset:
        dataset = collect(source, tmp_path / f"dataset-{next(count)}", kind="table", **options)
        dropped = sum(drop.count for drop in dataset.dropped)
        assert dataset.rows_in == dataset.num_rows + dropped
        assert len(dataset.row_numbers) == dataset.num_rows
        return dataset

    return collected


def content(dataset: Dataset) -> list[dict[str, Any]]:
    return [row for batch in dataset.batches() for row in batch.to_pylist()]


def drops(dataset: Dataset) -> dict[str, tuple[int, ...]]:
    return {drop.reason: drop.rows for drop in dataset.dropped}


def written(folder: Path, text: str, name: str = "houses.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# ── roles ──────────────────────────────────────────────────────────────────────────────────────


def test_inputs_are_all_that_is_left(run: Collect, tmp_path: Path) -> None:
    path = written(tmp_path, HOUSES)
    roles = run(path, target="price").roles
    assert roles.input == ("rooms", "garden", "built", "district")
    assert roles.target == ("price",)
    roles = run(path, target="price", group="district", time="built").roles
    assert roles.input == ("rooms", "garden")
    assert (roles.group, roles.time) == ("district", "built")
    named = run(path, target="price", time="built", input="built, rooms").roles
    assert named.input == ("built", "rooms")
    assert run(path, target="price,rooms").roles.target == ("price", "rooms")


def test_a_column_that_says_the_split_is_not_read(run: Collect) -> None:
    rows = [{"a": n, "y": n % 2, "split": "train" if n % 3 else "test"} for n in range(12)]
    roles = run(rows, target="y").roles
    assert (roles.input, roles.split) == (("a",), "split")


def test_a_target_is_guessed_by_its_name_alone(
    run: Collect, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"a": n, "b": n % 2, "Label": n % 3} for n in range(9)]
    assert run(rows).roles.target == ("Label",)
    assert "reading `Label` as what is to be told; give --target" in caplog.text
    caplog.clear()
    assert run(rows, target="Label").roles.input == ("a", "b")
    assert "reading" not in caplog.text
    few = [{"a": n, "b": n % 2} for n in range(9)]
    with pytest.raises(UsageError, match=r"(?s)which column is to be learned.*`a`, `b`"):
        run(few)
    with pytest.raises(UsageError, match=r"(?s)which column is to be learned.*`a`, `b`"):
        run(few, input="a")


def test_names_that_are_wrong_are_told(run: Collect, tmp_path: Path) -> None:
    path = written(tmp_path, HOUSES)
    with pytest.raises(UnknownNameError, match=r"(?s)no column `Prize` .*did you mean `price`"):
        run(path, target="Prize")
    for role in ("input", "group", "time"):
        with pytest.raises(UnknownNameError, match=f"to be the {role}"):
            run(path, **{"target": "price", role: "nothing"})
    with pytest.raises(UsageError, match="both an input and the target"):
        run(path, target="price", input="rooms,price")
    with pytest.raises(UsageError, match="no column is left to read beside `price`"):
        run([{"price": 1}, {"price": 2}], target="price")
    with pytest.raises(UsageError, match="kind is 'picture'"):
        collect(path, tmp_path / "d", kind="picture")


def test_a_group_is_suggested_by_a_name_of_many_values(
    run: Collect, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"paid": n % 2, "shop_id": n // 4, "kind id": n % 3, "y": n} for n in range(80)]
    run(rows, target="y")
    assert "`shop_id` looks like a group" in caplog.text
    assert "paid" not in caplog.text
    caplog.clear()
    run([{**row, "shop_id": 0} for row in rows], target="y")
    assert "looks like" not in caplog.text


def test_what_is_only_to_be_answered_needs_no_target(run: Collect, tmp_path: Path) -> None:
    path = written(tmp_path, "rooms,garden\n3,yes\n,no\n")
    dataset = run(path, target="price", need_target=False)
    assert (dataset.roles.input, dataset.roles.target) == (("rooms", "garden"), ())
    assert dataset.num_rows == 2
    with pytest.raises(UnknownNameError):
        run(path, target="price")
    holes = run(written(tmp_path, HOUSES), target="price", need_target=False)
    assert holes.num_rows == 4
    assert drops(holes) == {"every input is missing": (4,)}


# ── what is kept and what is dropped ───────────────────────────────────────────────────────────


def test_cells_stay_what_they_are(run: Collect, tmp_path: Path) -> None:
    dataset = run(written(tmp_path, HOUSES), target="price")
    assert {str(field.type) for field in dataset.schema} == {"string"}
    rows = content(dataset)
    assert rows[1] == {
        "rooms": "2",
        "garden": None,
        "built": "1971-01-01",
        "district": None,
        "price": "150",
    }
    typed = pa.table(
        {
            "n": pa.array([1, None, 3], pa.int8()),
            "x": pa.array([1.5, float("nan"), None]),
            "t": pa.array([0, None, 5], pa.timestamp("s")),
            "b": [True, None, False],
            "c": pa.array(["u", None, "v"]).dictionary_encode(),
            "m": [[1], None, []],
            "y": [0.0, 1.0, 2.0],
        }
    )
    path = tmp_path / "typed.parquet"
    pq.write_table(typed, path)
    for source in (typed, path, str(path), typed.to_pandas(types_mapper=pd.ArrowDtype)):
        dataset = run(source, target="y")
        assert dataset.roles.input == ("n", "x", "t", "b", "c", "m")
        assert drops(dataset) == {"every input is missing": (2,)}
        assert content(dataset)[0] == {
            "n": 1, "x": 1.5, "t": datetime.datetime(1970, 1, 1), "b": True, "c": "u", "m": [1],
            "y": 0.0,
        }  # fmt: skip


def test_rows_without_a_target_or_any_input_are_dropped_by_reason(
    run: Collect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = run(written(tmp_path, HOUSES), target="price")
    assert drops(dataset) == {"`price` is missing": (3,), "every input is missing": (4,)}
    assert dataset.row_numbers.tolist() == [1, 2, 5]
    assert "2 of 5 rows were dropped: 1 because `price` is missing" in caplog.text
    blank = run(written(tmp_path, "a,b,y\n ,\u3000,1\nx,,1\ny,z, \n"), target="y")
    assert drops(blank) == {"`y` is blank": (3,), "every input is missing": (1,)}
    several = run([{"a": 1, "y": 1, "z": None}, {"a": 1, "y": 0, "z": 0}], target="y,z")
    assert drops(several) == {"`z` is missing": (1,)}
    one = [{"x": float("nan"), "y": 1.0}, {"x": 1.0, "y": float("nan")}]
    with pytest.raises(InputError, match="none of the 2 rows"):
        run(one, target="y")


def test_words_for_no_number_are_none_in_a_target_of_numbers(run: Collect, tmp_path: Path) -> None:
    text = "a,y\n1,18.5\n2,NA\n3,?\n4,1e3\n5, nan \n6,-2\n"
    dataset = run(written(tmp_path, text), target="y")
    assert drops(dataset) == {"`y` says that there is no number, as NA does": (2, 3, 5)}
    labels = run(written(tmp_path, "a,y\n1,none\n2,mild\n3,severe\n4,none\n"), target="y")
    assert labels.dropped == (), "a label may be called none"
    kept = run(written(tmp_path, text), target="y", need_target=False)
    assert kept.num_rows == 6


def test_rows_that_repeat_are_kept(run: Collect, tmp_path: Path) -> None:
    path = written(tmp_path, "a,y\n" + "1,2\n" * 5)
    assert run(path, target="y").num_rows == 5


# ── the command line ───────────────────────────────────────────────────────────────────────────


def test_every_task_says_what_it_reads() -> None:
    told = {name: task_class(name).rows for name in registry.tasks()}
    # An environment has no rows: it is tried out, not read.
    assert set(told.values()) <= {*KINDS, "environment"}
    assert told["reinforcement-learning"] == "environment"
    assert told["text-classification"] == "text"
    assert {told[name] for name in told if name.startswith("tabular-")} == {"table"}


def test_the_command_collects_what_the_task_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, HOUSES)
    output = tmp_path / "run"
    command = ["collect", "tabular-regression", "--data", str(path), "--target", "price"]
    assert cli.main([*command, "--output", str(output)]) == 0
    out = capsys.readouterr()
    assert out.out == f"{output}\n"
    assert "collect: 5 rows = 3 kept + 2 dropped" in out.err
    assert "collect: dropped 1: `price` is missing" in out.err
    roles = Dataset.open(output / "1-dataset").roles
    assert roles.input == ("rooms", "garden", "built", "district")
    assert cli.main([*command[:3], str(path)]) == 2
    assert "name it: --target; there are `rooms`" in capsys.readouterr().err
