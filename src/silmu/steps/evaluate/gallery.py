"""Pictures on the report page: what was confused, what was surest, what training saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from silmu.steps.evaluate.markup import Html, html, is_picture, joined
from silmu.steps.evaluate.words import figure, labels_told, listed, part, shortened

SMALL = 64
"""Pictures with no longer side than this are shown larger, by whole pixels."""

LARGE = 96
"""The longer side of what an answer hangs on, in pixels."""

SHEET = 480
"""Up to so many pixels a sheet of small pictures is made wider."""

NAME = 60
"""So many characters of a file's name are shown."""


def picture(found: Mapping[str, Any] | None, alt: str, kind: str = "") -> Html:
    """A small picture; a word for it where its file was gone.

    Args:
        found: `src`, `width` and `height`.
        alt: what is told of it to who does not see it.
        kind: `pixels`, where each is to be seen, or `photo`; by its size, if not given.
    """
    # Whatever the report holds, the page asks nobody for anything.
    if not found or not is_picture(str(found["src"])):
        return html('<span class="gone">no picture</span>')
    size = max(found["width"], found["height"])
    return html(
        '<img class="{kind}" src="{src}" width="{width}" height="{height}" alt="{alt}">',
        kind=kind or ("pixels" if size <= SMALL else "photo"),
        src=found["src"],
        width=found["width"],
        height=found["height"],
        alt=shortened(alt, NAME),
    )


def shot(details: Mapping[str, Any], one: Mapping[str, Any], overlay: str | None = None) -> Html:
    """The picture of a row, with what its answer hangs on beside it where that is known."""
    found = part(details, "pictures", str(one["row"]))
    drawn = html("")
    if overlay and found:
        square = {"src": overlay, "width": LARGE, "height": LARGE}
        drawn = picture(square, "what the answer hangs on")
    return html(
        '<div class="shot">{picture}{drawn}</div><p class="file"><bdi>{name}</bdi></p>',
        picture=picture(found, one["picture"]),
        drawn=drawn,
        name=_file(str(one["picture"])),
    )


def confused(details: Mapping[str, Any]) -> Html | None:
    """The pairs that are confused most often, with the pictures where the model was surest."""
    found = listed(details, "confused")
    if not found:
        return None
    pairs = joined(
        html(
            "<figure><figcaption><bdi>{true}</bdi> taken for <bdi>{said}</bdi> "
            '<small>{n}\u00d7</small></figcaption><div class="strip">{examples}</div></figure>',
            true=shortened(one["true"]),
            said=shortened(one["said"]),
            n=f"{one['n']:,}",
            examples=joined(
                picture(part(details, "pictures", str(example["row"])), example["picture"])
                for example in one["examples"]
            ),
        )
        for one in found
    )
    return html(
        '<h3>What is confused, in pictures</h3><div class="figures-row">{pairs}</div>', pairs=pairs
    )


def best(details: Mapping[str, Any]) -> Html | None:
    """The right answers that the model was surest of."""
    found = listed(details, "best")
    if not found:
        return None
    cards = joined(
        html(
            "<figure>{shot}<figcaption><bdi>{said}</bdi>{score}</figcaption></figure>",
            shot=shot(details, one),
            said=labels_told(one["prediction"]),
            score=html("")
            if one.get("score") is None
            else html(" <small>{x}</small>", x=figure(one["score"])),
        )
        for one in found
    )
    return html('<div class="strip">{cards}</div>', cards=cards)


def augmented(details: Mapping[str, Any]) -> Html | None:
    """Pictures of the training as the network saw them."""
    found = part(details, "augmented")
    if not found:
        return None
    # Of small pictures every pixel is to be seen.
    times = max(1, SHEET // found["width"])
    size = {name: times * found[name] for name in ("width", "height")}
    return html(
        '<p class="lead">Pictures of the training split: the first of each row as it is, the '
        "others changed at random, as training is shown them. Where it can no longer be seen what "
        'they are, they are changed too much.</p><div class="sheet">{sheet}</div>',
        sheet=picture(
            {**found, **size},
            "pictures of the training, as they are and changed at random",
            "pixels" if times > 1 else "photo",
        ),
    )


def _file(name: str) -> str:
    """The end of a path, which tells more than its beginning."""
    return name if len(name) <= NAME else f"\u2026{name[-NAME:]}"
