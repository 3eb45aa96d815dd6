"""How far quantiles are stretched."""

from __future__ import annotations

import numpy as np
import pytest

from silmu.runtime.series.forecasts import Forecasts
from silmu.steps.train.spreads import spreads

LEVELS = (0.1, 0.5, 0.9)


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e12])
def test_factors_do_not_depend_on_the_unit(size: float) -> None:
    random = np.random.default_rng(4)
    came = size * random.normal(5, 1, (400, 2))
    told = np.broadcast_to(size * np.array([4.5, 5.0, 5.5]), (400, 2, 3))
    low, middle, high = spreads([(Forecasts(told.mean(-1), told), came)], LEVELS)
    assert middle == 1
    # Bands of half a deviation are to be wider by 1.28 / 0.5.
    assert low == pytest.approx(2.56, rel=0.1)
    assert high == pytest.approx(2.56, rel=0.1)


def fitted(came: np.ndarray) -> tuple[float, ...]:
    """Of errors around bands of a standard normal distribution."""
    told = np.broadcast_to(1.2816 * np.array([-1.0, 0.0, 1.0]), (*came.shape, 3))
    return spreads([(Forecasts(told.mean(-1), told), came)], LEVELS)


def test_what_is_fitted_on_little_is_wider() -> None:
    # Of normal errors with twice the deviation, in windows of which few or many do not overlap.
    errors = 2 * np.random.default_rng(3).normal(size=60_000)
    for windows, quantile in ((0.5, 3.078), (2, 1.533), (1000, 1.2821)):
        steps = round((len(errors) / windows) ** 0.5)
        came = errors[: steps * (len(errors) // steps)].reshape(-1, steps)
        low, _, high = fitted(came)
        assert low == pytest.approx(2 * quantile / 1.2816, rel=0.02)
        assert high == pytest.approx(2 * quantile / 1.2816, rel=0.02)


@pytest.mark.parametrize(("windows", "size", "factor"), [(2, 0.25, 0.90), (45, 0.5, 0.916)])
def test_windows_that_were_learnt_count_the_more_the_more_there_are(
    windows: int, size: float, factor: float
) -> None:
    """Beside a calm validation part; what only that says is trusted by 2 / 7, or by 45 / 50."""
    random = np.random.default_rng(5)

    def part(count: int, size: float) -> list[tuple[Forecasts, np.ndarray]]:
        came = size * random.normal(size=(6 * count, 6))
        told = np.broadcast_to(1.2816 * np.array([-1.0, 0.0, 1.0]), (*came.shape, 3))
        return [(Forecasts(told.mean(-1), told), came)]

    low, _, high = spreads(part(windows, size), LEVELS, part(10 * windows, 1.0))
    assert low == pytest.approx(factor, rel=0.05)
    assert high == pytest.approx(factor, rel=0.05)


def test_few_windows_are_covered_about_as_often_as_promised() -> None:
    """Over many validation parts of two windows' length, whose errors have a part in common."""
    random = np.random.default_rng(7)
    held: list[float] = []
    for _ in range(150):
        level = np.repeat(random.normal(size=2), 6)[:, None]
        low, _, high = fitted(level + random.normal(size=(12, 6)))
        errors = random.normal(size=4000) + random.normal(size=4000)
        held.append(float(np.mean((errors > -1.2816 * low) & (errors < 1.2816 * high))))
    assert 0.75 < np.mean(held) < 0.85
