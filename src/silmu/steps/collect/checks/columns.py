"""The columns beside text and target: empty, constant, ids, groups, times, and those that tell.

A column of a text task that is not an input is not read, so what it gives away is a note; it is
wrong where it is an input.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Literal

import numpy as np

from silmu.steps.collect.checks.reading import Column, day
from silmu.steps.collect.checks.view import Finding, View, auc, number, quoted, share

if TYPE_CHECKING:
    from numpy.typing import NDArray

TELLING_AUC, TELLING_R2 = 0.99, 0.98
_BINS, _IN_A_BIN = 200, 30  # ranges of a column of many numbers, and rows in each at least
_SEEN = 1_000_000  # rows from which ranges are told
FEW_VALUES = 50  # more, each with one label, is a group that has a label, not a leak
_ID = 0.99  # different values a row, from here a name for the row
_GROUP = 1.5  # rows a value, from here a group
_NAMES = re.compile(
    r"(?i)(?:^|[_\s-])(?:id|ids|user|author|speaker|patient|customer|session|thread|doc|document|"
    r"movie|film|product|item|book|source|file|url|group|name|account|sender|channel)(?:$|[_\s-])"
)
_LONGEST = 60  # characters of a name; longer is text
_LIFT = 0.05  # by which rows of a group must agree more often than any rows


def check(view: View) -> list[Finding]:
    """Every column that is neither text nor target, and short inputs too."""
    found: list[Finding] = []
    gaps: dict[str, NDArray[np.int64]] = {}
    times: list[Finding] = []
    groups: list[Finding] = []
    for name in view.names:
        if name in view.roles.target or name == view.split_name:
            continue
        if view.is_image and name in view.roles.input:
            continue
        column = view.column(name)
        is_input = name in view.roles.input
        if column.missing.any():
            gaps[name] = np.flatnonzero(column.missing)
        if column.size == 1:
            found += _constant(view, column, is_input=is_input)
        elif column.size > 1:
            alone = is_input and len(view.roles.input) == 1  # then to tell is what it is for
            told = [] if alone else _telling(view, column, is_input=is_input)
            found += told
            if column.is_time:
                times += time_findings(view, column)
            elif column.name == view.roles.group:
                continue
            elif _is_id(column) and (column.has_digits or not is_input):
                found += _id(view, column, is_input=is_input)
            elif not told and not is_input and (why := group(view, column)):
                groups.append(group_finding(view, column, why))
        if name not in (view.roles.group, view.roles.time):
            view.forget(name)
    return [*_gaps(view, gaps), *found, *groups, *times, *unreadable_time(view)]


def _gaps(view: View, gaps: dict[str, NDArray[np.int64]]) -> list[Finding]:
    """Missing values: of a role, by itself; of columns that nothing reads, all in one."""
    found: list[Finding] = []
    for role, name in (("--group", view.roles.group), ("--time", view.roles.time)):
        if name is not None and name in gaps:
            rows = gaps.pop(name)
            found.append(
                view.finding(
                    "missing values",
                    "wrong",
                    f"`{name}` has no value in {number(len(rows), 'row')} of {view.rows:,}, which "
                    "so belong nowhere",
                    f"fill them in, or give another {role}",
                    rows,
                )
            )
    if gaps:
        named = [f"{name}: {len(rows):,}" for name, rows in gaps.items()]
        every = np.unique(np.concatenate(list(gaps.values())))
        found.append(
            view.finding(
                "missing values",
                "note",
                f"{number(len(gaps), 'column')} {'lacks' if len(gaps) == 1 else 'lack'} values in "
                f"some rows of {view.rows:,} ({quoted(named)})",
                "nothing reads them; fill them in before one becomes an input",
                every,
            )
        )
    return found


def _constant(view: View, column: Column, *, is_input: bool) -> list[Finding]:
    if column.missing.any() and not is_input:
        return []  # a mark that some rows have
    return [
        view.finding(
            "constant column",
            "wrong" if is_input else "note",
            f"`{column.name}` has the same value in every row, so it tells nothing",
            "give another --input" if is_input else "nothing reads it; it can be left out",
        )
    ]


def _is_id(column: Column) -> bool:
    held = int((~column.missing).sum())
    named = column.mean_length <= _LONGEST and not column.has_blanks
    whole = column.numbers is None or column.is_whole
    return held > 1 and column.size >= _ID * held and named and whole


def _id(view: View, column: Column, *, is_input: bool) -> list[Finding]:
    return [
        view.finding(
            "id column",
            "wrong" if is_input else "note",
            f"`{column.name}` has {column.size:,} different values in {view.rows:,} rows: it names "
            "the row and tells nothing of another",
            "give another --input" if is_input else "nothing reads it",
        )
    ]


def _telling(view: View, column: Column, *, is_input: bool) -> list[Finding]:
    """A model of this column alone, tried on the half of the rows that it has not seen."""
    if column.numbers is None and column.size > FEW_VALUES:
        return []
    if column.numbers is not None and not column.is_time and _is_id(column):
        return []  # numbered in an order that the labels may share
    message = telling(view, column)
    if message is None:
        return []
    severity: Literal["wrong", "note"] = "wrong" if is_input else "note"
    cure = (
        "would it be known before the answer is? If not, leave it out of --input"
        if is_input
        else "nothing reads it; keep it out of --input, unless it is known before the answer is"
    )
    return [
        view.finding(
            "gives the target away",
            severity,
            f"`{column.name}` alone tells the target: {message}",
            cure,
        )
    ]


def telling(view: View, column: Column) -> str | None:
    """How well a column alone tells the target; None where that is no more than it may.

    Its values (of many numbers, up to 200 ranges) get the share of each label, or the mean, in one
    half of the rows, which ranks those of the other half; and the other way round. A number that is
    to be told is also tried as a straight line of a number.
    """
    bins = _binned(column)
    half = view.half
    if view.kind == "number":
        return _tells_number(view, column, bins, half)
    if view.kind == "none":
        return None
    rows, codes = view.pairs
    width = int(bins.max()) + 1
    scores: list[float] = []
    usable = np.flatnonzero((view.counts >= 8) & (view.counts <= view.rows - 8))
    if len(usable) < min(2, len(view.labels)) or len(usable) < len(view.labels) / 2:
        return None
    every = [np.bincount(bins[half == learn], minlength=width) for learn in (0, 1)]
    for label in usable:
        mine = rows[codes == label]
        true = [np.bincount(bins[mine[half[mine] == learn]], minlength=width) for learn in (0, 1)]
        for learn, other in ((0, 1), (1, 0)):
            prior = true[learn].sum() / max(every[learn].sum(), 1)
            score = (true[learn] + prior) / (every[learn] + 1)
            scores.append(auc(score, true[other], every[other] - true[other]))
        if np.mean(scores) < 0.9:  # there may be many labels, and this column tells none
            return None
    if np.mean(scores) < TELLING_AUC:
        return None
    if view.kind == "single" and column.size == len(view.labels):
        joint = np.unique(np.stack([column.codes[rows], codes], 1), axis=0)
        if len(joint) == column.size:
            return f"each of its {column.size} values has a label of its own"
    return f"ranking by it reaches an AUC of {np.mean(scores):.3f}"


def _tells_number(
    view: View, column: Column, bins: NDArray[np.int64], half: NDArray[np.bool_]
) -> str | None:
    """By the mean of each range, and by a straight line."""
    known = ~np.isnan(view.numbers)
    target, bins, half = view.numbers[known], bins[known], half[known]
    if len(target) < 40 or target.std() == 0:
        return None
    width = int(bins.max()) + 1
    numbers = None if column.numbers is None else column.numbers[known]
    missed = np.zeros(2)
    for learn in (False, True):
        seen = half == learn
        mean = float(target[seen].mean())
        total = np.bincount(bins[seen], target[seen], width)
        every = np.bincount(bins[seen], minlength=width)
        means = np.where(every > 0, total / np.maximum(every, 1), mean)
        missed[0] += float(((target[~seen] - means[bins[~seen]]) ** 2).sum())
        line = np.full(int((~seen).sum()), mean)
        if numbers is not None:
            line = _line(numbers[seen], target[seen], numbers[~seen], mean)
        missed[1] += float(((target[~seen] - line) ** 2).sum())
    told = 1 - float(missed.min()) / float(((target - target.mean()) ** 2).sum())
    return f"it explains {share(told, 1)} of the variance" if told >= TELLING_R2 else None


def _line(
    x: NDArray[np.float64], y: NDArray[np.float64], new: NDArray[np.float64], mean: float
) -> NDArray[np.float64]:
    """The straight line through some rows at others; the mean where there is no number."""
    known = ~np.isnan(x)
    x, y = x[known], y[known]
    spread = float(((x - x.mean()) ** 2).sum()) if len(x) else 0.0
    if not spread:
        return np.full(len(new), mean)
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    return np.where(np.isnan(new), mean, y.mean() + slope * (new - x.mean()))


def _binned(column: Column) -> NDArray[np.int64]:
    """A range for each row; the last one where there is no value."""
    bins = min(_BINS, max(len(column.codes) // _IN_A_BIN, 2))
    if column.numbers is None or column.size <= bins:
        return np.where(column.missing, column.size, column.codes)
    held = column.numbers[:: len(column.numbers) // _SEEN + 1]
    held = held[~np.isnan(held)]
    if not len(held):
        held = column.numbers[~np.isnan(column.numbers)]
    edges = np.unique(np.quantile(held, np.linspace(0, 1, bins + 1)[1:-1]))
    # A value that many rows share has a range of its own.
    edges = np.unique(np.concatenate([edges, np.nextafter(edges, np.inf)]))
    places = np.searchsorted(edges, column.numbers, side="right").astype(np.int64, copy=False)
    places[np.isnan(column.numbers)] = len(edges) + 1
    return places


def group(view: View, column: Column, *, by_name: bool = False) -> str:
    """Why a column seems to name groups of rows; empty if it does not.

    Args:
        view: of the dataset.
        column: of it.
        by_name: whether only a column that is named like one may.
    """
    held = int((~column.missing).sum())
    named = _NAMES.search(column.name) is not None
    if (
        view.roles.group is not None
        or column.size < 10
        or held < _GROUP * column.size
        or (column.numbers is not None and not (named and column.is_whole))
        or column.mean_length > _LONGEST
    ):
        return ""
    if by_name and not named:
        return ""
    told = ""
    if view.kind == "single":
        within, anywhere = _agreement(view, column)
        if within > anywhere + _LIFT:
            told = (
                f", and two rows of one have the same label in {share(within, 1)} of all pairs, "
                f"any two rows in {share(anywhere, 1)}"
            )
    return f"{held / column.size:.1f} rows a value{told}" if named or told else ""


def _agreement(view: View, column: Column) -> tuple[float, float]:
    """How often two rows have the same label: of one group, and whatever their groups."""
    rows, codes = view.pairs
    groups = column.codes[rows]
    cells = np.unique(groups * len(view.labels) + codes, return_counts=True)
    held = cells[0] >= 0
    same = float((cells[1][held] * (cells[1][held] - 1)).sum())
    sizes = np.bincount(groups[groups >= 0], minlength=1)
    shares = view.counts / view.counts.sum()
    return same / max(float((sizes * (sizes - 1)).sum()), 1), float((shares**2).sum())


def group_finding(view: View, column: Column, why: str) -> Finding:
    """A column that may name groups of rows, and why."""
    return view.finding(
        "group suspected",
        "note",
        f"`{column.name}` has {column.size:,} different values, {why}: rows of one "
        f"`{column.name}` may resemble each other, and then a random split flatters",
        f"`--group {column.name}` keeps the rows of one in one split",
    )


def time_findings(view: View, column: Column) -> list[Finding]:
    """What is odd about a column of times, and whether it could order the rows."""
    found: list[Finding] = []
    # A day is allowed for, since no zone may be given.
    now = datetime.datetime.now(datetime.UTC).timestamp() + 86_400
    numbers = column.numbers
    assert numbers is not None
    role = column.name == view.roles.time
    future = np.flatnonzero(numbers > now)
    if len(future):
        found.append(
            view.finding(
                "future rows",
                "wrong" if role else "note",
                f"{number(len(future), 'row')} of {view.rows:,} "
                f"{'is' if len(future) == 1 else 'are'} later than today by `{column.name}`, "
                f"the latest of {day(np.nanmax(numbers))}",
                "correct or delete them: they would be the newest, and so be tested on"
                if role
                else "correct them, if the column tells when a row was written",
                future,
            )
        )
    if view.roles.time is None:
        found.append(
            view.finding(
                "time suspected",
                "note",
                f"`{column.name}` goes from {day(np.nanmin(numbers))} to "
                f"{day(np.nanmax(numbers))}: if the model is to answer newer rows, it should "
                "be tested on newer ones",
                f"`--time {column.name}` trains on the oldest rows and tests on the newest",
            )
        )
    return found


def unreadable_time(view: View) -> list[Finding]:
    """A column that was given as the time, and is none."""
    name = view.roles.time
    if name is None or view.column(name).numbers is not None:
        return []
    return [
        view.finding(
            "time unreadable",
            "wrong",
            f"`{name}` was given as the time, and not all of its values are times or numbers",
            "write them as 2024-12-31 or 2024-12-31 23:59:59",
        )
    ]
