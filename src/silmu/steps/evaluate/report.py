"""What an evaluation found: every number of the report page and the model card is from here.

metrics.json, whole. What does not apply is null or an empty list; a Metric is
{"value": x, "low": x, "high": x, "n": rows}, low and high the ends of a 95 % interval.

    format       1
    task         "text-classification", "tabular-regression", ...
    rows         what rows are: "texts" | "pictures" | "rows", of a table | "series" |
                 "environments", whose rows are episodes
    kind         "single" | "multiple" | "ordered" | "number" | "action"
    labels       ["fresh", ...]; [] for number
    targets      the names of several numbers that are told at once, else []
    model        {"name": "4-model", "fingerprint": hex}
    data         {"name", "source", "fingerprint", "rows_in", "group": column or null,
                  "dropped": [{"reason", "count"}], "counts": {"train", "validation", "test"},
                  "moved": duplicates put with their leader, "scored": rows,
                  "failed": [{"row", "error"}]}; of texts "truncated": rows; of a table
                  "flagged": rows with cells that look like none of the training; of series
                  "scored" counts the steps that were forecast and are known; of environments
                  "scored" counts episodes, and there are no rows_in; of a file of new
                  data: no counts, moved, and with "unseen": [{"label", "count"}],
                  "without_label": rows
    look         1 for the first look at this test split; null for a file of new data
    looks_beside how often the runs beside this one looked at the same rows
    metric       the name of the metric that counts, such as "accuracy"
    metrics      {name: Metric}; {} where a file has no labels. Names by kind:
                 single    accuracy balanced_accuracy f1_macro roc_auc log_loss
                           expected_calibration_error, and of more than five labels
                           top_5_accuracy (the true one is among the best five)
                 ordered   those of single, mean_absolute_error (in steps), quadratic_kappa
                 multiple  f1_macro f1_micro accuracy (all labels right) hamming_loss roc_auc
                           log_loss
                 number    mean_absolute_error root_mean_squared_error r2, and where the model
                           gives intervals interval_coverage (the share of true numbers within)
                           and interval_width (their mean). Of several numbers r2, which counts,
                           and interval_coverage, both means over the targets: errors in
                           different units have no mean
                 series    mean_absolute_error root_mean_squared_error
                           mean_absolute_scaled_error symmetric_mean_absolute_percentage_error
                           crps interval_coverage interval_width, as series/figures.py says; n
                           counts forecast steps. Where series differ in size by more than ten
                           times the scaled error counts
                 action    mean_return, which counts, median_return, episode_length (the mean, in
                           steps); n counts episodes
    baselines    {"majority": {name: Metric}, "tfidf": {name: Metric}}; of a table "linear" and
                 "boosted_trees" for "tfidf", of pictures "k_nearest"; of number, "median"
                 stands in for "majority", and "mean" of several numbers; {} for a file of new
                 data. Of series "naive", "seasonal_naive" where there is a season, and "ets"
                 where it could be fitted; of a file of new data without "ets". Of environments
                 "random" actions and "idle", the action that does nothing, on the same seeds, also
                 where the environment is a new one
    comparison   null, or {"metric", "against": "tfidf", "boosted_trees" or "k_nearest"; of series
                 the naive forecast that was the better on validation; of environments the
                 baseline that earned more in the same episodes,
                 "difference", "low", "high",
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
      per_target    of several numbers [{"target", "n", "metrics": {name: Metric},
                    "baselines": {baseline: {name: Metric}}, "scatter": as below}]
      promised      null, or the share of true numbers that intervals are to hold
      slices        [{"column", "value", "n", "metric", "score": Metric}]; column "(script)" is
                    the writing system; of a table also the parts of the columns that matter most;
                    of pictures also "(size)", "(shape)", "(colour)", "(format)", "(brightness)"
      sliced        of a table, of how many rows the slices are told
      lengths       [{"from", "to", "unit": "words" | "characters", "n", "metric",
                    "score": Metric}], shortest first
      reliability   [{"low", "high", "n", "confidence", "accuracy": Metric}], bins without rows
                    left out; of multiple, of all labels together
      scatter       null, or of one number {"target": [...], "prediction": [...]}, up to 1,000
                    rows
      importance    of a table {"metric", "rows", "repeats", "left_out": columns not measured,
                    "columns": [{"column", "value", "low", "high", "repeats": [x, ...]}]}: what
                    the metric loses when the cells of a column are shuffled, the most first
      dependence    of a table [{"column", "kind", "rows", "at": [values], "curves": [{"of": label
                    or target, "mean", "low", "high": [x a value]}]}]: the mean answer when all
                    rows have a value, and between which eight in ten answers lie; the label that
                    moves most comes first, and of two labels the second is told
      worst         [{"row", "text", "label", "prediction", "score", "label_score"}], the most
                    confident mistake first; row counts from 1 in the source; text is cut at
                    1,000 characters; score is of the prediction, label_score what the true
                    label got. Of multiple, label and prediction are lists, score is that of the
                    label told most wrongly, label_score null. Of number, label and prediction
                    are numbers, of several {target: x}, and the scores null. Of a table, for
                    text, "cells": [[column, value]], those that matter most first; of pictures
                    "picture", what its file is called
      attributions  [{"row", "label", "prediction", "kind": "mistake" | "typical", "of": label
                    whose score is explained, "score", "pieces": [[text, weight], ...]}]; the
                    pieces joined are the text; weight is how far the score falls without the
                    piece. Of a table, for pieces, "cells": [[column, value, weight]]: how far it
                    falls with what most rows of the training have. Of pictures "picture",
                    "saliency": [[how far it falls where a part is covered]], and "overlay", that
                    as a picture
      best          of pictures, as worst: the right answers that it was surest of
      confused      of pictures [{"true", "said", "n", "examples": [{"row", "picture", "score"}]}],
                    the pair that is confused most often first
      pictures      {row: {"src", "width", "height"}} of all rows that are named in the four above
      augmented     null, or of the test split {"src", "width", "height"}: pictures as training saw
                    them
      layers        null, or of pictures of the test split what each layer has learnt, on validation
                    pictures: as `image.layers.details` lays it out
      thresholds    null, or of multiple [x a label]
      baselines     {"majority": {"title"}, "tfidf": {"title", "chosen": "words" | "characters",
                    "metric", "validation": {"words": x, "characters": x}, "rows": fitted on,
                    "capped": bool, "fitted": hex, the hash of what was fitted}}; of a table the
                    same, with a choice only where it has texts; of pictures a choice of k
      bootstrap     {"resamples", "by": "row" or the group column, "units": how many, "seed"}; of
                    series "by": "block", with "steps" of time in each; of environments "episode"
      environment   of environments {"observation", "action": in words, "kwargs", "versions":
                    {package: version}, "max_episode_steps", "deterministic", "algorithm", "frames",
                    "episodes", "cut": how many of them by the time limit, "alike": whether all
                    earned the same,
                    "returns": {"edges": of bins, "counts": {"model", "random", "idle":
                    [episodes a bin]}},
                    "films": [{"name": "best" | "worst", "number": of the episode from 0, "return",
                    "length", "cut", "values": [[step, what the policy expected]], "picture": null
                    or {"src", "width", "height"}, "file": beside report.html or null, and where
                    there is a picture "speed": how many times as fast it is shown, and
                    "filmed_return": what came of the episode that is seen}], one where all are
                    alike,
                    "moments": [{"number", "step", "value", "return", "length", "picture"}], the
                    lowest value first; [] where a policy tells none,
                    "unseen": null, or why there are no pictures,
                    "learning": null or {"steps", "return": [[step, mean of the episodes that ended
                    since the last]], "judged": [[step, mean return]]}}
      series        of series {"step": in words, "context_length", "prediction_length", "season":
                    steps or null, "seasons": {steps: error of repeating it in the training, over
                    that of the last value}, "series": how many, "windows", "stride": steps from
                    origin to origin, "from", "to": times of the first and the last step told,
                    "by_horizon": [{"step": ahead, "score": Metric of the metric that counts,
                    "baseline": Metric or null}],
                    "parts": [{"from", "to", "windows", "score", "baseline", "coverage"}] of a
                    backtest, the earliest first; the last is the test part, whose network is the
                    model; [] where that is alone,
                    "by_series": [{"series", "windows", "score": Metric, "baseline": Metric or
                    null, "scaled": error over the naive error in the training or null,
                    "coverage": share within the first and the last decile}], the hardest first,
                    "coverage": [{"quantile", "share": Metric of the true numbers below it}],
                    "typical", "worst": [{"series", "times": [...], "past": [x or null],
                    "truth": [x or null], "mean": [...], "quantiles": {"0.1": [...], ...},
                    "baseline": [...] or null, "error"}], times of past and truth together,
                    "validation": {naive baseline: its error there}, "left_out": {baseline: why},
                    "gradients": null or 4-train/gradients.json}
      drift         null, or of new texts or pictures [{"what", "train", "here", "difference",
                    "low", "high", "clear": bool}]
      columns       of a file of new rows of a table {"rows": {"train", "here"}, "from": "run" |
                    "model", "repeated": rows that were in the training, or null, "columns": [
                    {"column", "kind", "clear": whether anything of it is,
                    "missing": {"train", "here": shares, "low", "high" of the difference, "clear"},
                    "distance": null or {"name": "kolmogorov_smirnov" | "total_variation",
                    "value", "threshold": what chance stays below, "clear"},
                    "psi": the population stability index or null,
                    "range": null or {"train": [low, high], "here": [low, high]},
                    "median": null or {"train", "here"}, "outside": share beyond the training,
                    "unseen": null or {"count", "share", "levels": [{"level", "count"}], "more",
                    "clear"}, "strange": cells that are no number or time,
                    "units": null or {"factor", "offset", "told", "left": distance without},
                    "size"}]}
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
        """With three decimals, or four digits where those would be many or none.

        >>> print(Metric(0.91, 0.88, 0.93, 500), "|", Metric(3.7e-11, 2e-11, 5.25e-11, 500))
        0.910 (0.880 to 0.930) | 3.7e-11 (2e-11 to 5.25e-11)
        """
        plain = self.value == 0 or 0.01 <= abs(self.value) < 1e6
        value, low, high = (
            f"{one:.3f}" if plain else f"{one:.4g}" for one in (self.value, self.low, self.high)
        )
        return f"{value} ({low} to {high})"


@final
class Report(Mapping[str, Metric]):
    """The metrics of a model by name, and all that was found beside them.

    >>> accuracy = {"value": 0.91, "low": 0.88, "high": 0.93, "n": 500}
    >>> report = Report({"metrics": {"accuracy": accuracy}})
    >>> report["accuracy"].value
    0.91
    """

    def __init__(self, values: Mapping[str, Any], path: Path | None = None) -> None:
        self._values = dict(values)
        self.path = path
        """The folder of metrics.json and report.html; None where nothing was written."""
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
            return cls(values, found.parent)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CorruptError(f"{str(found)!r} is not a {FILE} of silmu") from error


def _metrics(given: Mapping[str, Any]) -> dict[str, Metric]:
    return {name: Metric(**cast("dict[str, Any]", values)) for name, values in given.items()}
