"""Converts the models of make_models.py for engines with formats of their own, all in fp32.

    python benchmarks/convert_models.py FOLDER

Run it in the environment `engines`. Each engine's own converter is used; llama.cpp's comes with its
sources only, so its file is written here with the `gguf` package.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import ctranslate2
import gguf
from optimum.exporters.openvino import main_export
from safetensors.numpy import load_file

ENCODERS = {"sentiment": "text-classification", "question-answering": "question-answering"}
# The name under which kjarni looks for the only model of its list that fits.
KJARNI = "distilbert_distilbert-base-uncased-finetuned-sst-2-english"


def main(models: Path) -> None:
    tasks = {**ENCODERS, "gpt2": "text-generation-with-past"}
    for name, task in tasks.items():
        target = models / "ctranslate2" / name
        ctranslate2.converters.TransformersConverter(str(models / name)).convert(
            str(target), quantization="float32", force=True
        )
        main_export(str(models / name), models / "openvino" / name, task=task)
    llama_cpp(models / "gpt2", models / "llama.cpp" / "gpt2.gguf")
    shutil.copytree(models / "sentiment", models / "kjarni/kjarni" / KJARNI, dirs_exist_ok=True)


def llama_cpp(source: Path, target: Path) -> None:
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    target.parent.mkdir(exist_ok=True)
    writer = gguf.GGUFWriter(target, "gpt2")
    writer.add_block_count(config["n_layer"])
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    tokens = sorted(tokenizer["vocab"], key=tokenizer["vocab"].__getitem__)
    writer.add_token_list(tokens)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in tokenizer["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, config["n_layer"])
    for name, tensor in load_file(source / "model.safetensors").items():
        if name.endswith((".attn.bias", ".attn.masked_bias")):
            continue  # the causal mask of older checkpoints
        # GPT-2 keeps its matrices the other way round than everyone else.
        is_conv = name.endswith(("c_attn.weight", "c_fc.weight", "c_proj.weight"))
        writer.add_tensor(
            names.get_name(name, try_suffixes=(".weight", ".bias")),
            tensor.T.copy() if is_conv else tensor,
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
