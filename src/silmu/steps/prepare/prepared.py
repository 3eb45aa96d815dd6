"""What a network reads, and what it is judged by: sealed splits, labels and token ids.

A prepared folder holds `splits.arrow` (the split of each row, and the row whose duplicate it is),
`features/train.arrow` and `features/validation.arrow` (token ids, memory mapped), `processor/`
(tokenizer files and processor.json) and `schema.json`, which go into the model folder as they are,
and `prepared.json` with all that was decided. The test split has no features: only evaluate reads
its rows, as they were collected.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, final

import numpy as np
import pyarrow as pa

from silmu import store
from silmu.errors import CorruptError, UnknownNameError
from silmu.steps.collect.dataset import Dataset
from silmu.steps.prepare.labels import Labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.prepare.splits import Split

FORMAT = 1
SPLITS = ("train", "validation", "test")
ABOUT, SPLIT_FILE, PROCESSOR, SCHEMA = "prepared.json", "splits.arrow", "processor", "schema.json"
FEATURES = "features"
BATCH = 4096  # rows of a record batch of features


@final
class Features:
    """The token ids and targets of one split, memory mapped.

    It is passed to another process by its path, so loader workers share the pages of one file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(self.path)))
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        except (OSError, pa.ArrowException) as error:
            raise CorruptError(f"`{self.path}` cannot be read: {error}") from error
        names: list[str] = reader.schema.names
        self._ids = [_lists(batch.column("ids")) for batch in batches]
        self._types = [_lists(batch.column("type_ids")) for batch in batches if "type_ids" in names]
        offsets = [np.diff(starts).astype(np.int32) for starts, _ in self._ids]
        self.lengths: NDArray[np.int32] = _joined(offsets, np.int32)
        """How many tokens each example has."""
        self.rows: NDArray[np.int64] = _joined(
            [batch.column("row").to_numpy() for batch in batches], np.int64
        )
        """Which row of the dataset each example is."""
        self.targets: NDArray[Any] = _targets(reader.schema.field("target"), batches)
        """int64 label numbers, uint8 (examples, labels), or float32 numbers."""

    def __len__(self) -> int:
        return len(self.lengths)

    def __reduce__(self) -> tuple[type[Features], tuple[str]]:
        return Features, (str(self.path),)

    def ids(self, i: int) -> NDArray[np.int32]:
        """The token ids of an example, without padding; not to be written to."""
        return _at(self._ids, i)

    def type_ids(self, i: int) -> NDArray[np.int32] | None:
        """0 for tokens of the first text and 1 for the second; None where there is one text."""
        return _at(self._types, i) if self._types else None


