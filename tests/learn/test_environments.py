"""Environments: made from a name, tried out, stepped through many at once, and acted again."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from misbehaving import AT, RESETS, STEPS, Endless, GlobalChance, Plain, Remembering, Walk

from silmu.errors import (
    CorruptError,
    InputError,
    MissingExtraError,
    TrainingError,
    UnsafeModelError,
    UsageError,
)
from silmu.steps.collect import environments
from silmu.steps.collect.environments import making, registered
from silmu.steps.collect.environments.environment import Environment
from silmu.steps.train.batches import derive
from silmu.steps.train.reinforcement.environments import Environments


class Pictures(Walk):
    """What it shows is a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Box(0, 255, (40, 48, 3), np.uint8)

    def seen(self) -> Any:
        picture = np.zeros((40, 48, 3), np.uint8)
        picture[self.steps, int(self.place) % 48] = 255
        return picture


class Pushed(Walk):
    """It takes several numbers, and changes the array that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)

    def step(self, action: Any) -> Any:
        action *= 0.5
        self.place += float(action.sum())
        return super().step(1)


class Several(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.MultiDiscrete([3, 2])

    def step(self, action: Any) -> Any:
        return super().step(int(action[0]) - int(action[1]))


class Late(Walk):
    """It gives other things twice, but only after more steps than a first look repeats."""

    chance = np.random.default_rng()

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def step(self, action: Any) -> Any:
        seen, reward, _, _, info = super().step(action)
        if self.steps == 70:
            reward += float(self.chance.random())
        return seen, reward, self.steps >= 100, False, info


def collected(source: Any, folder: Path, **settings: Any) -> Environment:
    return environments.collect(source, folder / "1-dataset", settings=settings)


def drawn(environment: Environment, count: int, steps: int, seed: int = 0) -> list[Any]:
    """Actions by chance, as a policy gives them."""
    random, action = np.random.default_rng(seed), environment.action
    if action.kind == "discrete":
        return list(random.integers(0, action.n, (steps, count)))
    if action.kind == "multi_discrete":
        return list(random.integers(0, action.nvec, (steps, count, len(action.nvec))))
    return list(random.normal(0, 1, (steps, count, action.size)))


# made from a name


def test_wrappers_are_taken_off_and_the_time_limit_is_known() -> None:
    made = environments.make("CartPole-v1", settings={"sutton_barto_reward": True})
    assert type(made).__name__ == "CartPoleEnv"
    assert registered.time_limit(made) == 500
    made.reset(seed=0)
    assert made.step(0)[1] == 0.0  # as Sutton and Barto reward it
    own = environments.make("gymnasium.envs.classic_control.cartpole:CartPoleEnv")
    assert type(own) is type(made)
    assert registered.time_limit(own) is None


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("CartPol-v1", "CartPole-v1"),
        ("cartpole-v1", "CartPole-v1"),
        ("Pendulum-v9", "Pendulum-v1"),
        ("Nothing-like-it-v3", "file.py:name"),
        ("no_such_module:Env-v0", "file.py:name"),
        ("gymnasium.envs.classic_control:CartPoleEnvy-v1", "file.py:name"),
    ],
)
def test_an_unknown_name_is_refused_with_a_near_one(name: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        environments.make(name)
    assert name.rpartition(":")[2] in caught.value.message or name in caught.value.message
    assert near in (caught.value.hint or "")


def test_settings_that_it_does_not_take_are_refused() -> None:
    with pytest.raises(UsageError, match="gravitas=1"):
        environments.make("Pendulum-v1", settings={"gravitas": 1})
    with pytest.raises(UsageError, match="gave a int"):
        environments.make(lambda: 3)


@pytest.mark.parametrize(
    ("cameras", "settings", "at"),
    [({"track": 2}, {}, 2), ({"other": 2}, {}, -1), ({"track": 2}, {"camera_id": -1}, -1)],
)
def test_a_camera_goes_along_with_a_robot(
    cameras: dict[str, int], settings: dict[str, Any], at: int
) -> None:
    """As environments of MuJoCo have theirs, which need a package of 200 MB."""

    def robot(camera_id: int = -1) -> Any:
        found: Any = Walk()
        found.mujoco_renderer = SimpleNamespace(camera_id=camera_id)
        found.model = SimpleNamespace(camera=lambda name: SimpleNamespace(id=cameras[name]))
        return found

    assert making.make(robot, settings=settings).mujoco_renderer.camera_id == at


def test_what_is_missing_is_named_with_the_line_that_installs_it(tmp_path: Path) -> None:
    file = tmp_path / "lacks.py"
    file.write_text("import no_such_library_at_all\n")
    with pytest.raises(MissingExtraError) as caught:
        environments.make(f"{file}:Env")
    assert caught.value.hint == "pip install 'no_such_library_at_all'"
    if importlib.util.find_spec("ale_py") is None:
        with pytest.raises(MissingExtraError) as caught:
            environments.make("ALE/Breakout-v5")
        assert caught.value.hint == "pip install ale-py"


FILE = """
import gymnasium
import numpy as np
from beside import SCALE

