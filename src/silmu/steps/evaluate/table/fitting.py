"""The baselines of a table, fitted on its training split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu.runtime.table import Table
from silmu.steps.evaluate.baselines import Baseline, name_of_simplest, simplest
from silmu.steps.evaluate.table.frame import Frame, Matrix
from silmu.steps.evaluate.table.models import MOST_ROWS, Task, fit
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.tables import plain_cells

AT_ONCE = 16_384


def fitted(table: Table, prepared: Prepared, seed: int) -> dict[str, Baseline]:
    """The most frequent answer, a linear model, and gradient-boosted trees, by their names.

    Args:
        table: how columns are read, as it was fitted on the training split.
        prepared: whose training and validation rows are read.
        seed: of what is drawn.
    """
    kind, labels, dataset = prepared.kind, prepared.labels, prepared.dataset
    some = {split: _some(prepared, split, seed) for split in ("train", "validation")}
    names = [one.name for one in table.read]
    training = {name: plain_cells(dataset.take(some["train"], [name]).column(0)) for name in names}
    frame = Frame.fit(table.columns, training)
    train, validation = (_matrix(prepared, frame, names, rows) for rows in some.values())
    task = Task(kind, len(labels), frame, train, validation, prepared.counts["train"], seed)
    targets = prepared.targets("train")
    several = targets.shape[1] if targets.ndim > 1 else 1
    return {
        name_of_simplest(kind, several): simplest(kind, targets, labels),
        **{name: _of_batches(one) for name, one in fit(task).items()},
    }


def cells_of(batch: pa.Table) -> dict[str, Sequence[Any]]:
    """A batch as columns of cells."""
    return {name: plain_cells(batch.column(name)) for name in batch.column_names}


def _some(prepared: Prepared, split: str, seed: int) -> NDArray[np.int64]:
    rows = prepared.rows(split)
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_ROWS])
    return rows


def _matrix(
    prepared: Prepared, frame: Frame, names: Sequence[str], rows: NDArray[np.int64]
) -> tuple[Matrix, NDArray[Any]]:
    """Rows of a split and their targets, some thousands as cells at a time."""
    dataset = prepared.dataset
    parts = [frame.read({name: () for name in names})]
    for start in range(0, len(rows), AT_ONCE):
        batch = dataset.take(rows[start : start + AT_ONCE], names)
        parts.append(frame.read(cells_of(batch)))
    matrix = Matrix(
        np.concatenate([one.numbers for one in parts]),
        np.concatenate([one.levels for one in parts]),
    )
    return matrix, prepared.target.encode(dataset.take(rows, dataset.roles.target))


def _of_batches(baseline: Baseline) -> Baseline:
    """One that is asked batches of Arrow."""

    def outputs(batch: pa.Table) -> NDArray[Any]:
        return baseline.outputs(cells_of(batch))

    return replace(baseline, outputs=outputs)
