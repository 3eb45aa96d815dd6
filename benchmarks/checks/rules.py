"""What of each tool's answer counts as having found a planted fault, and what as a false alarm.

Each answer is a list of signals: a kind, what is said, and rows where some are named.

    silmu       a finding; its kind, message and rows
    deepchecks  a condition of a suite that did not pass (failed or warned): its check's name and
                what the condition says. OutlierSampleDetection has no condition in the suite: it is
                given the one that it documents, with its own defaults, and names the five rows that
                it shows. TextPropertyOutliers is a signal of each property that has outliers, be
                they fewer than its condition allows, and names them. `columns/` stands before
                checks of the table that the columns beside a text are. Data that it, or
                pandas for it, refuses is a signal that says why.
    cleanlab    a type of issue that at least one row has, and those rows, the worst first

A fault is found where a signal is of a kind below, names the fault's column if the fault has one
and the signal speaks of columns, and if both are about rows, at least half of the first 20 rows
that it names are planted (of near duplicates: belong to a set that holds a planted one). silmu's
signal must also be as severe as its tests ask. A false alarm is a signal of these kinds, whatever
its column or rows, on the same data without the fault. Kinds are given generously: a signal that
only brushes the fault counts where it names the column or the rows. A fault for which a tool has
no kind is one that it does not look for: IdentifierLabelCorrelation, for one, looks only at columns
that it is told are ids.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

Signal = dict[str, Any]
FIRST = 20

OUTLIERS = ("OutlierSampleDetection",)
PREDICTIVE = ("FeatureLabelCorrelation", "FeatureLabelCorrelationChange")
VARIANTS = ("StringMismatch", "StringMismatchComparison")
ODD_CELLS = ("MixedDataTypes", "StringLengthOutOfBounds", "SpecialCharacters")
NONE: tuple[str, ...] = ()

# The fault: its columns, kinds of deepchecks, kinds of cleanlab.
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "target gaps": (NONE, NONE, NONE),
    "gaps": (("income", "city"), NONE, ("null",)),
    "constant": (("country",), ("IsSingleValue",), NONE),
    "empty": (("Unnamed: 7",), ("IsSingleValue", "MixedNulls", "SpecialCharacters"), NONE),
    "counted": (("row",), NONE, NONE),
    "coded": (("key",), NONE, NONE),
    "named": (("name",), NONE, NONE),
    "drawn": (("policy",), NONE, NONE),
    "telling level": (("status",), PREDICTIVE, NONE),
    "telling number": (("bonus",), PREDICTIVE, NONE),
    "renamed": (("class",), PREDICTIVE, NONE),
    "telling gap": (("left",), PREDICTIVE, NONE),
    "copies": (NONE, ("DataDuplicates", "TrainTestSamplesMix"), ("near_duplicate",)),
    "contradictions": (NONE, ("ConflictingLabels",), ("label", "near_duplicate")),
    "label spelling": (("stays",), VARIANTS, ("label",)),
    "rare label": (("stays",), ("NewLabelTrainTest",), ("class_imbalance",)),
    "imbalance": (NONE, NONE, ("class_imbalance",)),
    "one label": (("stays", "spent"), ("IsSingleValue", "refused"), NONE),
    "level spelling": (("city",), (*VARIANTS, "NewCategoryTrainTest"), ("outlier",)),
    "level slip": (("city",), (*VARIANTS, "NewCategoryTrainTest"), ("outlier",)),
    "words among numbers": (("income",), ODD_CELLS, ("outlier",)),
    "words among times": (("joined",), ODD_CELLS, ("outlier",)),
    "words among targets": (("spent",), ODD_CELLS, NONE),
    "units": (("height", "income"), OUTLIERS, ("outlier",)),
    "written units": (("height",), ODD_CELLS, ("outlier",)),
    "sentinel": (("age", "height", "income"), OUTLIERS, ("outlier",)),
    "noughts": (("height",), OUTLIERS, ("outlier",)),
    "outliers": (("height",), OUTLIERS, ("outlier",)),
    "word for none": (("city",), ("MixedNulls", *ODD_CELLS, *VARIANTS), ("outlier", "null")),
    "twice": (("city_code",), ("FeatureFeatureCorrelation",), NONE),
    "copies in test": (NONE, ("TrainTestSamplesMix",), ("near_duplicate",)),
    "groups across": (NONE, ("IndexTrainTestLeakage",), NONE),
    "past in test": (NONE, ("DateTrainTestLeakageOverlap", "DateTrainTestLeakageDuplicates"), NONE),
    "never learned": (NONE, ("NewLabelTrainTest",), ("class_imbalance",)),
    "future": (("joined",), OUTLIERS, ("outlier",)),
    "groups": (("customer_id",), NONE, NONE),
}

ODD_TEXTS = ("TextPropertyOutliers", "SpecialCharacters", "UnknownTokens")
TELLING = ("PropertyLabelCorrelation", "FrequentSubstrings")
COLUMNS_TELL = tuple(f"columns/{kind}" for kind in PREDICTIVE)
COLUMNS_VARY = tuple(f"columns/{kind}" for kind in VARIANTS)

TEXTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "copies": (NONE, ("TextDuplicates", "TrainTestSamplesMix"), ("near_duplicate",)),
    "near copies": (NONE, ("TextDuplicates", "TrainTestSamplesMix"), ("near_duplicate",)),
    "copies in test": (NONE, ("TrainTestSamplesMix",), ("near_duplicate",)),
    "near copies in test": (NONE, ("TrainTestSamplesMix",), ("near_duplicate",)),
    "contradictions": (NONE, ("ConflictingLabels",), ("label", "near_duplicate")),
    "spellings": (("label",), COLUMNS_VARY, ("label", "class_imbalance")),
    "slips": (("label",), COLUMNS_VARY, ("label", "class_imbalance")),
    "gaps": (NONE, ("TextPropertyOutliers", "columns/MixedNulls"), ("outlier", "null")),
    "one label": (("label",), ("columns/IsSingleValue", "refused", "columns/refused"), NONE),
    "rare label": (("label",), ("columns/NewLabelTrainTest",), ("class_imbalance",)),
    "imbalance": (NONE, NONE, ("class_imbalance",)),
    "telling input": (("place",), COLUMNS_TELL, NONE),
    "telling score": (("likes",), COLUMNS_TELL, NONE),
    "telling gap": (("reason",), COLUMNS_TELL, NONE),
    "telling word": (NONE, TELLING, NONE),
    "label in text": (NONE, TELLING, NONE),
    "telling length": (NONE, TELLING, NONE),
    "constant": (("place",), ("columns/IsSingleValue",), NONE),
    "row id": (("key",), NONE, NONE),
    "hidden groups": (("written_by",), NONE, NONE),
    "groups across": (NONE, ("columns/IndexTrainTestLeakage",), NONE),
    "future": (NONE, ("columns/refused",), NONE),
    "past in test": (
        NONE,
        ("columns/DateTrainTestLeakageOverlap", "columns/DateTrainTestLeakageDuplicates"),
        NONE,
    ),
    "days": (NONE, NONE, NONE),
    "never learned": (NONE, ("columns/NewLabelTrainTest",), ("class_imbalance",)),
    "damage": (NONE, ODD_TEXTS, ("outlier",)),
    "scripts": (NONE, ODD_TEXTS, ("outlier",)),
    "swallowed": (NONE, ODD_TEXTS, ("outlier",)),
    "bare": (NONE, ODD_TEXTS, ("outlier",)),
    "flipped": (NONE, ("ConflictingLabels",), ("label",)),
}

RULES = {"table": TABLES, "text": TEXTS}


OF_THE_TARGET = ("label spelling", "rare labels", "one label")
"""Kinds of silmu that are of the target alone, and name labels instead of the column."""


def kinds(sort: str, fault: str, tool: str, of_silmu: tuple[str, str]) -> tuple[str, ...]:
    """The kinds of a tool that tell of a fault."""
    if tool == "silmu":
        return (of_silmu[0],)
    _, deepchecks, cleanlab = RULES[sort][fault]
    return deepchecks if tool == "deepchecks" else cleanlab


def found(
    signals: Sequence[Signal],
    kinds: tuple[str, ...],
    columns: tuple[str, ...],
    where: set[int],
    severity: str | None,
) -> bool:
    """Whether one of the signals tells of the fault."""
    return any(
        one["kind"] in kinds
        and (severity is None or one["severity"] == severity)
        and _names(one, columns)
        and _points(one, where)
        for one in signals
    )


def _names(signal: Signal, columns: tuple[str, ...]) -> bool:
    said = signal.get("says")
    if not said or not columns or signal["kind"] in OF_THE_TARGET:
        return True
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said) for name in columns)


def _points(signal: Signal, where: set[int]) -> bool:
    rows = signal.get("rows")
    if rows is None or not where:
        return True
    together = signal.get("together") or {}
    first = rows[:FIRST]
    hits = sum(bool({row, *together.get(str(row), ())} & where) for row in first)
    return bool(first) and hits >= 0.5 * len(first)


def imagined(signals: Sequence[Signal], kinds: tuple[str, ...]) -> bool:
    """Whether the same is said of the data without the fault."""
    return any(one["kind"] in kinds for one in signals)


def new(signals: Sequence[Signal], twin: Sequence[Signal]) -> bool:
    """Whether there is a kind of signal that the twin does not have, be it what it may."""
    return bool({one["kind"] for one in signals} - {one["kind"] for one in twin})


def cries(signal: Signal, tool: str) -> bool:
    """Whether something is called wrong: by `wrong`, by a condition that failed, by an issue."""
    if tool == "silmu":
        return signal["severity"] == "wrong"
    return tool == "cleanlab" or signal.get("category") == "FAIL"
