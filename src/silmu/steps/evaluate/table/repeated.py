"""How many new rows were among those that a model learnt from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.runtime.columns import CategoryColumn, DateColumn, NumberColumn, ReadColumn
from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate.table.frame import levels_of
from silmu.steps.prepare.tables import plain_cells

AT_ONCE = 65_536

_FACTOR, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)


def repeated(
    columns: Sequence[ReadColumn], train: tuple[Dataset, NDArray[np.int64]], new: Dataset
) -> int:
    """How many new rows are equal to one of the training in all that is read of them.

    Args:
        columns: that are read.
        train: a dataset and its rows that are of the training.
        new: the new rows.
    """
    dataset, rows = train
    known = np.unique(_keys(columns, dataset, rows))
    here = _keys(columns, new, np.arange(new.num_rows))
    return int(np.isin(here, known).sum())


def _keys(
    columns: Sequence[ReadColumn], dataset: Dataset, rows: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """A number for each row, the same for rows that are read alike, however they are written."""
    found = np.zeros(len(rows), np.uint64)
    for start in range(0, len(rows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        batch = dataset.take(rows[part], [one.name for one in columns])
        for column in columns:
            own = _of_column(column, plain_cells(batch.column(column.name)))
            mixed = (found[part] ^ own) * _FACTOR
            found[part] = mixed ^ (mixed >> _SHIFT)
    return found


def _of_column(column: ReadColumn, cells: Sequence[Any]) -> NDArray[np.uint64]:
    if isinstance(column, NumberColumn):
        return _of_numbers(column.found(cells)[0])
    if isinstance(column, DateColumn):
        return _of_numbers(column.found(cells).seconds)
    texts = levels_of(cells) if isinstance(column, CategoryColumn) else [str(one) for one in cells]
    known: dict[str | None, int] = {}
    for text in texts:
        if text not in known:
            digest = hashlib.blake2b((text or "").encode("utf-8", "surrogatepass"), digest_size=8)
            known[text] = int.from_bytes(digest.digest(), "little")
    return np.fromiter((known[text] for text in texts), np.uint64, len(cells))


def _of_numbers(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    # One NaN and one 0, of which there are many.
    return (np.where(np.isnan(values), np.nan, values) + 0.0).view(np.uint64)
