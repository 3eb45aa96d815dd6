"""How settings were searched, for the page and the card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from silmu.errors import CorruptError
from silmu.steps.design.trials import FAILED, STOPPED, Trials
from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.words import figure, listed, metric_name, part, setting, shortened

MOST = 40
"""Trials that the page shows."""


def search_of(run: Path) -> dict[str, Any] | None:
    """What `run["search"]` holds of the folder of a run; None where nothing was searched.

    metric, higher_is_better   by which trials were judged, on the validation split
    trials       best first: number, metric, state, share (of its steps that were done), values,
                 why (it failed)
    """
    try:
        trials = Trials.open(run)
    except CorruptError:
        return None
    if trials is None or trials.best is None:
        return None
    return {
        "metric": trials.metric,
        "higher_is_better": trials.higher_is_better,
        "trials": [
            {
                "number": one.number,
                "metric": one.metric,
                "state": one.state,
                "share": one.curve[-1][0] if one.curve else None,
                "values": one.values,
                "why": one.why,
            }
            for one in trials.ranked()
        ],
    }


def table(run: Mapping[str, Any]) -> Html | None:
    """Every trial with what it reached, the best first."""
    found = part(run, "search")
    trials = listed(found, "trials")
    if not trials:
        return None
    names = list(dict.fromkeys(name for one in trials for name in part(one, "values")))
    rows = joined(
        html(
            '<tr{main}><th scope="row">{number}</th>{reached}{values}</tr>',
            main=html(' class="main"') if i == 0 else html(""),
            number=f"{one['number']} (defaults)" if one["number"] == 0 else one["number"],
            reached=_reached(one),
            values=joined(
                html(
                    '<td class="fig"><bdi>{value}</bdi></td>',
                    value=shortened(setting(part(one, "values").get(name, "")), 24),
                )
                for name in names
            ),
        )
        for i, one in enumerate(trials[:MOST])
    )
    head = joined(
        html('<th scope="col" class="fig"><code>{name}</code></th>', name=shortened(name))
        for name in names
    )
    metric = str(found.get("metric", ""))
    return html(
        '<p class="lead">{count} settings were tried, and the best on the validation split is the '
        "model. There the best of several flatters itself; the figures above are of the test "
        'split, which no trial has seen.</p><div class="scroll" tabindex="0" role="group" '
        'aria-label="Trials"><table><caption>Trials, best first{more}</caption><thead><tr>'
        '<th scope="col">trial</th><th scope="col" class="fig">{metric} on validation{lower}</th>'
        "{head}</tr></thead><tbody>{rows}</tbody></table></div>",
        count=f"{len(trials):,}",
        more=f"; {MOST} of {len(trials):,}" if len(trials) > MOST else "",
        metric=metric_name(metric),
        lower=html("")
        if found.get("higher_is_better")
        else html(" <small>lower is better</small>"),
        head=head,
        rows=rows,
    )


def _reached(one: Mapping[str, Any]) -> Html:
    if one["state"] == FAILED:
        return html("<td>failed <small>{why}</small></td>", why=shortened(one["why"], 120))
    note = f"stopped after {one['share']:.0%}" if one["state"] == STOPPED else ""
    return html(
        '<td class="fig">{value} <small>{note}</small></td>',
        value=figure(one["metric"]),
        note=note,
    )


def sentence(run: Mapping[str, Any]) -> str | None:
    """What the card says of it."""
    found = part(run, "search")
    trials = listed(found, "trials")
    if not trials:
        return None
    best, metric = trials[0], metric_name(str(found.get("metric", "")))
    first = next((one for one in trials if one["number"] == 0), None)
    beside = ""
    if best["number"] == 0:
        beside = ", which are the default ones"
    elif first is not None and first["metric"] is not None:
        beside = f", {figure(first['metric'])} with the default ones"
    return (
        f"Settings were chosen by search on the validation split: the best of {len(trials):,} "
        f"trials, {metric} {figure(best['metric'])} there{beside}. No trial saw the test split."
    )
