"""silmu, as it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from silmu import pipeline

from . import _pipelines
from ._serve import Runs, serve


def load(models: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    return _pipelines.load(pipeline, models, work, measures)[0]


if __name__ == "__main__":
    serve(load, ["silmu", "onnxruntime", "tokenizers", "numpy"])
