"""Answer with a model: texts, pictures, lines of stdin, or the rows of a file.

  silmu use MODEL "I love this"                     one line for each text
  cat reviews.txt | silmu use MODEL - --json        answers while it reads; with
                                                    --set batch_size=1 each line at once
  silmu use MODEL --data a.csv --output b.csv       the same rows, with `prediction` beside them
  silmu use MODEL --data big.parquet --output scored.parquet
  silmu use MODEL '{"question": "Who?", "context": "It was Kim."}'

A task with several inputs takes one JSON object for each, or columns of their names. So does a
model of tables, which reads a CSV from stdin too:

  silmu use MODEL '{"age": 29, "sex": "female"}'
  cat test.csv | silmu use MODEL - --json           its first line names the columns
  silmu use MODEL --data test.csv --output scored.csv

A model of pictures takes paths, one a line of stdin, a folder, or a table with a column of paths,
which begin in the folder of the table:

  silmu use MODEL photo.jpg other.png
  find photos -name '*.jpg' | silmu use MODEL -
  silmu use MODEL --data photos/ --output scored.csv

A model of series takes a file of histories, and tells the steps after their ends: columns `series`,
where there are several, `time`, `mean` and the quantiles. --time, --target and --group name columns
that are called otherwise than in training; rows at the end without a target, or the file that
--set future=FILE names, hold what is known ahead:

  silmu use MODEL --data history.csv --output forecast.csv --set prediction_length=14
  silmu use MODEL - < history.csv                   a line of JSON for each series
  silmu use MODEL '[112, 118, 132, 129]'

A policy takes observations, one a line, or acts in an environment by itself:

  silmu use MODEL '[0.01, -0.02, 0.03, 0.04]'
  silmu use MODEL --env CartPole-v1 --episodes 5 --video out.webp
  silmu use MODEL --env Pendulum-v1 --set 'kwargs={"g": 5.0}' --set max_episode_steps=100

The environment is made as training has it made; --set fresh=true makes a new one for each episode.

A cell that looks like none of the training is told in `flags`, beside the answer; --set odd=error
refuses its row instead, and odd=impute takes it for missing.

Files are .csv, .tsv, .jsonl, .json or .parquet, the first three also packed as .gz; they may be
larger than memory. What was killed goes on where it was when the same command is given again. Only
a file of answers is written over: any other that is there is left, and the command refused.

A CSV keeps its separator, and the mark at its beginning if it has one; numbers of answers have a
decimal point, and letters are UTF-8 with that mark where the file was CP949, which Excel reads.

--dtype auto measures once what this machine can do, and takes the quickest that stays near fp32;
-v shows what was measured, and `--set engine=openvino --dtype bf16` names a choice. How near is
--set max_drift=0.02, for scores, or how much worse a metric may be on rows with the truth beside
them, of which 1,000 are asked at most:

  silmu use MODEL --data new.csv --output out.csv --dtype auto -v \\
      --set labelled=dev.csv --set target=label --set metric=accuracy --set max_loss=0.005

The exit code is 1 if an input could not be answered; the others are answered all the same.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silmu.cli import DONE, NO, _environments, _flags, _words, answer, tell
from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    from silmu.cli import _scoring
    from silmu.cli._asked import Asked
    from silmu.cli._rows import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, what it is to answer, and how."""
    parser.add_argument("model", metavar="MODEL", help="a folder, or an id on the hub")
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="what to answer; `-` reads lines")
    _flags.add(
        parser,
        *("--task", "--data", "--input", "--target", "--group", "--time", "--output", "--set"),
        *("--revision", "--device", "--dtype", "--seed", "--json"),
        *("--env", "--episodes", "--video"),
    )


def run(args: argparse.Namespace) -> int:
    """Answers all that is given, in its order."""
    _check(args)
    settings = _flags.settings(args.set)
    if args.env is not None:
        return _environments.play(args, settings, opened)
    if args.data is None:
        asked = opened(args, settings)
        return _print(args, _each(asked, asked.of_texts(args.texts)), asked)

    from silmu.cli import _outputs, _rows

    typed = args.output is not None and _outputs.check(Path(args.output))
    query = settings.pop("query", None)
    # The model says how a folder is read. Else it is opened last, for it may have to be fetched.
    asked = opened(args, settings) if _rows.is_folder(args.data) else None
    pictures = asked is not None and asked.pipe.rows == "image"
    with closing(
        _rows.open_source(args.data, query=query, typed=typed, pictures=pictures)
    ) as source:
        source.first()
        asked = asked or opened(args, settings)
        if args.output is not None:
            return _score(args, asked, source)
        asked.expect(source)
        return _print(args, _each(asked, asked.of_source(source)), asked)


