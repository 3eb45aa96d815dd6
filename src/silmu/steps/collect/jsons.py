"""Rows in JSON: one object a line, or an array of objects, read piece by piece; or one object that
is a whole table, which is held.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final, final

from silmu.errors import InputError
from silmu.steps.collect.json_tables import rows_of
from silmu.steps.collect.streams import Text
from silmu.steps.collect.tally import Tally

LONGEST_OBJECT = 1 << 24  # characters
LONGEST_TABLE = 1 << 26  # characters of one object that is a whole table
NOT_JSON, NOT_OBJECT = "it is not JSON", "it is not a JSON object"
TWICE = "it names a key twice"
BROKEN = "it holds bytes that are not {encoding}"

Numbered = Generator[tuple[int, dict[str, Any]], None, int]

_BLANK: Final = " \t\r\n"


class _TwiceError(ValueError):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _TwiceError
    return made


# NaN is no JSON, but what Python writes for a number that is missing.
_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=float)


@final
class Objects:
    """One file of JSON, to be read as often as needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = Text(path)
        start = next((one for block in self.text.blocks() if (one := block.lstrip())), "")
        if not start:
            raise InputError(f"`{path}` is empty", hint="it must hold an object a row")
        self.is_array = start[0] == "["
        self.is_table = start[0] == "{" and self._table() is not None

    def rows(self, tally: Tally, first: int) -> Numbered:
        """Each row that is an object, with its number; returns the number after the last."""
        if self.is_table:
            return self._held(tally, first)
        return self._array(tally, first) if self.is_array else self._lines(tally, first)

    def _table(self) -> list[Any] | None:
        """The rows of a file that is one object and a whole table; None where it is none."""
        if self._has_objects():
            return None
        parts: list[str] = []
        size = 0
        for block in self.text.blocks():
            parts.append(block)
            size += len(block)
            if size > LONGEST_TABLE:
                return None
        try:
            return rows_of(_DECODER.decode("".join(parts)))
        except _TwiceError:
            raise InputError(f"`{self.path}` is one JSON object, and {TWICE}") from None
        except (ValueError, RecursionError):
            return None

    def _has_objects(self) -> bool:
        """Whether one of the first two lines is an object, and not the only line."""
        lines = (line for one in self.text.lines() if (line := one.strip(_BLANK)))
        first, second = next(lines, ""), next(lines, "")
        return second != "" and any(_is_object(line) for line in (first, second))

    def _held(self, tally: Tally, first: int) -> Numbered:
        number = first - 1
        for number, value in enumerate(self._table() or (), first):
            spelled = str(value) if self.text.marks_broken else ""
            yield from self._row(number, value, spelled, tally)
        return number + 1

    def _lines(self, tally: Tally, first: int) -> Numbered:
        number = first - 1
        for line in self.text.lines():
            if not (line := line.strip(_BLANK)):
                continue
            number += 1
            if number == first and line == "{":
                raise InputError(
                    f"`{self.path}` is neither an array of objects nor an object a line",
                    hint='write it as [{"text": ..., "label": ...}, ...], as an object a line, or '
                    'as columns of one length, {"text": [...], "label": [...]}',
                )
            try:
                value = _DECODER.decode(line)
            except _TwiceError:
                tally.add(TWICE, [number])
            except (ValueError, RecursionError):
                tally.add(NOT_JSON, [number])
            else:
                yield from self._row(number, value, line, tally)
        return number + 1

    def _array(self, tally: Tally, first: int) -> Numbered:
        """The elements of an array, each as soon as its end is there."""
        text = _Cursor(self.text.blocks())
        text.skip()
        text.place += 1
        if text.skip() == "]":
            return first
        number = first - 1
        while True:
            number += 1
            value, spelled = self._element(text, number)
            yield from self._row(number, value, spelled, tally)
            sign = text.skip()
            text.place += 1
            if sign == "]":
                if text.skip():
                    raise self._broken(number, "more follows the end of the array")
                return number + 1
            if sign != ",":
                raise self._broken(number, "no comma follows it" if sign else "no `]` follows it")
            text.skip()

    def _element(self, text: _Cursor, number: int) -> tuple[Any, str]:
        # What is not whole yet fails as what is broken does: only more text can tell.
        while True:
            try:
                value, end = _DECODER.raw_decode(text.buffer, text.place)
            except _TwiceError:
                raise self._broken(number, TWICE) from None
            except (ValueError, RecursionError) as error:
                size = len(text.buffer) - text.place
                is_hopeless = size > LONGEST_OBJECT or isinstance(error, RecursionError)
                # As much again, so that a long object is not tried for every block of it.
                if is_hopeless or not text.more(size):
                    raise self._broken(number, NOT_JSON) from error
            else:
                if end < len(text.buffer) or not text.more(1):
                    spelled, text.place = text.buffer[text.place : end], end
                    return value, spelled

    def _row(
        self, number: int, value: Any, text: str, tally: Tally
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        if not isinstance(value, dict):
            tally.add(NOT_OBJECT, [number])
        elif self.text.marks_broken and any("\udc80" <= letter <= "\udcff" for letter in text):
            tally.add(BROKEN.format(encoding=self.text.encoding.upper()), [number])
        else:
            yield number, value

    def _broken(self, number: int, how: str) -> InputError:
        return InputError(
            f"row {number:,} of `{self.path}` cannot be read: {how}",
            hint="in an array nothing after it can be read either; mend it, or write one object "
            "a line, where a broken one is left out and counted",
        )


def _is_object(line: str) -> bool:
    try:
        return isinstance(_DECODER.decode(line), dict)
    except (ValueError, RecursionError):
        return False


class _Cursor:
    """A place in a text of which only what is needed has been read."""

    def __init__(self, blocks: Iterator[str]) -> None:
        self._blocks = blocks
        self.buffer = ""
        self.place = 0

    def more(self, size: int) -> bool:
        """Reads on by at least so many characters; whether there were any."""
        parts = [self.buffer[self.place :]]
        got = 0
        while got < max(size, 1) and (block := next(self._blocks, "")):
            parts.append(block)
            got += len(block)
        self.buffer, self.place = "".join(parts), 0
        return got > 0

    def skip(self) -> str:
        """Goes on to the next character that is not blank, and tells it; empty at the end."""
        while True:
            while self.place < len(self.buffer) and self.buffer[self.place] in _BLANK:
                self.place += 1
            if self.place < len(self.buffer):
                return self.buffer[self.place]
            if not self.more(1):
                return ""
