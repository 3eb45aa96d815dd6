"""Networks of transformers' own for series: their sizes, and what they are built from."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from silmu.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from silmu.runtime.series.processor import SeriesProcessor

logger = logging.getLogger("silmu")

LONGEST_PATCH = 16
"""Steps of a patch, as in the paper; fewer, where the past is short."""
PATCHES = 8
"""There are about so many at least."""
LATEST = 7
"""So many of the latest values are told for each step; and those a season before, and about."""


def patchtst(processor: SeriesProcessor, settings: Mapping[str, Any]) -> nn.Module:
    """A `PatchTSTForPrediction` of one channel as a `PatchForecaster`, untrained.

    It reads the series alone, not the calendar nor covariates. Its layers are those of the paper:
    normalised over the batch, after each block.

    Args:
        processor: whose windows it reads.
        settings: `hidden_size`, `num_layers`, `dropout`.

    Raises:
        UsageError: there is too little to read, or a single step to forecast, for which
            transformers' class has no Student's t.
    """
    context, steps = processor.context_length, processor.prediction_length
    if steps < 2:
        raise UsageError(
            "patchtst forecasts 2 steps or more",
            hint="set prediction_length to 2, or take another --network",
        )
    if context < 4:
        raise UsageError(
            f"patchtst cuts the past into patches, and context_length is {context}",
            hint="set context_length to 4 or more, or take another --network",
        )
    if unread := [one.name for one in (*processor.known, *processor.past, *processor.static)]:
        logger.warning(
            "patchtst reads the series alone, not %s; other networks do", ", ".join(unread)
        )
    from transformers import PatchTSTConfig, PatchTSTForPrediction

    from silmu.networks.series_transformers import PatchForecaster

    length = max(2, min(LONGEST_PATCH, 2 * context // PATCHES))
    hidden, dropout = int(settings["hidden_size"]), float(settings["dropout"])
    config = PatchTSTConfig(
        num_input_channels=1,
        context_length=context,
        prediction_length=steps,
        distribution_output="student_t",
        loss="nll",
        scaling="std",
        patch_length=length,
        patch_stride=max(1, length // 2),
        d_model=hidden,
        num_attention_heads=_heads(hidden),
        num_hidden_layers=int(settings["num_layers"]),
        ffn_dim=2 * hidden,
        norm_type="batchnorm",
        pre_norm=False,
        pooling_type=None,
        attention_dropout=dropout,
        path_dropout=dropout,
        ff_dropout=dropout,
        head_dropout=dropout,
    )
    return PatchForecaster(PatchTSTForPrediction(config))


def transformer(processor: SeriesProcessor, settings: Mapping[str, Any]) -> nn.Module:
    """A `TimeSeriesTransformerForPrediction` as a `TransformerForecaster`, untrained.

    Of the past that the processor cuts it sees the last part, each step with values some lags
    before it, which reach back to the first.

    Args:
        processor: whose windows it reads, and whose quantiles it tells.
        settings: `hidden_size`, `num_layers`, `dropout`.

    Raises:
        UsageError: there is too little to read.
    """
    if processor.context_length < 2:
        raise UsageError(
            "transformer reads each step with those before it, and context_length is 1",
            hint="set context_length to 2 or more, or take another --network",
        )
    from transformers import TimeSeriesTransformerConfig, TimeSeriesTransformerForPrediction

    from silmu.networks.series_transformers import TransformerForecaster

    lags = chosen_lags(processor.context_length, processor.season)
    sizes = processor.sizes
    hidden, dropout = int(settings["hidden_size"]), float(settings["dropout"])
    of_series: dict[str, Any] = {}
    if count := sizes["series"]:
        of_series = {"num_static_categorical_features": 1, "cardinality": [count]}
    layers = int(settings["num_layers"])
    config = TimeSeriesTransformerConfig(
        context_length=processor.context_length - lags[-1],
        prediction_length=processor.prediction_length,
        distribution_output="student_t",
        loss="nll",
        scaling="std",
        lags_sequence=lags,
        num_time_features=sizes["known"],
        num_dynamic_real_features=sizes["past"],
        num_static_real_features=sizes["static_real"],
        d_model=hidden,
        encoder_attention_heads=_heads(hidden),
        decoder_attention_heads=_heads(hidden),
        encoder_ffn_dim=2 * hidden,
        decoder_ffn_dim=2 * hidden,
        encoder_layers=layers,
        decoder_layers=layers,
        dropout=dropout,
        attention_dropout=dropout,
        activation_dropout=dropout,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
        **of_series,
    )
    return TransformerForecaster(TimeSeriesTransformerForPrediction(config), processor.quantiles)


def chosen_lags(context: int, season: int) -> list[int]:
    """How many steps before a value the values are that it is told from.

    They are the latest ones and those of a season before, as far as half of the past reaches back.

    >>> chosen_lags(60, 7)
    [1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 15]
    """
    around = [one for turn in (season, 2 * season) for one in range(turn - 1, turn + 2)]
    wanted = {*range(1, LATEST + 1), *(around if season > 1 else ())}
    return sorted(lag for lag in wanted if 1 <= lag <= max(1, context // 2))


def _heads(hidden: int) -> int:
    """As many heads of attention, up to four, as divide the hidden size."""
    return next(heads for heads in (4, 2, 1) if hidden % heads == 0)
