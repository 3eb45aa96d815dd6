"""Stdout, kept for answers while code of others runs."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TextIO

_STDOUT, _STDERR = 1, 2

_answers: TextIO | None = None
"""Where answers go while stdout is not stdout."""


def answers() -> TextIO:
    """Where answers are written."""
    return sys.stdout if _answers is None else _answers


@contextmanager
def only_answers() -> Generator[None]:
    """Lets nothing but answers come to stdout: what others print there goes to stderr.

    An environment is code of others, and may print, from C too, with every step. So it is not
    looked at what is printed; stdout itself leads elsewhere, and that costs a step nothing.
    """
    global _answers
    if _answers is not None:
        yield
        return
    stdout = sys.stdout
    stdout.flush()
    kept: int | None = None
    with suppress(OSError):  # of a program that has no such streams, where no C code can print
        kept = os.dup(_STDOUT)
        os.dup2(_STDERR, _STDOUT)
    _answers = _beside(stdout, kept)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout, own, _answers = stdout, _answers, None
        if kept is not None:
            _flush_all()
            os.dup2(kept, _STDOUT)
            os.close(kept)
        if own is not stdout:
            with suppress(BrokenPipeError):  # which who wrote the answer has been told
                own.close()


def _beside(stdout: TextIO, kept: int | None) -> TextIO:
    """A way to where stdout led, if it led to the descriptor that now leads elsewhere."""
    try:
        is_own = kept is not None and stdout.fileno() == _STDOUT
    except (OSError, ValueError):  # of a stream in memory
        is_own = False
    if not is_own or kept is None:
        return stdout
    return open(  # noqa: PTH123 - a descriptor, closed by who asked
        os.dup(kept), "w", encoding=stdout.encoding, errors=stdout.errors
    )


def _flush_all() -> None:
    """Brings what C code has printed, and its library holds back, to where it was printed to."""
    if sys.__stdout__ is not None:
        with suppress(OSError, ValueError):
            sys.__stdout__.flush()
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.cdll.ucrtbase if os.name == "nt" else ctypes.CDLL(None)
        library.fflush(None)
