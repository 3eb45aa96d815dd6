"""Look at data before anyone pays: what is wrong with it, where, and the cure.

  silmu check text-classification --data reviews.csv --input review --target label
  silmu check tabular-classification --data train.csv --target survived
  silmu check image-classification --data pictures/
  silmu check time-series-forecasting --data sales.csv --time day --target sold --group store
  silmu check reinforcement-learning --data maze.py:Maze
  silmu check tabular-regression --data sales.csv,stores.csv --target amount \\
    --set query="SELECT * FROM sales JOIN stores USING (store)"

Looks for missing values, labels that are misspelt, contradictory or too rare, duplicates, columns
and words that give the label away, damaged letters, rows from the future, and what leaks between
splits that the data gives; in a table also for levels that are written in several ways, numbers
with a text among them, mixed units and outliers; of pictures also for broken and blank ones, wrong
endings, copies that were resized or cut, and labels that the size or the border tells; of series
for gaps, uneven steps, clocks that are put forward, outliers, shifts of the level, zeros and codes
that stand for none, and covariates that hold what is to be told. An environment is tried out
against gymnasium's contract: shapes, types and numbers that are none, exceptions, episodes that
never end, and whether the same seed and actions give the same again. Nothing is changed. The exit
code is 1 if something is wrong; a note leaves it at 0.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import secrets
from typing import TYPE_CHECKING, Any

from silmu import extras, registry, store
from silmu.cli import DONE, NO, _flags, _streams, answer, tell
from silmu.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

OF_SERIES = ("step", "timezone", "aggregate", "known")
"""Settings that series have, as `collect` takes them."""

OF_ENVIRONMENTS = ("kwargs", "max_episode_steps")
"""Settings that environments have, as `collect` takes them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The task, the source, and what its columns are for."""
    parser.add_argument("task", metavar="TASK", help="what is to be learned from the data")
    _flags.add(parser, "--data", "--input", "--target", "--group", "--time", "--set", "--json")


def run(args: argparse.Namespace) -> int:
    """Collects the source into a folder that is thrown away, and looks at it."""
    task = registry.canonical_task(args.task)
    if args.data is None:
        raise UsageError("no data was given", hint=f"`silmu check {task} --data FILE`")
    settings = _flags.settings(args.set)
    from silmu.run import task_class

    kind = task_class(task)
    if kind.rows == "environment":
        return _environment(args, task, settings)
    query = settings.pop("query", None)
    allowed = OF_SERIES if kind.rows == "series" else ()
    for name in settings:
        if name not in allowed:
            told = ", ".join(("query", *allowed))
            raise UnknownNameError(
                f"check has no setting `{name}`; there {'are' if allowed else 'is'} {told}"
            )
    extras.require("data")
    from silmu import graphs
    from silmu.steps.collect import collect
    from silmu.steps.collect.checks import check
    from silmu.steps.collect.image.opening import telling

    folder = graphs.cache_folder().parent / "checks" / secrets.token_hex(8)
    dataset = collect(
        args.data,
        folder,
        kind=kind.rows,
        query=query,
        input=args.input,
        target=args.target,
        group=args.group,
        time=args.time,
        progress=None if args.quiet else telling(tell),
        series=settings or None,
    )
    try:
        findings = check(dataset, kind=kind.rows, answers=kind.answers)
        found = [dataclasses.asdict(finding) for finding in findings]
    finally:
        store.remove(folder)
    count = dataset.rows_in
    answer(json.dumps({"rows": count, "findings": found}) if args.json else _told(count, found))
    return NO if any(one["severity"] == "wrong" for one in found) else DONE


def _environment(args: argparse.Namespace, task: str, settings: dict[str, Any]) -> int:
    """Tries an environment out."""
    for name in ("input", "target", "group", "time"):
        if getattr(args, name) is not None:
            raise UsageError(f"--{name} is of columns; {task} learns from an environment")
    for name in settings:
        if name not in OF_ENVIRONMENTS:
            told = ", ".join(OF_ENVIRONMENTS)
            raise UnknownNameError(f"check has no setting `{name}`; there are {told}")
    extras.require("rl")
    from silmu.steps.collect import environments

    with _streams.only_answers():
        findings = environments.check(args.data, settings=settings)
    found = [dataclasses.asdict(finding) for finding in findings]
    if args.json:
        answer(json.dumps({"environment": args.data, "findings": found}))
    else:
        answer("\n\n".join([f"{args.data}: {_summary(found)}", *map(_paragraph, found)]))
    return NO if any(one["severity"] == "wrong" for one in found) else DONE


def _told(rows: int, found: Sequence[dict[str, Any]]) -> str:
    return "\n\n".join([f"{rows:,} rows: {_summary(found)}", *map(_paragraph, found)])


def _summary(found: Sequence[dict[str, Any]]) -> str:
    wrong = sum(one["severity"] == "wrong" for one in found)
    notes = len(found) - wrong
    return f"{wrong or 'nothing'} wrong, {notes} note{'' if notes == 1 else 's'}"


def _paragraph(finding: dict[str, Any]) -> str:
    lines = [f"{finding['severity'].upper()}  {finding['kind']}", f"  {finding['message']}"]
    if finding["rows"]:
        more = finding["count"] - len(finding["rows"])
        listed = ", ".join(map(str, finding["rows"]))
        lines.append(f"  rows: {listed}{f', and {more:,} more' if more > 0 else ''}")
    lines.append(f"  cure: {finding['cure']}")
    return "\n".join(lines)
