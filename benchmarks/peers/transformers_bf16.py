"""transformers.pipeline on torch, its weights and products in bf16."""

from __future__ import annotations

from functools import partial

import torch

from . import transformers
from ._serve import serve

if __name__ == "__main__":
    load = partial(transformers.load, dtype=torch.bfloat16)
    serve(load, ["transformers", "torch", "tokenizers", "numpy"])
