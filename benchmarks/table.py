"""Prints what run.py measured, as Markdown that README can embed.

    python benchmarks/table.py [results/FILE.json]

Takes the newest result, if none is named.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from measures import MEASURES, MEMORY_TARGET, START_TARGET, limit

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else max(RESULTS.glob("*.json"))
    print(render(json.loads(path.read_text(encoding="utf-8"))))


def render(result: dict[str, Any]) -> str:
    parts = [summary(result)]
    if not result["quiet"]:
        parts.append(
            "**Not for publishing: others took the processor during this run** "
            f"(up to {result['busiest_visit'] or 0:.0%} of it)."
        )
    parts += [targets(result), precisions(result), peers(result)]
    return "\n\n".join(filter(None, parts))


def summary(result: dict[str, Any]) -> str:
    machine, versions, limits = result["machine"], result["versions"], result["limits"]
    used = [
        f"{package} {peer[package]}"
        for peer, package in (
            (versions.get("silmu"), "onnxruntime"),
            (versions.get("transformers"), "transformers"),
            (versions.get("transformers"), "torch"),
            (versions.get("transformers-4.57"), "transformers"),
            (versions.get("openvino"), "openvino"),
            (versions.get("ctranslate2"), "ctranslate2"),
            (versions.get("llama.cpp"), "llama-cpp-python"),
            (versions.get("kjarni"), "kjarni"),
        )
        if peer
    ]
    return (
        f"{result['date'][:10]}, commit {result['commit'][:12]}, {machine['cpu']}, "
        f"{machine['cores']} cores, {machine.get('memory_gib', '?')} GiB; "
        f"{result['precision']}, {result['threads']} threads, "
        f"medians of {result['rounds']} rounds; {', '.join(used)}. "
        f"Best rates: {limits['flops_per_second'] / 1e9:.0f} GFLOP/s, "
        f"{limits['bytes_per_second'] / 1e9:.0f} GB/s."
    )


def targets(result: dict[str, Any], *, with_asked: bool = True) -> str:
    """silmu beside transformers, with what was asked for, or without."""
    rows: list[list[str]] = []
    starts = result["samples"].get("start", {})
    if starts:
        seconds = {name: median(starts, name, "seconds") for name in starts}
        memory = {name: median(starts, name, "memory") for name in starts}
        ratio = seconds["transformers"] / seconds["silmu"]
        rows.append([
            "Process start to first answer", duration(seconds["silmu"]),
            duration(seconds["transformers"]), *judged(ratio, START_TARGET),
        ])  # fmt: skip
        ratio = seconds["transformers"] / seconds["silmu, first"]
        rows.append([
            "the same, silmu's very first (it builds the graph)", duration(seconds["silmu, first"]),
            duration(seconds["transformers"]), times(ratio), "", "",
        ])  # fmt: skip
        ratio = memory["transformers"] / memory["silmu"]
        rows.append([
            "its peak memory", f"{memory['silmu'] / 2**20:.0f} MiB",
            f"{memory['transformers'] / 2**20:.0f} MiB", *judged(ratio, MEMORY_TARGET),
        ])  # fmt: skip
    for measure in MEASURES:
        reference, run = fastest(result, measure.name, measure.reference)
        silmu, _ = fastest(result, measure.name, "silmu")
        if silmu is None or reference is None:
            continue
        how = run.removeprefix(measure.name).strip()
        if measure.reference != "transformers":
            how = result["versions"][measure.reference]["transformers"]
        rows.append([
            measure.title, duration(silmu), duration(reference) + (f" ({how})" if how else ""),
            *judged(reference / silmu, measure.target),
        ])  # fmt: skip
    head = ["", "silmu", "transformers", "times faster or smaller", "asked", ""]
    shown = len(head) if with_asked else 4
    return table(head[:shown], [row[:shown] for row in rows])


def precisions(result: dict[str, Any], *, with_asked: bool = True) -> str:
    """How many times as fast as transformers in fp32 each is, in other precisions too."""
    rows: list[list[str]] = []
    for measure in MEASURES:
        reference, _ = fastest(result, measure.name, measure.reference)
        if reference is None:
            continue
        row = [measure.title, duration(reference)]
        for peer, asked in (
            (f"{measure.reference} bf16", None),
            ("silmu", measure.target),
            ("silmu q8", measure.q8),
            ("silmu openvino", measure.openvino),
        ):
            seconds, run = fastest(result, measure.name, peer)
            cell = "" if seconds is None else times(reference / seconds)
            if peer.endswith("openvino") and seconds is not None:
                cell += f" {run.rpartition(' ')[2]}"
            if with_asked and asked and seconds is not None:
                cell += f" of {times(asked)}" + " **short**" * (reference / seconds < asked)
            row.append(cell)
        rows.append(row)
    head = ["", "transformers, fp32", "its bf16", "silmu, fp32", "silmu, q8", "silmu, OpenVINO"]
    return table(head, rows)


def peers(result: dict[str, Any]) -> str:
    """Every peer, with the share of what the machine can do at most."""
    names = [n for n in ("silmu", "silmu q8", "transformers", "transformers-4.57", "openvino",
             "ctranslate2", "llama.cpp", "kjarni") if n in result["versions"]]  # fmt: skip
    rows: list[list[str]] = []
    for measure in MEASURES:
        for run, of in result["samples"].items():
            name, _, variant = run.partition(" ")
            if name != measure.name:
                continue
            floor = limit(
                result["passes"][name],
                result["limits"]["flops_per_second"],
                result["limits"]["bytes_per_second"],
            )
            cells = [measure.title + (f" ({variant})" if variant else ""), duration(floor)]
            for peer in names:
                if peer not in of:
                    cells.append("")
                    continue
                seconds = median(of, peer, "seconds")
                differs = not result["agreement"].get(run, {}).get(peer, True)
                cells.append(f"{duration(seconds)}, {floor / seconds:.0%}" + " †" * differs)
            rows.append(cells)
    text = table(["", "machine's limit", *names], rows)
    return text + "\n\n† gave another answer." * ("†" in text)


def fastest(result: dict[str, Any], measure: str, peer: str) -> tuple[float | None, str]:
    """The best of a peer's own ways; the batches that silmu makes are not a way of its own."""
    ways = [
        (median(of, peer, "seconds"), run)
        for run, of in result["samples"].items()
        if run.split()[0] == measure and peer in of and not run.endswith(" sorted")
    ]
    return min(ways, default=(None, ""))


def median(samples: dict[str, list[dict[str, Any]]], peer: str, what: str) -> float:
    return statistics.median(sample[what] for sample in samples[peer])


def judged(ratio: float, target: float) -> list[str]:
    return [times(ratio), times(target), "yes" if ratio >= target else "**no**"]


def times(ratio: float) -> str:
    return f"{ratio:.3g}×"


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 0.9995 else f"{seconds:.2f} s"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
