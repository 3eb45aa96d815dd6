"""How answers depend on a column: those to the same rows with each of its values in turn.

The mean over rows is partial dependence (Friedman, Greedy Function Approximation, 2001); what
single rows do around it are individual conditional expectations (Goldstein et al., Peeking Inside
the Black Box, 2015), of which eight in ten are told as a band.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from silmu.runtime.columns import CategoryColumn, DateColumn, NumberColumn, ReadColumn
from silmu.steps.evaluate.table.frame import levels_of
from silmu.steps.prepare.tables import plain_cells

if TYPE_CHECKING:
    from silmu.steps.evaluate.metrics import Scored
    from silmu.steps.evaluate.rows import Rows
    from silmu.steps.evaluate.table.scorer import TableScorer

MOST_COLUMNS = 6
MOST_ROWS = 300
POINTS, TIMES, LEVELS = 20, 6, 8
"""So many values of a column of numbers, of times, of levels."""
MOST_CURVES = 3
BAND = (0.1, 0.9)


@final
class Dependence:
    """The partial dependence of a model's answers.

    Args:
        scorer: the model.
        rows: of the test split.
        scored: what it said of them.
        seed: of the rows that are drawn.
    """

    def __init__(self, scorer: TableScorer, rows: Rows, scored: Scored, seed: int) -> None:
        self._scorer = scorer
        some = np.random.default_rng(seed).permutation(len(rows))[:MOST_ROWS]
        some.sort()
        self._count = len(some)
        self._cells = {
            one.name: plain_cells(rows.column(one.name, some)) for one in scorer.table.read
        }
        self._scales = np.ones(max(len(scorer.labels), 1))
        if scored.targets.ndim > 1 and scored.kind == "number":
            self._scales = np.maximum(scored.targets.std(axis=0, dtype=np.float64), 1e-300)

    def of(self, columns: Sequence[ReadColumn]) -> list[dict[str, Any]]:
        """The columns that matter most, those first that come first; texts are left out."""
        found: list[dict[str, Any]] = []
        for column in columns:
            if len(found) == MOST_COLUMNS:
                break
            given, told = self._values(column)
            if len(given) > 1:
                found.append(self._of(column, given, told))
        return found

    def _values(self, column: ReadColumn) -> tuple[list[Any], list[Any]]:
        """Values of a column as cells, and as the report tells them."""
        cells = self._cells[column.name]
        if isinstance(column, NumberColumn):
            known = column.found(cells)[0]
            known = known[~np.isnan(known)]
            if not len(known):
                return [], []
            points = np.quantile(known, np.linspace(0.02, 0.98, POINTS), method="nearest")
            values = np.unique(points).tolist()
            return values, values
        if isinstance(column, DateColumn):
            seconds = column.found(cells).seconds
            seconds = seconds[~np.isnan(seconds)]
            if not len(seconds):
                return [], []
            points = np.unique(
                np.quantile(seconds, np.linspace(0.05, 0.95, TIMES), method="nearest")
            )
            times = [datetime.fromtimestamp(point, UTC) for point in points.tolist()]
            given = times if column.zoned else [time.replace(tzinfo=None) for time in times]
            return list(given), [time.date().isoformat() for time in times]
        if isinstance(column, CategoryColumn):
            levels = Counter(levels_of(cells))
            often = [level for level, _ in levels.most_common(LEVELS)]
            return list(often), list(often)
        return [], []

    def _of(self, column: ReadColumn, given: list[Any], told: list[Any]) -> dict[str, Any]:
        repeated = {name: [*values] * len(given) for name, values in self._cells.items()}
        repeated[column.name] = [value for value in given for _ in range(self._count)]
        outputs = self._scorer.answers(repeated).outputs.astype(np.float64)
        answers = outputs.reshape(len(given), self._count, -1)
        means = answers.mean(axis=1)
        low, high = np.quantile(answers, BAND, axis=1)
        return {
            "column": column.name,
            "kind": column.kind,
            "rows": self._count,
            "at": told,
            "curves": [
                {
                    "of": self._name(i),
                    "mean": means[:, i].tolist(),
                    "low": low[:, i].tolist(),
                    "high": high[:, i].tolist(),
                }
                for i in self._chosen(means)
            ],
        }

    def _chosen(self, means: NDArray[np.float64]) -> list[int]:
        """The labels or targets whose answers move the most; of two labels the second."""
        if len(self._scorer.labels) == 2 and self._scorer.kind != "multiple":
            return [1]
        moved = np.ptp(means, axis=0) / self._scales
        return np.argsort(-moved, kind="stable")[:MOST_CURVES].tolist()

    def _name(self, i: int) -> str | None:
        names = self._scorer.labels or self._scorer.targets
        return names[i] if names else None
