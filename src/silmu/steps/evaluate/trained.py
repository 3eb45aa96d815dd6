"""What a model was trained on, where its folder is still in its run."""

from __future__ import annotations

from pathlib import Path

from silmu.errors import SilmuError
from silmu.steps.collect.dataset import Dataset
from silmu.steps.prepare.prepared import Prepared


def training_of(model: Path) -> Prepared | None:
    """What lies beside a model folder; None where it is not in its run."""
    run = model.absolute().parent
    try:
        return Prepared.open(run / "2-prepared", Dataset.open(run / "1-dataset"))
    except SilmuError:
        return None
