"""What a pipeline is asked: the same for texts and tables, for rows of a file and for lines."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InputError

if TYPE_CHECKING:
    from silmu.cli._rows import Block, Source

Pairs = Iterator[tuple[Any, Any]]
"""What is shown beside an answer, and what is asked; an InputError for what cannot be."""


class Asked(ABC):
    """How inputs come to a pipeline.

    Args:
        pipe: the pipeline.
        settings: what it is asked beside the inputs.
    """

    reads: tuple[str, ...] = ()
    """The columns that it reads, by their names in the source."""

    tells_json: bool = False
    """Whether a person is told JSON too, for an answer is too long for a line."""

    def __init__(self, pipe: Any, settings: Mapping[str, Any]) -> None:
        self.pipe = pipe
        self.settings = dict(settings)

    @abstractmethod
    def of_texts(self, texts: Sequence[str]) -> Pairs:
        """The inputs that arguments hold; `-` stands for what stdin holds."""

    @abstractmethod
    def expect(self, source: Source) -> None:
        """Settles which columns of a source are read.

        Raises:
            UsageError: a column is not there, or it is not clear which is meant.
        """

    @abstractmethod
    def of_block(self, block: Block) -> Pairs:
        """The inputs that rows hold, to be answered one by one."""

    @abstractmethod
    def rows_at_once(self, columns: int) -> int:
        """How many rows are asked at once, of rows with so many columns."""

    @abstractmethod
    def given(self, block: Block) -> Any:
        """The inputs that rows hold, to be answered together."""

    @abstractmethod
    def alone(self, given: Any) -> Iterable[Any]:
        """Each of these, to be answered alone."""

    @abstractmethod
    def answered(self, given: Any, settings: Mapping[str, Any]) -> list[Any]:
        """The answer to each row; an InputError for one that cannot be answered."""

    def of_source(self, source: Source) -> Pairs:
        """The inputs that a whole source holds, to be answered one by one."""
        return (one for block in source.blocks(1) for one in self.of_block(block))

    def turned(self, source: Source) -> Source:
        """The source whose rows are answered: itself, where each row is an input."""
        return source

    def seen(self, source: Source) -> Source:
        """The source as its rows are repeated beside the answers."""
        return source

    def judged(self, found: Any) -> Any:
        """An answer, or an InputError for one that is not to be given."""
        return found


def lines_of_stdin() -> Iterator[str | InputError]:
    """The lines of stdin with their ends; an InputError for one that is no text."""
    for line in sys.stdin.buffer:
        try:
            yield line.decode("utf-8").lstrip("\ufeff")
        except UnicodeDecodeError as error:
            yield InputError(f"a line is not UTF-8: {error}")


def parsed(text: str, fields: Sequence[str]) -> dict[str, Any] | InputError:
    """The object that a text holds.

    >>> parsed('{"age": 29}', ["age", "sex"])
    {'age': 29}
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if isinstance(given, dict):
        return cast("dict[str, Any]", given)
    form = json.dumps(dict.fromkeys(fields, "..."), ensure_ascii=False)
    return InputError(f"`{text:.40}` is not a JSON object", hint=f"this task takes {form}")
