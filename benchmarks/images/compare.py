"""Measures silmu and transformers.pipeline on pictures, in turns; writes results/*.json.

    python benchmarks/images/compare.py HOME --transformers PYTHON [--silmu PYTHON] [--rounds 7]
    python benchmarks/images/compare.py --table RESULT.json

HOME gets the networks and the pictures that make.py makes, where they are not there yet. PYTHON is
that of an environment with transformers 4.57.6, torch and Pillow; that of silmu has Pillow beside
it. Each round visits both libraries and every measure in a new random order; the first is thrown
away. Pictures are read from JPEG files. A start is a new process up to the first byte of its
answer. Of transformers' batch sizes the quickest counts.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from run import (  # noqa: E402
    NUM_THREADS,
    Guard,
    Samples,
    Visit,
    commit,
    cpu_seconds,
    machine,
    same,
    say,
    slug,
    surroundings,
)

MODELS = ("vit-base", "resnet-50")
LIBRARIES = ("silmu", "transformers")
REPEATS = {"one": 10}
ASKED = {"one": 1.5, "many": 1.15, "start": 8.0}
TITLES = {"one": "one picture", "many": "64 pictures", "start": "start to first answer"}
PROGRAM = """
import sys
from {library} import pipeline
print(pipeline("image-classification", model=sys.argv[1])(sys.argv[2])[0], flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path, nargs="?")
    parser.add_argument("--transformers", type=Path, help="its python")
    parser.add_argument("--silmu", type=Path, default=Path(sys.executable), help="its python")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--patience", type=int, default=5, help="repeats of a contended visit")
    parser.add_argument("--only", nargs="+", default=list(TITLES), choices=list(TITLES))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--table", type=Path)
    args = parser.parse_args()
    if args.table:
        print(table(json.loads(args.table.read_text(encoding="utf-8"))))
        return
    if not (args.home and args.transformers):
        parser.error("HOME and --transformers are needed")
    home = args.home.resolve()
    pythons = {"silmu": args.silmu.absolute(), "transformers": args.transformers.absolute()}
    environment = surroundings(home)
    if not (home / "workloads.json").exists():
        home.mkdir(parents=True, exist_ok=True)
        say("making networks and pictures")
        subprocess.run(
            [pythons["transformers"], HERE / "make.py", home], env=environment, check=True
        )
    output = args.output or HERE / "results" / f"{datetime.date.today()}-{slug()}.json"
    peers = {name: Peer(pythons[name], name, home, environment) for name in LIBRARIES}
    picture = json.loads((home / "workloads.json").read_text())["one"][0]
    visits = [(run, name) for name, peer in peers.items() for run in peer.runs]
    visits += [(f"{model} start", name) for model in MODELS for name in LIBRARIES]
    visits = [visit for visit in visits if visit[0].split()[1] in args.only]
    guard, rng = Guard(args.patience), random.Random()
    samples: Samples = {}
    answers: dict[str, dict[str, Any]] = {}
    for number in range(args.rounds + 1):  # the first warms up and is thrown away
        say("warming up" if number == 0 else f"round {number} of {args.rounds}")
        for run, name in rng.sample(visits, len(visits)):
            model, measure = run.split()[:2]

            def go(run: str = run, name: str = name, model: str = model) -> Visit:
                if run.endswith("start"):
                    return start(pythons[name], name, home / model, picture, environment)
                return peers[name].visit(run)

            visit = guard.quietly(go, patient=number > 0)
            answers.setdefault(f"{model} {measure}", {})[name] = visit.answer
            if number:
                samples.setdefault(run, {}).setdefault(name, []).append(visit.record())
        if number:  # written after every round, so that an interrupted run is not lost
            told = f"--rounds {number} --patience {args.patience} --only {' '.join(args.only)}"
            result = described(number, told, peers, samples, answers)
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for peer in peers.values():
        peer.process.communicate()
    say(f"wrote {output}")
    print(table(json.loads(output.read_text(encoding="utf-8"))))


