"""Rows with the truth beside them, and what a model is judged by on them."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from silmu.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.pipelines._base import Pipeline

METRICS = {
    "single": ("accuracy", "f1_macro"),
    "multiple": ("f1_macro", "accuracy"),
    "number": ("mean_absolute_error",),
    "answers": ("f1", "exact_match"),
}
"""What each kind of truth is judged by, the usual one first."""

KINDS = {
    "text-classification": ("single", "multiple", "number"),
    "question-answering": ("answers",),
}
"""The tasks that are judged, and what their truth may be."""

LOWER_IS_BETTER = ("mean_absolute_error",)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def check(task: str, metric: str | None) -> None:
    """Refuses a task that is not judged, and a metric that is not for a task.

    Raises:
        UsageError: as said.
    """
    if task not in KINDS:
        raise UsageError(
            f"labelled rows judge {' and '.join(KINDS)}, and the task is {task}",
            hint="leave labelled out: max_drift bounds how far scores may be from those of fp32",
        )
    names = dict.fromkeys(name for kind in KINDS[task] for name in METRICS[kind])
    if metric not in (None, *names):
        raise UnknownNameError(f"metric is {metric!r}; for {task} it may be {', '.join(names)}")


@final
@dataclass(frozen=True)
class Labelled:
    """What a pipeline is asked, and what is true.

    Attributes:
        name: of the file.
        kind: one of METRICS.
        metric: one of METRICS[kind].
        inputs: as the pipeline takes them.
        truth: of `single` the numbers of labels (rows,), of `multiple` whether a row has a label
            (rows, labels), of `number` numbers (rows,), of `answers` the right texts of each row.
        settings: what else the answers hang on, for the digest.
    """

    name: str
    kind: str
    metric: str
    inputs: list[Any]
    truth: Any
    settings: str = ""

    def digest(self) -> str:
        """What changes with the rows and with what they are judged by."""
        truth = self.truth if self.kind == "answers" else self.truth.tolist()
        whole = json.dumps([self.kind, self.metric, self.inputs, truth, self.settings])
        return hashlib.sha256(whole.encode("utf-8", "backslashreplace")).hexdigest()[:16]

    def texts(self, count: int) -> list[tuple[str, str | None]]:
        """Texts, or pairs of them, of some rows: from the shortest to the longest."""
        pairs = [_texts_of(one) for one in self.inputs]
        pairs.sort(key=lambda pair: len(pair[0]) + len(pair[1] or ""))
        return spread(pairs, count)

    def score(self, pipe: Pipeline) -> float:
        """The metric of a pipeline's answers to all rows."""
        if self.kind == "answers":
            found: Any = pipe(self.inputs, top_k=1)
            answers: list[Any] = [found] if len(self.inputs) == 1 else found
            judge = _overlap if self.metric == "f1" else _is_exact
            pairs = zip(answers, self.truth, strict=True)
            return float(np.mean([_best(judge, one["answer"], right) for one, right in pairs]))
        options: dict[str, Any] = {"truncation": True}
        if self.kind != "number":
            options["function_to_apply"] = "sigmoid" if self.kind == "multiple" else "softmax"
        scores: NDArray[np.float64] = cast("Any", pipe).outputs(self.inputs, **options)
        if self.kind == "number":
            return float(np.abs(scores[:, 0] - self.truth).mean())
        if self.kind == "single":
            predicted = scores.argmax(axis=1)
            if self.metric == "accuracy":
                return float((predicted == self.truth).mean())
            each = np.eye(scores.shape[1], dtype=bool)
            return _f1_macro(each[predicted], each[self.truth])
        thresholds = cast("Any", pipe).thresholds
        told = scores >= (0.5 if thresholds is None else np.array(thresholds))
        if self.metric == "accuracy":
            return float((told == self.truth).all(axis=1).mean())
        return _f1_macro(told, self.truth)


def _texts_of(given: Any) -> tuple[str, str | None]:
    if isinstance(given, str):
        return given, None
    one, other = given.values()
    return one, other


def spread(items: list[Any], most: int) -> list[Any]:
    """At most so many of some items, evenly spread over all."""
    if len(items) <= most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int).tolist()]


def _f1_macro(told: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """The mean over labels (axis 1), but for those that neither occur nor are told."""
    hits, both = (told & truth).sum(axis=0), told.sum(axis=0) + truth.sum(axis=0)
    there = both > 0
    return float((2 * hits[there] / both[there]).mean()) if there.any() else 0.0


def _best(judge: Any, found: str, right: list[str]) -> float:
    return max(judge(_words(found), _words(one)) for one in right)


def _is_exact(found: list[str], right: list[str]) -> float:
    return float(found == right)


def _overlap(found: list[str], right: list[str]) -> float:
    same = sum((Counter(found) & Counter(right)).values())
    return 2 * same / (len(found) + len(right)) if found or right else 1.0


def _words(text: str) -> list[str]:
    """The words of an answer, without articles and punctuation: Rajpurkar et al. 2016."""
    bare = "".join(c for c in text.lower() if not unicodedata.category(c).startswith("P"))
    return _ARTICLES.sub(" ", bare).split()
