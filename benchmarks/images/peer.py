"""A library that waits for its turns: `pipeline("image-classification")` as a program has it.

python -m images.peer HOME LIBRARY MODEL ..., in benchmarks/; peers/_serve.py says what is spoken.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial
from pathlib import Path
from typing import Any

from peers._serve import NUM_THREADS, Runs, serve

SIZES = (1, 8)
"""How many pictures transformers computes at once; the quickest counts."""


def load(home: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    library, *models = measures
    pipeline = importlib.import_module(library).pipeline
    options: dict[str, Any] = {}
    if library == "transformers":
        import torch

        torch.set_num_threads(NUM_THREADS)
        options["dtype"] = torch.float32
    runs: Runs = {}
    for model in models:
        classify = pipeline("image-classification", model=str(home / model), **options)
        runs[f"{model} one"] = partial(answers, classify, work["one"][0])
        many = partial(answers, classify, work["many"])
        if library == "silmu":
            runs[f"{model} many"] = many
        else:
            runs |= {f"{model} many batch_size={n}": partial(many, batch_size=n) for n in SIZES}
    return runs


def answers(classify: Any, pictures: Any, **options: Any) -> list[list[Any]]:
    """Labels and scores, the best five of each picture."""
    found = classify(pictures, **options)
    found = [found] if isinstance(pictures, str) else found
    return [[one["label"], one["score"]] for answer in found for one in answer]


if __name__ == "__main__":
    packages = {"silmu": ["silmu", "onnxruntime"], "transformers": ["transformers", "torch"]}
    serve(load, [*packages[sys.argv[2]], "numpy", "pillow"])
