"""`silmu use` with a policy: observations as lines of JSON, and flags that are refused early."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import policy_models as models
import silmu
from policy_models import CART, TWO, box
from silmu import cli
from silmu.runtime.policy import PolicyProcessor
from silmu.runtime.spaces import Space

MODELS = Path(__file__).parent / "models"


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """One command in this process; `stdin` is what it reads."""
    logger = logging.getLogger("silmu")
    handlers, level = logger.handlers, logger.level

    def run(*arguments: str | Path, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = cli.main(["use", *map(str, arguments)])
        return Done(code, *capsys.readouterr())

    yield run
    logger.handlers, logger.level = handlers, level


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> str:
    return models.upright(tmp_path_factory.mktemp("policies") / "cart")


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Numbers as actions, and a memory."""
    folder = tmp_path_factory.mktemp("policies") / "arm"
    return models.write(folder, PolicyProcessor(CART, box((-1, 1), (-1, 1))), kind="gru")


def test_observations_are_lines_of_json(run: Run, cart: str) -> None:
    given = ["[0, 0, 0.1, 0]", "[0, 0, -0.1, 0]"]
    done = run(cart, *given)
    assert (done.code, done.err) == (0, "")
    assert done.lines == [{"action": 1}, {"action": 0}]
    assert run(cart, "-", "--json", stdin="\n".join([*given, "", ""])) == done
    more = run(cart, given[0], "--set", "value=true", "--set", "probabilities=true")
    pipe = silmu.pipeline(model=cart)
    assert more.lines == [pipe([0, 0, 0.1, 0], value=True, probabilities=True)]


def test_numbers_are_told_as_lists_and_lines_are_one_episode(run: Run, arm: str) -> None:
    rows = np.random.default_rng(0).normal(0, 1, (3, 4)).round(3).tolist()
    done = run(arm, "-", stdin="".join(f"{json.dumps(row)}\n" for row in rows))
    pipe = silmu.pipeline(model=arm)
    wanted = [{"action": pipe(row)["action"].tolist()} for row in rows]
    assert (done.code, done.lines) == (0, wanted)
    assert run(arm, *map(json.dumps, rows)).lines == wanted


def test_chance_begins_with_the_seed(run: Run, arm: str) -> None:
    given = (arm, *(["[0, 0, 0, 0]"] * 5), "--set", "deterministic=false")
    first = run(*given, "--seed", "3")
    assert len({*first.out.splitlines()}) == 5
    assert run(*given, "--seed", "3") == first
    assert run(*given, "--seed", "4") != first


def test_one_of_n_is_a_number(run: Run, tmp_path: Path) -> None:
    own = PolicyProcessor(Space("discrete", n=6), TWO)
    done = run(models.write(tmp_path / "lake", own), "3", "6")
    assert done.code == 1
    assert [*done.lines[0]] == ["action"]
    assert "input 2: an observation is 6; that is none of one of 6" in done.err


def test_what_cannot_be_answered_is_told_beside_what_can(run: Run, cart: str) -> None:
    done = run(cart, "[0, 0, 0, 0]", "left", "[1, 2]", "[0, NaN, 0, 0]", '{"a": 1}', "--json")
    assert done.code == 1
    assert [next(iter(line)) for line in done.lines] == ["action", *["error"] * 4]
    assert "input 2: `left` is neither a number nor a JSON array" in done.err
    assert "input 3: an observation has shape (2,)" in done.err
    assert "input 4: number 1 of the observation is nan" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["1", "--episodes", "3"], "--episodes is given without --env"),
        (["1", "--video", "a.webp"], "--video is given without --env"),
        (["1", "--env", "CartPole-v1"], "--env and observations are given"),
        (["--env", "E", "--data", "a.csv"], "--env and --data are given"),
        (["--env", "E", "--output", "a.csv"], "--env and --output are given"),
        (["--env", "E", "--episodes", "0"], "--episodes is 0; it must be at least 1"),
        (["--env", "E", "--video", "a.mp4"], "a video is written as .webp, .png, .apng"),
        (["--env", "E", "--video", "nowhere/a.webp"], "in a folder that is not there"),
        (["--env", "E", "--set", "max_episode_steps=0"], "max_episode_steps is 0"),
        (["--env", "E", "--set", "kwargs=3"], "kwargs is 3; it must be an object"),
        (["--env", "E", "--set", "top_k=3"], "unexpected keyword top_k"),
        (["1", "--time", "day"], "--time names `day`; it is for models of series"),
        (["1", "--set", "value=3"], "value is 3; it must be True or False"),
    ],
)
def test_flags_that_do_not_go_together(run: Run, cart: str, given: list[str], told: str) -> None:
    done = run(cart, *given)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert "Traceback" not in done.err


def test_files_hold_no_observations(run: Run, cart: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c,d\n0,0,0,0\n")
    for more in ([], ["--output", tmp_path / "b.csv"]):
        done = run(cart, "--data", tmp_path / "a.csv", *more)
        assert (done.code, done.out) == (2, "")
        assert "a policy is asked with observations or an environment" in done.err


def test_flags_of_policies_are_for_policies(run: Run) -> None:
    done = run(MODELS / "table-number", "--env", "CartPole-v1")
    assert done.code == 2
    assert "--env names `CartPole-v1`; it is for policies, and this model is for tab" in done.err


@pytest.mark.skipif(find_spec("gymnasium") is not None, reason="gymnasium is installed here")
def test_an_environment_needs_gymnasium(run: Run, cart: str) -> None:
    done = run(cart, "--env", "CartPole-v1")
    assert (done.code, done.out) == (2, "")
    assert "environments need gymnasium" in done.err
    assert "hint: pip install 'silmu[rl]'" in done.err


def test_verbs_that_are_for_others(cart: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", cart, "[0, 0, 0, 0]"]) == 2
    assert "for reinforcement-learning, whose answers are not expl" in capsys.readouterr().err
    assert cli.main(["export", cart, "--output", f"{cart}-exported"]) == 2
    assert "export is for models of texts and pictures" in capsys.readouterr().err
