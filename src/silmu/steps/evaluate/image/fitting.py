"""The baselines of pictures, fitted on their training split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu.steps.evaluate.baselines import Baseline, name_of_simplest, simplest
from silmu.steps.evaluate.image import neighbours
from silmu.steps.evaluate.image.neighbours import Labelled, shrunk
from silmu.steps.prepare.images import features, processor_of
from silmu.steps.prepare.prepared import Prepared

AT_ONCE = 256
"""Pictures that are made smaller at once."""

NAME = "k_nearest"

Opened = Callable[[pa.Table], Iterable[Any]]
"""The pictures of a batch of rows, decoded one after another."""


def fitted(opened: Opened, prepared: Prepared, seed: int) -> dict[str, Baseline]:
    """The most frequent answer, or the median, and the nearest neighbours, by their names.

    Args:
        opened: how the pictures of rows are decoded.
        prepared: whose training and validation pictures are compared with others, read as they are.
        seed: of what is drawn.
    """
    kind, labels = prepared.kind, prepared.labels
    train = _labelled(prepared, "train", neighbours.MOST_ROWS, seed)
    validation = _labelled(prepared, "validation", neighbours.MOST_CHOOSING, seed)
    whole = prepared.counts["train"]
    processor = processor_of(prepared)
    near = neighbours.fit(kind, len(labels), train, validation, of=whole, seed=seed)

    def outputs(batch: pa.Table) -> NDArray[Any]:
        values = train.pixels.shape[1]
        rows = [shrunk(processor.pixels(image)[None]) for image in opened(batch)]
        return near.outputs(np.concatenate([np.empty((0, values), np.uint8), *rows]))

    targets = prepared.targets("train")
    several = targets.shape[1] if targets.ndim > 1 else 1
    return {
        name_of_simplest(kind, several): simplest(kind, targets, labels),
        NAME: replace(near, outputs=outputs),
    }


def _labelled(prepared: Prepared, split: str, most: int, seed: int) -> Labelled:
    """Some pictures of a split, as training read them, and made smaller."""
    found = features(prepared, split)
    rows = np.arange(len(found.rows))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    pixels = found.pixels
    parts = [shrunk(pixels[rows[i : i + AT_ONCE]]) for i in range(0, len(rows), AT_ONCE)]
    values = shrunk(np.zeros((1, *pixels.shape[1:]), np.uint8)).shape[1]
    joined = np.concatenate([np.empty((0, values), np.uint8), *parts])
    return Labelled(joined, np.asarray(found.targets)[rows])
