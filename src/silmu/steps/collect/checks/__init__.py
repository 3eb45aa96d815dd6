"""A look at a dataset before anyone pays: what is wrong with it, and what is worth knowing.

A finding is `wrong` where a model or its numbers would suffer, and a `note` where silmu copes
with it by itself or only a person can judge. Nothing is changed: the cure is proposed. Each check
is a function from a `View` to findings, in the file of what it looks at; a row costs it some
numbers, never its text, and what has to learn something looks at a sample, and says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.steps.collect.checks import (
    columns,
    doubts,
    images,
    labels,
    series,
    splits,
    tables,
    texts,
)
from silmu.steps.collect.checks.view import Finding, View

if TYPE_CHECKING:
    from silmu.steps.collect.dataset import Dataset

__all__ = ["Finding", "check"]


def check(dataset: Dataset, *, kind: str = "text", answers: str = "auto") -> list[Finding]:
    """Everything that is found, what is wrong before what is worth a note.

    >>> from silmu.steps.collect import collect
    >>> check(collect("reviews.csv", "1-dataset"))[0].kind                # doctest: +SKIP
    'label spelling'

    Args:
        dataset: the rows.
        kind: as they were collected: `text`, `table`, `image` or `series`.
        answers: what the target is: `labels`, `numbers`, or `auto`, which is told from it.
    """
    if kind == "series":
        return _ordered(series.check(dataset))
    view = View(dataset, is_table=kind == "table", is_image=kind == "image", answers=answers)
    if view.is_table:
        found = [*labels.check(view), *splits.check(view), *tables.check(view)]
    elif view.is_image:
        found = [
            *labels.check(view),
            *images.check(view),
            *splits.check(view),
            *columns.check(view),
        ]
    else:
        found = [
            *labels.check(view),
            *texts.check(view),
            *splits.check(view),
            *columns.check(view),
            *doubts.check(view),
        ]
    return _ordered(found)


def _ordered(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: finding.severity == "note")
