"""Numbers on the report page: what was said against what is true, of one target or of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from silmu.steps.evaluate import charts
from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.measured import cell
from silmu.steps.evaluate.metrics import LOWER_IS_BETTER
from silmu.steps.evaluate.words import (
    baseline_name,
    figure,
    listed,
    metric_name,
    part,
    shortened,
    span,
)

MOST_SCATTERS = 6


def scatter(report: Mapping[str, Any], details: Mapping[str, Any]) -> Html | None:
    """Numbers that were said, against the true ones, and how wide the intervals were."""
    drawn: list[Html] = []
    points = part(details, "scatter")
    several = listed(details, "per_target")
    if points and points["target"]:
        drawn.append(charts.scatter(points["target"], points["prediction"]))
    for one in several[:MOST_SCATTERS]:
        points = one["scatter"]
        drawn.append(
            charts.scatter(points["target"], points["prediction"], shortened(one["target"]))
        )
    if not drawn:
        return None
    shown = len(points["target"])
    return html(
        '<div class="figures-row">{drawn}<p class="aside">Each point is one of {n} rows. On the '
        "dashed line what the model said is true; above it the model said too much, below it too "
        "little.{interval}</p></div>",
        drawn=joined(drawn),
        n=f"{shown:,}",
        interval=_interval(report, details),
    )


def _interval(report: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    held, promised = part(report, "metrics", "interval_coverage"), details.get("promised")
    if not held or promised is None:
        return ""
    wide = part(report, "metrics", "interval_width")
    width = f", and are {figure(wide['value'])} wide on average" if wide else ""
    return (
        f" The intervals that it gives are to hold a share of {figure(promised)} of the true "
        f"numbers; they hold {figure(held['value'])} ({span(held)}){width}."
    )


def per_target(report: Mapping[str, Any], details: Mapping[str, Any]) -> Html | None:
    """Each of several numbers by itself, in its own unit, beside the strong baseline."""
    found = listed(details, "per_target")
    if not found:
        return None
    against = part(report, "comparison").get("against", "")
    names = [*found[0]["metrics"]]
    head = joined(
        html(
            '<th scope="col" class="fig">{name}<small>{lower}</small></th>',
            name=metric_name(name),
            lower=" lower is better" if name in LOWER_IS_BETTER else "",
        )
        for name in names
    )
    rows: list[Html] = []
    for one in found:
        beside = part(one, "baselines").get(against)
        rows.append(_line(one["target"], f"{one['n']:,} rows", one["metrics"], names))
        if beside:
            rows.append(_line(baseline_name(report, against), "", beside, names))
    return html(
        '<div class="scroll" tabindex="0" role="group" aria-label="Figures by target">'
        '<table class="labels"><caption>Each target by itself, in its own unit</caption>'
        '<thead><tr><th scope="col">target</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>",
        head=head,
        rows=joined(rows),
    )


def _line(name: str, note: str, metrics: Mapping[str, Any], names: list[str]) -> Html:
    return html(
        '<tr><th scope="row"><bdi>{name}</bdi> <small>{note}</small></th>{cells}</tr>',
        name=shortened(name),
        note=note,
        cells=joined(cell(metrics.get(metric)) for metric in names),
    )
