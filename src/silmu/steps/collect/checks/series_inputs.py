"""Covariates of series: what they give away of the target, and what is missing of them ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from silmu.steps.collect.checks.sequence import Sequences, there
from silmu.steps.collect.checks.view import Finding
from silmu.steps.collect.series import constant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.series.frame import Series

_FEWEST = 30  # steps with both
_MOST_SERIES = 50  # that are looked at
_MOST_STEPS = 5000
_LEFT = 0.1  # of the changes from step to step: what a covariate may leave untold of the target
_FARTHEST = 24  # steps that a covariate may be ahead


def check(seen: Sequences) -> list[Finding]:
    """Everything about the covariates."""
    return [*_leaks(seen), *_missing_ahead(seen), *_constant(seen)]


def _leaks(seen: Sequences) -> list[Finding]:
    """Covariates that are the target, of the same step or of a later one."""
    found: list[Finding] = []
    for name in seen.layout.input:
        ahead = _ahead(seen, name)
        if ahead is None:
            continue
        is_known = name in seen.known
        severity: Literal["wrong", "note"] = "wrong" if ahead or is_known else "note"
        if ahead:
            what = f"the target {ahead} step{'' if ahead == 1 else 's'} later"
            kind, cure = "from the future", "take it out of --input, or lay it on the right times"
        elif is_known:
            what = "the target of the same step, and said to be known ahead"
            kind = "gives the target away"
            cure = "would it be known before the target is? If not, `--set known=` without it"
        else:
            what = "the target of the same step"
            kind = "target as an input"
            cure = "take it out of --input: the network reads the target's past anyway"
        found.append(seen.finding(kind, severity, f"`{name}` is {what}, or a multiple of it", cure))
    return found


def _ahead(seen: Sequences, name: str) -> int | None:
    """By how many steps a covariate tells the target ahead, 0 for not at all; None: it is none."""
    votes: list[int | None] = []
    for one in seen.series[:_MOST_SERIES]:
        covariate = one.covariates[name]
        if covariate.dtype == object:
            return None
        steps = min(len(one), _MOST_STEPS)
        y, x = one.values[-steps:], covariate[len(one) - steps : len(one)]
        if (~np.isnan(x) & ~np.isnan(y)).sum() >= _FEWEST:
            votes.append(_lag(y, x))
    told = [vote for vote in votes if vote is not None]
    if not told or len(told) < 0.9 * len(votes):
        return None
    return max(set(told), key=told.count)


def _lag(y: NDArray[np.float64], x: NDArray[np.float64]) -> int | None:
    for lag in range(min(_FARTHEST, len(y) - _FEWEST) + 1):
        a, b = x[: len(x) - lag], y[lag:]
        both = ~np.isnan(a) & ~np.isnan(b)
        if both.sum() >= _FEWEST and _tells(a[both], b[both]):
            return lag
    return None


def _tells(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Whether a straight line of one gives the other, but for a part of its changes."""
    changes = float(np.diff(y).std())
    spread = float(x.std())
    if not changes or spread <= 1e-12 * max(1.0, float(np.abs(x).max())):
        return False
    slope = float(((x - x.mean()) * (y - y.mean())).mean()) / spread**2
    left = y - y.mean() - slope * (x - x.mean())
    return float(left.std()) < _LEFT * changes


def _missing_ahead(seen: Sequences) -> list[Finding]:
    """Covariates that are known ahead, without a value after the end of a series."""
    found: list[Finding] = []
    names = [name for name in seen.layout.input if name in seen.known]
    lacking = {name: _without(seen, name) for name in names}
    for name, several in lacking.items():
        if several:
            found.append(
                seen.finding(
                    "not known ahead",
                    "note",
                    f"`{name}` is known ahead, and has no value after the end of "
                    f"{seen.of(several)}",
                    "give rows after the end, with it and an empty target, when the model is used",
                )
            )
    return found


def _without(seen: Sequences, name: str) -> list[int]:
    return [index for index, one in enumerate(seen.series) if not _reaches(one, name)]


def _reaches(one: Series, name: str) -> bool:
    values = one.covariates[name]
    if there(values[len(one) :]).any():
        return True
    held = values[there(values)]
    # What never changes is known of itself.
    return len(held) > 0 and all(value == held[0] for value in held.tolist())


def _constant(seen: Sequences) -> list[Finding]:
    """Covariates that are the same in all steps of all series."""
    return [
        seen.finding(
            "constant covariate",
            "note",
            f"`{name}` never changes, so it tells nothing",
            "prepare leaves it out; is the source whole?",
        )
        for name in constant(seen.series, seen.layout.input)
    ]
