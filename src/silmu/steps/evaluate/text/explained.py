"""Why a model answered a text as it did: which of its words the answer hangs on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from silmu.errors import InputError
from silmu.runtime.processor import Processor
from silmu.steps.evaluate import examples
from silmu.steps.evaluate.explaining import Part, best, chosen
from silmu.steps.evaluate.kinds import kind_of
from silmu.steps.evaluate.markup import html, joined
from silmu.steps.evaluate.text.attribution import MOST_PIECES, occlusion

FIELDS = ("text", "text_pair")
"""What the pipeline calls a text, and what is read with it."""


def explain(pipe: Any, given: Any, *, label: str | None = None) -> dict[str, Any]:
    """The answer to a text, and how far its score falls without each piece of the text.

    Args:
        pipe: a pipeline for text-classification.
        given: a text, or {"text", "text_pair"}, of which the first is explained.
        label: whose score is explained.

    Returns:
        {"kind", "answer": [{"label", "score"}], "of": label, "pieces": [[text, weight], ...]}; the
        pieces joined are the text.

    Raises:
        InputError: it is neither.
    """
    processor = Processor.open(pipe.model.folder)
    # A model of silmu's reads as much of a text as in training; of another, as it can.
    options = {} if processor else {"truncation": True}
    config = pipe.model.config
    names = [str(config.id2label[i]) for i in range(config.num_labels)]
    kind = kind_of(processor, config)
    is_number = kind == "number"

    def scores(texts: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
        asked = [dict(zip(FIELDS, one, strict=False)) for one in texts]
        return pipe.outputs(asked, **options)

    texts = _texts(given)
    own = scores([texts])[0]
    of = chosen(names, own, label, numbers=is_number)
    (pieces,) = occlusion(scores, [texts], [of])
    return {
        "kind": kind,
        "answer": best(names, own, numbers=is_number),
        "of": names[of],
        "pieces": [[piece, weight] for piece, weight in pieces],
    }


def _texts(given: Any) -> tuple[str, ...]:
    """A text, or a text and its pair."""
    fields = cast("Mapping[str, Any]", given if isinstance(given, Mapping) else {"text": given})
    values: list[Any] = [fields.get(name) for name in FIELDS]
    texts = tuple(values[:1] if values[1] is None else values)
    if not {*fields} <= {*FIELDS} or not all(isinstance(one, str) for one in texts):
        raise InputError(
            f"{cast('object', given)!r:.60} is not a text, nor a pair of texts",
            hint='give a text, or {"text": "...", "text_pair": "..."}',
        )
    return texts


def sections(told: Mapping[str, Any]) -> Iterator[Part]:
    """The parts of a page."""
    lead = html(
        '<p class="lead">{legend} Each piece, {most} at most, is left out once, and the text asked '
        "again (Robnik-Sikonja and Kononenko, 2008).</p>",
        legend=examples.LEGEND,
        most=MOST_PIECES,
    )
    yield "words", "Which words decide", joined([lead, examples.decided(told)])
