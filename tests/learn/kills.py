"""What tests of killed trainings share: where they run, and kills in each step of a run."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_train_kills import Done, Trainings

STEPS = ("1-dataset", "2-prepared", "3-design", "4-train", "4-model")


def trainings(child: Path) -> Iterator[Trainings]:
    """Trainings by a program, in a folder in memory where there is one.

    A kill is no power cut, and flushing takes long.
    """
    if sys.platform == "win32":
        pytest.skip("a process is forked, which Windows does not do")
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        found = Trainings(Path(folder), child)
        yield found
        found.close()


def kill_in_each_step(child: Trainings, whole: Done, *, ends: bool = False) -> None:
    """Kills a training in the middle of each step, and goes on to the same model each time.

    Args:
        child: trainings, all of the same settings.
        whole: that which nothing happened to, with its trace.
        ends: whether they are killed at the last operation of each step too.
    """
    last = [max(n for n, one in enumerate(whole.trace, 1) if name in one) for name in STEPS]
    assert last == sorted(last)
    for name, before, end in zip(STEPS, [0, *last], last, strict=False):
        for n in ((before + end) // 2, *([end] if ends else ())):
            folder = child.folder / f"{name}-{n}"
            killed = child(folder, fail=f"*:{n}:kill")
            assert killed.code == -signal.SIGKILL, (name, n)
            resumed = child(folder)
            assert resumed.model == whole.model, (name, n)
            assert resumed.begun, (name, n)
            assert list(folder.rglob(".tmp-*")) == [], (name, n)
