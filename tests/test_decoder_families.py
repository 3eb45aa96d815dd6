"""Decoders with rotary positions: what they generate, their limits, and what is refused.

tests/golden/decoders.json holds what transformers 4.57.6 generates with the tiny models, and the
angles of real ones; tools/make_decoder_golden.py made it. The raw numbers are compared in
test_logits.py.
"""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import silmu
from silmu import graphs
from silmu.errors import (
    InputError,
    InvalidModelError,
    SilmuError,
    UnsupportedModelError,
    UsageError,
)
from silmu.graphs._config import Config
from silmu.graphs._rotary import rope
from silmu.runtime.folder import Folder
from test_golden import assert_close, plain

HERE = Path(__file__).parent
GOLDEN: dict[str, Any] = json.loads((HERE / "golden" / "decoders.json").read_text("utf-8"))
GENERATING = sorted({case["model"] for case in GOLDEN["cases"]})
ONCE, SEA, KEEPER = "Once upon a time", "The sea", "The lighthouse keeper climbed"
HELLO = "안녕하세요, the dragon"
PROMPTS = [ONCE, SEA, KEEPER, HELLO, "a", "The old man said that the sea takes what it wants"]


@functools.cache
def pipe(model: str) -> Any:
    return silmu.pipeline("text-generation", model=HERE / "models" / model)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["id"].partition("/")[2])
def test_generates_token_for_token_as_transformers(case: dict[str, Any]) -> None:
    assert_close(plain(pipe(case["model"])(*case["args"], **case["kwargs"])), case["output"])


