"""What is to be told: labels that are missing, misspelt, rare or contradictory."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from silmu.steps.collect.checks.view import Finding, View, number, quoted, share

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MUCH = 0.01  # of the rows: from here what is lost or contradictory is wrong
_FEWEST = 4  # rows of a label: two to learn from, one to choose by, one to test on
_FEW = 10
_UNEQUAL = 10  # times as many rows
_TYPO = 0.02  # a label this much rarer than one that it nearly equals was hardly meant
_SHORTEST = 4  # letters of a label in which one may be a slip


def check(view: View) -> list[Finding]:
    """Everything about labels; of a target that is a number, whether it varies."""
    found = [*_dropped(view)]
    if view.kind == "number":
        found += _numbers(view)
    elif view.kind != "none":
        misspelt = _misspelt(view)
        found += [
            *_one_only(view),
            *_spelling(view, misspelt),
            *_rare(view, {index for same in misspelt for index in same[1:]}),
            *_imbalance(view),
        ]
    if view.kind in ("single", "multiple"):
        found += _contradictions(view)
    return found


def _dropped(view: View) -> list[Finding]:
    """What collect could not keep, which is how missing texts and labels come here."""
    found: list[Finding] = []
    for drop in view.dataset.dropped:
        if view.is_image and not drop.reason.startswith("`"):
            continue  # a file that is broken, or no picture
        much = drop.count >= _MUCH * view.dataset.rows_in
        found.append(
            Finding(
                "missing values",
                f"{number(drop.count, 'row')} of {view.dataset.rows_in:,} "
                f"({share(drop.count, view.dataset.rows_in)}) cannot be learned from: "
                f"{drop.reason}",
                drop.rows[:20],
                drop.count,
                "fill them in or delete them; silmu leaves them out",
                "wrong" if much else "note",
            )
        )
    return found


def _numbers(view: View) -> list[Finding]:
    numbers = view.numbers
    if len(numbers) and (numbers == numbers[0]).all():
        name = view.roles.target[0]
        return [
            view.finding(
                "one label",
                "wrong",
                f"every row has the same `{name}`, {numbers[0]:g}: there is nothing to learn",
                "give the column that is to be told with --target",
            )
        ]
    return []


def _one_only(view: View) -> list[Finding]:
    if len(view.labels) > 1:
        return []
    have = f"every row has the label {quoted(view.labels)}" if view.labels else "no row has a label"
    return [
        view.finding(
            "one label",
            "wrong",
            f"{have}: there is nothing to tell apart",
            "give the column that is to be told with --target, or add rows of another label",
        )
    ]


def _misspelt(view: View) -> list[list[int]]:
    """Labels that seem to be one, the most frequent spelling first."""
    groups: dict[str, list[int]] = {}
    for index, label in enumerate(view.labels):  # the most frequent first
        groups.setdefault(plain(label), []).append(index)
    leading = [same[0] for same in groups.values()]
    found = [same for same in groups.values() if len(same) > 1]
    for place, rare in enumerate(leading):
        for frequent in leading[:place]:
            few = is_rare(view.counts[rare], view.counts[frequent])
            if few and is_slip(plain(view.labels[rare]), plain(view.labels[frequent])):
                found.append([frequent, rare])
                break
    return found


def _spelling(view: View, misspelt: list[list[int]]) -> list[Finding]:
    found: list[Finding] = []
    rows, codes = view.pairs
    for same in misspelt:
        names = [view.labels[index] for index in same]
        counts = [f"{view.counts[index]:,}" for index in same]
        if plain(names[0]) == plain(names[1]):
            what = (
                f"{quoted(names)} differ only in case, blanks or the width of letters, but count "
                f"as {len(same)} labels ({', '.join(counts)} rows)"
            )
        else:
            what = (
                f"`{names[1]}` ({number(int(view.counts[same[1]]), 'row')}) is one letter from "
                f"`{names[0]}` ({counts[0]} rows), and may be a slip of it"
            )
        cure = f"write `{' '.join(names[0].split())}` in all of them, if they are one"
        where = rows[np.isin(codes, same[1:])]
        found.append(view.finding("label spelling", "wrong", what, cure, where))
    return found


def _rare(view: View, misspelt: set[int]) -> list[Finding]:
    found: list[Finding] = []
    rows, codes = view.pairs
    for severity, low, high in (("wrong", 0, _FEWEST), ("note", _FEWEST, _FEW)):
        rare = np.flatnonzero((view.counts >= low) & (view.counts < high))
        rare = rare[~np.isin(rare, list(misspelt))]
        if not len(rare) or len(view.labels) < 2:
            continue
        named = [f"{view.labels[index]}: {view.counts[index]}" for index in rare]
        what = (
            "fewer than the two to learn from, one to choose by and one to test on"
            if severity == "wrong"
            else "so that a figure for it means little"
        )
        found.append(
            view.finding(
                "rare labels",
                "wrong" if severity == "wrong" else "note",
                f"{number(len(rare), 'label')} of {len(view.labels)} "
                f"{'has' if len(rare) == 1 else 'have'} fewer than {high} rows ({quoted(named)}), "
                f"{what}",
                "collect more rows of them, join them with another label, or leave them out",
                rows[np.isin(codes, rare)],
            )
        )
    return found


def _imbalance(view: View) -> list[Finding]:
    counts = view.counts
    if len(counts) < 2 or counts.max() < _UNEQUAL * counts.min():
        return []
    most, least = int(counts.argmax()), int(counts.argmin())
    of = view.rows if view.kind == "multiple" else int(counts.sum())
    cure = "read balanced accuracy and macro F1; `--set class_weights=true` weighs rare labels up"
    return [
        view.finding(
            "imbalance",
            "note",
            f"`{view.labels[most]}` has {counts[most]:,} rows and `{view.labels[least]}` "
            f"{counts[least]:,}; to always answer `{view.labels[most]}` is right in "
            f"{share(int(counts[most]), of)} of the rows",
            cure,
        )
    ]


def _contradictions(view: View) -> list[Finding]:
    """Equal texts with different labels, and near equal ones."""
    twins = view.twins
    differ = np.flatnonzero(view.answers != view.answers[twins])
    found: list[Finding] = []
    if len(differ):
        rows = _with_leaders(differ, twins)
        much = len(differ) >= _MUCH * view.rows and not (view.is_table and view.generic.all())
        found.append(
            view.finding(
                "conflicting labels",
                "wrong" if much else "note",
                f"{number(len(differ), 'row')} ({share(len(differ), view.rows)}) "
                f"{'has' if len(differ) == 1 else 'have'} the {view.thing} of an earlier row and "
                f"another label, so one of the two is wrong or the {view.thing} "
                f"{'do' if view.is_table else 'does'} not tell",
                "look at the rows and keep the right label",
                rows,
            )
        )
    near = view.leaders
    differ = np.flatnonzero((near != twins[near]) | (near != twins))
    differ = differ[(view.answers[differ] != view.answers[near[differ]])]
    differ = differ[view.answers[differ] == view.answers[twins[differ]]]
    if len(differ):
        found.append(
            view.finding(
                "conflicting labels of near duplicates",
                "note",
                f"{number(len(differ), 'row')} nearly {'has' if len(differ) == 1 else 'have'} the "
                f"{view.thing} of an earlier row and another label",
                "look at the rows: a small thing may make the difference, or one label is wrong",
                _with_leaders(differ, near),
            )
        )
    return found


def _with_leaders(rows: NDArray[np.int64], leaders: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each row after the one that it follows."""
    return np.array(list(dict.fromkeys(np.stack([leaders[rows], rows], 1).ravel().tolist())))


