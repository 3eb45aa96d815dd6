"""Networks that learn to forecast series from nothing: RNN, LSTM, GRU, TCN and DLinear.

A recurrent network reads the past step by step into a state (Elman 1990,
https://doi.org/10.1016/0364-0213(90)90002-E; Hochreiter & Schmidhuber 1997,
https://doi.org/10.1162/neco.1997.9.8.1735; Cho et al. 2014, https://arxiv.org/abs/1406.1078); a
temporal convolutional network reads it by causal filters that reach twice as far in each block (Bai
et al. 2018, https://arxiv.org/abs/1803.01271). All steps of the horizon are told from that state at
once, each with what is known ahead of it, as in MQ-RNN (Wen et al. 2017,
https://arxiv.org/abs/1711.11053). To what they find a linear map of the past values is added.
DLinear is nothing but linear maps (Zeng et al. 2022, https://arxiv.org/abs/2205.13504).

`silmu.graphs.silmu_series` builds the same network as an ONNX graph.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from silmu.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("rnn", "lstm", "gru", "tcn", "dlinear")
HEADS = ("quantiles", "student_t")
MODEL_TYPE = "silmu-series"
ARCHITECTURE = "SilmuForTimeSeriesForecasting"

OPTIONAL = ("num_known", "num_past", "num_static_real", "num_series")
"""Sizes of what a network may be given beside the values."""

RECURRENT = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}

UNKNOWN_SHARE = 0.1
"""Of the rows of a batch, how many learn as if their series were unknown."""
SMALLEST_SCALE = 1e-6
"""What a Student's t scale never falls below."""


@dataclass(frozen=True, kw_only=True)
class SeriesConfig:
    """The shape of a network, and how much of it is left out while it learns.

    Attributes:
        kind: one of KINDS.
        context_length: steps of the past that it reads.
        prediction_length: steps that it forecasts.
        outputs: numbers that it tells of each: quantiles, or 3 for a Student's t.
        head: one of HEADS.
        num_known: features of each step that are known ahead.
        num_past: features of past steps alone.
        num_static_real: features of a series that never change.
        num_series: series that are told from each other, 0 being an unknown one; 0 for none.
        hidden_size: numbers of a state, filters of a convolution.
        num_layers: of a recurrent network; blocks of a temporal convolution.
        kernel_size: steps that a filter sees, or that DLinear's trend is the mean of.
        dropout: of what the layers give.
        skip: whether a linear map of the past values is added.
        season: steps after which the past repeats itself, where the linear map begins; 0 for none.
    """

    kind: str
    context_length: int
    prediction_length: int
    outputs: int
    head: str = "quantiles"
    num_known: int = 0
    num_past: int = 0
    num_static_real: int = 0
    num_series: int = 0
    hidden_size: int = 64
    num_layers: int = 1
    kernel_size: int = 3
    dropout: float = 0.0
    skip: bool = True
    season: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError(
                f"no network `{self.kind}` for series; there are {', '.join(KINDS)}"
            )
        if self.head not in HEADS:
            raise UsageError(f"head is {self.head!r}; it may be {', '.join(HEADS)}")
        for field in fields(self):
            value, least = getattr(self, field.name), _least(field.name)
            if field.type == "int" and value < least:
                raise UsageError(f"{field.name} is {value}; it must be at least {least}")
        if self.head == "student_t" and self.outputs != 3:
            raise UsageError(f"outputs is {self.outputs}; a Student's t has 3")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; it must be from 0 to below 1")

    def to_dict(self) -> dict[str, Any]:
        """What config.json holds of it."""
        return {"model_type": MODEL_TYPE, "architectures": [ARCHITECTURE], **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SeriesConfig:
        """A config from config.json, whatever else that holds."""
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values})


def _least(name: str) -> int:
    return 0 if name in (*OPTIONAL, "season") else 1


