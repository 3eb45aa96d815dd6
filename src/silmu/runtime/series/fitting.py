"""What is fitted to series before a network learns them, to the part that training may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import InputError, UsageError
from silmu.runtime.series import covariates as kinds
from silmu.runtime.series.filling import filled
from silmu.runtime.series.sizes import typical

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.series.covariates import Covariate
    from silmu.runtime.series.frame import Series

Seen = Sequence[tuple["Series", int]]
"""Series, and how many of their steps training may see."""


@final
@dataclass(frozen=True)
class Sorted:
    """Covariates by what is known of them."""

    known: tuple[Covariate, ...]
    past: tuple[Covariate, ...]
    static: tuple[Covariate, ...]


def seen(series: Sequence[Series], ends: Mapping[str, int]) -> list[tuple[Series, int]]:
    """The series that training may see something of.

    Raises:
        InputError: there are none.
    """
    cut = [(one, min(ends.get(one.name, 0), len(one))) for one in series]
    found = [(one, end) for one, end in cut if end > 0]
    if not found:
        raise InputError(
            "no series has a step for training", hint="give longer series, or smaller splits"
        )
    return found


def covariates(of: Seen, names: Sequence[str], known: Sequence[str] | None) -> Sorted:
    """The covariates that tell something, fitted to what was seen.

    Args:
        of: the series.
        names: of their covariates.
        known: those that are known ahead; those that have values after the last target of each
            series, if not given.

    Raises:
        UsageError: `known` names no covariate.
    """
    if known is not None and (odd := [one for one in known if one not in names]):
        raise UsageError(
            f"known names `{odd[0]}`, which is no covariate; there are "
            f"{', '.join(f'`{name}`' for name in names) or 'none'}",
            hint="name the column in input as well",
        )
    found: dict[str, list[Covariate]] = {"known": [], "past": [], "static": []}
    for name in names:
        cut = [one.covariates[name][:end] for one, end in of]
        covariate = kinds.fit(name, cut)
        if covariate is None:
            continue
        if kinds.is_static(
            [part[one.observed[:end]] for part, (one, end) in zip(cut, of, strict=True)]
        ):
            kind = "static"
        elif known is None:
            kind = "known" if all(_is_ahead(one, covariate) for one, _ in of) else "past"
        else:
            kind = "known" if name in known else "past"
        found[kind].append(covariate)
    return Sorted(*(tuple(several) for several in found.values()))


def scales(of: Seen, context: int, normalise: str) -> tuple[dict[str, float], float]:
    """By what windows of each series are usually divided, and those of series that do not move."""
    usual = {
        one.name: typical(filled(one.values[:end], "last"), one.observed[:end], context, normalise)
        for one, end in of
    }
    moving = [one for one in usual.values() if one > 0]
    default = float(np.median(moving)) if moving else 1.0
    return {name: value or default for name, value in usual.items()}, default


def floor(of: Seen) -> float | None:
    """0, where nothing that was seen is below it, as of counts and prices; else None."""
    seen_of = (one.values[:end][one.observed[:end]] for one, end in of)
    return 0.0 if all((values >= 0).all() for values in seen_of) else None


def span(of: Seen) -> int:
    """How many steps lie between the first and the last that was seen of any series."""
    return max(one.first + end for one, end in of) - min(one.first for one, _ in of)


def _is_ahead(one: Series, covariate: Covariate) -> bool:
    after: NDArray[Any] = one.covariates[covariate.name][len(one) :]
    return bool(len(after)) and not covariate.missing(after).all()
