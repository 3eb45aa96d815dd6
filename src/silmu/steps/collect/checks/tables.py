"""The columns of a table: empty, constant, ids, the same twice, groups, times, and those that tell.

What prepare copes with by itself, such as missing values and constant columns, is a note.
"""

from __future__ import annotations

import hashlib
import re
from typing import final

import numpy as np

from silmu.steps.collect.checks import columns, levels, ranges
from silmu.steps.collect.checks.reading import Column
from silmu.steps.collect.checks.view import Finding, View, number, quoted, share

_FEWEST = 20  # rows, below which nothing is said to be an id or the same twice
_DIFFERENT = 0.99  # different values a row, from here a name for the row
_REPEATED = 0.9  # different values a row, below which two columns are not alike by chance
_DIGITS = 5  # of a whole number that is rather a code
_LONGEST = 60  # characters of a name; longer is text
_ID_NAME = re.compile(r"(?i:.*[\W_])?(?i:id|idx|index|no|nr|key|번호|순번|아이디)|.*I[dD]")


def check(view: View) -> list[Finding]:
    """Every column that is read, told, or says where a row belongs."""
    found: list[Finding] = []
    later: list[Finding] = []
    gaps = _Gaps(view)
    seen: dict[bytes, list[str]] = {}
    roles = view.roles
    for name in [*roles.target, *(n for n in view.names if n not in roles.target)]:
        is_role = name in (roles.group, roles.time)
        if name == view.split_name or not (is_role or name in (*roles.input, *roles.target)):
            continue
        column = view.column(name)
        if name in roles.target:
            found += _of_target(view, column)
            _see(column, seen)
            continue
        gaps.see(column)
        if column.size < 2:
            found += _telling_nothing(view, column)
        elif is_role and name not in roles.input:
            later += columns.time_findings(view, column) if column.is_time else []
        else:
            found += _of_input(view, column)
            later += _of_place(view, column)
            _see(column, seen)
        if not is_role:
            view.forget(name)
        del column  # of many rows not two at once
    return [
        *gaps.found(),
        *found,
        *_twice(view, seen),
        *later,
        *columns.unreadable_time(view),
    ]


def _of_target(view: View, column: Column) -> list[Finding]:
    if view.kind in ("single", "multiple"):
        return []  # which has its own checks
    return [*levels.check(view, column), *ranges.check(view, column)]


def _of_place(view: View, column: Column) -> list[Finding]:
    """Whether an input may say where a row belongs: to a group, or in time."""
    if column.is_time:
        return columns.time_findings(view, column)
    if _why_id(view, column) or not (why := columns.group(view, column, by_name=True)):
        return []
    return [columns.group_finding(view, column, why)]


def _of_input(view: View, column: Column) -> list[Finding]:
    found = levels.check(view, column)
    if column.numbers is not None and not column.is_time:
        found += ranges.check(view, column)
    why = _why_id(view, column)
    if why:
        found.append(
            view.finding(
                "id column",
                "note",
                f"`{column.name}` has {column.size:,} different values in {view.rows:,} rows, "
                f"{why}: it names the row and tells nothing of another",
                f"`--set ignore={column.name}` leaves it out, where prepare does not by itself",
            )
        )
        if column.numbers is not None and not column.is_time:
            return found
    message = _renamed(view, column) or (
        columns.telling(view, column)
        if column.numbers is not None or column.size <= columns.FEW_VALUES
        else None
    )
    if message is not None:
        found.append(
            view.finding(
                "gives the target away",
                "wrong",
                f"`{column.name}` alone tells the target: {message}",
                "would it be known before the answer is? If not, leave it out: "
                f"`--set ignore={column.name}`",
            )
        )
    return found


def _telling_nothing(view: View, column: Column) -> list[Finding]:
    if column.size == 1 and column.missing.any():
        return []  # a mark that some rows have
    kind, what = (
        ("constant column", "has the same value in every row")
        if column.size
        else ("empty column", "has no value in any row")
    )
    return [
        view.finding(
            kind,
            "note",
            f"`{column.name}` {what}, so it tells nothing",
            "prepare leaves it out; is the source whole?",
        )
    ]


