"""What pipelines for tables share: rows in every form that programs have them in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from silmu.errors import (
    InputError,
    InvalidModelError,
    MissingKeyError,
    UnknownNameError,
    WrongTypeError,
)
from silmu.pipelines._base import (
    NOTHING,
    Answers,
    Pipeline,
    check_batch_size,
    is_stream,
    logger,
    windows,
)
from silmu.runtime import frames
from silmu.runtime.odd import POLICIES
from silmu.runtime.table import Reading, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.pipelines._model import Model

AT_ONCE = 256
"""Rows that are computed at once. More are no quicker: the layers of an ensemble then leave the
processor's caches, and 4,096 take six times the memory."""

_SHOWN = (str, bytes, int, float)


class TabularPipeline(Pipeline):
    """Answers rows of a table.

    Rows are a dict (one row), a list or a stream of dicts, a dict of lists (columns), or a data
    frame of pandas, polars or Arrow. Columns are found by name, in any order; others than those of
    the training are not read.
    """

    rows: ClassVar[str] = "table"

    def __init__(self, model: Model, *args: Any, **options: Any) -> None:
        self.table = Table.open(model.folder)
        self._names = tuple(one.name for one in self.table.read)
        self._check(model)
        super().__init__(model, *args, **options)

    def __call__(
        self,
        inputs: Any = NOTHING,
        *args: Any,
        num_workers: int | None = None,
        batch_size: int | None = None,
        **parameters: Any,
    ) -> Any:
        """The answer to a row, or a list of those to many; a stream's come as they are asked for.

        Args:
            inputs: rows.
            batch_size: how many rows are computed at once at most; it changes no answer.
            num_workers: accepted and not needed.
            parameters: as the class tells.

        Raises:
            MissingKeyError: a column of the training is not there, or not in each row.
            InputError: what is given are no rows.
        """
        if inputs is NOTHING:
            raise WrongTypeError("nothing was given to answer", hint="give a row, or a list")
        if args:
            logger.warning("ignoring the positional arguments %r", args)
        given = self._merged(parameters)
        most = check_batch_size(batch_size) or self.batch_size
        if isinstance(inputs, list):
            return list(self._rows(cast("list[Any]", inputs), given, most or AT_ONCE))
        columns = _given(inputs, self._names)
        if columns is not None:
            return list(self._columns(columns, given, most or AT_ONCE))
        row = inputs.to_dict() if _is_series(inputs) else inputs
        if isinstance(row, Mapping):
            return next(self._rows([row], given, 1))
        if is_stream(inputs):
            return Answers(self._stream(iter(inputs), given, most), inputs)
        raise _no_rows(inputs)

    def outputs(self, columns: Mapping[str, Sequence[Any]], **parameters: Any) -> NDArray[Any]:
        """The scores of all labels, or numbers, by their ids: (rows, labels), of columns."""
        given = _given(columns, self._names)
        if given is None:
            raise _no_rows(columns)
        before, forward, _ = self._merged(parameters)
        found = self._computed(given, before, forward, AT_ONCE)
        return np.concatenate([self._outputs(logits) for logits, _ in found])

    def _sanitize_parameters(
        self, odd: str | None = None, **parameters: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if odd is not None and odd not in POLICIES:
            raise UnknownNameError(f"odd is {odd!r}; it may be {', '.join(POLICIES)}")
        return ({} if odd is None else {"odd": odd}), {}, parameters

    def preprocess(self, inputs: Any, *, odd: str = "flag") -> dict[str, Any]:
        """The arrays of a row."""
        reading = self.table.arrays(self._turned([inputs], odd, 1), odd=odd)
        return {**reading.arrays, "flags": reading.flags.get(0, [])}

    def postprocess(self, model_outputs: Any, **parameters: Any) -> Any:
        """The logits of a row as the answer."""
        flags = {0: model_outputs["flags"]} if model_outputs.get("flags") else {}
        return next(self._told(model_outputs["logits"], Reading({}, flags), **parameters))

    def _outputs(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """The scores of labels, or numbers, from the logits of rows."""
        raise NotImplementedError

    def _told(
        self, logits: NDArray[np.float32], reading: Reading, **parameters: Any
    ) -> Iterator[Any]:
        """The answers to rows, from their logits."""
        raise NotImplementedError

    def _check(self, model: Model) -> None:
        """Refuses a processor that is not the one of the network."""
        outputs, values = model.config.num_labels, model.config.to_dict()
        several = [one for one in (self.table.thresholds, self.table.interval) if one is not None]
        if (
            values.get("num_numbers") != self.table.num_numbers
            or values.get("category_sizes") != list(self.table.sizes)
            or any(one != outputs for one in (values.get("num_outputs"), *map(len, several)))
            or (self.table.kind == "number") != (self.head == "tabular-regression")
        ):
            raise InvalidModelError(
                f"config.json and processor.json of `{model.name_or_path}` do not belong together",
                hint="they may be of two trainings: take the whole folder of one",
            )

    def _columns(self, columns: _Given, given: Any, size: int) -> Iterator[Any]:
        """The answers to rows that are given by column."""
        before, forward, after = given
        for logits, reading in self._computed(columns, before, forward, size):
            yield from self._told(logits, reading, **after)

    def _computed(
        self, columns: _Given, before: dict[str, Any], forward: dict[str, Any], size: int
    ) -> Iterator[tuple[NDArray[np.float32], Reading]]:
        """The logits of rows that are given by column, and how these were read."""
        if before.get("odd") != "impute":
            self._refuse_lacking(columns.names, "what is given")
        for start in range(0, columns.count, size):
            end = min(start + size, columns.count)
            part: dict[str, Sequence[Any]] = {
                name: columns.cells[name][start:end]
                if name in columns.cells
                else [None] * (end - start)
                for name in self._names
            }
            reading = self.table.arrays(part, first=start + 1, **before)
            yield self._forward(reading.arrays, **forward)["logits"], reading

    def _rows(self, rows: list[Any], given: Any, size: int, first: int = 1) -> Iterator[Any]:
        """The answers to rows that are given one by one."""
        before, forward, after = given
        for start in range(0, len(rows), size):
            number = first + start
            columns = self._turned(rows[start : start + size], before.get("odd", ""), number)
            reading = self.table.arrays(columns, first=number, **before)
            logits = self._forward(reading.arrays, **forward)["logits"]
            yield from self._told(logits, reading, **after)

    def _stream(self, rows: Iterator[Any], given: Any, most: int | None) -> Iterator[Any]:
        number = 1
        for window in windows(rows, most):
            try:
                # A window is empty where the source failed at its first.
                answers = list(self._rows(window, given, max(len(window), 1), number))
            except InputError:
                # What came before the row that cannot be answered is answered.
                for i, row in enumerate(window, number):
                    yield from self._rows([row], given, 1, i)
                raise
            yield from answers
            number += len(window)

    def _turned(self, rows: Iterable[Any], odd: str, first: int) -> dict[str, list[Any]]:
        """Rows as columns, of which each row must have all."""
        columns: dict[str, list[Any]] = {name: [] for name in self._names}
        for number, given in enumerate(rows, first):
            if not isinstance(given, Mapping):
                raise _no_rows(given, f"row {number:,}")
            row = cast("Mapping[Any, Any]", given)
            if not all(isinstance(name, str) for name in row):
                row = {str(name): value for name, value in row.items()}
            if odd != "impute":
                self._refuse_lacking(row, f"row {number:,}")
            for name, cells in columns.items():
                cells.append(row.get(name))
        return columns

    def _refuse_lacking(self, names: Collection[Any], what: str) -> None:
        if lacking := [f"`{name}`" for name in self._names if name not in names]:
            raise MissingKeyError(
                f"{what} has no {', '.join(lacking)}; it has "
                f"{', '.join(f'`{name}`' for name in names) or 'nothing'}",
                hint="the model was trained on it; give None where there is none, or "
                'odd="impute", which takes it for missing',
            )


@dataclass(frozen=True)
class _Given:
    """What is given by column: the cells that are read, the names of all columns, and the rows."""

    cells: Mapping[str, Sequence[Any]]
    names: Collection[str]
    count: int


def _given(inputs: Any, wanted: Sequence[str]) -> _Given | None:
    """Columns, where that is what is given: a dict of sequences, or a data frame."""
    if isinstance(inputs, Mapping):
        return _of_dict(cast("Mapping[Any, Any]", inputs), wanted)
    of_name = frames.names_of(inputs)
    if of_name is None:
        return None
    cells = {
        name: _whole(frames.cells(inputs, of_name[name]), inputs[of_name[name]])
        for name in wanted
        if name in of_name
    }
    return _Given(cells, of_name, int(inputs.shape[0]))


def _of_dict(given: Mapping[Any, Any], wanted: Sequence[str]) -> _Given | None:
    """The columns of a dict; None if it is a row."""
    there = {str(name): value for name, value in given.items()}
    read = {name: there[name] for name in wanted if name in there} or there
    if read and all(isinstance(value, Mapping) for value in read.values()):
        raise InputError(
            "a dict of dicts is no row of a table, and no columns",
            hint='a data frame is given as it is, or as frame.to_dict("records")',
        )
    several = [name for name, value in read.items() if frames.is_column(value)]
    if not several:
        return None
    if len(several) < len(read):
        one = next(name for name in read if name not in several)
        raise InputError(
            f"`{several[0]}` is given as a list, and `{one}` is not",
            hint="a row has one cell for each column, and columns are all lists",
        )
    cells = {name: _whole(frames.listed(value), value) for name, value in read.items()}
    return _Given(cells, there, frames.same_lengths(cells))


def _is_series(value: Any) -> bool:
    """Whether something is a row that pandas took out of a frame."""
    return all(hasattr(value, name) for name in ("to_dict", "index", "dtype"))


def _whole(cells: Sequence[Any] | None, given: Any) -> Sequence[Any]:
    if cells is None:
        raise _no_rows(given, "a column")
    return cells


def _no_rows(given: Any, what: str = "what is given") -> InputError:
    shown = f"{given!r:.60}" if isinstance(given, _SHOWN) else f"a {type(given).__name__}"
    return InputError(
        f"{what} is {shown}, and no row of a table",
        hint='give a dict such as {"age": 31}, a list of them, columns, or a data frame',
    )
