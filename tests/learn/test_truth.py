"""What new rows say about themselves, however they write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rows import dataset

from silmu.errors import UsageError
from silmu.runtime.schema import Column, Schema
from silmu.steps.evaluate.truth import Truth, truth_of

COMMAS = Schema((Column("price", "target", "text", written=(",", "€")),))
PLAIN = Schema((Column("price", "target", "number"),))


def truth(folder: Path, values: list[Any], kind: str, **how: Any) -> Truth:
    columns = {"text": [f"text {i}" for i in range(len(values))], "price": values}
    rows = dataset(folder, columns, target="price")
    return truth_of(rows, kind, how.pop("labels", ()), **how)


NUMBERS: list[tuple[list[Any], Schema | None, list[float]]] = [
    (["1198,33 €", "1.200", "7"], COMMAS, [1198.33, 1200, 7]),
    # These alone would be thousands; the training had a comma before decimals.
    (["1,200", "3,400"], COMMAS, [1.2, 3.4]),
    (["1,200", "3,400"], PLAIN, [1200, 3400]),
    # A file of its own writing is read as it is written.
    (["1198,33", "85,5"], PLAIN, [1198.33, 85.5]),
    (["1198,33", "85,5"], None, [1198.33, 85.5]),
    (["1198.33", "85.5"], COMMAS, [1198.33, 85.5]),
    ([1198.33, 85.5], COMMAS, [1198.33, 85.5]),
]


@pytest.mark.parametrize(("values", "schema", "expected"), NUMBERS)
def test_numbers(
    tmp_path: Path, values: list[Any], schema: Schema | None, expected: list[float]
) -> None:
    found = truth(tmp_path / "1", values, "number", schema=schema)
    assert found.known.all()
    assert found.targets.tolist() == pytest.approx(expected)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`price` holds none"):
        truth(tmp_path / "1", ["many", "few"], "number", schema=COMMAS)


@pytest.mark.parametrize("labels", [("p", "q"), (" p", "q ")])
@pytest.mark.parametrize("values", [["p, q", " q", "p"], [["p", " q"], ["q"], ["p "]]])
def test_several_labels_are_without_blanks(
    tmp_path: Path, labels: tuple[str, ...], values: list[Any]
) -> None:
    found = truth(tmp_path / "1", values, "multiple", labels=labels)
    assert found.targets.tolist() == [[1, 1], [0, 1], [1, 0]]
    assert not found.unseen


@pytest.mark.parametrize("labels", [("p", "q"), (" p", "q ")])
def test_one_label_is_without_blanks(tmp_path: Path, labels: tuple[str, ...]) -> None:
    found = truth(tmp_path / "1", [" p", "q", "p", "r "], "single", labels=labels)
    assert found.targets[:3].tolist() == [0, 1, 0]
    assert np.flatnonzero(~found.known).tolist() == [3]
    assert found.unseen == [{"label": "r", "count": 1}]