def described(
    rounds: int, options: str, peers: dict[str, Peer], samples: Samples, answers: dict[str, Any]
) -> dict[str, Any]:
    """What was found, with what must be known to repeat it."""
    taken = [sample for of_run in samples.values() for of in of_run.values() for sample in of]
    others = [sample["others"] for sample in taken if sample["others"] is not None]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": f"python benchmarks/images/compare.py HOME --transformers PYTHON {options}",
        "commit": commit(),
        "machine": machine(),
        "threads": NUM_THREADS,
        "precision": "fp32",
        "rounds": rounds,
        "others": {"median": statistics.median(others), "most": max(others)} if others else None,
        "versions": {name: peer.versions for name, peer in peers.items()},
        "agreement": {run: same(of["silmu"], of["transformers"]) for run, of in answers.items()},
        "samples": samples,
    }


class Peer:
    """A worker process that answers one request at a time."""

    def __init__(self, python: Path, name: str, home: Path, environment: dict[str, str]) -> None:
        say(f"starting {name}")
        self.log = home / f"{name}.log"
        self.process = subprocess.Popen(
            [python, "-m", "images.peer", home, name, *MODELS],
            cwd=HERE.parent, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log.open("w"),
        )  # fmt: skip
        ready = self._read()
        self.versions: dict[str, str] = ready["ready"]
        self.runs: list[str] = ready["runs"]

    def visit(self, run: str) -> Visit:
        before = cpu_seconds(self.process.pid)
        assert self.process.stdin
        repeats = REPEATS.get(run.split()[1], 1)
        self.process.stdin.write(json.dumps({"measure": run, "repeats": repeats}) + "\n")
        self.process.stdin.flush()
        reply = self._read()
        own = cpu_seconds(self.process.pid) - before
        return Visit(statistics.median(reply["seconds"]), reply["answer"], own)

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a peer ended early; {self.log} says why")
        return json.loads(line)


def start(
    python: Path, library: str, model: Path, picture: str, environment: dict[str, str]
) -> Visit:
    """A new process up to the first byte of its answer, and its largest resident memory."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [python, "-c", PROGRAM.format(library=library), model, picture],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout
    first = process.stdout.read(1)
    seconds = time.perf_counter() - begun
    answer = (first + process.stdout.read()).decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not answer:
        raise SystemExit(f"{library} did not start with {model}")
    best = json.loads(answer.replace("'", '"'))
    scale = 1 if platform.system() == "Darwin" else 1024
    own = usage.ru_utime + usage.ru_stime
    return Visit(seconds, [[best["label"], best["score"]]], own, usage.ru_maxrss * scale)


def table(result: dict[str, Any]) -> str:
    """The medians of all rounds, and how many times as fast silmu was in them, as Markdown."""
    lines = ["| | silmu | transformers | times as fast (of single rounds) | asked |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for model in MODELS:
        for measure, title in TITLES.items():
            name = f"{model} {measure}"
            if not any(run.startswith(name) for run in result["samples"]):
                continue
            own = _seconds(result["samples"][name]["silmu"])
            ways = [
                _seconds(of["transformers"])
                for run, of in result["samples"].items()
                if " ".join(run.split()[:2]) == name and "transformers" in of
            ]
            other = min(ways, key=statistics.median)
            each = [b / a for a, b in zip(own, other, strict=True)]
            ratio = statistics.median(other) / statistics.median(own)
            span = f"{ratio:.2f} ({min(each):.2f} to {max(each):.2f})"
            figures = (f"{1000 * statistics.median(of):,.0f} ms" for of in (own, other))
            cells = (f"{model}, {title}", *figures, span, str(ASKED[measure]))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(samples: list[dict[str, Any]]) -> list[float]:
    return [sample["seconds"] for sample in samples]


if __name__ == "__main__":
    main()
