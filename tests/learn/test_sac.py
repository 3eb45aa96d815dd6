"""SAC learns actions within bounds, tells time limits from ends, and goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import off_policy
import pytest
import torch
from off_policy import assert_goes_on_alike, learnt
from small_environments import Corridor, EndedPush, Follow, SteadyPush, config, made
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from silmu.errors import UsageError
from silmu.networks.values import Critics
from silmu.steps.train.reinforcement.sac import SAC

QUICK = {"batch_size": 32, "learning_starts": 100, "learning_rate": 3e-3, "tau": 0.02}


def learner(source: Any, folder: Path, *, limit: int | None = None, **given: Any) -> SAC:
    return off_policy.learner(SAC, source, folder, {**QUICK, **given}, limit=limit)


def test_it_learns_what_to_do_in_the_environments_unit(tmp_path: Path) -> None:
    algorithm = learnt(
        learner(Follow, tmp_path, total_steps=2000, gamma=0.0, limit=50, num_environments=2)
    )
    assert algorithm.steps == 2000
    assert algorithm.updates == 1900
    seen = torch.tensor([[0.2], [1.0], [1.8]])
    with torch.inference_mode():
        action, value = algorithm.policy()(seen)
    assert action[:, 0].tolist() == pytest.approx([0.4, 2.0, 3.6], abs=0.3)
    # Nothing is lost by what it does.
    assert value.tolist() == pytest.approx([0.0] * 3, abs=0.3)
    with torch.inference_mode():
        done = (action - algorithm.network.shift) / algorithm.network.scale
        judged = algorithm.critics(algorithm.network.normalised(seen), done)
    assert torch.allclose(value, judged.amin(0), atol=1e-5)
    earned = [one for _, one, _ in algorithm.episodes]
    assert len(earned) == 40
    assert np.mean(earned[-5:]) > 2 * np.mean(earned[:5]) / 3 + 1


@pytest.mark.parametrize(("source", "worth"), [(SteadyPush, 5.0), (EndedPush, 1.0)])
def test_a_time_limit_is_no_end(tmp_path: Path, source: Any, worth: float) -> None:
    algorithm = learner(source, tmp_path, total_steps=900, gamma=0.8, tau=0.1, limit=3)
    # Without what entropy is worth.
    with torch.no_grad():
        algorithm.temperature["log"].fill_(-20.0)
    learnt(algorithm)
    with torch.inference_mode():
        value = algorithm.critics(algorithm.network.normalised(torch.ones(1, 1)), torch.zeros(1, 1))
        told = algorithm.policy()(torch.ones(1, 1))[1]
    assert value.flatten().tolist() == pytest.approx([worth, worth], rel=0.1)
    assert float(told) == pytest.approx(worth, rel=0.1)


def test_resumed_it_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    given: dict[str, Any] = {"total_steps": 1000, "replay_size": 300, "limit": 40}
    given["updates_per_step"] = 0.3
    assert_goes_on_alike(lambda: learner(Follow, tmp_path, **given))


def test_densities_are_those_of_a_squashed_normal(tmp_path: Path) -> None:
    algorithm = learner(Follow, tmp_path)
    with torch.no_grad():
        algorithm.network.head.weight.mul_(200)
    seen, noise = torch.rand(64, 1) * 2, torch.randn(64, 1)
    with torch.no_grad():
        actions, logs = algorithm._drawn(seen, noise)  # pyright: ignore[reportPrivateUsage]
        mean, log_deviation = algorithm.network.told(seen)[0].chunk(2, 1)
        squashed = TransformedDistribution(
            Normal(mean, log_deviation.exp()), [TanhTransform(cache_size=1)]
        )
        expected = squashed.log_prob(actions.double().clamp(-1 + 1e-7, 1 - 1e-7).float())
    inside = actions[:, 0].abs() < 0.99
    assert int(inside.sum()) > 20
    assert torch.allclose(logs[inside], expected[inside, 0], atol=1e-2)


def test_temperature_holds_the_entropy_where_it_shall_be(tmp_path: Path) -> None:
    algorithm = learner(Follow, tmp_path, total_steps=2000, gamma=0.0, limit=50, target_entropy=0.2)
    entropy = [algorithm.iterate()["entropy"] for _ in range(4)][-1]
    assert entropy == pytest.approx(0.2, abs=0.25)


def test_actions_stay_between_the_bounds(tmp_path: Path) -> None:
    algorithm = learner(Follow, tmp_path, total_steps=1000, limit=50)
    algorithm.iterate()
    done = algorithm.replay.arrays["actions"][:500]
    assert np.abs(done).max() <= 1
    assert np.abs(done[:100]).mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_critics_by_onednn_are_those_without(tmp_path: Path, activation: str) -> None:
    environments = made(Follow, tmp_path, 1)
    critics = Critics(config(environments, "sac", activation=activation, hidden_size=256))
    assert critics.quick == (activation == "relu" and torch.backends.mkldnn.is_available())
    seen, actions = torch.rand(64, 1), torch.rand(64, 1)
    quick = critics(seen, actions)
    assert quick.shape == (2, 64)
    critics.quick = False
    slow = critics(seen, actions)
    assert torch.allclose(quick, slow, atol=1e-5)
    assert not torch.equal(quick[0], quick[1])


def test_total_steps_follow_from_the_spaces(tmp_path: Path) -> None:
    assert learner(Follow, tmp_path).total_steps == 30_000
    assert learner(Follow, tmp_path).starts == 100
    environments = made(Follow, tmp_path, 1)
    assert SAC(environments, config(environments, "sac"), {}, seed=0).starts == 600


def test_what_it_cannot_learn_is_refused(tmp_path: Path) -> None:
    environments = made(Follow, tmp_path, 1)
    with pytest.raises(UsageError, match="no network with a memory"):
        SAC(environments, config(environments, "sac", kind="gru"), {}, seed=0)
    with pytest.raises(UsageError, match="numbers between finite bounds"):
        config(environments, "sac", low=(), high=())
    with pytest.raises(UsageError, match="no setting 'clip_range'"):
        SAC.of({"clip_range": 0.2})
    discrete = made(Corridor, tmp_path, 1)
    with pytest.raises(UsageError):
        config(discrete, "sac")