@final
class Prepared:
    """A dataset made ready for training, as it lies in a sealed folder.

    Attributes:
        kind: `single`, `multiple`, `ordered` or `number`.
        labels: the names, in the order of the network's outputs; none for `number`.
        counts: rows of each split.
        moved: duplicates that were put into the split of the row whose duplicate they are.
        left_out: rows in no split, by reason.
        truncated: texts of each split that are longer than `max_length`.
        empty: texts of each split without any token of their own.
        method: how the rows were split.
        fitted: a hash of all that was learned from the training split: equal if the tokenizer, the
            labels, their weights and `max_length` are.
    """

    def __init__(self, path: Path, dataset: Dataset, about: dict[str, Any]) -> None:
        self.path = path
        self.dataset = dataset
        self.about = about
        self.target = Labels.from_dict(about["target"])
        self.kind: str = self.target.kind
        self.labels: tuple[str, ...] = self.target.names
        self.counts: dict[str, int] = about["counts"]
        self.moved: int = about["moved"]
        self.left_out: dict[str, int] = about["left_out"]
        self.max_length: int = about["max_length"]
        self.truncated: dict[str, int] = about["truncated"]
        self.empty: dict[str, int] = about["empty"]
        self.method: str = about["method"]
        self.fitted: str = about["fitted"]
        self.processor = path / PROCESSOR

    @classmethod
    def open(cls, path: str | Path, dataset: Dataset) -> Prepared:
        """What prepare left in a folder, checked against its manifest.

        Raises:
            CorruptError: the folder is not what prepare wrote, or is of another dataset.
        """
        path = Path(path)
        store.verify(path)
        try:
            about: dict[str, Any] = json.loads((path / ABOUT).read_bytes())
            if about["format"] != FORMAT:
                raise CorruptError(f"`{path}` has format {about['format']}; silmu reads {FORMAT}")
            if about["dataset"] != dataset.fingerprint:
                raise CorruptError(
                    f"`{path}` was prepared from other rows than `{dataset.path}` holds",
                    hint="prepare this dataset again, into a new run",
                )
            return cls(path, dataset, about)
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, CorruptError):
                raise
            raise CorruptError(f"`{path}` is not what silmu prepared") from error

    def __repr__(self) -> str:
        sizes = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        return f"Prepared({self.dataset.name!r}, {self.kind}, {sizes})"

    def facts(self) -> dict[str, Any]:
        """What was prepared, as plain values."""
        names = ("kind", "counts", "moved", "max_length")
        return {name: getattr(self, name) for name in names} | {"labels": list(self.labels)}

    def lines(self) -> list[str]:
        """The same for people."""
        counts = ", ".join(f"{count:,} {split}" for split, count in self.counts.items())
        found = [f"{counts}; {self.moved:,} duplicates kept with their first"]
        if self.labels:
            more = f" and {len(self.labels) - 12} more" if len(self.labels) > 12 else ""
            found.append(f"labels ({self.kind}): {', '.join(self.labels[:12])}{more}")
        if self.max_length:
            found.append(f"texts are read up to {self.max_length:,} tokens")
        return found

    @cached_property
    def split_of(self) -> NDArray[np.int8]:
        """For each row of the dataset the place of its split in SPLITS; -1 where left out."""
        return self._splits.column("split").to_numpy()

    @cached_property
    def leaders(self) -> NDArray[np.int64]:
        """For each row the first row that it is a duplicate of; its own number if of none."""
        return self._splits.column("leader").to_numpy()

    def rows(self, split: str) -> NDArray[np.int64]:
        """The rows of a split, as numbers of the dataset's rows."""
        return np.flatnonzero(self.split_of == _number(split)).astype(np.int64)

    def features(self, split: str) -> Features:
        """The token ids of the training or the validation split."""
        path = self.features_path(split)
        return Features(path.with_name(f"{path.name}.arrow"))

    def features_path(self, split: str) -> Path:
        """Where the features of the training or the validation split are.

        Raises:
            UnknownNameError: there are none of that split.
        """
        if _number(split) == SPLITS.index("test"):
            raise UnknownNameError(
                "the test split has no features: it is sealed until evaluate reads its rows",
                hint="features('validation') is what training may look at",
            )
        return self.path / FEATURES / split

    def texts(self, split: str) -> Iterator[tuple[str, ...]]:
        """The input columns of each row of a split, in order."""
        yield from chosen_texts(self.dataset, self.split_of == _number(split))

    def targets(self, split: str) -> NDArray[Any]:
        """What is to be told of each row of a split.

        Returns:
            int64 (rows,) numbers of labels; uint8 (rows, labels) for several at once; float32
            (rows,) for numbers.
        """
        columns = self.dataset.roles.target
        return self.target.encode(self.dataset.take(self.rows(split), columns))

    @property
    def class_weights(self) -> NDArray[np.float32] | None:
        """For each label the weight that makes all count alike, from the training split.

        For several labels at once it is how many rows lack the label for each that has it. None
        for numbers.
        """
        if self.kind == "number":
            return None
        counts = np.array(self.target.counts, np.float64)
        if self.kind == "multiple":
            return ((self.counts["train"] - counts) / counts).astype(np.float32)
        return (counts.sum() / (len(counts) * counts)).astype(np.float32)

    @cached_property
    def _splits(self) -> Any:
        with pa.memory_map(str(self.path / SPLIT_FILE)) as file:
            return pa.ipc.open_file(file).read_all()


@final
class FeatureWriter:
    """Writes the features of a split, a batch at a time, into a file that the store opened."""

    def __init__(self, file: BinaryIO, target: pa.DataType, *, segments: bool) -> None:
        tokens = [("ids", pa.list_(pa.int32())), ("type_ids", pa.list_(pa.int32()))]
        fields = tokens if segments else tokens[:1]
        self._schema = pa.schema([*fields, ("row", pa.int64()), ("target", target)])
        self._file = file
        self._writer = pa.ipc.new_file(file, self._schema)

    def write(
        self,
        ids: list[NDArray[np.int32]],
        type_ids: list[NDArray[np.int32]],
        rows: NDArray[np.int64],
        targets: NDArray[Any],
    ) -> None:
        """One batch of examples."""
        arrays = [_list_array(ids)]
        if "type_ids" in self._schema.names:
            arrays.append(_list_array(type_ids))
        kind = self._schema.field("target").type
        flat = pa.array(np.ascontiguousarray(targets).reshape(-1))
        several = pa.types.is_fixed_size_list(kind)
        target = pa.FixedSizeListArray.from_arrays(flat, kind.list_size) if several else flat
        self._writer.write_batch(
            pa.record_batch([*arrays, pa.array(rows), target], schema=self._schema)
        )

    def close(self) -> None:
        """Writes the end of the file."""
        self._writer.close()


