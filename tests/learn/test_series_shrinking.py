"""How much of what a network learnt is kept: little where chance alone speaks for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

import silmu
from silmu import store
from silmu.steps.design import series_lines
from silmu.steps.design.series_shares import SHARES, smallest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def learnt(values: NDArray[np.float64], folder: Path) -> tuple[float, float, float]:
    """What is kept, and the errors of the network and of the last value."""
    days = np.datetime64("2021-01-01") + np.arange(len(values))
    path = folder / "values.csv"
    lines = [f"{day},{value:.4f}" for day, value in zip(days, values, strict=True)]
    path.write_text("\n".join(["day,value", *lines]) + "\n", encoding="utf-8")
    run = silmu.train(
        "time-series-forecasting",
        data=path,
        target="value",
        output=folder / "run",
        quiet=True,
        settings={"gradients": False, "threads": 1},
    )
    found = json.loads((run.path / "5-report" / "metrics.json").read_bytes())
    kept = json.loads((run.model / store.MANIFEST).read_bytes())["meta"]["kept"]
    error, naive = (
        one["mean_absolute_error"]["value"]
        for one in (found["metrics"], found["baselines"]["naive"])
    )
    return kept, error, naive


def test_of_a_random_walk_nothing_is_kept(tmp_path: Path) -> None:
    walk = 100 + np.random.default_rng(2).normal(size=420).cumsum()
    kept, error, naive = learnt(walk, tmp_path)
    assert kept == 0
    assert abs(error - naive) < 0.05 * naive


def test_what_only_a_calendar_tells_is_kept(tmp_path: Path) -> None:
    days = [day.astype(object).day for day in np.datetime64("2021-01-01") + np.arange(900)]
    paydays = 10 + 8 * np.isin(days, [1, 15]) + np.random.default_rng(0).normal(size=900)
    kept, error, naive = learnt(paydays, tmp_path)
    assert kept >= 0.75
    assert error < 0.7 * naive


def test_one_block_tells_nothing() -> None:
    assert smallest(SHARES, np.linspace(2, 1, len(SHARES))[:, None], np.ones(1)) == 0


def test_of_few_blocks_more_is_asked() -> None:
    two, many = np.array([0.2, -0.2]), np.array([0.2, -0.2] * 20)
    for noise, share in ((two, 0), (many, 1)):
        losses = np.stack([1.3 + noise, np.ones(len(noise))])
        assert smallest((0.0, 1.0), losses, np.ones(len(noise))) == share


def test_blocks_count_by_their_steps() -> None:
    losses = np.array([[1.0, 1.0, 1.0, 5.0], [1.5, 1.5, 1.5, 1.5]])
    weights = np.array([50.0, 50.0, 50.0, 0.1])
    assert smallest((0.0, 1.0), losses, weights) == 0
    assert smallest((0.0, 1.0), losses[::-1], weights) == 1


def drawn(blocks: int, gain: float) -> float:
    """Which share is kept of a line that tells one step as 1, where the plain one says 0.

    What comes is noise around a gain: at 0 neither is better, at 1 what was learnt is.
    """
    random = np.random.default_rng(3)
    past, told = np.ones((8 * blocks, 1)), gain + random.normal(size=(8 * blocks, 1))
    plain, learnt = (np.zeros((1, 1)), np.zeros(1)), (np.ones((1, 1)), np.zeros(1))
    of = np.repeat(np.arange(blocks), 8)
    return float(series_lines._drawn(plain, learnt, (past, told), of)[0][0, 0])


def test_a_line_is_kept_as_far_as_it_does_clearly_better() -> None:
    assert drawn(blocks=30, gain=0.0) == 0
    assert drawn(blocks=30, gain=1.0) > 0.5


def test_of_few_blocks_a_line_is_kept_by_half() -> None:
    assert drawn(blocks=4, gain=0.0) == 0.5
    assert drawn(blocks=1, gain=0.0) == 0.5
