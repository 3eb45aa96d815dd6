"""A model that reads rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu.errors import UsageError
from silmu.runtime.columns import CategoryColumn, NumberColumn
from silmu.runtime.table import Table
from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate import details
from silmu.steps.evaluate.baselines import Baseline
from silmu.steps.evaluate.metrics import Scored
from silmu.steps.evaluate.rows import Rows
from silmu.steps.evaluate.scoring import Answers, Passed, Scorer
from silmu.steps.evaluate.slices import Part, by_quantile, by_value
from silmu.steps.evaluate.table import drift
from silmu.steps.evaluate.table.dependence import Dependence
from silmu.steps.evaluate.table.fitting import cells_of, fitted
from silmu.steps.evaluate.table.frame import levels_of
from silmu.steps.evaluate.table.importance import Importance
from silmu.steps.evaluate.table.occlusion import occluded, shown
from silmu.steps.evaluate.table.seen import RowsSeen
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.tables import plain_cells

SLICED = 8
"""So many of the columns that matter most are sliced by."""

MOST_SLICED = 100_000
"""Rows that slices are told of at most."""


@final
class TableScorer(Scorer):
    """A model that reads rows of a table, by the names of its columns."""

    many: ClassVar[str] = "rows"
    strong: ClassVar[str] = "boosted_trees"

    def __init__(self, pipe: Any) -> None:
        self.table: Table = pipe.table
        super().__init__(pipe)

    def _kind(self) -> str:
        return self.table.kind

    def columns(self, dataset: Dataset) -> tuple[str, ...]:
        """The columns that tell something."""
        names = tuple(one.name for one in self.table.read)
        there: list[str] = dataset.schema.names
        if lacking := [name for name in names if name not in there]:
            raise UsageError(
                f"the data has no {', '.join(f'`{name}`' for name in lacking)}; it has "
                f"{', '.join(f'`{name}`' for name in there)}",
                hint="the model was trained on it: rename a column, or give one that is empty",
            )
        return names

    def ask(self, batch: pa.Table) -> Answers:
        """The answers to some rows."""
        return self.answers(cells_of(batch))

    def answers(self, cells: Mapping[str, Sequence[Any]]) -> Answers:
        """The answers to rows that are given as columns."""
        if self.kind == "number":
            return self._numbers(self.pipe(cells))
        told: list[Any] = self.pipe(cells, top_k=None)
        flags = {i: one[0]["flags"] for i, one in enumerate(told) if "flags" in one[0]}
        return Answers(self.labelled(told), flags=flags)

    def seen(self) -> RowsSeen:
        """Nothing yet."""
        return RowsSeen([one.name for one in self.table.read])

    def baselines(self, prepared: Prepared, seed: int) -> dict[str, Baseline]:
        """The most frequent answer, a linear model, and gradient-boosted trees."""
        return fitted(self.table, prepared, seed)

    def details(
        self, rows: Rows, scored: Scored, groups: NDArray[np.int64] | None, seed: int
    ) -> dict[str, Any]:
        """What columns matter and how, parts by them, and what single answers hang on."""
        importance = Importance(self, rows, scored, groups, seed)
        order, helping = importance.order, importance.helping
        read = {one.name: one for one in self.table.read}
        dependence = Dependence(self, rows, scored, seed)

        def worst(places: NDArray[np.int64]) -> list[dict[str, Any]]:
            return shown(cells_of(rows.batch(places)), order)

        def explained(places: NDArray[np.int64], of: list[int]) -> list[dict[str, Any] | None]:
            cells = cells_of(rows.batch(places))
            return [*occluded(self.answers, cells, [read[name] for name in order], of)]

        names, numbers = self.labels or self.targets, rows.numbers
        return {
            "importance": importance.found,
            "dependence": dependence.of([read[name] for name in helping]),
            **self._slices(rows, scored, groups, order, seed),
            "worst": details.worst(scored, names, numbers, worst),
            "attributions": details.attributions(scored, names, numbers, explained),
        }

    def drift(
        self, dataset: Dataset, passed: Passed, model: Path
    ) -> tuple[dict[str, Any], list[str]]:
        """How columns differ from those of the training, which the model folder tells of."""
        del passed
        return drift.compared(self.table, dataset, model)

    def _numbers(self, answers: Sequence[Mapping[str, Any]]) -> Answers:
        def listed(value: Any) -> list[float]:
            return [value[name] for name in self.targets] if self.targets else [value]

        flags = {i: one["flags"] for i, one in enumerate(answers) if "flags" in one}
        outputs = np.array([listed(one["prediction"]) for one in answers], np.float64)
        outputs = outputs.reshape(len(answers), len(self.targets) or 1)
        spans = None
        if answers and answers[0]["low"] is not None:
            ends = [[listed(one["low"]), listed(one["high"])] for one in answers]
            spans = np.array(ends, np.float64).swapaxes(1, 2)
        return Answers(outputs if self.targets else outputs[:, 0], spans, flags)

    def _slices(
        self,
        rows: Rows,
        scored: Scored,
        groups: NDArray[np.int64] | None,
        order: Sequence[str],
        seed: int,
    ) -> dict[str, Any]:
        some = np.arange(len(rows))
        if len(some) > MOST_SLICED:
            some = np.sort(np.random.default_rng(seed).permutation(some)[:MOST_SLICED])
        read = {one.name: one for one in self.table.read}
        parts: list[Part] = []
        for name in order[:SLICED]:
            column = read[name]
            if isinstance(column, NumberColumn):
                parts += by_quantile(name, column.found(plain_cells(rows.column(name, some)))[0])
            elif isinstance(column, CategoryColumn):
                levels = levels_of(plain_cells(rows.column(name, some)))
                parts += by_value({name: levels})
        places: list[int] = some.tolist()
        others = {k: [values[i] for i in places] for k, values in rows.others().items()}
        parts += by_value(others)
        own = None if groups is None else groups[some]
        return {
            "slices": details.by_part(scored.take(some), parts, own),
            "sliced": len(some),
        }
