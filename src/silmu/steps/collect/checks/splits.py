"""Rows that stand twice, and what goes from one given split into another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.steps.collect.checks.view import (
    SPLIT_NAMES,
    Finding,
    View,
    number,
    quoted,
    share,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ORDER = ("train", "validation", "test")


def check(view: View) -> list[Finding]:
    """Duplicates; and, where the source says which row is in which split, what leaks."""
    found = _duplicates(view)
    if view.split_name is None:
        return found
    split = _splits(view, view.split_name)
    found += _across(view, split)
    found += _groups_across(view, split)
    found += _times_across(view, split)
    found += _labels_across(view, split)
    return found


def _duplicates(view: View) -> list[Finding]:
    index = np.arange(view.rows)
    exact = np.flatnonzero(view.twins != index)
    near = np.flatnonzero((view.leaders != index) & (view.twins == index))
    found: list[Finding] = []
    for kind, rows, what in (
        ("duplicates", exact, f"the {view.thing} of an earlier row"),
        ("near duplicates", near, f"nearly the {view.thing} of an earlier row"),
    ):
        if len(rows):
            found.append(
                view.finding(
                    kind,
                    "note",
                    f"{number(len(rows), 'row')} of {view.rows:,} ({share(len(rows), view.rows)}) "
                    f"{'has' if len(rows) == 1 else 'have'} {what}",
                    "delete them if they were not meant; silmu lets none be in two splits",
                    rows,
                )
            )
    return found


def _splits(view: View, name: str) -> NDArray[np.int64]:
    """The place of each row's split in the order; -1 for another name."""
    column = view.column(name)
    values = view.dataset.take(column.first, [name]).column(0).to_pylist()
    places = np.full(column.size + 1, -1, np.int64)
    for code, value in enumerate(values):
        known = SPLIT_NAMES.get(str(value).strip().lower())
        if known is not None:
            places[code] = _ORDER.index(known)
    return places[column.codes]


def _across(view: View, split: NDArray[np.int64]) -> list[Finding]:
    """Rows of a later split whose text or inputs, or nearly, are in an earlier one."""
    found: list[Finding] = []
    leaders = view.leaders
    crossing = _crossing(leaders, split)
    for severity, rows in (
        ("wrong", crossing[~view.generic[crossing]]),
        ("note", crossing[view.generic[crossing]]),
    ):
        if not len(rows):
            continue
        parts = [
            f"{(split[rows] == place).sum():,} of the {(split == place).sum():,} rows of "
            f"{_ORDER[place]} ({share((split[rows] == place).sum(), (split == place).sum())})"
            for place in (1, 2)
            if (split[rows] == place).any()
        ]
        short = "" if severity == "wrong" else f", {view.generic_why}"
        nearly = "" if view.is_table else ", or nearly,"
        found.append(
            view.finding(
                "duplicates across splits",
                "wrong" if severity == "wrong" else "note",
                f"{' and '.join(parts)} have the {view.thing}{nearly} of a row in an earlier "
                f"split{short}: a score there is partly memory",
                "delete them there, as silmu does when it prepares, and do not compare the score "
                "with one that had them",
                rows,
            )
        )
    return found


def _groups_across(view: View, split: NDArray[np.int64]) -> list[Finding]:
    name = view.roles.group
    if name is None:
        return []
    codes = view.column(name).codes
    rows = _crossing(
        np.where(codes < 0, view.column(name).size + np.arange(view.rows), codes), split
    )
    if not len(rows):
        return []
    values = np.unique(codes[rows])
    return [
        view.finding(
            "groups across splits",
            "wrong",
            f"{number(len(values), 'value')} of `{name}` stand in more than one split, with "
            f"{number(len(rows), 'row')} ({share(len(rows), (split > 0).sum())}) of validation "
            "and test: what is known of a group there was learned",
            f"leave the given splits: `--group {name} --set split=group` keeps groups in one",
            rows,
        )
    ]


def _times_across(view: View, split: NDArray[np.int64]) -> list[Finding]:
    name = view.roles.time
    times = None if name is None else view.column(name).numbers
    if name is None or times is None or not (split == 0).any() or not (split == 2).any():
        return []
    newest = np.nanmax(times[split == 0])
    rows = np.flatnonzero((split == 2) & (times < newest))
    if len(rows) < 0.01 * (split == 2).sum():
        return []
    return [
        view.finding(
            "times across splits",
            "wrong",
            f"{number(len(rows), 'row')} of test ({share(len(rows), int((split == 2).sum()))}) are "
            f"older than the newest row of train by `{name}`: the past is told from the future",
            f"leave the given splits: `--time {name} --set split=time` tests on the newest rows",
            rows,
        )
    ]


def _labels_across(view: View, split: NDArray[np.int64]) -> list[Finding]:
    if view.kind not in ("single", "multiple"):
        return []
    rows, codes = view.pairs
    learned = np.unique(codes[split[rows] == 0])
    strange = (split[rows] > 0) & ~np.isin(codes, learned)
    if not strange.any() or not len(learned):
        return []
    indices: list[int] = np.unique(codes[strange]).tolist()
    names = [view.labels[index] for index in indices]
    return [
        view.finding(
            "labels never learned",
            "wrong",
            f"{quoted(names)} {'stands' if len(names) == 1 else 'stand'} in validation or test and "
            "never in train, so no row of it can be told right",
            "give rows of it to train, or let silmu cut the splits (`--set split=stratified`)",
            np.unique(rows[strange]),
        )
    ]


def _crossing(groups: NDArray[np.int64], split: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows that share their group with a row of an earlier split."""
    order = np.argsort(groups, kind="stable")
    known = order[split[order] >= 0]
    values, group = np.unique(groups[known], return_inverse=True)
    earliest = np.full(len(values), len(_ORDER), np.int64)
    np.minimum.at(earliest, group, split[known])
    return np.sort(known[split[known] > earliest[group]])
