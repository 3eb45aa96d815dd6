"""Records what BART answers: tests/golden/bart.json.

    python -m tools.make_bart_golden

Run it where torch and transformers 4.57.6 are installed. Labels that nobody was trained on, of
texts of every length, shortened ones among them; labels of texts and of pairs; spans and vectors.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from tools.make_encoder_golden import plain
from transformers import pipeline

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models"
TARGET = ROOT / "tests" / "golden" / "bart.json"

GOOD = "I loved this movie: the story was warm, the actors were wonderful."
KOREAN = "한국의 수도는 서울이다."
LONG = "The old man said that the sea takes what it wants and gives nothing back. " * 9
TOPICS = ["sport", "the weather in Berlin", "water", "영화"]
CONTEXT = "My name is Clara and I live in Hamburg with two cats and a very noisy parrot."
ENDED = "One text</s> and, after what ends it, <mask> another."

ASKED: tuple[tuple[str, str, list[Any], dict[str, Any]], ...] = (
    *(
        ("zero-shot-classification", model, [text, TOPICS], options)
        for model in ("bart-nli", "bart-sequence")
        for text in (GOOD, KOREAN, LONG, ENDED, [KOREAN, GOOD])
        for options in ({}, {"multi_label": True})
    ),
    ("zero-shot-classification", "bart-nli", [GOOD, "sport"], {}),
    ("zero-shot-classification", "bart-nli", [GOOD, TOPICS], {"hypothesis_template": "{}이다."}),
    *(
        ("text-classification", model, [text], {"top_k": None})
        for model in ("bart-nli", "bart-sequence")
        for text in (GOOD, KOREAN, ENDED, {"text": GOOD, "text_pair": KOREAN}, [GOOD, "a", KOREAN])
    ),
    ("text-classification", "bart-sequence", [LONG], {"truncation": True}),
    ("question-answering", "bart-qa", [], {"question": "Where do you live?", "context": CONTEXT}),
    ("feature-extraction", "bart-base", [KOREAN], {}),
)


def main() -> None:
    torch.set_num_threads(1)
    cases: list[dict[str, Any]] = []
    for task, model, given, options in ASKED:
        pipe = pipeline(task, model=str(MODELS / model), dtype=torch.float32)
        case = {"model": model, "task": task, "input": given, "options": options}
        cases.append(case | {"output": plain(pipe(*given, **options))})
    found = {
        "command": "python -m tools.make_bart_golden",
        "transformers": transformers.__version__,
        "answers": cases,
    }
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    TARGET.write_text(text.replace('{"model"', '\n{"model"') + "\n", encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(text.encode()) / 1000:.0f} KB")


if __name__ == "__main__":
    main()
