"""Regular expressions that come with a tokenizer: only those that take time in step with the text.

The `tokenizers` library matches with Oniguruma, which backtracks. It gives up a single attempt
after ten million steps, so a nested repeat costs a fraction of a second; but a pattern that scans a
run of characters in vain, once from each of its places, takes hours over a megabyte. So a pattern
is read here as far as is needed to see that it does neither.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTH = 20_000
MAX_REPEATS = 1_000
MAX_WAYS = 1_000
MAX_GROWTH = 64
MAX_PARTS = 64

_QUANTIFIER = re.compile(r"(?:[*+?][?+]?|\{(\d*+)(,?)(\d*+)\}\??)")
_ESCAPE = re.compile(
    r"\\(?:[pP]\{\^?[\w ]+\}|x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}|.)", re.DOTALL
)
_GROUP = re.compile(r"\((?:\?(?:[imx-]*:|>|<?[=!]))?")
_PLACES = frozenset("AzZbBG")
_REFUSED_ESCAPES = frozenset("123456789gkKRX")


class UnboundedError(ValueError):
    """The pattern may take longer than in step with the text, or cannot be told."""


@dataclass(frozen=True)
class _Item:
    """One piece of a pattern, matched `least` to `most` times; None is without end.

    `repeats` bounds its length and `ways` the ways to match it at one place, but for those of a
    repeat without end.
    """

    text: str
    least: int = 1
    most: int | None = 1
    repeats: int = 1
    ways: int = 1
    is_place: bool = False  # such as a lookahead: matches no characters, and may fail
    is_lazy: bool = False  # takes as little as it can, and so never a whole run

    @property
    def can_fail(self) -> bool:
        return self.is_place or self.least > 0


_Alternatives = list[list[_Item]]


def check(pattern: str) -> None:
    """Refuses a pattern that is not known to take time in step with the text.

    >>> check(r"\\s+(?!\\S)|\\s+")
    >>> check(r"(a+)+b")
    Traceback (most recent call last):
    silmu.runtime.patterns.UnboundedError: '(a+)+' repeats a repeat

    Raises:
        UnboundedError: it nests repeats, or scans a run of characters that it then may give up
            and that no later alternative takes whole.
    """
    if len(pattern) > MAX_LENGTH:
        raise UnboundedError(f"it has {len(pattern):,} characters")
    reader = _Reader(pattern)
    alternatives = reader.alternatives()
    if reader.at < len(pattern):
        raise UnboundedError(f"{pattern[reader.at :]!r:.40} closes nothing")
    for i, items in enumerate(alternatives):
        if (ways := math.prod(item.ways for item in items)) > MAX_WAYS:
            raise UnboundedError(
                f"{_spell(items)!r:.60} may be tried in {ways:,} ways at each place"
            )
        given_up = [
            item
            for k, item in enumerate(items)
            if item.most is None and any(after.can_fail for after in items[k + 1 :])
        ]
        if given_up and (len(given_up) > 1 or not _is_taken(given_up[0], alternatives[i + 1 :])):
            raise UnboundedError(
                f"{_spell(items)!r:.60} may scan a run again from each of its places"
            )


def _is_taken(run: _Item, later: _Alternatives) -> bool:
    """Whether a run that was scanned in vain is taken whole before anything can take less of it."""
    for items in later:
        runs = [item for item in items if item.most is None and not item.is_lazy]
        same = [item for item in runs if item.text == run.text]
        needed = [item for item in items if item.can_fail]
        if not same:
            return False
        if needed == [same[0]]:
            return True
        if items[0] is not same[0]:
            return False
    return False


def _spell(items: list[_Item]) -> str:
    return "".join(item.text + ("" if item.most == 1 else "*") for item in items)


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def alternatives(self, depth: int = 0) -> _Alternatives:
        if depth > 50:
            raise UnboundedError("it nests groups too deeply")
        found: _Alternatives = [[]]
        while self.at < len(self.pattern) and self.pattern[self.at] != ")":
            if self.pattern[self.at] == "|":
                self.at += 1
                found.append([])
            else:
                found[-1].extend(self._quantified(depth))
        return found

    def _quantified(self, depth: int) -> list[_Item]:
        start = self.at
        items = self._piece(depth)
        while match := _QUANTIFIER.match(self.pattern, self.at):
            if match[0] in ("{}", "{,}"):
                break
            self.at = match.end()
            least, most = _bounds(match)
            text = self.pattern[start : self.at]
            if len(items) != 1 or items[0].most is None:
                raise UnboundedError(f"{text!r:.60} repeats a repeat")
            item = items[0]
            if most is None and (item.most != 1 or item.least != 1 or item.is_place):
                raise UnboundedError(f"{text!r:.60} repeats what is no single character")
            repeats = item.repeats * (least if most is None else most)
            if repeats > MAX_REPEATS:
                raise UnboundedError(f"{text!r:.60} repeats up to {repeats:,} times")
            ways = 1 if most is None else sum(item.ways**n for n in range(least, most + 1))
            if ways > MAX_WAYS:
                raise UnboundedError(f"{text!r:.60} may match in more than {MAX_WAYS:,} ways")
            item = replace(item, least=item.least * least, most=most, repeats=repeats, ways=ways)
            items = [replace(item, is_lazy=match[0] != "?" and match[0].endswith("?"))]
        return items

    def _piece(self, depth: int) -> list[_Item]:
        char = self.pattern[self.at]
        if char == "(":
            return self._group(depth)
        if char == "[":
            return [_Item(self._class())]
        if char == "\\":
            escape = _ESCAPE.match(self.pattern, self.at)
            if escape is None or escape[0][1] in _REFUSED_ESCAPES:
                raise UnboundedError(f"{self.pattern[self.at :]!r:.10} is not one that can be told")
            self.at = escape.end()
            return [_Item(escape[0], is_place=escape[0][1] in _PLACES)]
        if char in "*+?":
            raise UnboundedError(f"{char!r} repeats nothing")
        self.at += 1
        return [_Item(char, is_place=char in "^$")]

    def _group(self, depth: int) -> list[_Item]:
        start = self.at
        opening = _GROUP.match(self.pattern, self.at)
        assert opening is not None
        self.at = opening.end()
        if self.pattern[self.at : self.at + 1] == "?":
            raise UnboundedError(f"{self.pattern[start:]!r:.10} is not one that can be told")
        inside = self.alternatives(depth + 1)
        if self.pattern[self.at : self.at + 1] != ")":
            raise UnboundedError("a group is not closed")
        self.at += 1
        text = self.pattern[start : self.at]
        looks = opening[0].endswith(("=", "!"))
        if len(inside) == 1 and not looks and (len(inside[0]) == 1 or _has_run(inside)):
            return inside[0]
        if _has_run(inside):
            raise UnboundedError(f"{text!r:.60} holds a repeat without end")
        least = min(sum(item.can_fail for item in items) for items in inside)
        repeats = max(sum(item.repeats for item in items) for items in inside)
        ways = sum(math.prod(item.ways for item in items) for items in inside)
        # `most` is 2 so that it is never taken for a single character.
        return [_Item(text, min(least, 1), 2, repeats=max(repeats, 1), ways=ways, is_place=looks)]

    def _class(self) -> str:
        """A class in brackets, which may hold classes."""
        start, depth = self.at, 0
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char == "\\":
                self.at += 1
            elif char == "[":
                depth += 1
                # `[]...]` and `[^]...]` hold a closing bracket.
                after = 2 if self.pattern.startswith("^", self.at + 1) else 1
                if self.pattern.startswith("]", self.at + after):
                    self.at += after
            elif char == "]":
                depth -= 1
            self.at += 1
            if depth == 0:
                return self.pattern[start : self.at]
        raise UnboundedError("a class is not closed")


def _has_run(alternatives: _Alternatives) -> bool:
    return any(item.most is None for items in alternatives for item in items)


def _bounds(match: re.Match[str]) -> tuple[int, int | None]:
    sign = match[0][0]
    if sign != "{":
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
    low, comma, high = match.groups()
    if max(len(low), len(high)) > 6:
        raise UnboundedError(f"{match[0]!r:.30} repeats too often")
    least = int(low or 0)
    return least, (int(high) if high else None) if comma else least


def check_parts(parts: dict[str, Any]) -> None:
    """Refuses the parts of a tokenizer, as its file describes them, that cost more than the text.

    Raises:
        UnboundedError: a pattern does, or the normalizer makes a text many times longer.
    """
    growth = 1.0
    for name, part in parts.items():
        for count, piece in enumerate(_pieces(part)):
            if count >= MAX_PARTS:
                raise UnboundedError(f"its {name} has more than {MAX_PARTS} parts")
            pattern = cast("dict[str, str]", piece.get("pattern") or {})
            if "" in pattern.values():
                raise UnboundedError(f"its {name} looks for an empty text")
            if "Regex" in pattern:
                try:
                    check(pattern["Regex"])
                except UnboundedError as error:
                    raise UnboundedError(
                        f"its {name} has the pattern {pattern['Regex']!r:.200}, and {error}"
                    ) from error
            if name == "normalizer":
                content = str(piece.get("content") or piece.get("prepend") or "")
                growth *= max(1.0, len(content) / len(pattern.get("String") or "?"))
    if growth > MAX_GROWTH:
        raise UnboundedError(f"its normalizer may make a text {growth:,.0f} times as long")


def _pieces(value: Any) -> Iterator[dict[str, Any]]:
    """Every object that has a type, however deep."""
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        if "type" in found and not isinstance(found["type"], dict):
            yield found
        for inner in found.values():
            yield from _pieces(inner)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _pieces(inner)
