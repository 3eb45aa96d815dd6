"""Serving skew: what is written otherwise than in training is read alike, or it is said.

A skew is a row as a program, a file or another country writes it. `same` must be answered as the
row of the training is, without a word; `said` must be flagged. Nothing else is allowed: no answer
changes in silence.
"""

from __future__ import annotations

import datetime
import json
import math
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from silmu import pipeline
from silmu.errors import InputError, MissingKeyError

# Of the training, as a CSV holds it; the model reads columns of every kind.
ROW: dict[str, Any] = {
    "age": "31",
    "fare": "120.50",
    "share": "12%",
    "price": "$1,200",
    "height, m": "1,75",
    "sex": "male",
    "deck": "B",
    "member": "true",
    "seen": "2024-06-05 14:30",
    "born": "25/3/1980",
    "due": "2024-08-01T09:00:00+09:00",
    "note": "new 좋은 film song old",
}
SEOUL = datetime.timezone(datetime.timedelta(hours=9))

SAME: dict[str, dict[str, Any]] = {
    "a number for its text": {"age": 31, "fare": 120.5},
    "a number with a point": {"age": 31.0},
    "a number of numpy": {"age": np.int16(31), "fare": np.float64(120.5)},
    "a number of a database": {"fare": Decimal("120.50")},
    "trailing zeros": {"age": "31.00", "fare": "120.5"},
    "a sign and an exponent": {"age": "+3.1e1"},
    "blanks around": {
        "age": " 31\t",
        "sex": " male ",
        "share": " 12% ",
        "note": f" {ROW['note']}",
    },
    "a mark of byte order": {"age": "\ufeff31", "sex": "\ufeffmale"},
    "a percentage as a number": {"share": 12},
    "a percentage with a blank": {"share": "12 %"},
    "a percentage without its mark": {"share": "12"},
    "money as a number": {"price": 1200},
    "money without marks": {"price": "1200"},
    "money with cents": {"price": "$ 1,200.00"},
    "a comma for a point": {"height, m": "1,750"},
    "a point where training had a comma": {"height, m": "1.75"},
    "a number where training had a comma": {"height, m": 1.75},
    "letters of another case": {"sex": "Male", "member": "TRUE"},
    "truth as truth": {"member": True},
    "truth of numpy": {"member": np.bool_(True)},
    "a time of Python": {"seen": datetime.datetime(2024, 6, 5, 14, 30)},
    "a time of numpy": {"seen": np.datetime64("2024-06-05T14:30")},
    "a time of JSON": {"seen": "2024-06-05T14:30:00.000"},
    "a time with points": {"seen": "2024.06.05 14:30"},
    "a time of Korea": {"seen": "2024년 6월 5일 14:30"},
    "half a day": {"seen": "2024-6-5 2:30 PM"},
    "a date written from the year on": {"born": "1980-03-25"},
    "a date of Python": {"born": datetime.date(1980, 3, 25)},
    "a date with zeros": {"born": "25.03.1980"},
    "a date with a name": {"born": "25 March 1980"},
    "a date of digits": {"born": "19800325"},
    "another zone": {"due": "2024-08-01T00:00:00Z"},
    "a time of Python with a zone": {"due": datetime.datetime(2024, 8, 1, 9, tzinfo=SEOUL)},
    "text in another case": {"note": "New 좋은 FILM song OLD"},
    "letters put together otherwise": {"note": unicodedata.normalize("NFD", ROW["note"])},
    "columns that are more": {"id": 7, "unnamed: 0": None},
}
MISSING = (None, math.nan, "", " ", "NA", "n/a", "null", "NaN", "None", "-", "?", np.float32("nan"))

