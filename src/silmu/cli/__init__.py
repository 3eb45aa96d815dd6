"""The command line: one file a verb, found by its name.

A verb's file has a docstring, whose first line is its help; `add_arguments(parser)`; and
`run(args)`, which gives the exit code: 0 for done, 1 for an answer that is no. What could not be
run is a SilmuError, and 2. Answers go to stdout, all else to stderr.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from silmu import __version__
from silmu.cli import _streams
from silmu.errors import Interrupted, SilmuError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, NO, COULD_NOT, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code.

    >>> main(["--version"])
    silmu 0.1.0
    0
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    _speak_utf8()
    try:
        code = _run(given)
        sys.stdout.flush()  # here, where a reader who has left is noticed and forgiven
        return code
    except SilmuError as error:
        if _is_verbose(given):
            _show_traceback()
        tell(f"error: {error}")
        return COULD_NOT
    except Interrupted as stopped:
        tell(str(stopped))
        return stopped.code
    except KeyboardInterrupt:
        tell("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # What is left in the buffer would be written, and fail again, when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        _show_traceback()
        tell(f"error: {type(error).__name__} is a fault of silmu, not of what was given")
        return COULD_NOT


def tell(message: str) -> None:
    """A line for the person, not for the program that reads the answers."""
    sys.stderr.write(f"{message}\n")


def answer(line: str) -> None:
    """A line of what was asked for."""
    # At once, because who reads may be waiting for it before asking the next.
    stream = _streams.answers()
    stream.write(f"{line}\n")
    stream.flush()


def verbs() -> list[str]:
    """Every verb there is, in alphabetical order.

    >>> "use" in verbs()
    True
    """
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


class Parser(argparse.ArgumentParser):
    """Takes options and texts in any order, and names the nearest option to a wrong one."""

    def __init__(self, verb: str) -> None:
        self._module = importlib.import_module(f"silmu.cli.{verb}")
        super().__init__(
            prog=f"silmu {verb}",
            description=self._module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._module.add_arguments(self)

    @property
    def options(self) -> list[str]:
        """Every spelling of every option."""
        return sorted(self._option_string_actions)

    def run(self, arguments: Sequence[str]) -> int:
        """Parses and does what is asked."""
        parsed, unknown = self.parse_known_intermixed_args(arguments)
        if unknown:
            options = [name.partition("=")[0] for name in unknown if name.startswith("-")]
            if not options:
                self.error(f"`{' '.join(unknown)}` is more than it takes")
            raise UnknownNameError(
                f"`{self.prog}` has no option `{options[0]}`",
                hint=_nearest(options[0], self.options) + f"`{self.prog} --help` lists all; "
                "a text that begins with `-` goes after `--`",
            )
        from silmu.cli import _messages

        _messages.set_up(quiet=parsed.quiet, verbose=parsed.verbose)
        return self._module.run(parsed)

    def error(self, message: str) -> NoReturn:
        """What argparse says where it would print its usage and exit."""
        raise UsageError(message, hint=f"`{self.prog} --help` shows what it takes")


def _run(arguments: list[str]) -> int:
    known = verbs()
    if not arguments:
        tell(_overview(known))
        return COULD_NOT
    first, *rest = arguments
    if first in known:
        try:
            return Parser(first).run(rest)
        except SystemExit:  # after --help
            return DONE
    if first in ("--help", "-h"):
        answer(_overview(known))
        return DONE
    if first == "--version":
        answer(f"silmu {__version__}")
        return DONE
    what = "option" if first.startswith("-") else "verb"
    raise UnknownNameError(
        f"no {what} `{first}`; there are {', '.join(known)}",
        hint=f"{_nearest(first, [*known, '--help', '--version'])}`silmu --help` shows them",
    )


def _overview(known: list[str]) -> str:
    width = max(map(len, known)) + 2
    modules = [importlib.import_module(f"silmu.cli.{verb}") for verb in known]
    summaries = [(module.__doc__ or "").partition("\n")[0].rstrip(".") for module in modules]
    lines = [f"  {verb:{width}}{text}" for verb, text in zip(known, summaries, strict=True)]
    return "\n".join(
        [
            "usage: silmu VERB ...",
            "",
            "Deep learning from a study note to practice.",
            "",
            *lines,
            "",
            "`silmu VERB --help` shows what a verb takes, `silmu --version` which silmu this is.",
        ]
    )


def _nearest(name: str, names: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean `{near[0]}`? " if near else ""


def _speak_utf8() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Files and pipes are UTF-8 everywhere; a terminal knows its own encoding best.
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _is_verbose(arguments: list[str]) -> bool:
    return bool({"-v", "--verbose"} & set(arguments))


def _show_traceback() -> None:
    import traceback

    traceback.print_exc()
