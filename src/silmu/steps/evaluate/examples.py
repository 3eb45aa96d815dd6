"""Texts of the report page: the worst mistakes, typical answers, and which words decided."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.words import (
    TEXT,
    cut,
    figure,
    labels_told,
    listed,
    shortened,
)

OPEN = 6
"""So many mistakes are seen at once; the others unfold."""

MOST_WORDS = 5

LEGEND = Html(
    " Words that are shaded "
    '<span class="for" style="--w:.8">blue</span> speak for the answer: its score falls without '
    'them. Words shaded <span class="against" style="--w:.8">orange</span> speak against it.'
)

_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")


def worst(details: Mapping[str, Any]) -> Html | None:
    """The answers furthest from the truth."""
    explained = {
        one["row"]: one for one in listed(details, "attributions") if one["kind"] == "mistake"
    }
    found = listed(details, "worst")
    rest = [one for row, one in explained.items() if row not in {other["row"] for other in found}]
    cards = [_card(one, explained.get(one["row"])) for one in found]
    cards += [_card(one, one) for one in rest]
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
        legend=LEGEND if explained else html(""),
        cards=joined(cards[:OPEN]),
        more=more,
    )


def typical(details: Mapping[str, Any]) -> Html | None:
    """A few answers like most, and which words decided."""
    found = [one for one in listed(details, "attributions") if one["kind"] == "typical"]
    if not found:
        return None
    return html(
        '<p class="lead">Answers as sure as most.{legend}</p><div class="cards">{cards}</div>',
        legend=LEGEND,
        cards=joined(_card(one, one) for one in found),
    )


def _card(one: Mapping[str, Any], explained: Mapping[str, Any] | None) -> Html:
    text = str(one["text"] if "text" in one else "".join(piece for piece, _ in one["pieces"]))
    shown, more = cut(text)
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
    if isinstance(one["label"], list) and one.get("score") is not None:
        which = (
            f"score of {shortened(explained['of'])}" if explained else "score of the worst label"
        )
        facts.insert(
            2, html("<div><dt>{which}</dt><dd>{x}</dd></div>", which=which, x=figure(one["score"]))
        )
    return html(
        '<article><blockquote dir="auto"{lang}>{text}{more}</blockquote>{words}<dl>{facts}</dl>'
        "</article>",
        lang=_language(text),
        text=_shaded(shown, explained["pieces"]) if explained else html("{text}", text=shown),
        more=html(' <span class="cut">{more}</span>', more=more) if more else html(""),
        words=_weightiest(explained) if explained else html(""),
        facts=joined(facts),
    )


def _score(value: float | None) -> Html:
    return html("") if value is None else html(" <small>{x}</small>", x=figure(value))


def _tone(one: Mapping[str, Any]) -> str:
    """Numbers are never right to the last digit."""
    if isinstance(one["label"], int | float):
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
