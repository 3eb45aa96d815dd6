"""Makes the tiny random models of tests/models.

Real architectures, saved by transformers' own classes, with real kinds of tokenizers trained on the
text of tools/tiny_models. Nothing is downloaded. Run it where transformers 4.57 and torch are
installed:

    python -m tools.make_tiny_models [name or its beginning, as `bert-` ...]

The weights are random but large, and biases and LayerNorms are random too: in a freshly initialised
network they are 0 and 1, and a graph that forgot them would go unnoticed.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "tests" / "models"


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    wanted = tuple(sys.argv[1:])
    scratch = MODELS / ".scratch"
    for path in sorted((HERE / "tiny_models").glob("[!_]*.py")):
        group = importlib.import_module(f"tools.tiny_models.{path.stem}")
        for name, (model, tokenizer, shard) in group.models(scratch).items():
            if wanted and not name.startswith(wanted):
                continue
            folder = MODELS / name
            shutil.rmtree(folder, ignore_errors=True)
            model.save_pretrained(folder, max_shard_size=shard)
            tokenizer.save_pretrained(folder)
            for file in folder.iterdir():
                file.chmod(0o644)
            size = sum(file.stat().st_size for file in folder.iterdir())
            print(f"{name:28} {size / 1000:7.1f} KB")
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
