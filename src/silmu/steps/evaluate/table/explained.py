"""Why a model answered a row of a table as it did: which of its cells the answer hangs on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate import examples
from silmu.steps.evaluate.explaining import Part, best, chosen
from silmu.steps.evaluate.markup import html, joined
from silmu.steps.evaluate.table.occlusion import MOST_CELLS, occluded


@dataclass(frozen=True)
class Told:
    """What came out for rows.

    Attributes:
        outputs: (rows, labels), or (rows, targets).
    """

    outputs: NDArray[np.float64]


def explain(pipe: Any, given: Mapping[str, Any], *, label: str | None = None) -> dict[str, Any]:
    """The answer to a row, and how far it falls where a cell is as in most rows of the training.

    Returns:
        {"answer": [{"label", "score"}], or of numbers [{"label": target, "score": number}], "of":
        label or target, "cells": [[column, value, weight], ...]}, the weightiest first.
    """
    config = pipe.model.config
    names = [str(config.id2label[i]) for i in range(config.num_labels)]
    is_number = pipe.table.kind == "number"

    def ask(rows: Mapping[str, Sequence[Any]]) -> Told:
        # Cells that are odd are told by `silmu use`; here they are only replaced.
        answers: list[Any] = pipe(dict(rows)) if is_number else pipe(dict(rows), top_k=None)
        found = np.zeros((len(answers), len(names)))
        for row, answer in zip(found, answers, strict=True):
            row[:] = _numbers(answer, names) if is_number else _scores(answer, names)
        return Told(found)

    columns = [*pipe.table.read]
    cells = {one.name: [given.get(one.name)] for one in columns}
    own = ask(cells).outputs[0]
    of = chosen(names, own, label, numbers=is_number)
    (found,) = occluded(ask, cells, columns, [of])
    return {"answer": best(names, own, numbers=is_number), "of": names[of], **found}


def sections(told: Mapping[str, Any]) -> Iterator[Part]:
    """The parts of a page."""
    lead = html(
        '<p class="lead">Of {of}.{legend} {most} columns are tried at most (Robnik-Sikonja and '
        "Kononenko, 2008).</p>",
        of=told["of"],
        legend=examples.LEGEND_OF_CELLS,
        most=MOST_CELLS,
    )
    yield "cells", "Which cells decide", joined([lead, examples.decided(told)])


def _numbers(answer: Mapping[str, Any], names: Sequence[str]) -> list[float]:
    value = answer["prediction"]
    return [value[name] for name in names] if isinstance(value, Mapping) else [value]


def _scores(answer: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[float]:
    scores = {one["label"]: one["score"] for one in answer}
    return [scores[name] for name in names]
