"""Reports as evaluate writes them, small and of every kind, with numbers that are told apart."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from typing import Any

from silmu.steps.evaluate.words import figure, time

LABELS = ("negative", "neutral", "positive")
EMOTIONS = tuple(f"emotion {i}" for i in range(28))
NAMES = {
    "single": ("accuracy", "f1_macro", "log_loss", "expected_calibration_error"),
    "ordered": ("mean_absolute_error", "quadratic_kappa", "accuracy"),
    "multiple": ("f1_macro", "f1_micro", "hamming_loss"),
    "number": ("mean_absolute_error", "root_mean_squared_error", "r2"),
}
HOSTILE = (
    "</td></table><script>alert(1)</script>",
    "user\u202egnp.exe\u2066 \x00\x1b[31m \ud800 \u200b\ufeff",
    '" onload="alert(1)" x="\'><img src=x onerror=alert(1)>',
    "L" * 100_000,
    "- a: b\n---\nlicense: mit\n# head | cell `code` [x](javascript:alert(1)) ![](http://e.vil/p)",
    "",
    "아주 좋아요 | 별로예요",
    "Z\u0335\u0321" * 90,
)


def metric(value: float, n: int = 1234, half: float = 0.0215) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def report(kind: str = "single", labels: tuple[str, ...] | None = None) -> dict[str, Any]:
    chance = random.Random(len(kind))
    if labels is None:
        labels = {"multiple": EMOTIONS, "number": ()}.get(kind, LABELS)
    names = NAMES[kind]
    scale = 12_345.6 if kind == "number" else 1

    def some() -> float:
        return chance.uniform(0.3, 0.9)

    size = len(labels)
    counts = [[chance.randrange(1, 200) + 400 * (i == j) for j in range(size)] for i in range(size)]
    texts = ["I love <b>this</b> & that.", "배송이 빨라요.", "Not good\nat all.", "“So so.”"]
    return {
        "format": 1,
        "task": "text-classification",
        "kind": kind,
        "labels": list(labels),
        "model": {"name": "4-model", "fingerprint": "9f2c" * 16},
        "data": {
            "name": "reviews",
            "source": "reviews.csv",
            "fingerprint": "ab12" * 16,
            "rows_in": 14_120,
            "group": "movie",
            "dropped": [
                {"reason": "text is missing", "count": 17},
                {"reason": "label is missing", "count": 3},
            ],
            "counts": {"train": 11_300, "validation": 1_401, "test": 1_234},
            "moved": 42,
            "scored": 1_234,
            "truncated": 12,
            "failed": [{"row": 77, "error": "text is no text"}],
        },
        "look": 1,
        "looks_beside": 0,
        "metric": names[0],
        "metrics": {name: metric(scale * some()) for name in names},
        "baselines": {
            "median" if kind == "number" else "majority": {n: metric(scale * 0.2) for n in names},
            "tfidf": {name: metric(scale * some()) for name in names},
        },
        "comparison": {
            "metric": names[0],
            "against": "tfidf",
            "difference": 0.0331,
            "low": 0.0121,
            "high": 0.0536,
            "verdict": "better",
            "sentence": "better than TF-IDF over words by 3.3 points (1.2 to 5.4) in accuracy",
            "mcnemar": {"only_model": 142, "only_baseline": 96, "p": 0.0351},
            "others": {
                "majority": {
                    "metric": names[0],
                    "against": "majority",
                    "difference": 0.4217,
                    "low": 0.386,
                    "high": 0.452,
                    "verdict": "better",
                    "sentence": "better than always positive by 42.2 points (38.6 to 45.2)",
                    "mcnemar": {"only_model": 700, "only_baseline": 112, "p": 1e-80},
                }
            },
        },
        "warnings": ["12 of 1,234 test texts are longer than 128 tokens"],
        "seconds": {"collect": 1.21, "train": 4412.7},
        "run": run(),
        "details": {
            "confusion": {"labels": list(labels), "counts": counts}
            if kind in ("single", "ordered")
            else None,
            "per_class": [
                {
                    "label": label,
                    "n": 100 + i,
                    "predicted": 90 + i if i else 0,
                    "precision": metric(some()) if i else None,
                    "recall": metric(some()),
                    "f1": metric(some()) if i else None,
                    "threshold": some() if kind == "multiple" else None,
                }
                for i, label in enumerate(labels)
            ],
            "slices": [
                {"column": "(script)", "value": "Latin", "n": 900, "metric": names[0],
                 "score": metric(scale * 0.61, 900)},
                {"column": "(script)", "value": "Hangul", "n": 334, "metric": names[0],
                 "score": None},
                {"column": "store", "value": "app <beta>", "n": 500, "metric": names[0],
                 "score": metric(scale * 0.52, 500)},
            ],
            "lengths": [
                {"from": 1, "to": 6, "unit": "words", "n": 617, "metric": names[0],
                 "score": metric(scale * 0.47, 617)},
                {"from": 7, "to": 2_100, "unit": "words", "n": 616, "metric": names[0],
                 "score": metric(scale * 0.66, 616)},
            ],
            "reliability": []
            if kind == "number"
            else [
                {"low": i / 10, "high": (i + 1) / 10, "n": 31 * i, "confidence": i / 10 + 0.051,
                 "accuracy": metric(i / 10 + 0.037, 31 * i)}
                for i in range(3, 10)
            ],
            "scatter": {"target": [1.5, 20_000.25, 3.0], "prediction": [2.5, 18_000.0, -4.0]}
            if kind == "number"
            else None,
            "worst": [_example(kind, labels, i, texts[i % 4]) for i in range(9)],
            "attributions": [
                {
                    **_example(kind, labels, i, ""),
                    "kind": "mistake" if i < 2 else "typical",
                    "of": labels[0] if labels else None,
                    "pieces": _pieces(texts[i % 4]),
                }
                for i in range(4)
            ],
            "thresholds": [0.5] * size if kind == "multiple" else None,
            "baselines": {
                "majority": {"title": "always answering positive"},
                "median": {"title": "always answering the median"},
                "tfidf": {
                    "title": "TF-IDF over words with logistic regression",
                    "chosen": "words",
                    "metric": names[0],
                    "validation": {"words": 0.7712, "characters": 0.7651},
                    "rows": 11_300,
                    "capped": False,
                },
            },
            "bootstrap": {"resamples": 2_000, "by": "movie", "units": 311, "seed": 0},
            "drift": None,
        },
    }  # fmt: skip


def _example(kind: str, labels: tuple[str, ...], i: int, text: str) -> dict[str, Any]:
    common = {"row": 101 + 37 * i, "text": text}
    if kind == "number":
        told = {"label": 5.25 + i, "prediction": 1_000.5 * i}
        return {**common, **told, "score": None, "label_score": None}
    if kind == "multiple":
        told: dict[str, Any] = {"label": list(labels[i : i + 2]), "prediction": list(labels[:i])}
        return {**common, **told, "score": 0.917 - i / 100, "label_score": None}
    told = {"label": labels[i % len(labels)], "prediction": labels[(i + 1) % len(labels)]}
    return {**common, **told, "score": 0.987 - i / 100, "label_score": 0.013}


def _pieces(text: str) -> list[list[Any]]:
    words = text.split(" ")
    return [[word + " " * (i < len(words) - 1), 0.31 - 0.2 * i] for i, word in enumerate(words)]


def run() -> dict[str, Any]:
    return {
        "network": "lstm",
        "base_model": None,
        "parameters": 22_714_371,
        "trainable": 771_003,
        "transformers": False,
        "columns": {"input": ["review"], "target": ["label"], "group": "movie", "time": None},
        "settings": {"epochs": 3, "learning_rate": 5e-05, "bucket": True, "clip": 1.0},
        "search": {
            "metric": "accuracy",
            "higher_is_better": True,
            "trials": [
                _trial(2, "done", 0.8127, 5e-05),
                _trial(0, "done", 0.7913, 2e-05),
                _trial(1, "stopped", 0.6239, 0.00123, share=0.4),
                _trial(3, "failed", None, 0.02, share=None, why="the loss is nan"),
            ],
        },
        "log": [
            *([step, 0.9 - step / 4000, None] for step in range(10, 2_110, 10)),
            [700, None, 0.731],
            [2_113, None, 0.8127],
        ],
        "validation_metric": "accuracy",
        "versions": {"silmu": "0.1.0", "torch": "2.13.0"},
        "machine": "Linux, x86_64, 2 cores",
        "date": "2026-11-24",
        "command": "silmu train --config runs/reviews-text-classification-1/run.toml",
    }


def _trial(
    number: int,
    state: str,
    metric: float | None,
    learning_rate: float,
    share: float | None = 1.0,
    why: str = "",
) -> dict[str, Any]:
    values = {"learning_rate": learning_rate, "batch_size": 8}
    own = {"number": number, "state": state, "metric": metric, "values": values}
    return {**own, "share": share, "why": why}


LEVELS = ("web & app", "<b>shop</b>", None)


def table(kind: str = "single") -> dict[str, Any]:
    """Of rows of a table; of `numbers` two are told at once, of `number` one with its interval."""
    several = ("price", "weight in kg") if kind == "numbers" else ()
    found = report("number" if several else kind)
    details, names = found["details"], found["labels"]
    metric_ = "r2" if several else found["metric"]
    found |= {
        "task": f"tabular-{'regression' if found['kind'] == 'number' else 'classification'}",
        "rows": "rows",
        "targets": list(several),
        "metric": metric_,
    }
    found["run"]["columns"] |= {"input": ["size", "store", "sold on"], "target": ["label"]}
    found["run"]["network"] = "tabm"
    del found["data"]["truncated"]
    found["data"]["flagged"] = 21
    simple = "mean" if several else "median" if kind == "number" else "majority"
    metrics = ("r2", "interval_coverage") if several else tuple(found["metrics"])
    if kind == "number":
        metrics += ("interval_coverage", "interval_width")
    values = {name: metric(0.71 + i / 9) for i, name in enumerate(metrics)}
    found["metrics"] = values
    found["baselines"] = {
        name: {metrics[0]: metric(0.31 + i / 7)}
        for i, name in enumerate((simple, "linear", "boosted_trees"))
    }
    compared = found["comparison"]
    other = compared.pop("others")["majority"]
    compared |= {"metric": metric_, "against": "boosted_trees", "mcnemar": None}
    compared["others"] = {
        simple: {**other, "against": simple},
        "linear": {**other, "mcnemar": None},
    }
    details["baselines"] = {
        simple: {"title": "always answering the same"},
        "linear": {"title": "logistic regression", "rows": 11_300, "capped": False},
        "boosted_trees": {"title": "gradient-boosted trees", "rows": 9_871, "capped": True},
    }
    of = several[0] if several else names[0] if names else None
    cells = [["size", 1_234.5], ["store", LEVELS[0]], ["sold on", "2024-05-06"], ["note", None]]
    weights = (0.312, -0.173, 0.0, 0.051)
    told = [{k: v for k, v in one.items() if k != "text"} for one in details["worst"]]
    if several:
        for i, one in enumerate(told):
            one |= {"label": {name: 1.5 + i for name in several}}
            one |= {"prediction": {name: 9.25 * i for name in several}}
    details |= {
        "lengths": [],
        "sliced": 777,
        "promised": 0.9 if found["kind"] == "number" else None,
        "scatter": None if several else details["scatter"],
        "per_target": [
            {
                "target": name,
                "n": 1_234,
                "metrics": {"mean_absolute_error": metric(8.125 + i), "r2": metric(0.61)},
                "baselines": {"boosted_trees": {"mean_absolute_error": metric(9.375 + i)}},
                "scatter": {"target": [1.5, 2.5], "prediction": [1.25, 2.75]},
            }
            for i, name in enumerate(several)
        ],
        "importance": {
            "metric": metric_,
            "rows": 1_111,
            "repeats": 5,
            "left_out": 3,
            "columns": [
                {"column": f"column {i}" if i > 2 else cells[i][0], "repeats": [0.1] * 5,
                 **{k: v for k, v in metric(0.2 - i / 100, half=0.011).items() if k != "n"}}
                for i in range(23)
            ],
        },
        "dependence": [
            _dependence("size", "number", of, [10.5, 20.25, 3_000.0]),
            _dependence("store", "category", of, list(LEVELS)),
            _dependence("sold on", "date", of, ["2024-01-01", "2025-06-07"]),
        ],
        "worst": [{**one, "cells": cells} for one in told],
        "attributions": [
            {
                **one,
                "kind": "mistake" if i < 2 else "typical",
                "of": of,
                "score": 0.625,
                "cells": [[*cell, weight] for cell, weight in zip(cells, weights, strict=True)],
            }
            for i, one in enumerate(told[:4])
        ],
    }  # fmt: skip
    return found


def _dependence(name: str, kind: str, of: str | None, at: list[Any]) -> dict[str, Any]:
    mean = [0.35 + i / 8 for i in range(len(at))]
    ends = {"low": [x - 0.15 for x in mean], "high": [x + 0.19 for x in mean]}
    curve = {"of": of, "mean": mean, **ends}
    return {"column": name, "kind": kind, "rows": 297, "at": at, "curves": [curve]}


def new_table() -> dict[str, Any]:
    """Of a file with rows of a table, which differ from the training in every way."""
    found = table()
    found |= {"look": None, "baselines": {}, "comparison": None, "warnings": []}
    del found["run"]
    found["details"]["baselines"] = {}
    none = {"train": 0.0, "here": 0.0, "low": -0.01, "high": 0.01, "clear": False}
    common = {"distance": None, "psi": None, "unseen": None, "units": None, "range": None,
              "median": None, "outside": None, "strange": 0, "missing": none, "clear": False,
              "size": 0.0}  # fmt: skip
    found["details"]["columns"] = {
        "rows": {"train": 11_300, "here": 1_234},
        "from": "model",
        "repeated": 7,
        "columns": [
            {**common, "column": "size", "kind": "number", "clear": True,
             "distance": {"name": "kolmogorov_smirnov", "value": 0.971, "threshold": 0.0523,
                          "clear": True},
             "psi": 4.181, "outside": 0.913, "strange": 4,
             "median": {"train": 41.5, "here": 105.41},
             "range": {"train": [1.0, 99.5], "here": [2.54, 252.73]},
             "units": {"factor": 2.54, "offset": 0.0, "told": "inches as centimetres",
                       "left": 0.02},
             "missing": {"train": 0.01, "here": 0.25, "low": 0.19, "high": 0.29, "clear": True}},
            {**common, "column": "store", "kind": "category",
             "unseen": {"count": 17, "share": 0.0138, "more": 0, "clear": True,
                        "levels": [{"level": "<i>kiosk", "count": 17}]}},
            {**common, "column": "sold on", "kind": "date",
             "range": {"train": [1.7e9, 1.72e9], "here": [1.74e9, 1.75e9]}},
        ],
    }  # fmt: skip
    return found


def hostile_table() -> dict[str, Any]:
    """One in which every column, level and cell is an attack."""
    found = new_table()
    details = found["details"]
    for i, one in enumerate(details["importance"]["columns"]):
        one["column"] = HOSTILE[i % len(HOSTILE)]
    for i, one in enumerate(details["dependence"]):
        one["column"] = HOSTILE[i]
        one["curves"][0]["of"] = HOSTILE[-i - 1]
        if one["kind"] == "category":
            one["at"] = list(HOSTILE[:3])
    for one in (*details["worst"], *details["attributions"]):
        one["cells"] = [[text, text, *cell[2:]] for text, cell in zip(HOSTILE, one["cells"])]  # noqa: B905
    for i, one in enumerate(details["columns"]["columns"]):
        one["column"] = HOSTILE[i]
        if one["unseen"]:
            one["unseen"]["levels"] = [{"level": text, "count": 2} for text in HOSTILE[:5]]
    return copy.deepcopy(found)


DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAA"
    "ggCBd81ytgAAAABJRU5ErkJggg=="
)
"""A gray picture of one pixel."""


def pictures(kind: str = "single") -> dict[str, Any]:
    """Of pictures, of which that of one row was gone when it was to be shown."""
    found = report(kind)
    details, names = found["details"], found["labels"]
    found |= {"task": "image-classification", "rows": "pictures", "targets": []}
    found["run"] |= {"network": "resnet"}
    found["run"]["columns"] |= {"input": ["image"]}
    del found["data"]["truncated"]
    for one in (found["baselines"], details["baselines"]):
        one["k_nearest"] = one.pop("tfidf")
    details["baselines"]["k_nearest"] |= {
        "title": "the 3 nearest neighbours by pixels",
        "chosen": "3 neighbours",
        "validation": {"3 neighbours": 0.7712, "1 neighbour": 0.7651},
    }
    found["comparison"]["against"] = "k_nearest"
    if kind == "single":
        found["metrics"]["top_5_accuracy"] = metric(0.973)
    sliced = ("(size)", "(shape)", "(colour)", "(format)", "(brightness)")
    details["slices"] = [
        {"column": name, "value": value, "n": 411, "metric": found["metric"],
         "score": metric(0.63, 411)}
        for name, value in zip(sliced, ("32 to 640", "wide", "gray", "PNG", "0.1 to 0.3"),
                               strict=True)
    ]  # fmt: skip
    details["lengths"] = []
    told = [
        {**{k: v for k, v in one.items() if k != "text"}, "picture": f"cats & dogs/{i}.png"}
        for i, one in enumerate(details["worst"])
    ]
    right = [{**one, "row": one["row"] + 1, "prediction": one["label"]} for one in told[:3]]
    details |= {
        "worst": told,
        "best": right,
        "confused": [
            {"true": names[1], "said": names[0], "n": 17,
             "examples": [{"row": one["row"], "picture": one["picture"], "score": 0.71}
                          for one in told[:4]]}
        ] if kind in ("single", "ordered") else [],
        "attributions": [
            {**one, "kind": "mistake" if i < 2 else "typical", "of": names[0] if names else None,
             "score": 0.61, "saliency": [[0.25, -0.5], [0.0, 0.125]], "overlay": DOT}
            for i, one in enumerate(told[:4])
        ],
        "pictures": {
            str(one["row"]): {"src": DOT, "width": 28, "height": 28} for one in (*told[1:], *right)
        },
        "augmented": {"src": DOT, "width": 640, "height": 480},
        "layers": None,
    }  # fmt: skip
    return found


def hostile_pictures() -> dict[str, Any]:
    """One in which every name is an attack, and every picture is somewhere else."""
    found = pictures()
    details = found["details"]
    found["labels"] = list(HOSTILE[:3])
    for i, one in enumerate((*details["worst"], *details["best"], *details["attributions"])):
        one["picture"] = HOSTILE[i % len(HOSTILE)]
    pair = details["confused"][0]
    pair |= {"true": HOSTILE[0], "said": HOSTILE[2]}
    elsewhere = ("https://e.vil/p.png", "javascript:alert(1)", DOT + '" onload="alert(1)', "")
    for i, one in enumerate(details["pictures"].values()):
        one["src"] = elsewhere[i % len(elsewhere)]
    details["augmented"]["src"] = elsewhere[0]
    for i, one in enumerate(details["attributions"]):
        one["overlay"] = elsewhere[i]
    return copy.deepcopy(found)


def new_data(*, measured: bool = True) -> dict[str, Any]:
    """Of a file: no splits, no look, no baselines, perhaps no labels."""
    found = report()
    found |= {"look": None, "baselines": {}, "comparison": None, "warnings": []}
    del found["run"]
    data = found["data"]
    del data["counts"], data["moved"]
    data |= {"unseen": [{"label": "mixed", "count": 3}], "without_label": 2}
    found["details"]["baselines"] = {}
    found["details"]["drift"] = [
        {"what": "words in a text", "train": 14.21, "here": 19.03, "difference": 4.82,
         "low": 2.11, "high": 7.53, "clear": True},
        {"what": "share of texts in Latin", "train": 0.981, "here": 0.979, "difference": -0.002,
         "low": -0.011, "high": 0.007, "clear": False},
    ]  # fmt: skip
    if not measured:
        found |= {"metrics": {}, "details": {"drift": found["details"]["drift"]}}
    return found


def hostile() -> dict[str, Any]:
    """One in which everything that data can name is an attack."""
    found = report(labels=HOSTILE)
    details = found["details"]
    found["data"] |= {"name": HOSTILE[0], "source": HOSTILE[2], "group": HOSTILE[1]}
    found["data"]["dropped"] = [{"reason": text, "count": 1} for text in HOSTILE]
    found["warnings"] = list(HOSTILE)
    details["bootstrap"]["by"] = HOSTILE[4]
    for i, one in enumerate(details["slices"]):
        one |= {"column": HOSTILE[i], "value": HOSTILE[-i - 1]}
    for i, one in enumerate(details["worst"]):
        one["text"] = HOSTILE[i % len(HOSTILE)]
    details["worst"].append({**details["worst"][0], "row": 999, "text": "line\n" * 20_000})
    for i, one in enumerate(details["attributions"]):
        one["pieces"] = [[HOSTILE[i], 0.5], [HOSTILE[i + 1], -0.25]]
        one["of"] = HOSTILE[i]
    made = found["run"]
    made |= {
        "network": HOSTILE[2],
        "base_model": HOSTILE[0],
        "command": HOSTILE[4],
        "licence": None,
    }
    made["columns"] = {"input": list(HOSTILE), "target": [HOSTILE[1]], "group": None, "time": None}
    made["settings"] = dict.fromkeys(HOSTILE, HOSTILE[2])
    return copy.deepcopy(found)


# ── where numbers come from ────────────────────────────────────────────────────────────────────

NUMBER = re.compile(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+\u2212-]?\d+)?")
ALWAYS = {"95", "0.001", "0", "80", "0.25"}
"""Of "95 % interval", "p < 0.001", "right of 0", "80 % of rows" and "a shift from 0.25 on"."""


def told(text: str) -> set[str]:
    """The numbers in a text, without signs."""
    return set(NUMBER.findall(text))


def allowed(values: Any) -> set[str]:
    """How the numbers of a mapping may be written, those inside of its strings as they are."""
    if isinstance(values, Mapping):
        return set().union(*(allowed(one) for pair in values.items() for one in pair))
    if isinstance(values, list | tuple):
        return set().union(*(allowed(one) for one in values))
    if isinstance(values, str):
        return told(values)
    if isinstance(values, bool) or values is None:
        return set()
    size = abs(values)
    forms = {figure(size), str(size), f"{size:,.1f}"} | (
        {f"{size:,}"} if size == int(size) else set()
    )
    return set().union(*(told(form) for form in forms))


def invented(text: str, values: Mapping[str, Any]) -> set[str]:
    """Numbers of a page or a card that are in no report."""
    data = values["data"]
    dropped = sum(one["count"] for one in data["dropped"])
    kept = data["rows_in"] - dropped
    derived = [dropped, kept, kept - sum(data.get("counts", {}).values())]
    counted = [len(values["details"].get(name) or []) for name in ("worst", "per_class")]
    counted += [len(data["failed"]), max(0, counted[0] - 6), 3]
    points = (values["details"].get("scatter") or {}).get("target", [])
    shown = len(points) or 2  # of each of several targets
    columns = (values["details"].get("importance") or {}).get("columns", [])
    counted.append(max(0, len(columns) - 20))
    drifted = (values["details"].get("columns") or {}).get("columns", [])
    ends = [one["range"] for one in drifted if one["kind"] == "date"]
    days = " ".join(time(end) for one in ends for pair in one.values() for end in pair)
    return told(text) - allowed(values) - ALWAYS - allowed([*derived, *counted, shown]) - told(days)
