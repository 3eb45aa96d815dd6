"""Planted faults of tables are found, clean twins left in peace, and what only looks odd too."""

from __future__ import annotations

import csv
import datetime
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import planted_tables as planted
import pyarrow as pa
import pytest

from silmu import cli
from silmu.steps.collect import collect
from silmu.steps.collect.checks import Finding, check, reading
from silmu.steps.collect.dataset import Dataset

SEEDS = (30,)  # others than those that thresholds were chosen by


def look(rows: Any, folder: Path, answers: str = "labels", **roles: Any) -> list[Finding]:
    dataset = collect(rows, folder, kind="table", **roles)
    return check(dataset, kind="table", answers=answers)


def kinds(found: Sequence[Finding], severity: str | None = None) -> set[str]:
    return {one.kind for one in found if severity in (None, one.severity)}


def about(found: Sequence[Finding], kind: str) -> set[str]:
    """The columns that findings of a kind name first."""
    return {one.message.split("`")[1] for one in found if one.kind == kind}


def test_planted_faults_are_found_and_their_twins_are_not_blamed(tmp_path: Path) -> None:
    twins: dict[tuple[str, int], list[Finding]] = {}
    for base in dict.fromkeys(base for base, *_ in planted.FAULTS.values()):
        for seed in SEEDS:
            twin, folder = base(seed), tmp_path / f"twin {base.__name__} {seed}"
            twins[base.__name__, seed] = look(twin.rows, folder, twin.answers, **twin.roles)
    blamed = {name: found for name, found in twins.items() if kinds(found, "wrong")}
    missed: list[str] = []
    imagined: list[str] = []
    for fault, (base, _, kind, severity) in planted.FAULTS.items():
        for seed in SEEDS:
            made = planted.make(fault, seed)
            found = look(made.rows, tmp_path / f"{fault} {seed}", made.answers, **made.roles)
            hits = [one for one in found if (one.kind, one.severity) == (kind, severity)]
            named = {row for one in hits for row in one.rows}
            if not hits or (made.where and len(named & made.where) < 0.5 * len(named)):
                missed.append(fault)
            if kind in kinds(twins[base.__name__, seed]):
                imagined.append(fault)
    tried = len(planted.FAULTS) * len(SEEDS)
    assert len(planted.FAULTS) >= 12
    assert len(missed) <= 0.05 * tried, missed
    assert max(Counter(missed).values(), default=0) <= 1, missed
    assert len(imagined) <= 0.05 * tried, imagined
    assert len(blamed) <= 0.05 * len(twins), blamed


def test_every_finding_names_a_cure_and_rows_of_the_source(tmp_path: Path) -> None:
    made = planted.make("words among numbers", 0)
    made.rows[0]["stays" if "stays" in made.rows[0] else "spent"] = ""  # dropped, and counted
    made.where -= {1}
    found = look(made.rows, tmp_path / "d", made.answers, **made.roles)
    (odd,) = [one for one in found if one.kind == "cells of another kind"]
    assert {*odd.rows} == {*sorted(made.where)[:20]}
    assert odd.count == len(made.where)
    assert all(one.cure and one.message for one in found)


# ── what only looks odd ────────────────────────────────────────────────────────────────────────