SAID: dict[str, dict[str, Any]] = {
    "a comma where training had a point": {"fare": "120,50"},
    "a unit that training had not": {"age": "31 years"},
    "a percentage where training had none": {"age": "31%"},
    "another currency": {"price": "€1,200"},
    "a share of 1 for a percentage": {"share": 0.12},
    "a share of 1 as a text": {"share": "0.12"},
    "a thousand times": {"fare": 120500},
    "a thousandth": {"fare": 0.1205},
    "a sentinel": {"age": -999},
    "infinity": {"fare": math.inf},
    "truth as a number": {"member": 1},
    "truth as another word": {"member": "yes"},
    "a level that is new": {"deck": "E"},
    "a level with a blank inside": {"sex": "ma le"},
    "a level as a number": {"deck": 2},
    "a null that training had not": {"fare": None},
    "a level that is missing": {"sex": "NA"},
    "month and day exchanged": {"born": "3/25/1980"},
    "the year last, where it was first": {"seen": "5/6/2024 14:30"},
    "a zone that training had not": {"seen": "2024-06-05T14:30:00+09:00"},
    "a zone that is lacking": {"due": "2024-08-01T09:00:00"},
    "seconds since 1970": {"seen": 1717597800},
    "another century": {"born": "25/3/2180"},
    "a number for a text": {"note": 3},
    "a list for a level": {"sex": {"value": "male"}},
    "bytes": {"sex": b"male"},
}


@pytest.fixture(scope="module")
def classify(models: Path) -> Any:
    return pipeline(model=models / "table-single", top_k=None)


def scores(answer: list[dict[str, Any]]) -> dict[str, float]:
    return {one["label"]: one["score"] for one in answer}


def test_the_row_itself_is_not_odd(classify: Any) -> None:
    answer = classify(ROW)
    assert "flags" not in answer[0]
    assert {one.name for one in classify.table.read} == set(ROW)


@pytest.mark.parametrize("skew", SAME)
def test_what_is_written_otherwise_is_read_alike(skew: str, classify: Any) -> None:
    row = {**ROW, **SAME[skew]}
    assert row != ROW
    assert classify(row) == classify(ROW)
    assert classify(row, odd="error") == classify(ROW)
    frame = {name: [value, value] for name, value in row.items()}
    assert classify(frame) == classify([ROW, ROW])


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_what_is_missing_is_missing_however_it_is_said(value: Any, classify: Any) -> None:
    assert classify({**ROW, "age": value}) == classify({**ROW, "age": None})
    assert classify({**ROW, "age": value}) != classify(ROW)
    if value not in ("-", "?"):  # which may be levels
        assert classify({**ROW, "deck": value}) == classify({**ROW, "deck": None})


@pytest.mark.parametrize("skew", SAID)
def test_what_is_read_otherwise_is_said(skew: str, classify: Any) -> None:
    (name,) = SAID[skew]
    row = {**ROW, **SAID[skew]}
    answer = classify(row)
    assert len(answer[0]["flags"]) == 1
    assert answer[0]["flags"][0].startswith(f"`{name}`: ")
    with pytest.raises(InputError, match=name):
        classify(row, odd="error")
    assert "flags" not in classify(row, odd="impute")[0]


def test_no_skew_changes_an_answer_in_silence(classify: Any) -> None:
    quiet = scores(classify(ROW))
    changed = [
        skew
        for skew, cells in (SAME | SAID).items()
        if scores(answer := classify({**ROW, **cells})) != quiet and "flags" not in answer[0]
    ]
    assert changed == []
    assert len(SAME) + len(SAID) + len(MISSING) >= 70


@pytest.mark.parametrize("name", [*ROW])
def test_a_column_of_another_name_is_refused(name: str, classify: Any) -> None:
    for other in (name.upper(), f" {name}", f"\ufeff{name}", f"{name}_x"):
        row = {key: value for key, value in ROW.items() if key != name} | {other: ROW[name]}
        with pytest.raises(MissingKeyError, match=f"has no `{name}`"):
            classify(row)


def test_the_order_of_columns_is_nothing(classify: Any) -> None:
    assert classify(dict(reversed(ROW.items()))) == classify(ROW)


def test_there_and_back_through_json(classify: Any) -> None:
    row = {**ROW, "age": 31, "fare": 120.5, "member": True}
    assert classify(json.loads(json.dumps(row))) == classify(ROW)
    assert classify(json.loads('{"age": NaN}') | {k: v for k, v in ROW.items() if k != "age"}) == (
        classify({**ROW, "age": None})
    )


def test_what_cannot_be_told_by_a_cell_is_read_as_in_training(classify: Any) -> None:
    # 3/5 may be of March or of May: the column says which, as it did for training.
    assert classify({**ROW, "born": "3/5/1980"}) == classify({**ROW, "born": "1980-05-03"})