def build(config: SeriesConfig) -> SeriesNetwork:
    """The untrained network; the same for the same `torch.manual_seed`."""
    return SeriesNetwork(config)


class SeriesNetwork(nn.Module):
    """The past of a series, and what is known of its future, to `parameters` of each step.

    >>> config = SeriesConfig(kind="gru", context_length=24, prediction_length=6, outputs=9)
    >>> past = torch.zeros(2, 24)
    >>> SeriesNetwork(config)(past_values=past, past_observed_mask=torch.ones(2, 24)).shape
    torch.Size([2, 6, 9])
    """

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__()
        self.config = config
        self.skip: Skip | None = None
        self.lines: Lines | None = None
        self.begun: tuple[Tensor, Tensor] | None = None
        if config.kind == "dlinear":
            self.lines = Lines(config)
            return
        if config.skip:
            self.skip = Skip(config)
        size = config.hidden_size
        self.reading = nn.Linear(2 + config.num_known + config.num_past, size)
        self.static = nn.Linear(config.num_static_real, size) if config.num_static_real else None
        self.series: nn.Embedding | None = None
        if config.num_series:
            self.series = nn.Embedding(config.num_series, size)
            nn.init.normal_(self.series.weight, std=0.1)
        self.body = Convolutions(config) if config.kind == "tcn" else Recurrence(config)
        self.horizon = Horizon(config)

    def forward(
        self,
        past_values: Tensor,
        past_observed_mask: Tensor | None = None,
        past_time_features: Tensor | None = None,
        future_time_features: Tensor | None = None,
        static_real_features: Tensor | None = None,
        static_categorical_features: Tensor | None = None,
    ) -> Tensor:
        """Values in the unit that they are normalised to; (rows, prediction, outputs) come out.

        Args:
            past_values: (rows, context).
            past_observed_mask: (rows, context), 1 where a value was observed.
            past_time_features: (rows, context, known + past).
            future_time_features: (rows, prediction, known).
            static_real_features: (rows, static).
            static_categorical_features: (rows, 1), the number of the series.

        The last four are read where the network has sizes for them.
        """
        if self.lines is not None:
            return self._told(self.lines(past_values))
        mask = torch.ones_like(past_values) if past_observed_mask is None else past_observed_mask
        parts = [past_values.unsqueeze(-1), mask.unsqueeze(-1)]
        if past_time_features is not None and self.reading.in_features > 2:
            parts.append(past_time_features)
        x = self.reading(torch.cat(parts, -1))
        if self.static is not None:
            x = x + self.static(static_real_features).unsqueeze(1)
        if self.series is not None and static_categorical_features is not None:
            x = x + self.series(self._some_unknown(static_categorical_features))
        found = self.horizon(self.body(x), future_time_features)
        if self.skip is not None:
            found = found + self.skip(past_values)
        return self._told(found)

    def begin(self, weight: Tensor, bias: Tensor) -> None:
        """Lets it begin as a line through the past: (prediction, context) and (prediction,)."""
        one = self.skip or self.lines
        if one is not None:
            self.begun = (weight, bias)
            with torch.no_grad():
                one.begin(weight, bias)

    def draw(self, share: float) -> None:
        """Draws its medians to the line it began with, and all quantiles along with them.

        Args:
            share: of what lies between the line and what was learnt, that is left.

        Raises:
            UsageError: it began with no line.
        """
        if self.begun is None:
            raise UsageError("the network began with no line that it could be drawn to")
        device = next(self.parameters()).device
        weight, bias = (one.to(device) for one in self.begun)
        with torch.no_grad():
            if self.lines is not None:
                self.lines.draw(share, weight, bias)
            elif self.skip is not None:
                line, middle = self.skip.line, self.config.outputs // 2
                line.weight.copy_(torch.lerp(weight, line.weight, share))
                line.bias.copy_(torch.lerp(bias, line.bias, share))
                told = cast("Tensor", self.skip.told)
                for one in (self.horizon.output.weight, self.horizon.output.bias):
                    one -= torch.tensordot(told, (1 - share) * one[middle], 0)

    def _some_unknown(self, series: Tensor) -> Tensor:
        """While it learns, a part of the rows as if their series were unknown."""
        if not self.training:
            return series
        return series * (torch.rand(series.shape, device=series.device) >= UNKNOWN_SHARE)

    def _told(self, found: Tensor) -> Tensor:
        if self.config.head == "quantiles":
            return found
        freedom, place, scale = found.unbind(-1)
        spread = functional.softplus(scale) + SMALLEST_SCALE
        return torch.stack([2 + functional.softplus(freedom), place, spread], -1)


