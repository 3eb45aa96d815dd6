"""Model folders for series that someone else wrote: nothing is computed before all is sound."""

from __future__ import annotations

import copy
import json
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import series_models
import silmu
from silmu.errors import InvalidModelError, MissingKeyError, UnsupportedModelError
from silmu.runtime.folder import Folder
from silmu.runtime.series.frame import Layout
from silmu.runtime.series.processor import SeriesProcessor

DAYS = [str(day) for day in np.datetime64("2024-01-01") + np.arange(60)]
COLUMNS = {
    "day": DAYS,
    "sold": [float(i % 7) for i in range(60)],
    "price": [float(i % 5) for i in range(60)],
    "kind": ["a", "b"] * 30,
}
LAYOUT = Layout(time="day", target=("sold",), input=("price", "kind"))
WILD = (None, True, -1, 0, 1.5, "x", "", [], {}, 10**12, 1e308, 10**400, ["x"], [1], {"a": 1})

Keys = tuple[str | int, ...]


def places(value: Any, before: Keys = ()) -> Iterator[Keys]:
    """Every place of a JSON document, of lists the first two."""
    if before:
        yield before
    if isinstance(value, dict):
        for key, one in value.items():
            yield from places(one, (*before, key))
    elif isinstance(value, list):
        for i, one in enumerate(value[:2]):
            yield from places(one, (*before, i))


def changed(document: Any, where: Keys, value: Any) -> Any:
    found = copy.deepcopy(document)
    inner = found
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    return found


PLAIN = json.loads(series_models.fitted(COLUMNS, LAYOUT, known=["price"]).to_bytes())


@pytest.mark.parametrize("where", [*places(PLAIN)], ids=lambda keys: ".".join(map(str, keys)))
def test_whatever_processor_json_holds(tmp_path: Path, where: Keys) -> None:
    """It is refused when it is opened, or windows are cut by it."""
    (tmp_path / "processor.json").write_text(json.dumps(PLAIN))
    sound = SeriesProcessor.open(Folder(tmp_path, "model"))
    refused = 0
    for value in WILD:
        (tmp_path / "processor.json").write_text(json.dumps(changed(PLAIN, where, value)))
        try:
            own = SeriesProcessor.open(Folder(tmp_path, "model"))
        except (InvalidModelError, UnsupportedModelError):
            refused += 1
            continue
        try:
            [series] = own.series(COLUMNS)
        except MissingKeyError:  # it is of a table with other columns
            continue
        windows = own.arrays([own.tracks(series, 0)], np.array([0]), np.array([50]))
        assert all(np.isfinite(array).all() for array in windows.feeds.values())
        assert {*own.sizes} == {*sound.sizes}
    assert refused > len(WILD) / 2


@pytest.mark.parametrize(
    "odd",
    [
        {"context_length": 10**9},
        {"prediction_length": 10**9},
        {"season": 2.0},
        {"spread": [1e9] * 9},
        {"quantiles": [0.5, *np.linspace(0.501, 0.999, 2000).tolist()]},
        {"layout": PLAIN["layout"] | {"zone": "Moon/Sea"}},
        {"layout": PLAIN["layout"] | {"time": None}},
        {"layout": PLAIN["layout"] | {"input": []}},
        {"layout": PLAIN["layout"] | {"written": {"day": ["count", ""]}}},
        {"layout": PLAIN["layout"] | {"written": {"sold": [";", ""]}}},
        {"known": PLAIN["known"] * 2},
        {"known": [PLAIN["known"][0] | {"deviation": 0.0}]},
        {"past": [PLAIN["past"][0] | {"levels": ["a", "a"]}]},
    ],
    ids=lambda odd: next(iter(odd)),
)
def test_what_is_out_of_range(tmp_path: Path, odd: dict[str, Any]) -> None:
    (tmp_path / "processor.json").write_text(json.dumps(PLAIN | odd))
    with pytest.raises(InvalidModelError, match="of `model` is not what silmu writes"):
        SeriesProcessor.open(Folder(tmp_path, "model"))


def test_a_long_line_takes_no_more_memory_than_its_weights(tmp_path: Path) -> None:
    layout = Layout(time="day", target=("sold",))
    own = series_models.fitted(
        COLUMNS, layout, context_length=1 << 15, prediction_length=1, quantiles=(0.5,)
    )
    folder = series_models.write(tmp_path / "m", own, kernel_size=1 << 15)
    tracemalloc.start()
    try:
        pipe = silmu.pipeline(model=folder)
        found = pipe({name: COLUMNS[name] for name in ("day", "sold")})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20
    assert found["mean"] == pytest.approx([COLUMNS["sold"][-1]], abs=1e-4)


@pytest.mark.parametrize(
    ("model", "settings", "odd"),
    [
        ("patchtst-mean", {"context_length": 25, "head": "student_t"}, "context_length"),
        ("patchtst-mean", {"context_length": 24}, "head"),
        ("series-transformer-plain", {"context_length": 18}, "context_length"),
        ("series-transformer-plain", {"context_length": 19}, "num_time_features"),
        ("series-transformer-plain", {"context_length": 19, "head": "student_t"}, "head"),
    ],
)
def test_a_processor_of_another_network_of_transformers(
    tmp_path: Path, models: Path, model: str, settings: dict[str, Any], odd: str
) -> None:
    own = series_models.fitted(COLUMNS, LAYOUT, prediction_length=5, **settings)
    shutil.copytree(models / model, tmp_path / "m")
    (tmp_path / "m" / "processor.json").write_bytes(own.to_bytes())
    with pytest.raises(InvalidModelError, match=f"do not belong together: {odd} is"):
        silmu.pipeline(model=str(tmp_path / "m"))
