"""Answer with a model: texts, lines of stdin, or the rows of a file.

  silmu use MODEL "I love this"                     one line for each text
  cat reviews.txt | silmu use MODEL - --json        answers while it reads; with
                                                    --set batch_size=1 each line at once
  silmu use MODEL --data a.csv --output b.csv       the same rows, with `prediction` beside them
  silmu use MODEL --data big.parquet --output scored.parquet
  silmu use MODEL '{"question": "Who?", "context": "It was Kim."}'

A task with several inputs takes one JSON object for each, or columns of their names.
Files are .csv, .tsv, .jsonl, .json or .parquet, the first three also packed as .gz; they may be
larger than memory. What was killed goes on where it was when the same command is given again.

--dtype fastest measures once what this machine can do, and takes the quickest that stays near fp32;
-v tells what that was, and `--set engine=openvino --dtype bf16` names it.
The exit code is 1 if an input could not be answered; the others are answered all the same.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from silmu.cli import DONE, NO, _flags, _words, answer, tell
from silmu.errors import InputError, InvalidModelError, UsageError

if TYPE_CHECKING:
    from silmu.cli import _scoring
    from silmu.cli._rows import Block, Row, Source


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
    if args.data is None:
        pipe, fields = _opened(args, settings)
        answers = each(pipe, _from_texts(args.texts, fields), settings)
        return _print(answers, as_lines_of_json=args.json)

    from silmu.cli import _outputs, _rows

    typed = args.output is not None and _outputs.check(Path(args.output))
    query = settings.pop("query", None)
    with closing(_rows.open_source(args.data, query=query, typed=typed)) as source:
        first = source.first()  # before a model is opened, which may have to be fetched
        pipe, fields = _opened(args, settings)
        given = _reader(pipe, source, first, fields, args.input)
        if args.output is not None:
            return _score(args, pipe, source, first or {}, given, settings)
        inputs = (one for block in source.blocks(1) for one in given(block))
        answers = each(pipe, ((one, one) for one in inputs), settings)
        return _print(answers, as_lines_of_json=args.json)


def _opened(args: argparse.Namespace, settings: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """The pipeline, and the names of its inputs where each is an object.

    What of the settings is for opening it is taken from them.
    """
    import silmu
    from silmu import registry

    device = int(args.device) if (args.device or "").lstrip("-").isdecimal() else args.device
    pipe = silmu.pipeline(
        args.task,
        args.model,
        revision=args.revision,
        device=None if device == "auto" else device,
        dtype=args.dtype or "auto",
        model_kwargs={k: settings.pop(k) for k in ("engine", "max_drift") if k in settings},
    )
    if args.seed is not None:
        silmu.set_seed(args.seed)
    declared = registry.pipelines().get(pipe.task)
    return pipe, tuple(declared.constants.get("FIELDS", ())) if declared else ()


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


def _reader(
    pipe: Any, source: Source, first: Row | None, fields: tuple[str, ...], name: str | None
) -> Callable[[Block], list[Any]]:
    """What takes from rows that which is asked; the columns it takes are settled here."""
    from silmu.cli import _rows

    if fields and name is not None:
        raise UsageError(f"--input names one column; this task reads {' and '.join(fields)}")
    keys, columns = fields, list(fields)
    if first is None:
        columns = columns or [""]  # of no rows, nothing is asked
    elif not fields:
        columns = _columns(pipe, source, first, name)
        keys = ("text", "text_pair") if len(columns) > 1 else ()
    else:
        for field in fields:
            _rows.choose_column(source.name, first, field)

    def given(block: Block) -> list[Any]:
        values = [block.values(column) for column in columns]
        if not keys:
            return [_not_empty(value) for value in values[0]]
        return [dict(zip(keys, row, strict=True)) for row in zip(*values, strict=True)]

    return given


def _columns(pipe: Any, source: Source, first: Row, name: str | None) -> list[str]:
    """The column that is answered, or the two of a task on pairs of texts."""
    from silmu.cli import _rows
    from silmu.runtime.processor import Processor

    trained = Processor.open(pipe.model.folder)
    names = [name] if name is None or name in first else name.split(",")
    if name is None and trained is not None:
        names = list(trained.inputs)
        if missing := [column for column in names if column not in first]:
            raise UsageError(
                f"the model was trained on the column `{missing[0]}`, which `{source.name}` has "
                f"not; it has {', '.join(f'`{column}`' for column in first)}",
                hint="name the column that holds the same: --input COLUMN",
            )
    columns = [_rows.choose_column(source.name, first, column) for column in names]
    if len(columns) > (most := 2 if trained is None else len(trained.inputs)):
        raise UsageError(f"--input names {' and '.join(columns)}; the model reads {most} at most")
    _check_schema(pipe, source, first, columns)
    return columns


def _check_schema(pipe: Any, source: Source, first: Row, columns: list[str]) -> None:
    """Compares the columns with those of the training, where the model folder knows them."""
    from silmu.runtime.schema import Schema

    schema = Schema.open(pipe.model.folder)
    if schema is None:
        return
    types: dict[str, str] = {}
    for one, column in zip(schema.inputs, columns, strict=False):
        if source.schema is not None:
            types[one.name] = str(source.schema.field(column).type)
        else:
            value = first[column]
            types[one.name] = "str" if value is None else type(value).__name__
    for warning in schema.check(types):
        logging.getLogger("silmu").warning("%s", warning)


def _not_empty(given: Any) -> Any:
    # An empty cell is something that is missing, and a label for it would be made up.
    if given is None or given == "" or (isinstance(given, str) and given.isspace()):
        return InputError("the text is empty")
    return given


# ── where answers go ───────────────────────────────────────────────────────────────────────────


def _print(answers: Iterator[tuple[Any, Any, Any]], *, as_lines_of_json: bool) -> int:
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


def _score(
    args: argparse.Namespace,
    pipe: Any,
    source: Source,
    first: Row,
    given: Callable[[Block], list[Any]],
    settings: dict[str, Any],
) -> int:
    import silmu
    from silmu.cli import _outputs, _scoring
    from silmu.cli._progress import Progress

    path = Path(args.output)
    if path.exists() and Path(args.data).exists() and path.samefile(args.data):
        raise UsageError(f"`{path}` is both --data and --output", hint="give the output a new name")
    if is_number := _is_number(pipe):
        cells = _number
    elif (thresholds := _thresholds(pipe)) and not {"top_k", "return_all_scores"} & {*settings}:
        settings |= {"top_k": None}
        cells = partial(_labels, thresholds=thresholds)
    elif pipe.gives_lists or settings.get("multi_label") or settings.get("multi_class"):
        cells = _words.as_list
    else:
        cells = _words.as_cells
    size = _scoring.SLOW_GROUP if hasattr(pipe, "generation_config") else _scoring.GROUP

    is_warm = False

    def answers(inputs: list[Any], start: int) -> list[Any]:
        nonlocal is_warm
        for one in inputs if not is_warm else ():
            # The first run of a session computes with weights that are not packed yet, which the
            # last bits of its answer show: so none that is kept may be of a first run.
            is_warm = not isinstance(_scoring.answered(pipe, [one], settings)[0], InputError)
            if is_warm:
                break
        if args.seed is not None:  # so that a row draws the same wherever the work was taken up
            silmu.set_seed(args.seed + start)
        return _scoring.answered(pipe, inputs, settings)

    def told(found: Any) -> dict[str, Any]:
        if isinstance(found, InputError):
            return {"prediction": None, "score": None, "error": found.message}
        return {**cells(found), "error": None}

    job = _scoring.Job(
        given,
        answers,
        told,
        _made(args, pipe, settings, size),
    )
    count, failed = _scoring.score(
        source,
        source.blocks(size),
        job,
        _outputs.open_output(path, source, first, numbers=is_number),
        path,
        Progress(quiet=args.quiet),
    )
    answer(str(path))
    if failed:
        tell(
            f"warning: {failed:,} of {count:,} rows could not be answered; "
            "the column `error` says why"
        )
    return NO if failed else DONE


def _made(
    args: argparse.Namespace, pipe: Any, settings: dict[str, Any], size: int
) -> _scoring.Made:
    """What every answer depends on."""
    import hashlib

    import silmu
    from silmu.cli import _rows
    from silmu.runtime import hub

    folder = pipe.model.folder
    names = {*hub.used_files(folder), *filter(folder.has, ("processor.json", "schema.json"))}
    model: dict[str, str] = {}
    for name in sorted(names):
        with folder.file(name).open("rb") as file:
            model[name] = hashlib.file_digest(file, "sha256").hexdigest()
    asked = {f"--{name}": getattr(args, name) for name in ("input", "device", "dtype", "seed")}
    kind = {"--task": pipe.task, "--output": "".join(Path(args.output).suffixes[-2:])}
    return {
        "source": _rows.fingerprint(args.data),
        "model": model,
        "settings": {
            **{**kind, **asked, **settings},
            **{"rows at once": size, "silmu": silmu.__version__},
        },
    }


def _is_number(pipe: Any) -> bool:
    config = pipe.model.config
    is_regression = config.problem_type == "regression" and config.num_labels == 1
    return pipe.task == "text-classification" and is_regression


def _number(found: Any) -> dict[str, Any]:
    record = cast("Any", found[0] if isinstance(found, list) else found)
    return {"prediction": record["score"], "score": None}


def _thresholds(pipe: Any) -> dict[str, float]:
    """From where on each label is given, for a model that gives any number of them."""
    thresholds: tuple[float, ...] | None = getattr(pipe, "thresholds", None)
    if not thresholds:
        return {}
    labels: dict[int, str] = pipe.model.config.id2label
    if len(thresholds) != len(labels):
        raise InvalidModelError(
            f"processor.json of `{pipe.model.name_or_path}` has {len(thresholds)} thresholds, and "
            f"config.json {len(labels)} labels"
        )
    return {labels[i]: threshold for i, threshold in enumerate(thresholds)}


def _labels(found: list[dict[str, Any]], thresholds: dict[str, float]) -> dict[str, Any]:
    labels = [one["label"] for one in found if one["score"] >= thresholds[one["label"]]]
    return {"prediction": labels, "score": None}
