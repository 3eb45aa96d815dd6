"""Episodes as SVG: how many earned how much, and what a policy expected from step to step."""

from __future__ import annotations

from collections.abc import Sequence

from silmu.steps.evaluate.charts import Scale, curve, frame
from silmu.steps.evaluate.markup import Html, html, joined


def histogram(
    edges: Sequence[float], counts: Sequence[int], most: int, title: str, *, is_own: bool
) -> Html:
    """How many episodes earned how much.

    Args:
        edges: of the bins, one more than there are counts.
        counts: of episodes.
        most: the largest count of all histograms that are seen together.
        title: who acted.
        is_own: whether it is the policy.
    """
    x = Scale.over(edges, count=4, tight=True)
    y = Scale.over([0, most], count=3)
    bars = joined(
        html(
            '<rect class="full" x="{x}%" width="{width}%" y="{y}%" height="{height}%"/>',
            x=x.at(low),
            width=round(max(0.4, x.at(high) - x.at(low) - 0.3), 2),
            y=round(100 - y.at(count), 2),
            height=y.at(count),
        )
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
        if count
    )
    tone = html('<g class="model">{bars}</g>', bars=bars)
    if not is_own:
        tone = html('<g class="warm">{bars}</g>', bars=bars)
    return html(
        "<figure><figcaption>{title}</figcaption>{chart}</figure>",
        title=title,
        chart=frame(
            x,
            y,
            tone,
            alt=f"How many of {sum(counts):,} episodes earned how much: {title}.",
            kind="low",
            across="return",
        ),
    )


def values(points: Sequence[Sequence[float]], length: int) -> Html:
    """What a policy expected to earn, at each step of an episode.

    Args:
        points: (step, value).
        length: of the episode, in steps.
    """
    told = [(step, value) for step, value in points]
    return curve(
        told,
        title="What it expected to earn from there on",
        across="step",
        x=Scale.over([0, length], count=4, tight=True),
        y=Scale.over([value for _, value in told], count=4),
    )
