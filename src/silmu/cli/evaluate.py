"""Tell how well a model answers: on the sealed test split of its run, or on new data.

  silmu evaluate runs/reviews-text-classification-1/4-model
  silmu evaluate runs/reviews-text-classification-1/4-model --data newer.csv
  silmu evaluate MODEL --data newer.csv --set fail_under=accuracy:0.8,f1_macro:0.75
  silmu evaluate MODEL --data Pendulum-v1 --set 'kwargs={"g": 5.0}' --set max_episode_steps=500

With `fail_under` the exit code is 1 if a metric is below what is asked of it.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from silmu.cli import DONE, NO, _flags, _steps, _streams, answer, tell
from silmu.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from silmu.steps.evaluate.report import Report

SETTINGS = ("fail_under", "query")
OF_ENVIRONMENTS = ("kwargs", "max_episode_steps", "deterministic")
"""Settings of an environment that --data names, as training takes them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, and the data if it is other than the test split."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, or the folder of its run")
    _flags.add(parser, "--data", "--input", "--target", "--output", "--set", "--json")


def run(args: argparse.Namespace) -> int:
    """Evaluates, tells, and compares with what is asked of the metrics."""
    settings = _flags.settings(args.set)
    known = (*SETTINGS, *OF_ENVIRONMENTS)
    if unknown := [name for name in settings if name not in known]:
        raise UnknownNameError(
            f"evaluate has no setting `{unknown[0]}`; there are {', '.join(known)}"
        )
    floors = _floors(settings.get("fail_under"))

    from silmu import run as running

    with _streams.only_answers():
        report = running.evaluate(
            args.model,
            data=args.data,
            query=settings.get("query"),
            input=args.input,
            target=args.target,
            output=args.output,
            settings={name: settings[name] for name in OF_ENVIRONMENTS if name in settings},
            quiet=args.quiet,
        )
    below = _below(report, floors)
    values = report.to_dict()
    if args.json:
        told = {name: values.get(name, {}) for name in ("metrics", "baselines", "seconds")}
        answer(json.dumps({"model": args.model, **told}))
    else:
        for line in _steps.findings(report):
            answer(line)
    if report.path is not None:
        tell(f"report: {report.path / 'report.html'}")
    for line in below:
        tell(line)
    return NO if below else DONE


def _floors(given: Any) -> dict[str, float]:
    """What is asked of each metric.

    >>> _floors("accuracy:0.8,f1_macro:0.75")
    {'accuracy': 0.8, 'f1_macro': 0.75}
    """
    floors: dict[str, float] = {}
    for pair in str(given).split(",") if given is not None else []:
        name, _, text = pair.strip().rpartition(":")
        try:
            floors[name] = float(text)
        except ValueError:
            name = ""
        if not name:
            raise UsageError(
                f"fail_under is {given!r}; it must be METRIC:NUMBER, with commas between several",
                hint="such as --set fail_under=accuracy:0.8",
            )
    return floors


def _below(report: Report, floors: dict[str, float]) -> list[str]:
    from silmu.steps.evaluate.metrics import LOWER_IS_BETTER

    if wrong := [name for name in floors if name in LOWER_IS_BETTER]:
        raise UsageError(f"{wrong[0]} is the better the lower, so fail_under cannot be asked of it")
    return [
        f"{name} is {report[name]}, and {floor} is asked of it"
        for name, floor in floors.items()
        if report[name].value < floor
    ]
