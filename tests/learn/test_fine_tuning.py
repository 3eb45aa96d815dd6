"""Whatever `graphs/` builds with a head for texts can be fine-tuned, saved and asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import silmu

MODELS = Path(__file__).parents[1] / "models"


def folders() -> dict[str, Path]:
    """One tiny model of each architecture that sorts texts."""
    found: dict[str, Path] = {}
    for path in sorted(MODELS.glob("*/config.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["architectures"][0].endswith("ForSequenceClassification"):
            found.setdefault(config["model_type"], path.parent)
    return found


CASES = [(name, "fp32") for name in folders()] + [("bert", "bf16"), ("deberta-v2", "bf16")]


@pytest.mark.parametrize(("model_type", "dtype"), CASES)
def test_every_architecture_learns(model_type: str, dtype: str, tmp_path: Path) -> None:
    words = ("a good film by the sea", "a bad story of the sea")
    rows = [{"text": f"{words[i % 2]}, {i} times", "label": "ab"[i % 2]} for i in range(80)]
    settings: dict[str, Any] = {"epochs": 1, "max_steps": 2, "near_duplicates": False}
    # Where the graph and the network that was trained differ, the model is not written.
    run = silmu.train(
        "text-classification",
        data=rows,
        network=str(folders()[model_type]),
        output=tmp_path / "run",
        settings=settings,
        dtype=dtype,
        until="train",
        quiet=True,
    )
    assert silmu.pipeline(model=run.model)("a good film")[0]["label"] in ("a", "b")


def test_every_family_is_among_them() -> None:
    assert {"albert", "deberta-v2", "electra", "modernbert", "mpnet", "roberta"} <= {*folders()}
