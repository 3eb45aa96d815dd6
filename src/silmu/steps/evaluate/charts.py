"""Pictures of a report as SVG and HTML strings, whose numbers and words stay text.

Places are percentages, so a chart is as wide as the screen lets it be, and its letters keep their
size on a phone. Colours are the page's, by class, so they follow it into the dark and onto paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, Protocol, final

from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.words import LABEL, figure, shortened, span

MOST_CELLS = 12
"""So many labels make a confusion matrix; of more, the pairs that are confused are told."""

WIDE = 5
"""A matrix of more labels than so many is as wide as the page, and the pairs stand below it."""

MOST_PAIRS, FEW_PAIRS = 15, 6
MOST_POINTS = 1000


@final
@dataclass(frozen=True)
class Scale:
    """From numbers to places, and the ticks between."""

    low: float
    high: float
    ticks: tuple[float, ...]
    decimals: int

    @classmethod
    def over(cls, values: Iterable[float | None], *, count: int = 5, tight: bool = False) -> Scale:
        """One that holds all values, with round ticks, and round ends unless it is `tight`."""
        there = [value for value in values if value is not None and math.isfinite(value)] or [0, 1]
        low, high = min(there), max(there)
        if high - low < 1e-9 * max(1.0, abs(low)):
            # Of one value, the way from 0 to it: a share has no place above 1.
            low, high = min(low, 0.0), max(high, 0.0)
            high = high if high - low > 1e-9 else low + 1
        rough = (high - low) / count
        unit = 10 ** math.floor(math.log10(rough))
        step = next(unit * k for k in (1, 2, 2.5, 5, 10) if unit * k >= rough * 0.999)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        if abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
            decimals += 1
        ticks = tuple(round(k * step, decimals) for k in range(first, last + 1))
        if tight:
            return cls(low, high, tuple(t for t in ticks if low <= t <= high), decimals)
        return cls(ticks[0], ticks[-1], ticks, decimals)

    def at(self, value: float) -> float:
        """The place of a value in percent."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 2)

    def label(self, tick: float) -> str:
        """A tick's number, with as many decimals as tell it from its neighbours."""
        return f"{tick:,.{self.decimals}f}".replace("-", "\u2212")


class Axis(Protocol):
    """What a chart asks of its axis."""

    @property
    def ticks(self) -> Sequence[float]:
        """What is marked on it."""
        ...

    def at(self, value: float) -> float:
        """The place of a value in percent."""
        ...

    def label(self, tick: float) -> str:
        """What a mark is called."""
        ...


# ── intervals ──────────────────────────────────────────────────────────────────────────────────


