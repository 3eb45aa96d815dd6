"""Records what convolutional networks give for pictures: tests/golden/convolutions.json.

    python tools/make_convolution_golden.py

Run it where torch and transformers 4.57.6 are installed. Pictures are noise of a seed, of sides
that halve evenly and of others; of large outputs numbers are kept at equal distances.
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
from transformers import AutoModel, AutoModelForImageClassification

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models"
TARGET = ROOT / "tests" / "golden" / "convolutions.json"

FAMILIES = ("resnet", "convnext", "convnextv2", "mobilenet_v2")
SIZES = ((32, 32), (47, 33))
MOST = 400
"""Numbers that are kept of an output."""


def answers(folder: Path) -> list[dict[str, Any]]:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    is_bare = config["architectures"][0].endswith("Model")
    kind = AutoModel if is_bare else AutoModelForImageClassification
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()
    names = ("last_hidden_state", "pooler_output") if is_bare else ("logits",)
    found: list[dict[str, Any]] = []
    for seed, (height, width) in enumerate(SIZES):
        shape = (3, 3, height, width)
        noise = np.random.default_rng(seed).standard_normal(shape, np.float32)
        with torch.no_grad():
            said = model(torch.from_numpy(noise))
        outputs: dict[str, Any] = {}
        for name in names:
            values = said[name].numpy()
            every = -(-values.size // MOST)
            kept = [float(f"{value:.7g}") for value in values.ravel()[::every].tolist()]
            outputs[name] = {"shape": list(values.shape), "every": every, "values": kept}
        found.append({"model": folder.name, "seed": seed, "pixels": shape, "outputs": outputs})
    return found


def main() -> None:
    torch.set_num_threads(1)
    folders = [path for name in FAMILIES for path in sorted(MODELS.glob(f"{name}-*"))]
    found = {
        "command": "python tools/make_convolution_golden.py",
        "transformers": transformers.__version__,
        "cases": [case for folder in folders for case in answers(folder)],
    }
    text = json.dumps(found, separators=(",", ":")).replace('{"model"', '\n{"model"')
    TARGET.write_text(text + "\n", encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(text) / 1000:.0f} KB")


if __name__ == "__main__":
    main()
