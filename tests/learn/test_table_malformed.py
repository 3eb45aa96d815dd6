"""Tables that are broken in every way, as tables: a typed error, or rows counted as dropped.

What is wrong with a file is what is wrong for texts too, and comes from there; what its cells hold
is of this file. Whatever is collected can be looked at by the checks.
"""

from __future__ import annotations

import datetime
import decimal
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import test_collect_malformed as malformed

from silmu.errors import InputError, SilmuError, UsageError
from silmu.steps.collect.checks import check
from silmu.steps.collect.dataset import Dataset


def outcome(source: Any, folder: Path, **options: Any) -> Dataset | SilmuError:
    """As of texts; what is kept is also checked, as labels and as numbers."""
    given = {"kind": "table", "input": None, **options}
    found = malformed.outcome(source, folder, **given)
    if isinstance(found, Dataset):
        for answers in ("labels", "numbers"):
            assert all(one.cure for one in check(found, kind="table", answers=answers))
    return found


@pytest.mark.parametrize(("kind", "name", "data"), malformed.CATALOGUE)
def test_a_broken_file_ends_in_a_count_or_an_error(
    tmp_path: Path, kind: str, name: str, data: bytes
) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(data)
    found = outcome(path, tmp_path / "dataset")
    if name in ("empty", "header only", "only NUL", "only nulls", "gzip cut", "bz2 cut"):
        assert isinstance(found, SilmuError)
    if name in ("constant", "all unique", "one row", "odd values", "a long field"):
        assert isinstance(found, Dataset), found
        assert found.dropped == ()


# Where a second mark of byte order is part of a name, which no table needs.
@pytest.mark.parametrize("name", [name for name in malformed.TABLES if name != "mark twice"])
def test_a_table_that_is_written_wrongly(tmp_path: Path, name: str) -> None:
    data, wanted = malformed.TABLES[name]
    (tmp_path / "a.csv").write_bytes(data)
    found = outcome(tmp_path / "a.csv", tmp_path / "dataset")
    if wanted is None:
        assert isinstance(found, SilmuError), found
    else:
        assert isinstance(found, Dataset), found
        assert (found.num_rows, found.rows_in) == wanted


@pytest.mark.parametrize("name", malformed.JSONS)
def test_json_that_is_written_wrongly(tmp_path: Path, name: str) -> None:
    text, wanted = malformed.JSONS[name]
    (tmp_path / "a.json").write_text(text)
    found = outcome(tmp_path / "a.json", tmp_path / "dataset")
    if wanted is None:
        assert isinstance(found, SilmuError), found
    else:
        assert isinstance(found, Dataset), found
        assert (found.num_rows, found.rows_in) == wanted


# ── cells ──────────────────────────────────────────────────────────────────────────────────────

