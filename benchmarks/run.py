"""Measures silmu and its peers in one interleaved run; writes results/*.json.

    python benchmarks/run.py HOME [--rounds 7 | --quick] [--only NAME ...] [--without PEER ...]

HOME is the folder that setup.sh filled. Every peer is started once and then waits, blocked, for its
turns; each round visits every peer and measure in a new random order. A visit during which others
took the processor is repeated, and if it never becomes quiet the whole result says so. Needs
Python's standard library only.
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
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measures import MEASURES, passes

HERE = Path(__file__).resolve().parent
NUM_THREADS = 2
SETTLE_SECONDS = 0.3
"""After a visit, so that the threads of a peer that spin for more work have gone to sleep."""

BUSY = 0.08
"""The share of the processor that others may take during a visit."""

CLOCK_ERROR = 0.02
"""Seconds: the system counts processor time in steps of a hundredth."""

Samples = dict[str, dict[str, list[dict[str, Any]]]]
"""By measure and variant, by peer: one record a visit."""

ALL = [measure.name for measure in MEASURES]
LABELS = ["sentence", "text", "many"]
GENERATES = ["generate-short", "generate-long", "generate-many"]
# peer: (environment, module, measures)
PEERS = {
    "machine": ("engines", "machine", []),
    "silmu": ("silmu", "silmu", ALL),
    "silmu q8": ("silmu", "silmu_q8", ALL),
    "silmu openvino": ("silmu", "silmu_openvino", ALL),
    "transformers": ("transformers5", "transformers", [*LABELS, *GENERATES]),
    "transformers-4.57": ("transformers4", "transformers", ["question"]),
    "transformers bf16": ("transformers5", "transformers_bf16", [*LABELS, *GENERATES]),
    "transformers-4.57 bf16": ("transformers4", "transformers_bf16", ["question"]),
    "openvino": ("engines", "openvino", ALL),
    "ctranslate2": ("engines", "ctranslate2", ALL),
    "llama.cpp": ("engines", "llama_cpp", GENERATES[:2]),
    "kjarni": ("engines", "kjarni", LABELS),
}
ROUNDED = ("silmu q8", "silmu openvino", "transformers bf16", "transformers-4.57 bf16")
"""These compute in fewer bits, and may answer otherwise on random weights; it is told, and no
failure."""

# The same program for both; only the import differs.
PROGRAM = """
from {package} import pipeline
import sys
print(pipeline("sentiment-analysis", model=sys.argv[1])(sys.argv[2]), flush=True)
"""
STARTS = {"silmu, first": "silmu", "silmu": "silmu", "transformers": "transformers5"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="2 rounds, and no waiting for quiet")
    parser.add_argument("--only", nargs="+", default=[*ALL, "start"], metavar="MEASURE")
    parser.add_argument("--without", nargs="+", default=[], metavar="PEER", choices=PEERS)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    rounds, patience = (2, 0) if args.quick else (args.rounds, 5)
    home = args.home.resolve()
    work = json.loads((home / "models/workloads.json").read_text(encoding="utf-8"))
    guard = Guard(patience)

    peers: dict[str, Peer] = {}
    for name, (environment, module, measures) in PEERS.items():
        wanted = [measure for measure in measures if measure in args.only]
        if name in args.without or not (wanted or name == "machine"):
            continue
        say(f"starting {name}")
        peers[name] = Peer(home, environment, module, wanted)
    visits: list[tuple[str, str, Callable[[], Visit]]] = []
    for name, peer in peers.items():
        visits += [(run, name, lambda p=peer, r=run: p.visit(r)) for run in peer.runs]
    if "start" in args.only:
        visits += [("start", name, lambda n=name: start(home, n, work)) for name in STARTS]

    output = args.output or HERE / "results" / f"{datetime.date.today()}-{slug()}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    samples: Samples = {}
    answers: dict[str, dict[str, Any]] = {}
    result: dict[str, Any] = {}
    rng = random.Random()
    for number in range(rounds + 1):  # the first warms up and is thrown away
        say("warming up" if number == 0 else f"round {number} of {rounds}")
        for run, name, go in rng.sample(visits, len(visits)):
            visit = guard.quietly(go, patient=number > 0)
            answers.setdefault(run, {})[name] = visit.answer
            if number:
                samples.setdefault(run, {}).setdefault(name, []).append(visit.record())
        if number:  # written after every round, so that an interrupted run is not lost
            result = {
                **described(number, peers),
                "passes": {
                    name: passes(given) for name, given in work.items() if name in args.only
                },
                "agreement": agreement(answers),
                **measured(samples),
            }
            output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for peer in peers.values():
        peer.close()

    say(f"wrote {output}")
    if not result["quiet"]:
        say("CONTENDED: others took the processor meanwhile; these numbers are not for publishing")
    differing = [
        f"{run} of {peer}"
        for run, of in result["agreement"].items()
        for peer, agrees in of.items()
        if not agrees and peer not in ROUNDED
    ]
    if differing:
        say(f"DIFFERENT ANSWERS: {', '.join(differing)}")
    return 0 if result["quiet"] and not differing else 1


def described(rounds: int, peers: dict[str, Peer]) -> dict[str, Any]:
    """What must be known to repeat the run."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "benchmarks/run.py", *sys.argv[1:]]),
        "commit": commit(),
        "machine": machine(),
        "threads": NUM_THREADS,
        "precision": "fp32 unless named",
        "rounds": rounds,
        "versions": {name: peer.versions for name, peer in peers.items()},
    }


