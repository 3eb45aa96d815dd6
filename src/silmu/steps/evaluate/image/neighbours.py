"""The strong baseline of pictures: what those of the training say whose pixels are nearest.

Cover and Hart, Nearest Neighbor Pattern Classification, 1967; nearer ones may count more, by one
over their distance (Dudani, The Distance-Weighted k-Nearest-Neighbor Rule, 1976).
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.baselines import Baseline
from silmu.steps.evaluate.metrics import (
    LOWER_IS_BETTER,
    Scored,
    measure_primary,
    primary,
    primary_sums,
    total,
)
from silmu.steps.prepare.thresholds import choose_thresholds

logger = logging.getLogger("silmu")

MOST_ROWS = 20_000
"""Training pictures among which neighbours are looked for at most."""

MOST_CHOOSING = 5_000
"""Validation pictures that k is chosen by at most."""

LONGEST_SIDE = 32
"""Pixels of a side that are compared; of larger pictures, means of them."""

NEIGHBOURS = (5, 1, 3, 10, 20)
"""What k may be; the first where no validation picture tells better."""

AT_ONCE = 1024
"""Pictures of either side whose distances are in memory at once."""


@final
@dataclass(frozen=True)
class Labelled:
    """Pictures as rows of pixels, with their targets.

    Attributes:
        pixels: uint8 (rows, values), of `shrunk`.
        targets: as in `Scored`.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[Any]

    def __len__(self) -> int:
        return len(self.pixels)

    def some(self, most: int, seed: int) -> Self:
        """No more rows than so many, drawn by a seed."""
        if len(self) <= most:
            return self
        kept = np.sort(np.random.default_rng(seed).permutation(len(self))[:most])
        return type(self)(self.pixels[kept], self.targets[kept])


@final
@dataclass(frozen=True)
class Rule:
    """How many neighbours are asked, and whether nearer ones count more."""

    count: int
    weighted: bool

    @property
    def name(self) -> str:
        """As a report lists it."""
        weighted = " weighted" if self.weighted else ""
        return f"{self.count}{weighted} neighbour{'' if self.count == 1 else 's'}"

    @property
    def title(self) -> str:
        """As a sentence speaks of it."""
        if self.count == 1:
            return "the nearest neighbour by pixels"
        nearer = ", nearer ones counting more" if self.weighted else ""
        return f"the {self.count} nearest neighbours by pixels{nearer}"


def rules(rows: int) -> list[Rule]:
    """What is tried among so many training pictures."""
    counts = [count for count in NEIGHBOURS if count <= rows] or [rows]
    plain = [Rule(count, False) for count in counts]
    return plain + [Rule(count, True) for count in counts if count > 1]


