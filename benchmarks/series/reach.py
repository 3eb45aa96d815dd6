"""How far back RNN, LSTM and GRU learn from on real series, and what it is worth.

    python tools/series_data.py --wheels build/wheels build/series     # see compare.py
    python benchmarks/series/reach.py build/series [--seeds 0 1 2]

For each data set and seed, what training leaves in 4-train/gradients.json: from how many steps back
on the gradient of the last state stays below a hundredth of its largest, before and after a short
training of each cell, and the loss that each came to. Writes results/reach-<date>.json, and the
table to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

from compare import DATA, origins, processor

HERE = Path(__file__).resolve().parent
NAMES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    import torch

    from silmu.steps.train.series_gradients import measure

    torch.set_num_threads(args.threads)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.only:
            told, job = origins(name, args, Path(scratch) / name)
            runs: list[dict[str, Any]] = []
            for seed in args.seeds:
                began = time.process_time()
                one = measure(told.prepared, seed=seed)
                one["processor_seconds"] = time.process_time() - began
                for cell in one["cells"].values():
                    for when in ("before", "after"):
                        del cell[when]["gradients"]
                runs.append(one)
                print(name, seed, f"{one['processor_seconds']:.1f} s", file=sys.stderr, flush=True)
            found[name] = {"season": job["season"], "runs": runs}
    date = datetime.now(UTC).date().isoformat()
    result = {
        "date": date,
        "command": "python benchmarks/series/reach.py build/series",
        "machine": {"processor": processor(), "cores": os.cpu_count()},
        "threads": args.threads,
        "data": found,
    }
    output = args.output or HERE / "results" / f"reach-{date}.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))


def table(result: dict[str, Any]) -> str:
    """A line a data set: reaches before and after, losses; means of the seeds, and their range."""
    head = ["series", "steps read", "season"]
    head += [f"{name}, before" for name in NAMES.values()]
    head += [f"{name}, after" for name in NAMES.values()]
    head += [f"loss, {name}" for name in NAMES.values()]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for name, data in result["data"].items():
        runs = data["runs"]
        cells = [name, str(runs[0]["context_length"]), str(data["season"])]
        for when in ("before", "after"):
            for cell in NAMES:
                reaches = [run["cells"][cell][when]["reach"]["hundredth"] for run in runs]
                low, high = min(reaches), max(reaches)
                cells.append(str(low) if low == high else f"{low} to {high}")
        cells += [f"{mean(run['cells'][cell]['loss'] for run in runs):.3f}" for cell in NAMES]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
