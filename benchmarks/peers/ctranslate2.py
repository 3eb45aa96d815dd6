"""CTranslate2: models converted by its own converter, heads of the encoders in numpy."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from . import _texts
from ._serve import NUM_THREADS, Runs, serve

OPTIONS = {"device": "cpu", "intra_threads": NUM_THREADS, "compute_type": "float32"}


def load(models: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    converted = models / "ctranslate2"

    def labels(name: str) -> _texts.Forward:
        hidden, linear = Encoder(converted / name), Linear(models / name)

        def forward(ids: Any, mask: Any) -> Any:
            first = linear("pre_classifier", hidden(ids, mask)[:, 0])
            return linear("classifier", np.maximum(first, 0))

        return forward

    def spans(name: str) -> _texts.Forward:
        hidden, linear = Encoder(converted / name), Linear(models / name)
        return lambda ids, mask: linear("qa_outputs", hidden(ids, mask))

    def continues(name: str) -> _texts.Continue:
        return partial(go_on, ctranslate2.Generator(str(converted / name), **OPTIONS))

    return _texts.load(models, work, measures, labels=labels, spans=spans, continues=continues)


class Encoder:
    """(rows, tokens) of ids and of their mask -> hidden states."""

    def __init__(self, folder: Path) -> None:
        self._encoder = ctranslate2.Encoder(str(folder), **OPTIONS)

    def __call__(self, ids: Any, mask: Any) -> Any:
        rows = [row[:length].tolist() for row, length in zip(ids, mask.sum(1), strict=True)]
        return np.asarray(self._encoder.forward_batch(rows).last_hidden_state)


class Linear:
    """The layers that the converter leaves out, by name."""

    def __init__(self, folder: Path) -> None:
        self._weights = load_file(folder / "model.safetensors")

    def __call__(self, name: str, x: Any) -> Any:
        return x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]


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
