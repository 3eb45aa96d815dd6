"""Do the steps of a run up to the second: sealed splits, and what the network reads.

  silmu prepare runs/reviews-text-classification-1
  silmu prepare text-classification --data reviews.csv --group movie --set test=0.2

The path of the run is what comes out, for `silmu design`.
"""

from __future__ import annotations

import argparse
import json

from silmu.cli import DONE, _steps, answer, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A task or a run, and every setting of a run."""
    _steps.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Prepares, if that is not done, and tells how the rows were split."""
    is_old = _steps.is_done(args, "2-prepared")
    done = _steps.go(args, "prepare")

    from silmu.run import task_class

    prepared = task_class(done.task).open_prepared(done.path)
    if args.json:
        told = {"run": str(done.path), "prepared": prepared.facts()}
        answer(json.dumps(told, ensure_ascii=False))
        return DONE
    if not args.quiet:
        # What a step has just told is not told again.
        for line in prepared.lines() if is_old else prepared.lines()[1:]:
            tell(f"prepare: {line}")
    answer(str(done.path))
    _steps.tell_next(args, "silmu", "design", done.path)
    return DONE
