"""Weights as other programs keep them: told by their names, and refused with what to take instead.

What packs a checkpoint's weights says so in config.json, under `quantization_config`; but a folder
that was unpacked again may still say it, so that the tensors decide.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CAN_RUN_CODE = "a format that can run code when it is opened"
GGUF = ".gguf"
FORMATS = {
    **dict.fromkeys((".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"), _CAN_RUN_CODE),
    **dict.fromkeys((".npy", ".npz", ".keras", ".h5", ".hdf5", ".mar", ".nemo"), _CAN_RUN_CODE),
    GGUF: "a format of llama.cpp",
    ".msgpack": "a format of flax",
    ".tflite": "a format of TensorFlow Lite",
}
"""What weights come in elsewhere, by the end of the name, and why it is not read here."""

ADAPTER = "adapter_config.json"
PACKERS = {
    "gptq": "GPTQ",
    "awq": "AWQ",
    "auto-round": "AutoRound",
    "bitsandbytes": "bitsandbytes",
    "fp8": "FP8",
    "fbgemm_fp8": "FP8",
    "modelopt": "ModelOpt",
    "compressed-tensors": "compressed-tensors",
    "mxfp4": "MXFP4",
    "hqq": "HQQ",
    "quanto": "Quanto",
    "torchao": "torchao",
    "aqlm": "AQLM",
    "vptq": "VPTQ",
    "eetq": "EETQ",
    "bitnet": "BitNet",
    "higgs": "HIGGS",
    "spqr": "SpQR",
}
"""`quant_method` of config.json, and what its makers call it."""

# How the name of a tensor ends that only a packed layer has, and who packs so.
_PACKED = {
    "g_idx": "GPTQ",
    "qweight": "GPTQ or AWQ",
    "qzeros": "GPTQ or AWQ",
    "absmax": "bitsandbytes",
    "quant_map": "bitsandbytes",
    "SCB": "bitsandbytes",
    "weight_packed": "compressed-tensors",
    "weight_scale_inv": "FP8",
    "W_q": "HQQ",
}
_PEFT = {
    "SEQ_CLS": "SequenceClassification",
    "SEQ_2_SEQ_LM": "Seq2SeqLM",
    "TOKEN_CLS": "TokenClassification",
    "QUESTION_ANS": "QuestionAnswering",
    "FEATURE_EXTRACTION": "FeatureExtraction",
}
_PROMPTS = ("PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING", "CPT")
_FEW_BITS = ("I8", "U8")


def refuse_files(name: str, files: Iterable[str], adapter: Mapping[str, Any] | None = None) -> None:
    """Says why what a folder holds is not read, where it holds weights of another format.

    Args:
        name: what the caller called the folder.
        files: the names of what lies in it.
        adapter: what its adapter_config.json says, if that could be read.

    Raises:
        UnsupportedModelError: it does.
    """
    files = sorted(files)
    if ADAPTER in files:
        raise _adapter_error(name, adapter or {})
    for file in files:
        end = PurePosixPath(file).suffix.lower()
        if why := FORMATS.get(end):
            raise UnsupportedModelError(
                f"`{name}` holds {file}, {why}; silmu reads safetensors only",
                hint="take the model that it was made from, which comes as config.json with "
                'model.safetensors, and write dtype="q4" for 4 bits'
                if end == GGUF
                else "take a model that comes as config.json with model.safetensors",
            )


def refuse_packed(name: str, tensors: Mapping[str, str], config: Mapping[str, Any]) -> None:
    """Says why the weights of a folder are not read, where another program packed them.

    Args:
        name: what the caller called the folder.
        tensors: their names, and the types that safetensors gives them.
        config: what config.json says.

    Raises:
        UnsupportedModelError: it did.
    """
    for tensor, dtype in tensors.items():
        last = tensor.rpartition(".")[2]
        if last in _PACKED:
            raise _packed_error(name, config, _PACKED[last], f"it has {tensor}")
        # Ids and masks come as whole numbers too, matrices do not.
        if last == "weight" and dtype in _FEW_BITS:
            raise _packed_error(name, config, "another program", f"it has {tensor} in {dtype}")
        if last == "weight" and dtype.startswith(("F8", "F4")):
            raise _packed_error(name, config, "FP8", f"it has {tensor} in {dtype}")


def refuse_packer(name: str, config: Mapping[str, Any]) -> None:
    """The same by what config.json says alone, for weights that are yet to be fetched.

    Raises:
        UnsupportedModelError: it names one of PACKERS.
    """
    if (method := _method(config)) in PACKERS:
        why = f"config.json has quant_method {method!r}"
        raise _packed_error(name, config, PACKERS[method], why)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    given = config.get("quantization_config")
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {}


def _method(config: Mapping[str, Any]) -> str:
    return str(_settings(config).get("quant_method"))


def _packed_error(
    name: str, config: Mapping[str, Any], packer: str, why: str
) -> UnsupportedModelError:
    settings = _settings(config)
    packer = PACKERS.get(_method(config), packer)
    eight = settings.get("bits") == 8 or settings.get("load_in_8bit") or packer == "FP8"
    return UnsupportedModelError(
        f"the weights of `{name}` were packed by {packer}: {why}; silmu reads weights of 16 or 32 "
        "bits, and makes fewer of them itself",
        hint="take the model that it was made from, which its card on the hub names, and write "
        f'dtype="{"q8" if eight else "q4"}"',
    )


def _adapter_error(name: str, adapter: Mapping[str, Any]) -> UnsupportedModelError:
    base = adapter.get("base_model_name_or_path")
    of = f"of `{base}`, " if isinstance(base, str) and base else ""
    kind = _PEFT.get(str(adapter.get("task_type")), "CausalLM")
    hint = (
        "where torch, transformers and peft are installed, put the two together once with "
        f'`python -c "import peft; peft.AutoPeftModelFor{kind}.from_pretrained({name!r})'
        ".merge_and_unload().save_pretrained('merged')\"`; then copy the tokenizer's files to "
        "`merged`, and give that"
    )
    if adapter.get("peft_type") in _PROMPTS:
        hint = "it is one of learnt prompts, which cannot be put into a model; take a model that "
        hint += "was fine-tuned itself"
    return UnsupportedModelError(
        f"`{name}` is an adapter: what training changed {of}without the model itself", hint=hint
    )
