"""OpenVINO: models exported by optimum-intel, run by OpenVINO's own runtime in fp32."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from tokenizers import Tokenizer

from peers import _texts
from peers._serve import NUM_THREADS, Runs, serve

OPTIONS = {
    "INFERENCE_NUM_THREADS": NUM_THREADS,
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    "PERFORMANCE_HINT": "LATENCY",
}


def load(models: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    def compiled(name: str) -> ov.CompiledModel:
        return ov.Core().compile_model(models / "openvino" / name / "openvino_model.xml", "CPU", OPTIONS)

    runs: Runs = {}
    if labelled := [name for name in measures if "texts" in work[name]]:
        tokenizer, classifier = _texts.open_tokenizer(models / "sentiment"), compiled("sentiment")

        def logits(ids: Any, mask: Any) -> Any:
            return classifier({"input_ids": ids, "attention_mask": mask})["logits"]

        for name in labelled:
            runs[name] = partial(_texts.classify, tokenizer, work[name]["texts"], logits)
    if "question" in measures:
        asker = _texts.open_tokenizer(models / "question-answering")
        reader, asked = compiled("question-answering"), work["question"]

        def spans(ids: Any, mask: Any) -> Any:
            result = reader({"input_ids": ids, "attention_mask": mask})
            return np.stack([result["start_logits"], result["end_logits"]], -1)

        runs["question"] = partial(
            _texts.answer, asker, asked["question"], asked["context"], spans
        )
    if generated := [name for name in measures if "prompts" in work[name]]:
        bpe, request = _texts.open_tokenizer(models / "gpt2"), compiled("gpt2").create_infer_request()
        for name in generated:
            given = work[name]
            runs[name] = partial(go_on, request, bpe, given["prompts"], given["new_tokens"])
    return runs


def go_on(request: ov.InferRequest, tokenizer: Tokenizer, texts: list[str], num: int) -> list[str]:
    """Greedy; the model keeps its key-value cache between calls. All prompts have one length."""
    request.reset_state()
    ids = np.array([encoding.ids for encoding in tokenizer.encode_batch(texts)], np.int64)
    rows, new = np.arange(len(ids), dtype=np.int32), ids
    end = tokenizer.token_to_id("<|endoftext|>")
    for _ in range(num):
        seen = ids.shape[1]
        places = np.arange(seen - new.shape[1], seen)[None].repeat(len(ids), 0)
        feeds = {"input_ids": new, "attention_mask": np.ones_like(ids), "beam_idx": rows}
        if any("position_ids" in port.names for port in request.model_inputs):
            feeds["position_ids"] = places
        logits = request.infer(feeds)["logits"][:, -1]
        logits[:, end] = -np.inf
        new = logits.argmax(-1)[:, None]
        ids = np.concatenate([ids, new], 1)
    return tokenizer.decode_batch(ids.tolist())


if __name__ == "__main__":
    serve(load, ["openvino", "tokenizers", "numpy"])
