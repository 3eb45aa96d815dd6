"""Sort rows of a table into labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import UsageError
from silmu.pipelines._tabular import TabularPipeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.table import Reading

ARCHITECTURES = ("ForTabularClassification",)
DEFAULT_MODEL = (None, None)


@final
class TabularClassificationPipeline(TabularPipeline):
    """Labels of rows.

    >>> classify = pipeline(model="runs/titanic/4-model")                # doctest: +SKIP
    >>> classify({"age": 29, "sex": "female", "pclass": 1})              # doctest: +SKIP
    {'label': '1', 'score': 0.97...}

    Args:
        inputs: a dict, a list of dicts, a dict of lists, or a data frame.
        top_k: how many labels to give, best first; None gives all, and any number gives a list.
        odd: what becomes of a cell that looks like none of the training: `flag` answers and adds
            `flags` to the answer, `error` refuses, `impute` takes the cell for missing.

    Raises:
        MissingKeyError: a column is not there, unless odd is `impute`.
        InputError: what is given are no rows; or a cell is odd, and odd is `error`.
    """

    head = "tabular-classification"

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """For a model of several labels at once, from which score on each is given."""
        return self.table.thresholds

    def _sanitize_parameters(
        self, odd: str | None = None, top_k: int | str | None = "", **parameters: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        is_whole = isinstance(top_k, int) and not isinstance(top_k, bool)
        if top_k not in ("", None) and (not is_whole or int(top_k) < 1):
            raise UsageError(
                f"top_k is {top_k!r}; it must be a whole number from 1 on, or None for all"
            )
        if parameters:
            raise UsageError(
                f"tabular-classification has no parameter {', '.join(parameters)}",
                hint="it has top_k and odd",
            )
        before, forward, after = super()._sanitize_parameters(odd=odd)
        return before, forward, after | ({} if top_k == "" else {"top_k": top_k})

    def _outputs(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        wide = logits.astype(np.float64)
        if self.table.kind == "multiple":
            return 1 / (1 + np.exp(-wide))
        raised = np.exp(wide - wide.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    def _told(
        self, logits: NDArray[np.float32], reading: Reading, **parameters: Any
    ) -> Iterator[Any]:
        top_k: Any = parameters.get("top_k", "")
        scores = self._outputs(logits)
        labels = self.model.config.id2label
        names = [labels[i] for i in range(scores.shape[1])]
        order = np.argsort(-scores, axis=1, kind="stable")
        for i, (own, places) in enumerate(zip(scores.tolist(), order.tolist(), strict=True)):
            said = {"flags": flags} if (flags := reading.flags.get(i)) else {}
            if top_k == "":
                yield {"label": names[places[0]], "score": own[places[0]], **said}
            else:
                yield [{"label": names[j], "score": own[j], **said} for j in places[:top_k]]
