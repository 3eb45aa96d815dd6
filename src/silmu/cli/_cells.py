"""What of an answer goes into which column of a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

from silmu.cli import _words
from silmu.errors import InputError, InvalidModelError

Answer = Mapping[str, Any]
PREFIX = "prediction_"


class Cells(NamedTuple):
    """How answers are told in columns beside those of the rows.

    Attributes:
        told: what an answer has for each kind of cell.
        is_number: the kinds of cells in their order, and whether each holds a number.
        settings: what the pipeline must be asked beside what it is asked.
        names: the column of each kind of cell.
    """

    told: Callable[[Any], Answer]
    is_number: Mapping[str, bool]
    settings: Mapping[str, Any]
    names: Mapping[str, str]

    @property
    def columns(self) -> dict[str, bool]:
        """The columns that are added, and whether each holds numbers."""
        return {column: self.is_number[kind] for kind, column in self.names.items()}

    def of(self, found: Any) -> dict[str, Any]:
        """The cells of an answer, or of an InputError that stands for one."""
        if isinstance(found, InputError):
            return {**dict.fromkeys(self.names.values()), self.names["error"]: found.message}
        values = self.told(found)
        return {column: values.get(kind) for kind, column in self.names.items()}

    def beside(self, own: Collection[str]) -> Cells:
        """The same, under other names where a model reads columns of their names."""
        names = {kind: f"{PREFIX}{kind}" if kind in own else kind for kind in self.names}
        return self._replace(names=names)


def cells_of(pipe: Any, settings: Mapping[str, Any]) -> Cells:
    """How the answers of a pipeline are told.

    Args:
        pipe: the pipeline.
        settings: what it will be asked.

    Raises:
        InvalidModelError: its thresholds do not fit its labels.
    """
    if pipe.rows == "series":
        named = ("mean", *(f"{share:g}" for share in pipe.processor.quantiles))
        return Cells(dict, dict.fromkeys(named, True), {}, {name: name for name in named})
    is_table = pipe.rows == "table"
    is_asked_for_some = bool({"top_k", "return_all_scores"} & {*settings})
    kinds = {"prediction": False, "score": True}
    asked: dict[str, Any] = {}
    told: Callable[[Any], Answer] = _words.as_cells
    if is_table and pipe.head == "tabular-regression":
        is_one: bool = pipe.model.config.num_labels == 1
        kinds, told = {"prediction": is_one, "low": is_one, "high": is_one}, dict
    elif _is_number(pipe):
        kinds["prediction"], told = True, _number
        # Of a single label the pipeline of pictures, as that of transformers, gives a sigmoid.
        asked = {} if "function_to_apply" in settings else {"function_to_apply": "none"}
    elif (thresholds := _thresholds(pipe)) and not is_asked_for_some:
        asked, told = {"top_k": len(thresholds)}, partial(_labels, thresholds=thresholds)
    elif pipe.gives_lists or settings.get("multi_label") or settings.get("multi_class"):
        told = _words.as_list
    elif pipe.rows == "image" and not is_asked_for_some:
        told = _best
    if is_table:
        kinds["flags"], told = False, partial(_flagged, told=told)
    kinds["error"] = False
    return Cells(told, kinds, asked, {kind: kind for kind in kinds})


# ── one answer ─────────────────────────────────────────────────────────────────────────────────


def flags_of(found: Any) -> list[str]:
    """What is odd about a row of a table, as its answer says it.

    >>> flags_of([{"label": "yes", "score": 0.9, "flags": ["`age`: 900 is far outside"]}])
    ['`age`: 900 is far outside']
    """
    several = cast("list[Any]", found if isinstance(found, list) else [found])
    first = several[0] if several else None
    return cast("Answer", first).get("flags", []) if isinstance(first, Mapping) else []


def _flagged(found: Any, told: Callable[[Any], Answer]) -> dict[str, Any]:
    flags = flags_of(found)
    return {**told(_without_flags(found) if flags else found), "flags": flags or None}


def _without_flags(found: Any) -> Any:
    if isinstance(found, list):
        return [_without_flags(one) for one in cast("list[Any]", found)]
    return {name: value for name, value in found.items() if name != "flags"}


def _best(found: Any) -> dict[str, Any]:
    """The likeliest of several labels; vectors as they are."""
    several = cast("list[Any]", found if isinstance(found, list) else [])
    is_labelled = bool(several) and isinstance(several[0], Mapping)
    return _words.as_cells(several[:1] if is_labelled else found)


def _is_number(pipe: Any) -> bool:
    config = pipe.model.config
    is_regression = config.problem_type == "regression" and config.num_labels == 1
    return pipe.task in ("text-classification", "image-classification") and is_regression


def _number(found: Any) -> dict[str, Any]:
    record = cast("Any", found[0] if isinstance(found, list) else found)
    return {"prediction": record["score"], "score": None}


def _thresholds(pipe: Any) -> dict[str, float]:
    """From where on each label is given, for a model that gives any number of them."""
    thresholds: tuple[float, ...] | None = getattr(pipe, "thresholds", None)
    if not thresholds:
        return {}
    labels: dict[int, str] = pipe.model.config.id2label
    if len(thresholds) != len(labels):
        raise InvalidModelError(
            f"processor.json of `{pipe.model.name_or_path}` has {len(thresholds)} thresholds, and "
            f"config.json {len(labels)} labels"
        )
    return {labels[i]: threshold for i, threshold in enumerate(thresholds)}


def _labels(found: list[dict[str, Any]], thresholds: dict[str, float]) -> dict[str, Any]:
    labels = [one["label"] for one in found if one["score"] >= thresholds[one["label"]]]
    return {"prediction": labels, "score": None}
