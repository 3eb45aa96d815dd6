"""Reports as evaluate writes them, small and of every kind, with numbers that are told apart."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from typing import Any

from silmu.steps.evaluate.words import figure

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
ALWAYS = {"95", "0.001", "0"}
"""Of "95 % interval", "p < 0.001" and "right of 0"."""


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
    return told(text) - allowed(values) - ALWAYS - allowed([*derived, *counted, len(points)])
