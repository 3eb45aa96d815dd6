"""Cells by column, in every form that programs have them in: dicts of lists, and data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def names_of(given: Any) -> dict[str, Any] | None:
    """The columns of a data frame of pandas, polars or Arrow, by their names; None if it is none.

    Raises:
        InputError: two have the same name.
    """
    if hasattr(given, "to_pydict"):
        names: list[Any] = list(given.schema.names)
    elif hasattr(given, "shape") and hasattr(given, "columns"):  # pandas, polars
        names = list(given.columns)
    else:
        return None
    of_name = {str(name): name for name in names}
    if len(of_name) < len(names):
        raise InputError(f"a column is there twice: {', '.join(map(str, names))}")
    return of_name


def cells(frame: Any, name: Any) -> Sequence[Any] | None:
    """The cells of a column of a data frame; None where it holds none."""
    if not hasattr(frame, "to_pydict"):
        return listed(frame[name])
    column = frame.column(name)
    kind = str(column.type)
    if kind.startswith("timestamp[ns"):  # no finer than Python has times
        import pyarrow as pa

        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return cast("list[Any]", column.to_pylist())


def is_column(value: Any) -> bool:
    """Whether something is cells below each other, and not one cell."""
    if isinstance(value, np.ndarray):
        return cast("NDArray[Any]", value).ndim == 1
    if isinstance(value, str | bytes | bytearray | Mapping | set | frozenset):
        return False
    return hasattr(value, "__len__") and hasattr(value, "__getitem__")


def listed(values: Any) -> Sequence[Any] | None:
    """The cells of a column; None where it holds none."""
    if isinstance(values, np.ndarray):
        array = cast("NDArray[Any]", values)
        if array.dtype.kind in "iufb" and not isinstance(array, np.ma.MaskedArray):
            return cast("Sequence[Any]", array)
        # What is finer than Python's times would become whole numbers.
        name = {"M": "datetime64[us]", "m": "timedelta64[us]"}.get(array.dtype.kind)
        return cast("list[Any]", (array if name is None else array.astype(name)).tolist())
    for name in ("tolist", "to_list", "to_pylist"):
        if hasattr(values, name):
            return cast("Sequence[Any]", getattr(values, name)())
    try:
        return list(values)
    except TypeError:
        return None


def same_lengths(columns: Mapping[str, Sequence[Any]]) -> int:
    """How many cells each of the columns has.

    Raises:
        InputError: they have different lengths.
    """
    count = len(next(iter(columns.values()), ()))
    if any(len(values) != count for values in columns.values()):
        lengths = ", ".join(f"`{name}` {len(values):,}" for name, values in columns.items())
        raise InputError(f"columns have different lengths: {lengths}")
    return count
