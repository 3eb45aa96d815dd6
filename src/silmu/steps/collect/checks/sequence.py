"""The series that the checks look at: their rows by step, and how steps and names are told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from silmu.runtime.series import zones
from silmu.runtime.series.frame import DROPPED, Findings, Series
from silmu.steps.collect import series as collected
from silmu.steps.collect.checks.view import Finding, View, quoted
from silmu.steps.collect.checks.view import number as counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.collect.dataset import Dataset

Steps = Sequence[tuple[int, "NDArray[np.int64]"]]
"""Places in series: the number of a series, and indices of its values."""

MOST_NAMED = 3


@final
class Sequences:
    """The series of a dataset, read once.

    Args:
        dataset: collected with `kind="series"`.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._view = View(dataset)
        read = collected.read(dataset)
        self.series: tuple[Series, ...] = read.series
        self.step = read.step
        self.layout = read.layout
        self.found: Findings = read.found
        self._places, self._groups = read.places, read.names
        self._targets = max(len(self.layout.target), 1)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.dataset.num_rows

    @cached_property
    def known(self) -> frozenset[str]:
        """Inputs that are known ahead: as set, or those with values after the last target."""
        about: dict[str, Any] = self.dataset.series or {}
        if about.get("known") is not None:
            return frozenset(about["known"])
        return frozenset(
            name
            for one in self.series
            for name, values in one.covariates.items()
            if there(values[len(one) :]).any()
        )

    def finding(
        self,
        kind: str,
        severity: Literal["wrong", "note"],
        message: str,
        cure: str,
        where: Steps = (),
    ) -> Finding:
        """A finding about the rows of these steps."""
        rows = [self._rows_of(series, steps) for series, steps in where]
        every = np.unique(np.concatenate(rows)) if rows else np.empty(0, np.int64)
        return self._view.finding(kind, severity, message, cure, every)

    def has_row(self, series: int, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """At which of these steps of a series there is a row, with a value or without."""
        keys = self._keys(series, steps)
        order, sorted_keys = self._sorted
        at = np.searchsorted(sorted_keys, keys)
        return (at < len(order)) & (sorted_keys[np.minimum(at, len(order) - 1)] == keys)

    def when(self, number: int) -> str:
        """The time of a step, for people.

        Args:
            number: as `Step.index` counts.
        """
        if self.step.unit == "count":
            return f"step {number:,}"
        seconds = self.step.times(np.array([number], np.int64))
        if self.layout.zone is not None and not self.step.is_civil:
            seconds = zones.civil(seconds, self.layout.zone)
        unit = "D" if self.step.is_civil else "ms" if self.step.unit == "millisecond" else "s"
        told = np.datetime64(round(seconds[0] * 1000), "ms").astype(f"datetime64[{unit}]")
        return str(told).replace("T", " ")

    def named(self, several: Sequence[int]) -> str:
        """The first names of some series; nothing where there is one without a name."""
        names = [self.series[one].name for one in several]
        if len(self.series) == 1 and not names[0]:
            return "the series"
        shown = names[:MOST_NAMED]
        more = len(names) - len(shown)
        return quoted(shown) if not more else f"{quoted(shown)} and {more:,} more"

    def of(self, several: Sequence[int]) -> str:
        """So many series, of all that there are, by their first names."""
        if len(self.series) == 1:
            return self.named(several)
        count = counted(len(several), "series", "series")
        return f"{count} of {len(self.series):,} ({self.named(several)})"

    def _rows_of(self, series: int, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        order, sorted_keys = self._sorted
        keys = np.unique(self._keys(series, steps))
        starts = np.searchsorted(sorted_keys, keys, "left")
        ends = np.searchsorted(sorted_keys, keys, "right")
        found = [order[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True) if a < b]
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _keys(self, series: int, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        group = series // self._targets
        return (steps + self.series[series].first - self._least) * self._width + group

    @cached_property
    def _least(self) -> int:
        return int(self._places[self._places != DROPPED].min(initial=np.iinfo(np.int64).max))

    @property
    def _width(self) -> int:
        return len(self.series) // self._targets + 1

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows in the order of a number for step and series, and these numbers."""
        rows = np.flatnonzero(self._places != DROPPED)
        keys = (self._places[rows] - self._least) * self._width + self._groups[rows]
        order = np.argsort(keys, kind="stable")
        return rows[order], keys[order]


def there(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a covariate has a value."""
    if values.dtype == object:
        return np.array([value is not None for value in values.tolist()], bool)
    return ~np.isnan(values)
