"""The replay keeps what happened, and nothing else; noise is what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from silmu.errors import StoreError, UnknownNameError, UsageError
from silmu.steps.train.reinforcement.noise import PERIOD, Noise, uniform
from silmu.steps.train.reinforcement.replay import Replay, capacity, draws
from silmu.steps.train.reinforcement.settings import Setting, checked

COUNT = 3


class Told:
    """Steps of COUNT environments by chance, each observation and action another number."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.number = 0.0
        self.seen = self._numbers()
        self.steps: list[list[tuple[float, float, float, float | None]]] = []

    def _numbers(self) -> np.ndarray:
        self.number += COUNT
        return (self.number + np.arange(COUNT, dtype=np.float32))[:, None]

    def give(self, *replays: Replay) -> None:
        """A step; what is seen after it is None where it was an end."""
        ended, cut = self.random.random((2, COUNT)) < 0.2
        actions, rewards, after = self._numbers(), self.random.random(COUNT), self._numbers()
        last = {int(i): self._numbers()[i] for i in np.flatnonzero(ended | cut)}
        for replay in replays:
            replay.add(self.seen, actions, rewards, after, ended=ended, cut=cut, last=last)
        row: list[tuple[float, float, float, float | None]] = []
        for i in range(COUNT):
            then = float(last[i][0]) if i in last else float(after[i, 0])
            row.append(
                (
                    float(self.seen[i, 0]),
                    float(actions[i, 0]),
                    float(np.float32(rewards[i])),
                    None if ended[i] else then,
                )
            )
        self.steps.append(row)
        self.seen = after


def new(steps: int = 7) -> Replay:
    empty = np.zeros((COUNT, 1), np.float32)
    return Replay(steps * COUNT, empty, empty)


def drawn(replay: Replay, count: int = 600) -> set[tuple[float, float, float, float | None]]:
    batch = replay.batch(draws(5, 1, count)[0])
    return {
        (seen, done, earned, then if on else None)
        for seen, done, earned, then, on in zip(
            batch.observations[:, 0].tolist(),
            batch.actions[:, 0].tolist(),
            batch.rewards.tolist(),
            batch.observations_after[:, 0].tolist(),
            batch.goes_on.tolist(),
            strict=True,
        )
    }


@pytest.mark.parametrize("steps", [1, 2, 6, 7, 8, 9, 31, 100])
def test_newest_steps_are_drawn_whole_and_no_others(steps: int) -> None:
    replay, told = new(), Told(steps)
    for _ in range(steps):
        told.give(replay)
    kept = {one for row in told.steps[-7:] for one in row}
    assert len(replay) == len(kept)
    assert drawn(replay) == kept


@pytest.mark.parametrize("steps", [3, 8, 23])
def test_a_restored_replay_goes_on_as_the_first_would(steps: int) -> None:
    first, second, told = new(), new(), Told(0)
    for _ in range(steps):
        told.give(first)
    tensors, plain = first.state()
    second.restore({name: one.clone() for name, one in tensors.items()}, plain)
    assert drawn(first) == drawn(second)
    for _ in range(5):
        told.give(first, second)
        assert drawn(first) == drawn(second)


def test_state_holds_what_was_filled() -> None:
    replay, told = new(1000), Told(0)
    for _ in range(4):
        told.give(replay)
    tensors, _ = replay.state()
    assert len(tensors["observations"]) == 5
    assert sum(one.numel() * one.element_size() for one in tensors.values()) < 500


def test_a_replay_of_another_size_is_refused() -> None:
    tensors, plain = new(7).state()
    with pytest.raises(StoreError, match="7 steps of each environment, and here it is one of 8"):
        new(8).restore(tensors, plain)


def test_pictures_stay_bytes_and_fit_into_a_gigabyte() -> None:
    pictures = np.full((2, 4, 84, 84), 7, np.uint8)
    assert 30_000 < capacity(1_000_000, pictures) < 40_000
    assert capacity(50_000, np.zeros((1, 20), np.float32)) == 50_000
    replay = Replay(20, pictures, np.zeros(2, np.int64))
    no = np.zeros(2, np.bool_)
    replay.add(pictures, np.ones(2, np.int64), np.ones(2), pictures, ended=no, cut=no, last={})
    batch = replay.batch(draws(0, 1, 8)[0])
    assert batch.observations.dtype == torch.uint8
    assert batch.observations.shape == (8, 4, 84, 84)
    assert batch.actions.dtype == torch.int64


def test_noise_has_unit_variance_and_its_colour() -> None:
    near = {}
    for colour in ("white", "pink", "red"):
        noise = Noise(colour, (200, 2), 0)
        values = np.stack([noise.at(step) for step in range(PERIOD)])
        assert values.var() == pytest.approx(1, abs=0.05)
        near[colour] = float((values[5:] * values[:-5]).mean())
    assert abs(near["white"]) < 0.02
    assert 0.3 < near["pink"] < near["red"]


def test_noise_follows_from_the_step_alone() -> None:
    walked, jumped = Noise("pink", (1, 3), 4), Noise("pink", (1, 3), 4)
    last = [walked.at(step) for step in range(PERIOD + 50)][-1]
    assert np.array_equal(last, jumped.at(PERIOD + 49))
    assert not np.array_equal(last, Noise("pink", (1, 3), 5).at(PERIOD + 49))


def test_uniform_actions_fill_their_bounds_evenly() -> None:
    normal = np.random.default_rng(0).standard_normal((4000, 2))
    values = uniform(normal)
    counts = np.histogram(values, bins=10, range=(-1, 1))[0]
    assert counts.sum() == values.size
    assert counts.min() > 0.85 * values.size / 10


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gamma": 1.5}, "gamma is 1.5; it must be at least 0 and at most 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5; it must be a whole number"),
        ({"batch_size": True}, "batch_size is True"),
        ({"gamma": "much"}, "gamma is 'much'; it must be a number"),
        ({"gamma": float("nan")}, "gamma is nan"),
    ],
)
def test_settings_out_of_range_are_refused(given: dict[str, object], said: str) -> None:
    settings = {"gamma": Setting(0.99, 0, 1), "batch_size": Setting(64, 1, is_whole=True)}
    with pytest.raises(UsageError, match=said):
        checked(given, settings)


def test_unknown_settings_are_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match="no setting 'gama'; there are gamma"):
        checked({"gama": 1}, {"gamma": Setting(0.99, 0, 1)})
    with pytest.raises(UnknownNameError, match="it may be white, pink"):
        checked({"noise": "blue"}, {"noise": Setting("pink", names=("white", "pink"))})