def test_every_family_that_generates_has_cases(models: Path) -> None:
    configs = [json.loads((models / name / "config.json").read_text()) for name in GENERATING]
    assert {config["model_type"] for config in configs} == {
        *("gpt_neox", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text")
    }


@pytest.mark.parametrize("options", [{}, {"num_beams": 3, "num_return_sequences": 2}], ids=str)
@pytest.mark.parametrize("model", GENERATING)
def test_a_prompt_gets_the_same_text_alone_and_beside_longer_ones(
    model: str, options: dict[str, Any]
) -> None:
    how = {"do_sample": False, "max_new_tokens": 10, **options}
    alone = [pipe(model)(prompt, **how) for prompt in PROMPTS]
    for batch_size in (None, 4):
        assert pipe(model)(PROMPTS, batch_size=batch_size, **how) == alone


@pytest.mark.parametrize("case", GOLDEN["ropes"], ids=lambda case: case["id"])
def test_angles_are_those_of_transformers(case: dict[str, Any]) -> None:
    given = case["config"] | {"partial_rotary_factor": case["config"].get("rotary_pct", 1.0)}
    found = rope(Config(given, "x"), case["head_size"], partial=True)
    np.testing.assert_allclose(found.speeds, case["speeds"], rtol=1e-6)
    assert found.scale == pytest.approx(case["scale"], rel=1e-6)
    # As transformers 5 writes the same settings.
    scaling = dict(given.get("rope_scaling") or {"rope_type": "default"})
    five = {"max_position_embeddings": given["max_position_embeddings"]}
    five["rope_parameters"] = scaling | {"rope_theta": given["rope_theta"]}
    if "rotary_pct" in given:
        five["rope_parameters"]["partial_rotary_factor"] = given["rotary_pct"]
    assert rope(Config(five, "x"), case["head_size"], partial=True) == found


def test_a_wrong_angle_would_be_seen() -> None:
    case = next(case for case in GOLDEN["ropes"] if case["id"] == "rope/llama-3.1")
    given = case["config"] | {"rope_theta": 10_000.0}
    found = rope(Config(given, "x"), case["head_size"])
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(found.speeds, case["speeds"], rtol=1e-6)


@pytest.fixture
def changed(models: Path, tmp_path: Path) -> Any:
    """Makes a copy of a tiny model with other values in its config.json."""

    def change(model: str, remove: tuple[str, ...] = (), **values: Any) -> Path:
        folder = tmp_path / model
        shutil.copytree(models / model, folder, dirs_exist_ok=True)
        config = json.loads((folder / "config.json").read_text())
        config = {key: value for key, value in config.items() if key not in remove}
        (folder / "config.json").write_text(json.dumps(config | values))
        return folder

    return change


@pytest.mark.parametrize("model", ["gemma3-lm", "gpt_neox-lm", "llama-llama3", "llama-yarn"])
def test_a_config_of_transformers_5_says_the_same(changed: Any, model: str, models: Path) -> None:
    config = json.loads((models / model / "config.json").read_text())
    scaling = config["rope_scaling"] or {"rope_type": "default"}
    given = scaling | {"rope_theta": config.get("rope_theta", 10_000)}
    if "rotary_pct" in config:
        given["partial_rotary_factor"] = config["rotary_pct"]
    if "rope_local_base_freq" in config:
        local = {"rope_type": "default", "rope_theta": config["rope_local_base_freq"]}
        given = {"full_attention": given, "sliding_attention": local}
    old = ("rope_scaling", "rope_theta", "rotary_pct", "rotary_emb_base", "rope_local_base_freq")
    new = silmu.pipeline("text-generation", changed(model, old, rope_parameters=given))
    how = {"do_sample": False, "max_new_tokens": 12}
    assert new(KEEPER, **how) == pipe(model)(KEEPER, **how)


@pytest.mark.parametrize(
    ("model", "changes", "names"),
    [
        ("llama-lm", {"rope_scaling": {"type": "longrope", "long_factor": [1.0]}}, "longrope"),
        ("llama-lm", {"rope_parameters": {"full_attention": {"rope_theta": 1.0}}}, "each"),
        ("llama-lm", {"hidden_act": "sparse"}, "hidden_act"),
        ("qwen2-window", {"layer_types": ["full_attention", "chunked_attention"]}, "chunked"),
        ("gemma3-lm", {"use_bidirectional_attention": True}, "after"),
        ("llama-base", {}, "not trained for text-generation"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_variant_that_no_graph_computes_is_refused(
    changed: Any, model: str, changes: dict[str, Any], names: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=names):
        open_head(changed(model, **changes))


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("llama-lm", {"num_key_value_heads": 4}),
        ("llama-lm", {"num_hidden_layers": 1}),
        ("llama-lm", {"rope_scaling": {"type": "linear"}}),
        ("llama-lm", {"rope_scaling": {"type": "linear", "factor": 0}}),
        ("llama-lm", {"rope_scaling": {"type": "llama3", "factor": 8.0}}),
        ("llama-lm", {"rope_scaling": "linear"}),
        ("llama-lm", {"rope_theta": 0}),
        ("llama-lm", {"rope_theta": "x"}),
        ("gpt_neox-lm", {"rotary_pct": 0.1}),
        ("gpt_neox-lm", {"rotary_pct": 2.0}),
        ("mistral-lm", {"sliding_window": 0}),
        ("qwen2-window", {"sliding_window": None}),
        ("qwen2-window", {"layer_types": ["full_attention"]}),
        ("gemma2-lm", {"final_logit_softcapping": "x"}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_config_that_is_broken_is_the_models_fault(
    changed: Any, model: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidModelError):
        open_head(changed(model, **changes))


def open_head(folder: Path, head: str = "text-generation") -> Any:
    return graphs.open_session(Folder(folder, folder.name), head)


ODD_VALUES: list[Any] = [None, -1, 0, 3, 1e30, float("nan"), "x", [], {}, [1], True]


@pytest.mark.parametrize(
    "model", ["gpt_neox-sequential", "llama-yarn", "qwen3-window", "gemma3-lm"]
)
def test_no_value_of_a_config_is_a_crash(changed: Any, model: str, models: Path) -> None:
    """Each value replaced by another: an answer, or an error with a type."""
    config = json.loads((models / model / "config.json").read_text())
    scaling = config["rope_scaling"] or {}
    refused = 0
    for i, key in enumerate([*config, *scaling]):
        value = ODD_VALUES[i % len(ODD_VALUES)]
        new = {key: value} if key in config else {"rope_scaling": scaling | {key: value}}
        try:
            open_head(changed(model, **new))
        except SilmuError:
            refused += 1
    assert refused > 4


@pytest.mark.parametrize("model", ["gpt_neox-lm", "llama-lm", "gemma3-lm", "llama-dynamic"])
def test_a_text_ends_where_the_model_was_trained_to_see(
    model: str, caplog: pytest.LogCaptureFixture
) -> None:
    write = pipe(model)
    prompt = " the" * 118
    length = len(write.tokenizer(prompt)["input_ids"])
    how = {"do_sample": False, "return_tensors": True, "eos_token_id": 9999}
    most = 128 * 8 if model == "gemma3-lm" else 128
    assert write.model.max_tokens == most
    if most == 128:
        answer = write(prompt, max_new_tokens=50, **how)
        assert len(answer[0]["generated_token_ids"]) == 129
        assert f"room for {129 - length}" in caplog.text
        with pytest.raises(InputError, match="sees at most 128"):
            write(" the" * 140, max_new_tokens=1)
    else:
        answer = write(prompt, max_new_tokens=20, **how)
        assert len(answer[0]["generated_token_ids"]) == length + 20


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


@pytest.mark.parametrize(
    ("scaling", "most"),
    [
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}, 512),
        ({"type": "yarn", "factor": 4.0}, 512),
        ({"type": "linear", "factor": 2.5}, 320),
        ({"type": "dynamic", "factor": 2.0}, 128),
        (LLAMA3, 128),
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}, 128),
        (None, 128),
    ],
    ids=str,
)
def test_stretched_positions_are_counted(changed: Any, scaling: Any, most: int) -> None:
    write = silmu.pipeline("text-generation", changed("llama-lm", rope_scaling=scaling))
    assert write.model.max_tokens == most


def test_a_list_of_seeds_gives_each_prompt_its_own() -> None:
    write = pipe("llama-lm")
    how = {"do_sample": True, "max_new_tokens": 10, "num_return_sequences": 2}
    prompts = [ONCE, SEA, KEEPER]
    together = write(prompts, seed=[5, 6, 5], **how)
    assert together == [write(p, seed=s, **how) for p, s in zip(prompts, [5, 6, 5], strict=True)]
    assert write([SEA, SEA], seed=[1, 2], **how)[0] != write([SEA, SEA], seed=[1, 2], **how)[1]
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    assert write(chats, seed=[1, 2, 3], **how)[1] == write(chats[1], seed=2, **how)


@pytest.mark.parametrize(
    ("inputs", "seeds"),
    [
        (ONCE, [1]),
        ([ONCE, SEA], [1]),
        ([ONCE], [1, 2]),
        ([ONCE], ["x"]),
        ([ONCE], [-1]),
        ([{"role": "user", "content": "x"}], [1]),
        ((prompt for prompt in [ONCE]), [1]),
    ],
    ids=["a-prompt", "too-few", "too-many", "no-number", "negative", "a-chat", "a-stream"],
)
def test_seeds_that_fit_no_prompts_are_refused(inputs: Any, seeds: list[Any]) -> None:
    with pytest.raises(UsageError, match="seed"):
        list(pipe("llama-lm")(inputs, seed=seeds, do_sample=True, max_new_tokens=2))