class Game(gymnasium.Env):
    def __init__(self, size=2, render_mode=None):
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(-9, 9, (size,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2, start=1)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 9
        return np.zeros(self.observation_space.shape, np.float32), {}
    def step(self, action):
        assert action in (1, 2)
        self.left -= 1
        seen = np.full(self.observation_space.shape, self.left * SCALE, np.float32)
        return seen, float(action), self.left == 0, False, {}

def small(size=1):
    return Game(size)

gymnasium.register("OfAFile-v0", entry_point=Game, max_episode_steps=5)
"""


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "game.py"
    (tmp_path / "beside.py").write_text("SCALE = 1.0\n")
    file.write_text(FILE)
    assert environments.make(str(file)).observation_space.shape == (2,)
    assert environments.make(f"{file}:small").observation_space.shape == (1,)
    assert environments.make(f"{file}:Game", settings={"size": 4}).observation_space.shape == (4,)
    assert registered.time_limit(environments.make(f"{file}:OfAFile-v0")) == 5
    assert environments.make(f"{file}:Game", render_mode="rgb_array").render_mode == "rgb_array"
    assert environments.make(f"{file}:small", render_mode="rgb_array").render_mode is None
    with pytest.raises(UsageError) as caught:
        environments.make(f"{file}:Gam")
    assert f"{file}:Game" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="there is no file"):
        environments.make(str(tmp_path / "none.py"))
    environment = collected(f"{file}:Game", tmp_path / "run", kwargs={"size": 3})
    assert environment.name == "Game"
    assert environment.action.start == 1
    stepped = Environments(environment, 2, 0).step(np.array([0, 1]))
    assert stepped.rewards.tolist() == [1.0, 2.0]
    again = Environment.open(tmp_path / "run" / "1-dataset")
    assert again.make().observation_space.shape == (3,)
    file.write_text(FILE + "\n# changed\n")
    with pytest.raises(InputError, match="no longer the one that was collected"):
        again.make()


def test_a_file_that_fails_says_so(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import sys\nsys.exit('no')\n")
    with pytest.raises(UsageError, match="fails when it is read: SystemExit: no"):
        environments.make(f"{file}:Game")


def test_what_a_foreign_run_folder_names_is_not_run(tmp_path: Path) -> None:
    for name in ("os:system", "subprocess:Popen", "builtins:exec"):
        with pytest.raises(UsageError, match="no class with reset and step"):
            environments.make(name, settings={"command": "true"})
    (tmp_path / "beside.py").write_text("SCALE = 1.0\n")
    file = tmp_path / "game.py"
    file.write_text(FILE)
    with pytest.raises(UnsafeModelError, match="came with the run"):
        collected(f"{file}:Game", tmp_path).make()


def test_a_file_is_found_from_elsewhere(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "beside.py").write_text("SCALE = 1.0\n")
    (tmp_path / "game.py").write_text(FILE)
    run, away = tmp_path / "run", tmp_path / "away"
    away.mkdir()
    monkeypatch.chdir(tmp_path)
    collected("game.py:Game", run)
    monkeypatch.chdir(away)
    assert Environment.open(run / "1-dataset").make().action_space.n == 2


# collected


def test_what_is_left_of_an_environment(tmp_path: Path) -> None:
    lines: list[str] = []
    environment = environments.collect("CartPole-v1", tmp_path / "1-dataset", progress=lines.append)
    assert environment == Environment.open(tmp_path / "1-dataset")
    about = json.loads((tmp_path / "1-dataset" / "environment.json").read_text())
    assert about["observation"]["shape"] == [4]
    assert about["max_episode_steps"] == 500
    assert about["versions"] == {"gymnasium": gymnasium.__version__}
    assert 15 < environment.trial["mean_return"] < 30  # as random actions do in CartPole
    assert environment.reward_range == (1.0, 1.0)
    assert (environment.deterministic, environment.fresh) == (True, False)
    assert lines[0] == "`CartPole-v1` shows 4 numbers, unbounded, and takes one of 2"
    assert any("500 steps" in line for line in lines)


def test_the_fingerprint_is_of_what_decides(tmp_path: Path) -> None:
    def of(name: str, **settings: Any) -> str:
        return environments.collect("Pendulum-v1", tmp_path / name, settings=settings).fingerprint

    first = of("a")
    assert of("b") == first
    assert of("c", kwargs={"g": 9.0}) != first
    assert of("d", max_episode_steps=99) != first


def test_a_damaged_folder_is_refused(tmp_path: Path) -> None:
    collected("CartPole-v1", tmp_path)
    file = tmp_path / "1-dataset" / "environment.json"
    file.write_text(file.read_text().replace("CartPole", "Acrobot"))
    with pytest.raises(CorruptError):
        Environment.open(tmp_path / "1-dataset")


def test_a_class_of_a_program_is_given_again(tmp_path: Path) -> None:
    environment = collected(Walk, tmp_path)
    assert environment.source == "in memory"
    assert Environment.open(tmp_path / "1-dataset", Walk).make().action_space.n == 3
    with pytest.raises(UsageError, match="given by a program"):
        Environment.open(tmp_path / "1-dataset").make()
    other = Environment.open(tmp_path / "1-dataset", Pictures)
    with pytest.raises(InputError, match="no longer the one that was collected"):
        other.make()
    with pytest.raises(InputError, match="collected with 2 numbers, from -100 to 100"):
        dataclasses.replace(other, file=None).make()


@pytest.mark.parametrize(
    "settings",
    [
        {"max_episode_steps": 0},
        {"max_episode_steps": True},
        {"kwargs": 3},
        {"kwargs": {"size": {1, 2}}},
        {"speed": 1},
    ],
)
def test_settings_of_collect_are_checked(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        environments.collect("CartPole-v1", tmp_path / "1-dataset", settings=settings)


# many at once


def test_every_step_is_what_each_copy_gives_alone(tmp_path: Path) -> None:
    environment, count, seed = collected("CartPole-v1", tmp_path), 3, 7
    many = Environments(environment, count, seed, max_episode_steps=20)
    alone = [gymnasium.make("CartPole-v1").unwrapped for _ in range(count)]
    episodes, lengths, totals = [0] * count, [0] * count, [0.0] * count

    def begin(index: int) -> Any:
        number = derive(seed, "episode", index, episodes[index]) & 0x7FFFFFFF
        return alone[index].reset(seed=number)[0]

    assert np.array_equal(many.observation, [begin(index) for index in range(count)])
    over = 0
    for actions in drawn(environment, count, 200):
        stepped = many.step(actions)
        for index in range(count):
            seen, reward, ended, _, _ = alone[index].step(int(actions[index]))
            lengths[index] += 1
            totals[index] += float(reward)
            cut = not ended and lengths[index] == 20
            assert (stepped.ended[index], stepped.cut[index]) == (ended, cut)
            assert stepped.rewards[index] == reward
            assert (index in stepped.final) == (ended or cut)
            if ended or cut:
                assert np.array_equal(stepped.final[index], seen)
                assert (index, totals[index], lengths[index]) in stepped.returns
                episodes[index], lengths[index], totals[index] = episodes[index] + 1, 0, 0.0
                seen, over = begin(index), over + 1
            assert np.array_equal(stepped.observation[index], seen)
            assert many.length(index) == lengths[index]
    assert over > 10


def test_seeds_of_judgement_are_others_than_those_of_training(tmp_path: Path) -> None:
    environment = collected("CartPole-v1", tmp_path)
    first = Environments(environment, 4, 0).observation
    assert np.array_equal(first, Environments(environment, 4, 0).observation)
    assert not np.array_equal(first, Environments(environment, 4, 1).observation)
    assert not np.array_equal(first, Environments(environment, 4, 0, training=False).observation)
    assert len(np.unique(first, axis=0)) == 4


def test_frames_are_stacked_the_oldest_first(tmp_path: Path) -> None:
    environment = collected(Pictures, tmp_path)
    plain = Environments(environment, 2, 0)
    many = Environments(environment, 2, 0, frames=3)
    assert plain.observation.dtype == np.uint8
    assert plain.observation.shape == (2, 3, 40, 48)
    assert many.observation.shape == (2, 9, 40, 48)
    past = [plain.observation] * 3
    assert np.array_equal(many.observation, np.concatenate(past, axis=1))
    kept = many.observation
    for actions in drawn(environment, 2, 30):
        one, stepped = plain.step(actions), many.step(actions)
        past = [*past[1:], one.observation.copy()]
        for index in range(2):
            if one.ended[index]:
                last = [past[0][index], past[1][index], one.final[index]]
                assert np.array_equal(stepped.final[index], np.concatenate(last))
                for frame in past:
                    frame[index] = one.observation[index]
        assert np.array_equal(stepped.observation, np.concatenate(past, axis=1))
    assert np.array_equal(kept, Environments(environment, 2, 0, frames=3).observation)


@pytest.mark.parametrize(
    ("source", "frames"),
    [
        ("CartPole-v1", 1),
        ("Pendulum-v1", 1),
        ("FrozenLake-v1", 2),
        (Pictures, 4),
        (Pushed, 3),
        (Several, 1),
        (Remembering, 1),
    ],
)
def test_whoever_goes_on_sees_what_would_have_been_seen(
    source: Any, frames: int, tmp_path: Path
) -> None:
    environment = collected(source, tmp_path)
    many = Environments(environment, 3, 5, frames=frames)
    actions = drawn(environment, 3, 130)
    for one in actions[:50]:
        many.step(one)
    plain, arrays = many.state()
    plain = json.loads(json.dumps(plain))
    other = Environments(environment, 3, 5, frames=frames)
    other.step(actions[0])  # whatever it did before
    other.restore(plain, arrays)
    assert np.array_equal(other.observation, many.observation)
    for place, one in enumerate(actions[50:]):
        if place == 40:  # and once more
            plain, arrays = other.state()
            other = Environments(environment, 3, 5, frames=frames)
            other.restore(plain, arrays)
        expected, found = many.step(one), other.step(one)
        assert np.array_equal(expected.observation, found.observation)
        assert np.array_equal(expected.rewards, found.rewards)
        assert expected.returns == found.returns
        assert np.array_equal(expected.cut, found.cut)


def test_what_is_remembered_does_not_grow_for_ever(tmp_path: Path) -> None:
    many = Environments(collected(Walk, tmp_path), 2, 0)
    for _ in range(3000):
        many.step(np.ones(2, np.int64))
    plain, arrays = many.state()
    assert len(arrays["actions"]) == sum(plain["lengths"]) < 40
    assert len(many._history) < 1100


# what misbehaves only later


def walk(many: Environments, steps: int) -> None:
    for _ in range(steps):
        many.step(np.array([2, 1]))


def broken(made: Any, folder: Path) -> Environment:
    """One that was well when it was collected."""
    return dataclasses.replace(collected(Walk, folder), given=made, file=None)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_breaks_the_contract_ends_training(name: str, tmp_path: Path) -> None:
    made, _, part = STEPS[name]
    many = Environments(broken(made, tmp_path), 2, 0)
    for _ in range(AT - 1):
        many.step(np.array([2, 1]))
    with pytest.raises(TrainingError) as caught:
        many.step(np.array([2, 1]))
    assert f"`Walk`, copy 1, step {AT} of episode 1, action 2: " in caught.value.message
    assert part in caught.value.message
    assert "the last checkpoint stands" in (caught.value.hint or "")


@pytest.mark.parametrize("name", RESETS)
def test_a_reset_that_breaks_the_contract_ends_training(name: str, tmp_path: Path) -> None:
    made, _, part = RESETS[name]
    many = Environments(broken(made, tmp_path), 2, 0)
    with pytest.raises(TrainingError) as caught:
        walk(many, 20)
    assert "the reset of episode 2: " in caught.value.message
    assert part in caught.value.message


def test_lists_and_numbers_of_other_types_are_taken(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    plain = Environments(broken(Plain, tmp_path / "plain"), 2, 0)
    walk = Environments(collected(Walk, tmp_path), 2, 0)
    for actions in drawn(walk.environment, 2, 40):
        one, other = plain.step(actions), walk.step(actions)
        assert np.array_equal(one.observation, other.observation)
        assert np.array_equal(one.ended, other.ended)


def test_an_episode_that_does_not_end_is_cut(tmp_path: Path) -> None:
    many = Environments(broken(Endless, tmp_path), 2, 0, max_episode_steps=30)
    cuts = [many.step(np.ones(2, np.int64)).cut.all() for _ in range(60)]
    assert [place for place, cut in enumerate(cuts, 1) if cut] == [30, 60]


def test_what_differs_when_it_is_acted_again_is_named(tmp_path: Path) -> None:
    environment = collected(Late, tmp_path)
    assert environment.deterministic  # as far as a first look sees
    many = Environments(environment, 2, 0)
    for _ in range(80):
        many.step(np.ones(2, np.int64))
    state = many.state()
    with pytest.raises(TrainingError) as caught:
        Environments(environment, 2, 0).restore(*state)
    assert "copy 1, step 70 of episode 1: the reward was " in caught.value.message
    assert "deterministic" in (caught.value.hint or "")


def test_one_taken_as_not_deterministic_goes_on_with_new_episodes(tmp_path: Path) -> None:
    environment = collected(GlobalChance, tmp_path, deterministic=False)
    many = Environments(environment, 2, 0)
    for _ in range(8):
        many.step(np.ones(2, np.int64))
    state = many.state()
    assert state[0]["lengths"] == [8, 8]
    other = Environments(environment, 2, 0)
    other.restore(*state)
    assert [other.length(index) for index in range(2)] == [0, 0]
    assert other.state()[0]["episodes"] == [1, 1]
    assert other.step(np.ones(2, np.int64)).rewards.shape == (2,)


def test_an_action_that_is_no_number_is_refused(tmp_path: Path) -> None:
    many = Environments(collected("Pendulum-v1", tmp_path), 2, 0)
    with pytest.raises(TrainingError, match="no number in step 1"):
        many.step(np.array([[0.0], [np.nan]]))


def test_whoever_stops_the_program_stops_it(tmp_path: Path) -> None:
    class Stopped(Walk):
        def step(self, action: Any) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Environments(broken(Stopped, tmp_path), 1, 0).step(np.zeros(1, np.int64))
