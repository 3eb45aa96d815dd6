"""What each layer of a network has learnt, as a part of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from silmu.steps.evaluate import charts
from silmu.steps.evaluate.charts import Row, Scale
from silmu.steps.evaluate.markup import Html, html, is_picture, joined
from silmu.steps.evaluate.words import (
    LABEL_OF_SEVERAL,
    figure,
    listed,
    metric_name,
    part,
    shortened,
)

LEAST, MOST = 3, 6
"""Rows of a curve from which on it is drawn, and examples that are told of a channel."""


def section(details: Mapping[str, Any] | None) -> Html | None:
    """The part of a report that `layers.details` is told in; None where there is nothing."""
    if not details:
        return None
    size = " × ".join(str(one) for one in details["size"])
    lead = html(
        '<p class="lead">On {n} pictures of the validation split, which the network was not '
        "trained on, as it reads them: {size} pixels.{some}</p>",
        n=f"{details['pictures']:,}",
        size=size,
        some=f" Of {details['all_layers']} layers {len(details['layers'])} are shown, evenly from "
        "the first to the last."
        if details["all_layers"] > len(details["layers"])
        else "",
    )
    parts = [
        _probe(part(details, "probe")),
        filters(part(details, "filters")),
        _maps(listed(details, "maps")),
        _exciting(listed(details, "exciting"), max(details["size"])),
    ]
    return joined([lead, *(one for one in parts if one)])


def layer(name: str) -> str:
    """The name of a layer as it is spoken of.

    >>> layer("layers.3.conv"), layer("layers.12"), layer("picture")
    ('layer 3, conv', 'layer 12', 'the picture itself')
    """
    if name == "picture":
        return "the picture itself"
    if name == "network":
        return "the network\u2019s own answers"
    first, _, rest = name.removeprefix("layers.").partition(".")
    number = f"layer {first}" if first.isdecimal() else first
    return f"{number}, {rest.replace('.', ' ')}" if rest else number


def filters(told: Mapping[str, Any]) -> Html:
    """The first filters."""
    if not told:
        return html("")
    shown = "" if told["shown"] == told["count"] else f" The first {told['shown']} are shown."
    height, width = told["size"]
    return html(
        "<h3>First filters</h3><p>What the first layer looks for: {count} patterns of "
        "{height} × {width} pixels, each from its most negative weight, dark, to its most "
        "positive, light; grey is zero.{shown}</p>{image}",
        count=f"{told['count']:,}",
        height=height,
        width=width,
        shown=shown,
        image=raster(told["image"], "wide", f"{told['count']} filters of the first layer"),
    )


def raster(url: str, kind: str, alt: str) -> Html:
    """A small picture whose every pixel is seen; whatever is no `data:` URL is not asked for.

    Args:
        url: as `rasters.url` gives it.
        kind: how large it is: `wide`, `tall`, `map`, or nothing for a line of a list.
        alt: what is told of it to who does not see it.
    """
    if not is_picture(url):
        return html("")
    line = '<img class="raster {kind}" src="{url}" alt="{alt}">'
    return html(line, kind=kind, url=url, alt=alt)


def walk(picture: str, title: Html, layers: Sequence[Mapping[str, Any]]) -> Html:
    """A picture, and what each layer makes of it.

    Args:
        picture: its URL.
        title: what it is.
        layers: as `maps.maps_of` gives them.
    """
    lines = joined(
        html(
            "<li><span>{name}</span>{image}</li>",
            name=layer(one["name"]),
            image=raster(one["image"], "", _alt(one)),
        )
        for one in layers
    )
    return html(
        '<article class="walk"><figure>{picture}'
        "<figcaption>{title}</figcaption></figure><ol>{lines}</ol></article>",
        picture=raster(picture, "tall", "the picture"),
        title=title,
        lines=lines,
    )


def meaning(layers: Sequence[Mapping[str, Any]]) -> str:
    """What the maps of layers mean, in sentences."""
    kinds = {one["kind"] for one in layers}
    told: list[str] = []
    if "channels" in kinds:
        told.append(
            "Each small map is a channel, light where it answers: those that answer this picture "
            "most."
        )
    if "components" in kinds:
        told.append(
            "Left, the first three principal components of the patches as red, green and blue, as "
            "in DINOv2 (Oquab et al., 2023): patches of one colour mean the same to the network. "
            "Right, how long the vector of each patch is."
        )
    return " ".join(told)


def _probe(told: Mapping[str, Any]) -> Html:
    if not told:
        return html("")
    metric = told["metric"]
    rows = [
        Row(
            layer(one["name"]),
            one["value"],
            one["low"],
            one["high"],
            tone="warm" if one["name"] == "network" else "model",
        )
        for one in told["layers"]
    ]
    layers = [one for one in told["layers"] if one["name"] != "network"]
    curve = html("")
    if len(layers) >= LEAST:
        curve = charts.curve(
            [(float(i), one["value"]) for i, one in enumerate(layers)],
            title=f"{metric_name(metric)}, from the picture to the last layer".capitalize(),
            across="layers passed",
            x=Scale.over([0, len(layers) - 1], count=4, tight=True),
            y=Scale.over([x for one in layers for x in (one["low"], one["high"])], count=4),
            dots=True,
            band=[(one["low"], one["high"]) for one in layers],
        )
    return html(
        "<h3>How far a straight line gets</h3><p>Ridge regression on what each layer holds, each "
        "picture told by a line that was fitted without it ({folds} folds, {n} pictures): what a "
        "layer has made easy to tell (Alain and Bengio, 2016). The last layer shown: {verdict}"
        "</p>{curve}{forest}",
        folds=told["folds"],
        n=f"{told['rows']:,}",
        verdict=told["comparison"]["sentence"] + ".",
        curve=curve,
        forest=charts.forest(
            rows,
            caption="How far a straight line gets from each layer",
            head="read from",
            unit=metric_name(metric) + (", lower is better" if told["lower_is_better"] else ""),
        ),
    )


def _maps(told: Sequence[Mapping[str, Any]]) -> Html:
    examples = [one for one in told if one["layers"]]
    if not examples:
        return html("")
    return html(
        "<h3>From edges to the whole</h3><p>What the layers make of {n} pictures. {meaning}</p>"
        "{walks}",
        n=len(examples),
        meaning=meaning(examples[0]["layers"]),
        walks=joined(
            walk(
                one["image"],
                html(
                    "<bdi>{label}</bdi>, row {row}",
                    label=shortened(one["label"]),
                    row=f"{one['row']:,}",
                ),
                one["layers"],
            )
            for one in examples
        ),
    )


def _exciting(told: Sequence[Mapping[str, Any]], longer: int) -> Html:
    layers = [one for one in told if one["channels"]]
    if not layers:
        return html("")
    blocks = [_layer(one, longer) for one in layers]
    seen = {0, len(blocks) // 2, len(blocks) - 1}
    rest = [block for i, block in enumerate(blocks) if i not in seen]
    more = html(
        "<details><summary>{n} layers more</summary>{rest}</details>",
        n=len(rest),
        rest=joined(rest),
    )
    return html(
        "<h3>What excites a channel most</h3><p>Of each layer the channels that tell labels apart "
        "best: those of whose strongest answers the largest share of the variance lies between "
        "labels (that share is told; of channels that go together one is shown). Beside each the "
        "pictures that it answers most, cut to the part that it saw; framed, where it sees the "
        "whole, or how much it sees is not known.</p>{shown}{more}",
        shown=joined(block for i, block in enumerate(blocks) if i in seen),
        more=more if rest else html(""),
    )


def _layer(told: Mapping[str, Any], longer: int) -> Html:
    if told["sees"] is None:
        sees = "how much it sees is not known"
    elif told["sees"] >= longer:
        sees = "sees the whole"
    else:
        sees = f"sees {told['sees']} pixels across"
    lines = joined(
        html(
            "<li><span>channel {channel}<small>{share}</small></span>"
            "{image}<small><bdi>{labels}</bdi></small></li>",
            channel=one["channel"],
            share=figure(one["separation"]),
            image=raster(one["image"], "", f"rows {', '.join(map(str, one['rows']))}"),
            labels=", ".join(shortened(label, LABEL_OF_SEVERAL) for label in one["labels"][:MOST]),
        )
        for one in told["channels"]
    )
    return html(
        '<article class="walk"><figure><figcaption><b>{name}</b><br>{sees}</figcaption></figure>'
        "<ol>{lines}</ol></article>",
        name=layer(told["name"]),
        sees=sees,
        lines=lines,
    )


def _alt(one: Mapping[str, Any]) -> str:
    if one["kind"] == "components":
        return "principal components of the patches, and their lengths"
    return f"channels {', '.join(str(channel) for channel in one['channels'])}"
