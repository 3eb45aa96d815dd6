"""Models of sizes and settings that no golden file has: silmu beside transformers and torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

import silmu
from silmu import graphs, store
from silmu.runtime.folder import Folder

if TYPE_CHECKING:
    from pathlib import Path

VOCABULARY = 300
PROMPTS = ["The quick brown", "나는 서울에", "a"]
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 20,
    "max_position_embeddings": 64,
}
FEW_KEYS = {**SIZES, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Of bytes, which has a token for each and never an unknown one."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    made = Tokenizer(models.BPE({word: i for i, word in enumerate(special + letters)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(
        single="$A",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    roles = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "cls", "sep", "mask")}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64, **roles)


def saved(
    kind: str, settings: dict[str, Any], tokenizer: PreTrainedTokenizerFast, folder: Path
) -> Any:
    """A model of random weights, all of which count, and its folder."""
    torch.manual_seed(0)
    cls = getattr(transformers, kind)
    model = cls(cls.config_class(**settings))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            is_scale = "norm" in name.lower() and name.endswith("weight")
            weights.copy_(0.3 * torch.randn(weights.shape) + is_scale)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.eval()


GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 12,
    "n_layer": 2,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ODD_HEADS = [
    ("GPT2LMHeadModel", {**GPT2, "n_head": 4}),
    ("GPT2LMHeadModel", {**GPT2, "n_head": 1}),
    ("LlamaForCausalLM", {**FEW_KEYS, "hidden_size": 16}),
    ("MistralForCausalLM", {**FEW_KEYS, "head_dim": 10, "sliding_window": 3}),
    ("Qwen3ForCausalLM", {**FEW_KEYS, "head_dim": 20}),
    ("Gemma2ForCausalLM", {**FEW_KEYS, "head_dim": 6, "sliding_window": 3}),
]


@pytest.mark.parametrize(("kind", "settings"), ODD_HEADS, ids=str)
def test_heads_of_any_size_write_the_text_of_torch(
    kind: str, settings: dict[str, Any], tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = saved(kind, settings, tokenizer, tmp_path)
    model.config._attn_implementation = "eager"  # the others overlook softcapping
    write = silmu.pipeline("text-generation", model=tmp_path)
    how: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0}
    beams = {"num_beams": 3, "num_return_sequences": 2}
    expected: list[Any] = []
    for prompt in PROMPTS:
        ids = torch.tensor([tokenizer(prompt)["input_ids"]])
        expected.append(model.generate(ids, **how)[0].tolist())
        found = write(prompt, return_tensors=True, **how, **beams)
        best = [one["generated_token_ids"] for one in found]
        assert best == model.generate(ids, **how, **beams).tolist()
    found = write(PROMPTS, return_tensors=True, **how)
    assert [one["generated_token_ids"] for (one,) in found] == expected


def test_a_graph_for_other_programs_has_caches_of_the_size_that_config_json_says(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    settings = {**FEW_KEYS, "hidden_size": 16}
    model = saved("LlamaForCausalLM", settings, tokenizer, tmp_path / "model")
    with store.new_folder(tmp_path / "written") as writer:
        graphs.write(Folder(tmp_path / "model", "x"), "text-generation", writer, "model.onnx")
    written = str(tmp_path / "written" / "model.onnx")
    session = onnxruntime.InferenceSession(
        written, onnxruntime.SessionOptions(), ["CPUExecutionProvider"]
    )
    ids = np.array([[5, 6, 7, 8, 9]])
    caches = {
        port.name: np.zeros((1, 2, 0, 4), np.float32)
        for port in session.get_inputs()
        if port.name.startswith("past_key_values")
    }
    names = [port.name for port in session.get_outputs()]
    for seen, new in ((0, 3), (3, 2)):  # in two steps, the second of which reads a cache
        feeds = {
            "input_ids": ids[:, seen : seen + new],
            "attention_mask": np.ones((1, seen + new), np.int64),
            "position_ids": np.arange(seen, seen + new)[None],
        }
        given = dict(zip(names, session.run(names, {**feeds, **caches}), strict=True))
        caches = {name: given[name.replace("past_key_values", "present")] for name in caches}
    assert {cache.shape for cache in caches.values()} == {(1, 2, 5, 4)}
    with torch.no_grad():
        expected = model(torch.tensor(ids)).logits[:, 3:].numpy()
    np.testing.assert_allclose(given["logits"], expected, atol=1e-4)


@pytest.mark.parametrize(
    "activation",
    [
        *("gelu_10", "gelu_python", "gelu_accurate", "gelu_python_tanh", "laplace"),
        *("leaky_relu", "linear", "mish", "relu2", "sigmoid"),
    ],
)
def test_activations_of_few_models(
    activation: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = saved("BertModel", {**SIZES, "hidden_act": activation}, tokenizer, tmp_path)
    extract = silmu.pipeline("feature-extraction", model=tmp_path)
    ids = torch.tensor([tokenizer(PROMPTS[0])["input_ids"]])
    with torch.no_grad():
        expected = model(ids).last_hidden_state.numpy()
    np.testing.assert_allclose(extract(PROMPTS[0], return_tensors=True), expected, atol=1e-4)


def test_a_decoder_that_is_tied_and_has_no_bias(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    names = ("pad", "bos", "eos", "cls", "sep")
    settings = {**SIZES, "decoder_bias": False, **{f"{name}_token_id": 0 for name in names}}
    model = saved("ModernBertForMaskedLM", settings, tokenizer, tmp_path)
    text = f"The {tokenizer.mask_token} fox"
    fill = silmu.pipeline("fill-mask", model=tmp_path)
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.no_grad():
        logits = model(ids).logits[0, int((ids[0] == 3).nonzero())]
    score, token = torch.softmax(logits, -1).max(-1)
    best = fill(text)[0]
    assert best["token"] == int(token)
    assert best["score"] == pytest.approx(float(score), abs=1e-4)


def test_a_tokenizer_without_a_class_of_its_own_gives_no_segments(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    saved("BertForSequenceClassification", SIZES, tokenizer, tmp_path)
    pipe = silmu.pipeline("text-classification", model=tmp_path)
    assert pipe.tokenizer.model_input_names == tokenizer.model_input_names
    pair = {"text": "one", "text_pair": "two"}
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    ids = tokenizer("one", "two", return_tensors="pt")
    assert "token_type_ids" not in ids
    with torch.no_grad():
        expected = torch.softmax(model(**ids).logits[0], -1).max()
    assert pipe(pair)["score"] == pytest.approx(float(expected), abs=1e-4)
