"""`silmu use MODEL --env ID`: whole episodes, their returns, videos, and environments that fail."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
from PIL import Image, ImageSequence

import policy_models as models
import silmu
from policy_models import CART, TWO
from silmu import cli
from silmu.runtime.folder import Folder
from silmu.runtime.memory import Frames
from silmu.runtime.policy import PolicyProcessor
from silmu.runtime.space_forms import of_gymnasium
from silmu.steps.collect.environments import collect
from silmu.steps.train.reinforcement.environments import Environments

OWN = '''
import numpy as np
from gymnasium import spaces


class Belt:
    """Goes wrong in the way that it is told, at step 7 of its second episode."""

    observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
    action_space = spaces.Discrete(2)
    metadata = {"render_fps": 10}

    def __init__(self, wrong="", render_mode=None):
        self.wrong, self.episode, self.render_mode = wrong, 0, render_mode

    def reset(self, seed=None, options=None):
        # A video is preceded by one reset, to see whether there is anything to be seen.
        self.episode, self.step_number = self.episode + 1, 0
        return np.zeros(4, np.float32), {}

    def step(self, action):
        self.step_number += 1
        observation, reward = np.full(4, self.step_number, np.float32), 1.0
        if self.wrong and self.step_number == 7 and self.episode == 2:
            if self.wrong == "raises":
                raise RuntimeError("the belt slipped")
            if self.wrong == "shape":
                observation = observation[:3]
            if self.wrong == "nan":
                reward = float("nan")
        return observation, reward, self.step_number == 12, False, {}


class Seen(Belt):
    def render(self):
        return np.full((50, 60, 3), 15 * self.step_number, np.uint8)


class Tired(Seen):
    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, float(self.step_number > self.episode), *rest


class Odd(Belt):
    def render(self):
        return "a frame"
'''


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """One command in this process."""
    for name in ("PYGAME_HIDE_SUPPORT_PROMPT", "SDL_VIDEODRIVER", "MUJOCO_GL"):
        monkeypatch.setenv(name, {"SDL_VIDEODRIVER": "dummy", "MUJOCO_GL": "egl"}.get(name, "1"))
    logger = logging.getLogger("silmu")
    handlers, level = logger.handlers, logger.level

    def run(*arguments: str | Path) -> Done:
        code = cli.main(["use", *map(str, arguments)])
        return Done(code, *capsys.readouterr())

    yield run
    logger.handlers, logger.level = handlers, level


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> str:
    return models.upright(tmp_path_factory.mktemp("policies") / "cart")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("environments") / "own.py"
    path.write_text(OWN)
    return path


def frames_of(path: Path) -> list[Any]:
    with Image.open(path) as film:
        return [np.array(one.convert("RGB")) for one in ImageSequence.Iterator(film)]


def test_returns_of_episodes(run: Run, cart: str) -> None:
    done = run(cart, "--env", "CartPole-v1", "--episodes", "2", "--seed", "0")
    assert done == Done(
        0,
        "episode 1: return 500, 500 steps, cut\n"
        "episode 2: return 500, 500 steps, cut\n"
        "mean return 500 (lowest 500, highest 500)\n",
        "",
    )


def test_episodes_as_json_can_be_repeated(run: Run, cart: str) -> None:
    given = (cart, "--env", "CartPole-v1", "--json", "--set", "deterministic=false")
    first = run(*given, "--seed", "7")
    *episodes, last = [json.loads(line) for line in first.out.splitlines()]
    assert [list(one) for one in episodes] == [["episode", "return", "length", "cut", "seed"]] * 5
    assert len({one["seed"] for one in episodes}) == 5
    assert last == {
        "mean_return": pytest.approx(np.mean([one["return"] for one in episodes])),
        "episodes": 5,
    }
    assert run(*given, "--seed", "7") == first
    assert run(*given).out != run(*given).out


def test_returns_are_those_of_the_seeds_that_are_told(run: Run, tmp_path: Path) -> None:
    path = models.write(tmp_path / "policy", PolicyProcessor(CART, TWO))
    done = run(path, "--env", "CartPole-v1", "--json")
    *episodes, _ = [json.loads(line) for line in done.out.splitlines()]
    pipe, environment = silmu.pipeline(model=path), gymnasium.make("CartPole-v1")
    for told in episodes:
        observation, _ = environment.reset(seed=told["seed"])
        total, over = 0.0, False
        while not over:
            observation, reward, ended, cut, _ = environment.step(pipe(observation)["action"])
            total, over = total + float(reward), ended or cut
        assert total == told["return"] == told["length"]
    assert len({one["return"] for one in episodes}) > 1


def test_a_time_limit_and_settings_of_the_environment(run: Run, cart: str, own: Path) -> None:
    limit = ("--set", "max_episode_steps=20", "--episodes", "1")
    done = run(cart, "--env", "CartPole-v1", *limit)
    assert done.out.startswith("episode 1: return 20, 20 steps, cut\nmean return 20\n")
    wrong = ("--set", 'kwargs={"wrong": "raises"}')
    assert run(cart, "--env", f"{own}:Belt", *wrong).code == 2
    assert run(cart, "--env", f"{own}:Belt", "--episodes", "1").out.startswith(
        "episode 1: return 12, 12 steps\n"
    )
    unknown = run(cart, "--env", "CartPole-v1", "--set", 'kwargs={"colour": 3}')
    assert (unknown.code, unknown.out) == (2, "")
    assert "CartPole-v1 cannot be made with colour=3" in unknown.err


def test_an_environment_that_its_reset_leaves_changed(run: Run, tmp_path: Path, own: Path) -> None:
    """It earns less in each episode, unless each has an environment newly made."""
    environment = collect(f"{own}:Tired", tmp_path / "1-dataset")
    assert environment.fresh
    shapes = (environment.observation, environment.action)
    old = models.write(tmp_path / "old", PolicyProcessor(*shapes))
    new = models.write(tmp_path / "new", PolicyProcessor(*shapes, fresh=True))
    assert PolicyProcessor.open(Folder(Path(new), "new")).fresh
    given = ("--env", f"{own}:Tired", "--episodes", "3", "--json")
    video = ("--video", tmp_path / "seen.png")

    def returns(model: str, *more: str | Path) -> list[float]:
        lines = run(model, *given, *more).out.splitlines()
        return [json.loads(line)["return"] for line in lines[:-1]]

    assert returns(old) == [11.0, 10.0, 9.0]
    assert returns(new) == returns(new, *video) == [11.0, 11.0, 11.0]
    assert returns(old, "--set", "fresh=true") == [11.0, 11.0, 11.0]
    assert returns(new, "--set", "fresh=false") == [11.0, 10.0, 9.0]
    assert len(frames_of(tmp_path / "seen.png")) == 39
    assert "fresh is 3" in run(old, *given, "--set", "fresh=3").err


# ── video ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ending", ["webp", "png"])
def test_a_video_shows_all_episodes(
    run: Run, cart: str, own: Path, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"seen.{ending}"
    done = run(cart, "--env", f"{own}:Seen", "--episodes", "2", "--video", path)
    assert (done.code, done.err) == (0, f"video: {path}\n")
    frames = frames_of(path)
    assert len(frames) == 26
    shown = [one[..., 0].mean() for one in frames]
    assert np.allclose(shown, [15 * step for step in range(13)] * 2, atol=4)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_video_of_gymnasium(run: Run, cart: str, tmp_path: Path) -> None:
    path = tmp_path / "cart.webp"
    limit = ("--set", "max_episode_steps=30", "--episodes", "1")
    done = run(cart, "--env", "CartPole-v1", "--video", path, *limit)
    assert (done.code, done.err) == (0, f"video: {path}\n")
    with Image.open(path) as film:
        assert film.size == (480, 320)
        assert 2 <= film.n_frames <= 16, "every second one, but for those that are alike"
        seen = 0
        for one in ImageSequence.Iterator(film):
            one.load()
            seen += one.info["duration"]
    assert seen == pytest.approx(30 * 20 + 700, abs=20)


def test_what_cannot_be_seen_is_said_before_any_episode(
    run: Run, cart: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "none.webp"
    for name, told in (("Belt", "has no attribute 'render'"), ("Odd", "it must be uint8")):
        done = run(cart, "--env", f"{own}:{name}", "--video", path)
        assert (done.code, done.out, path.exists()) == (2, "", False)
        assert f"own.py:{name}` shows no frames: " in done.err
        assert told in done.err
        assert "leave --video out" in done.err
    monkeypatch.setitem(sys.modules, "pygame", None)
    done = run(cart, "--env", "CartPole-v1", "--video", path)
    assert (done.code, done.out, path.exists()) == (2, "", False)
    assert "`CartPole-v1` shows no frames: pygame is not installed" in done.err
    assert 'hint: pip install "gymnasium[classic-control]", or leave --video out' in done.err


def test_what_was_seen_until_it_failed_is_kept(
    run: Run, cart: str, own: Path, tmp_path: Path
) -> None:
    path = tmp_path / "half.png"
    wrong = ("--set", 'kwargs={"wrong": "raises"}')
    done = run(cart, "--env", f"{own}:Seen", "--video", path, *wrong)
    assert (done.code, done.out) == (2, "")
    assert "misbehaves at step 7 of episode 1" in done.err
    assert len(frames_of(path)) == 7


# ── environments that do not fit or fail ───────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("raises", "action 1: step raised RuntimeError: the belt slipped"),
        ("shape", "the observation has shape (3,); observation_space says (4,)"),
        ("nan", "the reward is nan"),
    ],
)
def test_environments_that_misbehave(run: Run, cart: str, own: Path, wrong: str, told: str) -> None:
    done = run(cart, "--env", f"{own}:Belt", "--set", f'kwargs={{"wrong": "{wrong}"}}')
    assert (done.code, done.out) == (2, "episode 1: return 12, 12 steps\n")
    assert "error: the environment misbehaves at step 7 of episode 2" in done.err
    assert told in done.err
    assert "Traceback" not in done.err


def test_other_environments(run: Run, cart: str) -> None:
    other = run(cart, "--env", "Acrobot-v1")
    assert (other.code, other.out) == (2, "")
    assert "`Acrobot-v1` shows 6 numbers" in other.err
    assert "the policy was trained on 4 numbers" in other.err
    near = run(cart, "--env", "CartPol-v1")
    assert "gymnasium has no environment `CartPol-v1`" in near.err
    assert "did you mean `CartPole-v1`" in near.err


def test_actions_of_another_kind(run: Run, tmp_path: Path) -> None:
    space = of_gymnasium(gymnasium.make("MountainCar-v0").observation_space)
    path = models.write(tmp_path / "policy", PolicyProcessor(space, TWO))
    done = run(path, "--env", "MountainCar-v0")
    assert "`MountainCar-v0` takes one of 3, and the policy gives one of 2" in done.err


def test_actions_that_are_numbers(run: Run, tmp_path: Path) -> None:
    environment = gymnasium.make("Pendulum-v1")
    own = PolicyProcessor(
        of_gymnasium(environment.observation_space), of_gymnasium(environment.action_space), 2
    )
    path = models.write(tmp_path / "policy", own, kind="gru")
    given = (path, "--env", "Pendulum-v1", "--episodes", "2", "--seed", "0")
    done = run(*given)
    assert (done.code, done.err) == (0, "")
    assert done.out.count(", 200 steps, cut\n") == 2
    assert run(*given) == done


def test_training_stacks_frames_as_use_does(tmp_path: Path) -> None:
    environment = collect("CartPole-v1", tmp_path / "environment")
    training = Environments(environment, 2, 0, frames=3)
    plain = Environments(environment, 2, 0)
    frames = Frames(3)
    assert np.array_equal(training.observation, frames.stacked(plain.observation))
    ended = 0
    for _ in range(60):
        actions = np.zeros(2, np.int64)
        seen, stepped = training.step(actions).observation, plain.step(actions)
        over = np.flatnonzero(stepped.ended | stepped.cut)
        ended += len(over)
        if len(over):
            frames.begin(over)
        assert np.array_equal(seen, frames.stacked(stepped.observation))
    assert ended > 4
