"""Prepare for tables: fitted on training rows alone, what a column is, who is in which split."""

from __future__ import annotations

import datetime as dt
import logging
import math
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rows import dataset

from silmu.errors import CorruptError, InputError, UnknownNameError, UsageError
from silmu.runtime.columns import (
    CategoryColumn,
    Column,
    DateColumn,
    IgnoredColumn,
    NumberColumn,
    TextColumn,
)
from silmu.runtime.folder import Folder
from silmu.runtime.schema import Schema
from silmu.runtime.table import Table
from silmu.steps.prepare import prepare_tables
from silmu.steps.prepare.columns import MOST_RARE, fit_column
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.settings import TableSettings
from silmu.steps.prepare.tables import features, plain_cells

Columns = dict[str, list[Any]]
NUM = 400


def columns(count: int = NUM, seed: int = 0) -> Columns:
    """Rows no two of which are alike, with a column of each kind."""
    draw = random.Random(seed)
    day = dt.datetime(2023, 1, 1)
    return {
        "size": [draw.gauss(100, 15) if i % 11 else None for i in range(count)],
        "count": [str(draw.randrange(50)) for _ in range(count)],
        "kind": [draw.choice(["a", "b", "c"]) for _ in range(count)],
        "when": [day + dt.timedelta(hours=draw.randrange(9000)) for _ in range(count)],
        "note": [" ".join(draw.choices(["red", "old", "warm", "slow"], k=6)) for _ in range(count)],
        "label": [draw.choice(["yes", "no"]) for _ in range(count)],
    }


def prepare(
    folder: Path,
    given: Columns,
    *,
    name: str = "a",
    target: str = "label",
    roles: dict[str, str] | None = None,
    **settings: Any,
) -> Prepared:
    taken = {*target.split(","), *(roles or {}).values()}
    inputs = ",".join(one for one in given if one not in taken)
    rows = dataset(folder / f"{name}-1", given, input=inputs, target=target, **(roles or {}))
    return prepare_tables(rows, folder / f"{name}-2", settings={"labels": "names", **settings})


def table_of(prepared: Prepared) -> Table:
    return Table.open(Folder(prepared.processor, "it"))


def fit(values: list[Any], name: str = "x", **settings: Any) -> Column:
    """A column of an Arrow array of the values, as prepare fits it."""
    return fit_column(name, plain_cells(pa.array(values)), TableSettings(**settings))


# ── who is in which split ──────────────────────────────────────────────────────────────────────


def test_what_is_fitted_has_seen_training_rows_only(tmp_path: Path) -> None:
    given = columns()
    first = prepare(tmp_path, given, name="first")
    assert first.method == "hash"
    train = first.rows("train")
    # Which side a row is on is drawn from what is in it, so the split is given here.
    sides = np.array(["train", "validation", "test"], object)[first.split_of].tolist()
    given["split"] = sides
    before = prepare(tmp_path, given, name="before", roles={"split": "split"})
    changed = {name: list(values) for name, values in given.items()}
    others = set(range(NUM)) - set(train.tolist())
    for i in others:
        for name, value in (
            *(("size", 1e6 + i), ("count", "none of them"), ("kind", f"new {i}")),
            *(("when", dt.datetime(1900, 1, 1) + dt.timedelta(i)), ("note", f"other words {i}")),
        ):
            changed[name][i] = value
    after = prepare(tmp_path, changed, name="after", roles={"split": "split"})
    for name in ("processor.json", "processor.safetensors"):
        assert (before.processor / name).read_bytes() == (after.processor / name).read_bytes()
    assert before.fitted == after.fitted
    same, other = features(before, "train"), features(after, "train")
    assert np.array_equal(same.numbers, other.numbers)
    assert np.array_equal(same.categories, other.categories)
    # That the test can fail: a training row that changes is seen.
    changed["kind"][int(train[0])] = changed["kind"][int(train[1])] = "new"
    again = prepare(tmp_path, changed, name="again", roles={"split": "split"})
    assert again.fitted != before.fitted


