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


def explain(
    pipe: Any, given: Mapping[str, Any], *, label: str | None = None, odd: str = "flag"
) -> dict[str, Any]:
    """The answer to a row, and how far it falls where a cell is as in most rows of the training.

    Args:
        pipe: a pipeline for tables.
        given: a row.
        label: label or target that is explained.
        odd: as the pipeline takes it.

    Returns:
        {"kind", "answer": [{"label", "score"}], or of numbers [{"label": target, "score":
        number}], "of": label or target, "cells": [[column, value, weight], ...]}, the weightiest
        first.
    """
    config = pipe.model.config
    names = [str(config.id2label[i]) for i in range(config.num_labels)]
    is_number = pipe.table.kind == "number"

    def ask(rows: Mapping[str, Sequence[Any]]) -> Told:
        # Where an odd cell is refused, the row was when it was asked as it is.
        return Told(pipe.outputs(rows, odd="flag" if odd == "error" else odd))

    columns = [*pipe.table.read]
    cells = {one.name: [given.get(one.name)] for one in columns}
    own = pipe.outputs(cells, odd=odd)[0]
    of = chosen(names, own, label, numbers=is_number)
    (found,) = occluded(ask, cells, columns, [of])
    answer = best(names, own, numbers=is_number)
    return {"kind": pipe.table.kind, "answer": answer, "of": names[of], **found}


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
