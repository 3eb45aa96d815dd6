"""A small training on series from end to end, as a program that other tests kill, and compare."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import table_child
import torch
import train_child

MODULES = ["onnx", "onnxruntime", "pyarrow.compute", "duckdb", "tomli_w", "silmu.networks.series"]
MODULES += ["silmu.steps.collect.series", "silmu.steps.prepare.series", "silmu.steps.design.cost"]
MODULES += [
    "silmu.steps.train.loop",
    "silmu.steps.train.series_gradients",
    "silmu.tasks.time_series_forecasting",
]
SMALL = {
    **{"network": "gru", "hidden_size": 8, "num_layers": 1, "prediction_length": 4},
    **{"context_length": 14, "known": "promotion", "season": 7, "gradients": False},
    **{"max_steps": 8, "batch_size": 16, "checkpoint_seconds": 0.0, "threads": 1, "dtype": "fp32"},
}


def rows(days: int = 120, *, shops: int = 2, seed: int = 0) -> list[dict[str, Any]]:
    """Shops with a week in their sales, a promotion that is known ahead, and some days missing."""
    random = np.random.default_rng(seed)
    found: list[dict[str, Any]] = []
    for shop in range(shops):
        for day in range(days):
            promotion = int(day % 11 == 3)
            value = 20 + 5 * np.sin(2 * np.pi * day / 7) + 4 * promotion + random.normal()
            if day % 41 != 17:
                date = str(np.datetime64("2023-01-02") + day)
                row = {"date": date, "shop": f"shop {shop}", "promotion": promotion}
                found.append({**row, "sold": round((shop + 1) * float(value), 3)})
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in MODULES:
        importlib.import_module(name)
    series_gradients: Any = importlib.import_module("silmu.steps.train.series_gradients")
    series_gradients.LEAST = series_gradients.MOST = 3
    train_child.serve(
        lambda arguments: table_child.main(
            arguments, task="time-series-forecasting", data=rows, target="sold", small=SMALL
        )
    )
