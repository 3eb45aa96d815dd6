"""A small training of a table from end to end, as a program that other tests kill, and compare."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import random
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import train_child

import silmu
from silmu import store
from silmu.errors import Interrupted, SilmuError
from silmu.run import SETTINGS

NUM_ROWS = 150
MODULES = ["onnx", "onnxruntime", "pyarrow.compute", "duckdb", "tomli_w", "silmu.networks.tables"]
MODULES += ["silmu.steps.collect.writing", "silmu.steps.prepare.tables", "silmu.steps.design.cost"]
MODULES += [
    "silmu.steps.train.loop",
    "silmu.steps.train.tables",
    "silmu.tasks.tabular_classification",
]
SMALL = {
    **{"members": 2, "hidden_size": 8, "number_bins": 4, "number_size": 2, "category_size": 4},
    **{"max_steps": 8, "batch_size": 32, "checkpoint_seconds": 0.0, "threads": 1, "dtype": "fp32"},
}


def rows(seed: int = 0, count: int = NUM_ROWS) -> list[dict[str, Any]]:
    """Rows of numbers and levels with holes, that tell what they are."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        x, kind = draw.gauss(0, 1), draw.choice(["a", "b", "c", None])
        size = draw.gauss(100, 20) if draw.random() < 0.9 else None
        told = x + (kind == "a") + (size or 100) / 50
        found.append({"x": x, "kind": kind, "size": size, "y": "high" if told > 2.2 else "low"})
    return found


def digest(folder: Path) -> dict[str, str]:
    """What is in each file of a folder, but for its manifest."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != store.MANIFEST
    }


def main(
    arguments: list[str],
    task: str = "tabular-classification",
    data: Callable[[], Any] = rows,
    target: str | None = "y",
    small: Mapping[str, Any] = SMALL,
) -> int:
    """Trains on what `data` gives, or goes on with it, and tells what the model folder holds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", type=json.loads, default={})
    parser.add_argument("--trace", action="store_true", help="tell of each operation on the disk")
    given = parser.parse_args(arguments)
    warnings.simplefilter("error")
    seen: list[str] = []
    begun = (given.folder / SETTINGS).exists()
    try:
        with store.observe(lambda site, path: seen.append(f"{site} {path}")):
            run = silmu.train(
                given.folder if begun else task,
                data=data(),
                target=None if begun else target,
                output=None if begun else given.folder,
                settings=None if begun else {**small, **given.set},
                until="train",
                quiet=True,
            )
    except Interrupted as error:
        print(error, file=sys.stderr)
        return error.code
    except SilmuError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    told = {"model": digest(run.model), "begun": begun, "trace": seen if given.trace else []}
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in MODULES:
        importlib.import_module(name)
    train_child.serve(main)
