"""Rows and series by their names, as errors tell of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 3
"""Rows that are named beside the first one."""

_LONGEST = 60


@dataclass(frozen=True)
class Rows:
    """What rows are called.

    >>> rows = Rows(np.array([1, 2, 3]), np.array([0, 0, 1]), ("Seoul", "Busan"))
    >>> rows.one(2), rows.likewise(np.array([0, 1, 2]))
    ('row 3 of `Busan`', '; rows 2 and 3 likewise')

    Attributes:
        numbers: (rows,) of each.
        series: (rows,) whose each is.
        names: of the series, "" where there is one without a name.
    """

    numbers: NDArray[np.int64]
    series: NDArray[np.int64]
    names: tuple[str, ...]

    def one(self, place: int) -> str:
        """A row and its series."""
        name = self.names[int(self.series[place])]
        return f"row {self.numbers[place]}{f' of {quoted(name)}' if name else ''}"

    def several(self, places: NDArray[np.int64]) -> str:
        """Some rows, without their series."""
        numbers = [str(number) for number in self.numbers[places[: MOST + 1]].tolist()]
        if len(places) == 1:
            return f"row {numbers[0]}"
        if len(places) > MOST + 1:
            return f"rows {', '.join(numbers)} and {len(places) - MOST - 1} more"
        return f"rows {', '.join(numbers[:-1])} and {numbers[-1]}"

    def likewise(self, places: NDArray[np.int64]) -> str:
        """What is said of all but the first of some rows."""
        return f"; {self.several(places[1:])} likewise" if len(places) > 1 else ""


def quoted(value: Any) -> str:
    """A cell or a name as errors tell it.

    >>> quoted("soon"), quoted("x" * 100)[-6:]
    ('`soon`', 'xx...`')
    """
    text = str(value)
    return f"`{text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}`"


def moment(seconds: float) -> str:
    """A civil time, without a clock that is at midnight, and without milliseconds that are 0.

    >>> moment(0.0), moment(60.0), moment(0.1)
    ('1970-01-01', '1970-01-01 00:01:00', '1970-01-01 00:00:00.100')
    """
    text = str(np.datetime64(round(seconds * 1000), "ms")).replace("T", " ")
    return text.removesuffix(".000").removesuffix(" 00:00:00")
