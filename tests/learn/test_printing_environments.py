"""Environments that print, from C too: no word of theirs comes to where answers go."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("gymnasium")
pytest.importorskip("sklearn")

from policy_child import SMALL

import policy_models as models
from silmu import cli
from silmu.runtime.policy import PolicyProcessor
from silmu.steps.evaluate.environment import new_data

LOUD = """
import ctypes
import os
import sys

import numpy as np
from gymnasium import Env, spaces

LIBRARY = ctypes.CDLL(None)
print("read")


def say(what):
    print(what)
    print(what, file=sys.__stdout__)
    os.write(1, f"{what} by the system\\n".encode())
    LIBRARY.puts(f"{what} by C".encode())  # which its library holds back


class Loud(Env):
    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode=None):
        say("made")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        say("reset")
        self.steps = 0
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action):
        say("step")
        self.steps += 1
        seen = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return seen, float(action), self.steps == 8, False, {}

    def render(self):
        say("drawn")
        return np.full((16, 16, 3), self.steps, np.uint8)

    def close(self):
        say("closed")
"""
WORDS = ("read", "made", "reset", "step", "closed")
WAYS = ("step", "step by the system", "step by C")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="C is called as POSIX has it")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loud environment, and a policy for it."""
    folder = tmp_path_factory.mktemp("loud")
    (folder / "loud.py").write_text(LOUD)
    seen = models.box((-1, 1), (-1, 1))
    models.write(folder / "policy", PolicyProcessor(seen, models.TWO))
    return folder


def command(folder: Path, verb: str, *more: str) -> list[str]:
    task, settings = "reinforcement-learning", {**SMALL, "total_steps": 128, "episodes": 2}
    source = f"{folder / 'loud.py'}:Loud"
    output = ["--output", str(folder / verb)]
    model = str(folder / "policy")
    given = {
        "check": [task, "--data", source],
        "collect": [task, "--data", source, *output],
        "train": [task, "--data", source, *output]
        + [f"--set={name}={json.dumps(value)}" for name, value in settings.items()],
        "evaluate": [model, "--data", source, *output],
        "use": [model, "--env", source, "--episodes", "2", "--video", str(folder / "seen.webp")],
    }
    return [verb, *given[verb], "--json", *more]


def assert_apart(out: str, err: str) -> list[Any]:
    """Nothing but JSON on stdout, and what was printed on stderr in each of its ways."""
    lines = [json.loads(line) for line in out.splitlines()]
    assert set(WAYS) <= {*err.splitlines()}
    return lines


@pytest.mark.parametrize("verb", ["collect", "check", "train", "evaluate"])
def test_in_each_step(
    folder: Path, verb: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_data, "EPISODES", 3)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("MUJOCO_GL", "egl")
    stdout = sys.stdout
    assert cli.main(command(folder, verb)) == 0
    print("after")
    assert sys.stdout is stdout
    out, err = capfd.readouterr()
    *before, after = out.splitlines()
    assert after == "after"
    assert len(assert_apart("\n".join(before), err)) == 1


def test_in_use(folder: Path) -> None:
    """In a process of its own, where stdout is a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "silmu", *command(folder, "use")],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = assert_apart(done.stdout, done.stderr)
    assert [next(iter(one)) for one in told] == ["episode", "episode", "mean_return"]
    assert {*WORDS, "drawn"} <= {*done.stderr.splitlines()}


def test_an_answer_whose_reader_has_left(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "silmu", *command(folder, "use", "--episodes", "30")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert "Traceback" not in said
