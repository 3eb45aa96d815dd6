"""The cells of a column: levels that are one, words for none, numbers that are not read as such."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from silmu.runtime import cells
from silmu.steps.collect.checks import labels
from silmu.steps.collect.checks.reading import Column
from silmu.steps.collect.checks.view import Finding, View, number, quoted, share

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST = 5000  # levels of a category that are compared
_FEW = 50  # levels of which one may be a slip of another
_LONGEST = 60  # characters of a level; longer is text
_OFTEN = 20  # rows of a level, from which a rare one may be a slip
_LETTERS = 2  # a level of so many may be another than that of its capitals
_VALUES, _UNITS = 10, 5  # of numbers that are written with a unit: different ones, different units
_SHARE = 0.9  # of values that must look like numbers
_NONE = frozenset(
    (
        *("unknown", "missing", "undefined", "not available", "n.a.", "no data", "unspecified"),
        *("#ref!", "#value!", "#div/0!", "#name?", "미상", "모름", "알수없음", "무응답", "결측"),
    )
)
_ORDINAL = {"st", "nd", "rd", "th"}


def check(view: View, column: Column) -> list[Finding]:
    """Everything about what is written in a column."""
    found = [*_odd(view, column)]
    if column.numbers is not None or not column.is_text:
        return found
    if column.size > _MOST or column.mean_length > _LONGEST:
        return found
    if not column.size:
        return found
    values: list[str] = view.dataset.take(column.first, [column.name]).column(0).to_pylist()
    if units := _units(view, column, values):
        return units
    counts = np.bincount(column.codes[~column.missing], minlength=column.size)
    found += _words(view, column, values, counts)
    if column.size <= max(int((~column.missing).sum()) / 2, 2):
        found += _spelling(view, column, values, counts)
    return found


def _odd(view: View, column: Column) -> list[Finding]:
    """Cells that are none of the numbers or times that the rest are."""
    if column.odd is None:
        return []
    rows = np.flatnonzero(column.odd)
    some = view.dataset.take(rows[:200], [column.name]).column(0).to_pylist()
    what = "times" if column.is_time else "numbers"
    held = int((~column.missing).sum())
    becomes = (
        "they are taken for missing"
        if len(rows) <= 0.02 * held
        else f"and are so many that the column is not read as {what}"
    )
    if column.name in view.roles.target:
        becomes = "which cannot be learned from"
    return [
        view.finding(
            "cells of another kind",
            "wrong",
            f"`{column.name}` holds {what}, but for {number(len(rows), 'cell')} "
            f"({share(len(rows), held)}) such as {quoted(dict.fromkeys(some), 3)}: {becomes}",
            f"correct them, or leave them empty where there is none of the {what}",
            rows,
        )
    ]


def _units(view: View, column: Column, values: list[str]) -> list[Finding]:
    """Numbers that are written with several units, so that they are not read as such."""
    of = [cells.unit_of(value) for value in values]
    units = [unit for unit, _ in Counter(of).most_common() if unit]
    bad = np.ones(len(values), bool)
    for unit in units[:_UNITS]:
        found, wrong = cells.numbers(values, cells.writing(values)[0], unit)
        bad &= wrong | np.isnan(found)
    if not 2 <= len(units) <= _UNITS or len(values) <= _VALUES or bad.mean() > 1 - _SHARE:
        return []
    if {unit.lower() for unit in units} <= _ORDINAL:
        return []
    common = next(unit for unit in units)
    others = [code for code, unit in enumerate(of) if unit != common]
    return [
        view.finding(
            "mixed units",
            "wrong",
            f"`{column.name}` holds numbers with several units ({quoted(units)}), such as "
            f"{quoted(values, 3)}, and so is read as a category",
            "write plain numbers such as 1234.5, all in one unit",
            np.flatnonzero(np.isin(column.codes, others)),
        )
    ]


def _words(
    view: View, column: Column, values: list[str], counts: NDArray[np.int64]
) -> list[Finding]:
    """Words that say that there is none, and count as levels of their own."""
    found: list[Finding] = []
    if column.words is not None:
        rows = np.flatnonzero(column.words)
        some = view.dataset.take(rows[:200], [column.name]).column(0).to_pylist()
        found.append(
            view.finding(
                "missing as a word",
                "note",
                f"`{column.name}` says in a word that there is no value, such as "
                f"{quoted(dict.fromkeys(some), 3)} ({number(len(rows), 'row')}), which is taken "
                "for an empty cell",
                "write another word, if it is a level of its own",
                rows,
            )
        )
    named = [
        code
        for code, value in enumerate(values)
        if (word := value.strip().lower()) in _NONE or word in cells.MISSING
    ]
    if named and len(named) < len(values):
        listed = [f"{values[code]}: {counts[code]:,}" for code in named]
        found.append(
            view.finding(
                "missing as a word",
                "note",
                f"`{column.name}` says in a word that there is no value ({quoted(listed)}), which "
                f"counts as {'a level' if len(named) == 1 else 'levels'} of its own",
                "leave the cells empty, if it means that nobody knows; keep it, if it means none",
                np.flatnonzero(np.isin(column.codes, named)),
            )
        )
    return found


def _spelling(
    view: View, column: Column, values: list[str], counts: NDArray[np.int64]
) -> list[Finding]:
    order: list[int] = np.argsort(-counts, kind="stable").tolist()
    groups: dict[str, list[int]] = {}
    for code in order:
        groups.setdefault(labels.plain(values[code]), []).append(code)
    found: list[Finding] = []
    same = [group for group in groups.values() if len({values[code].strip() for code in group}) > 1]
    for severity in ("wrong", "note"):
        some = [
            group
            for group in same
            if (len(values[group[0]].strip()) <= _LETTERS) == (severity == "note")
        ]
        if some:
            named = [" / ".join(values[code].strip() for code in group) for group in some]
            rare = [code for group in some for code in group[1:]]
            found.append(
                view.finding(
                    "level spelling",
                    "wrong" if severity == "wrong" else "note",
                    f"{number(len(some), 'level')} of `{column.name}` "
                    f"{'is' if len(some) == 1 else 'are'} written in several ways, which differ "
                    f"only in case, blanks or signs, and count as different ({quoted(named)})",
                    "write each in one way, if they mean the same",
                    np.flatnonzero(np.isin(column.codes, rare)),
                )
            )
    if len(groups) <= _FEW:
        found += _slips(view, column, values, counts, [group[0] for group in groups.values()])
    return found


def _slips(
    view: View,
    column: Column,
    values: list[str],
    counts: NDArray[np.int64],
    leading: list[int],
) -> list[Finding]:
    """Rare levels that are a letter from a frequent one; `leading` has the frequent ones first."""
    pairs: list[tuple[int, int]] = []
    for place, rare in enumerate(leading):
        for often in leading[:place]:
            one, other = labels.plain(values[rare]), labels.plain(values[often])
            seldom = counts[often] >= _OFTEN and labels.is_rare(counts[rare], counts[often])
            if seldom and labels.is_slip(one, other):
                pairs.append((rare, often))
                break
    if not pairs:
        return []
    named = [f"{values[rare]} for {values[often]}" for rare, often in pairs]
    return [
        view.finding(
            "level spelling",
            "note",
            f"{number(len(pairs), 'level')} of `{column.name}` "
            f"{'is' if len(pairs) == 1 else 'are'} rare and one letter from a frequent one "
            f"({quoted(named)}), and may be a slip of it",
            "correct them, if they are",
            np.flatnonzero(np.isin(column.codes, [rare for rare, _ in pairs])),
        )
    ]
