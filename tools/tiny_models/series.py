"""Networks of transformers' own for series, which have nothing beside them but config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tools.tiny_models import randomise
from torch import nn
from transformers import (
    PatchTSTConfig,
    PatchTSTForPrediction,
    PreTrainedModel,
    TimeSeriesTransformerConfig,
    TimeSeriesTransformerForPrediction,
)


class Nothing:
    """What is saved beside a network that reads numbers."""

    def save_pretrained(self, folder: Path) -> None:
        """Writes no file."""


Made = tuple[PreTrainedModel, Nothing, str]


def made(model: PreTrainedModel, seed: int) -> Made:
    """A network with large weights, and with means and variances of batches that it has seen."""
    randomise(model, seed)
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            mean, variance = module.running_mean, module.running_var
            mean.copy_(torch.randn(mean.shape, generator=generator) * 0.3)
            variance.copy_(0.5 + torch.rand(variance.shape, generator=generator))
    # Tails that are not heavy, and widths below the distance from step to step: what is drawn is
    # compared by its means, and what is drawn first must count for what follows.
    for name, weight in model.named_parameters():
        part = name.partition("projection.proj.")[2]
        if part in ("0.weight", "2.weight"):
            weight.data *= 0.3
        elif part == "0.bias":
            weight.data += 3
        elif part == "2.bias":
            weight.data -= 1
        elif part == "1.weight":
            weight.data *= 3
        elif "decoder.value_embedding" in name:
            weight.data[:, : len(model.config.lags_sequence)] *= 4
        elif "decoder.layers" in name and weight.ndim == 2:
            weight.data *= 0.5
    return model, Nothing(), "5GB"


def patchtst(seed: int, **changes: Any) -> Made:
    settings = {
        **{"context_length": 24, "prediction_length": 5, "patch_length": 6, "patch_stride": 3},
        **{"d_model": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "ffn_dim": 20},
        **{"loss": "nll", "pooling_type": None},
    }
    return made(PatchTSTForPrediction(PatchTSTConfig(**(settings | changes))), seed)


def transformer(seed: int, **changes: Any) -> Made:
    settings = {
        **{"context_length": 12, "prediction_length": 5, "d_model": 16},
        **{"encoder_ffn_dim": 20, "decoder_ffn_dim": 24},
        **{"encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0},
    }
    config = TimeSeriesTransformerConfig(**(settings | changes))
    return made(TimeSeriesTransformerForPrediction(config), seed)


def models(scratch: Path) -> dict[str, Made]:
    """Maps each folder's name to its network, nothing, and how it is saved."""
    del scratch
    after = {"pre_norm": False, "norm_type": "layernorm", "norm_eps": 1e-3, "bias": False}
    uneven = {"context_length": 23, "patch_length": 5, "patch_stride": 4, "num_hidden_layers": 1}
    covariates = {
        **{"lags_sequence": [1, 2, 4, 9], "scaling": "std", "num_time_features": 3},
        **{"num_dynamic_real_features": 2, "num_static_real_features": 2, "decoder_layers": 3},
        **{"num_static_categorical_features": 2, "cardinality": [4, 7]},
        **{"decoder_attention_heads": 4, "activation_function": "relu"},
    }
    return {
        "patchtst-flat": patchtst(801),
        "patchtst-after": patchtst(802, **after, **uneven, use_cls_token=True, scaling="mean"),
        "patchtst-mean": patchtst(803, pooling_type="mean", activation_function="relu"),
        "patchtst-max": patchtst(804, pooling_type="max", scaling=None, **uneven),
        "series-transformer": transformer(811, **covariates, embedding_dimension=[2, 3]),
        "series-transformer-bare": transformer(812),
        "series-transformer-plain": transformer(813, scaling=None, num_time_features=1),
    }