def fit(
    kind: str,
    labels: int,
    train: Labelled,
    validation: Labelled,
    *,
    of: int | None = None,
    seed: int = 0,
) -> Baseline:
    """k-nearest neighbours on pixels, with k and the weights that do best on validation.

    Shares of the neighbours are the probabilities of labels; of several at once, each is told from
    a threshold on; numbers are their mean.

    Args:
        labels: how many there are; 0 of numbers.
        train: pictures of the training split; of more than MOST_ROWS some are used.
        validation: pictures to choose by.
        of: how many pictures the training split has, where `train` is a part of them.
        seed: of the choice of rows.

    Returns:
        A baseline whose `outputs` takes rows of pixels.
    """
    used, whole = train.some(MOST_ROWS, seed), len(train) if of is None else of
    if len(used) < whole:
        logger.warning(
            "k-nearest neighbours: %s of the %s training pictures are compared",
            f"{len(used):,}",
            f"{whole:,}",
        )
    tried = rules(len(used))
    choosing = validation.some(MOST_CHOOSING, seed)
    most = max(rule.count for rule in tried)
    found = nearest(used.pixels, choosing.pixels, most)
    several = used.targets.shape[1] if used.targets.ndim > 1 else 1
    metric = primary(kind, several)
    best: tuple[float, Rule, NDArray[np.float64] | None] | None = None
    values: dict[str, float | None] = {}
    for rule in tried:
        value, thresholds = float("nan"), None
        if len(choosing):
            told = _told(kind, labels, rule, used.targets, found)
            if kind == "multiple":
                thresholds = np.asarray(choose_thresholds(told, choosing.targets))
            scored = Scored.of(kind, choosing.targets, told, thresholds)
            value = float(measure_primary(kind, total(primary_sums(scored))))
        values[rule.name] = None if np.isnan(value) else value
        better = -value if metric in LOWER_IS_BETTER else value
        if best is None or better > best[0] or (np.isnan(best[0]) and not np.isnan(better)):
            best = better, rule, thresholds
    assert best is not None
    _, rule, thresholds = best
    listed = sorted(tried, key=lambda one: (one.weighted, one.count)) if len(choosing) else []
    digest = hashlib.sha256(used.pixels.tobytes())
    digest.update(np.ascontiguousarray(used.targets).tobytes() + rule.name.encode())
    about: dict[str, Any] = {
        "title": rule.title,
        "chosen": rule.name,
        "metric": metric,
        "validation": {rule.name: values[rule.name] for rule in listed},
        "rows": len(used),
        "capped": len(used) < whole,
        "fitted": digest.hexdigest(),
    }

    def outputs(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        near = nearest(used.pixels, pixels, rule.count)
        return _told(kind, labels, rule, used.targets, near)

    return Baseline(kind, rule.title, about, outputs, thresholds)


def shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures (rows, height, width, channels) as rows of values, at most 32 of them a side.

    Where there are more, each value is the mean of the pixels in its part of the picture.

    >>> shrunk(np.full((2, 64, 48, 3), 7, np.uint8)).shape
    (2, 3072)
    """
    small = pixels
    for axis in (1, 2):
        side = small.shape[axis]
        if side > LONGEST_SIDE:
            starts = np.arange(LONGEST_SIDE) * side // LONGEST_SIDE
            sums = np.add.reduceat(small, starts, axis=axis, dtype=np.float64)
            counts = np.diff(starts, append=side).reshape(
                [-1 if i == axis else 1 for i in range(4)]
            )
            small = sums / counts
    return np.rint(small).astype(np.uint8).reshape(len(pixels), -1)


def nearest(
    train: NDArray[np.uint8], asked: NDArray[np.uint8], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The rows of the training that are nearest, and their squared distances, the nearest first.

    Squares of whole numbers add up exactly in float64, so the answer is the same on every machine;
    of rows that are as near, the first come first.

    Args:
        train: (rows, values), at most 2**24 rows.
        asked: (asked, values).
        count: of neighbours, no more than there are rows.

    Returns:
        Places (asked, count) and squares (asked, count).
    """
    rows, keys = len(train), np.empty((len(asked), count))
    for start in range(0, len(asked), AT_ONCE):
        here = asked[start : start + AT_ONCE].astype(np.float64)
        own = (here**2).sum(axis=1)[:, None]
        best = np.empty((len(here), 0))
        for first in range(0, rows, AT_ONCE):
            there = train[first : first + AT_ONCE].astype(np.float64)
            squares = own - 2 * (here @ there.T) + (there**2).sum(axis=1)
            # Distance and place as one number, so that each is unique and the nearer the less.
            best = np.concatenate([best, squares * rows + np.arange(first, first + len(there))], 1)
            if best.shape[1] > count:
                best = np.partition(best, count - 1, axis=1)[:, :count]
        keys[start : start + AT_ONCE] = np.sort(best, axis=1)
    squares = np.floor(keys / max(rows, 1))
    return (keys - squares * rows).astype(np.int64), squares


Near = tuple[NDArray[np.int64], NDArray[np.float64]]


def _told(
    kind: str, labels: int, rule: Rule, targets: NDArray[Any], near: Near
) -> NDArray[np.float32]:
    """What the nearest say: shares of labels, or means of numbers."""
    places, squares = near[0][:, : rule.count], near[1][:, : rule.count]
    weights = np.ones(squares.shape)
    if rule.weighted:
        # Where pictures are the very same, only they count.
        same = np.equal(squares, 0).astype(np.float64)
        alone = same.sum(axis=1, keepdims=True) > 0
        weights = np.where(alone, same, 1 / np.sqrt(squares + same))
    weights = np.asarray(weights / weights.sum(axis=1)[:, None], np.float64)
    own: NDArray[Any] = targets[places]
    if kind in ("single", "ordered"):
        shares = np.zeros((len(places), labels))
        np.add.at(shares, (np.arange(len(places))[:, None], own), weights)
        return shares.astype(np.float32)
    if own.ndim == 2:
        return np.asarray((weights * own).sum(axis=1), np.float32)
    return np.asarray(np.einsum("ij,ijk->ik", weights, own.astype(np.float64)), np.float32)
