"""Several names as one text: with commas between, and in quotes where a name holds a comma."""

from __future__ import annotations

from collections.abc import Iterable

from silmu.errors import UsageError


def split(text: str) -> list[str]:
    """The names in a text.

    >>> split('age, "height, cm", 5" disk')
    ['age', 'height, cm', '5" disk']

    Raises:
        UsageError: a quote is not closed, or something stands behind it.
    """
    names: list[str] = []
    rest = text.strip()
    while True:
        if rest.startswith('"'):
            end = _closing(rest)
            name, rest = rest[1:end].replace('""', '"'), rest[end + 1 :].lstrip()
            if end < 0 or rest[:1] not in ("", ","):
                raise UsageError(
                    f"`{text}` is not a list of names",
                    hint='a name that begins with a quote or holds a comma stands in quotes: "a, b"'
                    '; a quote in it is written twice: "the ""best"" one"',
                )
            comma, rest = rest[:1], rest[1:]
        else:
            name, comma, rest = rest.partition(",")
            name = name.strip()
        names.append(name)
        if not comma:
            return names
        rest = rest.lstrip()


def join(names: Iterable[str]) -> str:
    """The text of which `split` makes the names again.

    >>> join(["age", "height, cm"])
    'age,"height, cm"'
    """

    def told(name: str) -> str:
        is_plain = name and name == name.strip() and "," not in name and not name.startswith('"')
        return name if is_plain else '"' + name.replace('"', '""') + '"'

    return ",".join(map(told, names))


def _closing(text: str) -> int:
    """Where the quote ends that a text begins with; -1 if it does not."""
    place = text.find('"', 1)
    while place >= 0 and text[place + 1 : place + 2] == '"':
        place = text.find('"', place + 2)
    return place
