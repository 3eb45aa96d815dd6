"""Networks of transformers' own for series, read and told as those of silmu's are.

PatchTST (Nie et al. 2023, https://arxiv.org/abs/2211.14730) tells a Student's t for each step. The
TimeSeriesTransformer tells it for the next step alone, learns with what really came before that,
and forecasts by trajectories, which `silmu.runtime.series.sampling` draws here as it does in use.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from silmu.networks.series import UNKNOWN_SHARE
from silmu.runtime.series.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

PARTS = ("key", "value")


class PatchForecaster(nn.Module):
    """Forecasts with a `PatchTSTForPrediction` of one channel that ends in Student's t.

    Attributes:
        model: that network, which transformers saves and opens.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, past_values: Tensor, past_observed_mask: Tensor, **others: Tensor) -> Tensor:
        """(rows, context) twice -> (rows, steps, 3), degrees of freedom, place and width.

        It reads the series alone: `others` change nothing.
        """
        del others
        channel = past_values.unsqueeze(2)
        found: Any = self.model(channel, past_observed_mask=past_observed_mask.unsqueeze(2))
        freedom, place, width = found.prediction_outputs
        place, width = place * found.scale + found.loc, width * found.scale
        return torch.cat([freedom, place, width], dim=2).float()


class TransformerForecaster(nn.Module):
    """Forecasts with a `TimeSeriesTransformerForPrediction` of one series.

    Its dynamic real features are covariates of the past alone: after the end they are 0.

    Args:
        model: that network, which transformers saves and opens.
        levels: the shares whose quantiles are told.

    Attributes:
        most_forecasts: of so many windows at most it is seen how wide its forecasts are.
    """

    most_forecasts = 256

    def __init__(self, model: nn.Module, levels: tuple[float, ...]) -> None:
        super().__init__()
        self.model: Any = model
        self.levels = levels

    @property
    def config(self) -> Any:
        """Of transformers."""
        return self.model.config

    def forward(self, **feeds: Tensor) -> Tensor:
        """Windows -> (rows, steps, levels), the quantiles of trajectories; without gradients."""
        sampler = Sampler.of(self.config.to_dict(), _Encoder(self), _Decoder(self))
        place = feeds["past_values"].device
        arrays = {name: value.cpu().numpy() for name, value in feeds.items()}
        _, quantiles = sampler.quantiles(arrays, self.levels)
        return torch.from_numpy(quantiles.astype(np.float32)).to(place)

    def training_loss(
        self, feeds: Mapping[str, Tensor], future: Tensor, observed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """How unlikely what came was, each step told with those before it, and of how many steps.

        Some windows are learnt as if their series were unknown, which is number 0.
        """
        given = self.inputs(feeds)
        name = "static_categorical_features"
        if self.training and name in given:
            share = torch.rand(len(future), 1, device=future.device)
            given[name] = given[name] * (share >= UNKNOWN_SHARE)
        count = observed.sum().clamp(min=1.0)
        try:
            found = self.model(
                **given, future_values=future, future_observed_mask=observed, use_cache=False
            )
        except ValueError as error:
            if "to satisfy the constraint" not in str(error):
                raise
            # Torch has no distribution of what is no number; the loop tells of which examples.
            some = next(one for one in self.parameters() if one.requires_grad)
            return some.sum() * torch.nan, count
        return found.loss * count, count

    def inputs(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Feeds as transformers wants them: time features of no size too, and zeros to come."""
        values, config = feeds["past_values"], self.config
        rows = len(values)
        given = dict(feeds)
        known = given.get("future_time_features")
        if known is None:
            known = values.new_zeros(rows, config.prediction_length, 0)
        after = values.new_zeros(rows, config.prediction_length, config.num_dynamic_real_features)
        given["future_time_features"] = torch.cat([known, after], dim=2)
        past = given.get("past_time_features")
        given["past_time_features"] = values.new_zeros(*values.shape, 0) if past is None else past
        return given


@dataclass(frozen=True)
class _Encoder:
    """What the graph of the encoder computes, as `silmu.graphs.time_series_transformer` says it."""

    network: TransformerForecaster

    @torch.inference_mode()
    def run(self, feeds: Mapping[str, NDArray[Any]], /) -> dict[str, NDArray[Any]]:
        network = self.network
        place = next(network.parameters()).device
        given = {name: torch.from_numpy(value).to(place) for name, value in feeds.items()}
        inputs = network.inputs(given)
        future = inputs.pop("future_time_features")
        body: Any = network.model.model
        x, loc, scale, told = body.create_network_inputs(**inputs)
        read = body.encoder(inputs_embeds=x).last_hidden_state
        lags, context = len(network.config.lags_sequence), network.config.context_length
        decoder = body.decoder
        told = told.unsqueeze(1).expand(-1, future.shape[1], -1)
        weight = decoder.value_embedding.value_projection.weight[:, lags:]
        steps = functional.linear(torch.cat([told, future], dim=2), weight)
        steps = steps + decoder.embed_positions.weight[context : context + future.shape[1]]
        found = {"loc": loc, "scale": scale, "steps": steps}
        for i, layer in enumerate(decoder.layers):
            found[f"window.{i}.key"] = layer.encoder_attn.k_proj(read)
            found[f"window.{i}.value"] = layer.encoder_attn.v_proj(read)
        return {name: value.float().cpu().numpy() for name, value in found.items()}


@dataclass(frozen=True)
class _Decoder:
    """What the graph of the decoder computes."""

    network: TransformerForecaster

    @torch.inference_mode()
    def run(self, feeds: Mapping[str, NDArray[Any]], /) -> dict[str, NDArray[Any]]:
        model: Any = self.network.model
        place = next(model.parameters()).device
        given = {name: torch.from_numpy(value).to(place) for name, value in feeds.items()}
        decoder = model.model.decoder
        lags = given["lags"]
        weight = decoder.value_embedding.value_projection.weight[:, : lags.shape[2]]
        x = functional.linear(lags, weight) + given["step"].unsqueeze(1)
        x = decoder.layernorm_embedding(x)
        grown: dict[str, Tensor] = {}
        for i, layer in enumerate(decoder.layers):
            seen, window = (
                [given[f"{kind}.{i}.{part}"] for part in PARTS] for kind in ("seen", "window")
            )
            mixed, keys, values = _itself(layer.self_attn, x, *seen)
            grown |= {f"grown.{i}.key": keys, f"grown.{i}.value": values}
            x = layer.self_attn_layer_norm(x + mixed)
            x = layer.encoder_attn_layer_norm(x + _others(layer.encoder_attn, x, *window))
            wide = layer.activation_fn(layer.fc1(x))
            x = layer.final_layer_norm(x + layer.fc2(wide))
        told = torch.stack(model.parameter_projection(x), dim=2)
        found = {"parameters": told, **grown}
        return {name: value.float().cpu().numpy() for name, value in found.items()}


def _itself(
    attention: Any, x: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Attention of each trajectory to its own steps, and their keys and values, one more of each.

    Args:
        x: (rows, trajectories, hidden), one step of each.
        keys, values: of those before it, (rows * trajectories, heads, steps, head size).
    """
    steps = x.flatten(0, 1).unsqueeze(1)
    query, key, value = (
        _heads(part(steps), attention.num_heads)
        for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    keys, values = torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)
    mixed = functional.scaled_dot_product_attention(query, keys, values)
    return attention.out_proj(mixed.reshape(x.shape)), keys, values


def _others(attention: Any, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of all trajectories of a row to its window: (rows, context, hidden) twice."""
    query, keys, values = (
        _heads(one, attention.num_heads) for one in (attention.q_proj(x), keys, values)
    )
    mixed = functional.scaled_dot_product_attention(query, keys, values).transpose(1, 2)
    return attention.out_proj(mixed.reshape(x.shape))


def _heads(x: Tensor, count: int) -> Tensor:
    """(rows, tokens, hidden) -> (rows, heads, tokens, head size)"""
    return x.unflatten(2, (count, -1)).transpose(1, 2)
