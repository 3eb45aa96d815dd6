"""Do the first step of a run: whatever the source is, its rows become a dataset.

  silmu collect text-classification --data reviews.csv --input review --target label
  silmu collect text-classification --data "mail/*.parquet" --output runs/mail
  silmu collect time-series-forecasting --data sales.csv --time day --target sold --group store

The path of the run is what comes out, for `silmu prepare`.
"""

from __future__ import annotations

import argparse
import json

from silmu.cli import DONE, _steps, answer, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A task or a run, and every setting of a run."""
    _steps.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Collects, if that is not done, and tells what there is and what was dropped."""
    is_old = _steps.is_done(args, "1-dataset")
    done = _steps.go(args, "collect")

    from silmu.steps.collect import series
    from silmu.steps.collect.dataset import Dataset

    dataset = Dataset.open(done.path / "1-dataset")
    about, roles = dataset.series, dataset.roles
    dropped = {drop.reason: drop.count for drop in dataset.dropped}
    if args.json:
        told = {
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
            "rows_in": dataset.rows_in,
            "rows": dataset.num_rows,
            "dropped": dropped,
            "input": list(roles.input),
            "target": list(roles.target),
        }
        if about is not None:
            told |= {"group": roles.group, "time": roles.time, "series": about}
        answer(json.dumps({"run": str(done.path), "dataset": told}, ensure_ascii=False))
        return DONE
    if is_old and not args.quiet:
        kept, all_dropped = dataset.num_rows, sum(dropped.values())
        tell(f"collect: {dataset.rows_in:,} rows = {kept:,} kept + {all_dropped:,} dropped")
        for reason, count in dropped.items():
            tell(f"collect: dropped {count:,}: {reason}")
        for line in series.told(dataset) if about is not None else ():
            tell(f"collect: {line}")
    if not args.quiet:
        for role in ("time", "group") if about is not None else ():
            if (name := getattr(roles, role)) is not None:
                tell(f"collect: {role}: {name}")
        for role in ("input", "target"):
            if (names := getattr(roles, role)) or about is None:
                tell(f"collect: {role}: {', '.join(names)}")
    answer(str(done.path))
    _steps.tell_next(args, "silmu", "prepare", done.path)
    return DONE
