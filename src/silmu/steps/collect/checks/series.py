"""Series: gaps, steps and clocks, and series that are too short, constant, ended or there twice."""

from __future__ import annotations

import datetime
import hashlib
import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from silmu.runtime.times import DAY
from silmu.steps.collect.checks import series_clocks, series_inputs, series_values
from silmu.steps.collect.checks.sequence import Sequences
from silmu.steps.collect.checks.view import Finding, number, share
from silmu.steps.collect.series import EMPTY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.series.frame import Series
    from silmu.steps.collect.dataset import Dataset

_MANY_GAPS = 0.3  # of the steps: from here what is between them is mostly made up
_UNEVEN = 0.02  # of the times lie beside the steps
_FAR = 0.5  # of the whole span lies between a few stamps and the rest
_FEW = 0.01  # of the values or rows
_FEWEST = 30  # values of a series, below which it is short
_EARLY = 0.2  # of the whole span, before whose beginning a series has ended


def check(dataset: Dataset) -> list[Finding]:
    """Everything about the series of a dataset."""
    seen = Sequences(dataset)
    return [
        *_left_out(seen),
        *_far(seen),
        *_gaps(seen),
        *series_clocks.check(seen),
        *_steps(seen),
        *_order(seen),
        *_future(seen),
        *_short(seen),
        *_ended(seen),
        *_twice(seen),
        *series_values.check(seen),
        *series_inputs.check(seen),
    ]


def _left_out(seen: Sequences) -> list[Finding]:
    """What collect dropped."""
    total = seen.dataset.rows_in
    found: list[Finding] = []
    for drop in seen.dataset.dropped:
        found.append(
            Finding(
                "rows left out",
                f"{number(drop.count, 'row')} of {total:,} ({share(drop.count, total)}) cannot be "
                f"laid on any step: {drop.reason}",
                drop.rows[:20],
                drop.count,
                "nothing is to be done"
                if drop.reason == EMPTY
                else "write the time, or the series, into them, unless they are totals or notes",
                "wrong" if drop.count >= _FEW * total and drop.reason != EMPTY else "note",
            )
        )
    return found


def _far(seen: Sequences) -> list[Finding]:
    """A few stamps with nothing for half of the time between them and all others."""
    found: list[Finding] = []
    for index, one in enumerate(seen.series):
        leap = _leap(one)
        if leap is None or one.first + int(leap[0][0]) > _today(seen):
            continue  # those after today are told by themselves
        lone, after, before = leap
        found.append(
            seen.finding(
                "stamps far from the others",
                "wrong",
                f"{number(len(lone), 'value')} of {seen.named([index])} "
                f"{'lies' if len(lone) == 1 else 'lie'} at {seen.when(one.first + int(lone[0]))}, "
                f"{number(before - after, 'step')} from all others",
                "see what was meant; most of the time there is nothing to learn from",
                [(index, lone)],
            )
        )
    return found


def _leap(one: Series) -> tuple[NDArray[np.int64], int, int] | None:
    """A few values far from all others: where they are, and between which steps nothing is."""
    at = np.flatnonzero(one.observed)
    if len(at) < 3:
        return None
    gaps = np.diff(at)
    widest = int(gaps.argmax())
    before, after = widest + 1, len(at) - widest - 1
    if gaps[widest] <= _FAR * len(one) or min(before, after) > max(1, _FEW * len(at)):
        return None
    lone = at[:before] if before <= after else at[before:]
    return lone, int(at[widest]), int(at[widest + 1])


