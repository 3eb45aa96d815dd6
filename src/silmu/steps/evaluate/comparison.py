"""Whether one model is better than another on the same rows, and the sentence that says so."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from silmu.steps.evaluate.intervals import percentiles
from silmu.steps.evaluate.metrics import LOWER_IS_BETTER, Scored, measure
from silmu.steps.evaluate.numbers import Totals

FEWEST = 3
"""Episodes or blocks of time that a difference must be seen in to be clear."""

IN_POINTS = (
    *("accuracy", "top_5_accuracy", "balanced_accuracy"),
    *("f1_macro", "f1_micro", "roc_auc"),
)
"""Metrics that are spoken of in hundredths."""


def compare(
    metric: str,
    model: tuple[Scored, Totals, Totals],
    other: tuple[Scored, Totals, Totals],
    *,
    name: str,
    title: str,
    units: int | None = None,
) -> dict[str, Any]:
    """The paired difference of two models in a metric.

    "no clear difference" where its 95 % interval holds 0; of accuracy also where McNemar's exact
    test does not see one (p at least 0.05), which is the stricter where few answers differ.

    Args:
        metric: one of `measure`.
        model: what it said, its totals, and its totals in resamples drawn as those of `other`.
        other: the same of what it is compared to.
        name: its key in the report.
        title: its name in the sentence.
        units: how many groups there are, where rows come in groups.
    """
    kind = model[0].kind
    sign = -1 if metric in LOWER_IS_BETTER else 1
    once = measure(kind, model[1])[metric] - measure(kind, other[1])[metric]
    again = measure(kind, model[2])[metric] - measure(kind, other[2])[metric]
    difference = sign * float(once)
    low, high = percentiles(sign * again, len(model[0]) if units is None else units)
    test = _mcnemar(model[0], other[0]) if metric == "accuracy" else None
    return concluded(metric, difference, low, high, name=name, title=title, test=test)


def concluded(
    metric: str,
    difference: float,
    low: float,
    high: float,
    *,
    name: str,
    title: str,
    test: dict[str, Any] | None = None,
    units: int | None = None,
    unit: str = "block of time",
) -> dict[str, Any]:
    """What a difference and its interval come to, as metrics.json has it.

    Args:
        metric: that differs.
        difference, low, high: above 0 where the model is the better.
        name: of what it is compared to, in the report.
        title: its name in the sentence.
        test: McNemar's, which has to see a difference too.
        units: how many could be drawn again; of one no interval can be told, and two agree by
            chance as often as not, so nothing is clear.
        unit: what is drawn.
    """
    few = units is not None and units < FEWEST
    clear = (low > 0 or high < 0) and (test is None or test["p"] < 0.05) and not few
    verdict = "no clear difference" if not clear else "better" if difference > 0 else "worse"
    told = sentence(metric, difference, low, high, verdict, title)
    if not clear and (low > 0 or high < 0) and test is not None:
        told += f"; too few answers differ (McNemar p = {test['p']:.2g})"
    if few:
        told += f"; two {_several(unit)} tell" if units == 2 else f"; one {unit} tells"
        told += " nothing of chance"
    return {
        "metric": metric,
        "against": name,
        "difference": difference,
        "low": min(low, difference),
        "high": max(high, difference),
        "verdict": verdict,
        "sentence": told,
        "mcnemar": test,
    }


def _several(unit: str) -> str:
    first, of, rest = unit.partition(" of ")
    return f"{first}s{of}{rest}"


def sentence(
    metric: str, difference: float, low: float, high: float, verdict: str, title: str
) -> str:
    """What a comparison comes to, in words.

    >>> sentence("accuracy", 0.021, 0.008, 0.034, "better", "the median")
    'better than the median by 2.1 points (0.8 to 3.4) in accuracy'
    """
    if verdict == "worse":
        difference, low, high = -difference, -high, -low
    points = metric in IN_POINTS
    numbers = (f"{100 * x:.1f}" if points else _three(x) for x in (difference, low, high))
    # A minus before a zero would say what nobody means.
    by, start, end = (
        text if float(text.replace(",", "")) else text.lstrip("-") for text in numbers
    )
    unit = " points" if points else ""
    amount = f"{by}{unit} ({start} to {end}) in {metric.replace('_', ' ')}"
    if verdict == "no clear difference":
        return f"no clear difference to {title}: {amount}"
    return f"{verdict} than {title} by {amount}"


def _three(value: float) -> str:
    """With three digits; of thousands with all."""
    return f"{value:,.0f}" if 999.5 <= abs(value) < 1e9 else f"{value:.3g}"


def _mcnemar(model: Scored, other: Scored) -> dict[str, Any]:
    """McNemar's exact test of the rows that only one of two models gets right; 1947."""
    mine = int(np.sum(model.right & ~other.right))
    theirs = int(np.sum(~model.right & other.right))
    p = 1.0 if mine + theirs == 0 else float(stats.binomtest(mine, mine + theirs).pvalue)
    return {"only_model": mine, "only_baseline": theirs, "p": p}
