"""A policy in an environment on the report page and in the model card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from silmu.steps.evaluate import gallery
from silmu.steps.evaluate.charts import learning_curve
from silmu.steps.evaluate.environment import drawing
from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.words import baseline_name, figure, listed, part, sentence


def of(report: Mapping[str, Any]) -> Iterator[tuple[str, str, Html | None]]:
    """The parts of the page: id, title and content of each; nothing where there is no policy."""
    found = _found(report)
    if not found:
        return
    yield "returns", "What episodes earned", _returns(report, found)
    yield "episodes", "Episodes to look at", _films(found)
    yield "moments", "Moments of lowest value", _moments(found)
    yield "learning", "How it learnt", _learning(part(found, "learning"))


def answer(report: Mapping[str, Any]) -> str | None:
    """What comes out of a policy, in words; None of others."""
    found = _found(report)
    return f"an action that the environment takes comes out: {found['action']}" if found else None


def how(report: Mapping[str, Any]) -> str | None:
    """How the figures came to be, in words; None of others."""
    found = _found(report)
    if not found:
        return None
    count, cut = found["episodes"], found["cut"]
    parts = [
        f"{count:,} episodes, whose seeds training never had; the policy takes the action that it "
        f"thinks best, and the baselines have the same seeds. {cut:,} of its episodes "
        f"{'was' if cut == 1 else 'were'} cut after {found['max_episode_steps']:,} steps.",
        "The baseline to compare with is the one that earned more in them.",
    ]
    if found["alike"] and count > 1:
        parts.append(
            f"All episodes earned the same, so no resample differs; up to {min(3, count)} in "
            f"{count:,} may still come out otherwise (the rule of three)."
        )
    return " ".join(parts)


def facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a report says of the environment, by name; nothing of other data."""
    found = _found(report)
    if not found:
        return []
    told = [
        ("observation", str(found["observation"])),
        ("action", str(found["action"])),
        ("time limit", f"{found['max_episode_steps']:,} steps"),
        ("algorithm", str(found["algorithm"])),
    ]
    if found["frames"] > 1:
        told.append(("observations at once", f"{found['frames']:,}"))
    if made := part(found, "kwargs"):
        told.append(("made with", ", ".join(f"{k} = {v}" for k, v in made.items())))
    if versions := part(found, "versions"):
        told.append(("from", ", ".join(f"{k} {v}" for k, v in versions.items())))
    return told


def _found(report: Mapping[str, Any]) -> Mapping[str, Any]:
    return part(report, "details", "environment")


def _returns(report: Mapping[str, Any], found: Mapping[str, Any]) -> Html:
    returns = part(found, "returns")
    edges, counts = listed(returns, "edges"), part(returns, "counts")
    most = max(max(one) for one in counts.values())
    drawn = joined(
        drawing.histogram(
            edges,
            one,
            most,
            "this model" if name == "model" else baseline_name(report, name),
            is_own=name == "model",
        )
        for name, one in counts.items()
    )
    return html(
        '<p class="lead">How many episodes earned how much, on one scale.</p>'
        '<div class="figures-row">{drawn}</div><p class="fine">{how}</p>',
        drawn=drawn,
        how=how(report) or "",
    )


def _films(found: Mapping[str, Any]) -> Html | None:
    films = listed(found, "films")
    lead = html(
        '<p class="lead">Each is an episode of the {n} above, acted again.{otherwise}</p>',
        n=f"{found['episodes']:,}",
        otherwise=""
        if found["deterministic"]
        else " The environment gives different things after the same seed, so what is seen is "
        "another episode that began alike.",
    )
    if found["unseen"]:
        lead = html(
            '<p class="lead">There is no film, as the environment could not be drawn here: '
            "{why}</p>",
            why=sentence(str(found["unseen"])),
        )
    return html(
        '{lead}<div class="figures-row">{films}</div>',
        lead=lead,
        films=joined(_film(one, alone=len(films) == 1) for one in films),
    )


def _film(one: Mapping[str, Any], *, alone: bool) -> Html:
    name = "An episode" if alone else f"The {one['name']} episode"
    end = "cut by the time limit" if one["cut"] else "it ended before the time limit"
    title = f"{name}: return {figure(one['return'])}, {one['length']:,} steps"
    told = [f"episode {one['number'] + 1:,}; {end}"]
    if one.get("speed", 1) > 1:
        told.append(f"shown {one['speed']:,} times as fast as it was")
    if one.get("file"):
        told.append(f"{one['file']} beside this page is larger, and as fast as it was")
    seen = html("")
    if picture := part(one, "picture"):
        seen = gallery.picture(picture, f"film: {title}", "photo")
    values = listed(one, "values")
    return html(
        '<figure class="film"><figcaption>{title}</figcaption>{seen}<p class="fine">{told}</p>'
        "{values}</figure>",
        title=title,
        seen=seen,
        told=sentence("; ".join(told)),
        values=drawing.values(values, one["length"]) if values else html(""),
    )


def _moments(found: Mapping[str, Any]) -> Html | None:
    moments = listed(found, "moments")
    if not moments:
        return html(
            '<p class="lead">A policy of {name} does not tell what it expects to earn.</p>',
            name=found["algorithm"],
        )
    return html(
        '<p class="lead">Where the policy expected to earn least from there on: the lowest moment '
        "of each of the episodes where it is lowest. Values are in the unit of the rewards that "
        'training learnt from.</p><div class="strip moments">{cards}</div>',
        cards=joined(_moment(one) for one in moments),
    )


def _moment(one: Mapping[str, Any]) -> Html:
    where = f"step {one['step']:,} of {one['length']:,}"
    seen = html("")
    if picture := part(one, "picture"):
        seen = gallery.picture(picture, f"what the environment looked like at {where}", "photo")
    return html(
        "<figure>{seen}<figcaption>value {value} <small>{where}, episode {number}, return {earned}"
        "</small></figcaption></figure>",
        seen=seen,
        value=figure(one["value"]),
        where=where,
        number=f"{one['number'] + 1:,}",
        earned=figure(one["return"]),
    )


def _learning(found: Mapping[str, Any]) -> Html | None:
    if not found:
        return None
    steps = found["steps"]
    acted, judged = (_points(listed(found, name)) for name in ("return", "judged"))
    drawn: list[Html] = []
    if acted:
        title = "Return in training, of the episodes that ended"
        drawn.append(learning_curve(acted, title=title, steps=steps, dots=False))
    if judged:
        title = "Mean return when it was judged"
        drawn.append(learning_curve(judged, title=title, steps=steps, dots=len(judged) <= 40))
    return html(
        '<div class="figures-row">{drawn}</div><p class="fine">{steps} steps of the environment. '
        "In training actions are drawn by chance; when the policy is judged it takes the best, in "
        "episodes of their own. The weights that were judged best are the model.</p>",
        drawn=joined(drawn),
        steps=f"{steps:,}",
    )


def _points(given: Sequence[Any]) -> list[tuple[float, float]]:
    return [(step, value) for step, value in given]
