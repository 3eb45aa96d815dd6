"""Training of policies, from an environment to a model that acts: each algorithm, killed too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("gymnasium")

import kills
import torch
from misbehaving import Remembering, Walk
from policy_child import SMALL
from safetensors.numpy import load_file
from test_train_kills import Done, Trainings

import silmu
from silmu import store
from silmu.errors import UsageError
from silmu.run import Run
from silmu.steps.design import reinforcement

CHILD = Path(__file__).with_name("policy_child.py")
OFF = {"total_steps": 400, "num_environments": 2, "learning_starts": 50, "batch_size": 16}
QUICK: dict[str, dict[str, Any]] = {
    "ppo": {name: value for name, value in SMALL.items() if name != "checkpoint_seconds"},
    "dqn": {"algorithm": "dqn", "hidden_size": 8, **OFF, "evaluations": 2, "judged_episodes": 2},
    "sac": {"algorithm": "sac", "hidden_size": 8, **OFF, "evaluations": 2, "judged_episodes": 2},
}
ONLY_PPO = ("num_steps", "epochs")
IDS = {"ppo": "CartPole-v1", "dqn": "CartPole-v1", "sac": "Pendulum-v1"}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def train(folder: Path, quick: str = "ppo", until: str = "train", **settings: Any) -> Run:
    return silmu.train(
        "reinforcement-learning",
        data=settings.pop("data", IDS[quick]),
        output=folder,
        settings={**QUICK[quick], **settings},
        until=until,
        quiet=True,
    )


@pytest.mark.parametrize("algorithm", QUICK)
def test_each_algorithm_leaves_a_model_that_acts(tmp_path: Path, algorithm: str) -> None:
    run = train(tmp_path / "run", algorithm)
    assert {path.name for path in run.model.iterdir()} >= {
        "config.json",
        "model.safetensors",
        "processor.json",
        "onnx",
    }
    environment = reinforcement_environment(run)
    seen, _ = environment.reset(seed=0)
    act = silmu.pipeline(model=str(run.model))
    for _ in range(20):
        action = act(seen)["action"]
        assert environment.action_space.contains(action)
        seen, _, ended, cut, _ = environment.step(action)
        if ended or cut:
            seen, _ = environment.reset()
    lines = (run.path / "4-train" / "log.jsonl").read_text().splitlines()
    judged = [one for one in map(json.loads, lines) if "validation" in one]
    assert judged
    assert run.seconds["train"] > 0


def reinforcement_environment(run: Run) -> Any:
    from silmu.tasks.reinforcement_learning import ReinforcementLearning

    return ReinforcementLearning.open_dataset(run.path).make()


def test_it_learns(tmp_path: Path) -> None:
    settings = {"hidden_size": 32, "total_steps": 12_288, "num_environments": 8, "num_steps": 64}
    run = train(tmp_path / "run", **settings, batch_size=128, epochs=8, learning_rate=2e-3)
    environment = reinforcement_environment(run)
    act = silmu.pipeline(model=str(run.model))
    lengths: list[int] = []
    for seed in range(10):
        seen, _ = environment.reset(seed=1000 + seed)
        length, ended = 0, False
        while length < 500 and not ended:
            seen, _, ended, *_ = environment.step(act(seen)["action"])
            length += 1
        lengths.append(length)
    # By chance a pole stands for some twenty steps.
    assert np.mean(lengths) > 150


def test_a_model_knows_that_its_environment_is_made_anew(tmp_path: Path) -> None:
    for source, is_fresh in ((Remembering, True), (Walk, False)):
        run = train(tmp_path / source.__name__, data=source)
        assert silmu.pipeline(model=str(run.model)).processor.fresh is is_fresh


def test_the_value_of_sac_is_what_its_critics_tell(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "sac")
    act = silmu.pipeline(model=str(run.model))
    seen = np.array([0.5, -0.8, 1.0], np.float32)
    told = act(seen, value=True)
    weights = load_file(run.model / "model.safetensors")
    action = (told["action"] - weights["shift"]) / weights["scale"]
    x = np.clip((seen - weights["mean"]) / weights["deviation"], -10, 10)
    worth: list[float] = []
    for critic in range(2):
        y = np.concatenate([x, action])
        for layer in (0, 2, 4):
            name = f"critics.critics.{critic}.{layer}"
            y = weights[f"{name}.weight"] @ y + weights[f"{name}.bias"]
            y = np.maximum(y, 0) if layer < 4 else y
        worth.append(float(y[0]))
    assert told["value"] == pytest.approx(min(worth), rel=1e-5, abs=1e-5)
    assert worth[0] != worth[1]


def test_the_same_seed_gives_the_same_policy(tmp_path: Path) -> None:
    weights = [
        (train(tmp_path / str(i), seed=seed).model / "model.safetensors").read_bytes()
        for i, seed in enumerate((3, 3, 4))
    ]
    assert weights[0] == weights[1] != weights[2]


def test_what_is_decided_is_written_down(tmp_path: Path) -> None:
    run = silmu.train(
        "reinforcement-learning",
        data="Pendulum-v1",
        output=tmp_path / "run",
        settings={"total_steps": 1000, "hidden_size": 8},
        until="design",
        quiet=True,
    )
    assert run.settings["algorithm"] == "ppo"
    assert run.settings["network"] == "mlp"
    assert run.settings["max_episode_steps"] == 200
    assert run.settings["normalise"] is True


def test_a_budget_becomes_steps(tmp_path: Path) -> None:
    run = silmu.train(
        "reinforcement-learning",
        data="CartPole-v1",
        budget="2s",
        output=tmp_path / "run",
        settings={**QUICK["ppo"], "total_steps": 10_000_000},
        until="design",
        quiet=True,
    )
    assert run.settings["total_steps"] < 1_000_000


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"algorithm": "a2c"}, "algorithm is 'a2c'; it may be auto, ppo, dqn, sac"),
        ({"tau": 0.1}, "tau is set, and ppo has no such setting; sac has"),
        ({"network": "cnn"}, "network cnn sees pictures"),
        ({"gamma": 1.5}, "gamma is 1.5"),
        ({"frames": 0}, "frames is 0"),
        ({"episodes": 0}, "episodes is 0"),
        ({"kwargs": "{"}, "which is no JSON"),
    ],
)
def test_settings_are_checked(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        train(tmp_path / "run", **settings)
    assert not (tmp_path / "run" / "4-train").exists()


def test_dqn_and_sac_ask_for_their_actions(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="discrete"):
        train(tmp_path / "a", "dqn", data="Pendulum-v1")
    with pytest.raises(UsageError, match="finite bounds"):
        train(tmp_path / "b", "sac", data="CartPole-v1")


def test_what_auto_means() -> None:
    from silmu.runtime.spaces import Space

    assert reinforcement.algorithm_of("auto") == "ppo"
    assert reinforcement.algorithm_of("dqn") == "dqn"
    seen = Space("box", shape=(2,), low=np.full(2, -1.0), high=np.full(2, 1.0), dtype="float32")
    assert reinforcement.network_of("auto", seen) == "mlp"
    assert reinforcement.network_of("gru", seen) == "gru"


# ── killed, and the same whatever is different ─────────────────────────────────────────────────


@pytest.fixture(scope="module")
def child() -> Iterator[Trainings]:
    yield from kills.trainings(CHILD)


@pytest.fixture(scope="module")
def whole(child: Trainings) -> Done:
    done = child(child.folder / "whole", "--trace")
    assert done.code == 0, done.error
    return done


def test_a_kill_anywhere_changes_nothing(child: Trainings, whole: Done) -> None:
    kills.kill_in_each_step(child, whole, ends=True)


@pytest.mark.parametrize("algorithm", ["dqn", "sac"])
def test_a_replay_is_gone_on_from(child: Trainings, algorithm: str) -> None:
    folders = [child.folder / f"{algorithm}-{word}" for word in ("whole", "killed")]
    given = {**QUICK[algorithm], **dict.fromkeys(ONLY_PPO)}
    done = child(folders[0], "--trace", **given)
    assert done.code == 0, done.error
    n = max(n for n, one in enumerate(done.trace, 1) if "4-train" in one) * 2 // 3
    assert child(folders[1], fail=f"*:{n}:kill", **given).code < 0
    resumed = child(folders[1])
    assert resumed.begun
    assert resumed.model == done.model


def test_a_finished_training_is_given_back(tmp_path: Path) -> None:
    run = train(tmp_path / "run")
    before = (run.model / "model.safetensors").read_bytes()
    store.remove(run.model)
    again = silmu.train(run.path, until="train", quiet=True)
    assert (again.model / "model.safetensors").read_bytes() == before
