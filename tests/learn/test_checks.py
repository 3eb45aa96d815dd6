"""Planted faults are found, clean twins left in peace, and what only looks odd too."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import planted_data as planted
import pytest

from silmu import cli, graphs
from silmu.steps.collect import collect
from silmu.steps.collect.checks import Finding, check

for _package in ("duckdb", "pyarrow", "sklearn"):
    pytest.importorskip(_package)


def look(rows: Any, folder: Path, **roles: Any) -> list[Finding]:
    return check(collect(rows, folder, **{"input": "review", "target": "label", **roles}))


def kinds(found: Sequence[Finding], severity: str | None = None) -> set[str]:
    return {one.kind for one in found if severity in (None, one.severity)}


def test_planted_faults_are_found_and_their_twins_are_not_blamed(tmp_path: Path) -> None:
    twins: dict[tuple[str, int], list[Finding]] = {}
    for base in dict.fromkeys(base for base, *_ in planted.FAULTS.values()):
        for seed in planted.SEEDS:
            twin = base(seed)
            folder = tmp_path / f"twin {base.__name__} {seed}"
            twins[base.__name__, seed] = look(twin.rows, folder, **twin.roles)
    blamed = {name: found for name, found in twins.items() if kinds(found, "wrong")}
    missed: list[str] = []
    imagined: list[str] = []
    for fault, (base, _, kind, severity) in planted.FAULTS.items():
        for seed in planted.SEEDS:
            made = planted.make(fault, seed)
            found = look(made.rows, tmp_path / f"{fault} {seed}", **made.roles)
            hits = [one for one in found if (one.kind, one.severity) == (kind, severity)]
            named = {row for one in hits for row in one.rows}
            if not hits or (made.where and len(named & made.where) < 0.5 * len(named)):
                missed.append(fault)
            if kind in kinds(twins[base.__name__, seed]):
                imagined.append(fault)
    tried = len(planted.FAULTS) * len(planted.SEEDS)
    assert tried >= 12 * 5
    assert len(missed) <= 0.05 * tried, missed
    assert max(Counter(missed).values(), default=0) <= 2, missed
    assert len(imagined) <= 0.05 * tried, imagined
    assert len(blamed) <= 0.05 * len(twins), blamed


def test_a_finding_names_the_rows_of_the_source(tmp_path: Path) -> None:
    rows = planted.clean(0)
    rows[3]["review"] = ""  # what is dropped does not shift the numbers
    rows.append({**rows[10], "label": planted.NEGATIVE})
    rows[10]["label"] = planted.POSITIVE
    found = {one.kind: one for one in look(rows, tmp_path / "d")}
    assert found["missing values"].rows == (4,)
    assert found["conflicting labels"].rows == (11, len(rows))
    assert found["duplicates"].rows == (len(rows),)
    assert found["duplicates"].count == 1
    assert all(one.cure and one.message for one in found.values())


def test_wrong_comes_first_and_row_numbers_are_few(tmp_path: Path) -> None:
    rows = planted.clean(0)
    rows += [{**row, "label": "other"} for row in rows[:100]]
    found = look(rows, tmp_path / "d")
    severities = [one.severity for one in found]
    assert severities == sorted(severities, reverse=True)
    assert {"wrong", "note"} == set(severities)
    conflict = next(one for one in found if one.kind == "conflicting labels")
    assert len(conflict.rows) == 20
    assert conflict.count == 200


@pytest.mark.parametrize(
    "labels",
    [
        ["grade 1", "grade 2", "grade 3"],
        ["class a", "class b"],
        ["cat", "car", "bat"],
        ["male", "female"],
        ["1", "2", "3", "4", "5"],
        ["0", "1"],
        ["좋음", "나쁨"],
    ],
)
def test_labels_that_were_meant_to_differ_by_a_letter(labels: list[str], tmp_path: Path) -> None:
    draw = random.Random(0)
    weights = [60, *[1] * (len(labels) - 1)]
    rows = planted.clean(0)
    for row in rows:
        row["label"] = draw.choices(labels, weights)[0]
    found = look(rows, tmp_path / "d")
    assert "label spelling" not in kinds(found)
    assert "text gives the label away" not in kinds(found)


def test_an_id_in_the_order_of_the_labels_is_no_leak(tmp_path: Path) -> None:
    rows = sorted(planted.clean(0), key=lambda row: row["label"])
    for number, row in enumerate(rows):
        row |= {"key": str(1000 + number), "code": f"{row['label'][0]}{number:05}"}
    found = look(rows, tmp_path / "d")
    assert "gives the target away" not in kinds(found)
    assert {one.message.split("`")[1] for one in found if one.kind == "id column"} == {
        "key",
        "code",
    }


def test_groups_of_one_label_are_groups_and_no_leak(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = planted.clean(0)
    for row in rows:
        row["patient"] = f"{row['label'][:1]}{draw.randrange(60)}"
    found = look(rows, tmp_path / "d")
    assert "gives the target away" not in kinds(found)
    (group,) = [one for one in found if one.kind == "group suspected"]
    assert "--group patient" in group.cure
    assert "group suspected" not in kinds(look(rows, tmp_path / "e", group="patient"))


def test_a_good_predictor_is_no_leak(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = planted.clean(0)
    for row in rows:
        good = row["label"] == planted.POSITIVE
        row["likes"] = f"{draw.gauss(2.4 * good, 1):.3f}"  # an AUC of 0.955
        row["stars"] = str(
            draw.choices([1, 2, 3, 4, 5], [1, 1, 3, 8, 8] if good else [8, 8, 3, 1, 1])[0]
        )
    assert "gives the target away" not in kinds(look(rows, tmp_path / "d"))


def test_the_name_of_a_label_here_and_there_is_no_leak(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = planted.clean(0)
    for row in rows:
        if draw.random() < 0.2:
            row["review"] += f" I felt {row['label']} about it"
    assert "text gives the label away" not in kinds(look(rows, tmp_path / "d"))


def test_several_labels_at_once(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = planted.clean(0)
    for row in rows:
        row["label"] = ";".join(draw.sample(["joy", "anger", "fear", "love"], draw.randint(1, 2)))
    rows[0]["label"] = "joy;grief"
    rows[1]["label"] = "joy; Anger"
    found = look(rows, tmp_path / "d")
    rare = next(one for one in found if one.kind == "rare labels")
    assert (rare.severity, rare.rows) == ("wrong", (1,))
    assert "`grief: 1`" in rare.message
    spelling = next(one for one in found if one.kind == "label spelling")
    assert spelling.rows == (2,)


def test_a_column_of_noughts_and_ones_for_each_label(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = planted.clean(0)
    for number, row in enumerate(rows):
        row |= {"joy": draw.randrange(2), "grief": int(number < 2)}
    found = look(rows, tmp_path / "d", target="joy,grief")
    assert next(one for one in found if one.kind == "rare labels").rows == (1, 2)


def test_numbers(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = planted.clean(0)
    for row in rows:
        row["price"] = draw.uniform(1, 100)
        row |= {"tax": row["price"] * 0.19, "weight": row["price"] + draw.gauss(0, 30)}
    found = look(rows, tmp_path / "d", target="price")
    told = [one.message for one in found if one.kind == "gives the target away"]
    assert len(told) == 1
    assert told[0].startswith("`tax` alone tells the target")
    for row in rows:
        row["price"] = 1.5
    assert "one label" in kinds(look(rows, tmp_path / "e", target="price"), "wrong")


def test_korean_reviews(tmp_path: Path) -> None:
    draw = random.Random(0)
    words = ["배우", "연기", "영화", "감독", "음악", "결말", "장면", "대사", "화면", "이야기"]
    good, bad = ["좋았다", "최고였다", "멋졌다"], ["별로였다", "지루했다", "아쉬웠다"]
    rows = []
    for _ in range(400):
        label = draw.choice(["긍정", "부정"])
        parts = [f"{draw.choice(words)}의 {draw.choice(words)}은" for _ in range(5)]
        ending = draw.choice(
            (good if label == "긍정" else bad) if draw.random() < 0.9 else good + bad
        )
        rows.append(
            {"리뷰": f"{' '.join(parts)} {draw.randrange(10**6)}번 {ending}", "분류": label}
        )
    found = check(collect(rows, tmp_path / "d"))
    assert kinds(found, "wrong") == set()
    assert "several scripts" not in kinds(found)


def test_times_of_all_kinds(tmp_path: Path) -> None:
    draw = random.Random(0)
    spellings = {
        "iso": lambda day: f"2020-03-{day:02}T10:00:00Z",
        "dots": lambda day: f"2020.3.{day}",
        "created_at_time": lambda day: str(1_583_000_000 + 86_400 * day),
        "timestamp": lambda day: str((1_583_000_000 + 86_400 * day) * 1000),
    }
    rows = planted.clean(0)
    for row in rows:
        row |= {name: spell(draw.randint(1, 28)) for name, spell in spellings.items()}
    found = [one for one in look(rows, tmp_path / "d") if one.kind == "time suspected"]
    assert {one.message.split("`")[1] for one in found} == {*spellings}
    assert all("2020-03" in one.message for one in found)
    rows[5]["dots"] = "soon"
    found = look(rows, tmp_path / "e", time="dots")
    assert "time unreadable" in kinds(found, "wrong")


def test_names_are_an_input_and_keys_are_not(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = planted.clean(0)
    for row in rows:
        row["review"] = "".join(draw.choices("bdklmnrs" + "aeiou" * 3, k=10))
    assert kinds(look(rows, tmp_path / "d"), "wrong") == set()
    for row in rows:
        row["review"] = f"{draw.getrandbits(64):016x}"
    assert "id column" in kinds(look(rows, tmp_path / "e"), "wrong")


def test_gaps_of_a_group_are_wrong_and_of_others_a_note(tmp_path: Path) -> None:
    rows = planted.grouped(0).rows
    rows[7]["author"] = rows[8]["likes"] = rows[9]["place"] = ""
    found = look(rows, tmp_path / "d", group="author")
    gaps = [(one.severity, one.rows) for one in found if one.kind == "missing values"]
    assert gaps == [("wrong", (8,)), ("note", (9, 10))]


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_a_handful_of_rows(count: int, tmp_path: Path) -> None:
    rows = [
        {"review": f"text number {n}", "label": "ab"[n % 2], "note": None} for n in range(count)
    ]
    found = look(rows, tmp_path / "d")
    assert ("one label" if count == 1 else "rare labels") in kinds(found)


def _csv(path: Path, rows: planted.Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


COMMAND = ["check", "text-classification", "--input", "review", "--target", "label", "--data"]


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = planted.make("spellings", 0).rows
    assert cli.main([*COMMAND, str(_csv(tmp_path / "r.csv", rows))]) == 1
    told = capsys.readouterr().out
    assert told.startswith("600 rows: 2 wrong, 1 note\n\nWRONG  label spelling\n")
    assert "  rows: " in told
    assert "  cure: write `positive` in all of them" in told


def test_a_label_is_to_be_written_without_blanks_around_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = planted.clean(0)
    for n, row in enumerate(rows):
        row["label"] = "Good " if n % 5 < 2 else "good" if n % 5 < 3 else "bad"
    assert cli.main([*COMMAND, str(_csv(tmp_path / "r.csv", rows))]) == 1
    assert "  cure: write `Good` in all of them" in capsys.readouterr().out


def test_the_command_is_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _csv(tmp_path / "r.csv", planted.clean(0))
    assert cli.main([*COMMAND, str(path)]) == 0
    assert capsys.readouterr().out == "600 rows: nothing wrong, 0 notes\n"
    assert sorted(path.parent.iterdir()) == [path]
    assert list((graphs.cache_folder().parent / "checks").iterdir()) == []


def test_the_command_answers_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = planted.make("groups across", 0)
    path = _csv(tmp_path / "r.csv", made.rows)
    assert cli.main([*COMMAND, str(path), "--group", "author", "--json"]) == 1
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told = json.loads(out)
    assert told["rows"] == 600
    (one,) = [one for one in told["findings"] if one["severity"] == "wrong"]
    assert set(one) == {"kind", "message", "rows", "count", "cure", "severity"}
    assert set(one["rows"]) <= made.where


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "text-clasification", "--data", "x.csv"],
        ["check", "text-classification"],
        ["check", "text-classification", "--data", "missing.csv"],
        ["check", "text-generation", "--data", "missing.csv"],
    ],
)
def test_the_command_could_not_run(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    assert capsys.readouterr().out == ""
