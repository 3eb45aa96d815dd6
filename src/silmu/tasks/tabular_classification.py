"""Learn to sort rows of a table into labels: yes or no, a species, a grade, several at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from silmu.errors import UnknownNameError
from silmu.tasks._tabular import Tabular, TabularConfig

LABELS = ("auto", "single", "multiple", "ordered")


@dataclass(frozen=True, kw_only=True)
class TabularClassificationConfig(TabularConfig):
    """What can be set. `None` is decided by the network and the data, and then in run.toml."""

    labels: str = "auto"
    """`single`, `multiple` (several at once), `ordered` (grades), or `auto`."""
    order: str | None = None
    """The labels of `ordered` from first to last, with commas between; numbers need none."""


@final
class TabularClassification(Tabular):
    """Rows of a table in, labels out.

    >>> import silmu
    >>> data = "titanic.csv"
    >>> run = silmu.train("tabular-classification", data=data, target="survived")  # doctest: +SKIP
    """

    name = "tabular-classification"
    answers = "labels"
    Config = TabularClassificationConfig

    def of_prepare(self) -> dict[str, Any]:
        """The settings of the prepare step.

        Raises:
            UnknownNameError: `labels` is none of LABELS.
        """
        config: Any = self.config
        if config.labels not in LABELS:
            raise UnknownNameError(
                f"labels is {config.labels!r}; it may be {', '.join(LABELS)}",
                hint="numbers are told by tabular-regression",
            )
        labels = "names" if config.labels == "auto" else config.labels
        return {**self.config.of_prepare(), "labels": labels, "order": config.order}
