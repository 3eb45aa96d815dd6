"""Series as SVG: what was, what came, and what was forecast with its bands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, final

from silmu.steps.evaluate.charts import Scale, frame, path
from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.words import figure, listed, part, shortened

TICKS = 4
BANDS: tuple[tuple[str, str, LiteralString], ...] = (
    ("0.1", "0.9", "band"),
    ("0.3", "0.7", "band inner"),
)

Places = list[tuple[float, float]]


@final
@dataclass(frozen=True)
class Named:
    """Places of equal distance that have names, such as times."""

    names: Sequence[str]

    @property
    def ticks(self) -> tuple[float, ...]:
        """Some places, the first among them."""
        step = max(1, -(-len(self.names) // TICKS))
        return tuple(float(i) for i in range(0, len(self.names), step))

    def at(self, value: float) -> float:
        """The place in percent."""
        return round(100 * value / max(len(self.names) - 1, 1), 2)

    def label(self, tick: float) -> str:
        """The name of a place; of times within days, without what all have in common.

        >>> Named(["2015-05-27T10:00:00+09:00"]).label(0)
        '05-27 10:00'
        """
        name = self.names[int(tick)]
        day, mark, clock = name.partition("T")
        return f"{day[-5:]} {clock[:5]}" if mark else name


def window(one: Mapping[str, Any], baseline: str) -> Html:
    """One origin: the past, the forecast with the bands around it, the baseline, and the truth.

    Args:
        one: as `details.shown` has it.
        baseline: what the baseline is called.
    """
    past, truth = listed(one, "past"), listed(one, "truth")
    mean, beside = listed(one, "mean"), listed(one, "baseline")
    quantiles = part(one, "quantiles")
    origin = len(past)
    x = Named(listed(one, "times"))
    bands = [name for low, high, _ in BANDS for name in (low, high)]
    everything = [*past, *truth, *mean, *beside, *(v for b in bands for v in quantiles.get(b, ()))]
    y = Scale.over(everything, count=4)

    def places(values: Sequence[float | None], first: int) -> Iterator[Places]:
        """Runs of values that are there."""
        run: Places = []
        for i, value in enumerate(values):
            if value is not None:
                run.append((x.at(first + i), 100 - y.at(value)))
            elif run:
                yield run
                run = []
        if run:
            yield run

    def line(values: Sequence[float | None], first: int, kind: LiteralString) -> Html:
        return joined(path(run, kind) for run in places(values, first))

    drawn: list[Html] = []
    for low, high, kind in BANDS:
        if low in quantiles and high in quantiles:
            below, above = (next(places(quantiles[name], origin)) for name in (low, high))
            drawn.append(path([*below, *reversed(above)], kind))
    middle = quantiles.get("0.5", mean)
    came = [past[-1] if past else None, *truth]
    cut = html(
        '<line class="mark" x1="{x}%" x2="{x}%" y1="0" y2="100%"/>', x=x.at(max(origin - 1, 0))
    )
    drawn += [
        cut,
        line(beside, origin, "ideal"),
        line(past, 0, "past"),
        line(came, max(origin - 1, 0), "truth"),
        line(middle, origin, "curve"),
        _alone(middle, origin, x, y),
    ]
    start = shortened(x.names[min(origin, len(x.names) - 1)].replace("T", " "))
    title = f"{shortened(one['series'])} from {start}" if one["series"] else f"From {start}"
    told = f", {baseline} dashed" if beside else ""
    return html(
        "<figure><figcaption>{title}</figcaption>{chart}</figure>",
        title=title,
        chart=frame(
            x,
            y,
            joined(drawn),
            alt=f"{title}: forecast, bands and what came{told}.",
            kind="low series",
            across=f"mean absolute error {figure(one['error'])}",
        ),
    )


def _alone(values: Sequence[float], origin: int, x: Named, y: Scale) -> Html:
    """One forecast step is no line, but a dot."""
    if len(values) > 1:
        return html("")
    dot = '<circle class="dot" cx="{x}%" cy="{y}%" r="3.5"/>'
    return html(dot, x=x.at(origin), y=round(100 - y.at(values[0]), 2))


def calibration(found: Sequence[Mapping[str, Any]]) -> Html:
    """The share of true numbers below each decile, against what it is to be."""
    unit = Scale(0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1), 1)
    places = [(unit.at(one["quantile"]), 100 - unit.at(one["share"]["value"])) for one in found]
    marks = joined(
        html(
            '<line class="whisker" x1="{x}%" x2="{x}%" y1="{low}%" y2="{high}%"/>'
            '<circle class="dot" cx="{x}%" cy="{at}%" r="4.5"/>',
            x=place[0],
            at=round(place[1], 2),
            low=round(100 - unit.at(one["share"]["low"]), 2),
            high=round(100 - unit.at(one["share"]["high"]), 2),
        )
        for place, one in zip(places, found, strict=True)
    )
    return html(
        "<figure><figcaption>True numbers below each decile</figcaption>{chart}</figure>",
        chart=frame(
            unit,
            unit,
            joined([path([(0, 100), (100, 0)], "ideal"), path(places, "curve"), marks]),
            alt="The share of true numbers below each decile. On the dashed line both are equal.",
            kind="square",
            across="decile",
        ),
    )


def horizon(found: Sequence[Mapping[str, Any]], metric: str, baseline: str) -> Html:
    """The error of each step ahead, with its interval, and that of a baseline."""
    scores = [one["score"] for one in found]
    beside = [one["baseline"]["value"] for one in found if one["baseline"]]
    steps = [one["step"] for one in found]
    x = Named([str(step) for step in steps])
    values = [v for one in scores for v in (one["low"], one["high"])]
    y = Scale.over([0, *values, *beside], count=4)
    line, below, above = (
        [(x.at(i), 100 - y.at(one[name])) for i, one in enumerate(scores)]
        for name in ("value", "low", "high")
    )
    drawn = [path([*below, *reversed(above)], "band"), path(line, "curve")]
    if beside:
        drawn.append(path([(x.at(i), 100 - y.at(v)) for i, v in enumerate(beside)], "ideal"))
    told = f"; dashed, {baseline}" if beside else ""
    return html(
        "<figure><figcaption>{metric}, by steps ahead{told}</figcaption>{chart}</figure>",
        metric=metric,
        told=told,
        chart=frame(
            x,
            y,
            joined(drawn),
            alt=f"{metric} by steps ahead: from {figure(scores[0]['value'])} to "
            f"{figure(scores[-1]['value'])}{told}.",
            kind="wide",
            across="steps ahead",
        ),
    )
