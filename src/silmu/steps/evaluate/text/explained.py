"""Why a model answered a text as it did: which of its words the answer hangs on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.runtime.processor import Processor
from silmu.steps.evaluate import examples
from silmu.steps.evaluate.explaining import Part, best, chosen
from silmu.steps.evaluate.markup import html, joined
from silmu.steps.evaluate.text.attribution import MOST_PIECES, occlusion


def explain(pipe: Any, given: Any, *, label: str | None = None) -> dict[str, Any]:
    """The answer to a text, and how far its score falls without each piece of the text.

    Returns:
        {"answer": [{"label", "score"}], "of": label, "pieces": [[text, weight], ...]}; the pieces
        joined are the text.
    """
    # A model of silmu's reads as much of a text as in training; of another, as it can.
    options = {} if Processor.open(pipe.model.folder) else {"truncation": True}
    names = [str(pipe.model.config.id2label[i]) for i in range(pipe.model.config.num_labels)]
    place = {name: i for i, name in enumerate(names)}

    def scores(texts: Sequence[Any]) -> NDArray[np.float64]:
        found = np.zeros((len(texts), len(names)))
        asked = [one if isinstance(one, str) else one[0] for one in texts]
        for row, answer in zip(found, pipe(asked, top_k=None, **options), strict=True):
            for one in answer:
                row[place[one["label"]]] = one["score"]
        return found

    own = scores([given])[0]
    of = chosen(names, own, label)
    (pieces,) = occlusion(scores, [(given,)], [of])
    return {
        "answer": best(names, own),
        "of": names[of],
        "pieces": [[piece, weight] for piece, weight in pieces],
    }


def sections(told: Mapping[str, Any]) -> Iterator[Part]:
    """The parts of a page."""
    lead = html(
        '<p class="lead">{legend} Each piece, {most} at most, is left out once, and the text asked '
        "again (Robnik-Sikonja and Kononenko, 2008).</p>",
        legend=examples.LEGEND,
        most=MOST_PIECES,
    )
    yield "words", "Which words decide", joined([lead, examples.decided(told)])