@final
class _Gaps:
    """Missing values: of a role, by itself; of inputs, all in one."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._roles: list[Finding] = []
        self._counts: dict[str, int] = {}
        self._some = np.zeros(view.rows, bool)

    def see(self, column: Column) -> None:
        """The next column."""
        view, name = self._view, column.name
        missing = column.missing
        count = int(missing.sum())
        if not count:
            return
        for role, given in (("--group", view.roles.group), ("--time", view.roles.time)):
            if name == given:
                self._roles.append(
                    view.finding(
                        "missing values",
                        "wrong",
                        f"`{name}` has no value in {number(count, 'row')} of {view.rows:,}, which "
                        "so belong nowhere",
                        f"fill them in, or give another {role}",
                        np.flatnonzero(missing),
                    )
                )
        if name in view.roles.input and column.size:
            self._counts[name] = count
            self._some |= missing

    def found(self) -> list[Finding]:
        """What is to be said of them."""
        if not self._counts:
            return self._roles
        view, columns = self._view, len(self._counts)
        named = [
            f"{name}: {count:,} ({share(count, view.rows)})"
            for name, count in sorted(self._counts.items(), key=lambda pair: -pair[1])
        ]
        return [
            *self._roles,
            view.finding(
                "missing values",
                "note",
                f"{number(columns, 'column')} {'lacks' if columns == 1 else 'lack'} values in "
                f"some rows of {view.rows:,} ({quoted(named)})",
                "prepare fills them in and marks them; that a value is missing must mean the same "
                "where the model is used",
                np.flatnonzero(self._some),
            ),
        ]


def _why_id(view: View, column: Column) -> str:
    """Why a column seems to name rows; empty if it does not."""
    held = int((~column.missing).sum())
    if held < _FEWEST or column.size < _DIFFERENT * held or column.is_time:
        return ""
    if column.numbers is None:
        if column.mean_length > _LONGEST or not column.is_text:
            return ""
        return "as names have" if column.has_blanks else "as codes have"
    if not column.is_whole or column.size < held:
        return ""
    values = column.numbers[~np.isnan(column.numbers)]
    steps = np.diff(values)
    low, high = float(values.min()), float(values.max())
    if high - low < 2 * held and ((steps > 0).all() or (steps < 0).all()):
        return "which count the rows"
    if _ID_NAME.fullmatch(column.name.strip()):
        return "by its name those of an id"
    digits = len(str(int(high)))
    if low > 0 and digits >= _DIGITS and len(str(int(low))) == digits:
        # Codes are drawn evenly; what is measured or paid gathers somewhere.
        shares = (np.sort(values) - low) / (high - low)
        even = np.linspace(0, 1, held)
        if np.abs(shares - even).max() < 1.36 / held**0.5:
            return f"all of {digits} digits and evenly spread, as codes are"
    return ""


def _renamed(view: View, column: Column) -> str | None:
    """Whether a column is the target under other names."""
    if view.kind != "single" or column.size != len(view.labels) or column.missing.any():
        return None
    rows, codes = view.pairs
    joint = np.unique(column.codes[rows] * len(view.labels) + codes)
    if len(joint) != column.size or view.rows < _FEWEST:
        return None
    return f"each of its {column.size} values has a label of its own"


def _see(column: Column, seen: dict[bytes, list[str]]) -> None:
    """Notes which values of a column are equal, whatever they are."""
    held = int((~column.missing).sum())
    if column.size < 2 or held < _FEWEST or column.size >= _REPEATED * held:
        return
    order = np.empty(column.size + 1, np.int64)
    order[np.argsort(column.first)] = np.arange(column.size)
    order[-1] = -1  # for what is missing
    digest = hashlib.blake2b(order[column.codes].data, digest_size=16).digest()
    seen.setdefault(digest, []).append(column.name)


def _twice(view: View, seen: dict[bytes, list[str]]) -> list[Finding]:
    found: list[Finding] = []
    for names in seen.values():
        inputs = [name for name in names if name in view.roles.input]
        if len(inputs) > 1:
            found.append(
                view.finding(
                    "same column twice",
                    "note",
                    f"{quoted(inputs)} are one: wherever one of them has the same value in two "
                    "rows, the others have too",
                    f"`--set ignore={','.join(inputs[1:])}` leaves the rest out",
                )
            )
    return found
