"""transformers.pipeline on torch, fp32; lists at two batch sizes and in silmu's batches.

The same file serves 5 and 4.57, in environments of their own.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import pipeline

from . import _pipelines
from ._serve import NUM_THREADS, Runs, serve
from ._texts import in_batches, labelled


def load(
    models: Path, work: dict[str, Any], measures: list[str], dtype: torch.dtype = torch.float32
) -> Runs:
    torch.set_num_threads(NUM_THREADS)
    runs, opened = _pipelines.load(partial(pipeline, dtype=dtype), models, work, measures)
    assert all(task.model.dtype == dtype for task in opened.values())
    if many := runs.pop("many", None):
        classify = opened["text-classification"]
        for size in (1, 32):
            runs[f"many batch_size={size}"] = partial(many, batch_size=size)
        runs["many sorted"] = partial(label_sorted, classify, work["many"]["texts"])
    if eight := runs.get("generate-many"):
        generate = opened["text-generation"]
        generate.tokenizer.pad_token = generate.tokenizer.eos_token  # GPT-2 has none of its own
        generate.tokenizer.padding_side = "left"
        runs["generate-many"] = partial(eight, batch_size=len(work["generate-many"]["prompts"]))
    return runs


@torch.inference_mode()
def label_sorted(classify: Any, texts: list[str]) -> list[list[Any]]:
    """The pipeline's own model and tokenizer, without what the pipeline does around them."""

    def forward(ids: Any, mask: Any) -> Any:
        logits = classify.model(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits
        return torch.softmax(logits.float(), -1).numpy()

    rows = classify.tokenizer(texts)["input_ids"]
    return [labelled(scores) for scores in in_batches(rows, forward)]


if __name__ == "__main__":
    serve(load, ["transformers", "torch", "tokenizers", "numpy"])
