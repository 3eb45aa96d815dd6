"""Records what RoBERTa and its kin, ELECTRA, MPNet and ALBERT answer: tests/golden/encoders.json.

    python -m tools.make_encoder_golden

Run it where torch and transformers 4.57.6 are installed. There are texts as long as each model can
read, texts with padding's id within them, and one answer of each family in each task.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers
from transformers import AutoConfig, AutoModel, pipeline

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models"
TARGET = ROOT / "tests" / "golden" / "encoders.json"

FAMILIES = ("roberta", "xlm-roberta", "camembert", "electra", "mpnet", "albert")
LONGEST = 96
CONTEXT = "My name is Clara and I live in Hamburg with two cats and a very noisy parrot."
ASKED: dict[str, tuple[str, Any]] = {
    "text-classification": ("sequence", "The music was perfect, and the food was terrible."),
    "question-answering": ("qa", {"question": "Where do you live?", "context": CONTEXT}),
    "token-classification": ("tokens", "Clara lives in Hamburg, 한국의 수도는 서울이다."),
    "fill-mask": ("mask", "The capital of France is {mask}."),
    "feature-extraction": ("base", "이 영화는 정말 재미있고 음악도 좋았다."),
}


def vectors(name: str, ids: list[int], every: int) -> dict[str, Any]:
    model = AutoModel.from_pretrained(MODELS / name, dtype=torch.float32).eval()
    with torch.no_grad():
        out = model(torch.tensor([ids])).last_hidden_state[0]
    return {"model": name, "ids": ids, "every": every, "vectors": plain(out[::every].tolist())}


def plain(value: Any) -> Any:
    """Lists, maps and numbers of seven digits, as JSON keeps them."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.7g}")
    return int(value) if isinstance(value, np.integer) else value


def answer(family: str, task: str, ending: str, given: Any) -> dict[str, Any]:
    model = str(MODELS / f"{family}-{ending}")
    built = pipeline(task, model=model, dtype=torch.float32)
    if isinstance(given, str):
        given = given.format(mask=built.tokenizer.mask_token)
    said = built(**given) if isinstance(given, dict) else built(given)
    if task == "feature-extraction":
        said = said[0]
    return {"model": f"{family}-{ending}", "task": task, "input": given, "output": plain(said)}


def main() -> None:
    random = np.random.default_rng(0)
    long: list[dict[str, Any]] = []
    padding: list[dict[str, Any]] = []
    for family in FAMILIES:
        name = f"{family}-base"
        config = AutoConfig.from_pretrained(MODELS / name)
        ids = random.integers(5, config.vocab_size, LONGEST).tolist()
        long.append(vectors(name, ids, every=8))
        ids = random.integers(5, config.vocab_size, 8).tolist()
        ids[2] = ids[5] = config.pad_token_id
        padding.append(vectors(name, ids, every=1))
    answers = [answer(family, task, *asked) for family in FAMILIES for task, asked in ASKED.items()]
    found = {
        "command": "python -m tools.make_encoder_golden",
        "transformers": transformers.__version__,
        "long": long,
        "padding within": padding,
        "answers": answers,
    }
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    TARGET.write_text(text.replace('{"model"', '\n{"model"') + "\n", encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(text.encode()) / 1000:.0f} KB")


if __name__ == "__main__":
    main()
