"""silmu in 8 bits."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from silmu import pipeline

from . import _pipelines
from ._serve import Runs, serve


def load(models: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    return _pipelines.load(partial(pipeline, dtype="q8"), models, work, measures)[0]


if __name__ == "__main__":
    serve(load, ["silmu", "onnxruntime", "tokenizers", "numpy"])
