"""Columns of a table on the report page: which matter, how answers depend on them, and drift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from silmu.steps.evaluate import charts
from silmu.steps.evaluate.charts import Row, Scale
from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.words import (
    conversion,
    figure,
    listed,
    metric_name,
    number,
    part,
    shortened,
    span,
    time,
)

MOST_COLUMNS = 20
"""So many columns are seen at once; the others unfold."""


def importance(details: Mapping[str, Any]) -> Html | None:
    """What the metric loses when the cells of a column are shuffled."""
    found = part(details, "importance")
    rows = [
        Row(one["column"], one["value"], one["low"], one["high"], tone="model")
        for one in listed(found, "columns")
    ]
    if not rows:
        return None
    name = metric_name(found["metric"])
    scale = charts.scale_of(rows, 0)

    def drawn(some: Sequence[Row]) -> Html:
        return charts.forest(
            some,
            caption=f"What {name} loses without a column",
            head="column",
            unit=f"loss of {name}",
            mark=0,
            scale=scale,
        )

    more = html("")
    if len(rows) > MOST_COLUMNS:
        more = html(
            "<details><summary>{n} more columns</summary>{rows}</details>",
            n=f"{len(rows) - MOST_COLUMNS:,}",
            rows=drawn(rows[MOST_COLUMNS:]),
        )
    left = found.get("left_out") or 0
    return html(
        '<p class="lead">How much worse the {name} becomes when the cells of a column are shuffled '
        "among {n} rows, {repeats} times. Columns that tell the same share what they matter, so "
        "each alone may look as if it did not.{left}</p>{rows}{more}",
        name=name,
        n=f"{found['rows']:,}",
        repeats=f"{found['repeats']:,}",
        left=f" {left:,} columns that hardly change an answer were not measured." if left else "",
        rows=drawn(rows[:MOST_COLUMNS]),
        more=more,
    )


def dependence(report: Mapping[str, Any], details: Mapping[str, Any]) -> Html | None:
    """What the model says on average for each value of a column, and to eight in ten rows."""
    found = listed(details, "dependence")
    if not found:
        return None
    scales, scores = _scales(found), report.get("kind") != "number"
    lines = [_curve(one, scales, scores) for one in found if one["kind"] == "number"]
    levels = [_levels(one, scales, scores) for one in found if one["kind"] != "number"]
    parts: list[Html] = []
    if lines:
        parts.append(html('<div class="figures-row">{lines}</div>', lines=joined(lines)))
    if levels:
        parts.append(html('<div class="parts">{levels}</div>', levels=joined(levels)))
    return html(
        '<p class="lead">What the model says on average when all of {n} rows have one value of a '
        "column and else stay as they are; the band holds what it says to 80 % of them. It is "
        "what the model does, not what would come of changing the world.</p>{parts}",
        n=f"{found[0]['rows']:,}",
        parts=joined(parts),
    )


def _scales(found: Iterable[Mapping[str, Any]]) -> dict[str | None, Scale]:
    """One scale for all columns, of each label or target."""
    ends: dict[str | None, list[float]] = {}
    for one in found:
        drawn = one["curves"][0]
        ends.setdefault(drawn["of"], []).extend([*drawn["low"], *drawn["high"], *drawn["mean"]])
    return {of: Scale.over(values, count=4) for of, values in ends.items()}


def _title(one: Mapping[str, Any], scores: bool) -> str:
    of = one["curves"][0]["of"]
    name = shortened(one["column"])
    return name if of is None else f"{name}: {'score of ' if scores else ''}{shortened(of, 24)}"


def _curve(one: Mapping[str, Any], scales: Mapping[str | None, Scale], scores: bool) -> Html:
    drawn = one["curves"][0]
    return charts.curve(
        list(zip(one["at"], drawn["mean"], strict=True)),
        title=_title(one, scores),
        across=shortened(one["column"]),
        x=Scale.over(one["at"], count=4, tight=True),
        y=scales[drawn["of"]],
        dots=True,
        band=list(zip(drawn["low"], drawn["high"], strict=True)),
    )


def _levels(one: Mapping[str, Any], scales: Mapping[str | None, Scale], scores: bool) -> Html:
    drawn = one["curves"][0]
    values = zip(one["at"], drawn["mean"], drawn["low"], drawn["high"], strict=True)
    rows = [
        Row("(missing)" if value is None else shortened(value), *ends, tone="model")
        for value, *ends in values
    ]
    return charts.forest(
        rows,
        caption=f"What the model says by {shortened(one['column'])}",
        head=f"By {_title(one, scores)}",
        unit="mean score" if scores else "mean answer",
        scale=scales[drawn["of"]],
        between="80 % of rows",
    )


# ── drift ──────────────────────────────────────────────────────────────────────────────────────


def drift(details: Mapping[str, Any]) -> Html | None:
    """How the columns of new rows differ from those of the training."""
    told = part(details, "columns")
    found = listed(told, "columns")
    if not found:
        return None
    rows = joined(
        html(
            '<tr><th scope="row"><bdi>{name}</bdi> <small>{kind}</small></th>'
            '<td class="fig">{train}</td><td class="fig">{here}</td><td class="fig">{distance}'
            '</td><td class="fig">{psi}</td><td>{said}</td></tr>',
            name=shortened(one["column"]),
            kind=one["kind"],
            train=_side(one, "train"),
            here=_side(one, "here"),
            distance=_distance(one),
            psi=figure(one["psi"]),
            said=_said(one),
        )
        for one in found
    )
    return html(
        '<p class="lead">{here} rows, and {train} of the training. The distance of numbers is the '
        "largest difference of the shares below one (Kolmogorov and Smirnov), that of levels what "
        "share would have to change (total variation); beside it, what chance alone stays below. "
        "The stability index is mostly called a shift from 0.25 on.</p>"
        '<div class="scroll" tabindex="0" role="group" aria-label="Columns compared with training">'
        '<table><caption class="unseen">Columns compared with training</caption><thead><tr>'
        '<th scope="col">column</th><th scope="col" class="fig">training</th>'
        '<th scope="col" class="fig">here</th><th scope="col" class="fig">distance</th>'
        '<th scope="col" class="fig">stability index</th><th scope="col">what differs</th>'
        "</tr></thead><tbody>{rows}</tbody></table></div>",
        here=f"{told['rows']['here']:,}",
        train=f"{told['rows']['train']:,}",
        rows=rows,
    )


def _side(one: Mapping[str, Any], side: str) -> Html:
    """Median and range, or only what is missing."""
    ends, median = part(one, "range").get(side), part(one, "median").get(side)
    tell = time if one["kind"] == "date" else number
    lines: list[Html] = []
    if median is not None:
        lines.append(html("median {x}", x=number(median)))
    if ends:
        lines.append(html("<small>{low} to {high}</small>", low=tell(ends[0]), high=tell(ends[1])))
    share = figure(one["missing"][side])
    lines.append(html("<small>missing {share}</small>", share=share))
    return Html("<br>".join(lines))


def _distance(one: Mapping[str, Any]) -> Html:
    distance = one["distance"]
    if not distance:
        return html("\u2013")
    return html(
        "{value} <small>by chance {threshold}</small>",
        value=figure(distance["value"]),
        threshold=figure(distance["threshold"]),
    )


def _said(one: Mapping[str, Any]) -> Html:
    told: list[Html] = []
    if one["distance"] and one["distance"]["clear"]:
        told.append(html("differs"))
    if one["units"]:
        told.append(html("{said}", said=conversion(one["units"])))
    if one["missing"]["clear"]:
        told.append(html("missing: {span}", span=span(one["missing"])))
    unseen = part(one, "unseen")
    if unseen.get("count"):
        names = ", ".join(shortened(level["level"], 24) for level in unseen["levels"])
        told.append(html("{n} unknown: <bdi>{names}</bdi>", n=f"{unseen['count']:,}", names=names))
    if one.get("outside"):
        told.append(html("{x} outside of the training", x=figure(one["outside"])))
    if one.get("strange"):
        told.append(html("{n} cells are none", n=f"{one['strange']:,}"))
    return Html("<br>".join(told))
