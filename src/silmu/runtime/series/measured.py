"""The columns of series but that of times: names of series, targets and covariates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InputError
from silmu.runtime import cells
from silmu.runtime.series.said import Rows, quoted
from silmu.runtime.series.stamps import without_empty

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Cells = Sequence[Any] | NDArray[Any]

TEXT = ("text", "")
"""How a covariate of texts is written, in `Layout.written`."""

_SAMPLE = 2000
_MOST_LEVELS = 16
_TYPOS = 0.1
"""A column of numbers may have this share of others, which are told as errors."""


def groups(
    columns: Mapping[str, Cells], names: Sequence[str], numbers: NDArray[np.int64]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """(rows,) the number of each row's series, and their names, in the order of the rows.

    >>> found, names = groups({"city": ["b", "a", "b"]}, ["city"], np.arange(3))
    >>> found.tolist(), names
    ([0, 1, 0], ('b', 'a'))

    Raises:
        InputError: a row does not say of which series it is.
    """
    count = len(numbers)
    if not names:
        return np.zeros(count, np.int64), ("",)
    whole = np.zeros(count, np.int64)
    told: list[str] = [""]
    for name in names:
        codes, levels = _levels(columns[name])
        (none,) = np.nonzero(codes < 0)
        if len(none):
            rows = Rows(numbers, np.zeros(count, np.int64), ("",))
            raise InputError(
                f"{rows.one(int(none[0]))} has no `{name}`, which names its series"
                f"{rows.likewise(none)}",
                hint="fill it in, or leave the row out",
            )
        pairs, first, own = np.unique(
            whole * len(levels) + codes, return_index=True, return_inverse=True
        )
        order = np.argsort(first)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        whole = rank[own.reshape(-1)]
        told = [
            ", ".join(filter(None, (told[before], levels[level])))
            for before, level in zip(*_divided(pairs[order], len(levels)), strict=True)
        ]
    if len({*told}) < len(told):
        twice = next(name for name in told if told.count(name) > 1)
        raise InputError(
            f"two series are called {quoted(twice)}, by different {' and '.join(names)}",
            hint="write these columns without commas and without empty texts",
        )
    return whole, tuple(told)


def target(
    name: str, values: Cells, rows: Rows, written: tuple[str, str] | None
) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """(rows,) NaN where there is none, and how its cells are written.

    Raises:
        InputError: a cell is no number, or infinite.
    """
    found, bad, how = _numbers(values, written)
    if bad.any():
        _refuse(name, values, rows, bad)
    return found, how


def covariate(
    name: str, values: Cells, rows: Rows, written: tuple[str, str] | None
) -> tuple[NDArray[Any], tuple[str, str]]:
    """(rows,) numbers, or texts where most are none, and how its cells are written.

    Raises:
        InputError: a cell of a column of numbers is none.
    """
    if written == TEXT:
        codes, levels = _levels(values)
    else:
        found, bad, how = _numbers(values, written)
        if not bad.any():
            return found, how
        codes, levels = _levels(values)
        endless = [i for i, level in enumerate(levels) if _is_infinite(level)]
        if endless:
            _refuse(name, values, rows, np.isin(codes, endless))
        is_typo = bad.sum() <= _TYPOS * (~np.isnan(found) | bad).sum()
        if written is not None or (is_typo and len(np.unique(found[~bad])) > _MOST_LEVELS):
            _refuse(name, values, rows, bad)
    return np.array([*levels, None], object)[codes], TEXT


def is_written(how: tuple[str, str]) -> bool:
    """Whether `target` or `covariate` may have told it.

    >>> is_written((",", "EUR")), is_written((";", ""))
    (True, False)
    """
    return how == TEXT or (how[0] in (".", ",") and len(how[1]) <= cells.MOST_OF_UNIT)


def _divided(pairs: NDArray[np.int64], by: int) -> tuple[list[int], list[int]]:
    whole, rest = np.divmod(pairs, by)
    return whole.tolist(), rest.tolist()


def _levels(values: Cells) -> tuple[NDArray[np.int64], list[str]]:
    """The number of each cell's level, -1 where it is empty, and the levels as they come."""
    raw: list[Any] = values.tolist() if isinstance(values, np.ndarray) else [*values]
    seen: dict[Any, int] = {}
    try:
        codes = np.array([seen.setdefault(value, len(seen)) for value in raw], np.int64)
    except TypeError:  # a list, or a dict, has no hash
        return _levels([None if cells.is_missing(value) else str(value) for value in raw])
    places: dict[str, int] = {}
    of_raw = np.empty(len(seen), np.int64)
    for i, value in enumerate(seen):
        name = cells.level(value)
        of_raw[i] = -1 if not name else places.setdefault(name, len(places))
    return of_raw[codes] if len(seen) else codes, [*places]


def _numbers(
    values: Cells, written: tuple[str, str] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_], tuple[str, str]]:
    """Cells as numbers, which of these hold something else, and how they are written."""
    plain = without_empty(values)
    how = written or (".", "")
    found, bad = cells.numbers(plain, *how)
    if written is None and bad.any():
        (odd,) = np.nonzero(bad)
        some = np.unique(
            np.concatenate([odd[:_SAMPLE], np.arange(0, len(bad), max(len(bad) // _SAMPLE, 1))])
        )
        texts = [one for i in some.tolist() if isinstance(one := plain[i], str)]
        told = cells.writing(texts) if texts else how
        if told != how:
            again, still = cells.numbers(plain, *told)
            if still.sum() < bad.sum():
                found, bad, how = again, still, told
    return found, bad, how


def _refuse(name: str, values: Cells, rows: Rows, bad: NDArray[np.bool_]) -> None:
    (places,) = np.nonzero(bad)
    value = values[int(places[0])]
    raise InputError(
        f"{rows.one(int(places[0]))} has `{name}` {quoted(value)}, which is "
        f"{'infinite' if _is_infinite(value) else 'no number'}{rows.likewise(places)}",
        hint="leave a cell empty where nothing was measured, or leave the row out",
    )


def _is_infinite(value: Any) -> bool:
    return str(value).strip().lstrip("+-").lower() in ("inf", "infinity")
