"""Labels: which kind they are, what they are called, and what is refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rows import dataset, reviews

from silmu.errors import InputError, SilmuError, UsageError
from silmu.steps.prepare import prepare_texts
from silmu.steps.prepare.labels import Labels, by_value, fit


def fitted(values: Any, kind: str = "auto", **given: Any) -> Labels:
    table = pa.table({"label": values})
    return fit(table, ["label"], kind, **given)


def encoded(values: Any, kind: str = "auto", **given: Any) -> list[Any]:
    return fitted(values, kind, **given).encode(pa.table({"label": values})).tolist()


SINGLE: list[tuple[Any, tuple[str, ...]]] = [
    (["no", "yes", "no", "yes"], ("no", "yes")),
    ([True, False, True, False], ("false", "true")),
    (["True", "False"] * 2, ("False", "True")),
    ([0, 1, 1, 0], ("0", "1")),
    ([10, 9, -1] * 2, ("-1", "9", "10")),
    ([1.0, 2.0, 1.5] * 2, ("1", "1.5", "2")),
    (["10", "9"] * 2, ("9", "10")),
    (["v10", "v9"] * 2, ("v10", "v9")),
    (["부정", "긍정"] * 2, ("긍정", "부정")),
    (["Paris, Texas", "Rome, Italy", "Bonn"] * 3, ("Bonn", "Paris, Texas", "Rome, Italy")),
    (pa.array(["b", "a"] * 2).dictionary_encode(), ("a", "b")),
    (["007", "011"] * 2, ("007", "011")),
    (["nan", "inf"] * 2, ("inf", "nan")),
    ([" p", "q", "p", "q "], ("p", "q")),
]


@pytest.mark.parametrize(("values", "names"), SINGLE)
def test_one_label_of_several(values: Any, names: tuple[str, ...]) -> None:
    found = fitted(values)
    assert (found.kind, sorted(found.names)) == ("single", sorted(names))
    if "nan" not in names:
        assert found.names == names
    told = found.encode(pa.table({"label": values}))
    assert told.dtype == np.int64
    assert len(set(told.tolist())) == len(names)
    assert found.counts == tuple(np.bincount(told).tolist())


MULTIPLE: list[tuple[Any, tuple[str, ...], list[list[int]]]] = [
    (["a;b", "a", "b", "c", "c"], ("a", "b", "c"), [[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    (["joy | fear", "joy", "fear|joy", "fear"], ("fear", "joy"), [[1, 1], [0, 1], [1, 1], [1, 0]]),
    (["a,b", "b,c", "c", "a", "b"], ("a", "b", "c"), [[1, 1, 0], [0, 1, 1]]),
    ([["x"], ["y", "x"], [], ["y"]], ("x", "y"), [[1, 0], [1, 1], [0, 0], [0, 1]]),
    ([[1, 2], [2], [10, 1], [10]], ("1", "2", "10"), [[1, 1, 0], [0, 1, 0], [1, 0, 1]]),
    (["p, q", "q", "p", " q , p", "r", "r"], ("p", "q", "r"), [[1, 1, 0], [0, 1, 0], [1, 0, 0]]),
    ([["p", " q"], ["q "], [" "], ["p"]], ("p", "q"), [[1, 1], [0, 1], [0, 0], [1, 0]]),
]


@pytest.mark.parametrize(("values", "names", "rows"), MULTIPLE)
def test_several_labels_at_once(values: Any, names: tuple[str, ...], rows: list[list[int]]) -> None:
    found = fitted(values)
    assert (found.kind, found.names) == ("multiple", names)
    told = found.encode(pa.table({"label": values}))
    assert told.dtype == np.uint8
    assert told.tolist()[: len(rows)] == rows
    assert found.counts == tuple(told.sum(axis=0).tolist())


def test_what_auto_means_can_be_overruled() -> None:
    values = ["a;b", "a", "b"] * 2
    assert fitted(values).kind == "multiple"
    assert fitted(values, "single").names == ("a", "a;b", "b")
    assert fitted(["a", "b"] * 2, "multiple").names == ("a", "b")
    assert fitted([3, 5] * 2, "number").kind == "number"
    assert fitted(list(range(30)) * 2).kind == "number"
    assert fitted(list(range(30)) * 2, "single").names == tuple(map(str, range(30)))


@pytest.mark.parametrize("flags", [[0, 1], [False, True], ["0", "1"], ["no", "yes"], [0.0, 1.0]])
def test_columns_of_nought_and_one_are_labels(flags: list[Any]) -> None:
    off, on = flags
    table = pa.table({"sad": [on, off, on, off, off], "happy": [off, on, on, on, off]})
    found = fit(table, ["sad", "happy"])
    assert (found.kind, found.names, found.form) == ("multiple", ("sad", "happy"), "columns")
    assert found.encode(table).tolist() == [[1, 0], [0, 1], [1, 1], [0, 1], [0, 0]]
    with pytest.raises(UsageError, match="0 and 1"):
        fit(pa.table({"a": [0, 1, 0, 1], "b": [0, 2, 0, 2]}), ["a", "b"])
    with pytest.raises(UsageError, match="one target column"):
        fit(table, ["sad", "happy"], "number")


def test_ordered_labels() -> None:
    assert fitted(["3", "1", "10"] * 2, "ordered").names == ("1", "3", "10")
    assert fitted([5, 1, 3] * 2, "ordered").kind == "ordered"
    order = ["bad", "fair", "good"]
    found = fitted(["good", "bad", "fair"] * 2, "ordered", order=order)
    assert found.names == tuple(order)
    with pytest.raises(UsageError, match="do not say their order"):
        fitted(["good", "bad"] * 2, "ordered")
    with pytest.raises(UsageError, match="also holds 'best'"):
        fitted(["good", "bad", "fair", "best"] * 2, "ordered", order=order)
    with pytest.raises(InputError, match="'fair'"):
        fitted(["good", "bad"] * 2, "ordered", order=order)


def test_numbers() -> None:
    values = [number / 8 for number in range(50)]
    found = fitted(values)
    assert (found.kind, found.names, found.counts) == ("number", (), ())
    assert found.mean == pytest.approx(np.mean(values))
    assert found.deviation == pytest.approx(np.std(values))
    told = found.encode(pa.table({"label": [str(value) for value in values]}))
    assert told.dtype == np.float32
    assert told.tolist() == values


WRITTEN: list[tuple[list[str], tuple[str, str], list[float]]] = [
    (["1198,33", "85,5", "1.200", " -3"], (",", ""), [1198.33, 85.5, 1200, -3]),
    (["1 198,33 €", "85,50 €", "7 €"], (",", "€"), [1198.33, 85.5, 7]),
    (["$1,200.50", "$85", "$0.5"], (".", "$"), [1200.5, 85, 0.5]),
    (["1,200", "3,400", "12"], (".", ""), [1200, 3400, 12]),
]


@pytest.mark.parametrize(("values", "written", "numbers"), WRITTEN)
def test_numbers_are_read_as_those_of_inputs_are(
    values: list[str], written: tuple[str, str], numbers: list[float], caplog: Any
) -> None:
    with caplog.at_level(logging.WARNING, "silmu"):
        found = fitted(values, "number")
    assert found.written == (written,)
    assert found.encode(pa.table({"label": values})).tolist() == pytest.approx(numbers)
    # Rows that alone could be read otherwise are read as the training was.
    if written == (",", ""):
        assert found.encode(pa.table({"label": ["1,200"]})).tolist() == pytest.approx([1.2])
    assert ("`label` is read as numbers with" in caplog.text) == (written != (".", ""))
    several = pa.table({"a": values, "b": [str(n) for n in range(len(values))]})
    both = fit(several, ["a", "b"], "numbers")
    assert both.written == (written, (".", ""))
    assert both.encode(several)[:, 0].tolist() == pytest.approx(numbers)


REFUSED: list[tuple[Any, str, str]] = [
    (["a"] * 5, "auto", "only the label 'a'"),
    (["a", "a", "b"], "auto", "fewer than 2 examples of 'b'"),
    (["a;b", "a;b", "a", "a;c", "c", "c;d"], "multiple", "'d'"),
    (["a;b", "a", "a;b", "a"], "multiple", "every row .* has the label 'a'"),
    (["a", None, "b"], "auto", "1 rows have no `label`"),
    ([1.5] * 9, "number", "has the same"),
    ([1.0, 2.0, float("nan")], "number", "no finite number"),
    (["1,5", "2,5", "two"], "number", "'two', which is not a number"),
    (["1,5", "007"], "number", "'007', which is not a number"),
    ([f"a text of its own, {number}" for number in range(100)], "auto", "too many for labels"),
    ([{"a": 1}] * 4, "auto", "cannot be a label"),
    ([b"a", b"b"] * 2, "auto", "cannot be a label"),
]


@pytest.mark.parametrize(("values", "kind", "says"), REFUSED)
def test_what_is_refused(values: Any, kind: str, says: str) -> None:
    with pytest.raises(SilmuError, match=says):
        fitted(values, kind)


def test_labels_that_training_has_not_are_refused_with_their_rows() -> None:
    found = fitted(["a", "b"] * 2)
    rows = pa.table({"label": ["a", "c", None]})
    with pytest.raises(InputError, match=r"2 rows have labels .* 'None', 'c' \(row 12, 13\)"):
        found.encode(rows, np.array([11, 12, 13]))
    several = fitted(["a;b", "a", "b"] * 2)
    with pytest.raises(InputError, match=r"1 rows .*'z' \(row 2\)"):
        several.encode(pa.table({"label": ["a", "a;z"]}))


def test_labels_go_through_json() -> None:
    import json

    commas = fitted(["1,5", "2,5"], "number")
    for found in (fitted(["a;b", "a", "b"] * 2), fitted([n / 3 for n in range(30)]), commas):
        assert Labels.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_names_are_sorted_by_value_only_if_all_are_numbers() -> None:
    assert by_value(["2", "10", "1e1"]) == ["2", "10", "1e1"]
    assert by_value(["2", "10", "x"]) == ["10", "2", "x"]


def test_a_label_of_test_rows_alone_is_refused(tmp_path: Path) -> None:
    texts, labels = reviews(90)
    part = ["train", "validation", "test"] * 30
    labels[2] = "wonderful"
    rows = dataset(tmp_path / "1", {"text": texts, "label": labels, "part": part}, split="part")
    with pytest.raises(InputError, match=r"'wonderful' \(row 3\)"):
        prepare_texts(rows, tmp_path / "2")


def test_a_label_that_is_not_judged_is_said(tmp_path: Path, caplog: Any) -> None:
    texts, labels = reviews(90)
    part = ["train", "validation", "test"] * 30
    labels = ["good" if p == "validation" else label for p, label in zip(part, labels, strict=True)]
    rows = dataset(tmp_path / "1", {"text": texts, "label": labels, "part": part}, split="part")
    with caplog.at_level(logging.WARNING, "silmu"):
        prepare_texts(rows, tmp_path / "2", settings={"vocabulary": "characters"})
    assert "the validation split has no example of 'bad'" in caplog.text
    assert "the test split has no example" not in caplog.text


@pytest.mark.parametrize("kind", ["single", "multiple", "number"])
def test_targets_and_weights(tmp_path: Path, kind: str) -> None:
    texts, labels = reviews(400)
    values: list[Any] = {
        "single": labels,
        "multiple": [f"{label};long" if n % 3 else label for n, label in enumerate(labels)],
        "number": [n / 7 for n in range(400)],
    }[kind]
    rows = dataset(tmp_path / "1", {"text": texts, "label": values})
    found = prepare_texts(rows, tmp_path / "2", settings={"vocabulary": "characters"})
    assert found.kind == kind
    for split in ("train", "validation"):
        features = found.features(split)
        assert (features.targets == found.targets(split)).all()
        assert (features.rows == found.rows(split)).all()
    assert len(found.targets("test")) == found.counts["test"]
    weights = found.class_weights
    if weights is None:
        assert kind == "number"
        assert found.target.mean == pytest.approx(found.targets("train").mean(), abs=1e-3)
    elif kind == "single":
        # All labels weigh the same together.
        sums = np.bincount(found.targets("train")) * weights
        assert sums == pytest.approx(found.counts["train"] / 2)
    else:
        has = found.targets("train").sum(axis=0)
        assert weights * has == pytest.approx(found.counts["train"] - has)
