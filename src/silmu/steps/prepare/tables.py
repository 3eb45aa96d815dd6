"""Rows of tables: split, then read by what the training rows alone have taught."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from silmu import store
from silmu.errors import InputError
from silmu.runtime.columns import IgnoredColumn
from silmu.runtime.table import Table
from silmu.steps.prepare import prepared, splits
from silmu.steps.prepare import schema as schemas
from silmu.steps.prepare.arrays import open_array, write_array, write_head
from silmu.steps.prepare.columns import fit_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.prepare.labels import Labels
    from silmu.steps.prepare.settings import TableSettings
    from silmu.steps.prepare.splits import Keys, Split

logger = logging.getLogger("silmu")

MOST_FITTED = 200_000
"""Rows of the training that columns are fitted on at most, drawn by chance."""

AT_ONCE = 16_384

DEALT_ALONE = 0.8
"""Below this share of different rows, equal rows are no copies, and each is dealt for itself."""


@final
class TableFeatures:
    """One split of a table as a network reads it, memory mapped.

    Attributes:
        numbers: (rows, N) float32.
        categories: (rows, C) int64.
        targets: int64 (rows,), uint8 (rows, labels), or float32 (rows,) or (rows, targets).
        rows: which row of the dataset each is.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.numbers = open_array(self.folder / "numbers.npy")
        self.categories = open_array(self.folder / "categories.npy")
        self.targets = open_array(self.folder / "targets.npy")
        self.rows = open_array(self.folder / "rows.npy")

    def __len__(self) -> int:
        return len(self.rows)

    def __reduce__(self) -> tuple[type[TableFeatures], tuple[str]]:
        return TableFeatures, (str(self.folder),)


def features(found: prepared.Prepared, split: str) -> TableFeatures:
    """What a network reads of the training or the validation split."""
    return TableFeatures(found.features_path(split))


def write_tables(
    dataset: Dataset,
    folder: str | Path,
    settings: TableSettings,
    split: Split,
    labels: Labels,
    targets: NDArray[Any],
) -> prepared.Prepared:
    """Fits the columns on training rows, and reads training and validation by them.

    Raises:
        InputError: no column tells anything.
    """
    roles = dataset.roles
    in_train = np.flatnonzero(split.sides == splits.TRAIN).astype(np.int64)
    some = in_train
    if len(some) > MOST_FITTED:
        draw = np.random.default_rng(settings.seed).permutation(len(some))[:MOST_FITTED]
        some = np.sort(some[draw])
    columns = [
        fit_column(name, plain_cells(dataset.take(some, [name]).column(0)), settings)
        for name in roles.input
    ]
    table = Table(labels.kind, tuple(columns))
    for one in columns:
        if isinstance(one, IgnoredColumn):
            logger.warning("`%s` is not read: %s", one.name, one.why)
    if not table.read:
        told = [f"`{one.name}`: {one.why}" for one in columns if isinstance(one, IgnoredColumn)]
        raise InputError(
            "no column tells anything: " + "; ".join(told),
            hint="name the columns to read with --input, or read one that looks like an id: "
            "--set read=COLUMN",
        )
    with store.new_folder(folder, meta={"dataset": dataset.fingerprint}) as writer:
        files = table.to_files()
        for name, data in files.items():
            writer.write(f"{prepared.PROCESSOR}/{name}", data)
        schema = schemas.make(dataset, labels)
        writer.write(prepared.SCHEMA, schema.to_bytes())
        for side, name in enumerate(prepared.SPLITS[:2]):
            rows = np.flatnonzero(split.sides == side).astype(np.int64)
            place = f"{prepared.FEATURES}/{name}"
            with writer.open(f"{place}/rows.npy") as file:
                write_array(file, rows)
            with writer.open(f"{place}/targets.npy") as file:
                write_array(file, targets[rows])
            with (
                writer.open(f"{place}/numbers.npy") as numbers,
                writer.open(f"{place}/categories.npy") as categories,
            ):
                write_head(numbers, (len(rows), table.num_numbers), "<f4")
                write_head(categories, (len(rows), len(table.sizes)), "<i8")
                for cells_of in _some(dataset, rows, [one.name for one in table.read]):
                    arrays = table.arrays(cells_of).arrays
                    if "numbers" in arrays:
                        numbers.write(arrays["numbers"].astype("<f4").tobytes())
                    if "categories" in arrays:
                        categories.write(arrays["categories"].astype("<i8").tobytes())
        told = {"labels": labels.to_dict(), "schema": schema.to_bytes().hex()}
        prepared.seal(writer, dataset, split, labels, prepared.fitted_hash(files, told))
    return prepared.Prepared.open(folder, dataset)


def keys(dataset: Dataset) -> Keys:
    """The keys of rows of a table, from all that is read of them.

    Rows that are equal have one key, and so are on one side, unless they are so many that they
    are no copies.
    """
    found = np.empty(dataset.num_rows, np.uint64)
    start = 0
    for batch in dataset.batches(dataset.roles.input):
        columns = [_as_text(batch.column(i)) for i in range(batch.num_columns)]
        joined = pc.binary_join_element_wise(
            *columns, "\x1f", null_handling="replace", null_replacement="\x00"
        )
        digests = b"".join(
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            for text in joined.to_pylist()
        )
        found[start : start + batch.num_rows] = np.frombuffer(digests, "<u8")
        start += batch.num_rows
    _, first, group = np.unique(found, return_index=True, return_inverse=True)
    if len(first) >= DEALT_ALONE * len(found):
        return splits.Keys(found, first[group].astype(np.int64))
    # The n-th of its kind is told from the others by its n, so that later rows move none.
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    lengths = np.diff(starts, append=len(order))
    nth = np.empty(len(order), np.uint64)
    nth[order] = np.arange(len(order)) - np.repeat(starts, lengths)
    own = found ^ (nth * np.uint64(0x9E3779B97F4A7C15))
    return splits.Keys(own, np.arange(len(found), dtype=np.int64))


def plain_cells(column: Any) -> list[Any]:
    """The cells of an Arrow column as Python has them.

    Raises:
        InputError: Python has no such time.
    """
    kind = column.type
    if (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and not column.null_count:
        return cast("list[Any]", column.to_numpy())
    try:
        return cast("list[Any]", _in_micros(column).to_pylist())
    except (pa.ArrowException, OverflowError, ValueError) as error:
        raise InputError(
            f"a column of the type {kind} holds what cannot be read: {error}",
            hint="cast it, or leave such rows out, with `--set query=...`",
        ) from error


def _in_micros(column: Any) -> Any:
    """Times and lengths of time no finer than Python has them."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return column.cast(pa.duration("us"), safe=False)
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return column.cast(pa.time64("us"), safe=False)
    return column


def _some(dataset: Dataset, rows: NDArray[np.int64], names: Sequence[str]) -> Any:
    """The cells of some rows, by column, some thousands of rows at a time."""
    for start in range(0, len(rows), AT_ONCE):
        part = dataset.take(rows[start : start + AT_ONCE], names)
        yield {name: plain_cells(part.column(i)) for i, name in enumerate(names)}


def _as_text(column: Any) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # nested, or bytes that are no text
        return pa.array([None if one is None else str(one) for one in column.to_pylist()])
