"""Convolutional networks for pictures: ResNet, ConvNeXt in both versions, MobileNetV2."""

from __future__ import annotations

from pathlib import Path

import torch
from tools.tiny_models import Made, labels, randomise
from torch import nn
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextImageProcessor,
    ConvNextModel,
    ConvNextV2Config,
    ConvNextV2ForImageClassification,
    ConvNextV2Model,
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
    MobileNetV2ImageProcessor,
    MobileNetV2Model,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    ResNetModel,
)

SIDE = 32
"""What the processors make of pictures; the networks read any size."""


def settled(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Random weights, and statistics in each batch normalisation that fit what comes to it."""
    model = randomise(model, seed)
    generator = torch.Generator().manual_seed(seed)
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum, layer.training = 1.0, True
    with torch.no_grad():
        model(pixel_values=torch.randn((64, 3, 2 * SIDE, 2 * SIDE), generator=generator))
        for layer in norms:  # and yet not quite, as after training
            layer.momentum = 0.1
            layer.running_mean += 0.1 * torch.randn(layer.num_features, generator=generator)
            layer.running_var *= 1 + 0.3 * torch.rand(layer.num_features, generator=generator)
    return model.eval()


def models(scratch: Path) -> dict[str, Made]:
    """Maps each folder's name to its network, its image processor and how it is saved."""
    del scratch
    made: dict[str, Made] = {}
    animals = labels("cat", "dog", "heron", "perch", "toad")
    to_crop = ConvNextImageProcessor(size={"shortest_edge": SIDE}, crop_pct=0.875)
    as_mobile = MobileNetV2ImageProcessor(
        size={"shortest_edge": SIDE + 4}, crop_size={"height": SIDE, "width": SIDE}
    )

    def add(name, seed, kind, config, processor, dtype=None):
        model = settled(kind(config), seed)
        made[name] = (model.to(dtype) if dtype else model, processor, "5GB")

    bottleneck = {"embedding_size": 16, "hidden_sizes": [32, 48, 64], "depths": [2, 1, 1]}
    add(
        *("resnet-image", 701, ResNetForImageClassification),
        *(ResNetConfig(**bottleneck, **animals), to_crop),
    )
    add(
        *("resnet-base", 702, ResNetModel),
        *(ResNetConfig(**bottleneck, downsample_in_bottleneck=True), to_crop),
    )
    basic = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "layer_type": "basic"}
    add(
        *("resnet-basic", 703, ResNetForImageClassification),
        *(ResNetConfig(**basic, downsample_in_first_stage=True, **animals), to_crop),
    )
    # Channels in numbers that no processor's registers divide, and another activation.
    odd = {"embedding_size": 7, "hidden_sizes": [12, 20], "depths": [1, 1], "hidden_act": "gelu"}
    add("resnet-odd", 704, ResNetModel, ResNetConfig(**odd), to_crop)

    stages = {"num_stages": 3, "hidden_sizes": [8, 16, 24], "depths": [1, 2, 1]}
    add(
        *("convnext-image", 711, ConvNextForImageClassification),
        *(ConvNextConfig(**stages, **animals), to_crop),
    )
    add(
        *("convnext-base", 712, ConvNextModel),
        *(ConvNextConfig(**stages, patch_size=2, layer_scale_init_value=0.0), to_crop),
    )
    add(
        *("convnextv2-image", 713, ConvNextV2ForImageClassification),
        *(ConvNextV2Config(**stages, **animals), to_crop),
    )
    add(
        *("convnextv2-base", 714, ConvNextV2Model),
        *(ConvNextV2Config(**stages, hidden_act="relu", layer_norm_eps=1e-3), to_crop),
    )

    small = {"depth_multiplier": 0.05, "depth_divisible_by": 4, "min_depth": 4, "expand_ratio": 2}
    add(
        *("mobilenet_v2-image", 721, MobileNetV2ForImageClassification),
        *(MobileNetV2Config(**small, finegrained_output=False, **animals), as_mobile),
    )
    torch_like = {"tf_padding": False, "first_layer_is_expansion": False, "output_stride": 8}
    add(
        *("mobilenet_v2-base", 722, MobileNetV2Model),
        *(MobileNetV2Config(**small, **torch_like, finegrained_output=False), as_mobile),
    )
    add(
        *("mobilenet_v2-fine", 723, MobileNetV2ForImageClassification),
        *(MobileNetV2Config(**small, **animals), as_mobile),
        torch.float16,
    )
    return made