def _gaps(seen: Sequences) -> list[Finding]:
    """Steps between others without a row, and rows without a value."""
    total = sum(map(len, seen.series))
    lacking: dict[int, NDArray[np.int64]] = {}
    empty: dict[int, NDArray[np.int64]] = {}
    for index, one in enumerate(seen.series):
        none = np.flatnonzero(~one.observed)
        if (leap := _leap(one)) is not None:
            none = none[(none < leap[1]) | (none > leap[2])]
        if len(none):
            has_row = seen.has_row(index, none)
            for places, where in ((lacking, none[~has_row]), (empty, none[has_row])):
                if len(where):
                    places[index] = where
    found: list[Finding] = []
    if lacking:
        count = sum(map(len, lacking.values()))
        index, start, length = _longest(lacking)
        first = seen.series[index].first + start
        much = count > _MANY_GAPS * total
        found.append(
            seen.finding(
                "gaps",
                "wrong" if much else "note",
                f"{number(count, 'step')} of {total:,} ({share(count, total)}) "
                f"{'has' if count == 1 else 'have'} no row, in {seen.of([*lacking])}; the longest "
                f"gap is {number(length, 'step')} of {seen.step.words} from {seen.when(first)}"
                + ("" if len(seen.series) == 1 else f" in {seen.named([index])}"),
                "make the steps longer, such as `--set step=W`: most of them would be made up"
                if much
                else "silmu fills them for what is read (`--set fill=` changes how), and scores "
                "nothing there",
                [(i, np.unique(np.stack([at - 1, at + 1]))) for i, at in lacking.items()],
            )
        )
    if empty:
        count = sum(map(len, empty.values()))
        found.append(
            seen.finding(
                "missing values",
                "wrong" if count > _MANY_GAPS * total else "note",
                f"{number(count, 'row')} between others {'has' if count == 1 else 'have'} no "
                f"value ({share(count, total)} of the steps), in {seen.of([*empty])}",
                "silmu fills them for what is read (`--set fill=` changes how), and scores "
                "nothing there",
                [*empty.items()],
            )
        )
    return found


def _longest(places: dict[int, NDArray[np.int64]]) -> tuple[int, int, int]:
    """The series, the first step and the length of the longest run of steps."""
    best = (0, 0, 0)
    for index, at in places.items():
        starts = np.flatnonzero(np.diff(at, prepend=at[0] - 2) != 1)
        lengths = np.diff(np.append(starts, len(at)))
        longest = int(lengths.argmax())
        if lengths[longest] > best[2]:
            best = (index, int(at[starts[longest]]), int(lengths[longest]))
    return best


def _steps(seen: Sequences) -> list[Finding]:
    """Times that are beside the steps, and several in one."""
    found: list[Finding] = []
    if seen.found.irregular > _UNEVEN:
        found.append(
            seen.finding(
                "irregular steps",
                "note",
                f"{share(seen.found.irregular, 1)} of the times lie beside steps of "
                f"{seen.step.words}, to which they are moved",
                "`--set step=` names other steps, such as 1h, D or W",
            )
        )
    if seen.found.merged:
        spoken = {"mean": "their mean", "sum": "their sum", "last": "the last of them"}
        found.append(
            seen.finding(
                "several rows in a step",
                "note",
                f"{number(seen.found.merged, 'row')} ({share(seen.found.merged, seen.rows)}) "
                f"{'falls' if seen.found.merged == 1 else 'fall'} into a step of "
                f"{seen.step.words} with an earlier one; {spoken[seen.layout.aggregate]} is taken",
                "`--set aggregate=` may be mean, sum or last; `--set step=` makes steps shorter",
            )
        )
    return found


def _order(seen: Sequences) -> list[Finding]:
    found: list[Finding] = []
    if seen.found.repeated:
        found.append(
            seen.finding(
                "repeated stamps",
                "note",
                f"{number(seen.found.repeated, 'row')} ({share(seen.found.repeated, seen.rows)}) "
                f"{'repeats' if seen.found.repeated == 1 else 'repeat'} an earlier row, time and "
                "values alike",
                "delete them; silmu reads them once",
            )
        )
    if seen.found.unsorted:
        found.append(
            seen.finding(
                "unsorted",
                "note",
                "the rows are not in the order of their times",
                "nothing is to be done, if the times are right: silmu sorts them",
            )
        )
    return found


