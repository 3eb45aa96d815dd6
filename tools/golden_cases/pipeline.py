"""What pipeline() itself does with what it is given."""

from __future__ import annotations

from typing import Any

from tools.golden_cases import BAD, GOOD, Case, Cases

# fmt: off


def cases() -> list[Case]:
    collected = Cases("pipeline")
    add = collected.add
    folder = {"$model": "bert-sequence"}

    def build(name: str, *init_args: Any, call: str | None = GOOD, **init: Any) -> None:
        args = [] if call is None else [call]
        marks = init.pop("marks", [])
        add(name, None, *args, init=init, init_args=list(init_args), task=None, marks=marks)

    build("task/unknown", "text-clasification", folder)
    build("task/empty", "", folder)
    build("task/none-and-no-model")
    build("task/none-with-local-folder", None, folder)
    build("task/none-with-local-folder-keyword", model=folder)
    build("task/translation-badly-formed", "translation_en_de", {"$model": "gpt2-lm"})
    build("task/translation-badly-formed-2", "translation_en_to", {"$model": "gpt2-lm"})
    build("task/upper-case", "Text-Classification", folder)
    build("task/underscore", "text_classification", folder)
    build("task/sentiment-analysis", "sentiment-analysis", folder)
    build("task/keyword", task="text-classification", model=folder)
    build("task/number", 3, folder)
    build("tokenizer/without-model", tokenizer=folder)
    build("tokenizer/without-model-with-task", "text-classification", tokenizer=folder)
    build("tokenizer/path", "text-classification", folder, tokenizer=folder)
    build("tokenizer/positional", "text-classification", folder, None, folder)
    build(
        "tokenizer/config-and-tokenizer-positional", "text-classification", folder, folder, folder
    )
    build("feature-extractor/without-model", "text-classification", feature_extractor=folder)
    build("model/pathlib", "text-classification", {"$path": "bert-sequence"})
    build("model/missing-folder", "text-classification", {"$model": "nothing-here"})
    build("model/keyword", "text-classification", model=folder)
    build("model/wrong-type", "text-classification", 3)
    for device in (-1, "cpu", None, 0, {"$device": "cpu"}):
        label = device["$device"] + "-object" if isinstance(device, dict) else device
        build(f"device/{label}", "text-classification", folder, device=device)
    build("device/unknown", "text-classification", folder, device="toaster")
    for name in ("dtype", "torch_dtype"):
        for value in ("float32", "auto", None, "float16", "bfloat16", "float64", "nonsense"):
            build(f"{name}/{value}", "text-classification", folder, **{name: value})
    build("dtype/both", "text-classification", folder, dtype="float32", torch_dtype="float32")
    build("dtype/object", "text-classification", folder, dtype={"$dtype": "float32"})
    for value in ("pt", None, "tf", "onnx"):
        build(f"framework/{value}", "text-classification", folder, framework=value)
    build("keywords/use-fast", "text-classification", folder, use_fast=True)
    build("keywords/use-slow", "text-classification", folder, use_fast=False)
    build("keywords/token", "text-classification", folder, token=False)
    build("keywords/revision", "text-classification", folder, revision="main")
    build("keywords/trust-remote-code", "text-classification", folder, trust_remote_code=False)
    build("keywords/local-files-only", "text-classification", folder,
          model_kwargs={"local_files_only": True})
    build("keywords/model-kwargs-dtype", "text-classification", folder,
          model_kwargs={"dtype": "float32"})
    build("keywords/unknown", "text-classification", folder, nonsense=1)
    build("keywords/unknown-built-only", "text-classification", folder, nonsense=1, call=None)
    build("keywords/task-parameter", "text-classification", folder, top_k=None)
    build("keywords/batch-size", "text-classification", folder, batch_size=2, num_workers=0)
    build("keywords/binary-output", "text-classification", folder, binary_output=True)
    build(
        "keywords/device-map-and-device", "text-classification", folder, device_map="cpu", device=-1
    )
    build("task-of-other-folder/classification-of-lm", "text-classification", {"$model": "gpt2-lm"},
          call=None)
    build("task-of-other-folder/generation-of-bert", "text-generation", folder, call=None)
    for member in ("predict", "transform"):
        add(f"methods/{member}", "bert-sequence", GOOD, task="text-classification",
            method=member)
        add(f"methods/{member}-list", "bert-sequence", [GOOD, BAD], task="text-classification",
            method=member)
    return collected.cases
