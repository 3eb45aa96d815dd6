"""Runs recipes with several seeds, keeps what came out, and writes the table of recipes/README.md.

    python tools/measure_recipes.py rotten-tomatoes-gru naver-cnn       # seeds 0, 1, 2
    python tools/measure_recipes.py --table                              # only writes the table

A recipe's data can be overridden as on the command line: everything after `--` goes to
`silmu train`, such as `-- --data reviews.csv.gz --group movie_id`. Runs are made in build/recipes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RECIPES, RESULTS = ROOT / "recipes", ROOT / "recipes" / "results"
RUNS = ROOT / "build" / "recipes"
TABLE = re.compile(r"(<!-- results: [^>]*-->\n).*?(<!-- end of results -->)", re.DOTALL)
SHOWN = {
    "accuracy": "accuracy",
    "f1_macro": "macro F1",
    "mean_absolute_error": "mean absolute error",
}


def measure(name: str, seeds: list[int], more: list[str]) -> None:
    """Trains one recipe with each seed, and adds it to results/<name>.json."""
    (recipe,) = RECIPES.glob(f"*/{name}.toml")
    path = RESULTS / f"{name}.json"
    before: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    found: dict[str, Any] = before.get("seeds", {})
    others = {*found} - {str(seed) for seed in seeds}
    for seed in seeds:
        folder = RUNS / f"{name}-{seed}"
        command = [sys.executable, "-m", "silmu", "train", "--json"]
        command += (
            [str(folder)]
            if folder.exists()
            else ["--config", str(recipe), "--seed", str(seed), "--output", str(folder), *more]
        )
        print("$", " ".join(command), file=sys.stderr)
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        answer = json.loads(done.stdout.splitlines()[-1])
        report = json.loads((folder / "5-report" / "metrics.json").read_text(encoding="utf-8"))
        design = json.loads((folder / "3-design.json").read_text(encoding="utf-8"))
        found[str(seed)] = {
            **{key: answer[key] for key in ("metrics", "baselines", "seconds")},
            "metric": report["metric"],
            "comparison": report["comparison"],
            "counts": report["data"]["counts"],
            "parameters": design["parameters"],
            "steps": design["cost"]["steps"],
            "dtype": design["cost"]["dtype"],
        }
    result = {
        "recipe": recipe.relative_to(ROOT).as_posix(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "seeds": dict(sorted(found.items())),
    }
    if "note" in before and others:
        result["note"] = before["note"]
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, ensure_ascii=False, indent=1)
    path.write_text(f"{text}\n", encoding="utf-8")


def table() -> str:
    """What was measured, a row a recipe: test figures as the mean over seeds, and their range."""
    lines = [
        "| recipe | metric | test, mean of seeds (range), seeds | TF-IDF + logistic regression "
        "| majority | training | parameters | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    machines: set[str] = set()
    notes: list[str] = []
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        runs = list(result["seeds"].values())
        metric = runs[0]["metric"]
        values = [run["metrics"][metric]["value"] for run in runs]
        simple = [run["baselines"]["tfidf"][metric]["value"] for run in runs]
        naive = [run["baselines"]["majority"][metric]["value"] for run in runs]
        verdicts = [run["comparison"]["verdict"] for run in runs]
        verdict = ", ".join(f"{v} {verdicts.count(v)}/{len(runs)}" for v in dict.fromkeys(verdicts))
        seconds = mean(run["seconds"]["train"] for run in runs)
        name = Path(result["recipe"]).stem
        lines.append(
            f"| [{name}]({Path(result['recipe']).relative_to('recipes').as_posix()}) "
            f"| {SHOWN.get(metric, metric)} "
            f"| {mean(values):.3f} ({min(values):.3f} to {max(values):.3f}), {len(runs)} "
            f"| {mean(simple):.3f} | {mean(naive):.3f} | {seconds / 60:.1f} min "
            f"| {runs[0]['parameters']:,} | {verdict} |"
        )
        machines.add(f"{result['date']}, {result['machine']}")
        notes += [f"{name}: {result['note']}."] if "note" in result else []
    return "\n".join([*lines, "", f"{'; '.join(sorted(machines))}. {' '.join(notes)}".rstrip()])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    own = sys.argv[1:]
    cut = own.index("--") if "--" in own else len(own)
    args = parser.parse_args(own[:cut])
    for name in args.names:
        measure(name, args.seeds, own[cut + 1 :])
    page = RECIPES / "README.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(TABLE.sub(lambda m: f"{m[1]}\n{table()}\n\n{m[2]}", text), encoding="utf-8")


if __name__ == "__main__":
    main()
