"""`silmu use --data` with a model of tables and columns that have types."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import silmu
from silmu import cli
from silmu.cli import _scoring

MODELS = Path(__file__).parent.parent / "models"
SINGLE, NUMBER, NUMBERS = (MODELS / f"table-{kind}" for kind in ("single", "number", "numbers"))
GOLDEN = json.loads((MODELS.parent / "golden" / "tables.json").read_bytes())


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_scoring, "TABLE_GROUP", 5)


def use(model: Path, data: Path, output: Path, *options: str) -> Any:
    command = ["use", str(model), "--data", str(data), "--output", str(output), *options]
    assert cli.main(command) == 0
    return pq.read_table(output) if output.suffix == ".parquet" else output.read_text()


def test_columns_keep_their_types_and_answers_have_theirs(tmp_path: Path) -> None:
    given = GOLDEN["table-number"]["rows"]
    table = pa.table(
        {
            "id": pa.array(range(12), pa.int8()),
            "a": pa.array([row["a"] for row in given]),
            "b": pa.array([*[row["b"] for row in given[:-2]], 1e9, None], pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=7)
    found = use(NUMBER, tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert found.select(table.column_names).equals(table)
    kinds = {name: pa.float64() for name in ("prediction", "low", "high")}
    kinds |= {name: pa.string() for name in ("flags", "error")}
    assert {name: found.schema.field(name).type for name in found.column_names[3:]} == kinds
    answers = silmu.pipeline(model=str(NUMBER))(table)
    for name in ("prediction", "low", "high"):
        assert found[name].to_pylist() == pytest.approx([one[name] for one in answers], rel=1e-5)
    assert found["flags"].to_pylist()[:-2] == [None] * 10
    assert [json.loads(flags) for flags in found["flags"].to_pylist()[-2:]] == [
        one["flags"] for one in answers[-2:]
    ]


def test_several_numbers_are_one_object(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [0.5], "b": [50]}), tmp_path / "a.parquet")
    [row] = use(NUMBERS, tmp_path / "a.parquet", tmp_path / "b.parquet").to_pylist()
    found = silmu.pipeline(model=str(NUMBERS))({"a": 0.5, "b": 50})
    for name in ("prediction", "low", "high"):
        assert json.loads(row[name]) == pytest.approx(found[name], rel=1e-5)


def test_typed_cells_are_answered_as_texts_are(tmp_path: Path) -> None:
    rows = GOLDEN["table-single"]["rows"]
    texts = pa.Table.from_pylist(rows)
    seen = [datetime.datetime.fromisoformat(row["seen"]) for row in rows]
    due = [datetime.datetime.fromisoformat(row["due"]) for row in rows]
    born = [datetime.datetime.strptime(row["born"], "%d/%m/%Y") for row in rows]
    typed = {
        "age": pa.array([row["age"] and int(row["age"]) for row in rows], pa.int16()),
        "fare": pa.array([float(row["fare"]) for row in rows]),
        "sex": pa.array([row["sex"] for row in rows]).dictionary_encode(),
        "member": pa.array([row["member"] == "true" for row in rows]),
        "seen": pa.array(seen, pa.timestamp("ns")),
        "due": pa.array(due, pa.timestamp("ms", "Asia/Seoul")),
        "born": pa.array([day.date() for day in born], pa.date32()),
    }
    table = texts
    for name, column in typed.items():
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(texts, tmp_path / "texts.parquet")
    pq.write_table(table, tmp_path / "typed.parquet")
    first = use(SINGLE, tmp_path / "texts.parquet", tmp_path / "a.parquet")
    second = use(SINGLE, tmp_path / "typed.parquet", tmp_path / "b.parquet")
    for name in ("prediction", "score", "flags"):
        assert second[name].to_pylist() == first[name].to_pylist()
    assert {*second["flags"].to_pylist()} == {None}


def test_a_query_says_which_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [0.5, 0.6], "b": [50, 51]}), tmp_path / "a.parquet")
    query = "query=SELECT x AS a, b FROM data WHERE b > 50"
    told = use(NUMBER, tmp_path / "a.parquet", tmp_path / "b.csv", "--set", query)
    header, row = told.splitlines()
    assert header == "a,b,prediction,low,high,flags,error"
    assert row.startswith("0.6,51,")


def test_times_finer_than_those_of_python(tmp_path: Path) -> None:
    nanoseconds = pa.array([1_700_000_000_000_000_001], pa.timestamp("ns"))
    table = pa.table({"a": [0.5], "b": [50], "at": nanoseconds})
    pq.write_table(table, tmp_path / "a.parquet")
    told = use(NUMBER, tmp_path / "a.parquet", tmp_path / "b.csv").splitlines()
    assert told[1].startswith("0.5,50,2023-11-14 22:13:20.000000001,")
    found = use(NUMBER, tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert found.select(table.column_names).equals(table)
