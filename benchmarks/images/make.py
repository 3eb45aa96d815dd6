"""Makes what compare.py needs: two networks of real size with random weights, and 64 pictures.

    PYTHON-WITH-TRANSFORMERS benchmarks/images/make.py HOME

Weights cost the same time whatever they are. The statistics of ResNet's normalisations are those of
noise that went through it, so that numbers stay in the range that trained ones have. The pictures
are coloured noise with the spectrum of photographs (power falls with the square of the frequency)
and a few hard edges, as JPEG of 640 x 480.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from transformers import (
    ConvNextImageProcessor,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

COUNT, WIDTH, HEIGHT, QUALITY = 64, 640, 480, 90
NAMES = {"num_labels": 1000, "id2label": {i: f"class {i}" for i in range(1000)}}


def main() -> None:
    home = Path(sys.argv[1]).resolve()
    torch.manual_seed(0)
    vit = ViTForImageClassification(ViTConfig(**NAMES))
    vit.save_pretrained(home / "vit-base")
    ViTImageProcessor().save_pretrained(home / "vit-base")
    resnet = ResNetForImageClassification(ResNetConfig(**NAMES))
    settle(resnet)
    resnet.save_pretrained(home / "resnet-50")
    ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875).save_pretrained(
        home / "resnet-50"
    )
    random = np.random.default_rng(0)
    folder = home / "pictures"
    folder.mkdir(exist_ok=True)
    paths: list[str] = []
    for i in range(COUNT):
        path = folder / f"{i:02}.jpg"
        picture(random).save(path, quality=QUALITY)
        paths.append(str(path))
    (home / "workloads.json").write_text(json.dumps({"one": paths[:1], "many": paths}))


def settle(model: torch.nn.Module) -> None:
    norms = [layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(8, 3, 224, 224))
    for layer in norms:
        layer.momentum = 0.1
    model.eval()


def picture(random: np.random.Generator) -> Image.Image:
    across, down = np.fft.fftfreq(WIDTH) * WIDTH, np.fft.fftfreq(HEIGHT) * HEIGHT
    falls = 1 / np.maximum(np.hypot(down[:, None], across[None, :]), 1)
    layers = [
        np.fft.ifft2(falls * np.fft.fft2(random.standard_normal((HEIGHT, WIDTH)))).real
        for _ in range(4)
    ]
    # What all channels have in common weighs more than what they differ by.
    colours = np.stack([2 * layers[3] + layer for layer in layers[:3]], axis=-1)
    scaled = 128 + 50 * (colours - colours.mean()) / colours.std()
    made = Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(made)
    for _ in range(12):
        x, y, width, height = random.integers((0, 0, 20, 20), (WIDTH, HEIGHT, 160, 160))
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((x, y, x + width, y + height), fill=tuple(random.integers(0, 256, 3).tolist()))
    return made


if __name__ == "__main__":
    main()
