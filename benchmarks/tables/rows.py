"""How fast a table is collected, checked, prepared and scored, and what memory that takes.

    pip install '.[train]' && python benchmarks/tables/rows.py [--rows 1000000 10000000]

The table has numbers, categories, dates and gaps; it is made here, as CSV and as Parquet. Scored is
the file itself, by `silmu use` with a perceptron that has learnt from 50,000 such rows. Every
step runs in a process of its own. Told are the seconds on the clock and those of the processor,
rows a second of each, the peak of resident memory, and of it the part that is the process's own:
pages of a file that is mapped count to the first, and the system takes them back when it needs
them. `others` is the processor time of other processes meanwhile. Writes results/rows-<date>.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
CHUNK = 250_000
STEPS = ("collect", "check", "prepare", "score")
FORMATS = ("csv", "parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--scratch", type=Path, help="where files go; a temporary folder by itself")
    parser.add_argument("--child", nargs=3)
    args = parser.parse_args()
    if args.child:
        step, source, folder = args.child
        if step == "train":
            train(Path(folder))
            return
        print(json.dumps(child(step, Path(source), Path(folder))))
        return
    samples: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        # Apart, since the peak of a process is no less than that of the one that started it.
        own = [sys.executable, __file__, "--child", "train", scratch, scratch]
        subprocess.run(own, check=True)
        for rows in args.rows:
            for kind in args.formats:
                samples += measured(Path(scratch), rows, kind)
    values = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "samples": samples,
    }
    target = HERE / "results" / f"rows-{values['date']}.json"
    target.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(target)


def measured(scratch: Path, rows: int, kind: str) -> list[dict[str, Any]]:
    """What each step takes on a table that is made for it."""
    source, folder = scratch / f"{rows}.{kind}", scratch / f"{rows}-{kind}"
    make(source, rows)
    samples: list[dict[str, Any]] = []
    for step in STEPS:
        before = busy()
        command = [sys.executable, __file__, "--child", step, str(source), str(folder)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        sample = json.loads(done.stdout.splitlines()[-1])
        others = round(max(0.0, busy() - before - sample["processor"]), 1)
        sample = {
            "rows": rows,
            "format": kind,
            "file_mb": round(source.stat().st_size / 1e6, 1),
            "step": step,
            **sample,
            "rows_a_second": round(rows / sample["seconds"]),
            "rows_a_processor_second": round(rows / sample["processor"]),
            "others": others,
        }
        print(sample, file=sys.stderr)
        samples.append(sample)
    source.unlink()
    return samples


def child(step: str, source: Path, folder: Path) -> dict[str, Any]:
    """One step, what it took, and what it found."""
    peak = Peak()
    started, spent = time.perf_counter(), time.process_time()
    work = {"collect": collected, "check": checked, "prepare": prepared, "score": scored}
    told = work[step](source, folder)
    seconds, processor = time.perf_counter() - started, time.process_time() - spent
    own = peak.stop()
    whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": round(seconds, 1),
        "processor": round(processor, 1),
        "peak_mb": round(whole),
        "peak_own_mb": round(own),
        "told": told,
    }


def collected(source: Path, folder: Path) -> Any:
    from silmu.steps.collect import collect

    dataset = collect(source, folder / "1-dataset", kind="table", target="bought")
    return {"rows": dataset.num_rows, "fingerprint": dataset.fingerprint[:16]}


def checked(source: Path, folder: Path) -> Any:
    del source
    from silmu.steps.collect.checks import check
    from silmu.steps.collect.dataset import Dataset

    dataset = Dataset.open(folder / "1-dataset")
    return [one.kind for one in check(dataset, kind="table", answers="labels")]


def prepared(source: Path, folder: Path) -> Any:
    del source
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.prepare import prepare_tables

    dataset = Dataset.open(folder / "1-dataset")
    found = prepare_tables(dataset, folder / "2-prepared", settings={"labels": "names"})
    return found.counts


def scored(source: Path, folder: Path) -> Any:
    from silmu.cli import main as silmu

    target = folder.with_suffix(f".scored{source.suffix}")
    model = source.parent / "run" / "4-model"
    code = silmu(["use", str(model), "--data", str(source), "--output", str(target), "-q"])
    size = target.stat().st_size
    target.unlink()
    return {"code": code, "file_mb": round(size / 1e6, 1)}


def train(scratch: Path) -> None:
    """The model that scores."""
    import silmu

    make(scratch / "some.parquet", 50_000)
    silmu.train(
        "tabular-classification",
        data=scratch / "some.parquet",
        target="bought",
        network="perceptron",
        output=scratch / "run",
        settings={"max_steps": 300},
        until="train",
        quiet=True,
    )


class Peak:
    """The most memory that was the process's own, looked at twenty times a second."""

    def __init__(self) -> None:
        self._most = 0.0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._ends.set()
        self._thread.join()
        return self._most

    def _look(self) -> None:
        while not self._ends.wait(0.05):
            text = Path("/proc/self/status").read_text()
            line = next(line for line in text.splitlines() if line.startswith("RssAnon"))
            self._most = max(self._most, int(line.split()[1]) / 1024)


def make(path: Path, rows: int) -> None:
    """A table of customers, the same for every format."""
    writer: Any = None
    for start in range(0, rows, CHUNK):
        table = chunk(start, min(CHUNK, rows - start))
        if writer is None:
            make_writer: Callable[..., Any] = (
                pyarrow.csv.CSVWriter if path.suffix == ".csv" else pq.ParquetWriter
            )
            writer = make_writer(str(path), table.schema)
        writer.write(table) if path.suffix == ".csv" else writer.write_table(table)
    writer.close()


def chunk(start: int, rows: int) -> pa.Table:
    draw = np.random.default_rng(start)
    age = draw.integers(18, 90, rows)
    amount = np.round(draw.lognormal(4, 0.8, rows), 2)
    visits = draw.poisson(6, rows)
    odds = 0.03 * (age - 50) + 0.1 * (visits - 6) - 0.8
    days = np.datetime64("2015-01-01") + draw.integers(0, 3650, rows)
    seconds = np.datetime64("2015-01-01T00:00:00") + draw.integers(0, 315_000_000, rows)

    def gaps(values: Any, share: float) -> pa.Array:
        return pa.array(values, mask=draw.random(rows) < share)

    return pa.table(
        {
            "customer": np.arange(start, start + rows) + 10_000_000,
            "age": gaps(age, 0.03),
            "amount": gaps(amount, 0.02),
            "visits": visits,
            "height": np.round(draw.normal(170, 9, rows), 1),
            "city": gaps(named("city", 60)[draw.integers(0, 60, rows)], 0.02),
            "product": named("product", 2000)[draw.zipf(1.3, rows) % 2000],
            "plan": np.array(["basic", "family", "business"])[draw.integers(0, 3, rows)],
            "day": days.astype("datetime64[D]"),
            "seen": seconds.astype("datetime64[s]"),
            "bought": np.where(draw.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no"),
        }
    )


def named(what: str, count: int) -> Any:
    return np.array([f"{what} {number}" for number in range(count)])


def busy() -> float:
    """Seconds that all processors were at work since the machine was started."""
    user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / 100


if __name__ == "__main__":
    main()
