"""Rows of a table <-> the arrays that a network reads: processor.json and processor.safetensors.

    {"format": 1, "table": true, "kind": "single", "columns": [
      {"kind": "number", "name": "age", "fill": 28.0, "indicator": true, "low": 0.42, ...},
      {"kind": "category", "name": "sex", "levels": ["female", "male"], ...},
      {"kind": "ignored", "name": "PassengerId", "why": "..."}]}

All that was fitted is here, and it was fitted on the training split alone. A network reads
`numbers` (rows, N) and `categories` (rows, C). Of a category 0 stands for levels that training did
not know or hardly knew, and 1 for none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import safetensors.numpy

from silmu.errors import (
    InputError,
    InvalidModelError,
    MissingKeyError,
    UnknownNameError,
    UnsupportedModelError,
)
from silmu.runtime import columns as kinds
from silmu.runtime.columns import CategoryColumn, Column, IgnoredColumn, ReadColumn
from silmu.runtime.folder import read_by_library
from silmu.runtime.odd import POLICIES, Odd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder

FILE, ARRAYS = "processor.json", "processor.safetensors"
FORMAT = 1
KINDS = ("single", "multiple", "ordered", "number")
MAX_BYTES = 64 << 20
"""How large processor.json may be, which holds every level of every category."""


@dataclass
class Reading:
    """Rows as a network reads them.

    Attributes:
        arrays: `numbers` float32 (rows, N) and `categories` int64 (rows, C), those that there are.
        flags: by the number of a row, what is odd about it.
    """

    arrays: dict[str, NDArray[Any]]
    flags: dict[int, list[str]]


@final
@dataclass(frozen=True)
class Table:
    """How a model that silmu trained wants the rows of its table.

    Attributes:
        kind: of the target: `single`, `multiple`, `ordered` or `number`.
        columns: that it was trained on.
        thresholds: for `multiple`, from which score on each label is given; None until chosen.
        interval: for `number`, (targets, 2): how far below and above an answer nine of ten true
            values lie, told from the validation split; None until measured.
    """

    kind: str
    columns: tuple[Column, ...]
    thresholds: tuple[float, ...] | None = None
    interval: tuple[tuple[float, float], ...] | None = None

    def __post_init__(self) -> None:
        names = [one.name for one in self.columns]
        if self.kind not in KINDS or len({*names}) < len(names):
            raise ValueError(f"kind {self.kind!r}, columns {names}")
        told = [*(self.thresholds or ()), *(end for pair in self.interval or () for end in pair)]
        if not np.isfinite(np.array(told, np.float64)).all():
            raise ValueError("thresholds and intervals must be numbers")

    @classmethod
    def open(cls, folder: Folder) -> Table:
        """The processor of a model folder.

        Raises:
            InvalidModelError: processor.json is missing or broken, or is of a model for texts.
            UnsupportedModelError: it is of a newer silmu.
        """
        if not folder.has(FILE):
            raise InvalidModelError(
                f"`{folder.name}` has no {FILE}, so it is not known how its table was read"
            )
        values = folder.json(FILE, limit=MAX_BYTES)
        version = values.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise UnsupportedModelError(
                f"{FILE} of `{folder.name}` has format {version}; this silmu reads {FORMAT}",
                hint="pip install --upgrade silmu",
            )
        try:
            if version != FORMAT or values.get("table") is not True:
                raise ValueError("it is not of a table")
            arrays = _read_arrays(folder) if folder.has(ARRAYS) else {}
            columns = tuple(_column(one, i, arrays) for i, one in enumerate(values["columns"]))
            limits, interval = values["thresholds"], values["interval"]
            return cls(
                str(values["kind"]),
                columns,
                None if limits is None else tuple(float(one) for one in limits),
                None if interval is None else tuple((float(a), float(b)) for a, b in interval),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InvalidModelError):
                raise
            raise InvalidModelError(
                f"{FILE} of `{folder.name}` is not what silmu writes: {error!r}"
            ) from error

    def with_outcome(
        self,
        thresholds: Iterable[float] | None = None,
        interval: Iterable[tuple[float, float]] | None = None,
    ) -> Table:
        """The same, with what training found on the validation split."""
        return replace(
            self,
            thresholds=None if thresholds is None else tuple(thresholds),
            interval=None if interval is None else tuple(interval),
        )

    @property
    def read(self) -> tuple[ReadColumn, ...]:
        """The columns that tell something."""
        return tuple(one for one in self.columns if not isinstance(one, IgnoredColumn))

    @property
    def num_numbers(self) -> int:
        """N, of `numbers` (rows, N)."""
        several = (one for one in self.read if not isinstance(one, CategoryColumn))
        return sum(one.width for one in several)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many numbers each of the categories has."""
        return tuple(one.size for one in self.columns if isinstance(one, CategoryColumn))

    def arrays(
        self, columns: Mapping[str, Sequence[Any]], *, odd: str = "flag", first: int = 1
    ) -> Reading:
        """Columns of cells, as the network reads them.

        Args:
            columns: by name, in any order, all of one length; others than those of the training are
                not read.
            odd: one of POLICIES: what becomes of a level that training did not know, a number far
                outside of those that it saw, a cell that is missing where none was, or of a whole
                column that is not there.
            first: the number of the first row, for an error.

        Raises:
            MissingKeyError: a column is not there, unless odd is `impute`.
            InputError: a cell is odd, and odd is `error`; or columns differ in length.
        """
        if odd not in POLICIES:
            raise UnknownNameError(f"odd is {odd!r}; it may be {', '.join(POLICIES)}")
        lengths = {len(values) for values in columns.values()}
        if len(lengths) > 1:
            raise InputError(f"columns have different lengths: {sorted(lengths)}")
        rows = lengths.pop() if lengths else 0
        lacking = [one.name for one in self.read if one.name not in columns]
        if lacking and odd != "impute":
            raise MissingKeyError(
                f"there is no {', '.join(f'`{name}`' for name in lacking)}; there are "
                f"{', '.join(f'`{name}`' for name in columns) or 'no columns'}",
                hint='the model was trained on it; odd="impute" takes it for missing',
            )
        doubts = Odd(odd, first)
        numbers: list[NDArray[np.float64]] = []
        categories: list[NDArray[np.int64]] = []
        for one in self.read:
            values = columns.get(one.name)
            cells = [None] * rows if values is None else values
            if isinstance(one, CategoryColumn):
                categories.append(one.read(cells, doubts))
            else:
                numbers.append(one.read(cells, doubts))
        found: dict[str, NDArray[Any]] = {}
        if numbers:
            found["numbers"] = np.concatenate(numbers, axis=1).astype(np.float32)
        if categories:
            found["categories"] = np.stack(categories, axis=1)
        return Reading(found, doubts.flags)

    def to_files(self) -> dict[str, bytes]:
        """What processor.json and processor.safetensors hold."""
        columns: list[dict[str, Any]] = []
        arrays: dict[str, NDArray[Any]] = {}
        for i, one in enumerate(self.columns):
            plain: dict[str, Any] = {"kind": one.kind}
            for own in fields(one):
                value = getattr(one, own.name)
                if isinstance(value, np.ndarray):
                    arrays[f"{i}.{own.name}"] = np.ascontiguousarray(cast("NDArray[Any]", value))
                else:
                    plain[own.name] = value
            columns.append(plain)
        own = {k: v for k, v in asdict(replace(self, columns=())).items() if k != "columns"}
        text = json.dumps(
            {"format": FORMAT, "table": True, **own, "columns": columns},
            ensure_ascii=False,
            indent=1,
        )
        files = {FILE: text.encode() + b"\n"}
        if arrays:
            files[ARRAYS] = safetensors.numpy.save(arrays)
        return files


def _read_arrays(folder: Folder) -> dict[str, NDArray[Any]]:
    path = folder.file(ARRAYS)
    with read_by_library(f"{ARRAYS} of `{folder.name}`"):
        return cast("Any", safetensors.numpy).load_file(path)


def _column(values: Any, i: int, arrays: Mapping[str, NDArray[Any]]) -> Column:
    plain = dict(cast("Mapping[str, Any]", values))
    kind = kinds.KINDS[plain.pop("kind")]
    given: dict[str, Any] = {
        k: tuple(cast("list[Any]", v)) if isinstance(v, list) else v for k, v in plain.items()
    }
    start = f"{i}."
    given |= {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
    return kind(**given)
