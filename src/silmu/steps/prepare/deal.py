"""Which rows are learnt from and by what labels, the two of which depend on each other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InputError
from silmu.steps.prepare import labels, splits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.prepare.labels import Labels
    from silmu.steps.prepare.settings import Settings
    from silmu.steps.prepare.splits import Keys, Split

logger = logging.getLogger("silmu")

NAMES = ("training", "validation", "test")
LEAST_OF_ALL = 4
"""Rows that a label must have to be in each split, where rows are dealt by label."""


def deal(dataset: Dataset, keys: Keys, settings: Settings) -> tuple[Split, Labels, NDArray[Any]]:
    """The sides of the rows, the labels of those that are trained on, and the targets of all.

    `auto` deals by hash, and only where that leaves a label or a split with too little, by label.
    Of a table, rows whose label is too rare are left out; to begin with, where all rows of the
    label are too few, and if there is no other way, where those of the training are.

    Raises:
        InputError: too few rows, labels, or examples of a label.
    """
    method = splits.choose(dataset, settings.split)
    if settings.split != "auto" or method != "hash":
        found, fitted, targets = _dealt(dataset, keys, settings, method)
    else:
        try:
            found, fitted, targets = _dealt(dataset, keys, settings, method, strict=True)
        except InputError as error:
            try:
                found, fitted, targets = _dealt(dataset, keys, settings, "stratified")
            except InputError:
                raise error from None
            logger.warning(
                "split by label and not by hash, since %s: rows that are added later may move "
                "others to another split",
                error.message,
            )
    _say(found, fitted, targets)
    return found, fitted, targets


def _dealt(
    dataset: Dataset, keys: Keys, settings: Settings, method: str, *, strict: bool = False
) -> tuple[Split, Labels, NDArray[Any]]:
    """Strictly, a table is refused whose labels would do if it were dealt by them."""
    found = splits.split(
        dataset,
        keys,
        method,
        validation=settings.validation,
        test=settings.test,
        seed=settings.seed,
    )
    target = dataset.roles.target
    table = _training(dataset, found)
    spares = False
    if settings.leaves_out and settings.order is None:
        spares = labels.kind_of(table, target, settings.labels) in ("single", "ordered")
    if spares:
        found = splits.without_scarce(dataset, found, by_training=not strict)
        table = _training(dataset, found)
    fitted = labels.fit(table, target, settings.labels, settings.order)
    targets = _targets(dataset, found, fitted)
    if spares and strict:
        for side, lacking in _lacking(found, fitted, targets):
            many = [name for name, count in lacking.items() if count >= LEAST_OF_ALL]
            if many:
                raise InputError(f"the {NAMES[side]} split has no example of {_shown(many)}")
    return found, fitted, targets


def _training(dataset: Dataset, split: Split) -> Any:
    """The targets of the training rows."""
    rows = np.flatnonzero(split.sides == splits.TRAIN).astype(np.int64)
    return dataset.take(rows, dataset.roles.target)


def _targets(dataset: Dataset, split: Split, fitted: Labels) -> NDArray[Any]:
    """What is to be told of each row; zeros where it is in no split."""
    placed = np.flatnonzero(split.sides != splits.OUT).astype(np.int64)
    told = fitted.encode(dataset.take(placed, dataset.roles.target), dataset.row_numbers[placed])
    targets = np.zeros((dataset.num_rows, *told.shape[1:]), told.dtype)
    targets[placed] = told
    return targets


def _lacking(
    split: Split, fitted: Labels, targets: NDArray[Any]
) -> list[tuple[int, dict[str, int]]]:
    """For each side the labels that it does not have, and how many rows have them elsewhere."""
    if not fitted.names:
        return []
    counts = np.zeros((len(NAMES), len(fitted.names)), np.int64)
    for side in range(len(NAMES)):
        there = targets[split.sides == side]
        several = fitted.kind == "multiple"
        own = there.sum(axis=0) if several else np.bincount(there, minlength=len(fitted.names))
        counts[side] = own
    names = np.array(fitted.names, object)
    elsewhere = counts.sum(axis=0)
    several = [np.flatnonzero(own == 0) for own in counts]
    return [
        (side, dict(zip(names[none].tolist(), elsewhere[none].tolist(), strict=True)))
        for side, none in enumerate(several)
    ]


def _say(split: Split, fitted: Labels, targets: NDArray[Any]) -> None:
    """Tells what was done with the rows, and which labels are not there to be judged."""
    names = ("train", *NAMES[1:])
    sizes = ", ".join(f"{(split.sides == i).sum():,} {name}" for i, name in enumerate(names))
    logger.info("split by %s: %s", split.method, sizes)
    if split.moved:
        logger.info("%s duplicates were put on the side of the row they repeat", f"{split.moved:,}")
    for reason, count in split.left_out.items():
        logger.warning("%s rows are in no split: %s", f"{count:,}", reason)
    for side, lacking in _lacking(split, fitted, targets):
        if lacking:
            logger.warning("the %s split has no example of %s", NAMES[side], _shown([*lacking]))


def _shown(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
