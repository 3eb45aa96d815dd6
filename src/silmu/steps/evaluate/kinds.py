"""The kind of a model's labels, and what kinds of rows are called where a model is told of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from silmu.runtime.processor import Processor


@final
@dataclass(frozen=True)
class Words:
    """How a model card speaks of what goes in.

    Attributes:
        one: what goes in.
        imports: what a program needs beside the pipeline.
        call: how it asks `pipe`.
        given: what may be given, in a sentence.
        counted: what a figure is told of so many of.
        held: where they are from, as who looks at them speaks of it.
        sealed: the same, as who hears of them for the first time is told.
        limits: for what the figures hold, and how others are had.
    """

    one: str
    imports: tuple[str, ...] = ()
    call: tuple[str, ...] = ()
    given: str = ""
    counted: str = "rows"
    held: str = "this test split"
    sealed: str = "of a sealed test split"
    limits: str = (
        "The figures hold for rows like those of the test split, and for no others: "
        "`silmu evaluate MODEL --data FILE` measures it on yours."
    )


TEXT = Words("A text", call=('pipe("A text to answer.")',))

WORDS: Mapping[str, Words] = {
    "texts": TEXT,
    "rows": Words(
        "A row of a table",
        imports=("import csv",),
        call=(
            'with open("rows.csv", newline="") as file:',
            "    answers = pipe(list(csv.DictReader(file)))",
        ),
        given="Rows are a dict, a list of dicts, a dict of columns, or a data frame, with the "
        "columns that are named above. An answer has `flags` where a cell looks like none of "
        "the training.",
    ),
    "pictures": Words(
        "A picture",
        call=('pipe("photo.jpg")',),
        given="A picture is a path, a URL, or an image of Pillow: JPEG, PNG, WebP, BMP, GIF or "
        "TIFF, told by what is in the file and not by its name.",
    ),
    "series": Words(
        "The history of a series",
        imports=("import csv",),
        call=(
            'with open("history.csv", newline="") as file:',
            "    forecast = pipe(list(csv.DictReader(file)))",
        ),
        given="A history is a list of numbers, a dict of columns, a list of dicts, or a data frame "
        "with the columns that are named above; several may be given in a list. A forecast has "
        "`time`, `mean` and `quantiles`, a list of each.",
        counted="forecast steps",
    ),
    "environments": Words(
        "An observation of an environment",
        imports=("import gymnasium",),
        call=(
            'environment = gymnasium.make("ID")',
            "observation, _ = environment.reset()",
            "pipe.reset()",
            'observation, *_ = environment.step(pipe(observation)["action"])',
        ),
        given="An observation is an array or a list; several, a list of them, are those of as many "
        "episodes side by side. `deterministic=False` draws an action by its probability where the "
        "policy has some; `value=True` adds what it expects to earn. `silmu use MODEL --env ID "
        "--episodes 5` lets it act.",
        counted="episodes",
        held="these episodes",
        sealed="that training never had",
        limits="The figures hold for this environment and this time limit, and for no others: "
        "`silmu evaluate MODEL --data ID` measures the policy in another one with equal spaces.",
    ),
}
"""By what a report calls the rows."""


_PROBLEMS = {"regression": "number", "multi_label_classification": "multiple"}


def kind_of(processor: Processor | None, config: Any) -> str:
    """The kind of a model's labels: `single`, `multiple`, `ordered` or `number`.

    Args:
        processor: of a model that silmu trained.
        config: of the model.
    """
    if processor is not None:
        return processor.kind
    return _PROBLEMS.get(config.problem_type or "", "single")


def words_of(report: Mapping[str, Any]) -> Words:
    """The words for the rows of a report.

    >>> words_of({"rows": "pictures"}).one
    'A picture'
    """
    return WORDS.get(str(report.get("rows")), TEXT)