@final
@dataclass(frozen=True)
class Row:
    """A line of a forest plot."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    note: str = ""
    tone: str = ""
    """`model`, `warm`, or nothing for grey."""


def forest(
    rows: Sequence[Row],
    *,
    caption: str,
    head: str,
    unit: str,
    mark: float | None = None,
    scale: Scale | None = None,
    between: str = "95 % interval",
) -> Html:
    """Figures with their intervals, one above another on one scale.

    Args:
        rows: from the top.
        caption: what the table is of.
        head: what the rows are.
        unit: what the figures are.
        mark: where a line is drawn through all rows, such as 0.
        scale: one that several of them share.
        between: what an interval is.
    """
    scale = scale or scale_of(rows, mark)
    behind = joined(
        html('<line class="grid" x1="{x}%" x2="{x}%" y1="0" y2="100%"/>', x=scale.at(tick))
        for tick in scale.ticks
    )
    if mark is not None:
        line = '<line class="mark" x1="{x}%" x2="{x}%" y1="0" y2="100%"/>'
        behind = joined([behind, html(line, x=scale.at(mark))])
    lines = joined(
        html(
            '<tr><th scope="row"><bdi>{name}</bdi>{note}</th><td class="plot">'
            '<svg aria-hidden="true" class="{tone}">{behind}{whisker}</svg></td>'
            '<td class="fig">{value}{span}</td></tr>',
            name=shortened(row.name, 2 * LABEL),
            note=html(" <small>{note}</small>", note=row.note) if row.note else Html(""),
            tone=row.tone or "plain",
            behind=behind,
            whisker=_whisker(row, scale),
            value=figure(row.value),
            span=_span(row),
        )
        for row in rows
    )
    # Of many ticks every second one is told: they must not touch on a phone.
    told = scale.ticks[:: 1 if len(scale.ticks) < 6 else 2]
    axis = joined(_tick(scale, tick) for tick in told)
    return html(
        '<table class="forest"><caption class="unseen">{caption}</caption><thead><tr>'
        '<th scope="col">{head}</th>'
        '<td class="plot"></td><th scope="col" class="fig">{unit} <small>{between}</small></th>'
        '</tr></thead><tbody>{lines}<tr class="axis" aria-hidden="true"><td></td><td class="plot">'
        "<svg>{axis}</svg></td><td></td></tr></tbody></table>",
        caption=caption,
        head=head,
        unit=unit,
        between=between,
        lines=lines,
        axis=axis,
    )


def scale_of(rows: Iterable[Row], mark: float | None) -> Scale:
    """A scale for rows of a forest plot."""
    return Scale.over([*(x for row in rows for x in (row.value, row.low, row.high)), mark])


def _span(row: Row) -> Html:
    if row.low is None or row.high is None:
        return Html("")
    return html(" <small>{span}</small>", span=span({"low": row.low, "high": row.high}))


def _whisker(row: Row, scale: Scale) -> Html:
    if row.value is None:
        return Html("")
    low = row.value if row.low is None else row.low
    high = row.value if row.high is None else row.high
    return html(
        '<line class="whisker" x1="{low}%" x2="{high}%" y1="50%" y2="50%"/>'
        '<circle class="dot" cx="{at}%" cy="50%" r="4.5"/>',
        low=scale.at(low),
        high=scale.at(high),
        at=scale.at(row.value),
    )


def _tick(scale: Scale, tick: float) -> Html:
    return html(
        '<text class="tick" x="{x}%" y="14" text-anchor="middle">{label}</text>',
        x=scale.at(tick),
        label=scale.label(tick),
    )


def bar(metric: Mapping[str, Any] | None) -> Html:
    """A share as a bar with its interval."""
    if metric is None:
        return Html("")
    scale = Scale(0, 1, (), 0)
    row = Row("", metric["value"], metric["low"], metric["high"])
    return html(
        '<svg aria-hidden="true" class="bar"><rect class="track" width="100%" y="25%" height="50%"'
        ' rx="2"/><rect class="full" width="{at}%" y="25%" height="50%" rx="2"/>{whisker}</svg>',
        at=scale.at(row.value or 0),
        whisker=html(
            '<line class="whisker" x1="{low}%" x2="{high}%" y1="50%" y2="50%"/>',
            low=scale.at(metric["low"]),
            high=scale.at(metric["high"]),
        ),
    )


# ── confusions ─────────────────────────────────────────────────────────────────────────────────


def confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Html:
    """The confusion matrix and the confused pairs; of many labels the pairs alone."""
    pairs = _pairs(labels, counts)
    if len(labels) > MOST_CELLS:
        return pairs
    return html(
        '<div class="matrix-row{tall}">{matrix}{pairs}</div>',
        tall=" tall" if len(labels) > WIDE else "",
        matrix=_matrix([shortened(label, LABEL // 2) for label in labels], counts),
        pairs=pairs if len(labels) > 2 else html(""),
    )


def _matrix(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Html:
    steep = len(names) > 4 or max(map(len, names)) > 12
    head = joined(
        html('<th scope="col"><span><bdi>{name}</bdi></span></th>', name=name) for name in names
    )
    rows: list[Html] = []
    for i, (name, row) in enumerate(zip(names, counts, strict=True)):
        whole = sum(row) or 1
        cells = joined(
            html(
                '<td class="{kind}" style="--s:{share}">{count}</td>',
                kind="hit" if i == j else "miss",
                share=f"{count / whole:.3f}",
                count=f"{count:,}",
            )
            for j, count in enumerate(row)
        )
        line = '<tr><th scope="row"><bdi>{name}</bdi></th>{cells}</tr>'
        rows.append(html(line, name=name, cells=cells))
    return html(
        '<div class="scroll" tabindex="0" role="group" aria-label="Confusion matrix">'
        '<table class="matrix{steep}"><caption class="unseen">Confusion matrix: rows are the true '
        "label, columns what the model said</caption><thead><tr>"
        "<td>true \u2193<br>said \u2192</td>{head}</tr></thead>"
        "<tbody>{rows}</tbody></table></div>",
        steep=" steep" if steep else "",
        head=head,
        rows=joined(rows),
    )


def _pairs(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Html:
    found = sorted(
        (-count, i, j)
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        if i != j and count
    )[: MOST_PAIRS if len(labels) > MOST_CELLS else FEW_PAIRS]
    most = max((-count for count, _, _ in found), default=1)
    rows = joined(
        html(
            '<tr><td><bdi>{true}</bdi></td><td><bdi>{said}</bdi></td><td class="fig">{count}</td>'
            '<td class="plot"><svg aria-hidden="true" class="bar warm"><rect class="full"'
            ' width="{share}%" y="25%" height="50%" rx="2"/></svg></td></tr>',
            true=shortened(labels[i]),
            said=shortened(labels[j]),
            count=f"{-count:,}",
            share=f"{100 * -count / most:.1f}",
        )
        for count, i, j in found
    )
    return html(
        '<table class="pairs"><caption>The pairs confused most often</caption><thead><tr>'
        '<th scope="col">true</th><th scope="col">said</th>'
        '<th scope="col" class="fig">rows</th><td class="plot"></td></tr></thead>'
        "<tbody>{rows}</tbody></table>",
        rows=rows,
    )


# ── curves ─────────────────────────────────────────────────────────────────────────────────────


def frame(x: Axis, y: Scale, inside: Html, *, alt: str, kind: str, across: str) -> Html:
    """Axes and grid around what is drawn inside."""
    grid = joined(
        html(
            '<line class="grid" x1="0" x2="100%" y1="{at}%" y2="{at}%"/><text class="tick" x="0" '
            'dx="-8" y="{at}%" dy="4" text-anchor="end">{label}</text>',
            at=round(100 - y.at(tick), 2),
            label=y.label(tick),
        )
        for tick in y.ticks
    )
    below = joined(
        html(
            '<text class="tick" x="{at}%" y="100%" dy="18" text-anchor="middle">{label}</text>',
            at=x.at(tick),
            label=x.label(tick),
        )
        for tick in x.ticks[:: 1 if len(x.ticks) < 6 else 2]
    )
    return html(
        '<div class="chart {kind}"><svg role="img" aria-label="{alt}">{grid}{below}{inside}</svg>'
        '<p class="across">{across}</p></div>',
        kind=kind,
        alt=alt,
        grid=grid,
        below=below,
        inside=inside,
        across=across,
    )


def path(points: Iterable[tuple[float, float]], kind: LiteralString) -> Html:
    """A line through places, in percent from the left and from the top."""
    # Lines know no percentages: they are drawn on a square of 100 that is stretched, and their
    # width is not.
    places = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return html(
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="100%">'
        '<polyline class="{kind}" points="{places}" vector-effect="non-scaling-stroke"/></svg>',
        kind=kind,
        places=places,
    )


def reliability(bins: Sequence[Mapping[str, Any]], numbers: Html) -> Html:
    """How often the model was right, against how sure it was; beside it, of how many answers.

    Args:
        bins: as in metrics.json.
        numbers: what goes below the second chart.
    """
    unit = Scale(0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1), 1)
    drawn = [path([(0, 100), (100, 0)], "ideal")]
    for one in bins:
        metric = one["accuracy"]
        line = (
            '<line class="whisker" x1="{x}%" x2="{x}%" y1="{low}%" y2="{high}%"/>'
            '<circle class="dot" cx="{x}%" cy="{at}%" r="4.5"/>'
        )
        drawn.append(
            html(
                line,
                x=unit.at(one["confidence"]),
                low=round(100 - unit.at(metric["low"]), 2),
                high=round(100 - unit.at(metric["high"]), 2),
                at=round(100 - unit.at(metric["value"]), 2),
            )
        )
    points = [(unit.at(b["confidence"]), 100 - unit.at(b["accuracy"]["value"])) for b in bins]
    drawn.insert(1, path(points, "curve"))
    curve = frame(
        unit,
        unit,
        joined(drawn),
        alt="How often right, against the score. On the dashed line both are equal.",
        kind="square",
        across="score",
    )
    most = Scale.over([0, *(one["n"] for one in bins)], count=3)
    bars = joined(
        html(
            '<rect class="full" x="{x}%" width="{width}%" y="{y}%" height="{height}%"/>',
            x=round(unit.at(one["low"]) + 0.4, 2),
            width=round(unit.at(one["high"]) - unit.at(one["low"]) - 0.8, 2),
            y=round(100 - most.at(one["n"]), 2),
            height=most.at(one["n"]),
        )
        for one in bins
    )
    counts = frame(
        unit, most, bars, alt="How many answers had which score.", kind="low", across="score"
    )
    return html(
        "<figure><figcaption>Right, against the score</figcaption>{curve}</figure>"
        "<figure><figcaption>Answers with that score</figcaption>{counts}{numbers}</figure>",
        curve=curve,
        counts=counts,
        numbers=numbers,
    )


def learning_curve(
    points: Sequence[tuple[float, float]], *, title: str, steps: float, dots: bool
) -> Html:
    """A number against the steps of training.

    Args:
        points: steps and numbers.
        title: what is drawn.
        steps: the last step of the training.
        dots: mark every point, as there are few.
    """
    every = -(-len(points) // MOST_POINTS)
    kept = [*points[:-1:every], points[-1]]
    return curve(
        kept,
        title=title,
        across="step",
        x=Scale.over([0, steps], count=4, tight=True),
        y=Scale.over([value for _, value in kept], count=4),
        dots=dots,
    )


def curve(
    points: Sequence[tuple[float, float]],
    *,
    title: str,
    across: str,
    x: Scale,
    y: Scale,
    dots: bool = False,
    band: Sequence[tuple[float, float]] = (),
) -> Html:
    """A number against another.

    Args:
        points: both, of each point.
        title: what is drawn.
        across: what the first number is.
        x, y: their scales.
        dots: mark every point.
        band: how low and how high the second number may be at each point.
    """
    places = [(x.at(one), round(100 - y.at(value), 2)) for one, value in points]
    marks = [
        html('<circle class="dot" cx="{x}%" cy="{y}%" r="3.5"/>', x=place[0], y=place[1])
        for place in places
    ]
    behind: list[Html] = []
    if band:
        below = [(at, 100 - y.at(low)) for (at, _), (low, _) in zip(places, band, strict=True)]
        above = [(at, 100 - y.at(high)) for (at, _), (_, high) in zip(places, band, strict=True)]
        behind.append(path([*below, *reversed(above)], "band"))
    return html(
        "<figure><figcaption>{title}</figcaption>{chart}</figure>",
        title=title,
        chart=frame(
            x,
            y,
            joined([*behind, path(places, "curve"), *(marks if dots else [])]),
            alt=f"{title}: from {figure(points[0][1])} to {figure(points[-1][1])}.",
            kind="wide",
            across=across,
        ),
    )


def scatter(targets: Sequence[float], predictions: Sequence[float], title: str = "") -> Html:
    """Predicted numbers against the true ones."""
    title = title or "Said, against the true number"
    scale = Scale.over([*targets, *predictions])
    dots = joined(
        html(
            '<circle class="speck" cx="{x}%" cy="{y}%" r="3"/>',
            x=scale.at(true),
            y=round(100 - scale.at(said), 2),
        )
        for true, said in zip(targets, predictions, strict=True)
    )
    ideal = path([(0, 100), (100, 0)], "ideal")
    return html(
        "<figure><figcaption>{title}</figcaption>{chart}</figure>",
        title=title,
        chart=frame(
            scale,
            scale,
            joined([ideal, dots]),
            alt=f"{title}. On the dashed line both are equal.",
            kind="square",
            across="true number",
        ),
    )