CELLS: dict[str, list[str]] = {
    "beyond 64 bits": ["9223372036854775808", "-9223372036854775809", "1" * 100_000],
    "beyond floats": ["1e309", "-1e309", "1e-400", "5e-324", "-0.0"],
    "no numbers": ["NaN", "inf", "-Infinity", "1_000", "0x1F", "1e", ".", "+", "--5"],
    "locale numbers": ["1.234,56", "1,234.56", "1 234,56", "1'234.5", "١٢٣", "\uff11\uff12\uff13"],
    "leading zeros": ["007", "0012", "000"],
    "ids of 16 digits": ["1234567890123456", "1234567890123457", "1.234567890123457E+15"],
    "days there are not": ["2024-02-30", "2023-02-29", "2024-13-01", "0000-00-00", "2024-00-10"],
    "the ends of time": ["0001-01-01", "9999-12-31", "10000-01-01", "-0044-03-15", "1582-10-10"],
    "leap seconds and skipped hours": ["2016-12-31T23:59:60Z", "2024-03-31 02:30 Europe/Berlin"],
    "zones mixed": ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00+14:00", "2024-01-01 00:00"],
    "orders mixed": ["01/02/2024", "13/02/2024", "02/13/2024", "2024/02/13"],
    "truths": ["TRUE", "true", "yes", "Y", "1", "0", "no", "N", "False", "off", "참", "아니오"],
    "words for none": ["NA", "N/A", "null", "None", "nil", "?", "-", ".", "#N/A", "NaT", "<NA>"],
    "formulas": ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1"],
    "errors of spreadsheets": ["#REF!", "#DIV/0!", "#VALUE!", "#NAME?"],
    "code": ["<script>alert(1)</script>", "'; DROP TABLE t; --", "{{7*7}}", "${jndi:x}", "%s%n"],
    "blanks": ["\u00a0", "\u3000x\u3000", "\u200b", " a", "a\t", "\ufeff1"],
    "one letter in several ways": ["é", "e\u0301", "É", "\uff45", "\u212f"],
    "signs that turn": ["\u202eabc", "\u2066x\u2069", "\u061c1"],
    "marks": ["e" + "\u0301" * 5000, "👨‍👩‍👧" * 500],
    "percent and money": ["12 %", "$1,200.50", "€ 3", "1.5k", "(300)", "3,5 kg", "300 g"],
    "fractions": ["1/2", "½", "3:4", "1e3/2"],
    "long numbers": ["0." + "1" * 10_000, "1" * 400, "1e" + "9" * 100],
    "lists as texts": ["[1, 2]", "{'a': 1}", "a;b;c", "a|b", '["x"]'],
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("role", ["input", "target"])
def test_odd_cells_are_kept_as_they_are(tmp_path: Path, name: str, kind: str, role: str) -> None:
    odd = CELLS[name]
    cells = [*odd, *(str(n % 40) for n in range(80)), *odd]
    other = [str(n * 7 % 13) for n in range(len(cells))]
    rows = [list(pair) for pair in zip(cells, other, strict=True)]
    path = tmp_path / f"a.{kind}"
    path.write_bytes(malformed.SEEDS[kind](["odd", "plain"], rows))
    target = "odd" if role == "target" else "plain"
    found = outcome(path, tmp_path / "dataset", target=target)
    assert isinstance(found, Dataset), found
    kept = [cells[number - 1] for number in found.row_numbers.tolist()]
    assert found.column("odd").to_pylist() == kept
    # Only what is blank is lost, and in a target of numbers what says that there is none.
    lost = {cells[number - 1] for drop in found.dropped for number in drop.rows}
    assert all(not cell.strip("\u200b\ufeff \u00a0") or name == "words for none" for cell in lost)
    if role == "input":
        assert {drop.reason for drop in found.dropped} <= {"every input is missing"}


# ── types ──────────────────────────────────────────────────────────────────────────────────────

Y = pa.array([1.0, 2.0, 3.0])


def _deep(levels: int) -> Any:
    kind: Any = pa.int64()
    for _ in range(levels):
        kind = pa.list_(kind)
    return kind


TYPED: dict[str, Callable[[], Any]] = {
    "whole numbers of all sizes": lambda: pa.table(
        {
            **{str(t): pa.array([0, 1, None], t) for t in (pa.int8(), pa.uint8(), pa.int16())},
            "u": pa.array([2**64 - 1, 0, None], pa.uint64()),
            "i": pa.array([-(2**63), 2**63 - 1, None]),
            "y": Y,
        }
    ),
    "floats that are none": lambda: pa.table(
        {
            "x": [math.nan, math.inf, -math.inf],
            "h": pa.array([1.5, -0.0, None], pa.float16()),
            "y": Y,
        }
    ),
    "decimals": lambda: pa.table(
        {
            "a": pa.array([decimal.Decimal("1.10"), None, decimal.Decimal("-3.00")]),
            "b": pa.array([decimal.Decimal(9) ** 38, None, None], pa.decimal128(38, 0)),
            "c": pa.array([decimal.Decimal(9) ** 70, None, None], pa.decimal256(76, 0)),
            "y": Y,
        }
    ),
    "times": lambda: pa.table(
        {
            **{
                f"t {unit} {zone}": pa.array([0, 2**31, None], pa.timestamp(unit, zone))
                for unit in ("s", "ms", "us", "ns")
                for zone in (None, "Asia/Seoul")
            },
            "ends": pa.array([-62135596800, 253402300799, None], pa.timestamp("s")),
            "beyond": pa.array([10**13, -(10**13), None], pa.timestamp("s")),
            "day": pa.array([-719162, 2932896, None], pa.date32()),
            "far day": pa.array([2**31 - 1, -(2**31), None], pa.date32()),
            "day 64": pa.array([0, 86_400_000, None], pa.date64()),
            "time": pa.array([0, 86399, None], pa.time32("s")),
            "length": pa.array([1, -(2**62), None], pa.duration("ns")),
            "y": Y,
        }
    ),
    "nested": lambda: pa.table(
        {
            "list": [[1], [], None],
            "fixed": pa.array([[1, 2], [3, 4], None], pa.list_(pa.int8(), 2)),
            "struct": [{"a": 1}, {"a": None}, None],
            "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
            "deep": pa.array([None, None, None], _deep(30)),
            "y": Y,
        }
    ),
    "bytes": lambda: pa.table(
        {"a": [b"\x00\xff", b"", None], "b": pa.array([b"12", b"34", None], pa.binary(2)), "y": Y}
    ),
    "texts of all kinds": lambda: pa.table(
        {
            "large": pa.array(["a", "", None], pa.large_string()),
            "view": pa.array(["a", "b", None], pa.string_view()),
            "levels": pa.array(["a", "b", None]).dictionary_encode(),
            "none in the levels": pa.DictionaryArray.from_arrays([0, 1, 1], ["a", None]),
            "y": Y,
        }
    ),
    "no values": lambda: pa.table({"a": pa.nulls(3), "b": pa.nulls(3, pa.bool_()), "c": Y, "y": Y}),
    "a union": lambda: pa.table(
        {
            "u": pa.UnionArray.from_dense(
                pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()),
                [pa.array([1, 2]), pa.array(["x"])],
            ),
            "y": Y,
        }
    ),
    "runs": lambda: pa.table({"r": pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]), "y": Y}),
    "two of one name": lambda: pa.Table.from_arrays([Y, Y, Y], ["a", "a", "y"]),
    "a name that is empty": lambda: pa.table({"": [1, 2, 3], "y": Y}),
    "no other column": lambda: pa.table({"y": Y}),
    "no rows": lambda: pa.table({"a": Y[:0], "y": Y[:0]}),
}  # fmt: skip
REFUSED = {"two of one name", "no other column", "no rows"}
MAY_BE_REFUSED = {"a union", "runs"}


