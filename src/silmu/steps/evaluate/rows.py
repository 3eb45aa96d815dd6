"""The rows that were answered and whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate.scoring import Passed


@final
class Rows:
    """Rows of a dataset with what a model said of them.

    Attributes:
        dataset: whose rows they are.
        columns: that the model was asked.
        places: of the rows in the dataset.
        numbers: of the rows in the source, from 1.
        targets, outputs, spans: as in `Scored`.
        seen: what was noticed of them.
        failed: rows that could not be answered, and why.
    """

    def __init__(
        self,
        dataset: Dataset,
        columns: Sequence[str],
        places: NDArray[np.int64],
        targets: NDArray[Any],
        passed: Passed,
        known: NDArray[np.bool_] | None = None,
    ) -> None:
        outputs = passed.outputs
        kept = ~np.isnan(outputs if outputs.ndim == 1 else outputs.sum(axis=1))
        if known is not None:
            kept &= known
        self.dataset = dataset
        self.columns = tuple(columns)
        numbers = dataset.row_numbers[places]
        self.failed = [{"row": int(numbers[i]), "error": error} for i, error in passed.failed]
        self.places = places[kept]
        self.numbers = numbers[kept]
        self.targets = targets[kept]
        self.outputs = outputs[kept]
        self.spans = None if passed.spans is None else passed.spans[kept]
        self.seen = passed.seen.take(np.flatnonzero(kept))

    def __len__(self) -> int:
        return len(self.places)

    def batch(self, rows: NDArray[np.int64]) -> pa.Table:
        """What the model was asked of some of them."""
        return self.dataset.take(self.places[rows], self.columns)

    def column(self, name: str, rows: NDArray[np.int64] | None = None) -> pa.Array:
        """One column of all, or of some of them."""
        places = self.places if rows is None else self.places[rows]
        return self.dataset.take(places, [name]).column(0).combine_chunks()

    def others(self) -> dict[str, Sequence[Any]]:
        """The columns that are neither asked nor told, and may tell rows apart, by name."""
        roles = self.dataset.roles
        used = {*self.columns, *roles.input, *roles.target, roles.split}
        found: dict[str, Sequence[Any]] = {}
        for name, kind in zip(self.dataset.schema.names, self.dataset.schema.types, strict=True):
            if pa.types.is_dictionary(kind):
                kind = kind.value_type
            plain = pa.types.is_string(kind) or pa.types.is_large_string(kind)
            if name not in used and (
                plain or pa.types.is_boolean(kind) or pa.types.is_integer(kind)
            ):
                found[name] = self.column(name).to_pylist()
        return found
