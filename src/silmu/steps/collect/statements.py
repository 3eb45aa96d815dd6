"""Whether a query that another database will answer is one SELECT, whatever its dialect.

Nothing is parsed: words are told from texts, quoted names and signs, and what could hide a second
statement is refused rather than understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from silmu.errors import UsageError

_FIRST = ("select", "with", "values", "table")
# Words that no SELECT has outside of a text or a quoted name. INTO makes a table, in MySQL a file
# of the server, which no transaction undoes.
_WRITES = frozenset(("insert", "update", "delete", "merge", "into"))
# In T-SQL a statement may follow another with nothing between.
_STATEMENTS = frozenset(
    (
        *("create", "alter", "drop", "truncate", "grant", "revoke", "deny", "exec", "execute"),
        *("begin", "commit", "rollback", "save", "use", "set", "declare", "backup", "restore"),
        *("kill", "shutdown", "reconfigure", "dbcc", "bulk", "waitfor"),
    )
)
_EXAMPLE = 'such as "SELECT * FROM sales WHERE year > 2020"'
_WORD = re.compile(r"[^\W\d]\w*")
_TAG = re.compile(r"\$\w*\$")
_ENDS = {"'": "'", '"': '"', "`": "`", "[": "]"}

Token = tuple[Literal["word", "sign", "quoted"], str]


def check(query: str, database: str) -> None:
    """Refuses what is not one SELECT.

    Args:
        query: in the dialect of the database.
        database: its name as SQLAlchemy has it, such as `postgresql`.

    Raises:
        UsageError: it is none, or more than one, or holds what is read differently elsewhere.
    """
    escapes, follows = database in ("mysql", "mariadb"), database == "mssql"
    found = list(_tokens(query, escapes=escapes, brackets=follows))
    while found and found[-1] == ("sign", ";"):
        found.pop()
    if ("sign", ";") in found:
        raise UsageError("the query holds more than one statement", hint=_EXAMPLE)
    words = [text.lower() for kind, text in found if kind == "word"]
    begins = next((token for token in found if token != ("sign", "(")), ("sign", ""))
    if begins[0] != "word" or words[0] not in _FIRST:
        raise UsageError("the query is not one SELECT", hint=_EXAMPLE)
    for word in words:
        if word in _WRITES or (follows and word in _STATEMENTS):
            raise UsageError(
                f"the query holds {word.upper()}, which no query that only reads does",
                hint="quote it, if it is the name of a column",
            )


def _tokens(query: str, *, escapes: bool, brackets: bool) -> Iterator[Token]:
    place = 0
    while place < len(query):
        sign = query[place]
        pair = query[place : place + 2]
        if pair in ("--", "/*") or (sign == "#" and escapes):
            raise UsageError("the query holds a comment", hint="leave it out")
        if tag := _TAG.match(query, place):
            raise UsageError(
                f"the query holds a text between {tag[0]}", hint="write it between 'single quotes'"
            )
        if sign in "'\"`" or (sign == "[" and brackets):
            # Texts with escapes: all of MySQL's, and those of others that say so with an E.
            says = escapes or (sign == "'" and query[place - 1 : place] in ("e", "E"))
            end = _end(query, place, escapes=says and sign != "`")
            yield "quoted", query[place:end]
            place = end
        elif word := _WORD.match(query, place):
            yield "word", word[0]
            place = word.end()
        else:
            if not sign.isspace():
                yield "sign", sign
            place += 1


def _end(query: str, start: int, *, escapes: bool) -> int:
    """Where what is quoted ends; a doubled quote is two texts, which makes no difference here."""
    end = _ENDS[query[start]]
    place = start + 1
    while place < len(query):
        if escapes and query[place] == "\\":
            place += 1
        elif query[place] == end:
            return place + 1
        place += 1
    raise UsageError(f"the query has a {query[start]} that is not closed")