def test_the_test_split_has_no_features(tmp_path: Path) -> None:
    found = prepare(tmp_path, columns())
    with pytest.raises(UnknownNameError, match="sealed until evaluate"):
        features(found, "test")
    assert not (found.path / "features" / "test").exists()


def test_features_are_what_the_table_reads(tmp_path: Path) -> None:
    given = columns()
    found = prepare(tmp_path, given)
    table = table_of(found)
    for split in ("train", "validation"):
        read = features(found, split)
        rows = read.rows.tolist()
        assert rows == found.rows(split).tolist()
        cells = {one.name: [given[one.name][i] for i in rows] for one in table.read}
        arrays = table.arrays(cells).arrays
        assert np.array_equal(read.numbers, arrays["numbers"])
        assert np.array_equal(read.categories, arrays["categories"])
        assert read.targets.tolist() == found.targets(split).tolist()
        assert np.isfinite(read.numbers).all()
    numbers = features(found, "train").numbers[:, :3]
    assert np.abs(numbers[:, [0, 2]].mean(axis=0)).max() < 0.1
    assert numbers[:, [0, 2]].std(axis=0) == pytest.approx(1, abs=0.15)
    assert set(np.unique(numbers[:, 1])) == {0, 1}  # whether `size` is missing


def test_rows_that_are_added_move_none(tmp_path: Path) -> None:
    given = columns(900)
    part = {name: values[:300] for name, values in given.items()}
    less, more = prepare(tmp_path, part, name="less"), prepare(tmp_path, given, name="more")
    assert less.method == more.method == "hash"
    assert np.array_equal(less.split_of, more.split_of[:300])
    shuffled = list(range(900))
    random.Random(1).shuffle(shuffled)
    turned = prepare(tmp_path, {k: [v[i] for i in shuffled] for k, v in given.items()}, name="turn")
    assert np.array_equal(turned.split_of, more.split_of[shuffled])
    seeded = prepare(tmp_path, given, name="seeded", seed=1)
    assert not np.array_equal(seeded.split_of, more.split_of)


def test_copies_of_a_row_are_on_one_side(tmp_path: Path) -> None:
    given = {name: values + values[:60] for name, values in columns().items()}
    found = prepare(tmp_path, given)
    assert found.moved == 60
    assert np.array_equal(found.split_of[NUM:], found.split_of[:60])
    assert found.leaders[NUM:].tolist() == list(range(60))
    # Equal inputs with another target are copies too: what is asked is the same.
    given["label"][NUM:] = ["yes" if one == "no" else "no" for one in given["label"][NUM:]]
    other = prepare(tmp_path, given, name="other")
    assert np.array_equal(other.split_of, found.split_of)


def test_where_most_rows_are_alike_they_are_no_copies(tmp_path: Path) -> None:
    draw = random.Random(0)
    given: Columns = {
        "a": [draw.choice("xyz") for _ in range(500)],
        "b": [draw.choice("pq") for _ in range(500)],
        "label": [draw.choice(["yes", "no"]) for _ in range(500)],
    }
    found = prepare(tmp_path, given)
    assert found.moved == 0
    assert min(found.counts.values()) > 25
    part = prepare(tmp_path, {name: v[:400] for name, v in given.items()}, name="part")
    assert np.array_equal(part.split_of, found.split_of[:400])


def test_labels_that_are_too_rare_are_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = columns()
    given["label"][7] = "once"
    given["label"][8] = "also once"
    found = prepare(tmp_path, given)
    assert found.method == "hash"
    assert found.labels == ("no", "yes")
    reason = "fewer than 2 rows to learn from have their label, 'also once', 'once'"
    assert found.left_out == {reason: 2}
    assert found.split_of[[7, 8]].tolist() == [-1, -1]
    assert sum(found.counts.values()) == NUM - 2
    assert reason in caplog.text
    # The others are where they were.
    plain = prepare(tmp_path, columns(), name="plain")
    kept = np.delete(np.arange(NUM), [7, 8])
    assert np.array_equal(found.split_of[kept], plain.split_of[kept])


