"""Histories of series in every form that programs have them in: numbers, columns, rows, frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import InputError
from silmu.runtime import frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMS = 'numbers, a dict such as {"time": [...], "price": [...]}, a list of rows, or a data frame'

_SHOWN = (str, bytes, int, float)


@dataclass(frozen=True)
class History:
    """What is given as a history: columns by name, or numbers alone.

    Attributes:
        columns: cells by column; None where there are numbers alone.
        numbers: these.
        index: the times that pandas keeps beside columns or numbers; None where there are none.
    """

    columns: Mapping[str, Sequence[Any]] | None
    numbers: Sequence[Any] = ()
    index: Sequence[Any] | None = None

    def __len__(self) -> int:
        first = self.numbers if self.columns is None else next(iter(self.columns.values()), ())
        return len(first)

    def named(self, time: str | None, target: str) -> Mapping[str, Sequence[Any]]:
        """Columns by the names that a model has for them; those of a data frame have them."""
        found = {target: self.numbers} if self.columns is None else self.columns
        if self.index is None or time is None or time in found:
            return found
        return {**found, time: self.index}


def several(given: Any) -> list[Any] | None:
    """The histories that a list holds; None if what is given is one history."""
    if isinstance(given, np.ndarray):
        return list(cast("NDArray[Any]", given)) if given.ndim == 2 else None
    if not isinstance(given, list | tuple) or not given:
        return None
    items = cast("Sequence[Any]", given)
    return list(items) if _is_history(items[0]) else None


def is_one(given: Any) -> bool:
    """Whether something is one history, and not a stream of several."""
    return isinstance(given, Mapping) or _is_history(given)


def history(given: Any, what: str = "the history") -> History:
    """One history.

    Args:
        given: what is given.
        what: how an error calls it.

    Raises:
        InputError: it is none of FORMS, or there is nothing in it.
    """
    if isinstance(given, Mapping):
        found = _of_dict(cast("Mapping[Any, Any]", given), what)
    elif (names := frames.names_of(given)) is not None:
        found = _of_frame(given, names, what)
    elif frames.is_column(given):
        found = _of_list(given, what)
    else:
        raise _none(given, what)
    if not len(found):
        raise InputError(f"{what} is empty", hint=f"give at least one value: {FORMS}")
    return found


def joined(
    past: Mapping[str, Sequence[Any]], future: Mapping[str, Sequence[Any]], known: Sequence[str]
) -> dict[str, list[Any]]:
    """Rows of a history, and behind them rows of the future, of which only some columns are read.

    Args:
        past: cells by column.
        future: likewise.
        known: the columns that are read of the future.

    Raises:
        InputError: one of these is not there.
    """
    if lacking := [name for name in known if name not in future]:
        raise InputError(
            f"future has no {', '.join(f'`{name}`' for name in lacking)}; it has "
            f"{', '.join(f'`{name}`' for name in future) or 'nothing'}",
            hint="give what is known ahead for each step after the history, with its time",
        )
    count = len(next(iter(future.values()), ()))
    blank: list[Any] = [None] * count
    return {
        name: [*values, *(future[name] if name in known else blank)]
        for name, values in past.items()
    }


def _is_history(given: Any) -> bool:
    """Whether what a list holds first is a history, and not a number or a row."""
    if isinstance(given, Mapping):
        values = cast("Mapping[Any, Any]", given).values()
        return bool(values) and all(frames.is_column(value) for value in values)
    return frames.is_column(given) or hasattr(given, "columns") or hasattr(given, "to_pydict")


def _of_dict(given: Mapping[Any, Any], what: str) -> History:
    columns = {str(name): value for name, value in given.items()}
    held = [name for name, value in columns.items() if frames.is_column(value)]
    if not held:
        return _of_rows([given], what)
    if len(held) < len(columns):
        one = next(name for name in columns if name not in held)
        raise InputError(
            f"of {what}, `{held[0]}` is given as a list, and `{one}` is not",
            hint="columns are all lists of one length, with a cell for each step",
        )
    cells = {name: _cells(frames.listed(value), what) for name, value in columns.items()}
    frames.same_lengths(cells)
    return History(cells)


def _of_frame(given: Any, names: Mapping[str, Any], what: str) -> History:
    cells = {name: _cells(frames.cells(given, own), what) for name, own in names.items()}
    index = getattr(given, "index", None)  # of polars, a method
    name = getattr(index, "name", None)
    if isinstance(name, str) and name not in cells:
        cells = {name: _cells(frames.listed(index), what), **cells}
    return History(cells, index=_index(given))


def _of_list(given: Any, what: str) -> History:
    values = _cells(frames.listed(given), what)
    if len(values) and isinstance(values[0], Mapping):
        return _of_rows(values, what)
    for value in values:
        if isinstance(value, Mapping) or frames.is_column(value):
            raise InputError(
                f"{what} has numbers, and {_shown(value)} among them", hint=f"give {FORMS}"
            )
    return History(None, values, _index(given))


def _of_rows(rows: Sequence[Any], what: str) -> History:
    names: dict[str, None] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise _none(row, f"row {number:,} of {what}")
        names |= dict.fromkeys(map(str, cast("Mapping[Any, Any]", row)))
    named = [{str(name): value for name, value in row.items()} for row in rows]
    return History({name: [row.get(name) for row in named] for name in names})


def _index(given: Any) -> Sequence[Any] | None:
    index = getattr(given, "index", None)  # of a list, a method
    kind = str(getattr(index, "dtype", ""))
    return frames.listed(index) if kind.startswith("datetime64") else None


def _cells(cells: Sequence[Any] | None, what: str) -> Sequence[Any]:
    if cells is None:
        raise _none(cells, f"a column of {what}")
    return cells


def _none(given: Any, what: str) -> InputError:
    return InputError(f"{what} is {_shown(given)}", hint=f"give {FORMS}")


def _shown(given: Any) -> str:
    return f"{given!r:.60}" if isinstance(given, _SHOWN) else f"a {type(given).__name__}"
