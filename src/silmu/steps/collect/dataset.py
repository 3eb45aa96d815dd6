"""The rows that a run learns from: what collect leaves, and every later step opens.

A dataset is a sealed folder: `data.arrow` holds the columns as they were in the source, memory
mapped, so that a dataset may be larger than memory; `rows.arrow` the number that each kept row had
in the source; `dataset.json` the roles, the fingerprint, and what was dropped and why.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pyarrow as pa

from silmu import store
from silmu.errors import CorruptError, UnknownNameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
DATA, ROWS, ABOUT = "data.arrow", "rows.arrow", "dataset.json"
BATCH = 8192  # rows
MOST_NUMBERS = 1000  # of dropped rows of one reason that are kept


@dataclass(frozen=True)
class Roles:
    """What the columns are for."""

    input: tuple[str, ...]
    target: tuple[str, ...]
    group: str | None = None
    """Of series it may be several columns, with commas between."""
    time: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Drop:
    """Rows that were left out for one reason: how many, and the numbers of the first of them."""

    reason: str
    count: int
    rows: tuple[int, ...]
    """Numbers in the source, from 1; at most 1000."""


@final
class Dataset:
    """Rows with roles, as they lie in a sealed folder.

    Every row of the source is either here or in `dropped`:
    `rows_in == num_rows + sum(drop.count for drop in dropped)`.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        self._about = about
        self._last: tuple[int, pa.RecordBatch] | None = None
        self.name: str = about["name"]
        self.source: str = about["source"]
        self.query: str | None = about["query"]
        roles: dict[str, Any] = about["roles"]
        both: dict[str, Any] = {"input": tuple(roles["input"]), "target": tuple(roles["target"])}
        self.roles = Roles(**(roles | both))
        self.fingerprint: str = about["fingerprint"]
        self.rows_in: int = about["rows_in"]
        self.pictures: dict[str, Any] | None = about.get("pictures")
        """Of pictures: `root`, the folder that their paths begin in."""
        self.series: dict[str, Any] | None = about.get("series")
        """Of series: `step`, `zone`, `order`, `aggregate`, `known`, their `count`, and what was
        found in them."""
        self.dropped = tuple(
            Drop(one["reason"], one["count"], tuple(one["rows"])) for one in about["dropped"]
        )

    @classmethod
    def open(cls, path: str | Path) -> Dataset:
        """The dataset in a folder, which is checked against its manifest.

        Raises:
            CorruptError: the folder is not what collect wrote.
        """
        path = Path(path)
        store.verify(path)
        try:
            about: dict[str, Any] = json.loads((path / ABOUT).read_bytes())
            if about["format"] != FORMAT:
                raise CorruptError(f"`{path}` has format {about['format']}; silmu reads {FORMAT}")
            return cls(path, about)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptError(f"`{path}` is not a dataset that silmu collected") from error

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {self.num_rows:,} rows, {self.roles})"

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapped file cannot be sent to a process of a loader; where it lies can.
        return Dataset, (self.path, self._about)

    @property
    def num_rows(self) -> int:
        """How many rows were kept."""
        return self.rows_in - sum(drop.count for drop in self.dropped)

    def facts(self) -> dict[str, Any]:
        """What was collected, as plain values."""
        roles = self.roles
        found = {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "rows_in": self.rows_in,
            "rows": self.num_rows,
            "dropped": {drop.reason: drop.count for drop in self.dropped},
            "input": list(roles.input),
            "target": list(roles.target),
        }
        if self.series is not None:
            found |= {"group": roles.group, "time": roles.time, "series": self.series}
        return found

    def lines(self) -> list[str]:
        """The same for people: how many rows were kept, and what was dropped and found."""
        dropped = sum(drop.count for drop in self.dropped)
        found = [f"{self.rows_in:,} rows = {self.num_rows:,} kept + {dropped:,} dropped"]
        found += [f"dropped {drop.count:,}: {drop.reason}" for drop in self.dropped]
        if self.series is not None:
            from silmu.steps.collect import series

            found += series.told(self)
        return found

    @property
    def schema(self) -> pa.Schema:
        """Names and types of all columns, in the order of the source."""
        return self._reader.schema

    @cached_property
    def row_numbers(self) -> NDArray[np.int64]:
        """For each kept row its number in the source, from 1."""
        with pa.memory_map(str(self.path / ROWS)) as file:
            table = pa.ipc.open_file(file).read_all()
        return table.column(0).to_numpy().astype(np.int64, copy=False)

    def batches(
        self, columns: Sequence[str] | None = None, size: int = BATCH
    ) -> Iterator[pa.RecordBatch]:
        """The rows in order, some at a time."""
        names = self._known(columns)
        # By place, since among thousands of columns one is slow to find by its name.
        places = [self._places[name] for name in names]
        for number in range(self._reader.num_record_batches):
            batch = self._batch(number).select(places)
            for start in range(0, batch.num_rows, size):
                yield batch.slice(start, size)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column, still on the disk until it is read."""
        (name,) = self._known([name])
        place = self._places[name]
        chunks = [
            self._batch(number).column(place) for number in range(self._reader.num_record_batches)
        ]
        return pa.chunked_array(chunks, type=self.schema.field(name).type)

    def take(self, rows: NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
        """Some rows, in the order that is asked for; they may repeat."""
        names = self._known(columns)
        rows = np.asarray(rows, np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= self.num_rows):
            raise IndexError(f"rows are numbered 0 to {self.num_rows - 1}")
        schema = pa.schema([self.schema.field(name) for name in names])
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        bounds = np.searchsorted(wanted, [*self._starts, self.num_rows])
        # Batch by batch, since Arrow would first join a whole column, however large, in memory.
        parts: list[pa.RecordBatch] = []
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            here = wanted[bounds[number] : bounds[number + 1]] - self._starts[number]
            parts.append(self._batch(number).select(names).take(pa.array(here)))
        table = pa.Table.from_batches(parts, schema=schema)
        back = np.empty(len(rows), np.int64)
        back[order] = np.arange(len(rows))
        return table.combine_chunks().take(pa.array(back))

    @cached_property
    def _reader(self) -> Any:
        return pa.ipc.open_file(pa.memory_map(str(self.path / DATA)))

    def _batch(self, number: int) -> pa.RecordBatch:
        """A batch, which stays on the disk; the last is kept, for its columns are asked for."""
        last = self._last
        if last is None or last[0] != number:
            last = self._last = number, self._reader.get_batch(number)
        return last[1]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {str(name): place for place, name in enumerate(self.schema.names)}

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """The first row of each batch."""
        reader = self._reader
        sizes = [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
        return np.cumsum([0, *sizes], dtype=np.int64)[:-1]

    def _known(self, columns: Sequence[str] | None) -> list[str]:
        for name in columns or []:
            if name not in self._places:
                have = ", ".join(f"`{one}`" for one in self._places)
                raise UnknownNameError(f"there is no column `{name}`; there are {have}")
        return list(self._places if columns is None else columns)


def about_bytes(
    *,
    name: str,
    source: str,
    query: str | None,
    roles: Roles,
    fingerprint: str,
    rows_in: int,
    dropped: Sequence[Drop],
    pictures: Mapping[str, Any] | None = None,
    series: Mapping[str, Any] | None = None,
) -> bytes:
    """What `dataset.json` holds."""
    about = {
        "format": FORMAT,
        "name": name,
        "source": source,
        "query": query,
        "roles": asdict(roles),
        "fingerprint": fingerprint,
        "rows_in": rows_in,
        "dropped": [asdict(drop) for drop in dropped],
        **({} if pictures is None else {"pictures": dict(pictures)}),
        **({} if series is None else {"series": dict(series)}),
    }
    return json.dumps(about, ensure_ascii=False, indent=1).encode() + b"\n"