def measured(samples: Samples) -> dict[str, Any]:
    taken = [sample for of_run in samples.values() for of in of_run.values() for sample in of]
    others = [sample["others"] for sample in taken if sample["others"] is not None]
    rates = {run: [s["value"] for s in samples[run]["machine"]] for run in ("sgemm", "read")}
    return {
        "quiet": bool(others) and max(others) <= BUSY,
        "busiest_visit": max(others, default=None),
        "limits": {
            "flops_per_second": max(rates["sgemm"]),
            "bytes_per_second": max(rates["read"]),
        },
        "rates": rates,
        "samples": {run: of for run, of in samples.items() if run not in rates},
    }


@dataclass
class Visit:
    """What one turn of one peer gave."""

    seconds: float | None
    answer: Any
    own_cpu: float
    memory: int | None = None
    others: float | None = field(default=None)

    def record(self) -> dict[str, Any]:
        kept: dict[str, Any] = {"others": self.others}
        if self.seconds is None:
            kept["value"] = self.answer
        else:
            kept["seconds"] = self.seconds
        if self.memory is not None:
            kept["memory"] = self.memory
        return kept


class Peer:
    """A worker process that answers one request at a time."""

    def __init__(self, home: Path, environment: str, module: str, measures: list[str]) -> None:
        python = home / "envs" / environment / "bin" / "python"
        log = (home / f"{module}-{environment}.log").open("w")
        self.process = subprocess.Popen(
            [python, "-m", f"peers.{module}", home / "models", *measures],
            cwd=HERE, env=surroundings(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=log, text=True,
        )  # fmt: skip
        self.log = log.name
        ready = self._read()
        self.versions: dict[str, str] = ready["ready"]
        self.runs: list[str] = ready["runs"]

    def visit(self, run: str) -> Visit:
        repeats = next((m.repeats for m in MEASURES if m.name == run.split()[0]), 1)
        before = cpu_seconds(self.process.pid)
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"measure": run, "repeats": repeats}) + "\n")
        self.process.stdin.flush()
        reply = self._read()
        own = cpu_seconds(self.process.pid) - before
        if run in ("sgemm", "read"):
            return Visit(None, reply["answer"], own)
        return Visit(statistics.median(reply["seconds"]), reply["answer"], own)

    def close(self) -> None:
        self.process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a peer ended early; {self.log} says why")
        return json.loads(line)


