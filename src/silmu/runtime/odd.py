"""Cells that look like none of the training: flagged, refused, or taken for missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLICIES = ("flag", "error", "impute")
"""What becomes of a cell that looks like none of the training: it is said, refused, or taken for
missing."""

_LONGEST_SHOWN = 40


class Odd:
    """What is done about odd cells, and what was.

    Args:
        policy: one of POLICIES.
        first: the number of the first row, as it is called in an error.
    """

    def __init__(self, policy: str, first: int = 1) -> None:
        self.policy = policy
        self.first = first
        self.flags: dict[int, list[str]] = {}

    def tell(
        self, name: str, values: Sequence[Any], which: NDArray[np.bool_], sentence: str
    ) -> bool:
        """Says, refuses, or tells the caller (by True) to take these cells for missing.

        Raises:
            InputError: a cell is odd, and the policy is `error`.
        """
        places = np.flatnonzero(which).tolist()
        if self.policy == "impute" or not places:
            return self.policy == "impute"
        if self.policy == "error":
            i = places[0]
            raise InputError(
                f"row {self.first + i}: {_said(name, values[i], sentence)}",
                hint='odd="flag" answers and says it; odd="impute" takes the cell for missing',
            )
        for i in places:
            self.flags.setdefault(i, []).append(_said(name, values[i], sentence))
        return False


def _said(name: str, value: Any, sentence: str) -> str:
    plain = cast("Any", value).item() if isinstance(value, np.generic) else value
    shown = repr(plain)
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[:_LONGEST_SHOWN]}..."
    return f"`{name}`: {sentence.format(value=shown)}"
