"""Pipelines for tables: rows in every form, the same answers, and what is odd is said.

tests/models/table-* and tests/golden/tables.json are made by tools/make_tiny_tables.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from silmu import pipeline
from silmu.errors import (
    InputError,
    MissingKeyError,
    UnknownNameError,
    UsageError,
    WrongTypeError,
)
from silmu.pipelines import Pipeline

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "tables.json").read_text(encoding="utf-8")
)
ROWS: list[dict[str, Any]] = GOLDEN["table-single"]["rows"]
every_model = pytest.mark.parametrize("name", GOLDEN)


@pytest.fixture(scope="module")
def pipes(models: Path) -> dict[str, Any]:
    return {name: pipeline(model=models / name) for name in GOLDEN}


@pytest.fixture(scope="module")
def classify(pipes: dict[str, Any]) -> Pipeline:
    return pipes["table-single"]


@pytest.fixture(scope="module")
def tell(pipes: dict[str, Any]) -> Pipeline:
    return pipes["table-number"]


def close(found: Any, expected: Any) -> bool:
    """Whether answers are alike, scores and numbers to a rounding."""
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(close, found, expected))
    if isinstance(expected, dict):
        return [*found] == [*expected] and all(close(found[key], expected[key]) for key in found)
    return found == (pytest.approx(expected, abs=1e-5) if isinstance(expected, float) else expected)


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


# ── what is answered ───────────────────────────────────────────────────────────────────────────


@every_model
def test_answers_are_those_of_the_network_of_torch(name: str, pipes: dict[str, Any]) -> None:
    pipe, rows = pipes[name], GOLDEN[name]["rows"]
    logits = np.array(GOLDEN[name]["logits"])
    labels = [*pipe.model.config.id2label.values()]
    if pipe.task == "tabular-regression":
        found = [answer["prediction"] for answer in pipe(rows)]
        told = [[one[label] for label in labels] if len(labels) > 1 else [one] for one in found]
        np.testing.assert_allclose(told, logits, rtol=1e-5)
        return
    scores = 1 / (1 + np.exp(-logits))
    if name != "table-multiple":
        scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for answer, expected in zip(pipe(rows, top_k=None), scores, strict=True):
        assert {one["label"]: pytest.approx(one["score"], abs=1e-5) for one in answer} == dict(
            zip(labels, expected.tolist(), strict=True)
        )


def test_every_column_tells_something(classify: Any) -> None:
    # So that what changes in a column is seen in the answers that these tests compare.
    for i, (name, value) in enumerate(ROWS[1].items()):
        one = {**ROWS[0], name: value}
        same = close(classify(one), classify(ROWS[0]))
        assert same == (value == ROWS[0][name] or name in ("number", "same", "grade")), (i, name)


def test_labels_and_scores(classify: Any, pipes: dict[str, Any]) -> None:
    answer = classify(ROWS[0])
    assert [*answer] == ["label", "score"]
    everything = classify(ROWS[0], top_k=None)
    assert [one["score"] for one in everything] == sorted(
        (one["score"] for one in everything), reverse=True
    )
    assert sum(one["score"] for one in everything) == pytest.approx(1)
    assert everything[0] == answer
    assert classify(ROWS[0], top_k=2) == everything[:2]
    assert classify(ROWS[0], top_k=1) == [answer]
    assert classify(ROWS[0], top_k=99) == everything
    assert classify(ROWS[:2], top_k=1) == [[one] for one in classify(ROWS[:2])]
    several = pipes["table-multiple"](GOLDEN["table-multiple"]["rows"][0], top_k=None)
    assert {one["label"] for one in several} == {"warm", "large"}
    assert sum(one["score"] for one in several) != pytest.approx(1)
    assert len(pipes["table-multiple"].thresholds) == 2
    assert classify.thresholds is None
    kept = pipeline(model=classify.model, top_k=2)
    assert kept(ROWS[0]) == everything[:2]
    assert kept(ROWS[0], top_k=1) == [answer]


def test_numbers_and_their_intervals(tell: Any, pipes: dict[str, Any]) -> None:
    row = {"a": 0.5, "b": 48}
    answer = tell(row)
    assert [*answer] == ["prediction", "low", "high"]
    assert answer["low"] < answer["prediction"] < answer["high"]
    assert answer["prediction"] == pytest.approx(53, abs=5)
    several = pipes["table-numbers"](row)
    assert [*several["prediction"]] == [*several["low"]] == ["sum", "other"]
    assert several["low"]["other"] < several["prediction"]["other"] < several["high"]["other"]


# ── every form of rows ─────────────────────────────────────────────────────────────────────────


class Series:
    """As a column of pandas or polars."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, place: Any) -> Any:
        return self.values[place]

    def to_list(self) -> list[Any]:
        return self.values


