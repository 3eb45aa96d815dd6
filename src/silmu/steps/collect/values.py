"""Python values as Arrow columns: one type a column, found by looking at every value.

A column of whole numbers, of numbers, of truths, of texts or of lists of texts is that; whatever
mixes them is text, in which a text stays as it is and the rest is spelled as JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast, final

import numpy as np
import pyarrow as pa

from silmu.errors import InputError
from silmu.steps.collect.dataset import BATCH
from silmu.steps.collect.tally import Tally

MOST_COLUMNS = 10_000
LARGEST_BATCH = 1 << 24  # characters
UNICODE = "it holds half a character (a lone surrogate)"

Rows = Callable[[Tally], Iterator[tuple[int, Mapping[str, Any]]]]
Numbered = tuple[np.ndarray[Any, np.dtype[np.int64]], pa.RecordBatch]
Read = Callable[[Tally], Iterator[Numbered]]

_EXACT = 2**53  # whole numbers beyond are not told apart as floats
_TYPES: dict[str, Any] = {
    "empty": pa.string(),
    "truth": pa.bool_(),
    "whole": pa.int64(),
    "number": pa.float64(),
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "mixed": pa.string(),
}


@final
class Kinds:
    """The columns of rows seen so far, and what they hold."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._large: set[str] = set()

    def see(self, row: Mapping[str, Any]) -> None:
        """Widens what is known, so that it holds this row too."""
        for name, value in row.items():
            kind = self._kinds.get(name)
            found = self._kind(name, value)
            if kind is None:
                if not is_text(name):
                    raise InputError(f"there is a column whose name is not a text: {name!r}")
                self._kinds[name] = found
                if len(self._kinds) > MOST_COLUMNS:
                    raise InputError(
                        f"there are more than {MOST_COLUMNS:,} different columns",
                        hint="do the rows have other names in place of values?",
                    )
            elif kind != found:
                self._kinds[name] = self._wider(name, kind, found)

    @property
    def schema(self) -> pa.Schema:
        """One type a column."""
        return pa.schema([(name, _TYPES[kind]) for name, kind in self._kinds.items()])

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
        """Rows as Arrow."""
        arrays: list[Any] = []
        for name, kind in self._kinds.items():
            values = [_plain(row.get(name)) for row in rows]
            if kind == "mixed":
                values = [None if value is None else spelled(value) for value in values]
            arrays.append(pa.array(values, _TYPES[kind]))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def holds(self, row: Mapping[str, Any]) -> str | None:
        """The name of a column whose value in a row is of another type; None if there is none."""
        for name, value in row.items():
            kind, found = self._kinds.get(name), self._kind(name, value)
            if kind is None or (kind != found and self._wider(name, kind, found) != kind):
                return name
        return None

    def _kind(self, name: str, value: Any) -> str:
        value = _plain(value)
        if value is None:
            return "empty"
        if isinstance(value, str):
            return "text"
        if isinstance(value, bool):
            return "truth"
        if isinstance(value, int):
            if abs(value) > _EXACT:
                self._large.add(name)
            return "whole" if -(2**63) <= value < 2**63 else "mixed"
        if isinstance(value, float):
            return "number"
        if isinstance(value, list | tuple):
            items = cast("Sequence[Any]", value)
            return "texts" if all(isinstance(item, str) for item in items) else "mixed"
        return "mixed"

    def _wider(self, name: str, one: str, other: str) -> str:
        kinds = {one, other} - {"empty"}
        if len(kinds) == 1:
            return kinds.pop()
        return "number" if kinds == {"whole", "number"} and name not in self._large else "mixed"


def read_rows(rows: Rows) -> tuple[pa.Schema, Read]:
    """Rows of any values, which are read twice: once for their types."""
    kinds = Kinds()
    for _, row in rows(Tally()):
        kinds.see(row)
    return kinds.schema, lambda tally: batches(rows(tally), kinds, tally)


def batches(
    rows: Iterator[tuple[int, Mapping[str, Any]]], kinds: Kinds, tally: Tally
) -> Iterator[Numbered]:
    """Rows as Arrow, some at a time, with their numbers; what no text can hold is dropped."""
    waiting: list[tuple[int, Mapping[str, Any]]] = []
    size = 0
    for number, row in rows:
        waiting.append((number, row))
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(waiting) == BATCH or size > LARGEST_BATCH:
            yield from _batch(waiting, kinds, tally)
            waiting, size = [], 0
    if waiting:
        yield from _batch(waiting, kinds, tally)


def _batch(
    waiting: list[tuple[int, Mapping[str, Any]]], kinds: Kinds, tally: Tally
) -> Iterator[Numbered]:
    try:
        made = kinds.batch([row for _, row in waiting])
    except UnicodeEncodeError:
        sound: list[tuple[int, Mapping[str, Any]]] = []
        for number, row in waiting:
            try:
                kinds.batch([row])
                sound.append((number, row))
            except UnicodeEncodeError:
                tally.add(UNICODE, [number])
        if not sound:
            return
        waiting, made = sound, kinds.batch([row for _, row in sound])
    yield np.array([number for number, _ in waiting], np.int64), made


def is_text(value: str) -> bool:
    """Whether a text has no half characters (lone surrogates), which no file can hold.

    >>> is_text("한글"), is_text("\\ud800")
    (True, False)
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """The value, or None where it says that there is none."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        value = cast("Any", value.tolist())
    return None if isinstance(value, float) and math.isnan(value) else cast("Any", value)


def spelled(value: Any) -> str:
    """A value as text.

    >>> spelled("a"), spelled(True), spelled([1, None])
    ('a', 'true', '[1, null]')
    """
    if isinstance(value, bool | int | float | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
