"""What may be set of an algorithm, and in what range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from silmu.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@final
@dataclass(frozen=True)
class Setting:
    """A number, or one of some names.

    Attributes:
        default: None where it follows from others.
        low, high: of a number, the smallest and the largest.
        is_whole: whether it is a whole number.
        names: those that are allowed, of what is no number.
    """

    default: Any
    low: float = 0.0
    high: float = float("inf")
    is_whole: bool = False
    names: tuple[str | bool, ...] = ()

    def checked(self, name: str, value: Any) -> Any:
        """The value, if it is one.

        Raises:
            UsageError: it is not.
        """
        if value is None and self.default is None:
            return None
        if self.names:
            if value not in self.names:
                allowed = ", ".join(map(str, self.names))
                raise UnknownNameError(f"{name} is {value!r}; it may be {allowed}")
            return value
        kind = int if self.is_whole else int | float
        if isinstance(value, bool) or not isinstance(value, kind):
            told = "a whole number" if self.is_whole else "a number"
            raise UsageError(f"{name} is {value!r}; it must be {told}")
        if not self.low <= value <= self.high:
            most = f" and at most {self.high:g}" if self.high < float("inf") else ""
            raise UsageError(f"{name} is {value}; it must be at least {self.low:g}{most}")
        return value


def checked(given: Mapping[str, Any], settings: Mapping[str, Setting]) -> dict[str, Any]:
    """All settings of an algorithm, those that were not given by their defaults.

    >>> checked({"gamma": 0.9}, {"gamma": Setting(0.99, 0, 1), "tau": Setting(0.005, 0, 1)})
    {'gamma': 0.9, 'tau': 0.005}

    Raises:
        UsageError: one is unknown, of another type, or out of its range.
    """
    if unknown := [name for name in given if name not in settings]:
        raise UnknownNameError(
            f"there is no setting {unknown[0]!r}; there are {', '.join(sorted(settings))}"
        )
    return {name: one.checked(name, given.get(name, one.default)) for name, one in settings.items()}
