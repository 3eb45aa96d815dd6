"""A training that is killed, hit by errors, damaged or told to stop ends with the same weights."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from silmu import store
from silmu.errors import CorruptError

CHILD = Path(__file__).with_name("train_child.py")
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "SILMU_FAILPOINT": ""}


class Done:
    """How a training in a process of its own ended."""

    def __init__(self, code: int, out: str, error: str) -> None:
        self.code, self.out, self.error = code, out, error

    def __getattr__(self, name: str) -> Any:
        assert self.code == 0, (self.code, self.error)
        return json.loads(self.out.splitlines()[-1])[name]


class Trainings:
    """Runs train_child.py or another, each time in a fresh process."""

    def __init__(self, folder: Path, child: Path = CHILD) -> None:
        self.folder = folder
        self.notes = Path(tempfile.mkdtemp(dir=folder)) / "told"
        self.server = subprocess.Popen(
            [sys.executable, str(child), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ENV,
            text=True,
        )

    def begin(
        self,
        folder: Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        **changed: object,
    ) -> None:
        assert self.server.stdin is not None
        job = {
            "arguments": [str(folder), "--set", json.dumps(changed), *arguments],
            "env": environment or {"SILMU_FAILPOINT": ""},
            "out": f"{self.notes}.out",
            "error": f"{self.notes}.error",
        }
        self.server.stdin.write(json.dumps(job) + "\n")
        self.server.stdin.flush()

    def end(self) -> Done:
        assert self.server.stdout is not None
        code = int(self.server.stdout.readline())
        return Done(code, *(Path(f"{self.notes}.{name}").read_text() for name in ("out", "error")))

    def __call__(self, folder: Path, *arguments: str, fail: str = "", **changed: object) -> Done:
        self.begin(folder, *arguments, environment={"SILMU_FAILPOINT": fail}, **changed)
        return self.end()

    def close(self) -> None:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait()


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory, where there is one: a kill is no power cut, and flushing takes long."""
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path(memory: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=memory))


@pytest.fixture(scope="module")
def train(memory: Path) -> Iterator[Trainings]:
    trainings = Trainings(memory)
    yield trainings
    trainings.close()


@pytest.fixture(scope="module")
def whole(train: Trainings) -> Done:
    """The training that nothing happens to."""
    return train(train.folder / "whole", "--trace")


def steps_in_log(folder: Path) -> list[tuple[int, bool]]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [(line["step"], "validation" in line) for line in lines]


def losses_in_log(folder: Path) -> list[float]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line.get("loss") or line["validation"]["loss"] for line in lines]


def sound(folder: Path) -> list[str]:
    """The checkpoints in a folder that are as they were written."""
    found = []
    for path in sorted(folder.glob("step-*")):
        try:
            store.verify(path)
        except CorruptError:
            continue
        found.append(path.name)
    return found


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(".tmp-*"))


# ── killed ─────────────────────────────────────────────────────────────────────────────────────


def places(trace: list[str]) -> dict[str, int]:
    """Moments of a training that matter, as the number of an operation on the disk."""

    def last(pattern: str, of: int = -1) -> int:
        return [n for n, one in enumerate(trace, 1) if re.search(pattern, one)][of]

    return {
        "the lock": last("^lock", 0),
        "the reserve": last("^write .*tmp", 0),
        "making the first checkpoint": last("^mkdir .*tmp", 0),
        "half of the weights": last("^write .*network.safetensors", 1),
        "half of the optimizer": last("^write .*optimizer.safetensors", 2),
        "half of the average": last("^write .*average.safetensors", 2),
        "half of the state": last("^write .*state.json"),
        "half of the manifest": last("^write .*MANIFEST"),
        "between a sealed folder and its name": last("^rename .*/step-0*1$") - 1,
        "after its name, before LATEST": last("^rename .*/step-0*1$") + 1,
        "LATEST": last("^rename .*LATEST", 2),
        "right after BEST": last("^rename .*BEST") + 1,
        "the log": last("^rename .*log.jsonl", 1),
        "removing the one before": last("^unlink .*optimizer.safetensors", 1),
        "in a validation": last("^rename .*note", 1),
        "in the last validation": last("^rename .*note"),
        "between epochs": last("^rename .*/step-0*3-evaluated$") + 1,
        "the last checkpoint": last("^create .*tmp.*/network.safetensors"),
        "the mark that all is done": last("^write .*outcome.json"),
        "right before the end": len(trace),
    }


