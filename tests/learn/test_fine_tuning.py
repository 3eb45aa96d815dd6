"""Whatever `graphs/` builds with a head for texts can be fine-tuned, saved and asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import silmu
from silmu.steps.design import backbones

MODELS = Path(__file__).parents[1] / "models"


def folders() -> dict[str, Path]:
    """One tiny model of each architecture that sorts texts."""
    found: dict[str, Path] = {}
    for path in sorted(MODELS.glob("*/config.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config["model_type"]
        is_learnt = kind in backbones.model_types("text-classification")
        if is_learnt and config["architectures"][0].endswith("ForSequenceClassification"):
            found.setdefault(kind, path.parent)
    return found


CASES = [(name, "fp32") for name in folders()] + [("bert", "bf16"), ("deberta-v2", "bf16")]


@pytest.mark.parametrize(("model_type", "dtype"), CASES)
def test_every_architecture_learns(model_type: str, dtype: str, tmp_path: Path) -> None:
    learn(model_type, tmp_path, dtype)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("model_type", ["gpt_neox", "llama"])
def test_attention_is_updated_in_low_rank_whatever_its_parts_are_called(
    model_type: str, tmp_path: Path
) -> None:
    learn(model_type, tmp_path, "fp32", tune="lora")


def learn(model_type: str, folder: Path, dtype: str, **more: Any) -> None:
    words = ("a good film by the sea", "a bad story of the sea")
    rows = [{"text": f"{words[i % 2]}, {i} times", "label": "ab"[i % 2]} for i in range(80)]
    settings = {"epochs": 1, "max_steps": 2, "near_duplicates": False, **more}
    # Where the graph and the network that was trained differ, the model is not written.
    run = silmu.train(
        "text-classification",
        data=rows,
        network=str(folders()[model_type]),
        output=folder / "run",
        settings=settings,
        dtype=dtype,
        until="train",
        quiet=True,
    )
    assert silmu.pipeline(model=run.model)("a good film")[0]["label"] in ("a", "b")


def test_every_family_is_among_them() -> None:
    assert {"albert", "deberta-v2", "electra", "modernbert", "mpnet", "roberta"} <= {*folders()}