def plain(label: str) -> str:
    """A label without what is but a matter of spelling.

    >>> plain(" Very_Good")
    'very good'
    """
    text = unicodedata.normalize("NFKC", label).casefold()
    return " ".join(text.replace("_", " ").replace("-", " ").split())


def is_rare(rare: int, frequent: int) -> bool:
    """Whether one label is so much rarer than another that it may be a slip of it."""
    return rare < frequent and rare <= max(2, _TYPO * frequent)


def is_slip(one: str, other: str) -> bool:
    """Whether a letter was left out, added, replaced, or swapped with the next.

    >>> is_slip("postive", "positive"), is_slip("grade 1", "grade 2"), is_slip("no", "not")
    (True, False, False)
    """
    if min(len(one), len(other)) < _SHORTEST or abs(len(one) - len(other)) > 1 or one == other:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    first, second = one[start:], other[start:]
    if len(first) == len(second):
        rest = first[1:] == second[1:] or (first[:2] == second[1::-1] and first[2:] == second[2:])
    else:
        short, long = sorted((first, second), key=len)
        rest = short == long[1:]
    changed = first[:1] + second[:1]
    # `class a` and `class b`, `grade 1` and `grade 2`: names that were meant to differ so.
    alone = any(
        len(word) == 1 for word in (one.split() or [""])[-1:] + (other.split() or [""])[-1:]
    )
    return rest and changed.isalpha() and not alone
