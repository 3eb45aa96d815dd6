"""How often a classifier that silmu trained is right in each precision, on its sealed test split.

    python tools/measure_recipes.py rotten-tomatoes-minilm
    python benchmarks/precision_accuracy.py build/recipes/rotten-tomatoes-minilm-*

Prints one JSON object a run: accuracy by dtype, and how often q8 says what fp32 says.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from silmu import pipeline
from silmu.steps.collect.dataset import Dataset
from silmu.steps.prepare.prepared import Prepared

DTYPES = ("fp32", "q8", "q4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    for run in parser.parse_args().runs:
        prepared = Prepared.open(run / "2-prepared", Dataset.open(run / "1-dataset"))
        texts = [parts[0] for parts in prepared.texts("test")]
        targets = prepared.targets("test")
        told = {}
        for dtype in DTYPES:
            pipe = pipeline("text-classification", model=str(run / "4-model"), dtype=dtype)
            told[dtype] = np.array([prepared.labels.index(one["label"]) for one in pipe(texts)])
        found = {dtype: round(float((own == targets).mean()), 4) for dtype, own in told.items()}
        same = round(float((told["q8"] == told["fp32"]).mean()), 4)
        print(json.dumps({"run": run.name, "rows": len(texts), "accuracy": found, "same": same}))


if __name__ == "__main__":
    main()
