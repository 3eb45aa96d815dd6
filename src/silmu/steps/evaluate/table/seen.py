"""What is noticed of the rows of a table while they are asked."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu.steps.evaluate.scoring import Answers


@dataclass
class RowsSeen:
    """What the model found odd about rows.

    Attributes:
        rows: how many there are.
        flagged: the places of those with a cell that looks like none of the training.
        example: what was said of the first of them.
    """

    rows: int = 0
    flagged: list[int] = field(default_factory=list[int])
    example: str = ""

    def add(self, batch: pa.Table, answers: Answers) -> None:
        """Notices one batch more."""
        for place in sorted(answers.flags):
            self.flagged.append(self.rows + place)
            self.example = self.example or answers.flags[place][0]
        self.rows += len(batch)

    def take(self, rows: NDArray[np.int64]) -> RowsSeen:
        """Of some of the rows."""
        kept = np.isin(rows, np.array(self.flagged, np.int64))
        return RowsSeen(len(rows), np.flatnonzero(kept).tolist(), self.example)

    @property
    def facts(self) -> dict[str, int]:
        """How many rows are odd."""
        return {"flagged": len(self.flagged)}

    @property
    def warnings(self) -> list[str]:
        """That some rows are odd."""
        if not self.flagged:
            return []
        return [
            f"{len(self.flagged):,} of {self.rows:,} rows have cells that look like none of the "
            f"training, such as {self.example}"
        ]