def test_a_kill_anywhere_changes_nothing(train: Trainings, whole: Done, tmp_path: Path) -> None:
    named = places(whole.trace)
    assert len(named) >= 20
    assert len(set(named.values())) >= 20
    for where, n in named.items():
        folder = tmp_path / str(n)
        killed = train(folder, fail=f"*:{n}:kill")
        assert killed.code == -signal.SIGKILL, where
        resumed = train(folder)
        assert resumed.weights == whole.weights, where
        assert steps_in_log(folder) == steps_in_log(train.folder / "whole"), where
        assert leftovers(folder) == [], where


def test_killed_again_and_again(train: Trainings, whole: Done, tmp_path: Path) -> None:
    # Each sitting lives for some operations, and the next goes on from what it left.
    sittings = 0
    while (done := train(tmp_path / "train", fail="*:67:kill")).code:
        assert done.code == -signal.SIGKILL
        sittings += 1
        assert sittings < 20
    assert sittings >= 4
    assert done.weights == whole.weights
    assert steps_in_log(tmp_path / "train") == steps_in_log(train.folder / "whole")


def test_killed_between_the_pieces_of_a_batch(
    train: Trainings, whole: Done, tmp_path: Path
) -> None:
    for loss in (2, 7):
        folder = tmp_path / str(loss)
        killed = train(folder, "--strike", json.dumps([loss, signal.SIGKILL]))
        assert killed.code == -signal.SIGKILL
        assert train(folder).weights == whole.weights


def test_a_kill_would_show_where_chance_is_not_by_place(train: Trainings, tmp_path: Path) -> None:
    # The negative control: an objective that draws from a generator of its own.
    once = train(tmp_path / "once", "--careless")
    again = train(tmp_path / "again", "--careless")
    assert once.weights == again.weights
    folder = tmp_path / "killed"
    killed = train(folder, "--careless", "--strike", json.dumps([7, signal.SIGKILL]))
    assert killed.code == -signal.SIGKILL
    assert train(folder, "--careless").weights != once.weights


def test_what_is_done_is_given_back(train: Trainings, whole: Done) -> None:
    again = train(train.folder / "whole")
    assert (again.weights, again.metric) == (whole.weights, whole.metric)
    assert again.losses == 0