def test_equal_rows_of_a_small_table_are_no_mistake(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [
        {"sex": draw.choice("fm"), "class": draw.choice("123"), "alive": draw.choice("yn")}
        for _ in range(300)
    ]
    assert kinds(look(rows, tmp_path / "d", target="alive"), "wrong") == set()
    for row in rows:
        row |= {"split": draw.choice(["train", "test"]), "size": str(draw.randrange(100))}
    assert kinds(look(rows, tmp_path / "e", target="alive"), "wrong") == set()


def test_strong_and_honest_predictors_are_no_leak(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = planted.labelled(0).rows
    for row in rows:
        good = row["stays"] == "yes"
        row["score"] = f"{draw.gauss(2.4 * good, 1):.3f}"  # an AUC of 0.955
        row["grade"] = draw.choices("ABC", [8, 3, 1] if good else [1, 3, 8])[0]
    assert "gives the target away" not in kinds(look(rows, tmp_path / "d", target="stays"))
    priced = planted.numbered(0).rows
    for row in priced:
        row["tax"] = f"{float(row['spent']) * 0.2 + draw.gauss(0, 10):.2f}"
    assert "gives the target away" not in kinds(
        look(priced, tmp_path / "e", "numbers", target="spent")
    )


def test_a_copy_of_the_target_is_a_leak_in_any_unit(tmp_path: Path) -> None:
    rows = planted.numbered(0).rows
    for row in rows:
        row["cents"] = str(round(float(row["spent"]) * 100))
    found = look(rows, tmp_path / "d", "numbers", target="spent")
    assert about(found, "gives the target away") == {"cents"}


def test_an_id_in_the_order_of_the_labels_is_no_leak(tmp_path: Path) -> None:
    rows = sorted(planted.labelled(0).rows, key=lambda row: row["stays"])
    for number, row in enumerate(rows):
        row["key"] = str(1000 + number)
    found = look(rows, tmp_path / "d", target="stays")
    assert about(found, "id column") == {"key"}
    assert "gives the target away" not in kinds(found)


@pytest.mark.parametrize(
    "values",
    [
        lambda draw: f"{draw.lognormvariate(12, 0.4):.0f}",  # prices of houses
        lambda draw: str(draw.randint(1, 9)),
        lambda draw: f"{draw.gauss(0, 1):.6f}",
        lambda draw: f"{draw.expovariate(0.001):.2f}",
        lambda draw: f"{draw.paretovariate(1.5):.3f}",
        lambda draw: str(draw.choice([0, 0, 0, 1, 2, 5, 40])),
        lambda draw: str(draw.choice([1, 10, 100, 1000])),  # doses
        lambda draw: f"{draw.betavariate(0.3, 0.3):.5f}",
        lambda draw: str(draw.randint(1900, 2020)),
        lambda draw: f"{draw.choice([draw.gauss(20, 2), draw.gauss(60, 5)]):.1f}",  # two kinds
        lambda draw: f"{abs(draw.gauss(200, 100)):.1f}",
    ],
)
def test_numbers_of_many_shapes_are_left_in_peace(values: Any, tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [{"a": values(draw), "b": values(draw), "y": draw.choice("xyz")} for _ in range(800)]
    found = look(rows, tmp_path / "d", target="y")
    assert kinds(found) <= {"duplicates", "conflicting labels", "time suspected", "outliers"}
    assert kinds(found, "wrong") == set()


@pytest.mark.parametrize(
    "levels",
    [
        ["a", "A", "b", "B"],
        ["grade 1", "grade 2", "grade 3"],
        ["class a", "class b"],
        ["male", "female"],
        ["Austin", "Boston", "Dallas"],
        ["< 18", "18-30", "30+"],
        ["007", "008", "013"],
        ["북구", "남구", "동구"],
    ],
)
def test_levels_that_were_meant_to_differ(levels: list[str], tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = planted.labelled(0).rows
    for row in rows:
        row["level"] = draw.choices(levels, range(len(levels), 0, -1))[0]
    assert kinds(look(rows, tmp_path / "d", target="stays"), "wrong") == set()


def test_few_values_of_a_target_of_numbers_are_no_labels(tmp_path: Path) -> None:
    rows = planted.numbered(0).rows
    for number, row in enumerate(rows):
        row["spent"] = str(round(float(row["spent"]) / 60)) if number else "40"
    found = look(rows, tmp_path / "d", "numbers", target="spent")
    assert kinds(found, "wrong") == set()
    assert "rare labels" in kinds(look(rows, tmp_path / "e", "labels", target="spent"))


def test_blanks_around_a_level_are_no_other_way_to_write_it(tmp_path: Path) -> None:
    rows = planted.labelled(0).rows
    for row in rows[::7]:
        row["city"] = f" {row['city']} "
    assert kinds(look(rows, tmp_path / "d", target="stays"), "wrong") == set()


def test_numbers_with_one_unit_are_numbers(tmp_path: Path) -> None:
    rows = planted.labelled(0).rows
    for row in rows:
        row |= {"height": f"{row['height']} cm", "income": row["income"].replace(".", ",")}
    found = look(rows, tmp_path / "d", target="stays")
    assert kinds(found, "wrong") == set()
    rows[5]["height"] = "tall"
    found = look(rows, tmp_path / "e", target="stays")
    assert [(one.kind, one.rows) for one in found if one.severity == "wrong"] == [
        ("cells of another kind", (6,))
    ]


def test_times_of_all_kinds(tmp_path: Path) -> None:
    draw = random.Random(0)
    ways: dict[str, Any] = {
        "iso": lambda day: f"{day:%Y-%m-%d}T10:00:00Z",
        "day first": lambda day: f"{day:%d.%m.%Y}",
        "month first": lambda day: f"{day:%m/%d/%Y}",
        "figures": lambda day: f"{day:%Y%m%d}",
        "written": lambda day: f"{day:%d-%b-%Y}",
        "created_at_time": lambda day: str(int(datetime.datetime(day.year, day.month, day.day,
                                                               tzinfo=datetime.UTC).timestamp())),
    }  # fmt: skip
    rows = planted.labelled(0).rows
    for row in rows:
        day = datetime.date(2020, 3, 1) + datetime.timedelta(draw.randrange(28))
        row |= {name: way(day) for name, way in ways.items()}
        del row["joined"]
    found = look(rows, tmp_path / "d", target="stays")
    assert about(found, "time suspected") == {*ways}
    assert all("2020-03-01 to 2020-03-28" in f.message for f in found if f.kind == "time suspected")


def test_typed_columns_are_looked_at_too(tmp_path: Path) -> None:
    draw = random.Random(0)
    count = 400
    table = pa.table(
        {
            "when": pa.array([1_500_000_000 + 86_400 * n for n in range(count)], pa.timestamp("s")),
            "n": pa.array([draw.randint(0, 50) for _ in range(count)], pa.int16()),
            "x": pa.array([draw.gauss(5, 1) if n % 9 else -999.0 for n in range(count)]),
            "flag": [draw.random() < 0.5 for _ in range(count)],
            "kind": pa.array([draw.choice(["u", "v"]) for _ in range(count)]).dictionary_encode(),
            "same": pa.array([1.5] * count),
            "none": pa.nulls(count, pa.float64()),
            "list": [[1, 2]] * count,
            "y": [draw.random() for _ in range(count)],
        }
    )
    found = look(table, tmp_path / "d", "numbers", target="y")
    assert about(found, "time suspected") == {"when"}
    assert about(found, "missing as a number") == {"x"}
    assert about(found, "constant column") == {"same", "list"}
    assert about(found, "empty column") == {"none"}


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_a_handful_of_rows(count: int, tmp_path: Path) -> None:
    rows = [{"a": f"{n}", "b": f"x{n}", "c": None, "y": "pq"[n % 2]} for n in range(count)]
    found = look(rows, tmp_path / "d", target="y")
    assert ("one label" if count == 1 else "rare labels") in kinds(found)
    look(rows, tmp_path / "e", "numbers", target="a")


# ── columns are read as they are ───────────────────────────────────────────────────────────────


def test_many_different_values_have_the_codes_that_few_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(0)
    rows = [
        {
            "text": draw.choice([None, " ", f"v{draw.randrange(9000)}"]),
            "number": draw.choice([None, float("nan"), -1.0, -2.0, float(draw.randrange(9000))]),
            "figures": draw.choice(["", "NA", f"{draw.randrange(9000)}"]),
            "y": 1,
        }
        for _ in range(30_000)
    ]
    dataset = collect(rows, tmp_path / "d", kind="table", target="y")
    plain = {name: reading.read(dataset, name, lenient=True) for name in rows[0]}
    monkeypatch.setattr(reading, "_MOST_KNOWN", 50)
    for name, few in plain.items():
        many = reading.read(dataset, name, lenient=True)
        values = dataset.column(name).to_pylist()
        assert (few.size, few.numbers is None) == (many.size, many.numbers is None)
        pairs = set(zip(few.codes.tolist(), many.codes.tolist(), strict=True))
        assert len(pairs) == few.size + few.missing.any()
        for column in (few, many):
            assert column.codes[column.first].tolist() == list(range(column.size))
            assert (
                all((values[row] or " ").strip() for row in column.first) if name == "text" else 1
            )
        if few.numbers is not None and many.numbers is not None:
            np.testing.assert_array_equal(few.numbers, many.numbers)


def test_equal_rows_are_found_whatever_holds_them(tmp_path: Path) -> None:
    rows = [{"a": -1, "b": 1.5, "c": "x", "y": 0}, {"a": -2, "b": 1.5, "c": "x", "y": 0},
            {"a": -1, "b": None, "c": "x", "y": 0}, {"a": -1, "b": 1.5, "c": "x", "y": 1},
            {"a": -1, "b": None, "c": "x", "y": 1}]  # fmt: skip
    more = [{"a": n, "b": n / 2, "c": f"z{n}", "y": n % 2} for n in range(40)]
    found = look([*rows, *more], tmp_path / "d", target="y")
    (same,) = [one for one in found if one.kind == "duplicates"]
    assert same.rows == (4, 5)


# ── the command ────────────────────────────────────────────────────────────────────────────────


def _csv(path: Path, rows: planted.Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = planted.make("telling level", 0)
    path = str(_csv(tmp_path / "a.csv", made.rows))
    command = ["check", "tabular-classification", "--data", path, "--target", "stays"]
    assert cli.main(command) == 1
    told = capsys.readouterr().out
    assert told.startswith("600 rows: 1 wrong, 1 note\n\nWRONG  gives the target away\n  `status`")
    assert "  cure: would it be known before the answer is?" in told
    assert cli.main([*command, "--json", "--input", "income,height"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rows": 600, "findings": []}


def test_the_task_decides_what_its_target_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = planted.numbered(0).rows
    for number, row in enumerate(rows):
        row["spent"] = str(round(float(row["spent"]) / 60)) if number else "40"
    options = ["--data", str(_csv(tmp_path / "a.csv", rows)), "--target", "spent"]
    assert cli.main(["check", "tabular-regression", *options]) == 0
    assert cli.main(["check", "tabular-classification", *options]) == 1
    assert "rare labels" in capsys.readouterr().out


def test_what_is_broken_is_dropped_and_told(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", planted.labelled(0).rows)
    path.write_text(path.read_text() + "Lisbon,basic,3\n")
    dataset: Dataset = collect(path, tmp_path / "d", kind="table", target="stays")
    (lost,) = [one for one in check(dataset, kind="table") if one.kind == "missing values"]
    assert (lost.severity, lost.rows, lost.count) == ("note", (601,), 1)
