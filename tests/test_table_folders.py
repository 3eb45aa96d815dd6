"""Model folders for tables: what was fitted comes back as it was, and what is broken is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from silmu import pipeline
from silmu.errors import InvalidModelError, ModelError, UnsupportedModelError
from silmu.runtime.columns import IgnoredColumn
from silmu.runtime.folder import Folder
from silmu.runtime.table import Table

KINDS = ("single", "ordered", "multiple", "number", "numbers")
ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "golden" / "tables.json").read_text(encoding="utf-8")
)["table-single"]["rows"]
Change = Callable[[dict[str, Any], dict[str, np.ndarray]], Any]


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    shutil.copytree(models / "table-single", tmp_path / "model")
    return tmp_path / "model"


def table_of(folder: Path) -> Table:
    return Table.open(Folder(folder, folder.name))


def column(values: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in values["columns"] if one["name"] == name)


def place(values: dict[str, Any], name: str) -> int:
    return [one["name"] for one in values["columns"]].index(name)


def change(folder: Path, how: Change) -> None:
    path, other = folder / "processor.json", folder / "processor.safetensors"
    values, arrays = json.loads(path.read_text("utf-8")), safetensors.numpy.load_file(other)
    how(values, arrays)
    path.write_text(json.dumps(values), "utf-8")
    safetensors.numpy.save_file(arrays, other)


# ── there and back ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_fitted_is_written_and_read_again(kind: str, models: Path, tmp_path: Path) -> None:
    table = table_of(models / f"table-{kind}")
    files = table.to_files()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert data == (models / f"table-{kind}" / name).read_bytes()
    again = table_of(tmp_path)
    assert again.to_files() == files
    assert [type(one) for one in again.columns] == [type(one) for one in table.columns]
    assert (again.num_numbers, again.sizes) == (table.num_numbers, table.sizes)
    assert again.interval == table.interval
    assert again.thresholds == table.thresholds


def test_what_validation_told_is_kept(models: Path) -> None:
    table = table_of(models / "table-single")
    told = table.with_outcome([0.5, 0.25], [(-1.0, 2.0)])
    assert (told.thresholds, told.interval) == ((0.5, 0.25), ((-1.0, 2.0),))
    assert told.columns == table.columns
    assert told.with_outcome().thresholds is None


def test_arrays_are_of_what_the_network_reads(models: Path) -> None:
    table = table_of(models / "table-single")
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    reading = table.arrays(columns)
    assert reading.arrays["numbers"].shape == (len(ROWS), table.num_numbers)
    assert reading.arrays["numbers"].dtype == np.float32
    assert reading.arrays["categories"].shape == (len(ROWS), len(table.sizes))
    assert (reading.arrays["categories"] < table.sizes).all()
    assert reading.flags == {}
    wild = {one.name: [1e308, "x" * 99, {"a": 1}, -1e308, "9999-12-31"] for one in table.read}
    found = table.arrays(wild)
    assert all(np.isfinite(array).all() for array in found.arrays.values())
    assert sorted(found.flags) == [0, 1, 2, 3, 4]
    only = table_of(models / "table-multiple").arrays({"colour": ["red"], "size": [None]})
    assert [*only.arrays] == ["categories"]


def test_many_levels_fit_into_a_folder(models: Path, tmp_path: Path) -> None:
    # As many as a column may have, in several columns: more than other files of JSON may hold.
    shutil.copytree(models / "table-multiple", tmp_path / "model")
    path = tmp_path / "model" / "processor.json"
    values = json.loads(path.read_text("utf-8"))
    values["columns"][0]["rare"] = [f"a rather long name of a level {i}" for i in range(200_000)]
    path.write_text(json.dumps(values), "utf-8")
    assert path.stat().st_size > 4 << 20
    assert "flags" not in pipeline(model=tmp_path / "model")(
        {"colour": "a rather long name of a level 7", "size": "S"}
    )


# ── broken ─────────────────────────────────────────────────────────────────────────────────────

BROKEN: dict[str, Change] = {
    "no format": lambda v, a: v.pop("format"),
    "no columns": lambda v, a: v.pop("columns"),
    "columns that are none": lambda v, a: v.update(columns=3),
    "a column that is none": lambda v, a: v["columns"].append(None),
    "a column of a text": lambda v, a: v["columns"].append("age"),
    "a column without a kind": lambda v, a: v["columns"][2].pop("kind"),
    "a kind that is none": lambda v, a: v["columns"][2].update(kind="picture"),
    "a kind that is a list": lambda v, a: v["columns"][2].update(kind=[1]),
    "a column without a name": lambda v, a: column(v, "age").pop("name"),
    "a name that is a number": lambda v, a: column(v, "age").update(name=3),
    "a name that comes twice": lambda v, a: column(v, "age").update(name="fare"),
    "a field that is none": lambda v, a: column(v, "age").update(code="import os"),
    "a fill that is a text": lambda v, a: column(v, "age").update(fill="31"),
    "a fill that is null": lambda v, a: column(v, "age").update(fill=None),
    "a fill that is truth": lambda v, a: column(v, "age").update(fill=True),
    "an indicator that is a number": lambda v, a: column(v, "age").update(indicator=7),
    "low above high": lambda v, a: column(v, "age").update(low=1e9),
    "a decimal that is none": lambda v, a: column(v, "age").update(decimal=";"),
    "a unit that is a list": lambda v, a: column(v, "age").update(unit=["%"]),
    "no knots": lambda v, a: a.pop(f"{place(v, 'age')}.knots"),
    "knots of another number": lambda v, a: put(v, a, "knots", lambda k: k[:-1]),
    "knots that fall": lambda v, a: put(v, a, "knots", lambda k: k[::-1]),
    "knots that are one": lambda v, a: put(v, a, "knots", lambda k: k * 0),
    "knots that are none": lambda v, a: put(v, a, "knots", lambda k: k * np.nan),
    "knots of two axes": lambda v, a: put(v, a, "knots", lambda k: k[:, None]),
    "knots of whole numbers": lambda v, a: put(v, a, "knots", lambda k: k.astype(np.int64)),
    "heights without an end": lambda v, a: put(v, a, "heights", lambda k: k + np.inf),
    "heights too high": lambda v, a: put(v, a, "heights", lambda k: k + 1e30),
    "levels that are numbers": lambda v, a: column(v, "sex").update(levels=[1, 2]),
    "levels that come twice": lambda v, a: column(v, "sex").update(levels=["male", "male"]),
    "a level that is rare too": lambda v, a: column(v, "sex").update(rare=["male"]),
    "levels without counts": lambda v, a: column(v, "sex").update(counts=[]),
    "levels that are null": lambda v, a: column(v, "sex").update(levels=None),
    "an order that is none": lambda v, a: column(v, "seen").update(order="ydm"),
    "parts that are none": lambda v, a: column(v, "seen").update(parts=["second"]),
    "parts that come twice": lambda v, a: column(v, "seen").update(parts=["day", "day"]),
    "times beyond all": lambda v, a: column(v, "seen").update(high=1e300),
    "words that come twice": lambda v, a: column(v, "note").update(words=["a", "a"]),
    "words without weights": lambda v, a: a.pop(f"{place(v, 'note')}.weights"),
    "a reason that is none": lambda v, a: column(v, "same").update(why=None),
    "a target that is none": lambda v, a: v.update(kind="picture"),
    "thresholds that are texts": lambda v, a: v.update(thresholds=["x"]),
    "thresholds of another number": lambda v, a: v.update(thresholds=[0.5]),
    "an interval of one end": lambda v, a: v.update(interval=[[1.0]]),
    "another kind of target": lambda v, a: v.update(kind="number"),
    "a column less": lambda v, a: v["columns"].pop(place(v, "sex")),
    "a level more": lambda v, a: (
        column(v, "sex")["levels"].append("other"),
        column(v, "sex")["counts"].append(3),
    ),
    "a column that is not read": lambda v, a: v["columns"].__setitem__(
        place(v, "sex"), {"kind": "ignored", "name": "sex", "why": "so"}
    ),
    "not of a table": lambda v, a: v.update(table=False),
}


def put(values: dict[str, Any], arrays: dict[str, np.ndarray], name: str, how: Any) -> None:
    key = f"{place(values, 'age')}.{name}"
    with np.errstate(invalid="ignore"):
        arrays[key] = np.ascontiguousarray(how(arrays[key]))


@pytest.mark.parametrize("case", BROKEN)
def test_a_processor_that_is_broken_is_refused(case: str, folder: Path) -> None:
    change(folder, BROKEN[case])
    with pytest.raises(InvalidModelError, match=r"processor\.json") as caught:
        pipeline("tabular-classification", model=folder)
    assert str(folder) in str(caught.value)


def test_a_newer_one_asks_for_a_newer_silmu(folder: Path) -> None:
    change(folder, lambda v, a: v.update(format=2))
    with pytest.raises(UnsupportedModelError, match="pip install --upgrade silmu"):
        pipeline(model=folder)


FILES: dict[str, tuple[str, bytes | None]] = {
    "no processor": ("processor.json", None),
    "no arrays": ("processor.safetensors", None),
    "an empty processor": ("processor.json", b""),
    "half a processor": ("processor.json", b'{"format": 1, "table": tr'),
    "a list": ("processor.json", b"[1]"),
    "a number that is none": ("processor.json", b'{"format": 1, "table": true, "columns": NaN}'),
    "a depth of many": ("processor.json", b"[" * 100_000),
    "empty arrays": ("processor.safetensors", b""),
    "arrays that are none": ("processor.safetensors", b"\xff" * 100),
    "a header without an end": ("processor.safetensors", (1 << 62).to_bytes(8, "little") + b"{}"),
    "a type that numpy has not": (
        "processor.safetensors",
        safetensors.numpy.save({"2.knots": np.zeros(2, np.float16)}).replace(b"F16", b"BF16"[1:]),
    ),
    "no weights": ("model.safetensors", None),
    "no config": ("config.json", None),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_broken_is_refused(case: str, folder: Path) -> None:
    name, data = FILES[case]
    if data is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(data)
    with pytest.raises(ModelError):
        pipeline("tabular-classification", model=folder)


def test_flipped_bytes_are_refused_or_read(folder: Path) -> None:
    # A flip may fall into a name or a number, and then the folder is still sound.
    draw = np.random.default_rng(0)
    for name in ("processor.json", "processor.safetensors", "config.json"):
        whole = (folder / name).read_bytes()
        for _ in range(25):
            data = bytearray(whole)
            for flip in draw.integers(0, min(len(data), 3000), 3):
                data[flip] ^= 1 << int(draw.integers(8))
            (folder / name).write_bytes(data)
            try:
                pipe = pipeline("tabular-classification", model=folder)
                answers = pipe(ROWS, odd="impute")
            except ModelError:
                continue
            assert all(np.isfinite(answer["score"]) for answer in answers)
        (folder / name).write_bytes(whole)


def test_a_config_of_another_network_is_refused(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    sizes = config["category_sizes"]
    for changed in (
        {"num_numbers": 3},
        {"num_numbers": -1},
        {"num_numbers": 1 << 31},
        {"num_numbers": None},
        {"category_sizes": sizes[:-1]},
        {"category_sizes": [*sizes[:-1], 1 << 40]},
        {"category_sizes": [*sizes[:-1], "4"]},
        {"category_sizes": "many"},
        {"category_sizes": None},
        {"num_outputs": 7},
        {"num_outputs": 0},
        {"members": 0},
        {"members": 10**9},
        {"members": 2},
        {"hidden_size": 13},
        {"num_layers": 10**6},
        {"num_layers": 0},
        {"number_bins": 1 << 40},
        {"number_bins": -3},
        {"number_size": "3"},
        {"category_size": None},
        {"kind": "lstm"},
        {"mean": "median"},
        {"id2label": {"0": "a"}, "label2id": {"a": 0}},
    ):
        path.write_text(json.dumps({**config, **changed}), "utf-8")
        with pytest.raises(ModelError):
            pipeline("tabular-classification", model=folder)(ROWS[0])
    path.write_text(json.dumps(config), "utf-8")
    assert pipeline(model=folder)(ROWS[0])


def test_a_model_for_texts_is_no_model_for_tables(models: Path) -> None:
    with pytest.raises(ModelError):
        pipeline("tabular-classification", model=models / "bert-sequence")
    with pytest.raises(ModelError):
        pipeline("text-classification", model=models / "table-single")
    with pytest.raises(ModelError, match="was not trained for tabular-regression"):
        pipeline("tabular-regression", model=models / "table-single")


def test_ignored_columns_say_why(models: Path) -> None:
    told = {
        one.name: one.why
        for one in table_of(models / "table-single").columns
        if isinstance(one, IgnoredColumn)
    }
    assert told == {
        "number": "it numbers the rows: it is another whole number in each",
        "same": "it is 'x' in every row",
    }
