"""Numbers that cannot all be meant: several units in one column, numbers for none, outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.steps.collect.checks.reading import Column
from silmu.steps.collect.checks.view import Finding, View, number, share

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEWEST = 40  # numbers, below which nothing is said of them
_DIFFERENT = 15  # different ones, for them to be measured and not coded
_SAMPLE = 200_000  # numbers from which the shape is told
_LEAST = 5  # smaller ones may be counts, which begin at 0
_FACTORS = (10, 100, 1000)
_NEAR, _FARTHEST = 0.1, 0.3  # decades by which a factor may be missed
_GAP = 0.4  # of the way from one heap to the other that must be empty
_CLEAR = 0.2  # interquartile ranges between smaller numbers and the rest
_PART = 0.003  # of the numbers, at least, are of the other unit
_CODES = (9, 99, 999, 9999, 99999, 999999)
_FENCE, _FENCE_OF_LOGARITHMS = 15.0, 5.0  # interquartile ranges beyond a quartile


def check(view: View, column: Column) -> list[Finding]:
    """What is odd about the numbers of a column."""
    if column.numbers is None or column.size < _DIFFERENT:
        return []
    held = np.flatnonzero(~np.isnan(column.numbers))
    if len(held) < _FEWEST:
        return []
    step = -(-len(held) // _SAMPLE)
    some = np.sort(column.numbers[held[::step]])
    found = _codes(view, column, some)
    if found:
        return found
    return _units(view, column, some) or _outliers(view, column, some)


def _codes(view: View, column: Column, some: NDArray[np.float64]) -> list[Finding]:
    """One number at an end, far from all others and repeated, that stands for none."""
    numbers = column.numbers
    assert numbers is not None
    for end, sign in ((some[0], 1), (some[-1], -1)):
        rest = some[some != end]
        repeated = len(some) - len(rest)
        if repeated < max(3, _PART * len(some)) or len(rest) < _FEWEST:
            continue
        low, high = np.quantile(rest, (0.25, 0.75))
        nearest = rest[0] if sign > 0 else rest[-1]
        apart = abs(nearest - end)
        severity, told = "", ""
        if abs(end) in _CODES and apart >= 2 * (high - low):
            severity, told = "wrong", f"{end:g}"
        elif end == -1 and nearest >= 0:
            severity, told = "note", "-1, and else nothing below 0"
        elif end == 0 and sign > 0 and _are_clear_of_0(rest, repeated):
            severity, told = "note", f"0, and else nothing below {rest[0]:g}"
        if severity:
            rows = np.flatnonzero(numbers == end)
            return [
                view.finding(
                    "missing as a number",
                    "wrong" if severity == "wrong" else "note",
                    f"`{column.name}` is {told} in {number(len(rows), 'row')} of {view.rows:,} "
                    f"({share(len(rows), view.rows)}), far from the rest (half are between "
                    f"{low:g} and {high:g}): it seems to stand for none",
                    "leave the cells empty, if so: as a number it is learned from",
                    rows,
                )
            ]
    return []


def _are_clear_of_0(rest: NDArray[np.float64], noughts: int) -> bool:
    """Whether numbers keep so far from 0 that it is none of them, as a blood pressure does."""
    far = rest[0] >= _LEAST and np.quantile(rest, 0.01) > 0.3 * np.median(rest)
    return bool(far) and noughts <= len(rest)


def _units(view: View, column: Column, some: NDArray[np.float64]) -> list[Finding]:
    """Two heaps of numbers, alike but for a power of ten between them."""
    numbers = column.numbers
    assert numbers is not None
    positive = some[some > 0]
    if some[0] < 0 or len(positive) < _FEWEST:
        return []
    logs = np.log10(positive)
    least = max(3, int(_PART * len(logs)))
    steps = np.diff(logs)[least - 1 : len(logs) - least]
    if not len(steps):
        return []
    cut = least + int(steps.argmax())
    lower, upper = logs[:cut], logs[cut:]
    apart = float(np.median(upper) - np.median(lower))
    few, many = sorted((lower, upper), key=len)
    spread = _spread(many)
    # The median of a few is less sure.
    near = min(_NEAR + 0.75 * spread / len(few) ** 0.5, _FARTHEST)
    factor = next((f for f in _FACTORS if abs(apart - np.log10(f)) <= near), None)
    is_alike = spread / 4 - 0.1 <= _spread(few) <= 2 * spread + 0.1
    if factor is None or not is_alike or steps.max() < _GAP * apart:
        return []
    if len(np.unique(many)) < _DIFFERENT or len(np.unique(few)) < min(3, len(few)):
        return []
    if few is lower and 10 ** upper[0] - 10 ** lower[-1] < _CLEAR * _width(10**upper):
        return []  # the tail of what reaches down to nothing
    edge = 10 ** float((lower[-1] + upper[0]) / 2)
    is_few = numbers > edge if few is upper else (numbers > 0) & (numbers < edge)
    rows = np.flatnonzero(is_few)
    one, other = 10 ** float(np.median(few)), 10 ** float(np.median(many))
    return [
        view.finding(
            "mixed units",
            "wrong",
            f"`{column.name}` has two heaps of numbers, one about {factor:,} times the other: "
            f"around {one:.3g} in {number(len(rows), 'row')} ({share(len(rows), view.rows)}) and "
            f"around {other:.3g} in the rest, as if they were of two units",
            "write all of them in one unit",
            rows,
        )
    ]


def _outliers(view: View, column: Column, some: NDArray[np.float64]) -> list[Finding]:
    numbers = column.numbers
    assert numbers is not None
    low, high = np.quantile(some, (0.25, 0.75))
    width = high - low
    if width == 0:
        return []
    with np.errstate(invalid="ignore"):
        far = (numbers > high + _FENCE * width) | (numbers < low - _FENCE * width)
        if some[0] > 0:  # what is paid or counted may be spread over decades
            low_log, high_log = np.log(low), np.log(high)
            beyond = _FENCE_OF_LOGARITHMS * (high_log - low_log)
            above, below = np.exp(high_log + beyond), np.exp(low_log - beyond)
            far &= (numbers > above) | (numbers < below)
    rows = np.flatnonzero(far)
    if not len(rows) or len(rows) > 0.01 * view.rows:
        return []
    furthest = rows[np.abs(numbers[rows] - (low + high) / 2).argmax()]
    return [
        view.finding(
            "outliers",
            "note",
            f"`{column.name}` is far from the rest in {number(len(rows), 'row')}: up to "
            f"{numbers[furthest]:g} in row {view.dataset.row_numbers[furthest]:,}, where half are "
            f"between {low:g} and {high:g}",
            "look at them: a slip of the pen, or a case of its own",
            rows,
        )
    ]


def _width(numbers: NDArray[np.float64]) -> float:
    low, high = np.quantile(numbers, (0.25, 0.75))
    return float(high - low)


def _spread(logs: NDArray[np.float64]) -> float:
    low, high = np.quantile(logs, (0.05, 0.95))
    return float(high - low)
