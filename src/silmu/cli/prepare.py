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

    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.prepare.prepared import Prepared

    prepared = Prepared.open(done.path / "2-prepared", Dataset.open(done.path / "1-dataset"))
    if args.json:
        told = {
            "kind": prepared.kind,
            "labels": list(prepared.labels),
            "counts": prepared.counts,
            "moved": prepared.moved,
            "max_length": prepared.max_length,
        }
        answer(json.dumps({"run": str(done.path), "prepared": told}, ensure_ascii=False))
        return DONE
    if is_old and not args.quiet:
        counts = ", ".join(f"{count:,} {split}" for split, count in prepared.counts.items())
        tell(f"prepare: {counts}; {prepared.moved:,} duplicates kept with their first")
    if not args.quiet:
        if prepared.labels:
            more = f" and {len(prepared.labels) - 12} more" if len(prepared.labels) > 12 else ""
            tell(f"prepare: labels ({prepared.kind}): {', '.join(prepared.labels[:12])}{more}")
        if prepared.max_length:
            tell(f"prepare: texts are read up to {prepared.max_length:,} tokens")
    answer(str(done.path))
    _steps.tell_next(args, "silmu", "design", done.path)
    return DONE