def test_a_label_that_only_the_newest_rows_have_is_left_out(tmp_path: Path) -> None:
    given = columns()
    given["when"] = sorted(given["when"])
    given["label"][-3:] = ["new"] * 3
    found = prepare(tmp_path, given, roles={"time": "when"})
    assert found.method == "time"
    assert list(found.left_out.values()) == [3]
    assert found.labels == ("no", "yes")
    given["label"][-60:] = ["new"] * 60
    with pytest.raises(InputError, match=r"a split stays empty.*'new'"):
        prepare(tmp_path, given, name="none", roles={"time": "when"})


def test_a_rare_label_is_in_every_split(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = columns(1000)
    plain = prepare(tmp_path, given, name="plain")
    rare = set(plain.rows("train")[:6].tolist())
    given["label"] = ["rare" if i in rare else "frequent" for i in range(1000)]
    found = prepare(tmp_path, given)
    assert found.method == "stratified"
    assert "split has no example of 'rare': rows that are added later may move" in caplog.text
    for split in ("train", "validation", "test"):
        assert set(found.targets(split).tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("given", "settings", "error", "said"),
    [
        ({"label": ["same"] * NUM}, {}, InputError, "only the label 'same'"),
        ({"label": [f"{i}" for i in range(NUM)]}, {}, InputError, "too many for labels"),
        ({"label": [i / 7 for i in range(NUM)]}, {}, InputError, "tabular-regression"),
        ({"label": ["x"] * NUM}, {"labels": "numbers"}, UsageError, "'x', which is not a number"),
        ({"label": ["$5"] * NUM}, {"labels": "numbers"}, InputError, "the same `label`"),
        ({"label": [5] * NUM}, {"labels": "numbers"}, InputError, "the same `label`"),
        ({"label": [1e300, 2.0] * 200}, {"labels": "numbers"}, InputError, "at most 1e[+]30"),
        ({"label": [1.7e9, 1.7e9 + 1] * 200}, {"labels": "numbers"}, InputError, "subtract 17000"),
        ({}, {"ignore": "kinds"}, UnknownNameError, "(?s)names `kinds`.*did you mean `kind`"),
        ({}, {"categories": "label"}, UnknownNameError, "categories names `label`"),
        ({}, {"normalise": "most"}, UnknownNameError, "normalise is 'most'"),
        ({}, {"max_levels": 0}, UsageError, "max_levels is 0"),
        ({}, {"ignore": "size,count,kind,when,note"}, InputError, "no column tells anything: `si"),
    ],
)
def test_what_cannot_be_learnt_is_refused_and_leaves_nothing(
    given: Columns, settings: Any, error: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        prepare(tmp_path, columns() | given, **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["a-1"]


def test_targets_of_every_kind(tmp_path: Path) -> None:
    given = columns()
    draw = random.Random(3)
    numbers = [draw.gauss(1e6, 10) for _ in range(NUM)]
    grades, flags = [i % 5 for i in range(NUM)], [draw.random() < 0.3 for _ in range(NUM)]
    one = prepare(tmp_path, given | {"label": numbers}, labels="numbers")
    assert (one.kind, features(one, "train").targets.dtype) == ("number", np.float32)
    words = [f"{number:,.2f}" for number in numbers]
    told = prepare(tmp_path, given | {"label": words}, name="words", labels="numbers")
    assert told.targets("train").tolist() == pytest.approx(one.targets("train").tolist())
    whole = prepare(tmp_path, given | {"label": [2**62, 7] * 200}, name="i", labels="numbers")
    assert set(whole.targets("train").tolist()) == {2.0**62, 7.0}
    two = prepare(
        *(tmp_path, given | {"other": grades, "label": numbers}),
        name="two", target="label,other", labels="numbers",
    )  # fmt: skip
    assert features(two, "train").targets.shape[1] == 2
    both = prepare(
        *(tmp_path, {**given, "p": flags, "q": [int(g == 1) for g in grades]}),
        name="both", target="p,q",
    )  # fmt: skip
    assert (both.kind, both.labels) == ("multiple", ("p", "q"))
    ordered = prepare(tmp_path, given | {"label": grades}, name="o", labels="ordered")
    assert (ordered.kind, ordered.labels) == ("ordered", ("0", "1", "2", "3", "4"))
    names = [["bad", "fair", "good, or so"][i % 3] for i in range(NUM)]
    order = 'bad,fair,"good, or so"'
    named = prepare(tmp_path, given | {"label": names}, name="n", labels="ordered", order=order)
    assert named.labels == ("bad", "fair", "good, or so")


def test_the_schema_names_columns_and_labels(tmp_path: Path) -> None:
    found = prepare(tmp_path, columns())
    schema = Schema.open(Folder(found.path, "it"))
    assert schema is not None
    assert [(one.name, one.type) for one in schema.inputs] == [
        *(("size", "number"), ("count", "text"), ("kind", "text"), ("when", "time")),
        ("note", "text"),
    ]
    assert [one.labels for one in schema.targets] == [("no", "yes")]
    assert all(one.characters is None for one in schema.columns)


def test_a_folder_that_is_damaged_or_of_other_rows_is_refused(tmp_path: Path) -> None:
    found = prepare(tmp_path, columns())
    other = prepare(tmp_path, columns(seed=1), name="b")
    with pytest.raises(CorruptError, match="prepared from other rows"):
        Prepared.open(found.path, other.dataset)
    again = Prepared.open(found.path, found.dataset)
    assert len(features(again, "train")) == found.counts["train"]
    path = found.path / "features" / "train" / "numbers.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CorruptError):
        Prepared.open(found.path, found.dataset)


# ── what each column is ────────────────────────────────────────────────────────────────────────

DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=37 * i % 600) for i in range(60)]
TEXTS = [f"{['red', 'old', 'warm'][i % 3]} song of the sea, part {i}" for i in range(60)]
WHOLE = [17 * i % 61 for i in range(60)]
KINDS: dict[str, tuple[list[Any], type[Any]]] = {
    "numbers": (WHOLE, NumberColumn),
    "numbers with holes": ([None, *WHOLE], NumberColumn),
    "numbers in texts": ([f"{n / 7:.2f}" for n in WHOLE], NumberColumn),
    "numbers and words for none": (["NA", "?", "-", "", *map(str, WHOLE)], NumberColumn),
    "few numbers": ([n % 3 for n in WHOLE], NumberColumn),
    "percentages": ([f"{n}%" for n in WHOLE], NumberColumn),
    "money": ([f"${n},{n + 100}" for n in range(1, 61)], NumberColumn),
    "money of Korea": ([f"{n},000원" for n in range(1, 61)], NumberColumn),
    "a comma for a point": ([f"{n},5" for n in WHOLE], NumberColumn),
    "infinity among numbers": ([math.inf, math.nan, *map(float, WHOLE)], NumberColumn),
    "decimals": ([Decimal(n) / 4 for n in WHOLE], NumberColumn),
    "lengths of time": ([dt.timedelta(minutes=n) for n in WHOLE], NumberColumn),
    "times of day": ([dt.time(n % 24, n % 60) for n in WHOLE], NumberColumn),
    "truth": ([n % 2 == 0 for n in WHOLE], CategoryColumn),
    "truth in texts": (["TRUE" if n % 2 else "FALSE" for n in WHOLE], CategoryColumn),
    "yes and no": (["Y" if n % 2 else "N" for n in WHOLE], CategoryColumn),
    "levels": (["abc"[n % 3] for n in WHOLE], CategoryColumn),
    "levels with holes": (["abc"[n % 3] if n % 4 else None for n in WHOLE], CategoryColumn),
    "grades, some no numbers": ([f"{n % 4}" if n % 5 else "A" for n in WHOLE], CategoryColumn),
    "codes with zeros before": ([f"{n % 20:03}" for n in WHOLE], CategoryColumn),
    "levels that are many": ([f"shop {n % 30}" for n in WHOLE], CategoryColumn),
    "dates": (DAYS, DateColumn),
    "times": ([dt.datetime(2024, 1, 1, n % 24) for n in WHOLE], DateColumn),
    "dates in texts": ([f"{day:%Y-%m-%d}" for day in DAYS], DateColumn),
    "dates of Korea": ([f"{day:%Y}년 {day.month}월 {day.day}일" for day in DAYS], DateColumn),
    "days first": ([f"{day:%d/%m/%Y}" for day in DAYS], DateColumn),
    "months first": ([f"{day:%m/%d/%Y} 5:30 PM" for day in DAYS], DateColumn),
    "dates of digits": ([f"{day:%Y%m%d}" for day in DAYS], DateColumn),
    "dates as whole numbers": ([int(f"{day:%Y%m%d}") for day in DAYS], DateColumn),
    "months": ([f"{day:%Y-%m}" for day in DAYS], DateColumn),
    "texts": (TEXTS, TextColumn),
    "texts of Korea": ([f"정말 {n} 좋은 영화 {n % 7} 음악 배우" for n in WHOLE], TextColumn),
}  # fmt: skip


@pytest.mark.parametrize("case", KINDS)
def test_what_a_column_holds_is_told_from_its_cells(case: str) -> None:
    values, kind = KINDS[case]
    column = fit(values)
    assert isinstance(column, kind), column
    table = Table("single", (column,))
    reading = table.arrays({"x": values})
    (array,) = reading.arrays.values()
    assert len(array) == len(values)
    assert np.isfinite(array).all()
    assert {len(row) for row in reading.flags.values()} <= {1}
    assert len(reading.flags) == (case == "infinity among numbers")


IGNORED: dict[str, tuple[str, list[Any], str]] = {
    "nothing": ("x", [None] * 30, "no row of the training has it"),
    "words for nothing": ("x", ["NA", ""] * 15, "no row of the training has it"),
    "one number": ("x", [5] * 30, "it is 5 in every row of the training"),
    "one level": ("x", ["a"] * 30, "it is 'a' in every row"),
    "one time": ("x", [dt.datetime(2024, 1, 1)] * 30, "it is 2024-01-01 00:00:00 in every row"),
    "numbers of rows": ("x", list(range(30)), "it numbers the rows"),
    "numbers of rows from far": ("x", list(range(5000, 5030)), "it numbers the rows"),
    "an id by name": ("customer_id", [7919 * i % 10007 for i in range(30)], "it numbers the rows"),
    "an id of Korea": ("번호", [7919 * i % 10007 for i in range(30)], "it numbers the rows"),
    "names": ("x", [f"person {i}" for i in range(30)], "tells rows apart: 30 levels in 30 rows"),
    "several units": ("x", [f"{'$€'[i % 2]}{i}" for i in range(30)], "several units: $, €"),
    "levels of which none comes twice": ("x", list("abcdefgh"), "no two rows of the training"),
    "lists": ("x", [[1, 2]] * 30, "cells of the type list"),
    "dicts": ("x", [{"a": 1}] * 30, "cells of the type dict"),
    "bytes": ("x", [b"a"] * 30, "cells of the type bytes"),
}


@pytest.mark.parametrize("case", IGNORED)
def test_what_tells_nothing_is_not_read_and_says_why(case: str) -> None:
    name, values, why = IGNORED[case]
    column = fit(values, name)
    assert isinstance(column, IgnoredColumn)
    assert why in column.why


def test_what_looks_like_an_id_is_read_if_that_is_asked() -> None:
    assert isinstance(fit(list(range(30)), read=("x",)), NumberColumn)
    assert isinstance(fit([f"p{i % 28}" for i in range(30)], read=("x",)), CategoryColumn)
    assert isinstance(fit([n % 3 for n in WHOLE], categories=("x",)), CategoryColumn)
    assert isinstance(fit([str(day) for day in DAYS * 2], categories=("x",)), CategoryColumn)
    assert isinstance(fit(WHOLE, ignore=("x",)), IgnoredColumn)
    # Of few rows nothing is said to be an id.
    assert isinstance(fit(list(range(12)), "id"), NumberColumn)


def test_numbers_are_filled_and_normalised() -> None:
    draw = random.Random(0)
    values = [math.exp(draw.gauss(0, 2)) if i % 10 else None for i in range(1000)]
    for normalise in ("quantile", "standard", "robust"):
        column = fit(values, normalise=normalise)
        assert isinstance(column, NumberColumn)
        known = sorted(value for value in values if value is not None)
        assert column.fill == pytest.approx(known[450], rel=0.02)
        assert (column.low, column.high) == (known[0], known[-1])
        assert column.missing == pytest.approx(0.1)
        arrays = Table("single", (column,)).arrays({"x": values}).arrays["numbers"]
        assert arrays[:, 1].tolist() == [float(value is None) for value in values]
        there = arrays[arrays[:, 1] == 0, 0]
        assert np.array_equal(np.argsort(there), np.argsort([v for v in values if v is not None]))
        if normalise == "quantile":
            assert (there.mean(), there.std()) == pytest.approx((0, 1), abs=0.03)
        if normalise == "standard":
            assert (there.mean(), there.std()) == pytest.approx((0, 1), abs=1e-5)
        if normalise == "robust":
            low, high = np.quantile(there, (0.25, 0.75))
            assert high - low == pytest.approx(1.349, abs=1e-4)
    plain = fit(values, indicators=False)
    assert isinstance(plain, NumberColumn)
    assert plain.width == 1


def test_numbers_with_ties_have_one_height() -> None:
    column = fit([0] * 500 + list(range(1, 501)))
    arrays = Table("single", (column,)).arrays({"x": [0, 1e-9, 500, 1000]}).arrays["numbers"]
    assert arrays[0, 0] < arrays[1, 0] < arrays[2, 0] == arrays[3, 0]


def test_numbers_of_every_size_stay_numbers() -> None:
    for values in (
        [1e300, -1e300, 1e-300, 0.0] * 10,
        [2**63 - 1, -(2**63), 0, 7] * 10,
        [1e18, 1e18 + 256] * 20,
        [5e-324, 0.0] * 20,
        [None, 2.0**60] * 20,
    ):
        for normalise in ("quantile", "standard", "robust"):
            column = fit(values, normalise=normalise)
            assert isinstance(column, NumberColumn)
            wild = [*values, 1e308, -1e308, 3, math.nan]
            assert np.isfinite(
                Table("single", (column,)).arrays({"x": wild}).arrays["numbers"]
            ).all()


def test_levels_that_are_rare_are_known_to_be(caplog: pytest.LogCaptureFixture) -> None:
    column = fit([*["often"] * 50, *["seldom"] * 2, "once", "twice", "twice", None])
    assert isinstance(column, CategoryColumn)
    assert column.levels == ("often", "seldom", "twice")
    assert (column.counts, column.rare) == ((50, 2, 2), ("once",))
    few = fit([*"aaabbc"] * 10, max_levels=2)
    assert isinstance(few, CategoryColumn)
    assert (few.levels, few.rare) == (("a", "b"), ("c",))
    table = Table("single", (few,))
    reading = table.arrays({"x": ["a", "c", "new", None]})
    assert reading.arrays["categories"][:, 0].tolist() == [2, 0, 0, 1]
    assert [*reading.flags] == [2, 3]
    count = 2 * MOST_RARE
    many = fit([*map(str, range(count)), *["x"] * count], categories=("x",))
    assert isinstance(many, CategoryColumn)
    assert len(many.rare) == MOST_RARE
    assert caplog.text == ""


def test_a_text_among_numbers_is_said(caplog: pytest.LogCaptureFixture) -> None:
    column = fit([*map(str, range(0, 200, 2)), "many"])
    assert isinstance(column, NumberColumn)
    assert "`x` is read as numbers; 1 cells that are none, such as 'many'" in caplog.text


def test_days_and_months_that_could_be_exchanged_are_said(caplog: pytest.LogCaptureFixture) -> None:
    column = fit([f"{i % 12 + 1}/{i % 9 + 1}/2024" for i in range(40)])
    assert isinstance(column, DateColumn)
    assert column.order == "dmy"
    assert "could be month, day, year as well: 1/1/2024; write dates as 2026-01-31" in caplog.text
    caplog.clear()
    column = fit([f"{i % 12 + 1}/{i % 29 + 1}/2024" for i in range(40)])
    assert isinstance(column, DateColumn)
    assert (column.order, caplog.text) == ("mdy", "")


def test_times_with_and_without_zones() -> None:
    zoned = fit([dt.datetime(2024, 1, n % 28 + 1, tzinfo=dt.UTC) for n in WHOLE])
    plain = fit([f"2024-01-{n % 28 + 1:02}" for n in WHOLE])
    assert isinstance(zoned, DateColumn)
    assert isinstance(plain, DateColumn)
    assert (zoned.zoned, plain.zoned) == (True, False)
    offsets = ["Z", "+09:00", "-05:00"]
    mixed = fit([f"2024-01-{n % 28 + 1:02} 10:00{offsets[n % 3]}" for n in WHOLE])
    assert isinstance(mixed, DateColumn)
    assert mixed.zoned
    assert "hour" in mixed.parts


def test_the_parts_of_a_time_that_tell_nothing_are_left_out() -> None:
    column = fit([dt.date(2000 + n, 7, 1) for n in range(30)])
    assert isinstance(column, DateColumn)
    assert "since" in column.parts
    assert not {"month", "day", "hour"} & {*column.parts}


def test_times_that_python_cannot_hold_are_refused() -> None:
    with pytest.raises(InputError, match="of the type timestamp"):
        plain_cells(pa.array([2**62, None], pa.timestamp("s")))
    with pytest.raises(InputError, match="of the type date32"):
        plain_cells(pa.array([2**30], pa.date32()))
    fine = plain_cells(pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns")))
    assert fine == [dt.datetime(2023, 11, 14, 22, 13, 20, 123456), None]


def test_texts_become_numbers_by_their_words() -> None:
    draw = random.Random(0)
    good, bad = ["lovely", "warm", "좋은"], ["dull", "cold", "나쁜"]
    values = [" ".join(draw.choices(good if i % 2 else bad, k=9)) + f" {i}" for i in range(200)]
    column = fit(values)
    assert isinstance(column, TextColumn)
    assert "lovely" in column.words
    assert "7" not in column.words
    numbers = Table("single", (column,)).arrays({"x": values}).arrays["numbers"]
    assert numbers.std(axis=0) == pytest.approx(1, abs=0.05)
    apart = np.abs(numbers[::2].mean(axis=0) - numbers[1::2].mean(axis=0)).max()
    assert apart > 1.9
    empty = Table("single", (column,)).arrays({"x": ["words that nobody knows"]})
    assert np.abs(empty.arrays["numbers"]).max() < 0.2


def test_what_is_not_read_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "silmu")
    found = prepare(tmp_path, columns() | {"id": list(range(NUM)), "unit": ["kg"] * NUM})
    assert "`id` is not read: it numbers the rows" in caplog.text
    assert "`unit` is not read: it is 'kg' in every row" in caplog.text
    table = table_of(found)
    assert [one.name for one in table.columns if isinstance(one, IgnoredColumn)] == ["id", "unit"]
    assert {one.name for one in table.read} == {"size", "count", "kind", "when", "note"}