def opened(args: argparse.Namespace, settings: dict[str, Any]) -> Asked:
    """The pipeline, and how it is asked.

    Args:
        args: task, model, revision, device, dtype, seed and input as the flags have them.
        settings: of `--set`; what is for the model is taken out.
    """
    import silmu
    from silmu import registry
    from silmu.cli._images import Images
    from silmu.cli._observations import Observations
    from silmu.cli._series import Series
    from silmu.cli._table import Table
    from silmu.cli._texts import Texts
    from silmu.runtime import dtypes

    device = int(args.device) if (args.device or "").lstrip("-").isdecimal() else args.device
    pipe = silmu.pipeline(
        args.task,
        args.model,
        revision=args.revision,
        device=None if device == "auto" else device,
        dtype=args.dtype,
        model_kwargs={k: settings.pop(k) for k in ("engine", *dtypes.BOUNDS) if k in settings},
    )
    if args.seed is not None:
        silmu.set_seed(args.seed)
    names = {name: getattr(args, name, None) for name in ("time", "target", "group")}
    if pipe.rows != "series" and (given := [name for name in names if names[name] is not None]):
        raise UsageError(
            f"--{given[0]} names `{names[given[0]]}`; it is for models of series, and this one is "
            f"for {pipe.task}",
            hint="leave it out",
        )
    if pipe.rows == "table":
        return Table(pipe, settings, args.input)
    if pipe.rows == "image":
        return Images(pipe, settings, args.input)
    if pipe.rows == "series":
        return Series(pipe, settings, names, args.input)
    if pipe.rows == "environment":
        return Observations(pipe, settings, data=getattr(args, "data", None))
    declared = registry.pipelines().get(pipe.task)
    fields = tuple(declared.constants.get("FIELDS", ())) if declared else ()
    return Texts(pipe, settings, fields, args.input)


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


def _each(asked: Asked, inputs: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any, Any]]:
    """Inputs with their answers; of series, what comes is answered already."""
    if asked.pipe.rows == "series":
        return ((shown, found, found) for shown, found in inputs)
    return each(asked.pipe, inputs, asked.settings)


def _alone(pipe: Any, given: Any, settings: dict[str, Any]) -> Any:
    try:
        return next(iter(pipe(iter([given]), **settings)))
    except InputError as error:
        return error


def _check(args: argparse.Namespace) -> None:
    _environments.check(args)
    if args.env is not None:
        return
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


# ── where answers go ───────────────────────────────────────────────────────────────────────────


def _print(args: argparse.Namespace, answers: Iterator[tuple[Any, Any, Any]], asked: Asked) -> int:
    from silmu.cli import _cells

    failed = 0
    for number, (shown, _, answered) in enumerate(answers, 1):
        found = asked.judged(answered)
        if isinstance(found, InputError):
            failed += 1
            tell(f"error: input {number}: {found if failed == 1 else found.message}")
            if args.json:
                answer(_words.as_json({"error": found.message}))
        elif args.json or asked.tells_json:
            answer(_words.as_json(found))
        else:
            answer(_words.as_line(found, shown))
            for flag in _cells.flags_of(found) if not args.quiet else ():
                tell(f"warning: input {number}: {flag}")
    return NO if failed else DONE


def _score(args: argparse.Namespace, asked: Asked, source: Source) -> int:
    import silmu
    from silmu.cli import _existing, _outputs, _scoring
    from silmu.cli._cells import cells_of
    from silmu.cli._progress import Progress

    path = Path(args.output)
    if path.exists() and Path(args.data).exists() and path.samefile(args.data):
        raise UsageError(f"`{path}` is both --data and --output", hint="give the output a new name")
    source = asked.turned(source)
    first = source.first() or {}
    cells = cells_of(asked.pipe, asked.settings)
    settings = {**asked.settings, **cells.settings}
    own = {*asked.reads} & {*source.names(_scoring.TABLE_GROUP)}
    cells = cells.beside(own)
    source.reserve(cells.columns)
    _existing.check(path, cells.columns)
    asked.expect(source)
    source = asked.seen(source)
    size = asked.rows_at_once(len(first))

    is_warm = False

    def answers(inputs: Any, start: int) -> list[Any]:
        nonlocal is_warm
        for one in asked.alone(inputs) if not is_warm else ():
            # The first run of a session computes with weights that are not packed yet, which the
            # last bits of its answer show: so none that is kept may be of a first run.
            is_warm = not isinstance(asked.answered(one, settings)[0], InputError)
            if is_warm:
                break
        if args.seed is not None:  # so that a row draws the same wherever the work was taken up
            silmu.set_seed(args.seed + start)
        return asked.answered(inputs, settings)

    count, failed = _scoring.score(
        source,
        source.blocks(size),
        _scoring.Job(asked.given, answers, cells.of, _made(args, asked.pipe, size)),
        _outputs.open_output(path, source, first, cells.columns),
        path,
        Progress(quiet=args.quiet),
    )
    answer(str(path))
    if failed:
        tell(
            f"warning: {failed:,} of {count:,} rows could not be answered; "
            f"the column `{cells.names['error']}` says why"
        )
    return NO if failed else DONE


def _made(args: argparse.Namespace, pipe: Any, size: int) -> _scoring.Made:
    """What every answer depends on."""
    import hashlib

    import silmu
    from silmu.cli import _rows
    from silmu.runtime import hub

    folder = pipe.model.folder
    model: dict[str, str] = {}
    for name in sorted({*hub.used_files(folder)}):
        with folder.file(name).open("rb") as file:
            model[name] = hashlib.file_digest(file, "sha256").hexdigest()
    named = ("input", "time", "target", "group", "device", "dtype", "seed")
    asked = {f"--{name}": getattr(args, name) for name in named}
    kind = {"--task": pipe.task, "--output": "".join(Path(args.output).suffixes[-2:])}
    return {
        "source": _rows.fingerprint(args.data),
        "model": model,
        "settings": {
            **{**kind, **asked, **_flags.settings(args.set)},
            **{"rows at once": size, "silmu": silmu.__version__},
        },
    }
