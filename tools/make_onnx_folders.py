"""Makes the graphs of tests/exported: tiny models as the exporters that people use write them.

Each is a real export of a folder of tests/models. Weights that are those of its model.safetensors
are left out and named instead, so that a graph takes little room; the tests put them back, and lay
the graphs out as each exporter does. Where optimum-onnx, torch and transformers 4.57 are installed:

    python -m tools.make_onnx_folders optimum

and where onnxruntime-genai, onnx-ir, torch and a transformers that suits it are:

    python -m tools.make_onnx_folders genai
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.numpy import load_file

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "tests" / "models"
TARGET = HERE.parent / "tests" / "exported"

LEAST = 64
"""Numbers of a weight that is worth leaving out."""

ENCODERS = {
    "bert-base": "feature-extraction",
    "bert-sequence": "text-classification",
    "bert-ner": "token-classification",
    "bert-mask": "fill-mask",
    "bert-qa": "question-answering",
    "gpt2-sequence": "text-classification",
    "bart-nli": "text-classification",
}
PICTURES = {
    "vit-image": "image-classification",
    "vit-base": "feature-extraction",
    "clip-base": "zero-shot-image-classification",
    "siglip-base": "zero-shot-image-classification",
}
DECODERS = ("gpt2-lm", "llama-lm", "gpt_neox-lm")
PAIR = "gpt2-lm"
GENAI = "mistral-whole"


def main() -> None:
    torch.set_num_threads(1)
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        {"optimum": make_optimum, "genai": make_genai}[sys.argv[1]](Path(scratch))
    for path in sorted(TARGET.iterdir()):
        print(f"{path.name:44} {path.stat().st_size / 1000:7.1f} KB")


def make_optimum(scratch: Path) -> None:
    from optimum.exporters.onnx import main_export

    tasks = ENCODERS | PICTURES | {name: "text-generation-with-past" for name in DECODERS}
    for name, task in tasks.items():
        main_export(str(MODELS / name), output=scratch / name, task=task, do_validation=False)
        keep(scratch / name / "model.onnx", name, "model")
    make_pair(scratch / "pair")


def make_pair(folder: Path) -> None:
    """The two graphs of older exports, and both in one, which chooses between them."""
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager
    from optimum.onnx import merge_decoders
    from transformers import AutoModelForCausalLM

    folder.mkdir()
    model = AutoModelForCausalLM.from_pretrained(MODELS / PAIR)
    kind = TasksManager.get_exporter_config_constructor(
        "onnx", model=model, task="text-generation", library_name="transformers"
    )
    paths = [folder / "decoder_model.onnx", folder / "decoder_with_past_model.onnx"]
    for path, reads in zip(paths, (False, True), strict=True):
        how = kind(model.config, task="text-generation", use_past=True, use_past_in_inputs=reads)
        export(model, how, path, opset=18)
    merged = folder / "decoder_model_merged.onnx"
    merge_decoders(*paths, save_path=merged, strict=False)
    for path in (paths[0], merged):  # the other of the pair is what was kept as `model`
        keep(path, PAIR, path.stem)


def make_genai(scratch: Path) -> None:
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-p", "fp32", "-e", "cpu"]
    subprocess.run([*command, "-i", MODELS / GENAI, "-o", scratch / "made"], check=True)
    keep(scratch / "made" / "model.onnx", GENAI, "genai")
    shutil.copy(scratch / "made" / "genai_config.json", TARGET / f"{GENAI}.genai_config.json")


def keep(path: Path, name: str, graph: str) -> None:
    """Stores a graph of a model without the weights that the model's own file holds."""
    model = onnx.load(path)
    known: dict[tuple[tuple[int, ...], bytes], str] = {}
    for tensor, array in load_file(MODELS / name / "model.safetensors").items():
        if array.size >= LEAST:
            known[array.shape, array.tobytes()] = tensor
            turned = np.ascontiguousarray(array.T)
            known.setdefault((turned.shape, turned.tobytes()), f"{tensor}.T")
    strip(model.graph, known)
    del model.metadata_props[:]
    onnx.save(model, TARGET / f"{name}.{graph}.onnx")


def strip(graph: onnx.GraphProto, known: dict[tuple[tuple[int, ...], bytes], str]) -> None:
    graph.doc_string = ""
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor)
        if (source := known.get((array.shape, array.tobytes()))) is not None:
            del tensor.external_data[:]
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=source)
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                strip(attribute.g, known)


if __name__ == "__main__":
    main()
