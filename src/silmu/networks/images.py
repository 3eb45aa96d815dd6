"""Networks that learn to see from nothing: a perceptron, an MLP, a CNN and a residual CNN.

The perceptron is one layer over all pixels (Rosenblatt 1958), the MLP has hidden layers between
(Rumelhart et al. 1986). The CNN is convolution, pooling and fully connected layers (LeCun et al.
1998, http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf), with small filters that double where the
picture is halved (Simonyan & Zisserman 2014, https://arxiv.org/abs/1409.1556) and normalised over
the batch (Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167). The residual CNN learns in each
block what to add to what it was given (He et al. 2015, https://arxiv.org/abs/1512.03385).

`silmu.graphs.silmu_image` builds the same network as an ONNX graph.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from silmu.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("perceptron", "mlp", "cnn", "resnet")
MODEL_TYPE = "silmu-image"
ARCHITECTURE = "SilmuForImageClassification"

WIDEST = 4
"""How many times the first width a deeper layer has at most."""
SMALLEST = 4
"""A picture is halved as long as its shorter side stays at least so long."""
STEM_FROM = 48
"""Above this length of the shorter side, a residual network halves a picture before its blocks."""


@dataclass(frozen=True, kw_only=True)
class ImageNetworkConfig:
    """The shape of a network, and how much of it is left out while it learns.

    Attributes:
        kind: one of KINDS.
        image_size: (height, width) of a picture.
        num_channels: 1 for gray, 3 for colour.
        num_outputs: logits, or numbers.
        hidden_size: of an MLP's first layer; filters of a CNN's first layer.
        num_layers: an MLP's hidden layers; a CNN's convolutions; a residual network's blocks of
            each of its three stages.
        dropout: of what the last layer is given.
    """

    kind: str
    image_size: tuple[int, int]
    num_channels: int
    num_outputs: int
    hidden_size: int
    num_layers: int
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError(
                f"no network `{self.kind}` for pictures; there are {', '.join(KINDS)}"
            )
        sizes = {name: getattr(self, name) for name in ("num_channels", "num_outputs")}
        sizes |= {name: getattr(self, name) for name in ("hidden_size", "num_layers")}
        for name, value in [*sizes.items(), *(("image_size", side) for side in self.image_size)]:
            if value < 1:
                raise UsageError(f"{name} is {value}; it must be at least 1")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; it must be from 0 to below 1")

    def to_dict(self) -> dict[str, Any]:
        """What config.json holds of it."""
        own = asdict(self) | {"image_size": list(self.image_size)}
        return {"model_type": MODEL_TYPE, "architectures": [ARCHITECTURE], **own}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageNetworkConfig:
        """A config from config.json, whatever else that holds."""
        own = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        height, width = own["image_size"]
        return cls(**{**own, "image_size": (height, width)})

    @property
    def widths(self) -> list[int]:
        """The outputs of each layer of an MLP or a CNN, and of each stage of a residual network."""
        if self.kind == "mlp":
            return [max(self.hidden_size >> i, 16) for i in range(self.num_layers)]
        most = WIDEST * self.hidden_size
        count = 3 if self.kind == "resnet" else self.num_layers
        return [min(self.hidden_size << i, most) for i in range(count)]

    @property
    def halvings(self) -> int:
        """How often a residual network halves a picture before its first block."""
        side, count = min(self.image_size), 0
        while side > STEM_FROM:
            side, count = side // 2, count + 1
        return count


def depth(image_size: tuple[int, int]) -> int:
    """Convolutions of a CNN, each with a pooling that halves the picture.

    >>> depth((28, 28)), depth((64, 96))
    (3, 4)
    """
    count, side = 1, min(image_size) // 2
    while side // 2 >= SMALLEST - 1 and count < 6:
        side, count = side // 2, count + 1
    return count


class ImageNetwork(nn.Module):
    """(rows, channels, height, width) of normalised pixels -> (rows, outputs).

    >>> config = ImageNetworkConfig(kind="cnn", image_size=(28, 28), num_channels=1, num_outputs=10,
    ...                             hidden_size=32, num_layers=3)
    >>> ImageNetwork(config)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(self, config: ImageNetworkConfig) -> None:
        super().__init__()
        self.config = config
        kind, (height, width) = config.kind, config.image_size
        inner, widths = config.num_channels, config.widths
        self.body = nn.Sequential()
        if kind == "mlp":
            sizes = [inner * height * width, *widths]
            for one, other in zip(sizes, widths, strict=False):
                self.body.append(_Dense(one, other))
            inner = widths[-1]
        elif kind == "cnn":
            for outer in widths:
                pools = min(height, width) >= 2
                self.body.append(_Level(inner, outer, pools=pools))
                inner = outer
                height, width = (height // 2, width // 2) if pools else (height, width)
            self.body.append(_Dense(inner * height * width, widths[-1]))
            inner = widths[-1]
        elif kind == "resnet":
            for _ in range(config.halvings or 1):
                self.body.append(_Convolved(inner, widths[0], 2 if config.halvings else 1))
                inner = widths[0]
            for i, outer in enumerate(widths):
                for block in range(config.num_layers):
                    self.body.append(_Block(inner, outer, 2 if i and not block else 1))
                    inner = outer
        else:
            inner *= height * width
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(inner, config.num_outputs)
        # From what is learnt to what is told: the unit of a number, how sure a label is.
        self.register_buffer("scale", torch.ones(config.num_outputs))
        self.register_buffer("shift", torch.zeros(config.num_outputs))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(rows, channels, height, width) -> (rows, outputs)"""
        x = pixel_values
        if self.config.kind in ("perceptron", "mlp"):
            x = x.flatten(1)
        x = self.body(x)
        if x.ndim > 2:
            x = x.mean((2, 3))
        return self.output(self.dropout(x)) * self.scale + self.shift


class _Dense(nn.Module):
    """A fully connected layer; of feature maps, over all of them."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, outer)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.dense(x.flatten(1)))


class _Convolved(nn.Module):
    """A convolution, normalised."""

    def __init__(self, inner: int, outer: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = _conv(inner, outer, 3, stride)
        self.norm = nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(x)))


class _Level(_Convolved):
    """A convolution, normalised, and what is largest of each four of its numbers."""

    def __init__(self, inner: int, outer: int, *, pools: bool) -> None:
        super().__init__(inner, outer)
        self.pool = nn.MaxPool2d(2) if pools else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(super().forward(x))


class _Block(nn.Module):
    """Two convolutions, and what was given added to what they found."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _conv(inner, outer, 3, stride), nn.BatchNorm2d(outer)
        self.conv2, self.norm2 = _conv(outer, outer, 3, 1), nn.BatchNorm2d(outer)
        # Each block begins as what it was given (Goyal et al. 2017).
        nn.init.zeros_(self.norm2.weight)
        self.is_same = stride == 1 and inner == outer
        if not self.is_same:
            self.conv3, self.norm3 = _conv(inner, outer, 1, stride), nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        found = functional.relu(self.norm1(self.conv1(x)))
        found = self.norm2(self.conv2(found))
        return functional.relu(found + (x if self.is_same else self.norm3(self.conv3(x))))


def _conv(inner: int, outer: int, kernel: int, stride: int) -> nn.Conv2d:
    made = nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made
