"""Policies that see pictures: how these are read, on what scale, and what is decided of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import Env
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete
from small_environments import Steady

import silmu
from silmu.errors import UsageError
from silmu.networks.policies import Policy
from silmu.runtime.lens import PLAIN, Lens
from silmu.steps.collect import environments as collected
from silmu.steps.collect.environments import Environment, registered
from silmu.steps.prepare import environments as prepared
from silmu.steps.prepare.environments import PreparedEnvironment
from silmu.steps.train.reinforcement import algorithms
from silmu.steps.train.reinforcement.environments import Environments
from silmu.steps.train.reinforcement.judging import Judge
from silmu.steps.train.reinforcement.scales import FAINTEST

QUICK = {"total_steps": 96, "num_environments": 2, "hidden_size": 8}
LIMIT = 6


class Lamp(Env[Any, Any]):
    """On black, a red field or a green one: red is to be answered by 0."""

    observation_space: Any = Box(0, 255, (74, 81, 3), np.uint8)
    action_space: Any = Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._next(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        earned = float(int(action) == self.shown)
        return self._next(), earned, False, False, {}

    def _next(self) -> Any:
        self.shown = int(self.np_random.integers(2))
        picture = np.zeros((74, 81, 3), np.uint8)
        place = int(self.np_random.integers(40))
        picture[10:50, place : place + 40, self.shown] = 255
        return picture


class Large(Lamp):
    """Larger than is needed."""

    observation_space: Any = Box(0, 255, (210, 160, 3), np.uint8)

    def _next(self) -> Any:
        return np.kron(super()._next(), np.ones((3, 2, 1), np.uint8))[:210, :160]


def environment(folder: Path, source: Any = Lamp) -> Environment:
    settings = {"max_episode_steps": LIMIT}
    return collected.collect(source, folder / "1-dataset", settings=settings)


def ready(folder: Path, source: Any = Lamp, **settings: Any) -> PreparedEnvironment:
    return prepared.prepare(environment(folder, source), folder / "2-prepared", settings)


def begun(found: PreparedEnvironment, algorithm: str = "ppo", **more: Any) -> Any:
    settings = algorithms.decided(algorithm, QUICK | more, found)
    return algorithms.begun("cnn", algorithm, settings, found, 0)


# ── what is decided ─────────────────────────────────────────────────────────────────────────────


def test_large_pictures_are_read_in_grey_and_smaller(tmp_path: Path) -> None:
    large = environment(tmp_path, Large)
    found = prepared.prepare(large, tmp_path / "usual", {})
    assert (found.lens, found.frames, found.normalise) == (Lens(True, 2), 4, True)
    assert "pictures are read as 105 x 80 x 1, in grey (grey=false keeps colours)" in found.lines()
    assert PreparedEnvironment.open(found.path, large) == found
    copies = Environments(large, 2, 0, frames=found.frames, lens=found.lens)
    assert copies.observation.shape == (2, 4, 105, 80)

    kept = prepared.prepare(large, tmp_path / "kept", {"grey": False, "smaller": 1, "frames": 1})
    assert kept.lens == PLAIN
    copies = Environments(large, 2, 0, frames=kept.frames, lens=kept.lens)
    assert copies.observation.shape == (2, 3, 210, 160)


@pytest.mark.parametrize(
    ("source", "settings", "told"),
    [
        (Steady, {"grey": True}, "grey and smaller are of pictures"),
        (Steady, {"smaller": 2}, "grey and smaller are of pictures"),
        (Lamp, {"smaller": 3}, "of pictures of 74 x 81 it may be from 1 to 2"),
        (Lamp, {"smaller": 0}, "it may be from 1 to 2"),
        (Lamp, {"normalise": True, "algorithm": "dqn"}, "dqn learns no scale of pictures"),
    ],
)
def test_what_cannot_be_is_refused(
    source: Any, settings: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=told):
        ready(tmp_path, source, **settings)
    assert not (tmp_path / "2-prepared").exists()


def test_the_time_limit_of_an_atari_game_is_told_in_frames() -> None:
    def limit(**kwargs: Any) -> int | None:
        spec = EnvSpec("Game-v5", entry_point="nowhere:Game", kwargs=kwargs)
        return registered.time_limit(SimpleNamespace(spec=spec))

    assert limit(max_num_frames_per_episode=108_000, frameskip=4) == 27_000
    assert limit(max_num_frames_per_episode=108_000, frameskip=(2, 5)) == 54_000
    assert limit(max_num_frames_per_episode=None, frameskip=4) is None
    assert limit() is None


# ── what is learnt ──────────────────────────────────────────────────────────────────────────────


def test_ppo_reads_each_channel_by_its_mean_and_deviation(tmp_path: Path) -> None:
    found = begun(ready(tmp_path, grey=False, frames=1))
    found.iterate()
    network: Policy = found.policy()
    # Red and green are equally often on, and there is no blue.
    mean, deviation = (one.flatten().tolist() for one in (network.mean, network.deviation))
    assert mean[:2] == pytest.approx([0.13, 0.13], abs=0.09)
    assert mean[2] == 0
    assert deviation[:2] == pytest.approx([0.34, 0.34], abs=0.12)
    assert deviation[2] == 1  # it never changed
    black = network.normalised(torch.zeros(1, 3, 74, 81))[0, :, 0, 0].tolist()
    wanted = [-m / d for m, d in zip(mean, deviation, strict=True)]
    assert black == pytest.approx(wanted, abs=1e-6)


def test_a_faint_channel_is_not_made_glaring(tmp_path: Path) -> None:
    class Faint(Lamp):
        def _next(self) -> Any:
            return super()._next() // 50

    found = begun(ready(tmp_path, Faint, grey=False, frames=1))
    found.iterate()
    deviation = found.policy().deviation.flatten().tolist()
    assert deviation == pytest.approx([FAINTEST, FAINTEST, 1.0])


@pytest.mark.parametrize("given", [{"algorithm": "dqn"}, {"normalise": False}])
def test_pictures_without_a_scale_are_from_0_to_1(tmp_path: Path, given: dict[str, Any]) -> None:
    found = ready(tmp_path, **given)
    assert "observations are taken as they are, 4 at once" in found.lines()
    network = begun(found, given.get("algorithm", "ppo")).policy()
    assert not any(name in ("mean", "deviation") for name, _ in network.named_buffers())
    white = torch.full((1, 4, 74, 81), 255, dtype=torch.uint8)
    assert (network.normalised(white) == 1).all()


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_what_was_stopped_sees_the_same_through_its_lens(tmp_path: Path, algorithm: str) -> None:
    own: dict[str, Any] = {"learning_starts": 8} if algorithm == "dqn" else {"num_steps": 8}
    found = ready(tmp_path, algorithm=algorithm, smaller=2, frames=2)
    whole = begun(found, algorithm, batch_size=8, total_steps=64, **own)
    whole.iterate()
    tensors, plain = whole.state()
    tensors = {name: one.clone() for name, one in tensors.items()}
    plain = json.loads(json.dumps(plain))
    again = begun(found, algorithm, batch_size=8, total_steps=64, **own)
    again.restore(tensors, plain)
    assert (again.environments.observation == whole.environments.observation).all()
    assert again.environments.observation.shape == (2, 2, 37, 40)


def test_use_reads_pictures_as_training_did(tmp_path: Path) -> None:
    run = silmu.train(
        "reinforcement-learning",
        data=Lamp,
        output=tmp_path / "run",
        settings={**QUICK, "max_episode_steps": LIMIT, "evaluations": 1, "judged_episodes": 2},
        until="train",
        quiet=True,
    )
    assert (run.settings["grey"], run.settings["smaller"]) == (True, 1)
    act = silmu.pipeline(model=str(run.model))
    made = Lamp()
    seen, _ = made.reset(seed=0)
    values: list[float] = []
    frames: list[Any] = []
    for _ in range(5):
        frames.append(seen)
        values.append(act(seen, value=True)["value"])
        seen, *_ = made.step(0)
    grey = np.rint(np.stack(frames) @ [0.299, 0.587, 0.114])
    first = np.concatenate([grey[:1]] * 3)
    shown = np.concatenate([first, grey])
    stacked = np.stack([shown[i : i + 4] for i in range(5)]).astype(np.float32)
    wanted = act.model(observation=stacked)["value"]
    assert values == pytest.approx(wanted.tolist(), abs=1e-5)


# ── how often it is judged ──────────────────────────────────────────────────────────────────────


def test_a_judgement_tells_what_it_took(tmp_path: Path) -> None:
    found = ready(tmp_path)
    judge = Judge(found, 3, 0)
    assert (judge.spent, judge.expected) == (0, 0)
    policy = begun(found).policy()
    for times in (1, 2):
        assert len(judge(policy)) == 3
        assert (judge.spent, judge.expected) == (times * 3 * LIMIT, 3 * LIMIT)


@pytest.mark.parametrize(("episodes", "count"), [(1, 12), (8, 5)])
def test_long_episodes_are_judged_less_often(tmp_path: Path, episodes: int, count: int) -> None:
    settings = {"total_steps": 192, "num_environments": 2, "num_steps": 8, "max_episode_steps": 20}
    run = silmu.train(
        "reinforcement-learning",
        data=Steady,
        output=tmp_path / "run",
        settings={**settings, "evaluations": 12, "judged_episodes": episodes},
        until="train",
        quiet=True,
    )
    lines = (run.path / "4-train" / "log.jsonl").read_text().splitlines()
    judged = [one["step"] for one in map(json.loads, lines) if "validation" in one]
    # A judgement takes 20 steps an episode, and four for each step of training are allowed.
    assert len(judged) == count
    assert judged[-1] == 192
    # How long the first takes is not known before.
    for place, step in enumerate(judged[1:-1], 2):
        assert place * 20 * episodes <= 4 * step
