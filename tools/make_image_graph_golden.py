"""Records what Transformers that read pictures compute: tests/golden/image_encoders.json.

    python -m tools.make_image_graph_golden

Run it where torch and transformers 4.57.6 are installed. Each network of tools/tiny_models/images
is given two pictures of random numbers, and where texts stand beside them three rows of random ids.
Kept are what it gives and what lies between its layers, of long arrays every so manyth number; and
the shapes of the weights that a network has whose config.json says nothing.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models"
TARGET = ROOT / "tests" / "golden" / "image_encoders.json"

FAMILIES = ("vit", "deit", "dinov2", "swin", "clip", "clip_vision_model", "siglip")
KEPT = 120
"""How many numbers of an output are kept."""

SIZES = {"dinov2": [(40, 40), (24, 24), (33, 18), (56, 76)]}
"""Heights and widths of pictures, where a network reads any."""


def main() -> None:
    torch.set_num_threads(1)
    cases: list[dict[str, Any]] = []
    for folder in sorted(MODELS.iterdir()):
        config = folder / "config.json"
        if config.is_file() and json.loads(config.read_text())["model_type"] in FAMILIES:
            cases += recorded(folder, AutoConfig.from_pretrained(folder))
    found = {
        "command": "python -m tools.make_image_graph_golden",
        "transformers": transformers.__version__,
        "left out": {kind: left_out(kind) for kind in FAMILIES},
        "cases": cases,
    }
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    TARGET.write_text(text.replace('{"model"', '\n{"model"') + "\n", encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(text.encode()) / 1000:.0f} KB")


def recorded(folder: Path, config: Any) -> list[dict[str, Any]]:
    classifies = "ForImageClassification" in config.architectures[0]
    vision = getattr(config, "vision_config", config)
    size = getattr(vision, "image_size", 0)
    whole = tuple(size) if isinstance(size, list) else (size, size)
    cases: list[dict[str, Any]] = []
    for height, width in SIZES.get(config.model_type, [whole]):
        pixels = pictures(vision.num_channels, height, width)
        case = {"model": folder.name, "size": [vision.num_channels, height, width]}
        kind = AutoModelForImageClassification if classifies else AutoModel
        model = kind.from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            if hasattr(model, "text_model"):
                cases += compared(model, config, pixels, case)
                model = model.vision_model
            out = model(pixel_values=pixels, output_hidden_states=True)
        cases.append(case | {"outputs": kept(out), "hidden": hidden(out)})
    return cases


def left_out(kind: str) -> dict[str, Any]:
    """What a network is made of whose config.json says nothing but what it is.

    Of layers that are alike there is the first only.
    """
    config = AutoConfig.for_model(kind)
    with torch.device("meta"):
        weights = AutoModel.from_config(config).state_dict()
    first = re.compile(r"\.(layer|blocks)\.0\.|encoder\.layers\.0\.(?!blocks)")
    later = re.compile(r"\.(layer|blocks)\.\d|encoder\.layers\.\d+\.(?!blocks|downsample)")
    names = [name for name in weights if first.search(name) or not later.search(name)]
    parts = {"": config, **{key: getattr(config, key) for key in config.sub_configs}}
    keys = ("num_hidden_layers", "depths", "num_attention_heads", "num_heads", "hidden_act")
    keys += ("layer_norm_eps", "image_size")
    said = {
        part: {key: values[key] for key in keys if key in values}
        for part, values in ((part, one.to_dict()) for part, one in parts.items())
    }
    return {"said": said, "shapes": {name: list(weights[name].shape) for name in names}}


def pictures(channels: int, height: int, width: int) -> torch.Tensor:
    """The same in the tests, from the same seed."""
    random = np.random.default_rng([channels, height, width])
    return torch.from_numpy(random.standard_normal((2, channels, height, width), np.float32))


def compared(
    model: Any, config: Any, pixels: torch.Tensor, case: dict[str, Any]
) -> list[dict[str, Any]]:
    """Three texts beside the pictures, the last two of them padded where the family pads."""
    random = np.random.default_rng(1)
    text = config.text_config
    length = text.max_position_embeddings if config.model_type == "siglip" else 9
    ids = random.integers(5, text.vocab_size - 2, (3, length))
    inputs = {"input_ids": torch.from_numpy(ids)}
    if config.model_type == "clip":
        mask = np.ones_like(ids)
        end = text.eos_token_id if text.eos_token_id != 2 else text.vocab_size - 1
        for row, last in enumerate((8, 5, 2)):
            ids[row, last:] = text.pad_token_id
            ids[row, last] = end
            mask[row, last + 1 :] = 0
        inputs["attention_mask"] = torch.from_numpy(mask)
    out = model(pixel_values=pixels, **inputs)
    given = {name: value.tolist() for name, value in inputs.items()}
    outputs = {name: plain(out[name]) for name in ("logits_per_image", "text_embeds")}
    return [case | {"inputs": given, "outputs": outputs}]


def kept(out: Any) -> dict[str, Any]:
    names = ("logits", "last_hidden_state", "pooler_output")
    found = {name: out[name] for name in names if out.get(name) is not None}
    return {name: few(value) for name, value in found.items()}


def hidden(out: Any) -> list[dict[str, Any]]:
    """What lies between layers, from what the first is given on."""
    return [few(value) for value in out.get("hidden_states") or ()]


def few(value: torch.Tensor) -> dict[str, Any]:
    """A shape, and numbers at equal distances, of the array laid out as one row."""
    every = max(1, value.numel() // KEPT)
    return {"shape": list(value.shape), "every": every, "values": plain(value.flatten()[::every])}


def plain(value: torch.Tensor) -> Any:
    if value.ndim == 1:
        return [float(f"{number:.7g}") for number in value.tolist()]
    return [plain(row) for row in value]


if __name__ == "__main__":
    main()
