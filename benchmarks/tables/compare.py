"""Trains on real tables with the defaults, and sets what comes out beside boosted trees.

    pip install '.[train]' catboost bokeh_sampledata palmerpenguins plotnine
    python benchmarks/tables/compare.py [--seeds 0 1 2] [--only titanic diamonds]

Each table is trained with each seed, which also deals its rows anew, through `silmu.train` as
anyone would. The report compares it with scikit-learn's HistGradientBoosting on the same test rows,
as resampled pairs; CatBoost, fitted here on the same training rows with its defaults and early
stopping on the same validation rows, stands beside. Writes results/<date>.json, to which tables
of the same day are added, and the table to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
CLASSES, NUMBERS = "tabular-classification", "tabular-regression"
BOKEH = "package:bokeh_sampledata/_data"
MOVIES = """
SELECT Year, omdb.Rating, Runtime, Genre, Released, Director, Metacritic, Language, Country, Oscars,
Reviews, BoxOffice, Production, Meter
FROM omdb JOIN tomatoes USING (ID) WHERE Meter IS NOT NULL
"""
STOCKS = "SELECT Ticker, Date, Open, High, Low, Close, Volume FROM data"

TABLES: dict[str, dict[str, Any]] = {
    "titanic": {"task": CLASSES, "data": f"{BOKEH}/titanic_all.csv", "target": "survived"},
    "penguins": {
        "task": CLASSES,
        "data": "package:palmerpenguins/data/penguins.csv",
        "target": "species",
    },
    "breast_cancer": {"task": CLASSES, "target": "target"},
    "wine": {"task": CLASSES, "target": "target"},
    "glass": {"task": CLASSES, "data": f"{BOKEH}/forensic_glass.csv", "target": "type"},
    "auto-mpg": {"task": NUMBERS, "data": f"{BOKEH}/auto-mpg.csv", "target": "mpg"},
    "diabetes": {"task": NUMBERS, "target": "target"},
    "movies": {"task": NUMBERS, "query": MOVIES, "target": "Meter"},
    "stocks": {
        "task": NUMBERS,
        "data": f"{BOKEH}/stocks.csv.gz",
        "query": STOCKS,
        "target": "Volume",
    },
    "diamonds": {
        "task": NUMBERS,
        "data": "package:plotnine/data/diamonds.csv",
        "target": "price",
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(TABLES))
    parser.add_argument("--output", type=Path, default=HERE / "results")
    args = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.only:
            for seed in args.seeds:
                found.setdefault(name, []).append(measure(name, seed, Path(scratch)))
                print(name, seed, found[name][-1], file=sys.stderr, flush=True)
    args.output.mkdir(exist_ok=True)
    date = datetime.now(UTC).date().isoformat()
    path = args.output / f"{date}.json"
    before: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {"tables": {}}
    result = {
        "date": date,
        "command": "python benchmarks/tables/compare.py",
        "machine": {"processor": processor(), "cores": os.cpu_count()},
        "tables": {**before["tables"], **found},
    }
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result["tables"]))


def measure(name: str, seed: int, scratch: Path) -> dict[str, Any]:
    """One table with one seed: the metric of each model on the test split, and the verdict."""
    import silmu
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.prepare.prepared import Prepared

    given = dict(TABLES[name])
    if "data" not in given:
        given["data"] = str(source(name, scratch))
    folder = scratch / f"{name}-{seed}"
    run = silmu.train(
        given.pop("task"),
        **given,
        output=folder,
        seed=seed,
        settings={"split_seed": seed},
        quiet=True,
    )
    report = json.loads((folder / "5-report" / "metrics.json").read_text(encoding="utf-8"))
    prepared = Prepared.open(folder / "2-prepared", Dataset.open(folder / "1-dataset"))
    metric = report["metric"]
    models = {"silmu": report["metrics"], **report["baselines"]}
    values = {model: one[metric]["value"] for model, one in models.items()}
    return {
        "metric": metric,
        "values": values | {"catboost": catboost(prepared, metric)},
        "against": report["comparison"]["against"],
        "verdict": report["comparison"]["verdict"],
        "difference": [report["comparison"][key] for key in ("difference", "low", "high")],
        "rows": report["data"]["counts"],
        "seconds": run.seconds["train"],
    }


def catboost(prepared: Any, metric: str) -> float:
    """The same metric of CatBoost, fitted on the columns as they are."""
    from catboost import CatBoostClassifier, CatBoostRegressor, Pool

    names = list(prepared.dataset.roles.input)
    train = prepared.dataset.take(prepared.rows("train"), names).to_pandas()
    numeric = {name: is_numeric(train[name]) for name in names}

    def pool(split: str) -> Any:
        frame = prepared.dataset.take(prepared.rows(split), names).to_pandas()
        for name in names:
            column = frame[name]
            frame[name] = (
                pd.to_numeric(column, errors="coerce")
                if numeric[name]
                else column.astype(object).where(column.notna(), "(none)").astype(str)
            )
        several = [name for name in names if not numeric[name]]
        return Pool(frame, prepared.targets(split), cat_features=several)

    kind = CatBoostRegressor if prepared.kind == "number" else CatBoostClassifier
    with tempfile.TemporaryDirectory() as scratch:
        model = kind(verbose=False, random_seed=0, train_dir=scratch, early_stopping_rounds=50)
        model.fit(pool("train"), eval_set=pool("validation"))
        told = np.asarray(model.predict(pool("test"))).squeeze()
    truth = prepared.targets("test")
    if metric == "mean_absolute_error":
        return round(float(np.abs(told - truth).mean()), 6)
    return round(float((told.astype(int) == truth).mean()), 6)


def is_numeric(column: Any) -> bool:
    known = column.dropna()
    return bool(pd.to_numeric(known, errors="coerce").notna().mean() > 0.98)


def source(name: str, scratch: Path) -> Path | str:
    """Where the rows of a table are that is not a file of rows in its package."""
    if name == "movies":
        found = find_spec("bokeh_sampledata")
        assert found is not None
        assert found.origin is not None
        return f"sqlite:///{Path(found.origin).parent / '_data' / 'movies.db'}"
    from sklearn import datasets

    path = scratch / f"{name}.csv"
    loaded = getattr(datasets, f"load_{name}")(as_frame=True)
    loaded.frame.to_csv(path, index=False)
    return path


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    """The results as Markdown, means over seeds."""
    columns = ["silmu", "boosted_trees", "catboost", "linear"]
    lines = [
        f"| table | rows | metric | {' | '.join(columns)} | against boosted trees | training |",
        "| --- " * (len(columns) + 5) + "|",
    ]
    for name, runs in found.items():
        means = [
            f"{np.mean([run['values'][one] for run in runs]):.4g}"
            if all(one in run["values"] for run in runs)
            else ""
            for one in columns
        ]
        verdicts = [run["verdict"] for run in runs]
        told = ", ".join(f"{v} {verdicts.count(v)}/{len(runs)}" for v in dict.fromkeys(verdicts))
        longest = max(run["seconds"] for run in runs)
        rows = sum(runs[0]["rows"].values())
        metric = runs[0]["metric"].replace("_", " ")
        cells = [name, f"{rows:,}", metric, *means, told, f"{longest:.0f} s at most"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"{time.monotonic() - started:.0f} s in all", file=sys.stderr)