def start(home: Path, name: str, work: dict[str, Any]) -> Visit:
    """A new process up to the first byte of its answer, and its largest resident memory."""
    python = home / "envs" / STARTS[name] / "bin" / "python"
    program = PROGRAM.format(package=name.split(",")[0])
    arguments = ["-c", program, home / "models/sentiment", work["sentence"]["texts"][0]]
    with tempfile.TemporaryDirectory(dir=home) as empty:
        environment = surroundings(home)
        if name.endswith("first"):
            environment["SILMU_CACHE"] = empty
        begun = time.perf_counter()
        process = subprocess.Popen(
            [python, *arguments], env=environment, cwd=home,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout
        first = process.stdout.read(1)
        seconds = time.perf_counter() - begun
        answer = (first + process.stdout.read()).decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not answer:
        raise SystemExit(f"`{name}` did not start: {' '.join(map(str, [python, *arguments]))}")
    scale = 1 if sys.platform == "darwin" else 1024
    own = usage.ru_utime + usage.ru_stime
    best = json.loads(answer.replace("'", '"'))[0]
    return Visit(seconds, [[best["label"], best["score"]]], own, usage.ru_maxrss * scale)


class Guard:
    """Tells whether others took the processor during a visit, and repeats it if they did."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def quietly(self, go: Callable[[], Visit], *, patient: bool) -> Visit:
        for attempt in range((self.patience if patient else 0) + 1):
            if attempt:
                time.sleep(5 * attempt)
            time.sleep(SETTLE_SECONDS)
            before, begun = busy_seconds(), time.perf_counter()
            visit = go()
            wall = time.perf_counter() - begun
            if before is None:
                return visit
            foreign = (busy_seconds() or 0.0) - before - visit.own_cpu - CLOCK_ERROR
            visit.others = round(max(0.0, foreign) / (wall * (os.cpu_count() or 1)), 3)
            if visit.others <= BUSY:
                return visit
        return visit


def busy_seconds() -> float | None:
    """Processor time that all processes, and other guests of the host, have taken since boot."""
    try:
        fields = [int(x) for x in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def agreement(answers: dict[str, dict[str, Any]]) -> dict[str, dict[str, bool]]:
    """Whether each peer gave the reference's answer: the check beside the speed."""
    references = {measure.name: measure.reference for measure in MEASURES}
    found: dict[str, dict[str, bool]] = {}
    for run, by_peer in answers.items():
        name = run.split()[0]
        if name in ("sgemm", "read"):
            continue
        reference = references.get(name, "transformers")
        keys = sorted(key for key in answers if key.split()[0] == name)
        ways = [answers[key] for key in keys if reference in answers[key]]
        if ways:
            truth = ways[0][reference]
            found[run] = {peer: same(answer, truth) for peer, answer in by_peer.items()}
    return found


def same(answer: Any, truth: Any) -> bool:
    """Equal; scores to 1e-3."""
    if isinstance(truth, list):
        return (
            isinstance(answer, list)
            and len(answer) == len(truth)
            and all(same(a, t) for a, t in zip(answer, truth, strict=True))
        )
    return abs(answer - truth) < 1e-3 if isinstance(truth, float) else answer == truth


def surroundings(home: Path) -> dict[str, str]:
    """The same threads for everyone, no network, caches inside HOME."""
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"),
        str(NUM_THREADS),
    )
    return {
        **os.environ,
        **threads,
        "HF_HUB_OFFLINE": "1",
        "SILMU_CACHE": str(home / "cache"),
        "XDG_CACHE_HOME": str(home / "models/kjarni"),
    }


def machine() -> dict[str, Any]:
    found = {"cpu": platform.processor(), "cores": os.cpu_count(), "system": platform.platform()}
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].split("\n")
        values = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
        family, model = values["cpu family"], values["model"]
        found["cpu"] = f"{values['model name']} (family {family}, model {model})"
        found["avx512"] = "avx512f" in values["flags"]
        kilobytes = Path("/proc/meminfo").read_text().split()[1]
        found["memory_gib"] = round(int(kilobytes) / 2**20, 1)
    except (OSError, KeyError):
        pass  # not Linux, or another processor: what platform knows must do
    return found


def slug() -> str:
    name = str(machine()["cpu"]).split("(")[0].lower() or platform.machine()
    return "-".join("".join(c if c.isalnum() else " " for c in name).split())


def commit() -> str:
    def git(*arguments: str) -> str:
        run = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True)
        return run.stdout.strip()

    return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "../src") else "")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
