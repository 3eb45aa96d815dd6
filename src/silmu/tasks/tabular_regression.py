"""Learn to tell numbers of rows of a table: a price, a consumption, several at once."""

from __future__ import annotations

from typing import Any, final

from silmu.tasks._tabular import Tabular, TabularConfig


@final
class TabularRegression(Tabular):
    """Rows of a table in, a number out for each target.

    >>> import silmu
    >>> run = silmu.train("tabular-regression", data="cars.csv", target="mpg")  # doctest: +SKIP
    """

    name = "tabular-regression"
    answers = "numbers"
    Config = TabularConfig

    def of_prepare(self) -> dict[str, Any]:
        """The settings of the prepare step."""
        return {**self.config.of_prepare(), "labels": "numbers"}
