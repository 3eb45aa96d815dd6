"""Why a model gave one answer: what of the input it hangs on.

Each kind of rows that `collect` knows has a file `<kind>/explained.py`, found by the name that a
pipeline gives to what it reads. It needs no more than the pipeline does: neither torch nor the
extras of learning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu import __version__, registry
from silmu.errors import UnknownNameError, UnknownTaskError
from silmu.pipelines import class_of
from silmu.steps.evaluate.charts import Row, forest
from silmu.steps.evaluate.markup import Html, html
from silmu.steps.evaluate.sheet import sheet
from silmu.steps.evaluate.words import shortened

MOST = 5
"""Labels that an answer is told with."""

Part = tuple[str, str, Html | None]
"""The id, the title and the content of a part of a page."""


def explain(pipe: Any, given: Any, *, label: str | None = None, **settings: Any) -> dict[str, Any]:
    """What an answer hangs on, as plain values.

    Args:
        pipe: a pipeline of a task that can be learnt.
        given: one input of it.
        label: whose score is explained; the best one's, if not given.
        settings: of the pipeline; of tables `odd`.

    Returns:
        "task", "model", "kind" of its labels, "answer": [{"label", "score"}], the best first, "of":
        the label that is explained, and what `<kind>/explained.py` says of that kind of rows.

    Raises:
        UnknownTaskError: what decides answers of its task is not told.
        UnknownNameError: the model has no such label.
        InputError: the input cannot be answered.
    """
    check(pipe)
    found = registry.explaining_module(pipe.rows).explain(pipe, given, label=label, **settings)
    name = str(pipe.model.name_or_path)
    if Path(name).exists():  # the folders around it are nobody's affair
        name = Path(name).absolute().name
    return {"task": pipe.task, "model": name, "rows": pipe.rows, **found}


def check(pipe: Any) -> None:
    """Refuses a model whose answers are not explained.

    Raises:
        UnknownTaskError: it is one.
    """
    known = registry.tasks()
    if pipe.task not in known or not registry.explains(pipe.rows):
        others = [one for one in known if registry.explains(class_of(one).rows)]
        raise UnknownTaskError(
            f"the model is for {pipe.task}, whose answers are not explained",
            hint=f"those of {', '.join(others)} are",
        )


def page(told: Mapping[str, Any]) -> str:
    """What `explain` found, as one page."""
    numbers = told["kind"] == "number"
    rows = [
        Row(
            one["label"],
            one["score"],
            None,
            None,
            tone="model" if one["label"] == told["of"] else "",
        )
        for one in told["answer"]
    ]
    head = html(
        '<header><p class="over">silmu explain <span>{task}</span></p><h1><bdi>{label}</bdi></h1>'
        '<p class="about"><span><bdi>{model}</bdi></span></p>{answer}</header>',
        task=told["task"],
        label=shortened(told["answer"][0]["label"], 80),
        model=shortened(told["model"], 120),
        answer=forest(
            rows,
            caption="The answer",
            head="said",
            unit="number" if numbers else "score",
            between="",
            mark=None if numbers else 0,
        ),
    )
    return sheet(
        registry.explaining_module(told["rows"]).sections(told),
        title=f"{shortened(told['answer'][0]['label'])}: {told['task']}",
        head=head,
        footer=html("Made by silmu {version}.", version=__version__),
        what="explanation",
    )


def chosen(
    names: Sequence[str], scores: NDArray[Any], label: str | None, *, numbers: bool = False
) -> int:
    """The place of the label that is explained: the one that is named, or the best.

    Args:
        names: of the labels, or of the targets.
        scores: of each.
        label: the one that is named.
        numbers: whether scores are those of targets, of which none is the best.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if label is None:
        return 0 if numbers else int(np.argmax(scores))
    if label not in names:
        raise UnknownNameError(
            f"the model has no label {label!r}; it has {', '.join(names[:20])}"
            + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")
        )
    return names.index(label)


def best(
    names: Sequence[str], scores: NDArray[Any], *, numbers: bool = False
) -> list[dict[str, Any]]:
    """An answer, the best labels first; of numbers all, in their order."""
    order = range(len(names)) if numbers else np.argsort(-scores, kind="stable")[:MOST]
    return [{"label": names[int(i)], "score": float(scores[int(i)])} for i in order]
