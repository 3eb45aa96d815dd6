"""What is noticed of the rows of a table while they are asked.

Which columns have odd cells is kept, and no cell: warnings are in model cards, which are published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu.steps.evaluate.scoring import Answers

NAMED = 5
"""So many of the columns with odd cells are named."""


@dataclass
class RowsSeen:
    """What the model found odd about rows.

    Attributes:
        columns: that it reads.
        rows: how many there are.
        flagged: by the place of a row the numbers of its columns with a cell that looks like none
            of the training.
    """

    columns: Sequence[str]
    rows: int = 0
    flagged: dict[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])

    def add(self, batch: pa.Table, answers: Answers) -> None:
        """Notices one batch more."""
        for place, sentences in answers.flags.items():
            found = tuple(
                number
                for number, name in enumerate(self.columns)
                if any(one.startswith(f"`{name}`: ") for one in sentences)
            )
            self.flagged[self.rows + place] = found
        self.rows += len(batch)

    def take(self, rows: NDArray[np.int64]) -> RowsSeen:
        """Of some of the rows."""
        kept: Mapping[int, int] = {row: place for place, row in enumerate(rows.tolist())}
        flagged = {kept[row]: found for row, found in self.flagged.items() if row in kept}
        return RowsSeen(self.columns, len(rows), flagged)

    @property
    def facts(self) -> dict[str, int]:
        """How many rows are odd."""
        return {"flagged": len(self.flagged)}

    @property
    def warnings(self) -> list[str]:
        """That some rows are odd, and in which columns."""
        if not self.flagged:
            return []
        counts = Counter(number for found in self.flagged.values() for number in found)
        named = ", ".join(f"`{self.columns[i]}` ({n:,})" for i, n in counts.most_common(NAMED))
        more = f" and {len(counts) - NAMED:,} more columns" if len(counts) > NAMED else ""
        return [
            f"{len(self.flagged):,} of {self.rows:,} rows have cells that look like none of the "
            f"training, in {named}{more}"
        ]
