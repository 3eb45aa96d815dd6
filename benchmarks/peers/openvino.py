"""OpenVINO: models exported by optimum-intel, run by OpenVINO's own runtime in fp32."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from tokenizers import Tokenizer

from . import _texts
from ._serve import NUM_THREADS, Runs, serve

OPTIONS = {
    "INFERENCE_NUM_THREADS": NUM_THREADS,
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    "PERFORMANCE_HINT": "LATENCY",
}


def load(models: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    def compiled(name: str) -> ov.CompiledModel:
        graph = models / "openvino" / name / "openvino_model.xml"
        return ov.Core().compile_model(graph, "CPU", OPTIONS)

    def labels(name: str) -> _texts.Forward:
        model = compiled(name)
        return lambda ids, mask: model({"input_ids": ids, "attention_mask": mask})["logits"]

    def spans(name: str) -> _texts.Forward:
        model = compiled(name)

        def forward(ids: Any, mask: Any) -> Any:
            result = model({"input_ids": ids, "attention_mask": mask})
            return np.stack([result["start_logits"], result["end_logits"]], -1)

        return forward

    def continues(name: str) -> _texts.Continue:
        return partial(go_on, compiled(name).create_infer_request())

    return _texts.load(models, work, measures, labels=labels, spans=spans, continues=continues)


def go_on(request: ov.InferRequest, tokenizer: Tokenizer, texts: list[str], num: int) -> list[str]:
    """Greedy; the model keeps its key-value cache between calls. All prompts have one length."""
    request.reset_state()
    ids = np.array([encoding.ids for encoding in tokenizer.encode_batch(texts)], np.int64)
    rows, new = np.arange(len(ids), dtype=np.int32), ids
    end = tokenizer.token_to_id("<|endoftext|>")
    asked = {name for port in request.model_inputs for name in port.names}
    for _ in range(num):
        seen = ids.shape[1]
        feeds = {
            "input_ids": new,
            "attention_mask": np.ones_like(ids),
            "position_ids": np.tile(np.arange(seen - new.shape[1], seen), (len(ids), 1)),
            "beam_idx": rows,
        }
        logits = request.infer({k: v for k, v in feeds.items() if k in asked})["logits"][:, -1]
        logits[:, end] = -np.inf
        new = logits.argmax(-1)[:, None]
        ids = np.concatenate([ids, new], 1)
    return tokenizer.decode_batch(ids.tolist())


if __name__ == "__main__":
    serve(load, ["openvino", "tokenizers", "numpy"])
