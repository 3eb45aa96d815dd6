"""What labelled rows hold: which columns are read, and the truth as a model would tell it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import InputError, UsageError
from silmu.pipelines._base import logger
from silmu.pipelines._labelled import METRICS, Labelled, spread
from silmu.runtime import cells, row_files
from silmu.runtime.processor import Processor
from silmu.runtime.schema import Schema

if TYPE_CHECKING:
    from silmu.pipelines._base import Pipeline

    Row = Mapping[str, Any]

MOST = 1000
"""So many rows are asked at most, evenly spread over all that there are."""

FIELDS = ("question", "context")
TARGETS = {"single": ("label", "labels"), "answers": ("answers", "answer")}
"""Which column holds the truth where nobody says."""

SEPARATORS = ";|,"


def read(
    source: Any,
    pipe: Pipeline,
    *,
    metric: str | None = None,
    input: str | Sequence[str] | None = None,
    target: str | None = None,
) -> Labelled:
    """Labelled rows for a pipeline.

    Args:
        source: a file (.csv, .tsv or .jsonl, which may be packed as .gz), or rows as dicts.
        pipe: for one of KINDS; it is not asked yet.
        metric: one of METRICS; the usual one, if None.
        input: the column of the texts, or both of pairs; that of the training, or the only one of
            texts, if None.
        target: the column of the truth; that of the training, or the one called `label` or
            `answers`, if None.

    Raises:
        UsageError: the file cannot be read, a column is not there, or the metric is not for what
            the model tells.
        InputError: a row holds what the model cannot tell, or none holds both.
    """
    kind = _kind(pipe)
    usual = METRICS[kind]
    if metric not in (None, *usual):
        raise UsageError(
            f"metric is {metric!r}; what `{pipe.model.name_or_path}` tells is judged by "
            f"{', '.join(usual)}"
        )
    name, rows, count = _rows(source)
    columns = _inputs(name, rows[0], pipe, kind, input, target)
    truth = _target(name, rows[0], pipe, kind, target)
    if truth in columns:
        raise UsageError(f"`{truth}` cannot be both input and target")
    keys = columns if kind == "answers" else ("text", "text_pair")[: len(columns)]
    asked: list[Any] = []
    said: list[Any] = []
    for row in rows:
        values = [row.get(column) for column in columns]
        if all(isinstance(value, str) and value.strip() for value in values):
            pair = dict(zip(keys, values, strict=True))
            asked.append(pair if len(keys) > 1 else values[0])
            said.append(row.get(truth))
    right, known = _truth(said, kind, pipe, f"`{truth}` of `{name}`")
    inputs = [one for one, is_known in zip(asked, known, strict=True) if is_known]
    if not inputs:
        raise InputError(f"no row of `{name}` has both a text and a `{truth}`")
    if len(inputs) < len(rows):
        logger.warning(
            "of %d rows of `%s`, %d lack a text or a `%s`, and are left out",
            *(len(rows), name, len(rows) - len(inputs), truth),
        )
    if count > len(rows):
        logger.info("of the %d rows of `%s`, %d are asked", count, name, len(rows))
    return Labelled(name, kind, metric or usual[0], inputs, right)


# ── what is read ───────────────────────────────────────────────────────────────────────────────


def _rows(source: Any) -> tuple[str, list[Row], int]:
    """What the rows are called, those that are asked, and how many there are."""
    if isinstance(source, str | Path):
        path = Path(source)
        file = row_files.open_text(path)
        if file is None:
            raise UsageError(
                f"labelled is `{path}`; it must be a .csv, .tsv or .jsonl",
                hint="or give its rows, as a list of dicts",
            )
        with closing(file):
            rows, count = _some(row for block in file.blocks(MOST) for row in block.rows())
        name = str(path)
    else:
        given = cast("list[Any]", source)
        if not isinstance(source, list) or not all(isinstance(row, Mapping) for row in given):
            kind = type(cast("object", source)).__name__
            raise UsageError(f"labelled is a {kind}; it must be a file, or a list of dicts")
        name, (rows, count) = "labelled", _some(given)
    if not rows:
        raise InputError(f"`{name}` has no rows")
    return name, rows, count


def _some(rows: Iterable[Row]) -> tuple[list[Row], int]:
    """At most MOST of some rows, evenly spread, of which few are held meanwhile; and how many."""
    kept: list[Row] = []
    step, count = 1, 0
    for row in rows:
        if count % step == 0:
            kept.append(row)
            if len(kept) > 2 * MOST:
                kept, step = kept[::2], 2 * step
        count += 1
    return spread(kept, MOST), count


def _kind(pipe: Pipeline) -> str:
    config = pipe.model.config
    if pipe.task == "question-answering":
        return "answers"
    if config.problem_type == "regression" or config.num_labels == 1:
        if config.num_labels > 1:
            raise UsageError(
                f"`{pipe.model.name_or_path}` tells {config.num_labels} numbers at once, and "
                "labelled rows judge one",
                hint="leave labelled out: max_drift bounds it",
            )
        return "number"
    return "multiple" if config.problem_type == "multi_label_classification" else "single"


def _inputs(
    name: str, first: Row, pipe: Pipeline, kind: str, given: Any, target: str | None
) -> tuple[str, ...]:
    if kind == "answers":
        if given is not None:
            raise UsageError(f"input is {given!r}; this task reads {' and '.join(FIELDS)}")
        return tuple(_there(name, first, field) for field in FIELDS)
    if isinstance(given, str):
        given = [given] if given in first else given.split(",")
    if given is None:
        trained = Processor.open(pipe.model.folder)
        texts = [one for one in first if one != target and row_files.is_text(first[one])]
        if target is None:
            texts = [one for one in texts if one not in TARGETS["single"]]
        if trained is None and len(texts) != 1:
            raise UsageError(
                f"`{name}` has {len(texts) or 'no'} columns of texts among {_listed(first)}",
                hint='name the one that is read: model_kwargs={"input": "..."}',
            )
        given = texts if trained is None else trained.inputs
    columns = tuple(_there(name, first, column) for column in given)
    if not 1 <= len(columns) <= 2:
        raise UsageError(f"input is {', '.join(columns)}; a row is a text, or a pair of texts")
    return columns


def _target(name: str, first: Row, pipe: Pipeline, kind: str, given: str | None) -> str:
    if given is None:
        schema = Schema.open(pipe.model.folder)
        trained = [column.name for column in schema.targets] if schema else []
        usual = TARGETS["answers" if kind == "answers" else "single"]
        given = next((one for one in (*trained, *usual) if one in first), None)
    if given is None:
        raise UsageError(
            f"it cannot be told which column of `{name}` holds the truth, among {_listed(first)}",
            hint='name it: model_kwargs={"target": "..."}',
        )
    return _there(name, first, given)


def _there(name: str, first: Row, column: str) -> str:
    if column not in first:
        raise UsageError(f"`{name}` has no column `{column}`; it has {_listed(first)}")
    return column


def _listed(first: Row) -> str:
    return ", ".join(f"`{column}`" for column in first) or "none"


def _truth(values: list[Any], kind: str, pipe: Pipeline, what: str) -> tuple[Any, list[bool]]:
    """The truth of the rows that have one, and which have."""
    if kind == "number":
        schema = Schema.open(pipe.model.folder)
        told = schema.targets if schema else ()
        written = told[0].written if told else (".", "")
        numbers, strange = cells.numbers(values, *written)
        if strange.any():
            raise InputError(f"{what} holds {values[int(strange.argmax())]!r:.80}, no number")
        finite = np.isfinite(numbers)
        return numbers[finite], finite.tolist()
    known = [value is not None and value == value for value in values]
    if kind == "answers":
        known = [is_there and value != "" for is_there, value in zip(known, values, strict=True)]
        return [_texts_of_answers(one) for one in _those(values, known)], known
    labels = pipe.model.config.id2label
    place = {label.strip(): i for i, label in labels.items()}
    if kind == "multiple":
        found = np.zeros((sum(known), len(labels)), bool)
        for row, value in zip(found, _those(values, known), strict=True):
            row[[_label(one, place, what) for one in _parts(value, place)]] = True
        return found, known
    known = [not _is_blank(value) for value in values]
    return np.array([_label(one, place, what) for one in _those(values, known)], np.int64), known


def _those(values: list[Any], known: list[bool]) -> Iterator[Any]:
    return (value for value, is_known in zip(values, known, strict=True) if is_known)


def _is_blank(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _parts(value: Any, place: Mapping[str, int]) -> list[Any]:
    """The labels that a cell names: a list, or a text with something between them."""
    if not isinstance(value, str):
        return cast("list[Any]", value) if isinstance(value, list) else [value]
    between = next((mark for mark in SEPARATORS if mark in value and value not in place), None)
    parts = [value] if between is None else value.split(between)
    return [part for part in parts if str(part).strip()]


def _label(value: Any, place: Mapping[str, int], what: str) -> int:
    text = value.strip() if isinstance(value, str) else cells.level(value)
    number = place.get(str(text), place.get(str(cells.level(value))))
    if number is None:
        raise InputError(
            f"{what} holds {value!r:.80}; the model tells {', '.join(list(place)[:12])}",
            hint="write labels as the model does",
        )
    return number


def _texts_of_answers(value: Any) -> list[str]:
    """The right answers of a row: a text, a list, or a dict with `text` as SQuAD has it."""
    if isinstance(value, Mapping):
        value = cast("Mapping[str, Any]", value).get("text")
    several = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [str(one) for one in several] or [""]
