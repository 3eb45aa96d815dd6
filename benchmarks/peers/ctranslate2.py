"""CTranslate2: models converted by its own converter, heads of the encoders in numpy."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from peers import _texts
from peers._serve import NUM_THREADS, Runs, serve

OPTIONS = {"device": "cpu", "intra_threads": NUM_THREADS, "compute_type": "float32"}


def load(models: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    runs: Runs = {}
    converted = models / "ctranslate2"
    if labelled := [name for name in measures if "texts" in work[name]]:
        tokenizer, head = _texts.open_tokenizer(models / "sentiment"), Head(models / "sentiment")
        encoder = ctranslate2.Encoder(str(converted / "sentiment"), **OPTIONS)

        def logits(ids: Any, mask: Any) -> Any:
            first = hidden(encoder, ids, mask)[:, 0]
            return head("classifier", np.maximum(head("pre_classifier", first), 0))

        for name in labelled:
            runs[name] = partial(_texts.classify, tokenizer, work[name]["texts"], logits)
    if "question" in measures:
        folder, asked = models / "question-answering", work["question"]
        asker, qa_head = _texts.open_tokenizer(folder), Head(folder)
        reader = ctranslate2.Encoder(str(converted / "question-answering"), **OPTIONS)

        def spans(ids: Any, mask: Any) -> Any:
            return qa_head("qa_outputs", hidden(reader, ids, mask))

        runs["question"] = partial(
            _texts.answer, asker, asked["question"], asked["context"], spans
        )
    if generated := [name for name in measures if "prompts" in work[name]]:
        bpe = _texts.open_tokenizer(models / "gpt2")
        generator = ctranslate2.Generator(str(converted / "gpt2"), **OPTIONS)
        for name in generated:
            runs[name] = partial(go_on, generator, bpe, **prompts(work[name]))
    return runs


class Head:
    """The linear layers that the converter leaves out."""

    def __init__(self, folder: Path) -> None:
        self._weights = load_file(folder / "model.safetensors")

    def __call__(self, name: str, x: Any) -> Any:
        return x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]


def hidden(encoder: ctranslate2.Encoder, ids: Any, mask: Any) -> Any:
    rows = [row[:length].tolist() for row, length in zip(ids, mask.sum(1), strict=True)]
    return np.asarray(encoder.forward_batch(rows).last_hidden_state)


def prompts(given: dict[str, Any]) -> dict[str, Any]:
    return {"texts": given["prompts"], "num": given["new_tokens"]}


def go_on(
    generator: ctranslate2.Generator, tokenizer: Tokenizer, texts: list[str], num: int
) -> list[str]:
    encoded = tokenizer.encode_batch(texts)
    results = generator.generate_batch(
        [encoding.tokens for encoding in encoded],
        beam_size=1,
        min_length=num,
        max_length=num,
        include_prompt_in_result=False,
    )
    new = [result.sequences_ids[0] for result in results]
    return tokenizer.decode_batch([e.ids + ids for e, ids in zip(encoded, new, strict=True)])


if __name__ == "__main__":
    serve(load, ["ctranslate2", "tokenizers", "numpy"])
