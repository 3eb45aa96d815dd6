"""Figures of the report page, as tables and charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from silmu.steps.evaluate import charts
from silmu.steps.evaluate.charts import Row
from silmu.steps.evaluate.kinds import words_of
from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.metrics import LOWER_IS_BETTER
from silmu.steps.evaluate.words import (
    LABEL,
    baseline_name,
    baselines,
    column_name,
    figure,
    length,
    listed,
    metric_name,
    part,
    sentence,
    shortened,
    span,
)

MANY_LABELS = 8
"""Of more labels than so many, the one that is found best comes first."""


def figures(report: Mapping[str, Any]) -> Html | None:
    """All metrics, beside those of the baselines."""
    metrics = part(report, "metrics")
    if not metrics:
        return None
    beside = baselines(report)
    head = joined(
        html('<th scope="col" class="fig"><bdi>{name}</bdi></th>', name=baseline_name(report, name))
        for name in beside
    )
    rows = joined(
        html(
            '<tr{main}><th scope="row">{name}<small>{spelled}{lower}</small></th>{cells}</tr>',
            main=html(' class="main"') if name == report.get("metric") else html(""),
            name=metric_name(name),
            spelled=html("<code>{name}</code>", name=name) if name != metric_name(name) else "",
            lower=" lower is better" if name in LOWER_IS_BETTER else "",
            cells=joined([cell(metric), *(cell(others.get(name)) for others in beside.values())]),
        )
        for name, metric in metrics.items()
    )
    return html(
        '<div class="scroll" tabindex="0" role="group" aria-label="Figures">'
        '<table class="figures"><caption>Each figure with its 95 % interval{how}</caption><thead>'
        '<tr><th scope="col">metric</th><th scope="col" class="fig">this model</th>{head}</tr>'
        "</thead><tbody>{rows}</tbody></table></div>",
        how=_how(report),
        head=head,
        rows=rows,
    )


def _how(report: Mapping[str, Any]) -> Html:
    drawn = part(report, "details", "bootstrap")
    if not drawn:
        return html("")
    by = drawn["by"]
    unit = html("rows") if by == "row" else html("values of <bdi>{by}</bdi>", by=shortened(by))
    if by == "block":
        unit = html("blocks of {n} steps of time", n=f"{drawn['steps']:,}")
    if by == "episode":
        unit = html("episodes")
    return html(
        ", from {n} resamples of {units} {unit}",
        n=f"{drawn['resamples']:,}",
        units=f"{drawn['units']:,}",
        unit=unit,
    )


def cell(metric: Mapping[str, Any] | None) -> Html:
    """A figure of a table, with its interval."""
    if metric is None:
        return html('<td class="fig">\u2013</td>')
    return html(
        '<td class="fig">{value} <small>{span}</small></td>',
        value=figure(metric["value"]),
        span=span(metric),
    )


def comparison(report: Mapping[str, Any]) -> Html | None:
    """Differences to the baselines, and what follows from them."""
    comparison = part(report, "comparison")
    if not comparison:
        return None
    found = {comparison["against"]: comparison, **part(comparison, "others")}
    told = {name: found[name] for name in [*baselines(report), *found] if name in found}
    tones = {"better": "model", "worse": "warm"}
    rows = [
        Row(
            baseline_name(report, name),
            one["difference"],
            one["low"],
            one["high"],
            tone=tones.get(one["verdict"], ""),
        )
        for name, one in told.items()
    ]
    sentences = joined(
        html("<li>{sentence}{test}</li>", sentence=sentence(one["sentence"]), test=_mcnemar(one))
        for one in told.values()
    )
    return html(
        "{forest}<ul>{sentences}</ul>{chosen}",
        forest=charts.forest(
            rows,
            caption=f"Differences on the same {words_of(report).counted}; right of 0 the model is "
            "better",
            head="against",
            unit=f"difference in {metric_name(comparison['metric'])}",
            mark=0,
        ),
        sentences=sentences,
        chosen=_chosen(report),
    )


def _mcnemar(one: Mapping[str, Any]) -> Html:
    test = one.get("mcnemar")
    if not test:
        return html("")
    p = "p &lt; 0.001" if test["p"] < 0.001 else f"p = {figure(test['p'])}"
    return html(
        " <small>Only the model is right on {mine} rows, only the baseline on {theirs}; {p} "
        "(McNemar, exact).</small>",
        mine=f"{test['only_model']:,}",
        theirs=f"{test['only_baseline']:,}",
        p=Html(p),
    )


def _chosen(report: Mapping[str, Any]) -> Html:
    against = part(report, "comparison").get("against", "")
    told = part(report, "details", "baselines", against)
    if not told.get("validation"):
        if not told.get("capped"):
            return html("")
        return html(
            '<p class="fine">The strong baseline was fitted on {rows} rows of the training split, '
            "a sample of it.</p>",
            rows=f"{told['rows']:,}",
        )
    tried = ", ".join(f"{name} {figure(value)}" for name, value in told["validation"].items())
    return html(
        '<p class="fine">The strong baseline was fitted on {rows} rows of the training split'
        "{capped}, and its variant chosen on the validation split: {metric} over {tried}.</p>",
        rows=f"{told['rows']:,}",
        capped=", a sample of it" if told.get("capped") else "",
        metric=metric_name(told.get("metric", "")),
        tried=tried,
    )


def confusion(details: Mapping[str, Any]) -> Html | None:
    """Which labels are taken for which."""
    matrix = part(details, "confusion")
    if not matrix or not matrix["labels"]:
        return None
    lead = html("")
    if len(matrix["labels"]) <= charts.MOST_CELLS:
        lead = html(
            '<p class="lead">Rows are the true label, columns what the model said. The stronger '
            "the colour, the larger the share of the row; blue is right, orange is wrong.</p>"
        )
    return joined([lead, charts.confusion(matrix["labels"], matrix["counts"])])


def per_class(report: Mapping[str, Any], details: Mapping[str, Any]) -> Html | None:
    """Precision, recall and F1 of each label."""
    found = listed(details, "per_class")
    if not found:
        return None
    sorting = len(found) > MANY_LABELS and report.get("kind") != "ordered"
    if sorting:
        found.sort(key=lambda one: -(one["f1"]["value"] if one["f1"] else -1))
    limits = any(one.get("threshold") is not None for one in found)
    rows = joined(
        html(
            '<tr><th scope="row"><bdi>{label}</bdi> <small>{n} rows, said {said}\u00d7</small></th>'
            '{precision}{recall}<td class="plot">{bar}</td>{f1}{limit}</tr>',
            label=shortened(one["label"]),
            n=f"{one['n']:,}",
            said=f"{one['predicted']:,}",
            precision=cell(one["precision"]),
            recall=cell(one["recall"]),
            bar=charts.bar(one["f1"]),
            f1=cell(one["f1"]),
            limit=html('<td class="fig">{x}</td>', x=figure(one.get("threshold")))
            if limits
            else html(""),
        )
        for one in found
    )
    return html(
        '<div class="scroll" tabindex="0" role="group" aria-label="Figures by label">'
        '<table class="labels"><caption>Of what it called so, how much was (precision); of what '
        "was, how much it found (recall); both in one (F1){order}</caption><thead><tr>"
        '<th scope="col">label</th><th scope="col" class="fig">precision</th>'
        '<th scope="col" class="fig">recall</th><td class="plot"></td>'
        '<th scope="col" class="fig">F1</th>{limit}</tr></thead>'
        "<tbody>{rows}</tbody></table></div>",
        order="; the highest F1 first" if sorting else "",
        limit=html('<th scope="col" class="fig">said from</th>') if limits else html(""),
        rows=rows,
    )


def parts(report: Mapping[str, Any], details: Mapping[str, Any]) -> Html | None:
    """The metric that counts, of parts of the rows."""
    columns: dict[str, list[Row]] = {}
    for one in listed(details, "slices"):
        rows = columns.setdefault(column_name(one["column"]), [])
        rows.append(_row(shortened(one["value"]), one))
    lengths = listed(details, "lengths")
    if lengths:
        unit = lengths[0]["unit"]
        columns[f"length in {unit}"] = [_row(length(one), one) for one in lengths]
    if not columns:
        return None
    name = report.get("metric", "")
    whole = part(report, "metrics", name)
    mean = whole["value"] if whole else None
    scale = charts.scale_of((row for rows in columns.values() for row in rows), mean)
    tables = [
        charts.forest(
            rows,
            caption=f"{metric_name(name)} by {shortened(column)}",
            head=f"By {shortened(column)}",
            unit=metric_name(name),
            mark=mean,
            scale=scale,
        )
        for column, rows in columns.items()
    ]
    mark = ""
    if whole:
        mark = f" The dashed line is the {metric_name(name)} of all, {figure(whole['value'])}."
    return html(
        '<p class="lead">{name} of parts of {rows}.{mark}</p><div class="parts">{tables}</div>',
        name=sentence(metric_name(name))[:-1],
        rows=_sampled(report, details),
        mark=mark,
        tables=joined(tables),
    )


def _sampled(report: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    sliced, scored = details.get("sliced"), part(report, "data").get("scored", 0)
    return f"{sliced:,} of the rows" if sliced and sliced < scored else "the rows"


def _row(name: str, one: Mapping[str, Any]) -> Row:
    score = part(one, "score")
    ends = score.get("value"), score.get("low"), score.get("high")
    return Row(name, *ends, note=f"{one['n']:,} rows", tone="model")


def drift(details: Mapping[str, Any]) -> Html | None:
    """How rows of new data differ from the training."""
    found = listed(details, "drift")
    if not found:
        return None
    rows = joined(
        html(
            '<tr><th scope="row"><bdi>{what}</bdi></th><td class="fig">{train}</td>'
            '<td class="fig">{here}</td><td class="fig">{by} <small>{span}</small></td>'
            "<td>{clear}</td></tr>",
            what=shortened(one["what"], 2 * LABEL),
            train=figure(one["train"]),
            here=figure(one["here"]),
            by=figure(one["difference"]),
            span=span(one),
            clear="differs" if one["clear"] else "",
        )
        for one in found
    )
    return html(
        '<div class="scroll" tabindex="0" role="group" aria-label="Compared with training"><table>'
        "<caption>Shares and means of these rows, and of those the model learnt from</caption>"
        '<thead><tr><th scope="col">what</th><th scope="col" class="fig">training</th>'
        '<th scope="col" class="fig">here</th><th scope="col" class="fig">difference</th>'
        '<th scope="col">clear?</th></tr></thead><tbody>{rows}</tbody></table></div>',
        rows=rows,
    )


def reliability(details: Mapping[str, Any]) -> Html | None:
    """Scores, against how often they were right."""
    bins = listed(details, "reliability")
    if not bins:
        return None
    rows = joined(
        html(
            '<tr><th scope="row">{low} to {high}</th><td class="fig">{n}</td>'
            '<td class="fig">{sure}</td>{right}</tr>',
            low=figure(one["low"]),
            high=figure(one["high"]),
            n=f"{one['n']:,}",
            sure=figure(one["confidence"]),
            right=cell(one["accuracy"]),
        )
        for one in bins
    )
    numbers = html(
        '<details><summary>The same in numbers</summary><table><caption class="unseen">Scores, '
        'and how often they were right</caption><thead><tr><th scope="col">score</th>'
        '<th scope="col" class="fig">answers</th><th scope="col" class="fig">mean score</th>'
        '<th scope="col" class="fig">right</th></tr></thead>'
        "<tbody>{rows}</tbody></table></details>",
        rows=rows,
    )
    return html(
        '<p class="lead">A score is to be believed where the points lie on the dashed line: of '
        "answers with that score, that share is right. Below the line the model is too sure.</p>"
        '<div class="figures-row">{charts}</div>',
        charts=charts.reliability(bins, numbers),
    )


def training(run: Mapping[str, Any]) -> Html | None:
    """Loss and validation while it learnt."""
    log = listed(run, "log")
    losses = [(step, loss) for step, loss, _ in log if loss is not None]
    validated = [(step, value) for step, _, value in log if value is not None]
    if not losses and not validated:
        return None
    last = max(step for step, _, _ in log)
    drawn: list[Html] = []
    if losses:
        drawn.append(
            charts.learning_curve(losses, title="Loss in training", steps=last, dots=False)
        )
    if validated:
        title = f"{metric_name(run.get('validation_metric', 'metric'))} on the validation split"
        drawn.append(
            charts.learning_curve(
                validated, title=sentence(title)[:-1], steps=last, dots=len(validated) <= 40
            )
        )
    return html(
        '<div class="figures-row">{drawn}</div><p class="fine">{last} steps. The weights that did '
        "best on the validation split are the model.</p>",
        drawn=joined(drawn),
        last=f"{last:,}",
    )
