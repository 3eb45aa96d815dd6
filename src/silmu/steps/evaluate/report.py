"""What an evaluation found: every number of the report page and the model card is from here.

metrics.json, whole. What does not apply is null or an empty list; a Metric is
{"value": x, "low": x, "high": x, "n": rows}, low and high the ends of a 95 % interval.

    format       1
    task         "text-classification"
    kind         "single" | "multiple" | "ordered" | "number"
    labels       ["fresh", ...]; [] for number
    model        {"name": "4-model", "fingerprint": hex}
    data         {"name", "source", "fingerprint", "rows_in", "group": column or null,
                  "dropped": [{"reason", "count"}], "counts": {"train", "validation", "test"},
                  "moved": duplicates put with their leader, "scored": rows, "truncated": rows,
                  "failed": [{"row", "error"}]}; of a file of new data: no counts, moved, and
                  with "unseen": [{"label", "count"}], "without_label": rows
    look         1 for the first look at this test split; null for a file of new data
    looks_beside how often the runs beside this one looked at the same rows
    metric       the name of the metric that counts, such as "accuracy"
    metrics      {name: Metric}; {} where a file has no labels. Names by kind:
                 single    accuracy balanced_accuracy f1_macro roc_auc log_loss
                           expected_calibration_error
                 ordered   those of single, mean_absolute_error (in steps), quadratic_kappa
                 multiple  f1_macro f1_micro accuracy (all labels right) hamming_loss roc_auc
                           log_loss
                 number    mean_absolute_error root_mean_squared_error r2
    baselines    {"majority": {name: Metric}, "tfidf": {name: Metric}}; of number, "median"
                 stands in for "majority"; {} for a file of new data
    comparison   null, or {"metric", "against": "tfidf", "difference", "low", "high",
                 "verdict": "better" | "worse" | "no clear difference", "sentence",
                 "mcnemar": null or {"only_model", "only_baseline", "p"},
                 "others": {"majority": {the same keys but others}}}; a difference above 0 is
                 in the model's favour, whichever way the metric goes
    warnings     [sentence, ...]
    seconds      {step: s}
    run          how the model came to be, as history.py gathers it and page.py lists it
    details
      confusion     null, or {"labels": [...], "counts": [[of row = true, column = predicted]]};
                    the 40 most frequent labels, where there are more
      per_class     [{"label", "n", "predicted", "precision": Metric or null,
                    "recall": Metric or null, "f1": Metric or null, "threshold": x or null}]
      slices        [{"column", "value", "n", "metric", "score": Metric}]; column "(script)" is
                    the writing system
      lengths       [{"from", "to", "unit": "words" | "characters", "n", "metric",
                    "score": Metric}], shortest first
      reliability   [{"low", "high", "n", "confidence", "accuracy": Metric}], bins without rows
                    left out; of multiple, of all labels together
      scatter       null, or of number {"target": [...], "prediction": [...]}, up to 1,000 rows
      worst         [{"row", "text", "label", "prediction", "score", "label_score"}], the most
                    confident mistake first; row counts from 1 in the source; text is cut at
                    1,000 characters; score is of the prediction, label_score what the true
                    label got. Of multiple, label and prediction are lists, score is that of the
                    label told most wrongly, label_score null. Of number, label and prediction
                    are numbers and the scores null
      attributions  [{"row", "label", "prediction", "kind": "mistake" | "typical", "of": label
                    whose score is explained, "score", "pieces": [[text, weight], ...]}]; the
                    pieces joined are the text; weight is how far the score falls without the
                    piece
      thresholds    null, or of multiple [x a label]
      baselines     {"majority": {"title"}, "tfidf": {"title", "chosen": "words" | "characters",
                    "metric", "validation": {"words": x, "characters": x}, "rows": fitted on,
                    "capped": bool, "fitted": hex, the hash of what was fitted}}
      bootstrap     {"resamples", "by": "row" or the group column, "units": how many, "seed"}
      drift         null, or of a file of new data [{"what", "train", "here", "difference",
                    "low", "high", "clear": bool}]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

from silmu.errors import CorruptError, StoreError, UnknownNameError

FORMAT = 1
FILE = "metrics.json"


@dataclass(frozen=True)
class Metric:
    """A figure with the interval that holds the true one in 95 of 100 cases.

    >>> Metric(0.91, 0.88, 0.93, 500).interval
    (0.88, 0.93)
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends of the 95 % interval."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@final
class Report(Mapping[str, Metric]):
    """The metrics of a model by name, and all that was found beside them.

    >>> accuracy = {"value": 0.91, "low": 0.88, "high": 0.93, "n": 500}
    >>> report = Report({"metrics": {"accuracy": accuracy}})
    >>> report["accuracy"].value
    0.91
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)
        self.metrics = _metrics(values.get("metrics", {}))

    def __getitem__(self, name: str) -> Metric:
        if name not in self.metrics:
            there = ", ".join(self.metrics) or "none: the data had no labels"
            raise UnknownNameError(f"the report has no {name!r}; its metrics are {there}")
        return self.metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def __contains__(self, name: object) -> bool:
        return name in self.metrics

    def __repr__(self) -> str:
        return f"Report({', '.join(f'{name} {metric}' for name, metric in self.items())})"

    @property
    def metric(self) -> str:
        """The name of the metric that counts."""
        return str(self._values.get("metric", ""))

    @property
    def baselines(self) -> dict[str, dict[str, Metric]]:
        """The same metrics of models that anyone could have had."""
        given = cast("dict[str, Any]", self._values.get("baselines", {}))
        return {name: _metrics(metrics) for name, metrics in given.items()}

    @property
    def comparison(self) -> dict[str, Any]:
        """The paired difference to the strong baseline; empty where there is none."""
        return dict(self._values.get("comparison") or {})

    @property
    def details(self) -> dict[str, Any]:
        """Tables and examples, laid out as the docstring of this module says."""
        return dict(self._values.get("details", {}))

    @property
    def seconds(self) -> dict[str, float]:
        """How long each step took."""
        return dict(self._values.get("seconds", {}))

    @property
    def look(self) -> int | None:
        """How often this test split had been looked at, this time included."""
        return self._values.get("look")

    @property
    def warnings(self) -> list[str]:
        """What a reader of the figures must know."""
        return list(self._values.get("warnings", []))

    def to_dict(self) -> dict[str, Any]:
        """All of it, as in metrics.json."""
        return dict(self._values)

    def to_bytes(self) -> bytes:
        """The bytes of metrics.json."""
        # NaN is not JSON, and a metric that cannot be computed is left out.
        return (
            json.dumps(self._values, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n"
        )

    @classmethod
    def open(cls, path: str | Path) -> Report:
        """Reads a report folder, a metrics.json, or the run folder around it.

        Raises:
            StoreError: there is none.
            CorruptError: it is not one that this version of silmu wrote.
        """
        path = Path(path)
        places = [path, path / FILE, path / "5-report" / FILE]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise StoreError(
                f"there is no {FILE} in {str(path)!r}", hint="silmu evaluate writes one"
            )
        try:
            values = cast("dict[str, Any]", json.loads(found.read_bytes()))
            if values["format"] != FORMAT:
                raise CorruptError(
                    f"{str(found)!r} has format {values['format']!r}; this silmu reads {FORMAT}"
                )
            return cls(values)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CorruptError(f"{str(found)!r} is not a {FILE} of silmu") from error


def _metrics(given: Mapping[str, Any]) -> dict[str, Metric]:
    return {name: Metric(**cast("dict[str, Any]", values)) for name, values in given.items()}
