"""Weights that another program packed are refused with who did it and what to take instead."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import TensorSpec, serialize_file
from safetensors.numpy import load_file, save_file

import silmu
from silmu.errors import ModelError, UnsupportedModelError
from silmu.runtime import foreign

Array = NDArray[Any]
Packed = dict[str, Array]


def zeros(dtype: str, *shape: int) -> Array:
    return np.zeros(shape, dtype)


def gptq(layer: str, rows: int, columns: int) -> Packed:
    return {
        f"{layer}.qweight": zeros("int32", columns // 8, rows),
        f"{layer}.qzeros": zeros("int32", 1, rows // 8),
        f"{layer}.scales": zeros("float16", 1, rows),
        f"{layer}.g_idx": zeros("int32", columns),
    }


def awq(layer: str, rows: int, columns: int) -> Packed:
    return {
        f"{layer}.qweight": zeros("int32", columns, rows // 8),
        f"{layer}.qzeros": zeros("int32", 1, rows // 8),
        f"{layer}.scales": zeros("float16", 1, rows),
    }


def four_bits(layer: str, rows: int, columns: int) -> Packed:
    return {
        f"{layer}.weight": zeros("uint8", rows * columns // 2, 1),
        f"{layer}.weight.absmax": zeros("float32", rows * columns // 64 + 1),
        f"{layer}.weight.quant_map": zeros("float32", 16),
        f"{layer}.weight.quant_state.bitsandbytes__nf4": zeros("uint8", 8),
    }


def eight_bits(layer: str, rows: int, columns: int) -> Packed:
    return {
        f"{layer}.weight": zeros("int8", rows, columns),
        f"{layer}.SCB": zeros("float32", rows),
        f"{layer}.weight_format": zeros("uint8"),
    }


def compressed(layer: str, rows: int, columns: int) -> Packed:
    return {
        f"{layer}.weight_packed": zeros("int32", rows, columns // 8),
        f"{layer}.weight_scale": zeros("float16", rows, 1),
        f"{layer}.weight_shape": zeros("int64", 2),
    }


WAYS: dict[str, tuple[Callable[[str, int, int], Packed], dict[str, Any], str, str]] = {
    "gptq": (gptq, {"quant_method": "gptq", "bits": 4}, "GPTQ", "q4"),
    "gptq-8": (gptq, {"quant_method": "gptq", "bits": 8}, "GPTQ", "q8"),
    "gptq-untold": (gptq, {}, "GPTQ", "q4"),
    "awq": (awq, {"quant_method": "awq", "bits": 4}, "AWQ", "q4"),
    "4bit": (
        four_bits,
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        "bitsandbytes",
        "q4",
    ),
    "8bit": (
        eight_bits,
        {"quant_method": "bitsandbytes", "load_in_8bit": True},
        "bitsandbytes",
        "q8",
    ),
    "compressed": (
        compressed,
        {"quant_method": "compressed-tensors"},
        "compressed-tensors",
        "q4",
    ),
}


def copied(model: Path, target: Path, quantization: dict[str, Any] | None) -> Path:
    shutil.copytree(model, target)
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    if quantization:
        config["quantization_config"] = quantization
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return target


@pytest.mark.parametrize("model", ["llama-lm", "bert-sequence"])
@pytest.mark.parametrize("way", WAYS)
def test_packed_weights_say_who_packed_them(
    way: str, model: str, models: Path, tmp_path: Path
) -> None:
    pack, quantization, packer, dtype = WAYS[way]
    folder = copied(models / model, tmp_path / "packed", quantization)
    tensors: Packed = {}
    for name, value in load_file(folder / "model.safetensors").items():
        is_layer = value.ndim == 2 and ("_proj." in name or ".layer." in name)
        packed = pack(name.removesuffix(".weight"), *value.shape) if is_layer else {name: value}
        tensors.update(packed)
    assert len(tensors) > 20
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UnsupportedModelError, match=f"packed by {packer}") as caught:
        silmu.pipeline(model=folder)
    assert f'dtype="{dtype}"' in (caught.value.hint or "")


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_weights_of_8_bit_floats_are_told(dtype: str, models: Path, tmp_path: Path) -> None:
    folder = copied(models / "bert-sequence", tmp_path / "packed", {"quant_method": "fp8"})
    tensors = load_file(folder / "model.safetensors")
    kept = []  # what lies at the addresses that are written
    specs: dict[str, TensorSpec] = {}
    for name, value in tensors.items():
        is_layer = value.ndim == 2 and ".layer." in name
        array = np.zeros(value.shape, np.uint8) if is_layer else np.ascontiguousarray(value)
        kept.append(array)
        specs[name] = TensorSpec(
            dtype=dtype if is_layer else "float32",
            shape=list(value.shape),
            data_ptr=array.ctypes.data,
            data_len=array.nbytes,
        )
    serialize_file(specs, folder / "model.safetensors")
    with pytest.raises(UnsupportedModelError, match=r"packed by FP8: it has .* in F8_E") as caught:
        silmu.pipeline(model=folder)
    assert 'dtype="q8"' in (caught.value.hint or "")


def test_weights_that_were_unpacked_again_answer(models: Path, tmp_path: Path) -> None:
    folder = copied(models / "bert-sequence", tmp_path / "plain", {"quant_method": "gptq"})
    expected = silmu.pipeline(model=models / "bert-sequence")("hello")
    assert silmu.pipeline(model=folder)("hello") == expected


@pytest.mark.parametrize("has_config", [True, False])
@pytest.mark.parametrize("task", ["text-generation", None])
def test_an_adapter_without_its_model(
    task: str | None, has_config: bool, models: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(models / "llama-lm", folder)
    (folder / "model.safetensors").unlink()
    if not has_config:
        (folder / "config.json").unlink()
    told = {"peft_type": "LORA", "base_model_name_or_path": "org/base", "task_type": "SEQ_CLS"}
    (folder / "adapter_config.json").write_text(json.dumps(told), encoding="utf-8")
    layers = {"base_model.model.q_proj.lora_A.weight": zeros("float32", 2, 2)}
    save_file(layers, folder / "adapter_model.safetensors")
    with pytest.raises(UnsupportedModelError, match=r"an adapter: .* of `org/base`") as caught:
        silmu.pipeline(task, model=folder)
    assert "AutoPeftModelForSequenceClassification" in (caught.value.hint or "")
    told["peft_type"] = "PROMPT_TUNING"
    (folder / "adapter_config.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(UnsupportedModelError) as caught:
        silmu.pipeline(task, model=folder)
    assert "cannot be put into a model" in (caught.value.hint or "")
    (folder / "adapter_config.json").write_text("[", encoding="utf-8")
    with pytest.raises(ModelError, match=r"adapter_config\.json"):
        silmu.pipeline(task, model=folder)


@pytest.mark.parametrize("has_config", [True, False])
def test_a_folder_of_gguf_alone(has_config: bool, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(models / "llama-lm", folder)
    (folder / "model.safetensors").rename(folder / "model-Q4_K_M.gguf")
    if not has_config:
        (folder / "config.json").unlink()
    with pytest.raises(UnsupportedModelError, match=r"model-Q4_K_M.gguf, a format of llama.cpp"):
        silmu.pipeline("text-generation", model=folder)


def test_what_is_yet_to_be_fetched_is_judged_by_its_config() -> None:
    foreign.refuse_packer("org/model", {"quantization_config": {"quant_method": "unheard-of"}})
    foreign.refuse_packer("org/model", {"quantization_config": ["gptq"]})
    with pytest.raises(UnsupportedModelError, match=r"packed by AWQ: config\.json has quant"):
        foreign.refuse_packer("org/model", {"quantization_config": {"quant_method": "awq"}})