def write_splits(file: BinaryIO, sides: NDArray[np.int8], leaders: NDArray[np.int64]) -> None:
    """Writes the split of every row, and the row whose duplicate it is."""
    table = pa.table({"split": pa.array(sides, pa.int8()), "leader": pa.array(leaders, pa.int64())})
    with pa.ipc.new_file(file, table.schema) as out:
        out.write_table(table)


def seal(
    writer: store.FolderWriter,
    dataset: Dataset,
    split: Split,
    labels: Labels,
    fitted: str,
    **more: Any,
) -> None:
    """Writes what every prepared folder has at its end: the splits, and what was decided.

    Args:
        writer: of the folder, which holds features, processor and schema.
        dataset: that was prepared.
        split: of its rows.
        labels: of the training rows.
        fitted: as `fitted_hash` gives it.
        more: of texts: `max_length`, `truncated`, `empty` and the like.
    """
    with writer.open(SPLIT_FILE) as file:
        write_splits(file, split.sides, split.leaders)
    about = {
        "format": FORMAT,
        "dataset": dataset.fingerprint,
        "target": labels.to_dict(),
        "method": split.method,
        "counts": {name: int((split.sides == i).sum()) for i, name in enumerate(SPLITS)},
        "moved": split.moved,
        "left_out": split.left_out,
        "max_length": 0,
        "truncated": {},
        "empty": {},
        "fitted": fitted,
        **more,
    }
    writer.write(ABOUT, json.dumps(about, ensure_ascii=False, indent=1).encode())


def chosen_texts(dataset: Dataset, mask: NDArray[np.bool_]) -> Iterator[tuple[str, ...]]:
    """The input columns of the rows that a mask names, a batch in memory at a time."""
    start = 0
    for batch in dataset.batches(dataset.roles.input):
        kept = np.flatnonzero(mask[start : start + batch.num_rows])
        start += batch.num_rows
        if len(kept):
            part = batch.take(pa.array(kept))
            columns = [as_texts(part.column(i)) for i in range(part.num_columns)]
            yield from zip(*columns, strict=True)


def as_texts(column: Any) -> list[str]:
    """A column as texts; a missing one is empty."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        column = column.cast(pa.large_string())
    return [value or "" for value in column.to_pylist()]


def target_type(kind: str, num_labels: int) -> pa.DataType:
    """How targets of a kind are stored."""
    if kind == "multiple":
        return pa.list_(pa.uint8(), num_labels)
    return pa.float32() if kind == "number" else pa.int64()


def fitted_hash(files: dict[str, bytes], values: object) -> str:
    """A hash of files and of plain values."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name, data in sorted(files.items()):
        digest.update(f"\n{name} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def _number(split: str) -> int:
    if split not in SPLITS:
        raise UnknownNameError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
    return SPLITS.index(split)


def _lists(column: Any) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where each list of a column starts and ends, and all their values, as they lie on disk."""
    starts = column.offsets.to_numpy()
    return starts, column.values.to_numpy()


def _at(parts: list[tuple[NDArray[np.int32], NDArray[np.int32]]], i: int) -> NDArray[np.int32]:
    part, place = divmod(i, BATCH)
    starts, values = parts[part]
    return values[starts[place] : starts[place + 1]]


def _list_array(lists: list[NDArray[np.int32]]) -> Any:
    starts = np.zeros(len(lists) + 1, np.int32)
    np.cumsum([len(one) for one in lists], out=starts[1:])
    return pa.ListArray.from_arrays(pa.array(starts), pa.array(_joined(lists, np.int32)))


def _joined(arrays: list[Any], dtype: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *arrays]).astype(dtype, copy=False)


def _targets(field: Any, batches: list[Any]) -> NDArray[Any]:
    columns = [batch.column("target") for batch in batches]
    if pa.types.is_fixed_size_list(field.type):
        flat = _joined([column.values.to_numpy() for column in columns], np.uint8)
        return flat.reshape(-1, field.type.list_size)
    dtype = np.float32 if pa.types.is_floating(field.type) else np.int64
    return _joined([column.to_numpy() for column in columns], dtype)
