"""Rows that a program holds or makes: data frames, columns, lists and streams of dicts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import pyarrow as pa

from silmu.errors import InputError, UsageError, WrongTypeError
from silmu.steps.collect import arrows, values
from silmu.steps.collect.dataset import BATCH
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import Kinds, Read

_WINDOW = 8192  # rows that are looked at before the types of a stream are settled


def read(given: Any, *, held: bool) -> tuple[pa.Schema, Read]:
    """Whatever has rows; a stream is held only if it must be read more than once."""
    if type(given).__module__.partition(".")[0] == "pandas" and hasattr(given, "columns"):
        names: list[str] = [str(name) for name in given.columns]
        if len({*names}) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"the frame has two columns of the name `{twice}`")
        try:
            given = pa.Table.from_pandas(given, preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError):
            # A column of mixed things, which Arrow has no type for.
            given = [
                {str(name): value for name, value in row.items()}
                for row in given.to_dict("records")
            ]
    if isinstance(given, pa.RecordBatch):
        given = pa.Table.from_batches([given])
    if hasattr(given, "__arrow_c_stream__"):
        table = given if isinstance(given, pa.Table) else pa.table(given)

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in table.to_batches(BATCH):
                yield arrows.checked(batch, "the table")

        return arrows.read_parts([("the table", (table.schema, batches))])
    rows = listed(given)
    if iter(rows) is not rows:
        return values.read_rows(lambda tally: dicts(rows, tally))
    # An iterator can be read once only.
    if held:
        whole = list(rows)
        return values.read_rows(lambda tally: dicts(whole, tally))
    return _once(iter(rows))


def listed(given: Any) -> Iterable[Any]:
    """Whatever has rows, as rows: a dict of columns is turned, a data frame is taken apart.

    Raises:
        WrongTypeError: it has none.
    """
    if type(given).__module__.partition(".")[0] == "pandas" and hasattr(given, "to_dict"):
        given = given.to_dict("records")
    if isinstance(given, Mapping):
        given = _turned(cast("Mapping[Any, Any]", given))
    if isinstance(given, bytes | bytearray) or not isinstance(given, Iterable):
        raise WrongTypeError(
            f"a source cannot be of type {type(given).__name__}",
            hint="give a path, a data frame, or rows as dicts",
        )
    return cast("Iterable[Any]", given)


def _once(rows: Iterator[Any]) -> tuple[pa.Schema, Read]:
    """A stream, whose first rows say what types the others must have."""
    kinds = Kinds()
    first = list(itertools.islice(rows, _WINDOW))
    for _, row in dicts(first, Tally()):
        kinds.see(row)

    def fitting(tally: Tally) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, row in dicts(itertools.chain(first, rows), tally):
            if number > _WINDOW and (name := kinds.holds(row)) is not None:
                raise InputError(
                    f"row {number:,}: `{name}` holds {row[name]!r}, unlike the rows before it",
                    hint="give a list, whose rows are all looked at first",
                )
            yield number, row

    return kinds.schema, lambda tally: values.batches(fitting(tally), kinds, tally)


def dicts(rows: Iterable[Any], tally: Tally) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Rows with their numbers; those with a name that is no text are dropped.

    Raises:
        WrongTypeError: a row is no dict.
    """
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise WrongTypeError(
                f"row {number:,} is a {type(row).__name__}; rows are dicts",
                hint='such as {"text": "...", "label": "..."}',
            )
        row = cast("Mapping[Any, Any]", row)
        if all(isinstance(name, str) for name in row):
            yield number, cast("Mapping[str, Any]", row)
        else:
            tally.add("it has a name that is not a text", [number])


def _turned(columns: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """Columns as rows."""
    lists: dict[str, list[Any]] = {}
    for name, column in columns.items():
        if isinstance(column, str | bytes) or not isinstance(column, Iterable):
            raise WrongTypeError(
                f"`{name}` holds {column!r}; a dict is read as columns, each of them a list",
                hint="give one row as [row]",
            )
        lists[str(name)] = list(cast("Iterable[Any]", column))
    sizes = {name: len(column) for name, column in lists.items()}
    if len({*sizes.values()}) > 1:
        told = ", ".join(f"`{name}` {size:,}" for name, size in sizes.items())
        raise UsageError(f"the columns do not have equally many values: {told}")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
