"""A page by itself: one file that needs neither a network nor a script."""

from __future__ import annotations

from collections.abc import Iterable

from silmu.steps.evaluate.markup import Html, html, joined
from silmu.steps.evaluate.style import STYLE


def sheet(
    parts: Iterable[tuple[str, str, Html | None]],
    *,
    title: str,
    head: Html,
    footer: Html,
    what: str = "report",
) -> str:
    """Parts under a head, with links to them.

    Args:
        parts: the id, the title and the content of each; those without content are left out.
        title: of the window.
        head: what stands before all.
        footer: what stands after.
        what: the page is, in a word.
    """
    there = [part for part in parts if part[2]]
    links = joined(html('<a href="#{id}">{title}</a>', id=i, title=t) for i, t, _ in there)
    body = joined(
        html(
            '<section id="{id}" aria-labelledby="{id}-title"><h2 id="{id}-title">{title}</h2>'
            "{content}</section>",
            id=name,
            title=title,
            content=content,
        )
        for name, title, content in there
    )
    filled = html(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        "<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '{head}\n<main>\n<nav aria-label="Parts of the {what}">{links}</nav>\n{body}\n</main>\n'
        "<footer>{footer}</footer>\n</body>\n</html>\n",
        title=title,
        style=Html(STYLE),
        head=head,
        what=what,
        links=links,
        body=body,
        footer=footer,
    )
    return str(filled)
