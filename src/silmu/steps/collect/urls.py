"""URLs as sources, which may hold a password: what of them may be written down or said.

They are taken apart here by signs alone, since whoever writes a password into a URL seldom writes
its odd letters as the standard wants them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SECRET = re.compile(r"(?i)pass|pwd|token|secret|key|credential|signature")
_HOST = re.compile(r"[^:/@]*:\d*(?:/|$)")


class _Parts(NamedTuple):
    scheme: str
    user: str | None
    host: str
    """And the path, which names the database."""
    query: str


def is_one(given: str) -> bool:
    """Whether a source is named by a URL."""
    return _URL.match(given) is not None


def is_secret(name: str) -> bool:
    """Whether a parameter of a URL is one that nobody may see."""
    return _SECRET.search(name) is not None


def shown(given: str) -> str:
    """A source as it may be told: of a URL only where it leads.

    >>> shown("postgresql://kim:secret@host/shop?sslmode=require")
    'postgresql://host/shop'
    """
    if not is_one(given) or _is_file(given):
        return given
    parts = _apart(given)
    return f"{parts.scheme}://{parts.host.partition('#')[0]}"


def without_password(given: str) -> str:
    """A source as it may be written down and given again: a URL without its password.

    >>> without_password("postgresql://kim:secret@host/shop?sslmode=require&password=secret")
    'postgresql://kim@host/shop?sslmode=require'
    """
    if not is_one(given) or _is_file(given):
        return given
    parts = _apart(given)
    kept = [pair for pair in parts.query.split("&") if not is_secret(pair.partition("=")[0])]
    query = "&".join(kept)
    user = "" if parts.user is None else f"{parts.user}@"
    return f"{parts.scheme}://{user}{parts.host}{'?' if query else ''}{query}"


def _is_file(given: str) -> bool:
    """Whether it is a database of a file, whose URL has no place for a password."""
    return given.lower().startswith(("sqlite:///", "duckdb:///"))


def _apart(given: str) -> _Parts:
    scheme, _, rest = given.partition("://")
    body, _, query = rest.partition("?")
    if "@" not in body and "@" in query and ":" in body and not _HOST.match(body):
        # A password with a question mark in it.
        named, _, rest = rest.rpartition("@")
        host, _, query = rest.partition("?")
        return _Parts(scheme, named.partition(":")[0], host, query)
    named, at, host = body.rpartition("@")
    return _Parts(scheme, named.partition(":")[0] if at else None, host, query)
