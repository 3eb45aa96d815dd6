"""DQN learns what actions are worth, tells time limits from ends, and goes on where it was."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import off_policy
import pytest
import torch
from off_policy import assert_goes_on_alike, learnt
from small_environments import Corridor, Ended, Steady, config, made

from silmu.errors import UsageError
from silmu.networks.policies import PolicyConfig
from silmu.steps.train.reinforcement.dqn import DQN

QUICK = {
    "batch_size": 32,
    "learning_starts": 100,
    "num_environments": 2,
    "learning_rate": 3e-3,
    "updates_per_step": 0.5,
}


def learner(source: Any, folder: Path, *, limit: int | None = None, **given: Any) -> DQN:
    return off_policy.learner(DQN, source, folder, {**QUICK, **given}, limit=limit)


def test_it_finds_the_way_to_the_end(tmp_path: Path) -> None:
    algorithm = learnt(
        learner(Corridor, tmp_path, total_steps=2000, target_every=25, limit=40, gamma=0.8)
    )
    assert algorithm.steps == 2000
    assert algorithm.updates == 950
    with torch.inference_mode():
        places = torch.tensor([[i / 7, 1 - i / 7] for i in range(7)])
        values, value = algorithm.policy()(places)
    assert values.argmax(1).tolist() == [1] * 7
    # From place i the end is 7 - i steps away.
    expected = [0.8 ** (6 - i) - 0.01 * sum(0.8**k for k in range(7 - i)) for i in range(7)]
    assert value.tolist() == pytest.approx(expected, abs=0.05)
    steps, earned, lengths = zip(*algorithm.episodes, strict=True)
    assert list(steps) == sorted(steps)
    assert np.mean(earned[-20:]) > 0.85
    assert np.mean(lengths[-20:]) < 10


@pytest.mark.parametrize(("source", "worth"), [(Steady, 5.0), (Ended, 1.0)])
def test_a_time_limit_is_no_end(tmp_path: Path, source: Any, worth: float) -> None:
    algorithm = learnt(
        learner(source, tmp_path, total_steps=1500, gamma=0.8, target_every=10, limit=3)
    )
    with torch.inference_mode():
        value = algorithm.policy()(torch.ones(1, 1))[1]
    assert float(value) == pytest.approx(worth, rel=0.05)


def test_resumed_it_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    given: dict[str, Any] = {"total_steps": 2000, "replay_size": 700, "limit": 40}
    given["updates_per_step"] = 0.2
    assert_goes_on_alike(lambda: learner(Corridor, tmp_path, **given))


def test_the_share_of_chance_falls_as_it_is_told(tmp_path: Path) -> None:
    algorithm = learner(
        Corridor, tmp_path, total_steps=40_000, exploration_share=0.25, exploration_end=0.2,
        num_environments=1, updates_per_step=0.0,
    )  # fmt: skip
    with torch.no_grad():
        algorithm.network.head.weight.zero_()
        algorithm.network.head.bias.copy_(torch.tensor([1.0, 0.0]))
    seen = algorithm.environments.observation
    random = np.random.default_rng(0)
    shares = []
    for algorithm.steps in (0, 5_000, 10_000, 40_000):
        chances = random.random((5_000, 3, 1))
        actions = [algorithm._act(seen, one) for one in chances]  # pyright: ignore
        # Half of those by chance are the best one.
        shares.append(2 * np.mean(actions))
    assert shares == pytest.approx([1.0, 0.6, 0.2, 0.2], abs=0.1)


def test_pictures_are_learnt_from_as_bytes(tmp_path: Path) -> None:
    algorithm = learner(Corridor, tmp_path)
    shape = PolicyConfig(
        kind="cnn", algorithm="dqn", actions="discrete", action_sizes=(3,), image=(2, 36, 36)
    )
    environments = copy.copy(algorithm.environments)
    environments.observation = np.zeros((2, 2, 36, 36), np.uint8)
    seeing = DQN(environments, shape, QUICK, seed=0)
    pictures = torch.randint(0, 256, (8, 2, 36, 36), dtype=torch.uint8)
    assert seeing.replay.arrays["observations"].dtype == np.uint8
    assert seeing.network.told(pictures)[0].shape == (8, 3)


def test_what_it_cannot_learn_is_refused(tmp_path: Path) -> None:
    environments = made(Corridor, tmp_path, 1)
    with pytest.raises(UsageError, match="a network with a memory") as caught:
        DQN(environments, config(environments, "dqn", kind="gru"), {}, seed=0)
    assert "ppo" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no setting 'clip_range'"):
        DQN.of({"clip_range": 0.2})
