"""What every peer speaks: JSON lines on stdin and stdout. Imports nothing heavy.

    python -m peers.NAME MODELS MEASURE ...
    -> {"ready": versions, "runs": [...]}        when all that these measures need is loaded
    <- {"measure": NAME, "repeats": N}
    -> {"seconds": [N times], "answer": ...}

A peer that waits is blocked on stdin and takes no CPU. Answers have one form for all peers:
[label, score] pairs; [start, end] of an answer's characters; generated texts, prompt included.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NUM_THREADS = int(os.environ["OMP_NUM_THREADS"])

Runs = dict[str, Callable[[], Any]]


def serve(load: Callable[[Path, dict[str, Any], list[str]], Runs], packages: list[str]) -> None:
    """Answers until stdin ends.

    Args:
        load: from the models' folder, the workloads and the measures, a callable a measure; a key
            such as `many batch_size=1` is a measure and a variant of it.
        packages: whose versions are part of the result.
    """
    # Libraries print to stdout too; the lines of the protocol go to where stdout was.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(**message: Any) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    models, measures = Path(sys.argv[1]), sys.argv[2:]
    work = json.loads((models / "workloads.json").read_text(encoding="utf-8"))
    runs = load(models, work, measures)
    versions = {name: importlib.metadata.version(name) for name in packages}
    reply(ready={"python": platform.python_version(), **versions}, runs=sorted(runs))
    for line in sys.stdin:
        request = json.loads(line)
        run, repeats = runs[request["measure"]], request["repeats"]
        if repeats > 1:
            run()  # brings back what other peers drove out of the processor's caches
        seconds: list[float] = []
        answer: Any = None
        for _ in range(repeats):
            started = time.perf_counter()
            answer = run()
            seconds.append(time.perf_counter() - started)
        reply(seconds=seconds, answer=answer)