# ── errors and damage ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("action", ["ENOSPC", "EIO", "ENOSPC+", "short"])
def test_an_error_anywhere_is_told_and_survived(
    action: str, train: Trainings, whole: Done, tmp_path: Path
) -> None:
    total, codes = len(whole.trace), set()
    first = next(n for n, one in enumerate(whole.trace, 1) if "rename" in one and "LATEST" in one)
    on, action = action[-1] == "+", action.rstrip("+")
    for n in range(5, total, total // 5):
        folder = tmp_path / str(n)
        failed = train(folder, fail=f"*:{n}{'+' * on}:{action}")
        codes.add(failed.code)
        if failed.code:
            assert failed.code == 1
            assert "Error: cannot" in failed.error
            assert n <= first or sound(folder)
        assert train(folder).weights == whole.weights
    assert 1 in codes or action == "short"


def test_a_damaged_checkpoint_is_passed_over(train: Trainings, whole: Done, tmp_path: Path) -> None:
    for name in ("network.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json"):
        folder = tmp_path / name
        killed = train(folder, "--strike", json.dumps([9, signal.SIGKILL]))
        assert killed.code == -signal.SIGKILL
        newest = sound(folder)[-1]
        content = bytearray((folder / newest / name).read_bytes())
        content[len(content) // 2] ^= 4
        (folder / newest / name).write_bytes(content)
        resumed = train(folder)
        assert resumed.weights == whole.weights
        assert f"{newest}/{name}" in resumed.error
        assert "going back to the checkpoint before" in resumed.error
        # The sitting that goes on does what was lost again.
        assert resumed.losses > 2


def test_with_every_checkpoint_damaged_it_begins_anew(
    train: Trainings, whole: Done, tmp_path: Path
) -> None:
    folder = tmp_path / "train"
    train(folder, "--strike", json.dumps([7, signal.SIGKILL]))
    for name in sound(folder):
        (folder / name / "state.json").write_bytes(b"{}")
    (folder / "LATEST").write_bytes(b"nonsense")
    resumed = train(folder)
    assert resumed.weights == whole.weights
    assert resumed.losses == whole.losses


def test_another_training_is_refused(train: Trainings, tmp_path: Path) -> None:
    folder = tmp_path / "train"
    train(folder, "--strike", json.dumps([7, signal.SIGKILL]))
    for changed, told in (
        ({"fingerprint": "other data"}, "data was sequences, is other data"),
        ({"learning_rate": 0.5}, "settings.learning_rate was 0.02, is 0.5"),
        ({"seed": 1}, "settings.seed was 0, is 1"),
    ):
        refused = train(folder, **changed)
        assert refused.code == 1
        assert told in refused.error
        assert "UsageError" in refused.error
    assert train(folder, workers=1, keep=3).code == 0
    assert train(folder, seed=1).code == 1


def test_only_one_at_a_time(train: Trainings, tmp_path: Path) -> None:
    with store.lock(tmp_path / "train"):
        refused = train(tmp_path / "train")
    assert refused.code == 1
    assert "LockedError" in refused.error


# ── told to stop ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_lets_the_step_end(
    name: str, train: Trainings, whole: Done, tmp_path: Path
) -> None:
    number = getattr(signal, name)
    # Without a checkpoint before, so that the one there is was written for the signal.
    stopped = train(tmp_path / "train", "--strike", json.dumps([7, number]), checkpoint_seconds=1e9)
    assert stopped.code == 128 + number
    assert "saved at step 4 of 9; `silmu train " in stopped.error
    assert sound(tmp_path / "train")[-1] == "step-00000004"
    resumed = train(tmp_path / "train", checkpoint_seconds=1e9)
    assert resumed.weights == whole.weights
    assert steps_in_log(tmp_path / "train") == steps_in_log(train.folder / "whole")


# ── the same, whatever is different ────────────────────────────────────────────────────────────


def test_workers_change_nothing(train: Trainings, whole: Done, tmp_path: Path) -> None:
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        assert train(folder, workers=workers).weights == whole.weights
    folder = tmp_path / "killed"
    train(folder, "--strike", json.dumps([9, signal.SIGKILL]), workers=2)
    assert train(folder, workers=1).weights == whole.weights


def test_how_often_it_is_saved_changes_nothing(
    train: Trainings, whole: Done, tmp_path: Path
) -> None:
    assert train(tmp_path / "seldom", checkpoint_seconds=1e9).weights == whole.weights
    assert train(tmp_path / "seed", seed=1).weights != whole.weights


def test_neither_place_nor_hash_seed_changes_anything(whole: Done, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, str(CHILD), "train"],
        env={**ENV, "PYTHONHASHSEED": "99", "TZ": "Asia/Seoul", "HOME": str(tmp_path)},
        cwd=tmp_path / "elsewhere",
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["weights"] == whole.weights


def test_sparse_gradients_resume_too(train: Trainings, whole: Done, tmp_path: Path) -> None:
    once = train(tmp_path / "once", "--sparse")
    assert once.weights != whole.weights
    folder = tmp_path / "killed"
    train(folder, "--sparse", "--strike", json.dumps([9, signal.SIGKILL]))
    assert train(folder, "--sparse").weights == once.weights


# ── several processes ──────────────────────────────────────────────────────────────────────────


def together(
    trainings: list[Trainings], folder: Path, *arguments: str, strike: str = ""
) -> list[Done]:
    """The same training in two processes, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for rank, one in enumerate(trainings):
        struck = ["--strike", strike] if strike and rank == 0 else []
        environment = {**ranks, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        one.begin(folder, "--sparse", *arguments, *struck, environment=environment)
    return [one.end() for one in trainings]


@pytest.mark.enable_socket
def test_two_processes_train_together(train: Trainings, memory: Path, tmp_path: Path) -> None:
    pair = [Trainings(memory), Trainings(memory)]
    once = together(pair, tmp_path / "once")
    assert once[0].weights == once[1].weights
    killed = together(pair, tmp_path / "again", strike=json.dumps([9, signal.SIGKILL]))
    assert killed[0].code == -signal.SIGKILL
    assert killed[1].code != 0
    stopped = together(pair, tmp_path / "again", strike=json.dumps([2, signal.SIGTERM]))
    assert [one.code for one in stopped] == [143, 143]
    resumed = together(pair, tmp_path / "again")
    assert [one.weights for one in resumed] == [once[0].weights] * 2
    assert steps_in_log(tmp_path / "again") == steps_in_log(tmp_path / "once")
    # Without dropout, whose draws differ, they compute what one process does.
    together(pair, tmp_path / "two", "--dropout", "0")
    train(tmp_path / "one", "--sparse", "--dropout", "0")
    assert losses_in_log(tmp_path / "two") == pytest.approx(losses_in_log(tmp_path / "one"), 1e-4)
    for one in pair:
        one.close()
