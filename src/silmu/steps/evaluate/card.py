"""README.md of a model folder: the model card, as the Hub reads it.

Texts, cells and pictures of the data are not in it: a card is what is published first, and they may
be nobody's to publish.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from silmu.steps.evaluate import searched
from silmu.steps.evaluate.environment import sections as acting
from silmu.steps.evaluate.kinds import words_of
from silmu.steps.evaluate.metrics import LOWER_IS_BETTER
from silmu.steps.evaluate.series import sections
from silmu.steps.evaluate.words import (
    baseline_name,
    baselines,
    column_name,
    cut,
    dropped,
    figure,
    kept,
    left_out,
    length,
    listed,
    metric_name,
    parameters,
    part,
    sentence,
    setting,
    shortened,
    span,
    visible,
)

WEAKEST = 3
"""So many labels and parts are named in the limits."""

MATTERING = 5
"""So many of the columns that matter most are named."""

LABELS = 40
"""So many labels are named."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_MARKS = re.compile(r"([\\`*_\[\]<>|#~!&$])")


def card(report: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """What a model is, how well it does and what it cannot; every number is from the mappings.

    Args:
        report: what metrics.json holds.
        run: as `page` takes it, and for the front matter, where they are known:

            languages     ["en", ...]
            licence       the user's; none is chosen for them
            transformers  whether transformers can open the network
    """
    return "\n".join([*_front(report, run), *_body(report, run)]) + "\n"


# ── for the Hub ────────────────────────────────────────────────────────────────────────────────


def _front(report: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    """The front matter. JSON is YAML, so every value is written as JSON."""
    task, base = report.get("task", ""), str(run.get("base_model") or "")
    yield "---"
    if languages := listed(run, "languages"):
        yield f"language: {_json(languages)}"
    if run.get("licence"):
        yield f"license: {_json(shortened(run['licence']))}"
    yield "library_name: silmu"
    yield f"pipeline_tag: {_json(task)}"
    yield f"tags: {_json(['silmu', *(['transformers'] if run.get('transformers') else [])])}"
    # The Hub takes a repository's name here, and refuses a path.
    if _HUB_ID.fullmatch(base):
        yield f"base_model: {_json(base)}"
    metrics = part(report, "metrics")
    if metrics:
        name = shortened(part(report, "data").get("name", "data"))
        figures = [
            {"type": key, "value": one["value"], "name": f"{metric_name(key)} ({span(one)})"}
            for key, one in metrics.items()
        ]
        result = {
            "task": {"type": task, "name": task.replace("-", " ")},
            "dataset": {"type": _slug(name), "name": name, "split": "test"},
            "metrics": figures,
        }
        yield "model-index:"
        yield f"- name: {_json(_title(report))}"
        yield f"  results: {_json([result])}"
    yield "---"
    yield ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"


def _title(report: Mapping[str, Any]) -> str:
    name = shortened(part(report, "data").get("name", "model"))
    return f"{name}: {report.get('task', '')}"


# ── for people ─────────────────────────────────────────────────────────────────────────────────


def _told(text: object, length: int = 48) -> str:
    """A name as Markdown that is only text."""
    return _MARKS.sub(r"\\\1", shortened(text, length)).replace("@", "&#64;")


def _prose(text: str) -> str:
    """A sentence of the report as Markdown that is only text."""
    return _MARKS.sub(r"\\\1", " ".join(visible(cut(text)[0]).split()))


def _code(text: object, length: int = 80) -> str:
    # A backtick would end the code, and a pipe the cell of a table.
    return f"`{shortened(text, length).replace('`', chr(39)).replace('|', '/')}`"


def _body(report: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    metric, words = part(report, "metrics", report.get("metric", "")), words_of(report)
    yield f"# {_told(part(report, 'data').get('name', 'model'))}: {report.get('task', '')}"
    yield ""
    if metric:
        yield (
            f"**{metric_name(report['metric'])} {figure(metric['value'])}** "
            f"(95 % interval {span(metric)}, {metric['n']:,} {words.counted} {words.sealed})"
        )
        yield ""
    if comparison := part(report, "comparison"):
        yield _prose(sentence(comparison["sentence"]))
        yield ""
    for title, lines in (
        ("What it answers", _answers(report, run)),
        ("What it learnt from", _data(report, run)),
        ("How well it does", _figures(report)),
        ("How to use it", _use(report, run)),
        ("Limits", _limits(report)),
        ("How to repeat it", _repeat(report, run)),
        ("Licence", _licence(run)),
    ):
        if told := list(lines):
            yield f"## {title}"
            yield ""
            yield from told
            yield ""


def _answers(report: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    labels = [str(label) for label in listed(report, "labels")]
    named = ", ".join(_told(label) for label in labels[:LABELS])
    more = f" and {len(labels) - LABELS:,} more" if len(labels) > LABELS else ""
    kind, one = report.get("kind"), words_of(report).one
    if answer := sections.answer(report) or acting.answer(report):
        yield f"{one} goes in, {answer}{_between(report)}."
    elif kind == "number":
        told = [_told(name) for name in listed(report, "targets")[:LABELS]]
        what = f"numbers come out: {', '.join(told)}" if told else "a number comes out"
        yield f"{one} goes in, {what}{_between(report)}."
    elif kind == "multiple":
        yield f"{one} goes in; out come all labels that hold, any number of: {named}{more}."
    elif kind == "ordered":
        yield f"{one} goes in, one of these grades comes out, in order: {named}{more}."
    elif labels:
        yield f"{one} goes in, one of these labels comes out: {named}{more}."
    facts: list[str] = []
    if run.get("base_model") and run.get("frozen"):
        facts.append(f"A linear head on the frozen encoder {_told(run['base_model'], 80)}.")
    elif run.get("base_model"):
        facts.append(f"Fine-tuned from {_told(run['base_model'], 80)}.")
    elif run.get("network"):
        facts.append(f"Network: {_told(run['network'], 80)}, trained from nothing.")
    if run.get("parameters"):
        facts.append(f"{parameters(run)}.")
    if facts:
        yield ""
        yield " ".join(facts)


def _between(report: Mapping[str, Any]) -> str:
    held = part(report, "metrics", "interval_coverage")
    promised = part(report, "details").get("promised")
    if not held or promised is None:
        return ""
    return (
        f"; with each the interval that a share of {figure(promised)} of true numbers is to lie "
        f"in, and in the test {figure(held['value'])} ({span(held)}) did"
    )


def _data(report: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    data, columns = part(report, "data"), part(run, "columns")
    if "rows_in" in data:
        yield (
            f"{_told(data.get('name', 'the data'))}: {data['rows_in']:,} rows in = "
            f"{kept(data):,} kept + {dropped(data):,} dropped."
        )
        for drop in listed(data, "dropped"):
            yield f"- {drop['count']:,} dropped: {_told(drop['reason'], 200)}"
        yield ""
    for role in ("input", "target", "group", "time"):
        names = [columns[role]] if isinstance(columns.get(role), str) else listed(columns, role)
        if names:
            yield f"- {role}: {', '.join(_code(name) for name in names)}"
    counts = part(data, "counts")
    if counts:
        told = ", ".join(f"{count:,} {split}" for split, count in counts.items())
        yield f"- splits: {told}"
    if left := left_out(data):
        yield f"- rows in no split: {left:,}"
    if data.get("moved") is not None:
        yield f"- duplicates put in the split of their first: {data['moved']:,}"
    for name, told in acting.facts(report):
        yield f"- {name}: {_told(told, 200)}"
    if data.get("fingerprint"):
        yield f"- fingerprint: {_code(data['fingerprint'])}"


def _figures(report: Mapping[str, Any]) -> Iterator[str]:
    metrics, beside = part(report, "metrics"), baselines(report)
    if not metrics:
        return
    head = ["metric", "this model", *(_told(baseline_name(report, name), 80) for name in beside)]
    yield _line(head)
    yield _line(["---", *["---:"] * (len(head) - 1)])
    for name, metric in metrics.items():
        lower = " (lower is better)" if name in LOWER_IS_BETTER else ""
        others = [_cell(part(one, name)) for one in beside.values()]
        yield _line([f"{metric_name(name)}{lower}", _cell(metric), *others])
    yield ""
    told = "In brackets: 95 % intervals"
    if drawn := part(report, "details", "bootstrap"):
        by = "rows" if drawn["by"] == "row" else f"values of {_told(drawn['by'])}"
        if drawn["by"] == "block":
            by = f"blocks of {drawn['steps']:,} steps of time"
        if drawn["by"] == "episode":
            by = "episodes"
        told += f", from {drawn['resamples']:,} resamples of {drawn['units']:,} {by}"
    yield f"{told}."
    for other in [*part(report, "comparison", "others").values()][::-1]:
        yield ""
        yield _prose(sentence(other["sentence"]))
    if how := sections.how(report) or acting.how(report):
        yield ""
        yield _prose(how)
    if matter := part(report, "details", "importance"):
        loss = metric_name(matter["metric"])
        told = "; ".join(
            f"{_told(one['column'])} {_cell(one)}" for one in listed(matter, "columns")[:MATTERING]
        )
        yield ""
        yield f"Columns that matter most, by the loss of {loss} when one is shuffled: {told}."


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(metric: Mapping[str, Any]) -> str:
    return f"{figure(metric['value'])} ({span(metric)})" if metric else "\u2013"


def _use(report: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    task, words = json.dumps(report.get("task", "")), words_of(report)
    yield "```python"
    if words.imports:
        yield from words.imports
        yield ""
    yield "from silmu import pipeline"
    yield ""
    yield f'pipe = pipeline({task}, model="path/to/this/folder")'
    yield from words.call
    yield "```"
    if words.given:
        yield ""
        yield words.given
    if run.get("transformers"):
        yield ""
        yield "Its network is one of transformers' own, which opens the folder as well:"
        yield ""
        yield "```python"
        yield "from transformers import pipeline"
        yield ""
        yield f'pipe = pipeline({task}, model="path/to/this/folder")'
        yield "```"


def _limits(report: Mapping[str, Any]) -> Iterator[str]:
    details, name = part(report, "details"), report.get("metric", "")
    for warning in listed(report, "warnings"):
        yield f"- {_prose(sentence(str(warning)))}"
    scored = [one for one in listed(details, "per_class") if one["f1"] is not None]
    if len(scored) > 1:
        scored.sort(key=lambda one: one["f1"]["value"])
        told = "; ".join(f"{_told(one['label'])} {_cell(one['f1'])}" for one in scored[:WEAKEST])
        yield f"- Weakest labels, by F1: {told}."
    if never := [one for one in listed(details, "per_class") if not one["predicted"]]:
        told = ", ".join(_told(one["label"]) for one in never[:LABELS])
        yield f"- Never said in the test: {told}."
    parts = [
        (part(one, "score"), f"{_told(column_name(one['column']))} = {_told(one['value'])}")
        for one in listed(details, "slices")
    ]
    parts += [(part(one, "score"), length(one)) for one in listed(details, "lengths")]
    weak = [(score, where) for score, where in parts if score]
    if len(weak) > 1:
        weak.sort(key=lambda one: one[0]["value"], reverse=name in LOWER_IS_BETTER)
        told = "; ".join(f"{where}: {_cell(score)}" for score, where in weak[:WEAKEST])
        yield f"- Weakest parts, by {metric_name(name)}: {told}."
    yield f"- {words_of(report).limits}"


def _repeat(report: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    if run.get("command"):
        yield "```"
        # Three backticks in a row would end the block.
        yield visible(cut(str(run["command"]))[0]).replace("```", "'''")
        yield "```"
        yield ""
    if settings := part(run, "settings"):
        told = ", ".join(
            f"{_told(name)} {_told(setting(value), 120)}"
            for name, value in settings.items()
            if value is not None
        )
        yield f"Settings: {told}."
        yield ""
    if chosen := searched.sentence(run):
        yield _prose(chosen)
        yield ""
    told = ", ".join(f"{name} {took:,.1f} s" for name, took in part(report, "seconds").items())
    if told:
        machine = f" ({_told(run['machine'], 120)})" if run.get("machine") else ""
        yield f"Time taken: {told}{machine}."
        yield ""
    if versions := part(run, "versions"):
        yield f"Versions: {', '.join(f'{_told(n)} {_told(v)}' for n, v in versions.items())}."


def _licence(run: Mapping[str, Any]) -> Iterator[str]:
    if run.get("licence"):
        yield f"{_told(run['licence'])}."
        return
    yield (
        "None is given. Whoever publishes this model chooses one that the data"
        f"{' and the model it was made from' if run.get('base_model') else ''} allow, and "
        "writes it as `license:` at the top."
    )
