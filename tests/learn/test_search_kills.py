"""A search that is killed anywhere, or told to stop, goes on to the same trials and weights."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")

from test_run import reviews as rows

import silmu
from silmu import store
from silmu.errors import Interrupted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")

CHILD = Path(__file__).with_name("search_child.py")
SMALL = {
    "epochs": 1,
    "batch_size": 16,
    "embedding_size": 8,
    "num_buckets": 64,
    "bag_weights": 256,
    "vocabulary_size": 120,
    "near_duplicates": False,
    "dtype": "fp32",
    "threads": 1,
    "checkpoint_seconds": 0,
}


class Searches:
    """A run whose search is about to begin, gone on with in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        reviews = rows(90)
        for review in reviews[::7]:  # which no settings can get right
            review["label"] = "bad"
        silmu.train(
            "text-classification",
            data=reviews,
            network="perceptron",
            search=3,
            output=folder / "prepared",
            settings=SMALL,
            until="prepare",
            quiet=True,
        )
        self.server = subprocess.Popen(
            [sys.executable, str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
        )

    def begin(self, name: str) -> Path:
        return Path(shutil.copytree(self.folder / "prepared", self.folder / name))

    def __call__(self, run: Path, *arguments: str, fail: str = "") -> SimpleNamespace:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        out, error = self.folder / "out", self.folder / "error"
        job = {"arguments": [str(run), *arguments], "env": {"SILMU_FAILPOINT": fail}}
        self.server.stdin.write(json.dumps({**job, "out": str(out), "error": str(error)}) + "\n")
        self.server.stdin.flush()
        code = int(self.server.stdout.readline())
        told = json.loads(out.read_text().splitlines()[-1]) if code == 0 else {}
        return SimpleNamespace(code=code, error=error.read_text(), told=told)

    def finished(self, run: Path) -> dict[str, Any]:
        """What a run comes to that is gone on with."""
        done = self(run)
        assert done.code == 0, done.error
        assert [path for path in run.rglob(".tmp-*")] == []
        return {name: value for name, value in done.told.items() if name != "trace"}

    def close(self) -> None:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait()


@pytest.fixture(scope="module")
def searches() -> Iterator[Searches]:
    # In memory, where there is one: a kill is no power cut, and flushing takes long.
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        found = Searches(Path(folder))
        yield found
        found.close()


@pytest.fixture(scope="module")
def whole(searches: Searches) -> SimpleNamespace:
    """The search that nothing happens to."""
    done = searches(searches.begin("whole"), "trace")
    assert done.code == 0, done.error
    trace = done.told.pop("trace")
    assert len(done.told["trials"]["trials"]) == 3
    assert done.told["left"] == ["trials.json"]
    return SimpleNamespace(told=done.told, trace=trace, lines=done.error)


PLACES = {
    "right after the first design": ("^rename search/trial-0/3-design.json", 0, 1),
    "a checkpoint of the first trial": ("^rename search/trial-0/4-train/step", 2, 0),
    "half of the first trials.json": ("^rename search/trials.json", 0, -2),
    "in the second trial": ("^write search/trial-1/4-train/.*optimizer", 2, 0),
    "before the second trials.json": ("^rename search/trials.json", 1, -1),
    "removing what was worse": ("^unlink search/.tmp", 0, 0),
    "right after the weights are taken": ("^rename 4-train$", 0, 1),
    "removing the rest": ("^unlink search/.tmp", -1, 0),
    "before the settings are those that were taken": ("^rename run.toml", -1, -1),
}
"""Moments of a search that matter: at which of the operations of a kind, and how many later."""


def place(trace: list[str], name: str) -> int:
    """The number of an operation on the disk."""
    pattern, which, later = PLACES[name]
    return [n for n, one in enumerate(trace, 1) if re.search(pattern, one)][which] + later


@pytest.mark.parametrize("name", PLACES)
def test_a_kill_anywhere_changes_nothing(
    searches: Searches, whole: SimpleNamespace, name: str
) -> None:
    run = searches.begin(name)
    killed = searches(run, fail=f"*:{place(whole.trace, name)}:kill")
    assert killed.code == -signal.SIGKILL, killed.error
    assert searches.finished(run) == whole.told


def test_killed_again_and_again(searches: Searches, whole: SimpleNamespace) -> None:
    run, sittings = searches.begin("again"), 0
    while (done := searches(run, fail="*:211:kill")).code:
        assert done.code == -signal.SIGKILL, done.error
        sittings += 1
        assert sittings < 40
    assert sittings >= 3
    done.told.pop("trace")
    assert done.told == whole.told


def test_a_trial_goes_on_from_its_own_checkpoint(
    searches: Searches, whole: SimpleNamespace
) -> None:
    n = place(whole.trace, "in the second trial")
    run = searches.begin("own")
    assert searches(run, fail=f"*:{n}:kill").code == -signal.SIGKILL
    done = searches(run, "trace")
    assert "search: 3 settings" in done.error
    assert "going on after 1 of them" in done.error
    # The trial that was killed keeps its design and its steps; the one before it is over.
    own = r"rename search/trial-1/4-train/step"
    after, all_of_them = (
        [one for one in trace if re.match(own, one)] for trace in (done.told["trace"], whole.trace)
    )
    assert 0 < len(after) < len(all_of_them)
    over = r"write search/(trial-0/4-train/step|trial-1/3-design)"
    assert [one for one in done.told["trace"] if re.match(over, one)] == []


def test_told_to_stop_it_says_how_to_go_on(searches: Searches, whole: SimpleNamespace) -> None:
    run = searches.begin("stopped")

    def interrupt(site: str, path: Path) -> None:
        if site == "rename" and path.match("trial-1/4-train/step-00000002*"):
            signal.raise_signal(signal.SIGINT)

    with store.observe(interrupt), pytest.raises(Interrupted) as stopped:
        silmu.train(run, until="train", quiet=True)
    assert str(stopped.value) == (
        f"stopped in trial 1 of 3; `silmu train {run}` goes on from there"
    )
    assert stopped.value.code == 130
    assert searches.finished(run) == whole.told


def test_told_to_stop_between_two_trials(searches: Searches, whole: SimpleNamespace) -> None:
    run = searches.begin("between")

    def interrupt(site: str, path: Path) -> None:
        if site == "rename" and path.name == "trials.json":
            signal.raise_signal(signal.SIGINT)

    with store.observe(interrupt), pytest.raises(Interrupted, match="goes on from there") as told:
        silmu.train(run, until="train", quiet=True)
    assert f"silmu train {run}" in str(told.value)
    assert searches.finished(run) == whole.told
