"""Episodes made into what a report says of them.

What is drawn again for the intervals is an episode; the episodes of all actors have the same seeds
and are drawn alike, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.comparison import concluded
from silmu.steps.evaluate.environment.episodes import Played
from silmu.steps.evaluate.intervals import percentiles
from silmu.steps.evaluate.report import Metric

METRIC = "mean_return"
RESAMPLES = 2000
TITLES = {"random": "random actions", "idle": "doing nothing"}

_AT_ONCE = 2_000_000


@final
@dataclass(frozen=True)
class Judged:
    """What one actor earned, with the metrics of its episodes and of resamples."""

    played: Played
    once: Mapping[str, float]
    drawn: Mapping[str, NDArray[np.float64]]

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Each metric with its interval, as in metrics.json."""
        count = len(self.played)
        found: dict[str, dict[str, Any]] = {}
        for name, value in self.once.items():
            low, high = percentiles(self.drawn[name], count)
            found[name] = asdict(Metric(value, min(low, value), max(high, value), count))
        return found

    def against(self, other: Judged, name: str) -> dict[str, Any]:
        """The paired difference to another, as `comparison` of metrics.json has it."""
        difference = self.once[METRIC] - other.once[METRIC]
        count = len(self.played)
        low, high = percentiles(self.drawn[METRIC] - other.drawn[METRIC], count)
        return concluded(
            METRIC,
            difference,
            min(low, difference),
            max(high, difference),
            name=name,
            title=TITLES[name],
            units=count,
            unit="episode",
        )


def judge(played: Mapping[str, Played], seed: int) -> dict[str, Judged]:
    """Actors that played the same episodes, with the same resamples for all.

    Args:
        played: by name.
        seed: of the resamples.
    """
    columns = [column for one in played.values() for column in (one.returns, one.lengths)]
    table = np.stack(columns, axis=1).astype(np.float64)
    count, random = len(table), np.random.default_rng(seed)
    means: list[NDArray[np.float64]] = []
    medians: list[NDArray[np.float64]] = []
    at_once = max(1, _AT_ONCE // count)
    for start in range(0, RESAMPLES, at_once):
        rows = random.integers(0, count, (min(at_once, RESAMPLES - start), count))
        means.append(np.stack([column[rows].mean(axis=1) for column in table.T], axis=1))
        # Of the returns alone: they are every second column.
        drawn: list[NDArray[np.float64]] = [np.median(c[rows], axis=1) for c in table.T[::2]]
        medians.append(np.stack(drawn, axis=1))
    mean, median = np.concatenate(means), np.concatenate(medians)
    return {
        name: Judged(
            one,
            {
                METRIC: float(one.returns.mean()),
                "median_return": float(np.median(one.returns)),
                "episode_length": float(one.lengths.mean()),
            },
            {
                METRIC: mean[:, 2 * i],
                "median_return": median[:, i],
                "episode_length": mean[:, 2 * i + 1],
            },
        )
        for i, (name, one) in enumerate(played.items())
    }


def compared(own: Judged, others: Mapping[str, Judged]) -> dict[str, Any]:
    """A policy against all baselines; first, and beside `others`, against the one that earns most.

    That it is chosen by the same episodes is to its favour, and not to the policy's.
    """
    strong = max(others, key=lambda name: others[name].once[METRIC])
    found = {name: own.against(one, name) for name, one in others.items()}
    return {**found.pop(strong), "others": found}
