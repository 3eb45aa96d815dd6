"""Rows that are left out: each is counted, by its reason, with its number in the source."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from silmu.steps.collect.dataset import MOST_NUMBERS, Drop


@final
class Tally:
    """What was dropped so far.

    >>> tally = Tally()
    >>> tally.add("`text` is missing", [3])
    >>> tally.drops
    (Drop(reason='`text` is missing', count=1, rows=(3,)),)
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._rows: dict[str, list[int]] = {}

    def add(self, reason: str, rows: Iterable[int]) -> None:
        """Counts rows as dropped for a reason."""
        for row in rows:
            self._counts[reason] = self._counts.get(reason, 0) + 1
            known = self._rows.setdefault(reason, [])
            if len(known) < MOST_NUMBERS:
                known.append(row)

    def merge(self, other: Tally, before: str) -> None:
        """Adds what another has counted, its reasons marked by what stands before them."""
        for drop in other.drops:
            self._counts[before + drop.reason] = drop.count
            self._rows[before + drop.reason] = [*drop.rows]

    @property
    def count(self) -> int:
        """How many rows were dropped."""
        return sum(self._counts.values())

    @property
    def drops(self) -> tuple[Drop, ...]:
        """By reason, in order of the first row of each."""
        order = sorted(self._counts, key=lambda reason: self._rows[reason][0])
        return tuple(Drop(one, self._counts[one], tuple(self._rows[one])) for one in order)