class Recurrence(nn.Module):
    """(rows, context, size) -> (rows, size), the state after the last step.

    Each layer but the first adds to what it was given.
    """

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            RECURRENT[config.kind](size, size, batch_first=True) for _ in range(config.num_layers)
        )
        for name, parameter in self.layers.named_parameters():
            if "weight_hh" in name:
                for gate in parameter.data.split(size):
                    nn.init.orthogonal_(gate)
            elif "bias_ih" in name and config.kind == "lstm":
                # What is not forgotten at the start can be learnt from (Jozefowicz et al. 2015).
                nn.init.constant_(parameter.data[size : 2 * size], 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Reads one step after another."""
        for i, layer in enumerate(self.layers):
            found, _ = layer(self.dropout(x) if i else x)
            x = x + found if i else found
        return self.dropout(x[:, -1])


class Convolutions(nn.Module):
    """(rows, context, size) -> (rows, size), what the last step has come to know.

    Block i takes every 2^i-th step, counted from the last. No other step reaches the last one, so
    after each block every second step is left out, and the next one takes neighbours.
    """

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))

    def forward(self, x: Tensor) -> Tensor:
        """One block after another, each reaching twice as far."""
        x = x.transpose(1, 2)
        for block in self.blocks:
            x = block(x)
            x = x[..., (x.shape[-1] - 1) % 2 :: 2]
        return self.dropout(x[..., -1])


class Block(nn.Module):
    """Two causal convolutions, and what was given added to what they found."""

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__()
        size, kernel = config.hidden_size, config.kernel_size
        self.before = kernel - 1
        self.dropout = nn.Dropout(config.dropout)
        self.conv1 = nn.Conv1d(size, size, kernel)
        self.conv2 = nn.Conv1d(size, size, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, size, context) -> the same, without a look ahead."""
        found = self.dropout(functional.relu(self.conv1(functional.pad(x, (self.before, 0)))))
        found = self.dropout(functional.relu(self.conv2(functional.pad(found, (self.before, 0)))))
        return functional.relu(x + found)


class Horizon(nn.Module):
    """The state, and what is known ahead, to the numbers of each step: an MLP.

    It begins as quantiles of what is normal, or a Student's t, around what the skip says.
    """

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.steps = config.prediction_length
        self.state = nn.Linear(size, config.prediction_length * size)
        self.future = nn.Linear(config.num_known, size, bias=False) if config.num_known else None
        self.inner = nn.Linear(size, size)
        self.output = nn.Linear(size, config.outputs)
        nn.init.normal_(self.output.weight, std=0.1 / math.sqrt(size))
        with torch.no_grad():
            self.output.bias.copy_(beginning(config))

    def forward(self, state: Tensor, future: Tensor | None) -> Tensor:
        """(rows, size), (rows, prediction, known) -> (rows, prediction, outputs)"""
        x = self.state(state).unflatten(1, (self.steps, -1))
        if self.future is not None:
            x = x + self.future(future)
        return self.output(functional.relu(self.inner(functional.relu(x))))


class Skip(nn.Module):
    """A line through the past for each step of the horizon: (rows, context) -> (…, outputs).

    All quantiles have the same, and so has the place of a Student's t. It begins as the seasons
    that were, or as the last value.
    """

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__()
        self.line = nn.Linear(config.context_length, config.prediction_length)
        with torch.no_grad():
            self.line.weight.copy_(repeated(config))
            self.line.bias.zero_()
        told = torch.ones(config.outputs)
        if config.head == "student_t":
            told = torch.tensor([0.0, 1.0, 0.0])
        self.register_buffer("told", told, persistent=False)

    def forward(self, past: Tensor) -> Tensor:
        """(rows, context) -> (rows, prediction, outputs)"""
        return self.line(past).unsqueeze(-1) * cast("Tensor", self.told)

    def begin(self, weight: Tensor, bias: Tensor) -> None:
        """Takes another line."""
        self.line.weight.copy_(weight)
        self.line.bias.copy_(bias)


class Lines(nn.Module):
    """DLinear: a line through the trend and one through what is left, for each step and output."""

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__()
        self.kernel, self.steps = config.kernel_size, config.prediction_length
        outer = config.prediction_length * config.outputs
        self.trend = nn.Linear(config.context_length, outer)
        self.rest = nn.Linear(config.context_length, outer, bias=False)
        self.told = torch.ones(config.outputs)
        if config.head == "student_t":
            self.told = torch.tensor([0.0, 1.0, 0.0])
        self.beginning = beginning(config)
        with torch.no_grad():
            self.begin(repeated(config), torch.zeros(self.steps))

    def forward(self, past: Tensor) -> Tensor:
        """(rows, context) -> (rows, prediction, outputs)"""
        ends = ((self.kernel - 1) // 2, self.kernel // 2)
        padded = functional.pad(past.unsqueeze(1), ends, mode="replicate")
        trend = functional.avg_pool1d(padded, self.kernel, 1).squeeze(1)
        found = self.trend(trend) + self.rest(past - trend)
        return found.unflatten(1, (self.steps, -1))

    def begin(self, weight: Tensor, bias: Tensor) -> None:
        """Takes one line through trend and rest alike, with quantiles around it."""
        start = torch.einsum("hc,o->hoc", weight, self.told).flatten(0, 1)
        self.trend.weight.copy_(start)
        self.rest.weight.copy_(start)
        shift = torch.einsum("h,o->ho", bias, self.told) + self.beginning
        self.trend.bias.copy_(shift.flatten())

    def draw(self, share: float, weight: Tensor, bias: Tensor) -> None:
        """Draws trend and rest to one line, and all quantiles along with their middle one."""
        told = self.told.to(weight.device)
        for one, line in (
            (self.trend.weight, weight),
            (self.rest.weight, weight),
            (self.trend.bias, bias),
        ):
            each = one.unflatten(0, (self.steps, len(told)))
            away = each[:, len(told) // 2] - line
            each -= (1 - share) * torch.einsum("h...,o->ho...", away, told)


def repeated(config: SeriesConfig) -> Tensor:
    """(prediction, context) weights of the mean of all seasons, moved to the level of the last.

    They repeat the last value where there is no season, or the past is shorter than one.
    """
    context, season = config.context_length, max(config.season, 1)
    weights = torch.zeros(config.prediction_length, context)
    if season > context or season == 1:
        weights[:, -1] = 1.0
        return weights
    count = context // season
    steps = torch.arange(config.prediction_length)
    for back in range(1, count + 1):
        weights[steps, context - back * season + steps % season] += 1 / count
    weights[:, context - season :] += 1 / season
    weights[:, context - count * season :] -= 1 / (count * season)
    return weights


def beginning(config: SeriesConfig) -> Tensor:
    """(outputs,) of what is told where nothing is known: a normal distribution, nearly."""
    if config.head == "student_t":
        return torch.tensor([3.0, 0.0, 0.0])
    levels = [(i + 1) / (config.outputs + 1) for i in range(config.outputs)]
    return torch.tensor([0.5 * NormalDist().inv_cdf(level) for level in levels])
