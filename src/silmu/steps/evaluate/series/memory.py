"""Why LSTM and GRU: how far back each recurrent cell learns from, as a part of a page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from silmu.steps.evaluate.charts import Scale
from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.words import figure, part

FILE = "4-train/gradients.json"
"""Where training leaves in a run what `silmu.steps.train.series_gradients` measured."""

NAMES = {"rnn": "plain RNN", "lstm": "LSTM", "gru": "GRU"}
STYLES = {"rnn": "warm", "lstm": "model", "gru": "good"}
GATED = ("lstm", "gru")

FLOOR = 6
"""Gradients are drawn down to one of ten to so many of the largest."""

MOST_POINTS = 300

FARTHER = 1.3
"""So many times as far back as a plain RNN reaches what is said to reach farther."""

CLEARLY = 0.02
"""By more than this share of it a loss is said to be smaller."""


def of_run(run: Path) -> dict[str, Any] | None:
    """What training measured; None where it did not, or what it left cannot be read."""
    try:
        found: Any = json.loads((run / FILE).read_bytes())
        section(found)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def section(told: Mapping[str, Any] | None) -> Html | None:
    """The part of a report that what `of_run` gives is told in; None where there is nothing."""
    if not told:
        return None
    charts = joined(
        html(
            "<figure><figcaption>{title}</figcaption>{chart}</figure>",
            title=title,
            chart=chart(_curves(told, when), title),
        )
        for when, title in (
            ("before", "Before training"),
            ("after", f"After {told['updates']:,} updates"),
        )
    )
    return html(
        '<p class="lead">How much the state of a recurrent network after its last step moves with '
        "a value that it read so many steps before: the share of the largest such gradient, on "
        "{shown} windows of the validation split. What has no gradient cannot be learnt from. Each "
        "is a single layer of {size} numbers that reads values alone, trained on the same windows "
        "in the same order.</p><p>{sentence}</p>{key}"
        '<div class="figures-row">{charts}</div>{table}',
        shown=f"{told['shown']:,}",
        size=told["hidden_size"],
        sentence=sentence(told),
        key=_key(),
        charts=charts,
        table=_table(told),
    )


def sentence(told: Mapping[str, Any]) -> str:
    """What was found, in words: who reaches how far, and whether it mattered here."""
    reaches = {name: _reach(told, name) for name in NAMES}
    far = {name: _steps(reaches[name], int(told["context_length"])) for name in NAMES}
    found = (
        f"After training, gradients of a hundredth of the largest or more reached {far['rnn']} "
        f"back in the plain RNN, {far['lstm']} in the LSTM and {far['gru']} in the GRU."
    )
    farther = [NAMES[name] for name in GATED if reaches[name] >= FARTHER * reaches["rnn"]]
    if farther:
        verb = "keep" if len(farther) > 1 else "keeps"
        meaning = f"The {' and '.join(farther)} {verb} what the plain RNN forgets"
    elif any(reaches["rnn"] >= FARTHER * reaches[name] for name in GATED):
        meaning = "Here gates make no longer memory"
    else:
        meaning = "All three learnt to remember about equally far"
    losses = {name: float(told["cells"][name]["loss"]) for name in NAMES}
    best = min(GATED, key=lambda name: losses[name])
    gain = 1 - losses[best] / losses["rnn"] if losses["rnn"] else 0.0
    joint = "and" if (gain > CLEARLY) == bool(farther) else "but"
    if gain > CLEARLY:
        effect = f"the loss of the {NAMES[best]} is {100 * gain:.0f} % below that of the plain RNN"
    elif gain < -CLEARLY:
        effect = "the plain RNN has the smallest loss"
    else:
        effect = "their losses are alike: these series ask for no longer memory"
    once = "Each was trained once; another seed tells somewhat different numbers."
    return f"{found} {meaning}, {joint} {effect}. {once}"


def chart(curves: Mapping[str, Sequence[float]], title: str) -> Html:
    """Gradients against the distance in time, the sizes logarithmic.

    Args:
        curves: of each of NAMES, the first of the last value that was read.
        title: what is drawn.
    """
    length = max(len(one) for one in curves.values())
    x = Scale.over([0, max(length - 1, 1)], count=5, tight=True)
    grid = joined(
        html(
            '<line class="grid" x1="0" x2="100%" y1="{at}%" y2="{at}%"/><text class="tick" x="0" '
            'dx="-8" y="{at}%" dy="4" text-anchor="end">{label}</text>',
            at=round(100 * power / FLOOR, 2),
            label="1" if not power else f"10{_raised(-power)}",
        )
        for power in range(0, FLOOR + 1, 2)
    )
    below = joined(
        html(
            '<text class="tick" x="{at}%" y="100%" dy="18" text-anchor="middle">{label}</text>',
            at=x.at(tick),
            label=x.label(tick),
        )
        for tick in x.ticks
    )
    lines = joined(_line(name, curves[name], x) for name in NAMES)
    told = "; ".join(f"{NAMES[name]} {figure(_middle(curves[name]))}" for name in NAMES)
    return html(
        '<div class="chart"><svg role="img" aria-label="{alt}">{grid}{below}'
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="100%">{lines}'
        '</svg></svg><p class="across">steps back in time</p></div>',
        alt=f"{title}: shares of the largest gradient half a window back: {told}.",
        grid=grid,
        below=below,
        lines=lines,
    )


def _curves(told: Mapping[str, Any], when: str) -> dict[str, list[float]]:
    """Of each cell, gradients as shares of the largest."""
    found: dict[str, list[float]] = {}
    for name in NAMES:
        sizes = [float(one) for one in part(told, "cells", name, when)["gradients"]]
        largest = max(sizes) or 1.0
        found[name] = [one / largest for one in sizes]
    return found


def _line(name: str, shares: Sequence[float], x: Scale) -> Html:
    every = -(-len(shares) // MOST_POINTS)
    points: list[str] = []
    for place in range(0, len(shares), every):
        power = -math.log10(max(shares[place], 10.0**-FLOOR))
        points.append(f"{x.at(place):.2f},{100 * power / FLOOR:.2f}")
        if power >= FLOOR:
            break
    return html(
        '<polyline class="curve {style}" points="{points}" vector-effect="non-scaling-stroke"/>',
        style=STYLES[name],
        points=" ".join(points),
    )


def _key() -> Html:
    lines = joined(
        html('<li class="{style}">{name}</li>', style=STYLES[name], name=NAMES[name])
        for name in NAMES
    )
    return html('<ul class="key">{lines}</ul>', lines=lines)


def _table(told: Mapping[str, Any]) -> Html:
    rows = joined(
        html(
            '<tr><th scope="row">{name}</th><td class="fig">{before}</td>'
            '<td class="fig">{half}</td><td class="fig">{after}</td><td class="fig">{loss}</td>'
            '<td class="fig">{parameters}</td></tr>',
            name=NAMES[name],
            before=f"{_reach(told, name, 'before'):,}",
            half=f"{_reach(told, name, share='half'):,}",
            after=f"{_reach(told, name):,}",
            loss=figure(part(told, "cells", name)["loss"]),
            parameters=f"{part(told, 'cells', name)['parameters']:,}",
        )
        for name in NAMES
    )
    return html(
        '<div class="scroll" tabindex="0" role="group" aria-label="How far gradients reach">'
        '<table><caption class="unseen">How far gradients reach</caption><thead><tr>'
        '<th scope="col">cell</th>'
        '<th scope="col" class="fig">steps back to 1 %, before training</th>'
        '<th scope="col" class="fig">to 50 %, after</th>'
        '<th scope="col" class="fig">to 1 %, after</th>'
        '<th scope="col" class="fig">loss on validation</th>'
        '<th scope="col" class="fig">parameters</th></tr></thead>'
        "<tbody>{rows}</tbody></table></div>",
        rows=rows,
    )


def _reach(
    told: Mapping[str, Any], name: str, when: str = "after", share: str = "hundredth"
) -> int:
    return int(part(told, "cells", name, when, "reach")[share])


def _steps(count: int, all_steps: int) -> str:
    of_all = "all " if count == all_steps > 1 else ""
    return f"{of_all}{count:,} step{'' if count == 1 else 's'}"


def _middle(shares: Sequence[float]) -> float:
    return shares[len(shares) // 2]


def _raised(power: int) -> str:
    """A power as small raised digits.

    >>> _raised(-4)
    '⁻⁴'
    """
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
