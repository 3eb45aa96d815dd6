"""The graphs compute what the networks of transformers 4.57 compute: raw numbers, to 1e-4.

tests/golden/4.57.6/logits holds, a file a family, what the network of every tiny model gives for
token ids chosen at random: one row, and three rows padded. Left out are

- padding on the left with the positions counted from the padding: no tokenizer of transformers
  gives an encoder such rows, and the engine is only ever given padding on the right;
- the pooled vector of a bare BERT, which no task uses;
- gpt2-scaled-by-layer as 4.57 computes it, which overlooks `scale_attn_by_inverse_layer_idx`; its
  numbers are those of version 5, which does not;
- decoders untied from the embeddings as version 5 computes them, which does not find their bias in
  what 4.57 saved.

What generation computes with a cache is compared at every token of every row, the first of them
read as a prompt and the rest one by one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from silmu import graphs, registry
from silmu.runtime.decoder import CachedDecoder
from silmu.runtime.folder import Folder

HERE = Path(__file__).parent


def load(version: str) -> dict[str, dict[str, Any]]:
    files = sorted((HERE / "golden" / version / "logits").glob("*.json"))
    found = [json.loads(file.read_text(encoding="utf-8"))["cases"] for file in files]
    return {case["id"]: case for cases in found for case in cases}


# Of version 5 only what differs was kept.
NEWER = {name: case for name, case in load("5.23.0").items() if "-untied/" not in name}
CASES = list((load("4.57.6") | NEWER).values())
LEFT_OUT = ("/left", "/typed-left")


HEADS = {
    "Model": "feature-extraction",
    "ForSequenceClassification": "text-classification",
    "ForQuestionAnswering": "question-answering",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
}


def head(case: dict[str, Any]) -> str:
    config = json.loads((HERE / "models" / case["model"] / "config.json").read_text())
    ending = max(filter(config["architectures"][0].endswith, HEADS), key=len)
    return HEADS[ending]


def family(case: dict[str, Any]) -> str:
    text = (HERE / "models" / case["model"] / "config.json").read_text(encoding="utf-8")
    return json.loads(text)["model_type"]


def kept(case: dict[str, Any]) -> bool:
    return not case["id"].endswith(LEFT_OUT)


def parameters(*, generates: bool) -> list[Any]:
    return [
        pytest.param(case, id=case["id"].removeprefix("logits/"))
        for case in CASES
        if kept(case) and (head(case) == "text-generation") == generates
    ]


def rows(case: dict[str, Any], values: list[list[Any]]) -> list[list[Any]]:
    """What stands at tokens, row by row, without what stands at padding."""
    mask = case["inputs"].get("attention_mask")
    if mask is None:
        return values
    return [
        [value for value, real in zip(row, reals, strict=True) if real]
        for row, reals in zip(values, mask, strict=True)
    ]


def padded(found: list[list[int]]) -> NDArray[np.int64]:
    width = max(map(len, found))
    return np.array([row + [0] * (width - len(row)) for row in found], np.int64)


def feeds(case: dict[str, Any]) -> dict[str, NDArray[np.int64]]:
    """The inputs of a case as the engine is given them: padded on the right."""
    ids = rows(case, case["inputs"]["input_ids"])
    types = case["inputs"].get("token_type_ids")
    return {
        "input_ids": padded(ids),
        "attention_mask": padded([[1] * len(row) for row in ids]),
        "token_type_ids": padded(rows(case, types) if types else [[0] * len(row) for row in ids]),
    }


@pytest.mark.parametrize("case", parameters(generates=False))
def test_graphs(case: dict[str, Any], models: Path) -> None:
    session = graphs.open_session(Folder(models / case["model"], case["model"]), head(case))
    outputs = session.run(feeds(case))
    assert set(outputs) == set(case["outputs"])
    lengths = feeds(case)["attention_mask"].sum(axis=1)
    for name, found in outputs.items():
        expected = case["outputs"][name]
        if "tokens" not in session.outputs[name].shape:
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
            continue
        for row, length, values in zip(found, lengths, rows(case, expected), strict=True):
            row = row[:length, case["columns"]] if "columns" in case else row[:length]
            np.testing.assert_allclose(row, values, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prompt", [1, 2, 3])
@pytest.mark.parametrize("case", parameters(generates=True))
def test_generation_with_a_cache(case: dict[str, Any], prompt: int, models: Path) -> None:
    folder = Folder(models / case["model"], case["model"])
    decoder = CachedDecoder(graphs.open_session(folder, "text-generation"), max_positions=32)
    ids = rows(case, case["inputs"]["input_ids"])
    expected = rows(case, case["outputs"]["logits"])
    # Prompts of different lengths, so that the rows of the cache are filled to different places.
    starts = [min(prompt + i, len(row)) for i, row in enumerate(ids)]
    logits = decoder.start([row[:n] for row, n in zip(ids, starts, strict=True)], capacity=16)
    compared = 0
    for step in range(max(map(len, ids))):
        for i, row in enumerate(ids):
            if (at := starts[i] + step) <= len(row):
                found = logits[i, case["columns"]]
                np.testing.assert_allclose(found, expected[i][at - 1], rtol=1e-4, atol=1e-4)
                compared += 1
        nexts = [row[min(n + step, len(row) - 1)] for row, n in zip(ids, starts, strict=True)]
        logits = decoder.step(np.array(nexts, np.int64))
    assert compared == sum(len(row) - n + 1 for row, n in zip(ids, starts, strict=True))


@pytest.mark.parametrize("case", parameters(generates=True))
def test_generation_reads_whole_prompts(case: dict[str, Any], models: Path) -> None:
    folder = Folder(models / case["model"], case["model"])
    decoder = CachedDecoder(graphs.open_session(folder, "text-generation"), max_positions=32)
    ids = rows(case, case["inputs"]["input_ids"])
    logits = decoder.start(ids, capacity=16)
    for found, expected in zip(logits, rows(case, case["outputs"]["logits"]), strict=True):
        np.testing.assert_allclose(found[case["columns"]], expected[-1], rtol=1e-4, atol=1e-4)


def test_every_head_of_every_family_has_a_case() -> None:
    covered = {(family(case), head(case)) for case in CASES if kept(case)}
    # Networks of our own have no other library to be compared with: tests/learn does it with torch.
    # For what reads pictures it is test_image_encoders and test_image_convolutions, for what reads
    # series test_series_transformers.
    built = {
        (model_type, name)
        for model_type in registry.model_types()
        if not model_type.startswith("silmu-")
        for name in getattr(registry.graph_module(model_type), "HEADS")  # noqa: B009
        if "image" not in name and "series" not in name
    }
    assert built <= covered


def test_a_wrong_number_would_be_seen(models: Path) -> None:
    """The comparison itself fails where a row is read with another's mask."""
    case = next(case for case in CASES if case["id"] == "logits/bert-sequence/right")
    session = graphs.open_session(Folder(models / case["model"], case["model"]), head(case))
    given = feeds(case)
    given["attention_mask"][:] = 1
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(
            session.run(given)["logits"], case["outputs"]["logits"], rtol=1e-4, atol=1e-4
        )
