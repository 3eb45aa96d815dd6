"""Records what DeBERTa and ModernBERT answer: tests/golden/deberta_modernbert.json.

    python -m tools.make_deberta_modernbert_golden

Run it where torch and transformers 4.57.6 are installed. There are rows of many more tokens than
there are buckets of distances or a local layer sees, the buckets of every distance for the sizes of
released checkpoints, and one answer of each family in each task.
"""

from __future__ import annotations

import json
import os
from itertools import groupby
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers
from tools.make_encoder_golden import plain
from transformers import AutoConfig, pipeline
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models"
TARGET = ROOT / "tests" / "golden" / "deberta_modernbert.json"

LONGEST = 100
LONG = (
    "deberta-v3-base",
    "deberta-v2-own-keys",
    "deberta-v2-c2p",
    "deberta-v2-p2c",
    "deberta-v2-conv",
    "deberta-v2-conv-groups",
    "deberta-v3-sequence",
    "modernbert-base",
    "modernbert-sequence",
    "modernbert-sequence-mean",
)
BUCKETS = ((256, 512), (256, 1024), (128, 512), (32, 128), (4, 5), (6, 20))
CONTEXT = "My name is Clara and I live in Hamburg with two cats and a very noisy parrot."
ASKED: dict[str, tuple[str, Any]] = {
    "text-classification": ("sequence", "The music was perfect,  and the food was terrible."),
    "question-answering": ("qa", {"question": "Where do you live?", "context": CONTEXT}),
    "token-classification": ("token", "Clara lives in Hamburg, 한국의 수도는 서울이다."),
    "fill-mask": ("fill", "The capital of France is [MASK]."),
    "feature-extraction": ("base", "이 영화는 정말 재미있고 음악도 좋았다."),
}


# Twice as many tokens as there are positions, which DeBERTa does not count.
MANY = "The lighthouse keeper climbed the narrow stairs every evening before the sun set. " * 8


def long(name: str) -> dict[str, Any]:
    config = AutoConfig.from_pretrained(MODELS / name)
    kind = getattr(transformers, config.architectures[0])
    model = kind.from_pretrained(MODELS / name, dtype=torch.float32).eval()
    ids = np.random.default_rng(len(name)).integers(5, config.vocab_size, LONGEST).tolist()
    with torch.no_grad():
        out = model(torch.tensor([ids]))
    key, value = next(iter(out.items()))
    found = value[0, ::11] if value.ndim == 3 else value[0]
    return {"model": name, "ids": ids, "key": key, "values": plain(found.tolist())}


def buckets(size: int, farthest: int) -> dict[str, Any]:
    """The bucket of each distance, as runs of a bucket and how many distances fall into it."""
    distances = torch.arange(-farthest - 9, farthest + 10)
    found = make_log_bucket_position(distances, size, farthest).long() + size
    runs = [
        (number, len(list(group)))
        for number, group in groupby(found.clamp(0, 2 * size - 1).tolist())
    ]
    return {"buckets": size, "farthest": farthest, "runs": runs}


def answer(family: str, task: str, ending: str, given: Any) -> dict[str, Any]:
    name = f"{family}-{ending}"
    built = pipeline(task, model=str(MODELS / name), dtype=torch.float32)
    said = built(**given) if isinstance(given, dict) else built(given)
    if task == "feature-extraction":
        said = said[0]
    ids = built.tokenizer(given["context"] if isinstance(given, dict) else given)["input_ids"]
    case = {"model": name, "task": task, "input": given, "ids": ids, "output": plain(said)}
    return case


def main() -> None:
    torch.set_num_threads(1)
    found = {
        "command": "python -m tools.make_deberta_modernbert_golden",
        "transformers": transformers.__version__,
        "long": [long(name) for name in LONG],
        "buckets": [buckets(*sizes) for sizes in BUCKETS],
        "answers": [
            answer(family, task, *asked)
            for family in ("deberta-v3", "modernbert")
            for task, asked in ASKED.items()
        ],
        "beyond": answer("deberta-v3", "text-classification", "sequence", MANY),
    }
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    text = text.replace('{"model"', '\n{"model"').replace('{"buckets"', '\n{"buckets"')
    TARGET.write_text(text + "\n", encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(text.encode()) / 1000:.0f} KB")


if __name__ == "__main__":
    main()
