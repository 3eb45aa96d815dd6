"""Tables as they come: each trains and answers, or is refused early and says what to do."""

from __future__ import annotations

import datetime as dt
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

pytest.importorskip("torch")

import torch
from table_child import SMALL

import silmu
from silmu.errors import InputError, SilmuError, UsageError
from silmu.runtime.columns import IgnoredColumn

COUNT = 120
QUICK = {**SMALL, "max_steps": 2, "checkpoint_seconds": 60.0}
Draw = random.Random
Rows = list[dict[str, Any]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A run folder in memory, where there is one."""
    torch.set_num_threads(1)
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as memory:
        yield Path(memory) / "run"


def train(folder: Path, data: Any, target: str, **given: Any) -> Any:
    """A pipeline of a model that was trained for two steps."""
    kind = "regression" if given.pop("numbers", False) else "classification"
    roles = {name: given.pop(name) for name in ("group", "time") if name in given}
    run = silmu.train(
        f"tabular-{kind}",
        data=data,
        target=target,
        output=folder,
        settings={**QUICK, **given},
        until="train",
        quiet=True,
        **roles,
    )
    return silmu.pipeline(model=str(run.model))


def of(cells: Callable[[Draw, int], dict[str, Any]], count: int = COUNT) -> Rows:
    draw = random.Random(0)
    return [cells(draw, i) for i in range(count)]


def odd_names(draw: Draw, i: int) -> dict[str, Any]:
    names = ["a,b", "a.b", '"q"', "new\nline", "한글 이름", "Case", "case", "", " ", "{x}", "%s"]
    return {**{name: draw.random() for name in names}, "y": draw.choice("AB")}


def wide(draw: Draw, i: int) -> dict[str, Any]:
    numbers = {f"n{j}": draw.gauss(0, 1) if draw.random() < 0.9 else None for j in range(40)}
    levels = {f"c{j}": draw.choice(["k", "l", "m", None]) for j in range(30)}
    return {**numbers, **levels, "y": draw.choice("AB")}


def zoned(draw: Draw, i: int) -> dict[str, Any]:
    when = dt.datetime(2024, 1, 1) + dt.timedelta(hours=draw.randrange(9999))
    return {"t": when.isoformat() + draw.choice(["Z", "+09:00", "-05:00"]), "y": draw.choice("AB")}


GOOD: dict[str, tuple[Rows, dict[str, Any]]] = {
    "150 classes": (of(lambda d, i: {"x": i % 150 + d.random(), "y": f"c{i % 150}"}, 1200), {}),
    "levels with holes": (
        of(
            lambda d, i: {"a": d.choice(["u", "v", None]), "b": d.choice("pq"), "y": d.choice("AB")}
        ),
        {},
    ),
    "holes in the target": (
        of(lambda d, i: {"x": d.random(), "y": d.choice(["A", "B", None, "A", "B"])}),
        {},
    ),
    "one of 200": (of(lambda d, i: {"x": d.random(), "y": int(i % 200 == 0)}, 1000), {}),
    "70 mixed columns": (of(wide), {}),
    "a class of one row": (
        of(lambda d, i: {"x": d.random(), "y": "once" if i == 5 else d.choice("AB")}),
        {},
    ),
    "huge numbers": (
        of(
            lambda d, i: {
                "x": d.choice([1e300, -1e300, 1e-300, 5.0]),
                "i": d.choice([2**63 - 1, -(2**63), 0, 7]),
                "y": d.choice("AB"),
            }
        ),
        {},
    ),
    "huge numbers by their mean": (
        of(lambda d, i: {"x": d.choice([1e300, -1e300, 5.0, 0.1]), "y": d.choice("AB")}),
        {"normalise": "standard"},
    ),
    "huge whole numbers to tell": (
        of(lambda d, i: {"x": d.random(), "y": d.choice([2**63 - 1, 1, 2])}),
        {"numbers": True},
    ),
    "ten rows": (of(lambda d, i: {"x": d.random(), "y": "AB"[i % 2]}, 10), {}),
    "names that are odd": (of(odd_names), {}),
    "a column named as the target in another case": (
        of(lambda d, i: {"Y": d.random(), "y": d.choice("AB")}),
        {},
    ),
    "a target with a comma in its name": (
        of(lambda d, i: {"x": d.random(), "y, z": d.choice("AB")}),
        {"target": '"y, z"'},
    ),
    "truth in words": (
        of(
            lambda d, i: {
                "a": d.choice(["TRUE", "FALSE"]),
                "b": d.choice("YN"),
                "y": d.choice(["TRUE", "FALSE"]),
            }
        ),
        {},
    ),
    "truth": (of(lambda d, i: {"a": d.random() < 0.5, "b": i % 3, "y": d.random() < 0.5}), {}),
    "percentages and money": (
        of(
            lambda d, i: {
                "p": f"{d.randrange(100)}%",
                "m": f"${d.randrange(1, 9)},{d.randrange(100, 999)}",
                "w": f"{d.randrange(1, 9)},{d.randrange(100, 999)}원",
                "y": d.choice("AB"),
            }
        ),
        {},
    ),
    "thousands with commas to tell": (
        of(lambda d, i: {"x": d.random(), "y": f"{d.randrange(1, 9)},{d.randrange(100, 999)}"}),
        {"numbers": True},
    ),
    "times with zones": (of(zoned), {}),
    "things of several types": (
        of(
            lambda d, i: {
                "m": d.choice([1, "two", 3.0, None, True]),
                "x": d.random(),
                "y": d.choice([1, "two"]),
            }
        ),
        {},
    ),
    "infinity among numbers": (
        of(lambda d, i: {"x": d.choice([float("inf"), d.random()]), "y": d.choice("AB")}),
        {},
    ),
    "days as numbers": (
        of(lambda d, i: {"t": 20240100 + d.randrange(1, 29), "y": d.choice("AB")}),
        {},
    ),
    "hardly a level twice": (
        of(lambda d, i: {"z": f"z{d.randrange(70)}", "y": d.choice("AB")}),
        {},
    ),
    "groups": (
        of(lambda d, i: {"x": d.random(), "g": i // 4, "y": d.choice("AB")}),
        {"group": "g"},
    ),
    "a class that only the newest have": (
        of(
            lambda d, i: {
                "x": d.random(),
                "t": f"2024-01-{1 + i // 5:02}",
                "y": "new" if i > 116 else d.choice("AB"),
            }
        ),
        {"time": "t"},
    ),
    "most rows alike": (of(lambda d, i: {"a": d.choice("pq"), "y": d.choice("AB")}), {}),
    "a target of several numbers, one of them with holes": (
        of(lambda d, i: {"x": d.random(), "y": d.random(), "z": d.choice([None, 1, 2, 3])}),
        {"target": "y,z", "numbers": True},
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_a_table_as_it_comes_trains_and_answers(case: str, folder: Path) -> None:
    rows, given = GOOD[case]
    pipe = train(folder, rows, **{"target": "y", **given})
    answers = pipe(rows)
    assert len(answers) == len(rows)
    if pipe.task == "tabular-classification":
        labels = {*pipe.model.config.id2label.values()}
        assert {answer["label"] for answer in answers} <= labels
        assert all(0 < answer["score"] <= 1 for answer in answers)
    else:
        told = [answer["prediction"] for answer in answers]
        told = [[*one.values()] if isinstance(one, dict) else one for one in told]
        assert np.isfinite(np.array(told, float)).all()
    # Rows of the training are not odd, but for levels that only other splits have.
    flagged = sum("flags" in answer for answer in answers)
    assert flagged <= 0.15 * len(rows) or case in ("infinity among numbers", "hardly a level twice")
    frame = pipe({name: [row.get(name) for row in rows] for name in rows[0]})
    assert [one.get("flags") for one in frame] == [one.get("flags") for one in answers]


BAD: dict[str, tuple[Any, dict[str, Any], type[SilmuError], str]] = {
    "a constant target": (
        *(of(lambda d, i: {"x": d.random(), "y": "A"}), {}),
        *(InputError, "only the label 'A' in the training split"),
    ),
    "a constant number": (
        *(of(lambda d, i: {"x": d.random(), "y": 5}), {"numbers": True}),
        *(InputError, "every row of the training split has the same `y`"),
    ),
    "rows that are all equal": (
        *(of(lambda d, i: {"x": 1, "c": "a", "y": d.choice("AB")}), {}),
        *(InputError, r"(?s)no column tells anything: `x`: it is 1.*hint: name the columns"),
    ),
    "one row": (of(lambda d, i: {"x": 1, "y": "A"}, 1), {}, InputError, "(?s)of 1 rows.*collect"),
    "two rows": (of(lambda d, i: {"x": i, "y": "AB"[i]}, 2), {}, InputError, "(?s)of 2 rows.*more"),
    "ids alone": (
        *(of(lambda d, i: {"id": i, "y": d.choice("AB")}), {}),
        *(InputError, "(?s)`id`: it numbers the rows.*--set read=COLUMN"),
    ),
    "numbers as labels": (
        *(of(lambda d, i: {"x": d.random(), "y": d.random()}), {}),
        *(InputError, "(?s)too many for labels.*tabular-regression"),
    ),
    "labels as numbers": (
        *(of(lambda d, i: {"x": d.random(), "y": d.choice("AB")}), {"numbers": True}),
        *(UsageError, "(?s)'[AB]', which is not a number.*tabular-classification"),
    ),
    "a number beyond all": (
        *(of(lambda d, i: {"x": d.random(), "y": 10.0 ** d.randrange(300)}), {"numbers": True}),
        *(InputError, "(?s)at most 1e[+]30.*logarithm"),
    ),
    "numbers that hardly differ": (
        *(of(lambda d, i: {"x": d.random(), "y": 1.7e9 + d.random()}), {"numbers": True}),
        *(InputError, "(?s)differs by 0.*subtract 17"),
    ),
    "no target at all": (
        *(of(lambda d, i: {"x": d.random(), "y": None}), {}),
        *(InputError, "`y` is missing"),
    ),
    "a name that is misspelt": (
        *(of(lambda d, i: {"x": d.random(), "y": d.choice("AB")}), {"target": "Y"}),
        *(UsageError, "(?s)no column `Y`.*did you mean `y`"),
    ),
    "a list of names that is broken": (
        *(of(lambda d, i: {"x": d.random(), "y": d.choice("AB")}), {"target": '"y'}),
        *(UsageError, "is not a list of names"),
    ),
    "no rows": ([], {}, SilmuError, "no rows|column"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_learnt_is_refused_and_says_what_to_do(case: str, folder: Path) -> None:
    rows, given, error, said = BAD[case]
    with pytest.raises(error, match=said):
        train(folder, rows, **{"target": "y", **given})
    assert not (folder / "3-design.json").exists()


# ── files and frames ───────────────────────────────────────────────────────────────────────────


def test_a_file_of_another_country(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "preise.csv"
    lines = [f"{i / 7:.2f};Köln;AB" if i % 3 else f"{i / 9:.2f};Bonn;CD" for i in range(1, COUNT)]
    path.write_text("größe;stadt;y\n" + "\n".join(lines).replace(".", ","), encoding="utf-8")
    pipe = train(folder, path, "y")
    (size, town) = pipe.table.read
    assert (size.kind, size.decimal, town.levels) == ("number", ",", ("Bonn", "Köln"))
    answer = pipe({"größe": "3,50", "stadt": "Köln"})
    assert answer == pipe({"größe": 3.5, "stadt": "Köln"})
    assert "flags" not in answer


def test_a_file_of_korea_in_its_own_letters(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "가격.csv"
    lines = [f'{["서울", "부산"][i % 2]},"{i},000원",{"가나"[i % 2]}' for i in range(1, COUNT)]
    path.write_bytes(("도시,가격,등급\n" + "\n".join(lines)).encode("cp949"))
    pipe = train(folder, path, "등급", max_steps=80, learning_rate=0.02)
    assert {one.kind for one in pipe.table.read} == {"category", "number"}
    assert pipe({"도시": "서울", "가격": 52000})["label"] == "가"
    assert pipe({"도시": "부산", "가격": "52,000원"})["label"] == "나"


def test_a_csv_and_the_frame_that_pandas_makes_of_it_are_answered_alike(
    folder: Path, tmp_path: Path
) -> None:
    # What was a text of a CSV in training is a number, a truth or a NaN in the frame.
    path = tmp_path / "a.csv"
    draw = random.Random(0)
    pd.DataFrame(
        {
            "n": [draw.choice([None, draw.randrange(50)]) for _ in range(300)],
            "f": [round(draw.gauss(0, 1), 3) for _ in range(300)],
            "t": [draw.random() < 0.5 for _ in range(300)],
            "c": [draw.choice(["a", "b", "None", None]) for _ in range(300)],
            "d": pd.date_range("2024-01-01", periods=300, freq="7h"),
            "y": [draw.choice("AB") for _ in range(300)],
        }
    ).to_csv(path, index=False)
    pipe = train(folder, path, "y")
    kinds = {one.name: one.kind for one in pipe.table.columns}
    assert [*kinds.values()] == ["number", "number", "category", "category", "date"]
    frame = pd.read_csv(path, parse_dates=["d"])
    expected = pipe([{"n": None, "c": None, **row} for row in texts_of(path)])
    assert all("flags" not in answer for answer in expected)
    for form in (
        frame,
        frame.convert_dtypes(),
        frame.astype({"c": "category", "n": "float32"}),
        frame.to_dict("records"),
        frame.to_dict("list"),
        {name: frame[name] for name in frame},
        {name: frame[name].to_numpy() for name in frame},
    ):
        assert pipe(form) == expected
    alone = pipe(frame.iloc[3])
    assert alone["label"] == expected[3]["label"]
    assert alone["score"] == pytest.approx(expected[3]["score"], rel=1e-6)
    streamed = [*pipe(row for row in frame.to_dict("records"))]
    assert [one["label"] for one in streamed] == [one["label"] for one in expected]
    with pytest.raises(InputError, match=r"dict of dicts.*"):
        pipe(frame.to_dict())
    with pytest.raises(InputError, match="a column is there twice"):
        pipe(frame.rename(columns={"n": "f"}))
    arrow = pa.Table.from_pandas(frame)
    assert pipe(arrow) == expected
    assert pipe(arrow.to_batches()[0]) == expected
    fine = arrow.set_column(4, "d", arrow.column("d").cast("timestamp[ns]"))
    assert pipe(fine) == expected


def texts_of(path: Path) -> Rows:
    """The rows of a CSV as texts, as a program without pandas has them."""
    import csv

    with path.open(newline="", encoding="utf-8") as file:
        return [{name: cell or None for name, cell in row.items()} for row in csv.DictReader(file)]


def test_a_frame_of_two_columns_of_one_name_is_refused(folder: Path) -> None:
    frame = pd.DataFrame({"x": range(COUNT), "z": range(COUNT), "y": ["A", "B"] * (COUNT // 2)})
    with pytest.raises(UsageError, match="two columns of the name `x`"):
        train(folder, frame.rename(columns={"z": "x"}), "y")


def test_names_with_commas_in_them_survive_a_run(folder: Path) -> None:
    rows = of(
        lambda d, i: {"a, b": d.random(), "c": d.choice("pq"), "d": i % 7, "y": d.choice("AB")}
    )
    pipe = train(folder, rows, "y", input='"a, b",c,d', ignore="c", categories="d")
    kinds = {one.name: one.kind for one in pipe.table.columns}
    assert kinds == {"a, b": "number", "c": "ignored", "d": "category"}
    settings = silmu.Run(folder, "tabular-classification").settings
    assert settings["input"] == '"a, b",c,d'
    place = folder.parent / "again"
    given = {"config": folder / "run.toml", "output": place, "until": "prepare", "quiet": True}
    again = silmu.train(data=rows, **given)
    assert again.settings["input"] == settings["input"]


def test_units_that_are_mixed_are_told(folder: Path) -> None:
    rows = of(
        lambda d, i: {
            "m": d.choice("$€") + str(d.randrange(1, 9999)),
            "x": d.random(),
            "y": "AB"[i % 2],
        }
    )
    pipe = train(folder, rows, "y")
    money = next(one for one in pipe.table.columns if one.name == "m")
    assert isinstance(money, IgnoredColumn)
    assert money.why.endswith("its numbers have several units: $, €")
