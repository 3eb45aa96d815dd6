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
    "mean_absolute_scaled_error": "mean absolute scaled error",
    "tfidf": "TF-IDF",
    "boosted_trees": "boosted trees",
    "linear": "linear model",
    "k_nearest": "nearest neighbours",
    "naive": "last value",
    "seasonal_naive": "last season",
}
POLICIES = "reinforcement-learning"
PUBLISHED = {
    "acrobot-dqn": "-76.6 after 100,000",
    "cartpole-ppo": "500 after 100,000",
    "hopper-ppo": "2,410 after 1 M (v3)",
    "lunarlander-ppo": "242 after 1 M (v2)",
    "pendulum-ppo": "-172 after 100,000",
    "pendulum-sac": "-157 after 20,000",
    "walker2d-ppo": "3,479 after 1 M (v3)",
}
"""Of one run each of Stable-Baselines3, with settings that were tuned for each environment:
https://github.com/DLR-RM/rl-baselines3-zoo/blob/master/benchmark.md"""
SIMPLEST = ("majority", "median", "mean", "naive")


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
    """What was measured, a row a recipe: test figures as the mean over seeds, and their range.

    Policies have a table of their own below, if any was measured.
    """
    lines = [
        "| recipe | metric | test, mean of seeds (range), seeds | strong baseline | simplest "
        "| training | parameters | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    policies = [
        "| policy | mean return, mean of seeds (range), seeds | interval of each seed "
        "| rl-zoo, published | random actions | doing nothing | steps | training | parameters "
        "| verdict |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    begun = len(policies)
    machines: set[str] = set()
    notes: dict[str, list[str]] = {}
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        name = Path(result["recipe"]).stem
        if Path(result["recipe"]).parent.name == POLICIES:
            policies.append(_policy_row(name, result))
        else:
            lines.append(_row(name, result))
        machines.add(f"{result['date']}, {result['machine']}")
        if "note" in result:
            notes.setdefault(result["note"], []).append(name)
    if len(policies) > begun:
        lines += ["", *policies]
    told = [f"{', '.join(names)}: {note}." for note, names in notes.items()]
    return "\n".join([*lines, "", " ".join([f"{'; '.join(sorted(machines))}.", *told])])


def _row(name: str, result: dict[str, Any]) -> str:
    runs: list[dict[str, Any]] = list(result["seeds"].values())
    metric = runs[0]["metric"]
    strong = runs[0]["comparison"]["against"]
    simplest = next(one for one in SIMPLEST if one in runs[0]["baselines"])
    beside = [
        f"{_number(mean(run['baselines'][one][metric]['value'] for run in runs))}, "
        f"{SHOWN.get(one, one)}"
        for one in (strong, simplest)
    ]
    cells = [_link(name, result), SHOWN.get(metric, metric), _figure(runs, metric), *beside]
    return f"| {' | '.join([*cells, *_training(runs)])} |"


def _policy_row(name: str, result: dict[str, Any]) -> str:
    runs: list[dict[str, Any]] = list(result["seeds"].values())
    metric = runs[0]["metric"]
    intervals = [run["metrics"][metric] for run in runs]
    cells = [
        _link(name, result),
        _figure(runs, metric),
        ", ".join(f"{_number(one['low'])} to {_number(one['high'])}" for one in intervals),
        PUBLISHED.get(name, ""),
        *(
            _number(mean(run["baselines"][one][metric]["value"] for run in runs))
            for one in ("random", "idle")
        ),
        f"{runs[0]['steps']:,}",
    ]
    return f"| {' | '.join([*cells, *_training(runs)])} |"


def _link(name: str, result: dict[str, Any]) -> str:
    return f"[{name}]({Path(result['recipe']).relative_to('recipes').as_posix()})"


def _figure(runs: list[dict[str, Any]], metric: str) -> str:
    """The mean of the seeds, their range, and how many there are."""
    values = [run["metrics"][metric]["value"] for run in runs]
    range_ = f"{_number(mean(values))} ({_number(min(values))} to {_number(max(values))})"
    return f"{range_}, {len(runs)}"


def _training(runs: list[dict[str, Any]]) -> list[str]:
    """How long it took, how large the network is, and how often it was better or worse."""
    minutes = mean(run["seconds"]["train"] for run in runs) / 60
    verdicts = [run["comparison"]["verdict"] for run in runs]
    verdict = ", ".join(f"{v} {verdicts.count(v)}/{len(runs)}" for v in dict.fromkeys(verdicts))
    return [f"{minutes:.1f} min", f"{runs[0]['parameters']:,}", verdict]


def _number(value: float) -> str:
    """With as many digits as tell something: three decimals, or four digits of a large one."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.{1 if abs(value) < 1000 else 0}f}"


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
