"""Do the steps of a run up to the third: a network, and what it will cost on this machine.

  silmu design runs/reviews-text-classification-1
  silmu design text-classification --data reviews.csv --network gru --budget 10m

Tells layers and parameters, memory, the measured time of a step, and the forecast of the whole
training and of one answer. Nothing is trained.
"""

from __future__ import annotations

import argparse
import dataclasses
import json

from silmu.cli import DONE, _steps, answer, tell
from silmu.errors import ModelNotFoundError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A task or a run, and every setting of a run."""
    _steps.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Designs, if that is not done, and tells the network and its cost."""
    from silmu import run as running

    done = _steps.go(args, "prepare")
    if not args.quiet:
        tell("design: building the network and measuring what a step takes")
    # Quiet, for the design is the answer here, and would be told twice.
    done = running.train(done.path, until="design", quiet=True)
    design = done.design
    if design is None:
        raise ModelNotFoundError(f"the run {done.path} has no design")
    if args.json:
        told = dataclasses.asdict(design)
        answer(json.dumps({"run": str(done.path), "design": told}, ensure_ascii=False))
        return DONE
    answer(design.told())
    _steps.tell_next(args, "silmu", "train", done.path)
    return DONE
