"""Rows of the report page: the worst mistakes, typical answers, and what decided."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from silmu.steps.evaluate import gallery
from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.words import (
    LABEL,
    TEXT,
    cut,
    figure,
    labels_told,
    listed,
    number,
    shortened,
)

OPEN = 6
"""So many mistakes are seen at once; the others unfold."""

MOST_WORDS = 5

MOST_CELLS = 10
"""Cells of a row that are seen; those that matter most come first."""

LEGEND = Html(
    " Words that are shaded "
    '<span class="for" style="--w:.8">blue</span> speak for the answer: its score falls without '
    'them. Words shaded <span class="against" style="--w:.8">orange</span> speak against it.'
)

LEGEND_OF_CELLS = Html(
    ' Cells shaded <span class="for" style="--w:.8">blue</span> raise the answer, by so much as '
    "is told, above what it were with the median or the most frequent value; cells shaded "
    '<span class="against" style="--w:.8">orange</span> lower it.'
)

LEGEND_OF_PICTURES = Html(
    " Beside a picture stands what its answer hangs on: parts shaded "
    '<span class="for" style="--w:.8">blue</span> speak for it, for it is less sure without them; '
    'parts shaded <span class="against" style="--w:.8">orange</span> speak against it.'
)

_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")


def worst(details: Mapping[str, Any]) -> Html | None:
    """The answers furthest from the truth."""
    explained = {
        one["row"]: one for one in listed(details, "attributions") if one["kind"] == "mistake"
    }
    found = listed(details, "worst")
    rest = [one for row, one in explained.items() if row not in {other["row"] for other in found}]
    cards = [_card(one, explained.get(one["row"]), details) for one in found]
    cards += [_card(one, one, details) for one in rest]
    if not cards:
        return None
    more = html("")
    if len(cards) > OPEN:
        more = html(
            '<details><summary>{n} more</summary><div class="cards">{cards}</div></details>',
            n=f"{len(cards) - OPEN:,}",
            cards=joined(cards[OPEN:]),
        )
    return html(
        '<p class="lead">The answers furthest from the truth, the worst first. Rows are numbered '
        'as in the source.{legend}</p><div class="cards">{cards}</div>{more}',
        legend=_legend(list(explained.values())),
        cards=joined(cards[:OPEN]),
        more=more,
    )


def typical(details: Mapping[str, Any]) -> Html | None:
    """A few answers like most, and what decided."""
    found = [one for one in listed(details, "attributions") if one["kind"] == "typical"]
    if not found:
        return None
    return html(
        '<p class="lead">Answers as sure as most.{legend}</p><div class="cards">{cards}</div>',
        legend=_legend(found),
        cards=joined(_card(one, one, details) for one in found),
    )


def decided(one: Mapping[str, Any]) -> Html:
    """A text, or a row of a table, and what of it decided an answer; no truth is told."""
    return _cells(one, one) if "cells" in one else _text(one, one)


def _legend(explained: Sequence[Mapping[str, Any]]) -> Html:
    if not explained:
        return html("")
    if "picture" in explained[0]:
        return LEGEND_OF_PICTURES
    return LEGEND_OF_CELLS if "cells" in explained[0] else LEGEND


def _card(
    one: Mapping[str, Any], explained: Mapping[str, Any] | None, details: Mapping[str, Any]
) -> Html:
    if "picture" in one:
        told = gallery.shot(details, one, explained["overlay"] if explained else None)
    else:
        told = _cells(one, explained) if "cells" in one else _text(one, explained)
    return html(
        "<article>{told}<dl>{facts}</dl></article>", told=told, facts=_facts(one, explained)
    )


def _text(one: Mapping[str, Any], explained: Mapping[str, Any] | None) -> Html:
    text = str(one["text"] if "text" in one else "".join(piece for piece, _ in one["pieces"]))
    shown, more = cut(text)
    return html(
        '<blockquote dir="auto"{lang}>{text}{more}</blockquote>{words}',
        lang=_language(text),
        text=_shaded(shown, explained["pieces"]) if explained else html("{text}", text=shown),
        more=html(' <span class="cut">{more}</span>', more=more) if more else html(""),
        words=_weightiest(explained) if explained else html(""),
    )


def _cells(one: Mapping[str, Any], explained: Mapping[str, Any] | None) -> Html:
    """The cells of a row, those that weigh most first, and how much each does."""
    given = (explained or one)["cells"]
    weights = [cell[2] if len(cell) > 2 else None for cell in given]
    most = max((abs(weight) for weight in weights if weight), default=0) or 1
    lines = joined(
        html(
            '<div><dt><bdi>{column}</bdi></dt><dd><span class="{tone}" style="--w:{w}">'
            '<bdi>{value}</bdi></span></dd><dd class="fig">{weight}</dd></div>',
            column=shortened(cell[0]),
            tone="for" if (weight or 0) >= 0 else "against",
            w=f"{abs(weight or 0) / most:.2f}",
            value=_cell_told(cell[1]),
            weight="" if not weight else f"{'+' if weight > 0 else ''}{figure(weight)}",
        )
        for cell, weight in zip(given[:MOST_CELLS], weights, strict=False)
    )
    return html('<dl class="cells">{lines}</dl>', lines=lines)


def _cell_told(value: Any) -> str:
    if value is None:
        return "(missing)"
    return number(value) if isinstance(value, int | float) else shortened(value, 2 * LABEL)


def _facts(one: Mapping[str, Any], explained: Mapping[str, Any] | None) -> Html:
    facts = [
        html(
            '<div><dt>said</dt><dd class="{tone}"><bdi>{label}</bdi>{score}</dd></div>',
            tone=_tone(one),
            label=labels_told(one["prediction"]),
            score=_score(one.get("score")) if isinstance(one["label"], str) else "",
        ),
        html(
            "<div><dt>true</dt><dd><bdi>{label}</bdi>{score}</dd></div>",
            label=labels_told(one["label"]),
            score=_score(one.get("label_score")),
        ),
        html("<div><dt>row</dt><dd>{row}</dd></div>", row=f"{one['row']:,}"),
    ]
    if isinstance(one["label"], Mapping) and explained:
        of = html("<bdi>{of}</bdi>", of=shortened(explained["of"]))
        facts.insert(2, html("<div><dt>shown for</dt><dd>{of}</dd></div>", of=of))
    if isinstance(one["label"], list) and one.get("score") is not None:
        which = (
            f"score of {shortened(explained['of'])}" if explained else "score of the worst label"
        )
        facts.insert(
            2, html("<div><dt>{which}</dt><dd>{x}</dd></div>", which=which, x=figure(one["score"]))
        )
    return joined(facts)


def _score(value: float | None) -> Html:
    return html("") if value is None else html(" <small>{x}</small>", x=figure(value))


def _tone(one: Mapping[str, Any]) -> str:
    """Numbers are never right to the last digit."""
    if isinstance(one["label"], int | float | Mapping):
        return "said"
    return "right" if one["label"] == one["prediction"] else "wrong"


def _shaded(text: str, pieces: Sequence[Sequence[Any]]) -> Html:
    """A text, each piece shaded by its weight."""
    most = max((abs(weight) for _, weight in pieces), default=0) or 1
    parts: list[Html] = []
    at = 0
    for piece, weight in pieces:
        if not text.startswith(piece, at):
            break
        word = piece.rstrip()
        parts.append(
            html(
                '<span class="{tone}" style="--w:{w}">{word}</span>{blanks}',
                tone="for" if weight >= 0 else "against",
                w=f"{abs(weight) / most:.2f}",
                word=word,
                blanks=piece[len(word) :],
            )
        )
        at += len(piece)
    return joined([*parts, html("{rest}", rest=text[at:])])


def _weightiest(explained: Mapping[str, Any]) -> Html:
    """The words that weigh most, for who does not see the shades."""
    heavy = sorted(explained["pieces"], key=lambda piece: -abs(piece[1]))[:MOST_WORDS]
    words = joined(
        html(
            "<li><bdi>{word}</bdi> {sign}{weight}</li>",
            word=shortened(piece, 24),
            sign="+" if weight > 0 else "",
            weight=figure(weight),
        )
        for piece, weight in heavy
        if weight
    )
    if not words:
        return html("")
    of = explained.get("of")
    whose = html("for <bdi>{of}</bdi>", of=shortened(of, 24)) if of is not None else html("weight")
    return html(
        '<ul class="words"><li class="of">{whose}</li>{words}</ul>', whose=whose, words=words
    )


def _language(text: str) -> Html:
    """A text of the data, in the letters of its language."""
    return Html(' lang="ko"') if _HANGUL.search(text[:TEXT]) else Html("")
