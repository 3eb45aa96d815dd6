"""When a text is at its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from silmu.runtime.generate.scores import Row
    from silmu.runtime.generate.settings import Settings

_TOKENS_PER_CHARACTER = 4  # at most: a byte-level vocabulary may spell one in bytes

Decode = Callable[["Sequence[int]"], str]


class Stops:
    """Says of a row whether its last token ends it.

    Args:
        decode: ids to text, for stop strings.
        criteria: more conditions, as `f(ids, scores)` of shape (1, tokens), true at the end.
    """

    def __init__(
        self, settings: Settings, decode: Decode | None = None, criteria: Sequence[Any] = ()
    ) -> None:
        self._ends = frozenset(settings.ends)
        given = settings.stop_strings or ()
        self._strings = [given] if isinstance(given, str) else list(given)
        if self._strings and decode is None:
            raise UsageError("stop_strings need a tokenizer, and there is none")
        self._decode = decode
        self._criteria = list(criteria)
        self._until = None if settings.max_time is None else time.monotonic() + settings.max_time

    def __call__(self, row: Row) -> bool:
        """Whether the row is at its end."""
        return (
            row.num_new >= row.room
            or row.tokens[-1] in self._ends
            or (self._until is not None and time.monotonic() > self._until)
            or any(self._ends_in(row.tokens, stop) for stop in self._strings)
            or any(_is_true(one(np.array([row.tokens]), None)) for one in self._criteria)
        )

    def _ends_in(self, tokens: Sequence[int], stop: str) -> bool:
        """Whether the last token completes a string, be it with characters to spare."""
        assert self._decode is not None
        tail = tokens[-(len(stop) + 1) * _TOKENS_PER_CHARACTER :]
        before = len(self._decode(tail[:-1]))
        return stop in self._decode(tail)[max(0, before - len(stop) + 1) :]


def _is_true(value: Any) -> bool:
    return bool(value.all()) if hasattr(value, "all") else bool(value)
