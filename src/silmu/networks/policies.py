"""Networks that act: a perceptron, a CNN for pictures, and either with a memory.

An actor and a critic (Konda & Tsitsiklis 1999). The perceptron has a body for each, for what tells
how to act and what tells how well it goes pull one that is shared apart (Andrychowicz et al. 2020,
https://arxiv.org/abs/2006.05990). The CNN is that of Mnih et al. 2015
(https://doi.org/10.1038/nature14236), shared by both. The memory is a GRU (Cho et al. 2014,
https://arxiv.org/abs/1406.1078) over what the body found, shared too. Weights begin orthogonal, and
those of the last layer small, so that at first all actions are about as likely.

`silmu.graphs.silmu_policy` builds the same network as an ONNX graph.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from silmu.errors import UnknownNameError, UsageError
from silmu.networks.perceptrons import ACTIVATIONS, is_small, stacked
from silmu.networks.values import Critics

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("mlp", "cnn", "gru")
ALGORITHMS = ("ppo", "dqn", "sac")
ACTIONS = ("discrete", "multi_discrete", "multi_binary", "box")
Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)

MODEL_TYPE = "silmu-policy"
ARCHITECTURE = "SilmuForReinforcementLearning"

LARGEST = 10.0
"""Beyond so many deviations an observation counts as this far."""
SMALLEST_SIDE = 36
"""Of a picture, for three convolutions to fit."""
USUAL_SIDE = 84
"""The shorter side of a picture that the convolutions are made for; larger ones are halved."""
SMALL_SIDE = 60
"""Below it, the first convolution goes two pixels at a time and not four."""
LOG_DEVIATIONS = (-20.0, 2.0)
"""Between what SAC keeps the logarithm of a deviation."""


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """The shape of a network that acts.

    Attributes:
        kind: one of KINDS.
        algorithm: one of ALGORITHMS, by which it learns.
        actions: one of ACTIONS.
        action_sizes: of `discrete` how many actions there are; of `multi_discrete` how many of
            each; of the others how many numbers make up an action.
        observation_size: numbers of an observation; 0 where it is a picture.
        image: (channels, height, width) of a picture; None where it is numbers.
        low, high: bounds of each number of a box; empty where it has none.
        hidden_size: numbers in each layer, and of the memory.
        num_layers: of a perceptron's body.
        activation: of a perceptron's body, one of ACTIVATIONS.
        normalise: whether numbers of an observation, or channels of a picture, are put on a common
            scale. Of pictures DQN learns none: they stay from 0 to 1.
        critics: of `sac`, how many tell what its action is worth; 0 where none does.
    """

    kind: str
    algorithm: str
    actions: str
    action_sizes: tuple[int, ...]
    observation_size: int = 0
    image: tuple[int, int, int] | None = None
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    hidden_size: int = 64
    num_layers: int = 2
    activation: str = "tanh"
    normalise: bool = True
    critics: int = 0

    def __post_init__(self) -> None:
        for name, given, allowed in (
            ("kind", self.kind, KINDS),
            ("algorithm", self.algorithm, ALGORITHMS),
            ("actions", self.actions, ACTIONS),
            ("activation", self.activation, tuple(ACTIVATIONS)),
        ):
            if given not in allowed:
                raise UnknownNameError(
                    f"{name} of a policy is {given!r}; it may be {', '.join(allowed)}"
                )
        sizes = [("hidden_size", self.hidden_size), ("num_layers", self.num_layers)]
        for name, size in [*sizes, *(("action_sizes", size) for size in self.action_sizes)]:
            if size < 1:
                raise UsageError(f"{name} is {size}; it must be at least 1")
        if len(self.action_sizes) != 1 and self.actions != "multi_discrete":
            raise UsageError(f"{self.actions} actions have one size, not {self.action_sizes}")
        self._check_observation()
        bounds = (len(self.low), len(self.high))
        if self.actions == "box" and bounds not in ((0, 0), (self.num_outputs,) * 2):
            raise UsageError(f"{bounds} bounds for {self.num_outputs} numbers of an action")
        if self.algorithm == "sac" and not self.low:
            raise UsageError(
                "algorithm sac needs actions that are numbers between finite bounds",
                hint="take algorithm ppo, or gymnasium.wrappers.RescaleAction",
            )
        if self.algorithm == "dqn" and self.actions != "discrete":
            raise UsageError(
                f"algorithm dqn chooses among discrete actions; these are {self.actions}",
                hint="take algorithm ppo",
            )
        if self.critics and ((self.algorithm, self.kind) != ("sac", "mlp") or self.critics < 0):
            raise UsageError(f"{self.critics} critics of {self.algorithm} and {self.kind}")

    def _check_observation(self) -> None:
        if (self.image is None) == (self.observation_size < 1):
            raise UsageError("an observation is either so many numbers or a picture")
        if self.image is not None and min(self.image[1:]) < SMALLEST_SIDE:
            raise UsageError(
                f"a picture of {self.image[1]} x {self.image[2]} is too small for convolutions; "
                f"each side must be at least {SMALLEST_SIDE}"
            )
        if self.image is None and self.kind == "cnn":
            raise UsageError(
                "network cnn sees pictures, and an observation here is numbers",
                hint="take mlp, or gru for what has to be remembered",
            )
        if self.image is not None and self.kind == "mlp":
            raise UsageError(
                "network mlp reads numbers, and an observation here is a picture",
                hint="take cnn, or gru for what has to be remembered",
            )

    @property
    def num_outputs(self) -> int:
        """Logits of all choices, or numbers of an action."""
        return sum(self.action_sizes)

    @property
    def pooled(self) -> int:
        """By what a picture is made smaller before its first convolution."""
        return 1 if self.image is None else max(round(min(self.image[1:]) / USUAL_SIDE), 1)

    @property
    def stride(self) -> int:
        """Of the first convolution: smaller for small pictures, of which little would be left."""
        return 2 if self.image is not None and min(self.image[1:]) < SMALL_SIDE else 4

    def to_dict(self) -> dict[str, Any]:
        """What config.json holds of it."""
        own = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"model_type": MODEL_TYPE, "architectures": [ARCHITECTURE], **own}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PolicyConfig:
        """A config from config.json, whatever else that holds."""
        own: dict[str, Any] = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        for name in ("action_sizes", "image", "low", "high"):
            if own.get(name) is not None:
                own[name] = tuple(own[name])
        return cls(**own)


def build(config: PolicyConfig) -> Policy:
    """The untrained network; the same for the same `torch.manual_seed`."""
    return Policy(config)


class Policy(nn.Module):
    """What is observed to how to act, and how well it goes from here.

    A network of `dqn` tells for each action how well it goes after it, and one of `sac` has critics
    that tell it of the action that is taken.

    >>> config = PolicyConfig(
    ...     kind="mlp", algorithm="ppo", actions="discrete", action_sizes=(2,), observation_size=4
    ... )
    >>> logits, value = Policy(config)(torch.zeros(3, 4))
    >>> logits.shape, value.shape
    (torch.Size([3, 2]), torch.Size([3]))
    """

    mean: Tensor
    deviation: Tensor
    scale: Tensor
    shift: Tensor
    value_scale: Tensor

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        size, outputs = config.hidden_size, config.num_outputs
        has_critic = config.algorithm == "ppo"
        is_shared = config.kind != "mlp"
        self.body = _body(config)
        self.memory = nn.GRU(size, size) if config.kind == "gru" else None
        if self.memory is not None:
            for name, parameter in self.memory.named_parameters():
                if "bias" in name:
                    nn.init.zeros_(parameter)
                else:
                    nn.init.orthogonal_(parameter)
        self.head = _orthogonal(
            nn.Linear(size, outputs * (1 + (config.algorithm == "sac"))),
            1.0 if config.algorithm == "dqn" else 0.01,
        )
        self.value_body = _body(config) if has_critic and not is_shared else None
        self.value_head = _orthogonal(nn.Linear(size, 1), 1.0) if has_critic else None
        if config.normalise:
            # Of each channel of a picture, whose numbers are from 0 to 1 before.
            of = (config.observation_size,) if config.image is None else (config.image[0], 1, 1)
            self.register_buffer("mean", torch.zeros(of))
            self.register_buffer("deviation", torch.ones(of))
        if config.actions == "box":
            if has_critic:
                self.log_std = nn.Parameter(torch.zeros(outputs))
            scale, shift = bounds(config)
            self.register_buffer("scale", scale)
            self.register_buffer("shift", shift)
        if has_critic:
            # Rewards are learnt in a unit of their own; what comes out is in the environment's.
            self.register_buffer("value_scale", torch.ones(()))
        self.critics = Critics(config, config.critics) if config.critics else None

    def forward(self, observation: Tensor, state: Tensor | None = None) -> tuple[Tensor, ...]:
        """What the graph of it gives, but for chance: action, value and next state.

        Args:
            observation: float32 (rows, size), or (rows, channels, height, width) from 0 to 255.
            state: (rows, hidden), of a network with a memory; zeros where an episode begins.

        Returns:
            Logits (rows, choices), or in the environment's unit the mean of an action
            (rows, size); the value (rows,), in `dqn` that of the best action, in `sac` the smallest
            that a critic tells of this one; the next state. What a network does not have is left
            out.
        """
        x = self.normalised(observation)
        found, value, after = self.read(x, state)
        config = self.config
        if config.algorithm == "dqn":
            value = found.amax(1)
        elif value is not None:
            value = value * self.value_scale
        if config.actions == "box":
            mean = found[:, : config.num_outputs]
            mean = torch.tanh(mean) if config.algorithm == "sac" else mean
            value = self.critics(x, mean).amin(0) if self.critics is not None else value
            found = mean * self.scale + self.shift
        return tuple(one for one in (found, value, after) if one is not None)

    def told(
        self, observation: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What the heads give, in the units in which it is learnt; the next state last.

        Of a box in `sac`, means and logarithms of deviations before tanh, side by side.
        """
        return self.read(self.normalised(observation), state)

    def read(
        self, x: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What `told` gives, of observations that are `normalised`."""
        if self.config.kind == "mlp":
            told = self._through(x, self.body, self.head)
            if self.value_head is None or self.value_body is None:
                return told, None, None
            return told, self._through(x, self.value_body, self.value_head).squeeze(-1), None
        found = self.body(x)
        after = None
        if self.memory is not None:
            begin = torch.zeros_like(found) if state is None else state
            after = found = self.remember(found.unsqueeze(0), begin)[0]
        return *self.heads(found), after

    def _through(self, x: Tensor, body: nn.Module, head: nn.Module) -> Tensor:
        layers = [one for one in (*body.children(), head) if isinstance(one, nn.Linear)]
        if is_small(layers, x):
            return stacked(x, layers, self.config.activation)
        return head(body(x))

    def heads(self, found: Tensor) -> tuple[Tensor, Tensor | None]:
        """What both heads tell of what a body that they share has found."""
        value = None if self.value_head is None else self.value_head(found).squeeze(-1)
        return self.head(found), value

    def remember(self, found: Tensor, state: Tensor) -> Tensor:
        """(steps, rows, hidden) after a state (rows, hidden) -> (steps, rows, hidden)"""
        assert self.memory is not None
        return self.memory(found, state.unsqueeze(0).contiguous())[0]

    def normalised(self, observation: Tensor) -> Tensor:
        """An observation on the scale on which it is read."""
        if self.config.image is not None:
            if not self.config.normalise:
                return observation.float() / 255
            return (observation.float() - 255 * self.mean) / (255 * self.deviation)
        if not self.config.normalise:
            return observation
        x = (observation - self.mean) / self.deviation
        return x.clamp(-LARGEST, LARGEST)


class Sight(nn.Module):
    """(rows, channels, height, width) -> (rows, size)"""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        assert config.image is not None
        channels, height, width = config.image
        self.pooled = config.pooled
        gain = math.sqrt(2)
        self.conv1 = _orthogonal(nn.Conv2d(channels, 32, 8, config.stride), gain)
        self.conv2 = _orthogonal(nn.Conv2d(32, 64, 4, 2), gain)
        self.conv3 = _orthogonal(nn.Conv2d(64, 64, 3, 1), gain)
        places = math.prod(seen(side // self.pooled, config.stride) for side in (height, width))
        self.line = _orthogonal(nn.Linear(64 * places, config.hidden_size), gain)

    def forward(self, x: Tensor) -> Tensor:
        """Three convolutions and a layer over all places."""
        if self.pooled > 1:
            x = functional.avg_pool2d(x, self.pooled)
        for layer in (self.conv1, self.conv2, self.conv3):
            x = functional.relu(layer(x))
        return functional.relu(self.line(x.flatten(1)))


def seen(side: int, stride: int) -> int:
    """Places that are left of a side after the convolutions, the first of such a stride.

    >>> seen(84, 4), seen(40, 2)
    (7, 5)
    """
    for kernel, step in ((8, stride), (4, 2), (3, 1)):
        side = (side - kernel) // step + 1
    return side


def bounds(config: PolicyConfig) -> tuple[Tensor, Tensor]:
    """By what numbers of an action are multiplied, and what is added, so that -1 to 1 fills them.

    A box without bounds is left as it is.
    """
    if not config.low:
        return torch.ones(config.num_outputs), torch.zeros(config.num_outputs)
    low, high = (torch.tensor(one, dtype=torch.float64) for one in (config.low, config.high))
    return ((high - low) / 2).float(), ((high + low) / 2).float()


def _body(config: PolicyConfig) -> nn.Module:
    if config.image is not None:
        return Sight(config)
    layers: list[nn.Module] = []
    for i in range(config.num_layers):
        inner = config.hidden_size if i else config.observation_size
        layers.append(_orthogonal(nn.Linear(inner, config.hidden_size), math.sqrt(2)))
        layers.append(ACTIVATIONS[config.activation]())
    return nn.Sequential(*layers)


def _orthogonal(layer: Layer, gain: float) -> Layer:
    nn.init.orthogonal_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
