"""silmu with OpenVINO, in bf16 and in 8 bits."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from silmu import pipeline

from . import _pipelines
from ._serve import Runs, serve


def load(models: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    runs: Runs = {}
    for dtype in ("bf16", "q8"):
        opened = partial(pipeline, dtype=dtype, model_kwargs={"engine": "openvino"})
        found = _pipelines.load(opened, models, work, measures)[0]
        runs |= {f"{name} {dtype}": run for name, run in found.items()}
    return runs


if __name__ == "__main__":
    serve(load, ["silmu", "openvino", "tokenizers", "numpy"])
