"""The cache of built graphs: one for each state of a model, and never a damaged one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import silmu

TEXT = "The lighthouse keeper climbed the stairs."


@pytest.fixture
def model(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SILMU_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (models / "bert-sequence").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def graphs(folder: Path) -> list[Path]:
    return sorted((folder.parent / "cache" / "graphs").iterdir())


def answer(folder: Path) -> object:
    return silmu.pipeline("text-classification", model=folder, top_k=None)(TEXT)


def test_a_graph_is_built_once(model: Path) -> None:
    first = answer(model)
    (built,) = graphs(model)
    made = (built / "model.onnx").stat().st_mtime_ns
    assert answer(model) == first
    assert graphs(model) == [built]
    assert (built / "model.onnx").stat().st_mtime_ns == made


def test_a_changed_model_takes_the_place_of_the_old(model: Path, models: Path) -> None:
    first = answer(model)
    (old,) = graphs(model)
    other = models / "bert-relu"
    for name in ("config.json", "model.safetensors"):
        (model / name).write_bytes((other / name).read_bytes())
        os.utime(model / name, ns=(1, 1))
    assert answer(model) != first
    (new,) = graphs(model)
    assert new != old


def test_other_heads_and_other_models_keep_theirs(model: Path, models: Path) -> None:
    answer(model)
    silmu.pipeline("feature-extraction", model=model)
    answer(models / "bert-sequence")
    assert len(graphs(model)) == 3


@pytest.mark.parametrize("damage", ["cut", "manifest", "gone", "empty"])
def test_a_damaged_graph_is_built_again(
    model: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = answer(model)
    (built,) = graphs(model)
    if damage == "cut":
        os.truncate(built / "model.onnx", 100)
    elif damage == "manifest":
        (built / "MANIFEST.json").write_text("{}")
    elif damage == "gone":
        (built / "model.onnx_data").unlink()
    else:
        for file in built.iterdir():
            file.unlink()
    assert answer(model) == first
    assert "damaged" in caplog.text


def test_an_answer_outlives_its_cache(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    classify = silmu.pipeline("text-classification", model=model)
    first = classify(TEXT)
    for built in graphs(model):
        for file in built.iterdir():
            file.unlink()
    # The second run would have taken the packed weights over.
    assert classify(TEXT) == first
    assert "cache was changed" in caplog.text
