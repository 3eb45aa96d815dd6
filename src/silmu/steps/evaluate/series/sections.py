"""Series on the report page and in the model card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.measured import cell
from silmu.steps.evaluate.series import drawing, memory
from silmu.steps.evaluate.words import (
    baseline_name,
    figure,
    listed,
    metric_name,
    part,
    sentence,
    shortened,
)

OPEN = 20
"""So many series are seen at once; the others unfold."""


def of(report: Mapping[str, Any]) -> Iterator[tuple[str, str, Html | None]]:
    """The parts of the page: id, title and content of each; nothing where there are no series."""
    found = part(report, "details", "series")
    if not found:
        return
    baseline = _strong(report)
    yield "forecasts", "Forecasts", _windows(report, found, "typical", baseline)
    metric = sentence(metric_name(report.get("metric", "")))[:-1]
    yield "ahead", "By steps ahead, and what the bands hold", _ahead(found, metric, baseline)
    yield "parts", "By part of time", _by_part(found, metric, baseline)
    yield "by-series", "By series", _by_series(found, baseline)
    yield "furthest", "Furthest from the truth", _windows(report, found, "worst", baseline)
    yield "memory", "Why LSTM and GRU", memory.section(found.get("gradients"))


def answer(report: Mapping[str, Any]) -> str | None:
    """What comes out of a model for series, in words; None of others."""
    found = part(report, "details", "series")
    if not found:
        return None
    count = found["prediction_length"]
    steps = f"the next {count:,} steps" if count > 1 else "the next step"
    return f"{steps} of {found['step']} come out: the mean of each, and its deciles"


def how(report: Mapping[str, Any]) -> str | None:
    """How the forecasts were made and judged, in words; None of others."""
    found = part(report, "details", "series")
    if not found:
        return None
    parts = [
        f"{found['windows']:,} forecasts of {found['prediction_length']:,} steps, "
        f"{_origins(found)}, each from what was known before it; the steps that were told lie from "
        f"{found['from']} to {found['to']}.",
        "Errors are those of the median, squared ones those of the mean; coverage and width are "
        "of the interval between the first and the last decile.",
    ]
    if several := listed(found, "parts"):
        parts.append(
            f"{len(several)} parts of time were told, each by a network with the same settings "
            "that saw only what lies before it; the last is the test part, and its network the "
            "model."
        )
    if report.get("metric") == "mean_absolute_scaled_error":
        parts.append(
            "The series differ in size by more than ten times, so the error that counts is told "
            "in each series' own naive error."
        )
    if chosen := part(found, "validation"):
        names = {name: baseline_name(report, name) for name in chosen}
        told = ", ".join(f"{names[name]} {figure(value)}" for name, value in chosen.items())
        all_of_it = (
            "the weights, the line that they began with, how near to it the medians are drawn and "
            "how wide the deciles are"
        )
        where = "on the validation part of the last" if several else "on validation"
        parts.append(f"The naive forecast to compare with was chosen {where}: {told}.")
        parts.append(
            f"Of each part {all_of_it} were chosen on a validation part of its own; lengths, "
            "season and other settings are those of the last."
            if several
            else f"So were {all_of_it}; no figure here is of that part."
        )
    for name, why in part(found, "left_out").items():
        parts.append(f"There is no {name.upper()} beside it: {why}.")
    for name, about in part(report, "details", "baselines").items():
        if forms := part(about, "forms"):
            told = ", ".join(f"{form} {count:,}\u00d7" for form, count in forms.items())
            parts.append(f"Forms chosen for {baseline_name(report, name)}: {told}.")
    return " ".join(parts)


def _origins(found: Mapping[str, Any]) -> str:
    stride = found["stride"]
    return f"one every {stride:,} steps" if stride > 1 else "one at each step"


def _strong(report: Mapping[str, Any]) -> str:
    against = part(report, "comparison").get("against")
    return baseline_name(report, against) if against else ""


def _windows(
    report: Mapping[str, Any], found: Mapping[str, Any], which: str, baseline: str
) -> Html | None:
    windows = listed(found, which)
    if not windows:
        return None
    lead = (
        "Forecasts whose error is about the median of all. "
        if which == "typical"
        else "The forecasts with the largest errors, the worst first. "
    )
    key = html(
        '<ul class="key lines"><li class="truth">observed</li><li class="median">median</li>'
        '<li class="wide">80 % and 40 % of true numbers are to lie here</li>{baseline}</ul>',
        baseline=html('<li class="dashed">{name}</li>', name=baseline) if baseline else html(""),
    )
    return html(
        '<p class="lead">{lead}</p>{key}<div class="figures-row">{drawn}</div>{how}',
        lead=lead,
        how=html('<p class="fine">{told}</p>', told=how(report) or "")
        if which == "typical"
        else html(""),
        key=key,
        drawn=joined(drawing.window(one, baseline) for one in windows),
    )


def _ahead(found: Mapping[str, Any], metric: str, baseline: str) -> Html | None:
    steps, coverage = listed(found, "by_horizon"), listed(found, "coverage")
    drawn = [drawing.horizon(steps, metric, baseline)] if steps else []
    if coverage:
        drawn.append(drawing.calibration(coverage))
    if not drawn:
        return None
    return html(
        '<p class="lead">Left, how the error grows with the steps ahead. Right, what the deciles '
        "are worth: on the dashed line as many true numbers lie below each as it says."
        '</p><div class="figures-row">{drawn}</div>',
        drawn=joined(drawn),
    )


def _by_part(found: Mapping[str, Any], metric: str, baseline: str) -> Html | None:
    every = listed(found, "parts")
    if not every:
        return None
    rows = [
        html(
            '<tr><th scope="row">{first} to {last} <small>{n} forecasts{own}</small></th>{score}'
            '{baseline}<td class="fig">{held}</td></tr>',
            first=one["from"],
            last=one["to"],
            n=f"{one['windows']:,}",
            own=", of the model" if one is every[-1] else "",
            score=cell(one["score"]),
            baseline=cell(one["baseline"]) if baseline else html(""),
            held=figure(one["coverage"]),
        )
        for one in every
    ]
    return html(
        '<p class="lead">A backtest: each part was told by a network that saw only what lies '
        "before it. The figures of this page are of all parts together.</p>"
        '<div class="scroll" tabindex="0" role="group" aria-label="Figures by part of time">'
        '<table class="labels"><caption class="unseen">Each part of time by itself</caption><thead>'
        '<tr><th scope="col">part</th><th scope="col" class="fig">{metric}</th>{beside}'
        '<th scope="col" class="fig">within 80 % band</th></tr></thead>'
        "<tbody>{rows}</tbody></table></div>",
        metric=metric,
        beside=html('<th scope="col" class="fig">{name}</th>', name=baseline)
        if baseline
        else html(""),
        rows=joined(rows),
    )


def _by_series(found: Mapping[str, Any], baseline: str) -> Html | None:
    every = listed(found, "by_series")
    if len(every) < 2:
        return None
    rows = [
        html(
            '<tr><th scope="row"><bdi>{name}</bdi> <small>{n} forecasts</small></th>{score}'
            '{baseline}<td class="fig">{scaled}</td><td class="fig">{held}</td></tr>',
            name=shortened(one["series"]),
            n=f"{one['windows']:,}",
            score=cell(one["score"]),
            baseline=cell(one["baseline"]) if baseline else html(""),
            scaled=figure(one["scaled"]),
            held=figure(one["coverage"]),
        )
        for one in every
    ]
    beside = html('<th scope="col" class="fig">{name}</th>', name=baseline)

    def table(some: list[Html]) -> Html:
        return html(
            '<div class="scroll" tabindex="0" role="group" aria-label="Figures by series">'
            '<table class="labels"><caption class="unseen">Each series by itself</caption><thead>'
            '<tr><th scope="col">series</th><th scope="col" class="fig">mean absolute error</th>'
            '{beside}<th scope="col" class="fig">in naive errors</th>'
            '<th scope="col" class="fig">within 80 % band</th></tr></thead>'
            "<tbody>{rows}</tbody></table></div>",
            beside=beside if baseline else html(""),
            rows=joined(some),
        )

    more = html("")
    if len(rows) > OPEN:
        more = html(
            "<details><summary>{n} more series</summary>{table}</details>",
            n=f"{len(rows) - OPEN:,}",
            table=table(rows[OPEN:]),
        )
    return html(
        '<p class="lead">Each series by itself, in its own unit; first those with the largest '
        "error as a multiple of their naive error in the training.</p>{table}{more}",
        table=table(rows[:OPEN]),
        more=more,
    )