@pytest.mark.parametrize("name", TYPED)
@pytest.mark.parametrize("kind", ["memory", "parquet", "arrow"])
def test_columns_of_every_type(tmp_path: Path, name: str, kind: str) -> None:
    table = TYPED[name]()
    source: Any = table
    try:
        if kind == "parquet":
            source = tmp_path / "a.parquet"
            pq.write_table(table, source)
        elif kind == "arrow":
            source = tmp_path / "a.arrow"
            with pa.ipc.new_file(str(source), table.schema) as file:
                file.write_table(table)
    except (pa.ArrowException, KeyError):
        return  # Arrow does not write it either
    found = outcome(source, tmp_path / "dataset", target="y")
    if name in REFUSED:
        assert isinstance(found, SilmuError)
    elif name not in MAY_BE_REFUSED:
        assert isinstance(found, Dataset), found
        assert found.rows_in == 3


# ── programs' rows, and databases ──────────────────────────────────────────────────────────────

ROWS: dict[str, tuple[Any, bool]] = {
    "mixed types": ([{"a": 1, "y": 1}, {"a": "x", "y": 2}, {"a": [1], "y": 3}], True),
    "whole and beyond": ([{"a": 2**70, "y": 1}, {"a": 1, "y": 2}], True),
    "truths and numbers": ([{"a": True, "y": 1}, {"a": 2, "y": 2}], True),
    "other columns in each row": ([{"a": 1, "y": 1}, {"b": 2, "y": 2}, {"y": 3}], True),
    "decimals and days": (
        [{"a": decimal.Decimal("1.5"), "b": datetime.date(2024, 2, 29), "y": 1}], True,
    ),
    "times with and without a zone": (
        [{"a": datetime.datetime(2024, 1, 1), "y": 1},
         {"a": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), "y": 2}], True,
    ),
    "complex numbers and sets": ([{"a": 1j, "b": {1}, "y": 1}], True),
    "half a character": ([{"a": "\ud800", "y": 1}, {"a": "x", "y": 2}], True),
    "only half characters": ([{"a": "\ud800", "y": 1}], False),
    "targets of several types": ([{"a": 1, "y": 1}, {"a": 2, "y": "x"}], True),
    "no targets": ([{"a": 1, "y": None}, {"a": 2, "y": math.nan}], False),
    "no inputs": ([{"a": None, "b": " ", "y": 1}, {"a": math.nan, "y": 2}], False),
    "a target that is a list": ([{"a": 1, "y": ["p", "q"]}, {"a": 2, "y": []}], True),
    "empty rows": ([{}, {}], False),
    "names of other types": ([{1: 2, "y": 1}], False),
    "nothing": ([], False),
    "a row that is none": ([{"a": 1, "y": 1}, 7], False),
    "columns of unequal lengths": ({"a": [1, 2], "y": [1]}, False),
    "a number": (7, False),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_a_program(tmp_path: Path, name: str) -> None:
    rows, good = ROWS[name]
    found = outcome(rows, tmp_path / "dataset", target="y")
    assert isinstance(found, Dataset if good else SilmuError), found


