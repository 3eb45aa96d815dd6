"""What the verbs of the steps share: options, the run that they work on, a table of metrics."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silmu.cli import _flags, _streams, tell

if TYPE_CHECKING:
    from silmu.run import Run
    from silmu.steps.evaluate.report import Metric, Report

OPTIONS = (
    *("--data", "--input", "--target", "--group", "--time", "--network", "--budget"),
    *("--output", "--config", "--set", "--device", "--dtype", "--seed", "--json"),
)


def add_arguments(parser: argparse.ArgumentParser, *own: str) -> None:
    """A task or a run, every setting of a run, and options that only this verb has."""
    parser.add_argument(
        "task",
        metavar="TASK_OR_RUN",
        nargs="?",
        help="a task such as text-classification; or the folder of a run, which goes on",
    )
    _flags.add(parser, *OPTIONS, *own)


def go(args: argparse.Namespace, until: str, **own: Any) -> Run:
    """The steps up to one of them; those that are done are passed over.

    Args:
        args: what the shared options were given.
        until: the last step.
        own: what other options were given, by the names of `silmu.train`.
    """
    from silmu import run

    with _streams.only_answers():
        return run.train(
            args.task,
            data=args.data,
            input=args.input,
            target=args.target,
            group=args.group,
            time=args.time,
            network=args.network,
            budget=args.budget,
            output=args.output,
            config=args.config,
            device=args.device,
            dtype=args.dtype,
            seed=args.seed,
            settings=_flags.settings(args.set),
            until=until,
            quiet=args.quiet,
            **own,
        )


def is_done(args: argparse.Namespace, folder: str) -> bool:
    """Whether a step of the run was done before, so that nobody tells of it but the verb."""
    return args.task is not None and Path(args.task, folder).exists()


def tell_next(args: argparse.Namespace, *command: str | Path) -> None:
    """The command to type now."""
    if not args.quiet:
        tell(f"next: {shlex.join(map(str, command))}")


def table(report: Report) -> list[str]:
    """The metrics of a model beside those of the baselines, with their intervals.

    >>> from silmu.steps.evaluate.report import Report
    >>> accuracy = {"value": 0.91, "low": 0.88, "high": 0.93, "n": 500}
    >>> table(Report({"metrics": {"accuracy": accuracy}}))
    ['          model', 'accuracy  0.910 (0.880 to 0.930)']
    """
    columns: dict[str, Mapping[str, Metric]] = {"model": report.metrics, **report.baselines}
    rows = [["", *columns]]
    for name in report.metrics:
        cells = [str(column[name]) if name in column else "-" for column in columns.values()]
        rows.append([name, *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def findings(report: Report) -> list[str]:
    """The table, and the sentences that belong to it."""
    sentence = report.comparison.get("sentence")
    return [
        *(table(report) if report else ["nothing is judged: the data does not tell what is true"]),
        *([sentence] if sentence else []),
        *(f"note: {warning}" for warning in report.warnings),
    ]
