"""Records which tokens transformers leaves in when it samples: tests/golden/sampling.json.

    python tools/make_sampling_golden.py

Run it where torch and transformers 4.57.6 are installed. What is drawn hangs on torch's random
numbers and cannot be compared; what it is drawn from can.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "tests" / "golden" / "sampling.json"

SETTINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.7},
    {"temperature": 3.0, "top_k": 0},
    {"top_k": 1},
    {"top_k": 5},
    {"top_k": 1000},
    {"top_k": 0, "top_p": 0.0},
    {"top_k": 0, "top_p": 0.5},
    {"top_k": 0, "top_p": 0.95},
    {"top_k": 20, "top_p": 0.8, "temperature": 1.5},
    {"top_k": 0, "min_p": 0.1},
    {"top_k": 0, "min_p": 0.9},
    {"top_k": 0, "typical_p": 0.3},
    {"top_k": 0, "typical_p": 0.9},
    {"top_k": 0, "epsilon_cutoff": 0.03},
    {"top_k": 0, "epsilon_cutoff": 0.9},
    {"top_k": 0, "eta_cutoff": 0.05},
    {"top_k": 0, "eta_cutoff": 0.9},
    {"top_k": 40, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.8, "temperature": 0.8},
    {"num_beams": 3},
    {"num_beams": 3, "top_k": 1},
    {"num_beams": 3, "top_k": 0, "top_p": 0.1},
    {"num_beams": 3, "top_k": 0, "min_p": 0.99, "eos_token_id": [1, 2, 3]},
    {"num_beams": 3, "top_k": 0, "typical_p": 0.05},
    {"num_beams": 3, "top_k": 0, "eta_cutoff": 0.9},
]


def main() -> None:
    model = AutoModelForCausalLM.from_pretrained(ROOT / "tests" / "models" / "gpt2-lm")
    random = np.random.default_rng(0)
    scores = {
        "even": random.normal(size=60).astype(np.float32),
        "peaked": (random.normal(size=60) * 4).astype(np.float32),
    }
    scores["forbidden"] = np.where(np.arange(60) % 3 == 0, -np.inf, scores["even"])
    cases: list[dict[str, Any]] = []
    for given in SETTINGS:
        config = GenerationConfig(do_sample=True, **given)
        model._prepare_special_tokens(config, device="cpu")
        warpers = model._get_logits_processor(config, input_ids_seq_length=1)
        for name, values in scores.items():
            bent = warpers(torch.tensor([[0]]), torch.tensor(values[None]))[0].numpy()
            kept = np.flatnonzero(np.isfinite(bent))
            cases.append(
                {
                    "settings": given,
                    "scores": name,
                    "tokens": kept.tolist(),
                    "bent": [round(float(x), 5) for x in bent[kept]],
                }
            )
    written = {
        "header": {
            "command": "python tools/make_sampling_golden.py",
            "transformers": transformers.__version__,
            "torch": torch.__version__,
        },
        "scores": {
            name: [None if np.isinf(x) else round(float(x), 7) for x in values]
            for name, values in scores.items()
        },
    }
    lines = ",\n".join(json.dumps(case) for case in cases)
    head = json.dumps(written)[:-1]
    TARGET.write_text(f'{head}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
