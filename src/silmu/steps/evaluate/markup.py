"""HTML in which what comes from data cannot become more than text."""

from __future__ import annotations

import string
from collections.abc import Iterable
from html import escape
from typing import LiteralString, final

from silmu.steps.evaluate.words import visible


@final
class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(template: LiteralString, **values: object) -> Html:
    """A template with values put in, each escaped unless it is HTML.

    >>> html("<b>{label}</b>", label="<i>")
    '<b>&lt;i&gt;</b>'
    """
    return Html(string.Formatter().vformat(template, (), {k: _safe(v) for k, v in values.items()}))


def joined(parts: Iterable[Html]) -> Html:
    """Parts, one after another."""
    return Html("".join(parts))


def _safe(value: object) -> str:
    return value if isinstance(value, Html) else escape(visible(str(value)))
