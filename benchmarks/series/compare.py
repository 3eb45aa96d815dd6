"""Forecasts of silmu, NeuralForecast and ETS side by side: the same series, steps and origins.

    pip install '.[train]'
    python -m venv OTHER; OTHER/bin/pip install torch==2.13.0 neuralforecast==3.3.0 statsforecast
    pip download --no-deps --dest build/wheels vega_datasets bokeh_sampledata statsmodels
    python tools/series_data.py --wheels build/wheels build/series
    python benchmarks/series/compare.py build/series --peer OTHER/bin/python

silmu cuts each data set by time and decides how many steps are read, how many are told and from
which origins of the test part. Every network learns from the same values before the test, watches
the same validation part, and tells the same steps of the same origins. NeuralForecast and
statsforecast run in a process of their own (`peer.py`) with their own defaults, three minutes of
each thread's processor time at most. The libraries take turns. What is told is judged here by the
same lines, and whether two differ by resampling blocks of origins. Processor time is what a quiet
machine would take: of silmu for all steps up to the model folder, of the others for fitting alone.
Writes results/<date>.json after each training, where a later call goes on, and the tables to
stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tables import tables

HERE = Path(__file__).resolve().parent
NETWORKS = ("rnn", "lstm", "gru", "tcn", "patchtst", "transformer", "dlinear")
LEVELS = np.arange(1, 10) / 10
SECONDS = 180
RESAMPLES = 2000

DATA: dict[str, dict[str, Any]] = {
    "seattle-weather": {"target": "temp_max"},
    # Its clock was set back once, so that three times are there twice.
    "glucose": {"target": "glucose", "settings": {"aggregate": "last"}},
    "stocks": {"target": "close"},
    "co2": {"target": "co2"},
    "elec_equip": {"target": "turnover"},
}


class Told(NamedTuple):
    """Windows of the test part, and what came."""

    prepared: Any
    tracks: Any
    which: NDArray[np.int64]
    ends: NDArray[np.int64]
    moments: NDArray[np.int64]
    came: NDArray[np.float64]
    """(windows, steps), NaN where nothing was observed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", type=Path, help="python that has neuralforecast")
    parser.add_argument("--only", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of a training of the peer")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path)
    parser.add_argument("--keep", type=Path, help="where answers of the peer lie, and are reused")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    args = parser.parse_args()
    date = datetime.now(UTC).date().isoformat()
    output = args.output or HERE / "results" / f"{date}.json"
    result: dict[str, Any] = json.loads(output.read_bytes()) if output.exists() else {"data": {}}
    if not args.table:
        result |= {
            "date": date,
            "command": "python benchmarks/series/compare.py build/series --peer OTHER/bin/python",
            "machine": {"processor": processor(), "cores": os.cpu_count()},
            "threads": args.threads,
            "seconds": args.seconds,
            "versions": versions(args.peer),
        }
        with tempfile.TemporaryDirectory() as scratch:
            for name in args.only:
                measure(name, args, Path(scratch), result, output)
    print(tables(result))


def measure(
    name: str, args: argparse.Namespace, scratch: Path, result: dict[str, Any], output: Path
) -> None:
    """All forecasters of one data set, the libraries in turns."""
    told, job = origins(name, args, scratch / name)
    job["seconds"] = args.seconds
    found = result["data"].setdefault(name, {"networks": {}, "baselines": {}})
    found |= {key: job[key] for key in ("context_length", "prediction_length", "season")}
    found |= {"windows": len(told.which), "series": len(told.tracks)}
    others = found["baselines"]
    for one, lag in (("naive", 1), ("seasonal_naive", job["season"])):
        if lag > 1 or one == "naive":
            others[one] = judged(told, np.repeat(repeated(told, lag)[..., None], 9, -1))
    if args.peer and "ets" not in others:
        others["ets"] = peer(name, told, {**job, "network": "ets", "seed": 0}, args, scratch)
        save(result, output)
    for network in args.networks:
        for seed in args.seeds:
            runs = found["networks"].setdefault(network, {}).setdefault(str(seed), {})
            turns = ["silmu", "neuralforecast"] if args.peer else ["silmu"]
            for library in turns if seed % 2 == 0 else turns[::-1]:
                if library in runs:
                    continue
                now = {**job, "network": network, "seed": seed}
                runs[library] = (
                    own(name, told, now, args, scratch)
                    if library == "silmu"
                    else peer(name, told, now, args, scratch)
                )
                print(name, network, seed, library, brief(runs[library]), file=sys.stderr)
            if len(runs) >= 2 and "difference" not in runs:
                runs["difference"] = difference(told, runs["silmu"], runs["neuralforecast"])
            for one in runs.values():
                one.pop("errors", None)
            save(result, output)


def origins(name: str, args: argparse.Namespace, folder: Path) -> tuple[Told, dict[str, Any]]:
    """What silmu makes of a data set before it trains: sizes, and windows of the test part."""
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.evaluate.series.windows import thinned
    from silmu.steps.prepare.prepared import Prepared
    from silmu.steps.prepare.series import cuts_of, processor_of, whole
    from silmu.steps.prepare.windows import windows

    train(name, args, folder, {"until": "prepare"})
    prepared = Prepared.open(folder / "2-prepared", Dataset.open(folder / "1-dataset"))
    processor = processor_of(prepared)
    series, ahead = whole(prepared), processor.prediction_length
    end = max(one.end for one in series)
    every = windows(series, cuts_of(prepared).test, end, processor.context_length, ahead)
    which, ends = thinned(every, ahead)
    tracks = tuple(processor.tracks(one, 0) for one in series)
    steps = np.arange(ahead)
    came = np.stack([series[w].values[e + steps] for w, e in zip(which, ends, strict=True)])
    first = np.array([one.first for one in series])
    job = {
        "context_length": processor.context_length,
        "prediction_length": processor.prediction_length,
        "season": processor.season,
        "threads": args.threads,
    }
    return Told(prepared, tracks, which, ends, first[which] + ends, came), job


def own(
    name: str, told: Told, job: dict[str, Any], args: argparse.Namespace, scratch: Path
) -> dict[str, Any]:
    """A network of silmu, from its model folder."""
    import time

    from silmu import pipeline

    folder = scratch / f"{name}-{job['network']}-{job['seed']}"
    before = time.process_time()
    run = train(name, args, folder, {"until": "train"}, job["network"], job["seed"])
    used = time.process_time() - before
    pipe = pipeline("time-series-forecasting", str(folder / "4-model"))
    began = time.perf_counter()
    found = pipe.forecast(told.tracks, told.which, told.ends)
    design = json.loads((folder / "3-design.json").read_text(encoding="utf-8"))
    return {
        **judged(told, found.quantiles),
        "seconds": run.seconds["train"],
        "processor_seconds": used,
        "forecasting": time.perf_counter() - began,
        "parameters": design["parameters"],
        "steps": json.loads((folder / "4-train" / "log.jsonl").read_text().splitlines()[-1])[
            "step"
        ],
    }


def train(
    name: str,
    args: argparse.Namespace,
    folder: Path,
    options: dict[str, Any],
    network: str = "auto",
    seed: int = 0,
) -> Any:
    import silmu

    given = DATA[name]
    # Both sides tell the one test part.
    settings = {"gradients": False, "backtest": 0, "threads": args.threads}
    settings |= given.get("settings", {})
    return silmu.train(
        "time-series-forecasting",
        data=args.folder / f"{name}.csv",
        target=given["target"],
        output=folder,
        seed=seed,
        quiet=True,
        settings={**settings, "network": network},
        **options,
    )


def peer(
    name: str, told: Told, job: dict[str, Any], args: argparse.Namespace, scratch: Path
) -> dict[str, Any]:
    """A forecaster in a process of its own; what it answered the same job before counts too."""
    folder = (args.keep or scratch) / f"{name}-{job['network']}-{job['seed']}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / one for one in ("job.json", "series.npz", "answer.npz")]
    about = folder / "about.json"
    given, asked = series_of(told), json.dumps(job)
    if not (about.exists() and paths[0].read_text() == asked and equal(paths[1], given)):
        paths[0].write_text(asked, encoding="utf-8")
        np.savez(paths[1], **given)
        done = subprocess.run(
            [args.peer, HERE / "peer.py", *paths],
            env={**os.environ, "OMP_NUM_THREADS": str(job["threads"])},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{job['network']} of the peer ended with {done.returncode}:\n{done.stderr}")
        about.write_text(done.stdout.splitlines()[-1], encoding="utf-8")
    with np.load(paths[2]) as file:
        return judged(told, file["told"]) | json.loads(about.read_text(encoding="utf-8"))


def series_of(told: Told) -> dict[str, NDArray[Any]]:
    """What a peer is given: series on their grid, where parts end, and windows to tell."""
    from silmu.steps.prepare.series import cuts_of, processor_of, whole

    cuts, series = cuts_of(told.prepared), whole(told.prepared)
    lengths = np.array([len(one.values) for one in series])
    first = np.array([one.first for one in series])
    known = processor_of(told.prepared).sizes["known"]
    return {
        "values": np.concatenate([one.values for one in series]),
        "calendar": np.concatenate([one.time_features[:, :known] for one in told.tracks]),
        "starts": np.cumsum([0, *lengths]),
        "which": told.which,
        "ends": told.ends,
        "train_ends": np.clip(cuts.validation - cuts.gap - first, 0, lengths),
        "test_starts": np.clip(cuts.test - first, 0, lengths),
    }


def equal(path: Path, given: dict[str, NDArray[Any]]) -> bool:
    with np.load(path) as file:
        return all(np.array_equal(file[name], one, equal_nan=True) for name, one in given.items())


def repeated(told: Told, lag: int) -> NDArray[np.float64]:
    """The last observed value, or of each step that of whole seasons before."""
    from silmu.steps.prepare.series import whole

    series = whole(told.prepared)
    steps = np.arange(told.came.shape[1])
    found = np.empty(told.came.shape)
    for row, (which, end) in enumerate(zip(told.which, told.ends, strict=True)):
        values = series[which].values[:end]
        for step in steps:
            place = end + step - lag * (step // lag + 1)
            seen = values[place % lag : place + 1 : lag] if place >= 0 else values[:0]
            seen = seen[np.isfinite(seen)]
            found[row, step] = seen[-1] if len(seen) else values[np.isfinite(values)][-1]
    return found


def judged(told: Told, quantiles: NDArray[np.float64]) -> dict[str, Any]:
    """Errors of deciles (windows, steps, 9); each series in its own unit, as all have one here."""
    came, seen = told.came, np.isfinite(told.came)
    median = np.abs(came - quantiles[..., 4])
    missed = came[..., None] - quantiles
    score = 2 * np.maximum(LEVELS * missed, (LEVELS - 1) * missed).mean(-1)
    inside = (came >= quantiles[..., 0]) & (came <= quantiles[..., -1])
    return {
        "mae": float(median[seen].mean()),
        "crps": float(score[seen].mean()),
        "coverage": float(inside[seen].mean()),
        "errors": np.where(seen, median, np.nan),
    }


def difference(told: Told, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """By how much the first error is larger, with an interval over blocks of origins.

    Blocks are at least as long as what is told at once, and hold all series of their time.
    """
    sums: list[NDArray[np.float64]] = []
    times = np.unique(told.moments)
    place = np.searchsorted(times, told.moments)
    for errors in (one["errors"], other["errors"]):
        sums.append(np.bincount(place, np.nansum(errors, axis=1), len(times)))
    count = np.bincount(place, np.isfinite(one["errors"]).sum(axis=1), len(times))
    stride = max(1, round(float(np.median(np.diff(times))))) if len(times) > 1 else 1
    length = max(round(len(times) ** (1 / 3)), -(-told.came.shape[1] // stride))
    length = max(1, min(length, len(times) // 4))
    random = np.random.default_rng(0)
    begins = random.integers(0, len(times), (RESAMPLES, -(-len(times) // length), 1))
    rows = ((begins + np.arange(length)) % len(times)).reshape(RESAMPLES, -1)[:, : len(times)]
    drawn = (sums[0] - sums[1])[rows].sum(1) / count[rows].sum(1)
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    verdict = "better" if high < 0 else "worse" if low > 0 else "no clear difference"
    return {
        "value": float((sums[0] - sums[1]).sum() / count.sum()),
        "low": low,
        "high": high,
        "verdict": verdict,
    }


def brief(one: dict[str, Any]) -> str:
    shown = (
        "mae",
        "crps",
        "coverage",
        "seconds",
        "processor_seconds",
        "forecasting",
        "steps",
        "parameters",
    )
    return " ".join(f"{key} {one[key]:.4g}" for key in shown if key in one)


def save(result: dict[str, Any], output: Path) -> None:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if key != "errors"}
        return float(f"{value:.6g}") if isinstance(value, float) else value

    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(plain(result), indent=1) + "\n", encoding="utf-8")


def versions(python: Path | None) -> dict[str, str]:
    """What both sides are made of."""
    code = (
        "from importlib.metadata import version as v; "
        "print(*(f'{n}={v(n)}' for n in ('torch', 'neuralforecast', 'statsforecast')))"
    )
    import torch

    import silmu

    found = {
        "silmu": silmu.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    if python:
        told = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
        found |= dict(f"peer {one}".split("=") for one in told.stdout.split())
    return found


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


if __name__ == "__main__":
    main()
