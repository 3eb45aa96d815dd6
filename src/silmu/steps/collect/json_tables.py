"""Tables that are one JSON object: of columns, or with the rows under a name.

{"text": ["a", "b"], "label": [0, 1]}                a list for each column
{"text": {"0": "a", "1": "b"}, "label": {...}}       as pandas writes a frame
{"columns": ["text", "label"], "data": [["a", 0]]}   the same with orient="split"
{"data": [{"text": "a", "label": 0}], ...}           the one list of objects, whatever is beside it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

NAMES = ("data", "rows", "records", "items", "results")
"""What the rows may be called where something else stands beside them."""

Json = Mapping[str, Any]


def rows_of(value: Any) -> list[Any] | None:
    """The rows of a decoded table; None where it is none of these.

    >>> rows_of({"a": [1, 2], "b": ["x", "y"]})
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}]
    >>> rows_of({"version": "1.1", "data": [{"a": 1}]}), rows_of({"a": 1})
    ([{'a': 1}], None)
    """
    if not isinstance(value, dict) or not value:
        return None
    found = cast("Json", value)
    lists = {name: cast("list[Any]", one) for name, one in found.items() if isinstance(one, list)}
    names, listed = lists.get("columns"), lists.get("data")
    if names and listed and _are_of(listed, list) and {*map(len, listed)} == {len(names)}:
        return [dict(zip(map(str, names), row, strict=True)) for row in listed]
    tables = [name for name, one in lists.items() if one and _are_of(one, dict)]
    if len(tables) == len(lists) == 1 and (len(found) == 1 or tables[0] in NAMES):
        return lists[tables[0]]
    if len(lists) == len(found) and len({*map(len, lists.values())}) == 1:
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    if _are_of([*found.values()], dict):
        keys = [list(one) for one in found.values()]
        if keys[0] and all(one == keys[0] for one in keys) and _are_counted(keys[0]):
            return [{name: one[key] for name, one in found.items()} for key in keys[0]]
    return None


def _are_of(values: list[Any], kind: type) -> bool:
    return all(isinstance(one, kind) for one in values)


def _are_counted(keys: list[str]) -> bool:
    """Whether keys are the numbers of rows, as pandas writes an index that nobody gave."""
    return all(key.isdecimal() for key in keys)
