"""llama.cpp through llama-cpp-python: GPT-2, one prompt at a time, fp32 weights and cache."""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from tokenizers import Tokenizer

from . import _texts
from ._serve import NUM_THREADS, Runs, serve


def load(models: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    def continues(name: str) -> _texts.Continue:
        model = llama_cpp.Llama(
            str(models / "llama.cpp" / f"{name}.gguf"),
            n_ctx=1024,
            n_threads=NUM_THREADS,
            n_threads_batch=NUM_THREADS,
            type_k=llama_cpp.GGML_TYPE_F32,
            type_v=llama_cpp.GGML_TYPE_F32,
            verbose=False,
        )
        return partial(go_on, model)

    return _texts.load(models, work, measures, continues=continues)


def go_on(model: llama_cpp.Llama, tokenizer: Tokenizer, texts: list[str], num: int) -> list[str]:
    no_end = llama_cpp.LogitsProcessorList([partial(_forbid, model.token_eos())])
    rows: list[list[int]] = []
    for encoding in tokenizer.encode_batch(texts):
        model.reset()  # else a prompt that it has seen is not read again
        new = model.generate(encoding.ids, temp=0, repeat_penalty=1.0, logits_processor=no_end)
        rows.append([*encoding.ids, *islice(new, num)])
    return tokenizer.decode_batch(rows)


def _forbid(token: int, ids: Any, logits: Any) -> Any:
    logits[token] = -np.inf
    return logits


if __name__ == "__main__":
    serve(load, ["llama-cpp-python"])
