"""What new rows say about themselves, for a model that may not know all their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from silmu.errors import UsageError
from silmu.runtime import cells
from silmu.runtime.schema import Schema
from silmu.steps.collect.dataset import Dataset
from silmu.steps.prepare.labels import SEPARATORS, label_texts
from silmu.steps.prepare.numeric import PLAIN
from silmu.steps.prepare.tables import plain_cells

_TRUE, _FALSE = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


@dataclass(frozen=True)
class Truth:
    """What new rows say about themselves.

    Attributes:
        targets: as the model numbers its labels.
        known: rows that have a label which the model can give.
        missing: how many have none.
        unseen: labels that the model was not trained on, and how often they come.
    """

    targets: NDArray[Any]
    known: NDArray[np.bool_]
    missing: int
    unseen: list[dict[str, Any]]


def truth_of(
    dataset: Dataset,
    kind: str,
    labels: Sequence[str],
    targets: Sequence[str] = (),
    schema: Schema | None = None,
) -> Truth:
    """The targets of new rows, for a model of a kind with labels.

    A row with no label, or with one that the model does not know, takes no part in the metrics; of
    several labels at once the known ones are kept.

    Args:
        dataset: the new rows.
        kind: of labels.
        labels: that the model tells; none of numbers.
        targets: the columns of several numbers that it tells at once.
        schema: of the model, which knows how its training wrote numbers.

    Raises:
        UsageError: a target of numbers holds none.
    """
    columns, rows = dataset.roles.target, dataset.num_rows
    width = (len(labels),) if kind == "multiple" else (len(targets),) if targets else ()
    if not columns:
        empty = np.zeros((rows, *width), np.int64)
        return Truth(empty, np.zeros(rows, bool), rows, [])
    if kind == "number":
        return _numbers(dataset, targets or columns[:1], width, schema)
    labels = [label.strip() for label in labels]
    if kind == "multiple":
        return _several(dataset, columns, labels)
    texts = label_texts(dataset.column(columns[0]).combine_chunks())
    places = pc.index_in(texts, value_set=pa.array(labels, pa.string()))
    found = places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    present = texts.is_valid().to_numpy(zero_copy_only=False)
    strange = texts.filter(pa.array(present & (found < 0)))
    without = int((~present).sum())
    return Truth(np.maximum(found, 0), found >= 0, without, _counted(strange.to_pylist()))


def _numbers(
    dataset: Dataset, columns: Sequence[str], width: tuple[int, ...], schema: Schema | None
) -> Truth:
    told = schema.targets if schema else ()
    how = {one.name: one.written for one in told}
    usual = told[0].written if len(told) == 1 else PLAIN
    several = [_numbers_of(dataset, name, how.get(name, usual)) for name in columns]
    values = np.stack(several, axis=1).reshape(dataset.num_rows, *width)
    finite = np.isfinite(values)
    known: NDArray[np.bool_] = np.asarray(finite.all(axis=1) if width else finite)
    return Truth(np.where(finite, values, 0), known, int((~known).sum()), [])


def _numbers_of(dataset: Dataset, name: str, written: tuple[str, str]) -> NDArray[np.float64]:
    """A column as numbers, however they are written; NaN where there is none."""
    if name not in dataset.schema.names:
        return np.full(dataset.num_rows, np.nan)
    plain = plain_cells(dataset.column(name))
    values, strange = cells.numbers(plain, *written)
    if strange.any():
        form = cells.writing([one for one in plain if isinstance(one, str)])
        again, still = cells.numbers(plain, *form)
        if still.sum() < strange.sum():
            values, strange = again, still
    if strange.any() and np.isnan(values).all():
        raise UsageError(
            f"the model tells a number, and `{name}` holds none",
            hint="name the column of the numbers: --target",
        )
    return values


def _several(dataset: Dataset, columns: Sequence[str], labels: Sequence[str]) -> Truth:
    rows = dataset.num_rows
    targets = np.zeros((rows, len(labels)), np.uint8)
    place = {label: i for i, label in enumerate(labels)}
    if len(columns) > 1 or columns[0] in place:
        known = np.ones(rows, bool)
        for name in columns:
            texts = pc.utf8_lower(label_texts(dataset.column(name).combine_chunks()))
            yes, no = (pc.is_in(texts, value_set=pa.array(words)) for words in (_TRUE, _FALSE))
            if name in place:
                targets[:, place[name]] = yes.to_numpy(zero_copy_only=False)
                known &= pc.or_(yes, no).to_numpy(zero_copy_only=False)
        strange = [{"label": name, "count": rows} for name in columns if name not in place]
        return Truth(targets, known, int((~known).sum()), strange)
    column = dataset.column(columns[0]).combine_chunks()
    listed = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    values: list[Any] = column.to_pylist() if listed else label_texts(column).to_pylist()
    separator = next((s for s in SEPARATORS if any(s in str(v or "") for v in values)), None)
    known = np.zeros(rows, bool)
    missing = 0
    strange_parts: list[str] = []
    for row, value in enumerate(values):
        if value is None:
            missing += 1
            continue
        several = value if listed else value.split(separator) if separator else [value]
        parts = [str(part).strip() for part in several if str(part).strip()]
        found = [place[part] for part in parts if part in place]
        targets[row, found] = 1
        strange_parts.extend(part for part in parts if part not in place)
        # A row whose every label is unknown says nothing about the known ones.
        known[row] = bool(found) or not parts
    return Truth(targets, known, missing, _counted(strange_parts))


def _counted(texts: Iterable[str]) -> list[dict[str, Any]]:
    counts = Counter[str](texts)
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return [{"label": label, "count": count} for label, count in ordered]