def test_values_of_a_database_of_any_type(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a, b BLOB, y)")
        values = [(1, b"\xff", 1), ("x", None, 2), (1.5, "text", 3), (None, 7, 4), (9e999, -1, 5)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [*values, (None, None, 6)])
        connection.execute("INSERT INTO t VALUES (CAST(x'fffe' AS TEXT), 1, 7)")
    connection.close()
    found = outcome(path, tmp_path / "dataset", target="y")
    assert isinstance(found, Dataset), found
    assert {drop.reason: drop.rows for drop in found.dropped} == {
        "it holds half a character (a lone surrogate)": (7,),
        "every input is missing": (6,),
    }


# ── sizes and files ────────────────────────────────────────────────────────────────────────────


def test_a_table_may_be_wide_and_its_levels_many(tmp_path: Path) -> None:
    wide = tmp_path / "wide.csv"
    names = ",".join(f"c{n}" for n in range(500))
    wide.write_text(f"{names},y\n" + "".join(f"{'1,' * 500}{n}\n" for n in range(5)))
    found = outcome(wide, tmp_path / "dataset", target="y")
    assert isinstance(found, Dataset)
    assert len(found.roles.input) == 500
    many = tmp_path / "many.csv"
    many.write_text("level,y\n" + "".join(f"level {n},{n % 2}\n" for n in range(150_000)))
    found = outcome(many, tmp_path / "many", target="y")
    assert isinstance(found, Dataset)
    assert found.num_rows == 150_000


def test_a_target_that_some_splits_lack(tmp_path: Path) -> None:
    rows = [
        {"a": n, "y": n % 2 if n < 8 else None, "split": "train" if n < 8 else "test"}
        for n in range(12)
    ]
    found = outcome(rows, tmp_path / "dataset", target="y")
    assert isinstance(found, Dataset)
    assert {drop.reason: drop.rows for drop in found.dropped} == {"`y` is missing": (9, 10, 11, 12)}


def test_files_that_come_and_go(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for n in range(300):
        (folder / f"{n:03}.csv").write_text(f"a,y\n{n},{n % 2}\n")
    (folder / "300.csv").symlink_to(folder / "000.csv")
    found = outcome(str(folder / "*.csv"), tmp_path / "dataset", target="y")
    assert isinstance(found, Dataset)
    assert found.num_rows == 301
    (folder / "301.csv").write_text("a,b,y\n1,2,3\n")
    assert isinstance(outcome(folder, tmp_path / "other", target="y"), InputError)
    assert isinstance(outcome(f"{folder}/*.tsv", tmp_path / "other", target="y"), UsageError)
    (folder / "301.csv").unlink()
    (folder / "301.csv").symlink_to(folder / "nothing")
    assert isinstance(outcome(folder, tmp_path / "third", target="y"), Dataset | SilmuError)


def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [1, 2], "y": [1, 2]}), path)
    data = path.read_bytes()
    path.write_bytes(b"PARE" + data[4:-4] + b"PARE")
    assert isinstance(outcome(path, tmp_path / "dataset", target="y"), InputError)
    path.write_bytes(data[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1")
    assert isinstance(outcome(path, tmp_path / "dataset", target="y"), InputError)


def test_the_catalogue_is_large() -> None:
    of_files = len(malformed.CATALOGUE) + len(malformed.TABLES) + len(malformed.JSONS)
    assert of_files + 6 * len(CELLS) + 3 * len(TYPED) + len(ROWS) >= 400
