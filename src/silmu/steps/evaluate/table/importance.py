"""Which columns matter: what the metric loses when the cells of one are shuffled.

Breiman, Random Forests, 2001; Fisher, Rudin and Dominici, All Models are Wrong, but Many are
Useful, 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.intervals import FEWEST_RESAMPLES, percentiles, resample
from silmu.steps.evaluate.metrics import (
    LOWER_IS_BETTER,
    Scored,
    measure_primary,
    primary_sums,
    total,
)
from silmu.steps.prepare.tables import plain_cells

if TYPE_CHECKING:
    from silmu.steps.evaluate.rows import Rows
    from silmu.steps.evaluate.table.scorer import TableScorer

REPEATS = 5

MOST_ROWS = 5000
MOST_CELLS = 20_000_000
"""Rows that are shuffled, and cells that are read on the way, at most; so the time is bounded."""

MOST_COLUMNS = 100
"""Of more columns those are measured whose shuffling changes the answers to some rows the most."""

FEW_ROWS = 64
"""The rows that tell which columns these are."""

AT_ONCE = 8192


@final
class Importance:
    """The permutation importance of the columns that a model reads.

    Args:
        scorer: the model.
        rows: of the test split.
        scored: what it said of them.
        groups: which rows belong together.
        seed: of the shuffles and the resamples.
    """

    def __init__(
        self,
        scorer: TableScorer,
        rows: Rows,
        scored: Scored,
        groups: NDArray[np.int64] | None,
        seed: int,
    ) -> None:
        self._scorer = scorer
        self._seed = seed
        everything = [one.name for one in scorer.table.read]
        measured = self._measured(everything, rows)
        width = max(len(everything), 1)
        most = min(MOST_ROWS, max(FEW_ROWS, MOST_CELLS // (REPEATS * width * len(measured))))
        some = _some(len(rows), most, seed)
        self._cells = {name: plain_cells(rows.column(name, some)) for name in everything}
        self._scored = scored.take(some)
        self._groups = None if groups is None else groups[some]
        work = scorer.progress.work("columns shuffled", len(measured))
        found: list[dict[str, Any]] = []
        for i, name in enumerate(measured):
            found.append(self._of(name, i))
            work.done()
        found.sort(key=lambda one: -one["value"])
        self.found: dict[str, Any] = {
            "metric": scored.metric,
            "rows": len(some),
            "repeats": REPEATS,
            "columns": found,
            "left_out": len(everything) - len(measured),
        }
        """As in metrics.json."""
        self.helping: list[str] = [one["column"] for one in found if one["value"] > 0]
        """Columns whose cells help, those that matter most first."""
        known = [one["column"] for one in found]
        self.order: list[str] = [*known, *(name for name in everything if name not in {*known})]
        """All columns, those that matter most first."""

    def _measured(self, names: Sequence[str], rows: Rows) -> list[str]:
        if len(names) <= MOST_COLUMNS:
            return list(names)
        some = _some(len(rows), FEW_ROWS, self._seed)
        cells = {name: plain_cells(rows.column(name, some)) for name in names}
        own = self._scorer.answers(cells).outputs
        changes: list[float] = []
        for i, name in enumerate(names):
            order = np.random.default_rng((self._seed, i)).permutation(len(some))
            shuffled = self._scorer.answers({**cells, name: _taken(cells[name], order)}).outputs
            changes.append(float(np.abs(shuffled - own).mean()))
        most = np.sort(np.argsort(-np.array(changes), kind="stable")[:MOST_COLUMNS])
        places: list[int] = most.tolist()
        return [names[i] for i in places]

    def _of(self, name: str, number: int) -> dict[str, Any]:
        """What the metric loses without one column, with its interval and each shuffle's loss."""
        scored, kind = self._scored, self._scored.kind
        tables = [primary_sums(scored)]
        for repeat in range(REPEATS):
            random = np.random.default_rng((self._seed, number, repeat))
            order = random.permutation(len(scored))
            cells = {**self._cells, name: _taken(self._cells[name], order)}
            outputs = self._answered(cells)
            shuffled = Scored.of(kind, scored.targets, outputs, self._scorer.thresholds)
            tables.append(primary_sums(shuffled))
        sign = -1 if scored.metric in LOWER_IS_BETTER else 1
        own, *others = (measure_primary(kind, total(table)) for table in tables)
        losses = [sign * float(own - other) for other in others]
        drawn = resample(tables, self._groups, seed=self._seed, resamples=FEWEST_RESAMPLES)
        again, *shuffles = (measure_primary(kind, table) for table in drawn)
        units = len(scored) if self._groups is None else len(np.unique(self._groups))
        low, high = percentiles(sign * (again - np.mean(shuffles, axis=0)), units)
        value = float(np.mean(losses))
        return {
            "column": name,
            "value": value,
            "low": min(low, value),
            "high": max(high, value),
            "repeats": losses,
        }

    def _answered(self, cells: Mapping[str, Sequence[Any]]) -> NDArray[Any]:
        count = len(self._scored)
        parts = [
            self._scorer.answers({k: v[i : i + AT_ONCE] for k, v in cells.items()}).outputs
            for i in range(0, count, AT_ONCE)
        ]
        return np.concatenate(parts)


def _some(count: int, most: int, seed: int) -> NDArray[np.int64]:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def _taken(values: Any, order: NDArray[np.int64]) -> Any:
    return values[order] if hasattr(values, "dtype") else [values[i] for i in order.tolist()]
