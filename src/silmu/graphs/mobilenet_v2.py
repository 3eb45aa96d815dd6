"""MobileNetV2: Sandler et al. 2018, https://arxiv.org/abs/1801.04381."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from silmu.errors import InvalidModelError
from silmu.graphs import _images

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("mobilenet_v2",)
HEADS = {
    "image-classification": "classifier.weight",
    "image-feature-extraction": "conv_stem.first_conv.convolution.weight",
}
PREFIX = "mobilenet_v2."
DTYPES = ("fp32",)

_CHANNELS = (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
_STRIDES = (2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)
_FIRST, _LAST = 32, 1280


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network: `pixel_values` (rows, channels, height, width) in."""
    g, net = graph, Network.of(graph, config)
    x, channels = _images.pixels(g, config)
    size, first = net.channels(_CHANNELS[0]), net.channels(_FIRST)
    stem = f"{prefix}conv_stem"
    x = net.conv(x, f"{stem}.first_conv", channels, first, kernel=3, stride=2)
    if not config.flag("first_layer_is_expansion", True):
        x = net.conv(x, f"{stem}.expand_1x1", first, first)
    x = net.conv(x, f"{stem}.conv_3x3", first, first, kernel=3, groups=first)
    x = net.conv(x, f"{stem}.reduce_1x1", first, size, activated=False)
    reduced, dilation = 2, 1
    g.show("layers.0.stem", x, _images.maps(size, reduced))
    most = config.size("output_stride", default=32)
    for i, (stride, width) in enumerate(zip(_STRIDES, _CHANNELS[1:], strict=True)):
        outer, name = net.channels(width), f"{prefix}layer.{i}"
        # What would make the maps smaller still spreads the kernels of the layers that follow.
        if reduced == most:
            x = net.block(x, name, size, outer, stride=1, dilation=dilation)
            dilation *= stride
        else:
            x = net.block(x, name, size, outer, stride=stride, dilation=1)
            reduced *= stride
        size = outer
        g.show(f"layers.{i + 1}.block", x, _images.maps(size, reduced))
    shrinks = net.multiplier >= 1 or not config.flag("finegrained_output", True)
    last = net.channels(_LAST) if shrinks else _LAST
    x = net.conv(x, f"{prefix}conv_1x1", size, last)
    g.show(f"layers.{len(_STRIDES) + 1}.conv", x, _images.maps(last, reduced))
    pooled = _images.pool(g, x)
    if head == "image-classification":
        _images.classify(g, config, pooled, "classifier", last)
    else:
        g.output("last_hidden_state", x, _images.maps(last, reduced))
        g.output("pooler_output", pooled, ["rows", last])


@dataclass(frozen=True, kw_only=True)
class Network:
    """What config.json says of all convolutions."""

    graph: Graph
    multiplier: float
    ratio: float
    divisor: int
    least: int
    activation: str
    epsilon: float
    as_tensorflow: bool

    @classmethod
    def of(cls, graph: Graph, config: Config) -> Network:
        """As config.json describes it."""
        return cls(
            graph=graph,
            multiplier=_ratio(config, "depth_multiplier", 1.0),
            ratio=_ratio(config, "expand_ratio", 6.0),
            divisor=config.size("depth_divisible_by", default=8),
            least=config.size("min_depth", default=8),
            activation=config.activation("hidden_act", "relu6"),
            epsilon=config.number("layer_norm_eps", 1e-3),
            as_tensorflow=config.flag("tf_padding", True),
        )

    def channels(self, number: int) -> int:
        """As many channels as a layer gets that has this number in the paper."""
        return self._whole(number * self.multiplier)

    def _whole(self, number: float) -> int:
        """The nearest multiple of the divisor, unless that takes more than a tenth away."""
        wanted = round(number)
        found = max(self.least, int(wanted + self.divisor / 2) // self.divisor * self.divisor)
        return found + self.divisor if found < 0.9 * wanted else found

    def block(
        self, x: Value, name: str, inner: int, outer: int, *, stride: int, dilation: int
    ) -> Value:
        """An inverted residual: wide within, narrow between blocks."""
        wide = self._whole(inner * self.ratio)
        y = self.conv(x, f"{name}.expand_1x1", inner, wide)
        y = self.conv(
            *(y, f"{name}.conv_3x3", wide, wide),
            kernel=3,
            stride=stride,
            dilation=dilation,
            groups=wide,
        )
        y = self.conv(y, f"{name}.reduce_1x1", wide, outer, activated=False)
        return self.graph.node("Add", x, y) if stride == 1 and inner == outer else y

    def conv(
        self,
        x: Value,
        name: str,
        inner: int,
        outer: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        activated: bool = True,
    ) -> Value:
        """A convolution, its normalisation and, unless it ends a block, the activation."""
        # With stride 1 TensorFlow pads both sides alike, as torch does.
        padding = None if self.as_tensorflow and stride > 1 else kernel // 2 * dilation
        x = _images.conv(
            *(self.graph, x, f"{name}.convolution"),
            inner=inner,
            outer=outer,
            kernel=kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            norm=f"{name}.normalization",
            epsilon=self.epsilon,
        )
        return self.graph.activate(self.activation, x) if activated else x


def _ratio(config: Config, key: str, default: float) -> float:
    found = config.number(key, default)
    if not 0 < found <= 1024:
        raise InvalidModelError(
            f"config.json of `{config.name}` has {key} = {found!r}; "
            "it must be a number above 0 and up to 1,024"
        )
    return found
