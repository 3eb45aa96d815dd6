"""Observations that a policy is asked about, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, final

from silmu.cli._asked import Asked, Pairs, lines_of_stdin
from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    from silmu.cli._rows import Block, Source


@final
class Observations(Asked):
    """Observations, one a text: JSON of the environment's shape.

    Args:
        pipe: the pipeline.
        settings: what it is asked.
        data: what --data names.

    Raises:
        UsageError: --data names something.
    """

    tells_json = True

    def __init__(self, pipe: Any, settings: Mapping[str, Any], *, data: str | None = None) -> None:
        super().__init__(pipe, settings)
        if data is not None:
            raise _no_rows()

    def of_texts(self, texts: Sequence[str]) -> Pairs:
        """JSON, in order: to a policy with a memory they are one episode."""
        for text in texts:
            for line in _lines() if text == "-" else (text,):
                given = line if isinstance(line, InputError) else _parsed(line)
                yield None, given

    def expect(self, source: Source) -> None:
        """No rows of a file are observations."""
        raise _no_rows()

    def of_block(self, block: Block) -> Pairs:
        """As `expect`."""
        raise _no_rows()

    def rows_at_once(self, columns: int) -> int:
        """As `expect`."""
        raise _no_rows()

    def given(self, block: Block) -> Any:
        """As `expect`."""
        raise _no_rows()

    def alone(self, given: Any) -> Iterable[Any]:
        """As `expect`."""
        raise _no_rows()

    def answered(self, given: Any, settings: Mapping[str, Any]) -> list[Any]:
        """As `expect`."""
        raise _no_rows()


def _lines() -> Iterator[str | InputError]:
    """The lines of stdin that hold something."""
    return (one for one in lines_of_stdin() if isinstance(one, InputError) or one.strip())


def _parsed(text: str) -> Any:
    try:
        given: Any = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if isinstance(given, list | int | float):
        return cast("Any", given)
    return InputError(
        f"`{text.strip():.40}` is neither a number nor a JSON array",
        hint="an observation is a number, or such as [0.1, 0.2, 0.3, 0.4]",
    )


def _no_rows() -> UsageError:
    return UsageError(
        "--data names a file, and a policy is asked with observations or an environment",
        hint="give observations as JSON, `-` to read them from stdin, or --env ID",
    )
