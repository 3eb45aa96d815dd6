"""How well each network of silmu tells a short series, by the backtest that its report shows.

    pip download --no-deps --dest build/wheels vega_datasets bokeh_sampledata statsmodels
    python tools/series_data.py --wheels build/wheels build/series
    python benchmarks/series/backtest.py build/series/elec_equip.csv --target turnover

Trains every network with each seed as `silmu train` does by itself, with no setting but these, and
writes results/backtest-<date>.json and a table to stdout: errors and bands over all parts of time,
each told by a network that saw only what lies before it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from compare import HERE, NETWORKS, processor, versions

import silmu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--target", required=True)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    date = datetime.now(UTC).date().isoformat()
    output = args.output or HERE / "results" / f"backtest-{date}.json"
    result: dict[str, Any] = {
        "date": date,
        "command": f"python benchmarks/series/backtest.py {args.data} --target {args.target}",
        "machine": {"processor": processor(), "cores": os.cpu_count()},
        "versions": versions(None),
        "networks": {},
    }
    with tempfile.TemporaryDirectory() as scratch:
        for network in args.networks:
            own = result["networks"][network] = {}
            for seed in args.seeds:
                place = Path(scratch) / f"{network}-{seed}"
                own[str(seed)] = measured(args.data, args.target, network, seed, place)
                print(network, seed, own[str(seed)]["comparison"]["sentence"], file=sys.stderr)
                output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))


def measured(data: Path, target: str, network: str, seed: int, folder: Path) -> dict[str, Any]:
    """What the report of one run says."""
    run = silmu.train(
        "time-series-forecasting",
        data=data,
        target=target,
        network=network,
        seed=seed,
        output=folder,
        quiet=True,
    )
    report = json.loads((folder / "5-report" / "metrics.json").read_bytes())
    return {
        "metrics": report["metrics"],
        "baselines": report["baselines"],
        "comparison": report["comparison"],
        "parts": report["details"]["series"]["parts"],
        "seconds": run.seconds["train"],
    }


def table(result: dict[str, Any]) -> str:
    """A line a network, figures as means over its seeds."""
    lines = [
        "| network | MAE | last season | ETS | better than the last season by | 80 % holds "
        "| training |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for network, seeds in result["networks"].items():
        runs = list(seeds.values())
        error, last, smooth, held = (
            np.mean([value(run) for run in runs])
            for value in (
                lambda run: run["metrics"]["mean_absolute_error"]["value"],
                lambda run: run["baselines"]["seasonal_naive"]["mean_absolute_error"]["value"],
                lambda run: run["baselines"]["ets"]["mean_absolute_error"]["value"],
                lambda run: run["metrics"]["interval_coverage"]["value"],
            )
        )
        against = [run["comparison"] for run in runs]
        by = [f"{one['difference']:.2f} ({one['low']:.2f} to {one['high']:.2f})" for one in against]
        seconds = np.mean([run["seconds"] for run in runs])
        lines.append(
            f"| {network} | {error:.3g} | {last:.3g} | {smooth:.3g} | {'; '.join(by)} "
            f"| {held:.0%} | {seconds:.0f} s |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
