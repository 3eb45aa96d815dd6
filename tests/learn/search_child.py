"""A small real search in a process of its own, which tests kill, and compare."""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from os.path import relpath
from pathlib import Path
from typing import Any

import optuna  # noqa: F401  (what a fork need not import again)
import train_child

import silmu
from silmu import store
from silmu.errors import Interrupted
from silmu.steps.design.trials import FILE, FOLDER
from silmu.steps.train import export, loop, texts  # noqa: F401


def outcome(run: Path) -> dict[str, Any]:
    """All of a search but what the clock says: trials, the settings taken, and the weights."""
    told = json.loads((run / FOLDER / FILE).read_bytes())
    for trial in told["trials"]:
        del trial["seconds"]
    weights = (run / "4-model" / "model.safetensors").read_bytes()
    return {
        "trials": told,
        "settings": (run / "run.toml").read_text(encoding="utf-8"),
        "weights": hashlib.sha256(weights).hexdigest(),
        "left": sorted(path.name for path in (run / FOLDER).iterdir()),
    }


def main(arguments: list[str]) -> int:
    """Goes on with a run as far as its model; with `trace` tells of each operation on the disk."""
    warnings.simplefilter("error")
    run, seen = Path(arguments[0]), list[str]()
    try:
        with store.observe(lambda site, path: seen.append(f"{site} {relpath(path, run)}")):
            silmu.train(run, until="train")
    except Interrupted as error:
        print(error, file=sys.stderr)
        return error.code
    print(json.dumps({**outcome(run), "trace": seen if "trace" in arguments else []}))
    return 0


if __name__ == "__main__":
    train_child.serve(main)