class Frame:
    """As a data frame of pandas or polars."""

    def __init__(self, columns: dict[Any, list[Any]]) -> None:
        self.own = columns
        self.columns = list(columns)
        self.shape = (len(next(iter(columns.values()), ())), len(columns))

    def __getitem__(self, name: Any) -> Series:
        return Series(self.own[name])

    def __len__(self) -> int:
        return self.shape[0]


class ArrowColumn:
    def __init__(self, values: list[Any]) -> None:
        self.values, self.type = values, "string"

    def to_pylist(self) -> list[Any]:
        return self.values


class ArrowTable(Frame):
    """As a table of Arrow."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        super().__init__(columns)
        self.schema = type("Schema", (), {"names": list(columns)})()

    def to_pydict(self) -> dict[str, list[Any]]:
        return self.own

    def column(self, name: str) -> ArrowColumn:
        return ArrowColumn(self.own[name])


class Row(Series):
    """As a row that was taken out of a frame of pandas."""

    def __init__(self, row: dict[str, Any]) -> None:
        super().__init__(list(row.values()))
        self.index, self.dtype, self.row = list(row), object, row

    def to_dict(self) -> dict[str, Any]:
        return self.row


class Unlisted(Frame):
    """As a relation of a database, whose columns cannot be listed."""

    def __getitem__(self, name: Any) -> Any:
        return object()


class Numbered:
    """As a data set of torch."""

    def __len__(self) -> int:
        return len(ROWS)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return ROWS[place]


FORMS: dict[str, Any] = {
    "columns": columns_of(ROWS),
    "columns in another order": dict(reversed(columns_of(ROWS).items())),
    "arrays": {name: np.array(values, object) for name, values in columns_of(ROWS).items()},
    "series": {name: Series(values) for name, values in columns_of(ROWS).items()},
    "rows in another order": [dict(reversed(row.items())) for row in ROWS],
    "with more columns": [{**row, "more": [1, 2], "": {}} for row in ROWS],
    "without what is not read": [
        {name: value for name, value in row.items() if name not in ("number", "same", "grade")}
        for row in ROWS
    ],
    "frame": Frame(columns_of(ROWS)),
    "arrow": ArrowTable(columns_of(ROWS)),
    "data set": Numbered(),
}


@pytest.mark.parametrize("form", FORMS)
def test_rows_in_every_form(form: str, classify: Any) -> None:
    assert close(list(classify(FORMS[form])), classify(ROWS))


def test_one_row_in_every_form(classify: Any) -> None:
    expected = classify(ROWS[3])
    assert isinstance(expected, dict)
    assert close(classify([ROWS[3]]), [expected])
    assert close(classify(Row(ROWS[3])), expected)
    assert close(classify(columns_of([ROWS[3]])), [expected])
    assert close(classify(Frame(columns_of([ROWS[3]]))), [expected])
    assert close(classify.predict(ROWS[3]), expected)
    arrays = classify.preprocess(ROWS[3])
    assert arrays["numbers"].shape == (1, classify.table.num_numbers)
    assert close(classify.postprocess({**classify.forward(arrays), "flags": []}), expected)


def test_numbers_of_every_type(tell: Any) -> None:
    expected = tell({"a": 0.5, "b": 48})
    for row in (
        {"a": "0.5", "b": "48"},
        {"a": np.float32(0.5), "b": np.int8(48)},
        {"a": 0.5, "b": 48.0},
        {"b": " 48 ", "a": "5e-1"},
    ):
        assert tell(row) == expected
    for kind in (np.float64, np.float32, np.float16, object):
        found = tell({"a": np.array([0.5, 0.5], kind), "b": np.array([48, 48])})
        assert close(found, [expected, expected])
    hidden = tell({"a": np.ma.masked_array([0.5, 9e9], [False, True]), "b": [48, 48]})
    assert hidden == tell([{"a": 0.5, "b": 48}, {"a": None, "b": 48}])
    assert tell(Frame({"a": [0.5], "b": [48], 0: [None]})) == [expected]


@every_model
@pytest.mark.parametrize("size", [1, 2, 5, 12, 1000])
def test_what_else_is_in_a_batch_changes_no_answer(
    size: int, name: str, pipes: dict[str, Any]
) -> None:
    pipe, rows = pipes[name], GOLDEN[name]["rows"]
    expected = [pipe(row) for row in rows]
    for form in (rows, columns_of(rows), iter(rows)):
        assert close(list(pipe(form, batch_size=size)), expected)
    assert close(list(pipe(reversed(rows), batch_size=size)), expected[::-1])


def test_of_nothing_there_are_no_answers(classify: Any) -> None:
    assert classify([]) == []
    assert classify(columns_of(ROWS[:1]) | {name: [] for name in ROWS[0]}) == []
    assert classify(Frame({name: [] for name in ROWS[0]})) == []
    assert list(classify(iter([]))) == []


# ── streams ────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_is_answered_as_it_comes(classify: Any) -> None:
    read: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for i, row in enumerate(ROWS * 50):
            read.append(i)
            yield row

    answers = classify(rows())
    assert read == []
    assert close(next(answers), classify(ROWS[0]))
    assert len(read) <= 2
    assert close(list(answers), (classify(ROWS) * 50)[1:])
    assert len(classify(Numbered())) == len(ROWS)


def test_of_a_stream_what_came_before_a_fault_is_answered(classify: Any) -> None:
    rows = [*ROWS[:7], {"age": 3}, *ROWS[7:]]
    answers = classify(iter(rows))
    found: list[Any] = []
    with pytest.raises(MissingKeyError, match=r"row 8 has no `fare`.*it has `age`"):
        found.extend(answers)
    assert close(found, classify(ROWS[:7]))

    def failing() -> Iterator[dict[str, Any]]:
        yield from ROWS[:7]
        raise OSError("the cable was pulled")

    found.clear()
    with pytest.raises(OSError, match="cable"):
        found.extend(classify(failing()))
    assert len(found) == 7


# ── what is odd ────────────────────────────────────────────────────────────────────────────────

ODD: dict[str, tuple[dict[str, Any], str]] = {
    "a level that is new": ({"sex": "other"}, "`sex`: 'other' is no level of the training"),
    "a null that is new": ({"fare": None}, "`fare`: it is missing, and never was"),
    "no category": ({"sex": math.nan}, "`sex`: it is missing, and never was"),
    "no text": ({"note": None}, "`note`: it is missing, and never was"),
    "no time": ({"seen": ""}, "`seen`: it is missing, and never was"),
    "far above": ({"fare": 9e4}, "`fare`: 90000.0 is far outside of 5.65 to 295.34"),
    "far below": ({"age": -999}, "`age`: -999 is far outside of 1 to 79"),
    "a text for a number": ({"age": "old"}, "`age`: 'old' is no number"),
    "a dict for a number": ({"age": {"y": 1}}, "`age`: {'y': 1} is no number"),
    "a number for a text": ({"note": 12}, "`note`: 12 is no text"),
    "a number for a time": ({"seen": 12}, "`seen`: 12 is no time"),
    "a time far off": ({"seen": "2999-01-01"}, "`seen`: '2999-01-01' is far outside"),
    "infinity": ({"age": math.inf}, "`age`: inf is no number"),
    "a long text": ({"sex": "x" * 500}, "`sex`: '" + "x" * 39 + "... is no level"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_is_said_refused_or_taken_for_missing(case: str, classify: Any) -> None:
    changed, said = ODD[case]
    (name,) = changed
    row = {**ROWS[1], **changed}
    answer = classify(row)
    assert [*answer] == ["label", "score", "flags"]
    assert len(answer["flags"]) == 1
    assert answer["flags"][0].startswith(said)
    several = classify([ROWS[0], row, ROWS[2]], top_k=2)
    assert ["flags" in one[0] for one in several] == [False, True, False]
    assert several[1][1]["flags"] == answer["flags"]
    with pytest.raises(InputError, match=r"(?s)row 2: `.*hint: odd=\"flag\"") as caught:
        classify([ROWS[0], row, ROWS[2]], odd="error", batch_size=1)
    assert said in str(caught.value)
    imputed = classify(row, odd="impute")
    assert [*imputed] == ["label", "score"]
    assert close(imputed, classify({**ROWS[1], name: None}, odd="impute"))
    lenient = pipeline(model=classify.model, odd="impute")
    assert close(lenient(row), imputed)
    assert close(lenient(row, odd="flag"), answer)


def test_what_is_not_odd(classify: Any) -> None:
    plain = [
        {"age": None},  # which some rows of the training lack
        {"deck": None},
        {"deck": "Z"},  # which one row of the training has
        {"age": 100},
        {"sex": "MALE"},
        {"note": "words that nobody knows"},
        {"seen": "2024-12-24"},
    ]
    for changed in plain:
        assert "flags" not in classify({**ROWS[1], **changed}), changed
        classify({**ROWS[1], **changed}, odd="error")
    assert close(classify({**ROWS[1], "sex": "MALE"}), classify({**ROWS[1], "sex": "male"}))


def test_several_odd_cells_are_all_told(classify: Any) -> None:
    row = {**ROWS[1], "sex": "other", "age": "old", "fare": -1e9, "seen": "soon"}
    flags = classify(row)["flags"]
    assert [flag.split("`")[1] for flag in flags] == ["age", "fare", "sex", "seen"]


def test_what_training_never_had_is_far_in_both_directions(classify: Any, tell: Any) -> None:
    # 5.65 to 295.34: in thousands, nothing would lie below.
    assert "far outside" in classify({**ROWS[1], "fare": 0.05})["flags"][0]
    assert "flags" not in classify({**ROWS[1], "fare": 0})
    assert "flags" not in tell({"a": 0.0001, "b": 50})


# ── what is refused ────────────────────────────────────────────────────────────────────────────

COLUMNS = columns_of(ROWS)
NO_ROWS: list[tuple[Any, type[Exception], str]] = [
    ("a text", InputError, "'a text', and no row"),
    (b"bytes", InputError, "no row"),
    (12, InputError, "what is given is 12, and no row"),
    (None, InputError, "a NoneType, and no row"),
    ((1, 2), InputError, "a tuple, and no row"),
    ({1, 2}, InputError, "a set, and no row"),
    (np.zeros((2, 2)), InputError, "a ndarray, and no row"),
    (object(), InputError, "a object, and no row"),
    ([1], InputError, "row 1 is 1, and no row"),
    ([ROWS[0], "x"], InputError, "row 2 is 'x', and no row"),
    ([ROWS[0], [1]], InputError, "row 2 is a list, and no row"),
    ({}, MissingKeyError, r"row 1 has no `age`.*it has nothing"),
    ([{}], MissingKeyError, "row 1 has no `age`"),
    ([ROWS[0], {}], MissingKeyError, "row 2 has no `age`"),
    ({"Age": 3, "height": 1}, MissingKeyError, "no `age`.*it has `Age`, `height`"),
    ({**ROWS[0], "age": [1, 2]}, InputError, "`age` is given as a list, and `fare` is not"),
    ({"age": [1]}, MissingKeyError, "what is given has no `fare`"),
    ({**COLUMNS, "age": [1, 2]}, InputError, "different lengths: `age` 2, `fare` 12"),
    ({name: {0: 1} for name in ROWS[0]}, InputError, r"(?s)dict of dicts.*to_dict\(\"records\"\)"),
    (Unlisted(columns_of(ROWS)), InputError, "a column is a object, and no row"),
    (Frame({"age": [1]}), MissingKeyError, "what is given has no `fare`"),
    (Frame({"age": [1], 0: [2], "0": [3]}), InputError, "a column is there twice: age, 0, 0"),
    (ArrowTable({"x": [1]}), MissingKeyError, "has no `age`"),
]


@pytest.mark.parametrize(("given", "error", "said"), NO_ROWS, ids=[said for *_, said in NO_ROWS])
def test_what_is_no_table(given: Any, error: type[Exception], said: str, classify: Any) -> None:
    with pytest.raises(error, match=said) as caught:
        classify(given)
    assert "hint:" in str(caught.value) or "lengths" in said or "twice" in said


def test_a_column_that_is_lacking_may_be_imputed(classify: Any) -> None:
    nothing = classify({}, odd="impute")
    assert close(classify([{}, {}], odd="impute"), [nothing, nothing])
    assert close(classify(Frame({"x": [1, 2]}), odd="impute"), [nothing, nothing])
    assert close(classify({"x": [1, 2, 3]}, odd="impute"), [nothing] * 3)
    fare = {name: value for name, value in ROWS[0].items() if name == "fare"}
    assert close(classify(fare, odd="impute"), classify([fare], odd="impute")[0])
    assert not close(classify(fare, odd="impute"), nothing)


def test_a_row_alone_is_refused_as_among_others(classify: Any) -> None:
    row = {name: value for name, value in ROWS[0].items() if name != "age"}
    for rows in (row, [row], [row, ROWS[1]], [ROWS[1], row]):
        with pytest.raises(MissingKeyError, match="has no `age`"):
            classify(rows)


def test_parameters_that_cannot_be(classify: Any, tell: Any) -> None:
    for value in (0, -1, True, 1.5, "3", [1]):
        with pytest.raises(UsageError, match="top_k is"):
            classify(ROWS[0], top_k=value)
    for value in (0, -1, True, 1.5, "3"):
        with pytest.raises(UsageError, match="batch_size is"):
            classify(ROWS, batch_size=value)
    with pytest.raises(UnknownNameError, match="odd is 'ignore'; it may be flag, error, impute"):
        classify(ROWS[0], odd="ignore")
    with pytest.raises(UsageError, match="tabular-classification has no parameter truncation"):
        classify(ROWS[0], truncation=True)
    with pytest.raises(UsageError, match="tabular-regression has no parameter top_k"):
        tell({"a": 1, "b": 2}, top_k=1)
    with pytest.raises(WrongTypeError, match="nothing was given"):
        classify()
    with pytest.raises(UsageError):
        pipeline(model=classify.model, odd="what")


def test_the_folder_is_saved_and_opened_again(classify: Any, tmp_path: Path) -> None:
    classify.save_pretrained(tmp_path / "copy")
    again = pipeline("tabular-classification", model=tmp_path / "copy")
    assert close(again(ROWS), classify(ROWS))
