"""A run from rows to a model that answers: its folder, its settings, its resumption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import silmu
from silmu import run as runs
from silmu import store
from silmu.errors import (
    InputError,
    LockedError,
    ModelNotFoundError,
    UnknownNameError,
    UnknownTaskError,
    UsageError,
    WrongTypeError,
)
from silmu.tasks._base import seconds

GOOD = ("a fine film", "wonderful and warm", "I loved every minute", "superb acting", "a delight")
BAD = ("a dull film", "tedious and cold", "I hated every minute", "wooden acting", "a bore")
SMALL = {
    "epochs": 2,
    "batch_size": 16,
    "hidden_size": 8,
    "embedding_size": 8,
    "num_buckets": 64,
    "dtype": "fp32",
    "threads": 1,
    "vocabulary_size": 120,
    "near_duplicates": False,
}


def reviews(count: int = 240) -> list[dict[str, object]]:
    texts = (GOOD, BAD)
    return [
        {"review": f"{texts[i % 2][i % 5]}, says guest {i}", "label": ("bad", "good")[1 - i % 2]}
        for i in range(count)
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in reviews()), encoding="utf-8")
    return path


@pytest.fixture
def done(data: Path, tmp_path: Path) -> runs.Run:
    return silmu.train(
        "text-classification",
        data=data,
        network="cnn",
        output=tmp_path / "run",
        settings=SMALL,
        quiet=True,
    )


def test_from_rows_to_answers(done: runs.Run, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = done.report["accuracy"]
    assert accuracy.low <= accuracy.value <= accuracy.high
    assert accuracy.interval == (accuracy.low, accuracy.high)
    assert set(done.seconds) == {"collect", "prepare", "design", "train"}
    answer = silmu.pipeline(model=done.model)("a fine film, says guest 7")
    assert answer[0]["label"] in ("good", "bad")
    assert (done.path / "5-report" / "report.html").is_file()
    assert (done.model / "README.md").is_file()
    assert capsys.readouterr() == ("", "")


def test_settings_given_back_repeat_the_run(done: runs.Run, tmp_path: Path) -> None:
    settings = tomllib.loads((done.path / "run.toml").read_text(encoding="utf-8"))
    assert settings["network"] == "cnn"
    assert settings["input"] == "review"
    assert settings["dtype"] == "fp32"
    again = silmu.train(config=done.path / "run.toml", output=tmp_path / "again", quiet=True)
    weights = [run.model / "model.safetensors" for run in (done, again)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    other = silmu.train(
        config=done.path / "run.toml", output=tmp_path / "other", seed=1, quiet=True, until="train"
    )
    assert (other.model / "model.safetensors").read_bytes() != weights[0].read_bytes()


def test_what_is_done_is_passed_over(done: runs.Run) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in done.path.rglob("*") if path.is_file()}
    again = silmu.train(done.path, quiet=True)
    kept = {path: path.stat().st_mtime_ns for path in stamps}
    changed = [path.name for path in stamps if kept[path] != stamps[path]]
    assert set(changed) <= {"run.toml", ".silmu.lock"}
    assert again.report["accuracy"] == done.report["accuracy"]


def test_a_run_keeps_its_settings(done: runs.Run) -> None:
    with pytest.raises(UsageError, match="begun with other settings: epochs"):
        silmu.train(done.path, settings={"epochs": 9}, quiet=True)


def test_steps_one_by_one(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    common = {"settings": SMALL, "quiet": True}
    run = silmu.train(
        "text-classification",
        data=data,
        network="perceptron",
        output=folder,
        until="collect",
        **common,
    )
    assert {path.name for path in folder.glob("[0-9]*")} == {"1-dataset"}
    with pytest.raises(ModelNotFoundError, match="no model yet"):
        _ = run.model
    assert run.design is None
    silmu.train(folder, until="design", quiet=True)
    assert run.design is not None
    assert run.design.parameters == run.design.trainable > 0
    assert "perceptron" in run.design.told()
    assert not (folder / "4-train").exists()
    silmu.train(folder, until="train", quiet=True)
    assert run.model.is_dir()
    assert not (folder / "5-report").exists()


def test_pieces_of_a_batch_change_no_number_of_steps(data: Path, tmp_path: Path) -> None:
    steps = []
    for pieces in (1, 2):
        run = silmu.train(
            "text-classification",
            data=data,
            network="cnn",
            output=tmp_path / f"run-{pieces}",
            until="design",
            settings={**SMALL, "accumulation": pieces},
            quiet=True,
        )
        assert run.design is not None
        steps.append(run.design.cost.steps)
    assert steps[0] == steps[1] > 0


def test_new_data_is_measured_without_naming_columns(
    done: runs.Run, data: Path, tmp_path: Path
) -> None:
    report = silmu.evaluate(done.model, data=data, output=tmp_path / "newer")
    assert report["accuracy"].n == 240
    assert (tmp_path / "newer" / "5-report" / "metrics.json").is_file()


def test_the_test_split_is_counted_each_time_it_is_looked_at(done: runs.Run) -> None:
    assert done.report.look == 1
    assert silmu.evaluate(done.path).look == 2


def test_a_model_outside_of_a_run_needs_data(done: runs.Run, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    with store.new_folder(alone) as writer:
        for path in done.model.rglob("*"):
            if path.is_file() and path.name != store.MANIFEST:
                writer.copy(path, path.relative_to(done.model).as_posix())
    with pytest.raises(UsageError, match="no test split"):
        silmu.evaluate(alone)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"task": "text-clasification"}, UnknownTaskError, "text-clasification"),
        ({"task": "question-answering"}, UnknownTaskError, "cannot be trained here"),
        ({"data": None}, UsageError, "no data was given"),
        ({"settings": {"epoch": 3}}, UnknownNameError, "epochs"),
        ({"settings": {"epochs": "three"}}, WrongTypeError, "a whole number"),
        ({"settings": {"epochs": True}}, WrongTypeError, "a whole number"),
        ({"budget": "soon"}, UsageError, "a length of time"),
        ({"until": "ship"}, UsageError, "until is 'ship'"),
        ({"input": "revew"}, UsageError, "did you mean `review`"),
        ({"network": "no-such-network!"}, ModelNotFoundError, "no network"),
        ({"settings": {"tune": "some"}}, UsageError, "all, last, lora"),
        ({"settings": {"batch_size": 0}}, UsageError, "batch_size is 0"),
        ({"settings": {"test": 1.5}}, UsageError, "test"),
        ({"dtype": "fp64"}, UsageError, "it must be auto, fp32 or bf16"),
        ({"device": "gpu"}, UsageError, "it must be auto, cpu, cuda or mps"),
        ({"device": "mps" if sys.platform != "darwin" else "cuda"}, UsageError, "this machine has"),
        ({"task": "runs/reviews-text-classification-9"}, UsageError, "neither a task nor a run"),
    ],
)
def test_what_is_wrong_is_told_before_work_and_leaves_nothing(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    given = {"task": "text-classification", "data": data, "quiet": True, **arguments}
    with pytest.raises(error) as raised:
        silmu.train(**given)
    assert message in str(raised.value)
    left = [path.name for path in (tmp_path / "runs").glob("*")]
    assert left == []


def test_names_are_counted(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = [
        silmu.train("text-classification", data=data, until="collect", quiet=True).path.name
        for _ in range(2)
    ]
    assert made == ["reviews-text-classification-1", "reviews-text-classification-2"]


def test_a_folder_that_is_not_empty_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="already there") as raised:
        silmu.train("text-classification", data=data, output=tmp_path / "full", quiet=True)
    assert raised.value.hint == "--output takes a new folder"
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_an_output_that_is_a_file_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is a file; a run is a folder"):
        silmu.train("text-classification", data=data, output=tmp_path / "mine.txt", quiet=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_folder_that_is_no_run(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no run\.toml"):
        silmu.train(tmp_path, data=data, quiet=True)


def test_settings_that_are_no_toml(tmp_path: Path) -> None:
    for text in (b"task: x", "이름".encode("cp949")):
        (tmp_path / "a.toml").write_bytes(text)
        with pytest.raises(UsageError, match="is not TOML") as raised:
            silmu.train(config=tmp_path / "a.toml", quiet=True)
        assert "name = value" in (raised.value.hint or "")
    with pytest.raises(UsageError, match="cannot be read: No such file or directory"):
        silmu.train(config=tmp_path / "b.toml", quiet=True)


def test_two_processes_do_not_work_on_one_run(done: runs.Run) -> None:
    with store.lock(done.path), pytest.raises(LockedError):
        silmu.train(done.path, quiet=True)


def test_rows_from_memory(tmp_path: Path) -> None:
    run = silmu.train(
        "text-classification",
        data=reviews(),
        network="perceptron",
        output=tmp_path / "run",
        settings=SMALL,
        quiet=True,
    )
    assert run.settings["data"] == runs.IN_MEMORY
    assert run.report["accuracy"].n > 0


def test_one_label_cannot_be_learnt(tmp_path: Path) -> None:
    rows = [{"review": f"text {i}", "label": "same"} for i in range(50)]
    with pytest.raises((InputError, UsageError), match="label"):
        silmu.train("text-classification", data=rows, output=tmp_path / "run", quiet=True)


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90.0), ("10m", 600.0), ("2h", 7200.0), ("45", 45.0)]
)
def test_a_length_of_time(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_killed_in_any_step_it_goes_on_to_the_same_weights(done: runs.Run, tmp_path: Path) -> None:
    """SIGKILL at operations spread over the whole run, each followed by the rest of the run."""
    program = (
        "import sys, silmu, pathlib; folder = sys.argv[1]; "
        "silmu.train(folder, quiet=True) if pathlib.Path(folder, 'run.toml').exists() "
        "else silmu.train(config=sys.argv[2], output=folder, quiet=True)"
    )
    folder, expected = tmp_path / "killed", done.model / "model.safetensors"
    # The chosen settings of the run, so that nothing is left to timing.
    command = [sys.executable, "-c", program, str(folder), str(done.path / "run.toml")]
    kills = 0
    for n in (5, 12, 40, 25, 31, 60, 17, 80):
        environment = {**os.environ, "SILMU_FAILPOINT": f"*:{n}:kill"}
        code = subprocess.run(command, env=environment, timeout=100, check=False).returncode
        kills += code == -signal.SIGKILL
        if code == 0:
            break
    assert kills >= 3
    assert subprocess.run(command, timeout=100, check=False).returncode == 0
    assert (folder / "4-model" / "model.safetensors").read_bytes() == expected.read_bytes()
    assert (folder / "5-report" / "metrics.json").is_file()
