"""Do the first step of a run: whatever the source is, its rows become a dataset.

  silmu collect text-classification --data reviews.csv --input review --target label
  silmu collect text-classification --data "mail/*.parquet" --output runs/mail
  silmu collect time-series-forecasting --data sales.csv --time day --target sold --group store

The path of the run is what comes out, for `silmu prepare`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from silmu.cli import DONE, _steps, answer, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A task or a run, and every setting of a run."""
    _steps.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Collects, if that is not done, and tells what there is and what was dropped."""
    is_old = _steps.is_done(args, "1-dataset")
    done = _steps.go(args, "collect")

    from silmu.run import task_class

    dataset = task_class(done.task).open_dataset(done.path)
    if args.json:
        told = {"run": str(done.path), "dataset": dataset.facts()}
        answer(json.dumps(told, ensure_ascii=False))
        return DONE
    if not args.quiet:
        lines = [*(dataset.lines() if is_old else ()), *_roles(dataset)]
        for line in lines:
            tell(f"collect: {line}")
    answer(str(done.path))
    _steps.tell_next(args, "silmu", "prepare", done.path)
    return DONE


def _roles(dataset: Any) -> Iterator[str]:
    """Which columns are what, where there are any."""
    facts = dataset.facts()
    for role in ("time", "group", "input", "target"):
        if named := facts.get(role):
            yield f"{role}: {named if isinstance(named, str) else ', '.join(named)}"
