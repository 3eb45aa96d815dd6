"""HTML in which what comes from data cannot become more than text."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from html import escape
from typing import LiteralString, final

from silmu.steps.evaluate.words import visible

_PICTURE = re.compile(r"data:image/(?:png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}")


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


def is_picture(url: str) -> bool:
    """Whether a URL holds its picture, so that a page asks nobody for it.

    >>> is_picture("data:image/png;base64,AAAA"), is_picture("https://example.org/a.png")
    (True, False)
    """
    return _PICTURE.fullmatch(url) is not None


def _safe(value: object) -> str:
    return value if isinstance(value, Html) else escape(visible(str(value)))
