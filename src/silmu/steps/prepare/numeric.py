"""Targets that are numbers: how a column writes them, and what cannot be told.

Texts are read as those of inputs are: with marks between thousands, a comma before the decimals, a
currency or another unit.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from silmu.errors import InputError, UsageError
from silmu.runtime import cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("silmu")

LARGEST = 1e30
"""Numbers to be told are smaller, since networks compute with 32 bits."""
FINEST = 1e-6
"""They differ at least by this share of their size, for the same reason."""
PLAIN = (".", "")
"""How numbers are written where nothing else is known: what is before decimals, and their unit."""

_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+([.][0-9]*)?$"
_CODE = re.compile(r"\s*[+-]?0\d+\s*")
_HINT = (
    "write numbers as 1234.5; names are told with labels=single, or of a table by "
    "tabular-classification"
)


def fit_numbers(column: Any, name: str) -> tuple[float, float, tuple[str, str]]:
    """The mean and the deviation of training rows' numbers, and how their texts are written.

    Args:
        column: of Arrow.
        name: of the column.

    Raises:
        UsageError: it holds something else.
        InputError: what it holds cannot be told: it is missing, endless, huge, or always the same.
    """
    written = _writing(column)
    values = _read(column, written)
    if values is None:
        raise UsageError(_no_number(column, name, written), hint=_HINT)
    if written != PLAIN:
        before = "a comma" if written[0] == "," else "a point"
        unit = f", and without `{written[1]}`" if written[1] else ""
        logger.warning("`%s` is read as numbers with %s before decimals%s", name, before, unit)
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise InputError(f"{bad:,} rows have a `{name}` that is no finite number")
    if not len(values) or values.min() == values.max():
        raise InputError(f"every row of the training split has the same `{name}`")
    _refuse_large(name, values)
    mean, deviation = float(values.mean()), float(values.std())
    if deviation < FINEST * np.abs(values).max():
        raise InputError(
            f"`{name}` is {mean:g} in the mean, and differs by {deviation:g} only, which is too "
            "little to be told by numbers of 32 bits",
            hint=f"subtract {mean:.0f} from it, with `--set query=...`",
        )
    return mean, deviation, written


def read_numbers(column: Any, name: str, written: tuple[str, str] = PLAIN) -> NDArray[np.float64]:
    """A column of rows as numbers, NaN where there is none.

    Raises:
        InputError: it holds something else, or what is too large.
    """
    values = _read(column, written)
    if values is None:
        raise InputError(_no_number(column, name, written), hint=_HINT)
    _refuse_large(name, values)
    return values


def plain_numbers(column: Any) -> NDArray[np.float64] | None:
    """A column as float64, NaN where a value is missing; None if it does not hold plain numbers."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if is_text:
        column = pc.utf8_trim_whitespace(column)
        # 007 is the name of something.
        named = pc.match_substring_regex(column, r"^[+-]?0[0-9]")
        if pc.any(named).as_py():
            return None
        grouped = pc.match_substring_regex(column, _THOUSANDS)
        if pc.any(grouped).as_py():
            column = pc.if_else(grouped, pc.replace_substring(column, ",", ""), column)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    try:
        column = column.cast(pa.float64(), safe=is_text)
    except pa.ArrowInvalid:
        return None
    return column.to_numpy(zero_copy_only=False).astype(np.float64)


def _texts(column: Any) -> Sequence[str | None] | None:
    """The cells of a column of texts, None where they are missing; None if it holds others."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return column.to_pylist() if is_text else None


def _writing(column: Any) -> tuple[str, str]:
    texts = _texts(column)
    if texts is None or not cells.numbers(texts)[1].any():
        return PLAIN
    return cells.writing([text for text in texts if text is not None])


def _read(column: Any, written: tuple[str, str]) -> NDArray[np.float64] | None:
    if (plain := plain_numbers(column)) is not None and written == PLAIN:
        return plain
    texts = _texts(column)
    if texts is None or any(_CODE.fullmatch(text) for text in texts if text is not None):
        return None
    found, bad = cells.numbers(texts, *written)
    return None if bad.any() else found


def _no_number(column: Any, name: str, written: tuple[str, str]) -> str:
    several: list[Any] = column.to_pylist()
    strange = np.flatnonzero(cells.numbers(several, *written)[1]).tolist()
    codes = (i for i, value in enumerate(several) if str(value).lstrip(" +-")[:1] == "0")
    example = next((several[i] for i in (*strange, *codes)), "what")
    return f"`{name}` holds {example!r}, which is not a number"


def _refuse_large(name: str, values: NDArray[np.float64]) -> None:
    with np.errstate(invalid="ignore"):
        large = np.flatnonzero(np.abs(values) > LARGEST)
    if len(large):
        raise InputError(
            f"`{name}` holds {values[large[0]]:g}; numbers to be told are at most {LARGEST:g}",
            hint="divide it by something, or tell its logarithm, with `--set query=...`",
        )
