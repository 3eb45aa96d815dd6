"""What a model was trained on, where its folder is still in its run."""

from __future__ import annotations

from pathlib import Path

from silmu.steps.collect.dataset import Dataset
from silmu.steps.prepare.prepared import Prepared


def training_of(model: Path) -> Prepared | None:
    """What lies beside a model folder; None where it is not in its run.

    Raises:
        CorruptError: it lies there, and is damaged.
    """
    run = model.absolute().parent
    dataset, prepared = run / "1-dataset", run / "2-prepared"
    if not dataset.is_dir() or not prepared.is_dir():
        return None
    return Prepared.open(prepared, Dataset.open(dataset))
