"""Tell numbers of rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import UsageError
from silmu.pipelines._tabular import TabularPipeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.table import Reading

ARCHITECTURES = ("ForTabularRegression",)
DEFAULT_MODEL = (None, None)


@final
class TabularRegressionPipeline(TabularPipeline):
    """A number for each row, or several, and between which numbers the true one is to be expected.

    >>> tell = pipeline("tabular-regression", model="runs/auto-mpg/4-model")     # doctest: +SKIP
    >>> tell({"cyl": 4, "hp": 88, "weight": 2130})                               # doctest: +SKIP
    {'prediction': 30.1..., 'low': 26.0..., 'high': 35.2...}

    Nine of ten true numbers lay between low and high, by as much as they missed the answers of the
    validation split. With several targets all three are dicts by their names.

    Args:
        inputs: a dict, a list of dicts, a dict of lists, or a data frame.
        odd: what becomes of a cell that looks like none of the training: `flag` answers and adds
            `flags` to the answer, `error` refuses, `impute` takes the cell for missing.

    Raises:
        MissingKeyError: a column is not there, unless odd is `impute`.
        InputError: what is given are no rows; or a cell is odd, and odd is `error`.
    """

    head = "tabular-regression"

    def _sanitize_parameters(
        self, odd: str | None = None, **parameters: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if parameters:
            raise UsageError(
                f"tabular-regression has no parameter {', '.join(parameters)}", hint="it has odd"
            )
        return super()._sanitize_parameters(odd=odd)

    def _outputs(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        return logits.astype(np.float64)

    def _told(
        self, logits: NDArray[np.float32], reading: Reading, **parameters: Any
    ) -> Iterator[Any]:
        del parameters
        wide = self._outputs(logits)
        between = self.table.interval
        ends = [None, None]
        if between is not None:
            ends = [wide + np.array([pair[i] for pair in between]) for i in (0, 1)]
        names = [self.model.config.id2label[i] for i in range(wide.shape[1])]
        for i, own in enumerate(wide.tolist()):
            low, high = (None if end is None else end[i].tolist() for end in ends)
            found = {"prediction": own, "low": low, "high": high}
            answer: dict[str, Any] = {
                key: None
                if value is None
                else (value[0] if len(names) == 1 else dict(zip(names, value, strict=True)))
                for key, value in found.items()
            }
            if flags := reading.flags.get(i):
                answer["flags"] = flags
            yield answer
