"""A small training on pictures from end to end, as a program that other tests kill, and compare."""

from __future__ import annotations

import importlib
from functools import partial

import table_child
import torch
import train_child
from drawn import pictures

MODULES = ["onnx", "onnxruntime", "PIL.Image", "duckdb", "tomli_w", "silmu.networks.images"]
MODULES += ["silmu.steps.collect.writing", "silmu.steps.prepare.images", "silmu.steps.design.cost"]
MODULES += [
    "silmu.steps.train.loop",
    "silmu.steps.train.images",
    "silmu.tasks.image_classification",
]
SMALL = {
    **{"network": "resnet", "hidden_size": 4, "num_layers": 1, "image_size": 16, "mixing": 0.2},
    **{"max_steps": 8, "batch_size": 16, "checkpoint_seconds": 0.0, "threads": 1, "dtype": "fp32"},
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in MODULES:
        importlib.import_module(name)
    train_child.serve(
        partial(
            table_child.main,
            task="image-classification",
            data=partial(pictures, 90),
            target="label",
            small=SMALL,
        )
    )
