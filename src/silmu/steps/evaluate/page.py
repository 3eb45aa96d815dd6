"""The report as one HTML page that needs neither a network nor a script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from silmu.steps.evaluate import charts, columns, examples, gallery, measured, said, searched
from silmu.steps.evaluate.charts import Row
from silmu.steps.evaluate.environment import sections as acting
from silmu.steps.evaluate.image import learnt
from silmu.steps.evaluate.kinds import words_of
from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.metrics import LOWER_IS_BETTER
from silmu.steps.evaluate.series import sections
from silmu.steps.evaluate.sheet import sheet
from silmu.steps.evaluate.words import (
    baseline_name,
    baselines,
    cut,
    dropped,
    figure,
    kept,
    left_out,
    listed,
    metric_name,
    parameters,
    part,
    sentence,
    setting,
    shortened,
    span,
)


def page(report: Mapping[str, Any], *, run: Mapping[str, Any]) -> str:
    """Everything an evaluation found, for the eye; every number is from the two mappings.

    Args:
        report: what metrics.json holds.
        run: how the model came to be, as `history` finds it; what is missing is left out:

            network, base_model   its name; the model that was fine-tuned
            frozen                whether that model stayed as it was, and only a head was learnt
            parameters, trainable  how many numbers it has, and how many were learnt
            columns               {"input": [...], "target": [...], "group": name, "time": name}
            settings              {name: value}
            search                what was tried, as `searched.search_of` finds it
            log                   [(step, loss or None, validation metric or None)]
            validation_metric     its name
            versions              {package: version}
            machine, date         where and when, in words
            command               what repeats the run
    """
    return sheet(
        _sections(report, run),
        title=f"{shortened(_data(report).get('name', 'report'))}: {report.get('task', '')}",
        head=_head(report, run),
        footer=_footer(run),
    )


def _sections(
    report: Mapping[str, Any], run: Mapping[str, Any]
) -> Iterator[tuple[str, str, Html | None]]:
    details = part(report, "details")
    yield "figures", "Figures", measured.figures(report)
    yield "comparison", "Beside the baselines", measured.comparison(report)
    yield from sections.of(report)
    yield from acting.of(report)
    yield "numbers", "Said and true", said.scatter(report, details)
    yield "targets", "By target", said.per_target(report, details)
    matrix = [measured.confusion(details), gallery.confused(details)]
    yield "confusions", "Confusions", joined(one for one in matrix if one) or None
    yield "labels", "By label", measured.per_class(report, details)
    yield "importance", "Which columns matter", columns.importance(details)
    yield "dependence", "How answers depend on them", columns.dependence(report, details)
    by = "By part and length" if details.get("lengths") else "By part"
    yield "parts", by, measured.parts(report, details)
    drift = columns.drift(details) or measured.drift(details)
    yield "drift", "Compared with training", drift
    yield "trust", "What a score is worth", measured.reliability(details)
    yield "search", "Search for settings", searched.table(run)
    yield "training", "Training", measured.training(run)
    yield "augmented", "What training saw", gallery.augmented(details)
    yield "layers", "What each layer has learnt", learnt.section(part(details, "layers"))
    yield "mistakes", "Worst mistakes", examples.worst(details)
    yield "best", "Surest right answers", gallery.best(details)
    yield "typical", "Typical answers", examples.typical(details)
    yield "data", "Data", _data_section(report, run)
    yield "repeat", "Settings, and how to repeat it", _settings(report, run)


def _data(report: Mapping[str, Any]) -> Mapping[str, Any]:
    return part(report, "data")


# ── the head ───────────────────────────────────────────────────────────────────────────────────


def _head(report: Mapping[str, Any], run: Mapping[str, Any]) -> Html:
    data = _data(report)
    about = [
        run.get("network") and html("<bdi>{it}</bdi>", it=shortened(run["network"], 80)),
        run.get("parameters") and html("{n} parameters", n=f"{run['parameters']:,}"),
        html("{n} {of} scored", n=f"{data['scored']:,}", of=words_of(report).counted)
        if "scored" in data
        else None,
        run.get("date") and html("{date}", date=run["date"]),
    ]
    return html(
        '<header><p class="over">silmu report <span>{task}</span></p><h1><bdi>{name}</bdi></h1>'
        '<p class="about">{about}</p>{headline}{warnings}</header>',
        task=report.get("task", ""),
        name=shortened(data.get("name", "report"), 80),
        about=joined(html("<span>{one}</span>", one=one) for one in about if one),
        headline=_headline(report),
        warnings=_warnings(report),
    )


def _headline(report: Mapping[str, Any]) -> Html:
    name = report.get("metric", "")
    metric = part(report, "metrics", name)
    if not metric:
        return html('<p class="verdict">The rows have no labels, so nothing was measured.</p>')
    look, held = report.get("look"), words_of(report).held
    looked = html("")
    if look is not None:
        looked = html(
            '<p class="look{loud}">{look}</p>',
            loud=" loud" if look > 1 else "",
            look=f"first look at {held}" if look == 1 else f"look {look:,} at {held}",
        )
    lower = html(", lower is better") if name in LOWER_IS_BETTER else html("")
    rows = [Row("this model", metric["value"], metric["low"], metric["high"], tone="model")]
    for baseline, metrics in baselines(report).items():
        if one := metrics.get(name):
            title = baseline_name(report, baseline)
            rows.append(Row(title, one["value"], one["low"], one["high"]))
    beside = html("")
    if len(rows) > 1:
        beside = charts.forest(
            rows,
            caption=f"The model and the baselines, on the same {words_of(report).counted}",
            head="",
            unit=metric_name(name),
        )
    return html(
        '<div class="headline"><div class="big"><p class="what">{name}{lower}</p>'
        '<p class="number{long}">{value}</p><p class="span">{span}</p>'
        '<p class="fine">95 % interval, {n} {of}</p>{looked}</div>'
        '<div class="beside">{verdict}{beside}</div></div>',
        name=metric_name(name),
        lower=lower,
        long=" long" if len(figure(metric["value"])) > 6 else "",
        value=figure(metric["value"]),
        span=span(metric),
        n=f"{metric['n']:,}",
        of=words_of(report).counted,
        looked=looked,
        verdict=_verdict(part(report, "comparison")),
        beside=beside,
    )


def _verdict(comparison: Mapping[str, Any]) -> Html:
    if not comparison:
        return html("")
    tone = {"better": "good", "worse": "bad"}.get(comparison["verdict"], "even")
    told = sentence(comparison["sentence"])
    return html('<p class="verdict {tone}">{told}</p>', tone=tone, told=told)


def _warnings(report: Mapping[str, Any]) -> Html:
    warnings = [str(warning) for warning in listed(report, "warnings")]
    look = report.get("look")
    if look is not None and look > 1 and not any("look" in warning for warning in warnings):
        warnings.insert(
            0,
            f"look {look:,} at {words_of(report).held}: whoever chooses by it flatters the figure",
        )
    if not warnings:
        return html("")
    items = joined(html("<li>{one}</li>", one=sentence(cut(one)[0])) for one in warnings)
    return html(
        '<aside class="warnings" aria-label="Warnings"><h2>To know before reading on</h2>'
        "<ul>{items}</ul></aside>",
        items=items,
    )


# ── data and settings ──────────────────────────────────────────────────────────────────────────


def _data_section(report: Mapping[str, Any], run: Mapping[str, Any]) -> Html | None:
    data = _data(report)
    if not data:
        return None
    roles = part(run, "columns")
    facts: list[tuple[str, Html]] = []
    for role in ("input", "target", "group", "time"):
        names = [roles[role]] if isinstance(roles.get(role), str) else listed(roles, role)
        told = [html("<bdi><code>{name}</code></bdi>", name=shortened(name)) for name in names]
        if told:
            facts.append((role, Html(", ".join(told))))
    facts += [(name, html("<bdi>{it}</bdi>", it=told)) for name, told in acting.facts(report)]
    for key, name in (("source", "source"), ("fingerprint", "fingerprint")):
        if data.get(key):
            code = html('<bdi><code class="long">{it}</code></bdi>', it=shortened(data[key], 200))
            facts.append((name, code))
    if left := left_out(data):
        facts.append(("rows in no split", html("{n}", n=f"{left:,}")))
    for key, name in (
        ("moved", "duplicates put in the split of their first"),
        ("truncated", "texts read in part, as they are too long"),
        ("flagged", "rows with cells that look like none of the training"),
        ("without_label", "rows without a label"),
    ):
        if data.get(key) is not None:
            facts.append((name, html("{n}", n=f"{data[key]:,}")))
    if data.get("failed"):
        rows = ", ".join(f"{one['row']:,}: {one['error']}" for one in data["failed"][:10])
        told = f"{len(data['failed']):,} (row {shortened(rows, 300)})"
        facts.append(("rows that could not be answered", html("{told}", told=told)))
    for one in listed(data, "unseen"):
        told = html("<bdi>{it}</bdi>, {n} rows", it=shortened(one["label"]), n=f"{one['count']:,}")
        facts.append(("label the model never saw", told))
    return joined([_flow(data), _splits(part(data, "counts")), _facts(facts)])


def _flow(data: Mapping[str, Any]) -> Html:
    if "rows_in" not in data:
        return html("")
    reasons = joined(
        html(
            "<li>{n} dropped: <bdi>{why}</bdi></li>",
            n=f"{d['count']:,}",
            why=shortened(d["reason"], 200),
        )
        for d in listed(data, "dropped")
    )
    return html(
        '<p class="flow"><span><b>{all}</b> rows in</span> <i>=</i> <span><b>{kept}</b> kept</span>'
        " <i>+</i> <span><b>{lost}</b> dropped</span></p>{reasons}",
        all=f"{data['rows_in']:,}",
        kept=f"{kept(data):,}",
        lost=f"{dropped(data):,}",
        reasons=html("<ul>{items}</ul>", items=reasons) if reasons else html(""),
    )


def _splits(counts: Mapping[str, int]) -> Html:
    whole = sum(counts.values())
    if not whole:
        return html("")
    parts = joined(
        html('<span class="{name}" style="flex-grow:{n}"></span>', name=f"split-{i}", n=n)
        for i, n in enumerate(counts.values())
    )
    told = joined(
        html('<li class="split-{i}"><b>{n}</b> {name}</li>', i=i, n=f"{n:,}", name=name)
        for i, (name, n) in enumerate(counts.items())
    )
    return html(
        '<div class="splits" aria-hidden="true">{parts}</div><ul class="key">{told}</ul>',
        parts=parts,
        told=told,
    )


def _settings(report: Mapping[str, Any], run: Mapping[str, Any]) -> Html | None:
    facts: list[tuple[str, Html]] = []
    model = part(report, "model")
    for name, value in (
        ("frozen encoder" if run.get("frozen") else "fine-tuned from", run.get("base_model")),
        ("network", None if run.get("base_model") else run.get("network")),
        ("model fingerprint", model.get("fingerprint")),
        ("machine", run.get("machine")),
    ):
        if value:
            code = html('<bdi class="long">{it}</bdi>', it=shortened(value, 200))
            facts.append((name, code))
    if run.get("parameters"):
        facts.append(("size", html("{told}", told=parameters(run))))
    for name, seconds in part(report, "seconds").items():
        facts.append((f"seconds to {name}", html("{s}", s=f"{seconds:,.1f}")))
    parts = [_facts(facts)]
    for title in ("Settings", "Versions"):
        told = [
            (name, html("<bdi>{value}</bdi>", value=shortened(setting(value), 120)))
            for name, value in part(run, title.lower()).items()
            if value is not None
        ]
        if told:
            parts.append(html("<h3>{title}</h3>{facts}", title=title, facts=_facts(told, "tight")))
    if run.get("command"):
        command = cut(str(run["command"]))[0]
        parts.append(html("<h3>To repeat it</h3><pre>{command}</pre>", command=command))
    return joined(parts) or None


def _facts(facts: Sequence[tuple[str, Html]], kind: str = "") -> Html:
    if not facts:
        return html("")
    told = joined(
        html("<div><dt>{name}</dt><dd>{value}</dd></div>", name=shortened(name, 80), value=value)
        for name, value in facts
    )
    return html('<dl class="facts {kind}">{told}</dl>', kind=kind, told=told)


def _footer(run: Mapping[str, Any]) -> Html:
    version = part(run, "versions").get("silmu")
    by = html("silmu {version}", version=version) if version else html("silmu")
    return html("Made by {by} from metrics.json, which holds every number of this page.", by=by)
