"""The cache of built graphs: one for each state of a model, and never a damaged one."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

import silmu
from silmu import store
from silmu.__main__ import main
from silmu.cli import doctor
from silmu.graphs import open_session, place
from silmu.runtime import session
from silmu.runtime.folder import Folder

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


@pytest.mark.parametrize(
    ("name", "head", "times"),
    [("bert-base", "feature-extraction", 2), ("gpt2-lm", "text-generation", 3)],
)
def test_room_is_asked_for_by_numbers_and_not_by_how_they_are_stored(
    name: str,
    head: str,
    times: int,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is stored in 16 bits is written in 32, twice; of a decoder once more, packed."""
    full, half = models / name, tmp_path / "half"
    half.mkdir()
    (half / "config.json").write_bytes((full / "config.json").read_bytes())
    stored = load_file(full / "model.safetensors")
    assert {array.dtype.name for array in stored.values()} == {"float32"}
    save_file({k: v.astype("float16") for k, v in stored.items()}, half / "model.safetensors")
    asked: list[int] = []
    monkeypatch.setattr(store, "reserve", lambda folder, num_bytes: asked.append(num_bytes))
    monkeypatch.setenv("SILMU_CACHE", str(tmp_path / "cache"))
    for folder in (full, half):
        open_session(Folder(folder, folder.name), head)
    assert asked == [times * sum(4 * array.size for array in stored.values())] * 2


def test_a_new_graph_leaves_those_of_other_devices(model: Path) -> None:
    folder = Folder(model, str(model))
    meta = {"model": str(model), "machine": session.machine()}
    accelerated = place(folder, "text-classification", "fp32-cuda", session.machine())
    with store.new_folder(accelerated, meta=meta) as writer:
        writer.write("model.onnx", b"")
    answer(model)
    assert accelerated in graphs(model)
    assert len(graphs(model)) == 2


def kept_for(cache: Path, name: str, **meta: str) -> Path:
    path = cache / "graphs" / name
    with store.new_folder(path, meta=meta) as writer:
        writer.write("model.onnx", b"x" * 1000)
    return path


def test_what_nobody_can_ask_for_again_goes_with_the_next_graph(model: Path) -> None:
    cache, here = model.parent / "cache", session.machine()
    gone = kept_for(cache, "gone-x", model=str(model.parent / "no-more"), machine=here)
    damaged = kept_for(cache, "damaged-x", model=str(model), machine=here)
    os.truncate(damaged / "model.onnx", 10)
    elsewhere = kept_for(cache, "elsewhere-x", model=str(model), machine="onnxruntime-1.0 arm64")
    unknown = kept_for(cache, "unknown-x", model="models/relative", machine=here)
    answer(model)
    assert {elsewhere, unknown} < {*graphs(model)}
    assert not {gone, damaged} & {*graphs(model)}
    assert len(graphs(model)) == 3


def test_two_folders_of_one_relative_name_keep_theirs(
    model: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = model.parent / "elsewhere" / "model"
    other.mkdir(parents=True)
    for file in (models / "bert-relu").iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    answers: list[object] = []
    for parent in (model.parent, other.parent):
        monkeypatch.chdir(parent)
        answers.append(answer(Path("model")))
    assert answers[0] != answers[1]
    assert len(graphs(model)) == 2


def test_doctor_tells_what_is_of_no_use_and_how_to_free_it(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(model.parent / "hub"))
    answer(model)
    cache, here = model.parent / "cache", session.machine()
    kept_for(cache, "gone-x", model=str(model.parent / "no-more"), machine=here)
    kept_for(cache, "elsewhere-x", model=str(model), machine="onnxruntime-1.0 arm64")
    found = doctor.examine()["caches"]["graphs"]
    assert found["graphs"] == 3
    assert found["useless"]["graphs"] == 2
    assert 2000 < found["useless"]["bytes"] < found["bytes"]
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "3 graphs; 2 of them, 0.0 MB, of models that are gone" in told
    command = f"rm -r {shlex.quote(str(cache / 'graphs'))}"
    assert f"`{command}` frees" in told or os.name == "nt"
    first = answer(model)
    shutil.rmtree(cache / "graphs")
    assert answer(model) == first
    shutil.rmtree(cache / "graphs")
    assert doctor.examine()["caches"]["graphs"]["graphs"] == 0
    assert main(["doctor"]) == 0
    assert "frees the graphs" not in capsys.readouterr().out