def _future(seen: Sequences) -> list[Finding]:
    limit = _today(seen)
    where: list[tuple[int, NDArray[np.int64]]] = []
    for index, one in enumerate(seen.series):
        later = np.flatnonzero(one.observed)
        later = later[later + one.first > limit]
        if len(later):
            where.append((index, later))
    if not where:
        return []
    count = sum(len(at) for _, at in where)
    last = max(one.first + len(one) - 1 for one in seen.series)
    return [
        seen.finding(
            "future rows",
            "wrong",
            f"{number(count, 'value')} {'is' if count == 1 else 'are'} of a time after today, up "
            f"to {seen.when(last)}, in {seen.of([index for index, _ in where])}",
            "see how the times are written (2026-01-31 is read by all alike), or leave the "
            "values empty, if they are plans",
            where,
        )
    ]


def _today(seen: Sequences) -> float:
    """The number of the step that begins tomorrow."""
    if seen.step.unit == "count":
        return math.inf
    now = datetime.datetime.now(datetime.UTC).timestamp() + DAY
    return int(seen.step.index(np.array([now]))[0])


def _short(seen: Sequences) -> list[Finding]:
    """Series with too little in them, or always the same."""
    seasons = seen.step.seasons
    fewest = max(_FEWEST, 2 * seasons[0] if seasons else 0)
    lengths = [int(one.observed.sum()) for one in seen.series]
    short = [index for index, length in enumerate(lengths) if length < fewest]
    flat = [
        index
        for index, one in enumerate(seen.series)
        if lengths[index] > 1 and np.ptp(one.values[one.observed]) == 0
    ]
    found: list[Finding] = []
    for kind, several, what, cure in (
        (
            "short series",
            short,
            f"fewer than {fewest} values, which is too few to learn from and to test on",
            "collect more of them, or make the steps shorter",
        ),
        ("constant series", flat, "the same value in all steps", "leave them out"),
    ):
        if several:
            severity: Literal["wrong", "note"] = (
                "wrong" if len(several) == len(seen.series) else "note"
            )
            found.append(
                seen.finding(
                    kind,
                    severity,
                    f"{seen.of(several)} {'has' if len(several) == 1 else 'have'} {what}",
                    cure,
                    [(index, np.arange(min(len(seen.series[index]), 1))) for index in several],
                )
            )
    return found


def _ended(seen: Sequences) -> list[Finding]:
    """Series that end long before the others, so that they are not in the test."""
    ends = np.array([one.first + len(one) for one in seen.series])
    begin = min(one.first for one in seen.series)
    limit = ends.max() - _EARLY * (ends.max() - begin)
    early = np.flatnonzero(ends < limit).tolist()
    if not early:
        return []
    first = min(early, key=lambda index: int(ends[index]))
    return [
        seen.finding(
            "ended series",
            "note",
            f"{seen.of(early)} {'ends' if len(early) == 1 else 'end'} long before the others, the "
            f"first at {seen.when(int(ends[first]) - 1)}, and these at "
            f"{seen.when(int(ends.max()) - 1)}",
            "they are learned from and not tested on, since all are cut at the same time",
            [(index, np.array([len(seen.series[index]) - 1])) for index in early],
        )
    ]


def _twice(seen: Sequences) -> list[Finding]:
    known: dict[bytes, list[int]] = {}
    for index, one in enumerate(seen.series):
        if one.observed.sum() >= _FEWEST and np.ptp(one.values[one.observed]) > 0:
            digest = hashlib.blake2b(one.values.tobytes() + str(one.first).encode()).digest()
            known.setdefault(digest, []).append(index)
    several = [index for same in known.values() for index in same[1:]]
    if not several:
        return []
    return [
        seen.finding(
            "same series twice",
            "note",
            f"{seen.of(several)} {'has' if len(several) == 1 else 'have'} the same values at the "
            "same times as an earlier one",
            "leave them out, if they are copies: what they hold counts twice",
        )
    ]
