"""Series that a program holds, in every form that a pipeline takes as a history, as tables."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, cast

from silmu.errors import InputError
from silmu.runtime import frames
from silmu.runtime.series import histories

VALUE, SERIES = "value", "series"
"""What the columns of numbers are called, and the one that tells several histories apart."""


def as_table(given: Any, target: Sequence[str] | str | None = None) -> Any:
    """Numbers alone as a column, several histories as one long table, an index of times as one more
    column; what is a table already, or the name of a source, is what it was.

    >>> as_table([3.0, 4.0])
    {'value': [3.0, 4.0]}
    >>> as_table([[3, 4], [5]])["series"]
    ['series 1', 'series 1', 'series 2']

    Args:
        given: a source.
        target: what is forecast, if that is named; numbers are called so.

    Raises:
        InputError: numbers have something else among them, or histories differ in their columns.
    """
    if isinstance(given, str | bytes | PurePath | Mapping):
        return cast("Any", given)
    given = with_index(given)
    if isinstance(given, Iterator):
        stream = cast("Iterator[Any]", given)
        first = list(itertools.islice(stream, 1))
        given = itertools.chain(first, stream)
        if not first or _is_row(first[0]):
            return given
        given = list(given)
    name = target if isinstance(target, str) and "," not in target else VALUE
    several = histories.several(given)
    if several:
        return _together(several, name)
    if _is_frame(given) or not frames.is_column(given):
        return given
    if len(given) and _is_row(given[0]):
        return given
    return _columns(given, name, "the series") if len(given) else given


def with_index(given: Any) -> Any:
    """A pandas frame or series whose index holds its times, with these as a column.

    Other things are what they were.
    """
    if type(given).__module__.partition(".")[0] != "pandas" or not hasattr(given, "index"):
        return given
    if not hasattr(given, "columns"):
        given = given.to_frame(VALUE if given.name is None else str(given.name))
    index = given.index
    if type(index).__name__ == "PeriodIndex":
        given = given.set_axis(index.to_timestamp(), axis=0).rename_axis(index.name)
    is_told = any(name is not None for name in given.index.names)
    if not is_told and type(given.index).__name__ != "DatetimeIndex":
        return given
    # An index of times without a name is called as pandas users call it.
    free = next(one for one in ("date", "time", "index") if one not in given.columns)
    return given.rename_axis(index=free).reset_index() if not is_told else given.reset_index()


def _together(several: Sequence[Any], name: str) -> dict[str, list[Any]]:
    """Histories one below the other, each with a name unless their rows have one."""
    tables = [_columns(with_index(one), name, f"history {i}") for i, one in enumerate(several, 1)]
    columns = list(tables[0])
    for number, table in enumerate(tables, 1):
        if {*table} != {*columns}:
            raise InputError(
                f"history {number} has the columns {_listed(table)}, and history 1 "
                f"{_listed(columns)}",
                hint="give all histories the same columns",
            )
    found = {column: [cell for one in tables for cell in one[column]] for column in columns}
    if SERIES in found:
        return found
    lengths = [len(next(iter(one.values()))) for one in tables]
    names = [f"{SERIES} {i}" for i, length in enumerate(lengths, 1) for _ in range(length)]
    return {SERIES: names, **found}


def _columns(given: Any, name: str, what: str) -> dict[str, list[Any]]:
    """The cells of a history by column; numbers alone have one."""
    found = histories.history(given, what)
    columns = {name: found.numbers} if found.columns is None else found.columns
    return {column: list(cells) for column, cells in columns.items()}


def _is_row(given: Any) -> bool:
    """Whether something is a row with names, and no number or history."""
    return isinstance(given, Mapping) and not histories.several([given])


def _is_frame(given: Any) -> bool:
    return hasattr(given, "columns") or hasattr(given, "to_pydict")


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)
