"""llama.cpp through llama-cpp-python: GPT-2, one prompt at a time, fp32 weights and cache."""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from tokenizers import Tokenizer

from peers import _texts
from peers._serve import NUM_THREADS, Runs, serve


def load(models: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    tokenizer = _texts.open_tokenizer(models / "gpt2")
    model = llama_cpp.Llama(
        str(models / "llama.cpp" / "gpt2.gguf"),
        n_ctx=1024,
        n_threads=NUM_THREADS,
        n_threads_batch=NUM_THREADS,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
        verbose=False,
    )
    return {
        name: partial(go_on, model, tokenizer, work[name]["prompts"][0], work[name]["new_tokens"])
        for name in measures
    }


def go_on(model: llama_cpp.Llama, tokenizer: Tokenizer, text: str, num: int) -> list[str]:
    model.reset()  # else a prompt that it has seen is not read again
    ids = tokenizer.encode(text).ids
    no_end = llama_cpp.LogitsProcessorList([partial(_forbid, model.token_eos())])
    new = islice(model.generate(ids, temp=0, repeat_penalty=1.0, logits_processor=no_end), num)
    return [tokenizer.decode([*ids, *new])]


def _forbid(token: int, ids: Any, logits: Any) -> Any:
    logits[token] = -np.inf
    return logits


if __name__ == "__main__":
    serve(load, ["llama-cpp-python"])
