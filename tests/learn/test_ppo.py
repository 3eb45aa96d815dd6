"""Proximal policy optimization: its parts against their definitions, and what it learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import Env
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from safetensors.torch import load, save
from small_environments import Corridor, Follow, Steady, config, made
from torch import Tensor, nn

from silmu.errors import TrainingError, UsageError
from silmu.networks import policies
from silmu.networks.perceptrons import stacked
from silmu.networks.policies import Policy, PolicyConfig
from silmu.steps.train.reinforcement.acting import actor
from silmu.steps.train.reinforcement.choices import choices
from silmu.steps.train.reinforcement.flat import FlatAdam
from silmu.steps.train.reinforcement.ppo import PPO
from silmu.steps.train.reinforcement.rollouts import Reading, Rollout, advantages
from silmu.steps.train.reinforcement.scales import Moments

QUICK: dict[str, Any] = {
    "total_steps": 3000,
    "num_environments": 4,
    "num_steps": 32,
    "batch_size": 64,
    "epochs": 6,
    "learning_rate": 5e-3,
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


class Shown(Env[Any, Any]):
    """What is shown is to be done at once: a point for each part of the action that is right."""

    observation_space: Any = Box(0, 1, (3,), np.float32)
    action_space: Any = MultiDiscrete([2, 3])

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._next(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        earned = float(self.right(np.asarray(action)))
        return self._next(), earned, False, False, {}

    def right(self, action: Any) -> float:
        return float(action[0] == self.shown % 2) + float(action[1] == self.shown)

    def _next(self) -> Any:
        self.shown = int(self.np_random.integers(3))
        return np.eye(3, dtype=np.float32)[self.shown]


class Lamps(Shown):
    """A lamp each to be lit, and no other."""

    action_space = MultiBinary(3)

    def right(self, action: Any) -> float:
        return float((action == (np.arange(3) == self.shown)).mean() * 2)


class Recalled(Env[Any, Any]):
    """One of two is shown at first, and to be done three steps later, when nothing is shown."""

    observation_space: Any = Box(-1, 1, (2,), np.float32)
    action_space: Any = Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps, self.shown = 0, int(self.np_random.integers(2))
        return np.array([2 * self.shown - 1, 1], np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        over = self.steps == 4
        earned = float(over and int(action) == self.shown)
        return np.array([0, 0 if self.steps < 3 else -1], np.float32), earned, over, False, {}


class Picture(Recalled):
    """A bright spot on the left or on the right of a picture; the side is to be told."""

    observation_space = Box(0, 255, (36, 40, 1), np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._picture(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        earned, self.steps = float(int(action) == self.shown), self.steps + 1
        self.shown = int(self.np_random.integers(2))
        return self._picture(), earned, self.steps == 4, False, {}

    def _picture(self) -> Any:
        picture = np.zeros((36, 40, 1), np.uint8)
        picture[10:20, 24 * self.shown : 24 * self.shown + 12] = 255
        return picture


def begun(source: Any, folder: Path, shape: dict[str, Any], seed: int = 0, **more: Any) -> PPO:
    limit = 20 if source in (Steady, Follow, Shown, Lamps) else None
    given = QUICK | more
    environments = made(source, folder, given["num_environments"], limit=limit)
    space = environments.action
    own: dict[str, Any] = {"activation": "tanh", **shape}
    if environments.space.image is not None:
        own |= {"observation_size": 0, "image": environments.space.image, "kind": "cnn"}
    if space.kind == "multi_discrete":
        own["action_sizes"] = space.nvec
    return PPO(environments, config(environments, "ppo", **own), given, seed)


def learnt(algorithm: PPO) -> float:
    """The mean return of the last 100 episodes."""
    while algorithm.steps < algorithm.total_steps:
        numbers = algorithm.iterate()
        assert np.isfinite(list(numbers.values())).all()
    return float(np.mean([earned for _, earned, _ in algorithm.episodes[-100:]]))


# ── what it learns ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", [0, 1])
def test_it_learns_to_reach_an_end(seed: int, tmp_path: Path) -> None:
    assert learnt(begun(Corridor, tmp_path, {}, seed)) > 0.9


def test_it_learns_an_action_between_bounds(tmp_path: Path) -> None:
    algorithm = begun(Follow, tmp_path, {}, total_steps=6000)
    assert learnt(algorithm) > -20 * 0.9  # by chance: -20 x 1.3
    policy = algorithm.policy()
    seen = torch.tensor([[0.2], [1.0], [1.8]])
    told = policy(seen)[0].flatten().tolist()
    assert told == pytest.approx([0.4, 2.0, 3.6], abs=0.35)


@pytest.mark.parametrize("source", [Shown, Lamps])
def test_it_learns_actions_of_several_parts(source: Any, tmp_path: Path) -> None:
    assert learnt(begun(source, tmp_path, {}, gamma=0.0)) > 35  # of 40; by chance 17 and 20


def test_a_memory_learns_what_must_be_remembered(tmp_path: Path) -> None:
    memory = {"kind": "gru", "hidden_size": 16, "num_layers": 1}
    sizes = {"total_steps": 2500, "num_environments": 8, "num_steps": 16, "epochs": 4}
    assert learnt(begun(Recalled, tmp_path, memory, learning_rate=1e-2, **sizes)) > 0.9
    assert learnt(begun(Recalled, tmp_path, {}, **sizes)) < 0.7


def test_it_learns_from_pictures(tmp_path: Path) -> None:
    shape = {"hidden_size": 16}
    more = {"total_steps": 1000, "learning_rate": 3e-3, "epochs": 3, "gamma": 0.0}
    algorithm = begun(Picture, tmp_path, shape, **more)
    assert learnt(algorithm) > 3.2  # of 4; by chance 2


def test_an_episode_that_was_cut_goes_on_in_what_is_expected(tmp_path: Path) -> None:
    algorithm = begun(Steady, tmp_path, {}, gamma=0.9)
    learnt(algorithm)
    _, value = algorithm.policy()(torch.ones(1, 1))
    # 1 + 0.9 + 0.81 + ...; had it ended after 20 steps, each as likely: 6.0
    assert float(value.detach()) == pytest.approx(10.0, rel=0.08)


# ── stopped and gone on with ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "shape"),
    [
        (Corridor, {}),
        (Follow, {"normalise": False}),
        (Recalled, {"kind": "gru", "hidden_size": 8}),
        (Picture, {"hidden_size": 8}),
    ],
)
def test_one_that_was_stopped_comes_to_the_same_weights(
    source: Any, shape: dict[str, Any], tmp_path: Path
) -> None:
    sizes = {"total_steps": 640, "num_steps": 16, "epochs": 2}
    whole = begun(source, tmp_path, shape, **sizes)
    for _ in range(3):
        whole.iterate()
    tensors, plain = whole.state()
    kept = save({name: one.contiguous() for name, one in tensors.items()}), json.dumps(plain)
    later = [whole.iterate() for _ in range(3)]

    again = begun(source, tmp_path, shape, **sizes)
    again.iterate()  # what it did before does not matter
    again.restore(load(kept[0]), json.loads(kept[1]))
    assert [again.iterate() for _ in range(3)] == later
    assert again.episodes == whole.episodes
    for name, one in whole.state()[0].items():
        assert torch.equal(again.state()[0][name], one), name
    assert learnt(again) == learnt(whole)


def test_another_seed_is_another_training(tmp_path: Path) -> None:
    one, other = (begun(Corridor, tmp_path, {}, seed) for seed in (0, 1))
    assert one.iterate() != other.iterate()


# ── its parts ───────────────────────────────────────────────────────────────────────────────────


def test_advantages_are_what_they_are_defined_as() -> None:
    random = np.random.default_rng(0)
    rewards, values, after = random.normal(size=(3, 12, 2))
    over = random.random((12, 2)) < 0.2
    found = advantages(rewards, values, after, over, gamma=0.9, gae_lambda=0.7)
    for i in range(2):
        for begin in range(12):
            total, factor = 0.0, 1.0
            for step in range(begin, 12):
                surprise = rewards[step, i] + 0.9 * after[step, i] - values[step, i]
                total, factor = total + factor * surprise, factor * 0.9 * 0.7
                if over[step, i]:
                    break
            assert found[begin, i] == pytest.approx(total)


def test_with_lambda_one_advantage_and_value_make_the_return() -> None:
    rewards, over = np.array([[1.0], [2.0], [4.0], [8.0]]), np.array([[0], [0], [1], [0]]) > 0
    values, after = np.full((4, 1), 3.0), np.array([[3.0], [3.0], [0.0], [5.0]])
    found = advantages(rewards, values, after, over, gamma=0.5, gae_lambda=1.0) + values
    assert found.ravel().tolist() == [3.0, 4.0, 4.0, 10.5]


def policy(kind: str, **more: Any) -> Policy:
    torch.manual_seed(0)
    shape: dict[str, Any] = {"algorithm": "ppo", "actions": "discrete", "action_sizes": (3,)}
    seen: dict[str, Any] = {"image": (1, 36, 40)} if kind == "cnn" else {"observation_size": 4}
    found = policies.build(PolicyConfig(kind=kind, hidden_size=8, **(shape | seen | more)))
    nn.init.normal_(found.head.weight)
    if kind != "cnn" and found.config.normalise:
        found.mean.uniform_(-1, 1)
        found.deviation.uniform_(0.1, 2)
    return found


@pytest.mark.parametrize("more", [{}, {"activation": "relu"}, {"normalise": False}])
@pytest.mark.parametrize("kind", ["mlp", "gru"])
def test_the_actor_tells_what_the_policy_tells(kind: str, more: dict[str, Any]) -> None:
    found, random = policy(kind, **more), np.random.default_rng(0)
    acting = actor(found, 5)
    state = None
    for step in range(3):
        seen = (random.normal(size=(5, 4)) * 4).astype(np.float32)
        with torch.inference_mode():
            told, _, state = found.told(torch.from_numpy(seen), state)
        np.testing.assert_allclose(acting.told(seen), told.numpy(), atol=1e-5)
        if state is not None:
            state = state.clone()
            state[step] = 0
            acting.forget(step)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "gru"])
def test_a_rollout_is_read_as_it_was_acted(kind: str) -> None:
    found, random = policy(kind), np.random.default_rng(0)
    over = random.random((9, 4)) < 0.3
    shape = (9, 4, 1, 36, 40) if kind == "cnn" else (9, 4, 4)
    seen = random.integers(0, 255, shape)
    seen = seen.astype(np.uint8) if kind == "cnn" else (seen / 100).astype(np.float32)
    begin = torch.randn(4, 8) if kind == "gru" else None
    cut = [(step, i, seen[step, i]) for step, i in np.argwhere(over).tolist()[::2]]
    ended = over.copy()
    for step, i, _ in cut:
        ended[step, i] = False
    rollout = Rollout(
        observations=seen,
        actions=np.zeros((9, 4), np.int64),
        rewards=np.zeros((9, 4)),
        over=over,
        ended=ended,
        cut=cut,
        last=seen[0],
        state=begin,
    )
    reading, state = Reading(found, rollout), begin
    told, values = reading.read_all()
    by_hand: list[Tensor] = []
    after: dict[tuple[int, int], float] = {}
    for step in range(9):
        with torch.inference_mode():
            one, value, state = found.told(torch.from_numpy(seen[step]), state)
            for at, i, last in cut:
                if at == step:
                    then = None if state is None else state[i : i + 1]
                    _, worth, _ = found.told(torch.from_numpy(last[None]), then)
                    assert worth is not None
                    after[at, i] = float(worth)
        if state is not None:
            state = state * ~torch.from_numpy(over[step]).unsqueeze(1)
        by_hand.append(one)
        assert value is not None
        torch.testing.assert_close(values.reshape(9, 4)[step], value)
    torch.testing.assert_close(told, torch.cat(by_hand))
    reached = reading.values_after(values.reshape(9, 4).numpy())
    assert (reached[ended] == 0).all()
    for place, expected in after.items():
        assert reached[place] == pytest.approx(expected, abs=1e-5)
    goes_on = ~over[:-1]
    assert (reached[:-1][goes_on] == values.reshape(9, 4)[1:].numpy()[goes_on]).all()

    some = torch.tensor([2, 0])
    parts, _ = reading.read(some)
    assert torch.allclose(reading.units(told.reshape(9, 4, 3))[:, some].flatten(0, 1), parts)


KINDS = {"discrete": (3,), "multi_discrete": (2, 3), "multi_binary": (2,), "box": (2,)}


@pytest.mark.parametrize("actions", KINDS)
def test_actions_are_drawn_as_often_as_they_are_said_to_be(actions: str) -> None:
    found = policy("mlp", actions=actions, action_sizes=KINDS[actions])
    if actions == "box":
        nn.init.constant_(found.log_std, -0.5)
    chosen, outputs = choices(found), sum(KINDS[actions])
    told = torch.randn(1, outputs).repeat(40_000, 1)
    noise = chosen.noise(np.random.default_rng(1), (40_000, outputs))
    drawn = torch.from_numpy(chosen.draw(told.numpy(), noise))
    logs, entropy = (one.detach() for one in chosen.judge(told, drawn))
    assert float(-logs.mean()) == pytest.approx(float(entropy), rel=0.02)
    assert torch.allclose(logs, Known(actions, told, found).log_prob_of(drawn), atol=1e-5)
    if actions != "box":
        each, counts = torch.unique(drawn, dim=0, return_counts=True)
        chance = torch.exp(chosen.judge(told[: len(each)], each)[0])
        np.testing.assert_allclose(counts / 40_000, chance, atol=0.01)


class Known:
    """What torch's own distributions say."""

    def __init__(self, actions: str, told: Tensor, found: Policy) -> None:
        of = torch.distributions
        if actions == "discrete":
            self.parts: list[Any] = [of.Categorical(logits=told)]
        elif actions == "multi_discrete":
            self.parts = [of.Categorical(logits=one) for one in told.split([2, 3], 1)]
        elif actions == "multi_binary":
            self.parts = [of.Bernoulli(logits=one) for one in told.unbind(1)]
        else:
            spread = found.log_std.detach().exp()
            pairs = zip(told.unbind(1), spread, strict=True)
            self.parts = [of.Normal(one, wide) for one, wide in pairs]

    def log_prob_of(self, drawn: Tensor) -> Tensor:
        columns = [drawn] if drawn.dim() == 1 else drawn.unbind(1)
        each = [
            part.log_prob(one if isinstance(part, torch.distributions.Categorical) else one.float())
            for part, one in zip(self.parts, columns, strict=True)
        ]
        return torch.stack(each).sum(0)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_stack_has_the_gradients_of_its_layers(activation: str) -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(3, 5), nn.Linear(5, 4), nn.Linear(4, 2)]
    bend = {"tanh": nn.Tanh(), "relu": nn.ReLU()}[activation]
    usual = nn.Sequential(layers[0], bend, layers[1], bend, layers[2])
    x = torch.randn(7, 3, requires_grad=True)
    seen = [x, *usual.parameters()]
    expected = torch.autograd.grad(usual(x).square().sum(), seen)
    found = torch.autograd.grad(stacked(x, layers, activation).square().sum(), seen)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_adam_over_one_tensor_is_adam() -> None:
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    theirs = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    theirs.load_state_dict(ours.state_dict())
    flat, adam = FlatAdam(ours), torch.optim.Adam(theirs.parameters(), lr=0.01, eps=1e-5)
    for step in range(20):
        x = torch.randn(6, 3, generator=torch.Generator().manual_seed(step)) * 3
        flat.step((ours(x) - 5).square().mean(), 0.01, most=0.5)
        adam.zero_grad()
        (theirs(x) - 5).square().mean().backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        adam.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_moments_are_those_of_all_rows() -> None:
    rows = np.random.default_rng(0).normal(5, 3, (100, 2)).astype(np.float32)
    rows[:, 1] = 7
    moments = Moments((2,))
    for part in np.split(rows, [1, 30, 64]):
        moments.take(part)
    np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(moments.deviation, [rows[:, 0].std(), 1], rtol=1e-5)


# ── what is refused ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "wrong",
    [
        {"gamma": 1.5},
        {"num_steps": 0},
        {"batch_size": 2.5},
        {"schedule": "cosine"},
        {"learning_rate": "high"},
        {"buffer": 3},
    ],
)
def test_a_setting_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        PPO.of(wrong)


def test_an_environment_that_fails_is_named(tmp_path: Path) -> None:
    class Failing(Corridor):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            if Failing.broken:
                raise ValueError("no more")
            return super().step(action)

        broken = False

    algorithm = begun(Failing, tmp_path, {})
    algorithm.iterate()
    Failing.broken = True
    with pytest.raises(TrainingError, match="no more"):
        algorithm.iterate()
