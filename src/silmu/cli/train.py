"""Learn from your data: all steps up to a model that answers, and how well it does.

  silmu train text-classification --data reviews.csv --input review --target label
  silmu train text-classification --data reviews.csv --network lstm --budget 10m
  silmu train text-classification --data reviews.csv --network probe      minutes, without torch
  silmu train text-classification --data reviews.csv --search 20
  silmu train runs/reviews-text-classification-1     goes on where it was interrupted
  silmu train --config recipes/rotten-tomatoes.toml

The path of the model is what comes out; how well it does beside simple models is told on stderr.
"""

from __future__ import annotations

import argparse
import json
import os

from silmu.cli import DONE, _steps, answer, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A task or a run, and every setting of a run."""
    _steps.add_arguments(parser, "--search")


def run(args: argparse.Namespace) -> int:
    """Does all steps that are not done yet."""
    done = _steps.go(args, "evaluate", search=args.search)
    if int(os.environ.get("RANK", "0")):
        return DONE  # one of several processes, the first of which tells
    report = done.report
    values = report.to_dict()
    if args.json:
        told = {name: values.get(name, {}) for name in ("metrics", "baselines", "seconds")}
        answer(json.dumps({"run": str(done.path), "model": str(done.model), **told}))
        return DONE
    if not args.quiet:
        for line in _steps.findings(report):
            tell(line)
        tell(f"report: {done.path / '5-report' / 'report.html'}")
    answer(str(done.model))
    _steps.tell_next(args, "silmu", "use", done.model, "...")
    return DONE
