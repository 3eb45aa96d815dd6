"""Answer with a model: texts, lines of stdin, or the rows of a file.

  silmu use MODEL "I love this"                     one line for each text
  cat reviews.txt | silmu use MODEL - --json        answers while it reads; with
                                                    --set batch_size=1 each line at once
  silmu use MODEL --data a.csv --output b.csv       the same rows, with `prediction` beside them
  silmu use MODEL '{"question": "Who?", "context": "It was Kim."}'

A task with several inputs takes one JSON object for each, or columns of their names.
The exit code is 1 if an input could not be answered; the others are answered all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, cast

from silmu.cli import DONE, NO, _flags, answer, tell
from silmu.errors import InputError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, what it is to answer, and how."""
    parser.add_argument("model", metavar="MODEL", help="a folder, or an id on the hub")
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="what to answer; `-` reads lines")
    _flags.add(
        parser,
        *("--task", "--data", "--input", "--output", "--set"),
        *("--revision", "--device", "--dtype", "--seed", "--json"),
    )


def run(args: argparse.Namespace) -> int:
    """Answers all that is given, in its order."""
    _check(args)
    settings = _flags.settings(args.set)
    data = None if args.data is None else Path(args.data)
    rows = _rows_of(data) if data else None

    import silmu
    from silmu import registry

    device = int(args.device) if (args.device or "").lstrip("-").isdecimal() else args.device
    pipe = silmu.pipeline(
        args.task, args.model, revision=args.revision, device=device, dtype=args.dtype
    )
    if args.seed is not None:
        silmu.set_seed(args.seed)
    declared = registry.pipelines().get(pipe.task)
    fields = tuple(declared.constants.get("FIELDS", ())) if declared else ()
    if data and rows is not None:
        answers = each(pipe, _from_rows(data, rows, fields, args.input), settings)
        if args.output is not None:
            return _write(answers, data, Path(args.output))
    else:
        answers = each(pipe, _from_texts(args.texts, fields), settings)
    return _print(answers, as_lines_of_json=args.json)


def each(
    pipe: Any, source: Iterator[tuple[Any, Any]], settings: dict[str, Any]
) -> Iterator[tuple[Any, Any, Any]]:
    """(row, input) pairs to (row, input, answer), as a stream that one bad input does not end.

    What cannot be answered has an InputError for an answer; so has what comes as one.
    """
    taken: deque[tuple[Any, Any]] = deque()  # read ahead, and not yet answered
    stop: list[tuple[Any, Any]] = []  # the next one, which is bad already

    def good() -> Iterator[Any]:
        yield from [given for _, given in taken]
        for row, given in source if not stop else ():
            if isinstance(given, InputError):
                stop.append((row, given))
                return
            taken.append((row, given))
            yield given

    while True:
        try:
            for found in pipe(good(), **settings):
                yield *taken.popleft(), found
        except InputError:
            # It may be of any input of a batch, so the first is asked again, alone.
            row, given = taken.popleft()
            yield row, given, _alone(pipe, given, settings)
            continue
        if not stop:
            return
        row, given = stop.pop()
        yield row, given, given


def _alone(pipe: Any, given: Any, settings: dict[str, Any]) -> Any:
    try:
        return next(iter(pipe(iter([given]), **settings)))
    except InputError as error:
        return error


def _check(args: argparse.Namespace) -> None:
    if args.data is None:
        for name in ("input", "output"):
            if getattr(args, name) is not None:
                raise UsageError(f"--{name} is given without --data, whose rows it is about")
        if not args.texts:
            raise UsageError(
                "there is nothing to answer",
                hint="give texts, `-` to read lines from stdin, or --data FILE",
            )
    elif args.texts:
        raise UsageError("texts and --data are given; give one of the two")


# ── where inputs come from ─────────────────────────────────────────────────────────────────────


def _from_texts(texts: Sequence[str], fields: tuple[str, ...]) -> Iterator[tuple[Any, Any]]:
    for text in texts:
        if text != "-":
            given = _parsed(text, fields) if fields else text
            yield given, given
            continue
        for line in sys.stdin.buffer:
            try:
                text = line.decode("utf-8").lstrip("\ufeff").rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield None, InputError(f"a line is not UTF-8: {error}")
                continue
            given = _not_empty(_parsed(text, fields) if fields and text.strip() else text)
            yield given, given


def _parsed(text: str, fields: tuple[str, ...]) -> Any:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if isinstance(given, dict):
        return cast("dict[str, Any]", given)
    form = json.dumps(dict.fromkeys(fields, "..."))
    return InputError(f"`{text:.40}` is not a JSON object", hint=f"this task takes {form}")


def _rows_of(data: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, the first of which is read before a model is opened."""
    from silmu.cli import _rows

    rows = _rows.read(data)
    first = next(rows, None)
    return iter(()) if first is None else chain([first], rows)


def _from_rows(
    path: Path, rows: Iterator[dict[str, Any]], fields: tuple[str, ...], name: str | None
) -> Iterator[tuple[Any, Any]]:
    from silmu.cli import _rows

    first = next(rows, None)
    if first is None:
        return
    if not fields:
        column = _rows.choose_column(path, first, name)
        for row in chain([first], rows):
            yield row, _not_empty(row.get(column))
        return
    if name is not None:
        raise UsageError(f"--input names one column; this task reads {' and '.join(fields)}")
    for field in fields:
        _rows.choose_column(path, first, field)
    for row in chain([first], rows):
        yield row, {field: row.get(field) for field in fields}


def _not_empty(given: Any) -> Any:
    # An empty cell is something that is missing, and a label for it would be made up.
    if given is None or given == "" or (isinstance(given, str) and given.isspace()):
        return InputError("the text is empty")
    return given


# ── where answers go ───────────────────────────────────────────────────────────────────────────


def _print(answers: Iterator[tuple[Any, Any, Any]], *, as_lines_of_json: bool) -> int:
    from silmu.cli import _words

    failed = 0
    for number, (_, given, found) in enumerate(answers, 1):
        if isinstance(found, InputError):
            failed += 1
            tell(f"error: input {number}: {found if failed == 1 else found.message}")
            if as_lines_of_json:
                answer(_words.as_json({"error": found.message}))
        elif as_lines_of_json:
            answer(_words.as_json(found))
        else:
            answer(_words.as_line(found, given))
    return NO if failed else DONE


def _write(answers: Iterator[tuple[Any, Any, Any]], data: Path, output: Path) -> int:
    from silmu.cli import _rows, _words

    writer = _rows.Writer(output, like=data)
    count = failed = 0
    for row, _, found in answers:
        count += 1
        if isinstance(found, InputError):
            failed += 1
            cells = {"prediction": None, "score": None, "error": found.message}
        else:
            cells = {**_words.as_cells(found), "error": None}
        writer.add({**row, **cells})
    writer.finish()
    answer(str(output))
    if failed:
        tell(
            f"warning: {failed:,} of {count:,} rows could not be answered; "
            "the column `error` says why"
        )
    return NO if failed else DONE
