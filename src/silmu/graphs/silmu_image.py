"""Networks for pictures that silmu trained from nothing: see `silmu.networks.images`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.errors import InvalidModelError
from silmu.graphs import _images

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("silmu-image",)
HEADS = {
    "image-classification": "scale",
    "image-feature-extraction": ("0.conv.weight", "0.dense.weight"),
}
PREFIX = "body."
DTYPES = ("fp32",)

_KINDS = ("perceptron", "mlp", "cnn", "resnet")
_WIDEST, _STEM_FROM = 4, 48


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network: `pixel_values` (rows, channels, height, width) in.

    As an encoder it gives what the last layer is given, (rows, size), and the feature maps before,
    where it has any.
    """
    kind = config.choice("kind", "", _KINDS)
    sides = config.sizes("image_size", (), most=1 << 16)
    if len(sides) != 2:
        raise InvalidModelError(
            f"config.json of `{config.name}` has image_size = {list(sides)}; it must be a height "
            "and a width"
        )
    channels = config.size("num_channels", most=1024)
    size, outputs = config.size("hidden_size"), config.size("num_outputs")
    layers = config.size("num_layers", most=256)
    x = graph.input("pixel_values", "float32", ["rows", channels, *sides])
    network = _Network(graph, x, channels, sides, prefix)
    maps: tuple[Value, list[int | str]] | None = None
    if kind == "mlp":
        for width in (max(size >> i, 16) for i in range(layers)):
            network.dense(width)
    elif kind == "cnn":
        widths = [min(size << i, _WIDEST * size) for i in range(layers)]
        for width in widths:
            network.convolved(width, pooled=min(network.sides) >= 2)
        maps = network.maps()
        network.dense(widths[-1])
    elif kind == "resnet":
        halvings = _halvings(min(sides))
        for _ in range(halvings or 1):
            network.convolved(size, stride=2 if halvings else 1)
        for i in range(3):
            for block in range(layers):
                width = min(size << i, _WIDEST * size)
                network.block(width, stride=2 if i and not block else 1)
        maps = network.maps()
        network.pool()
    pixels, inner = network.flat()
    if head == "image-feature-extraction":
        if maps is not None:
            graph.output("last_hidden_state", *maps)
        graph.output("pooler_output", pixels, ["rows", inner])
        return
    x = graph.dense(pixels, "output", inner=inner, outer=outputs)
    x = graph.node("Mul", x, graph.weight("scale", shape=(outputs,)))
    x = graph.node("Add", x, graph.weight("shift", shape=(outputs,)))
    graph.output("logits", x, ["rows", outputs])


class _Network:
    """Layers one after another, and the shape of what lies between."""

    def __init__(
        self, graph: Graph, x: Value, channels: int, sides: tuple[int, ...], prefix: str
    ) -> None:
        self.graph, self.x, self.channels, self.prefix = graph, x, channels, prefix
        self.sides: tuple[int, int] = (sides[0], sides[1])
        self.is_flat, self.count = False, 0

    def maps(self) -> tuple[Value, list[int | str]]:
        """The feature maps as they are now, and their shape."""
        return self.x, ["rows", self.channels, *self.sides]

    def flat(self) -> tuple[Value, int]:
        """(rows, numbers), and how many numbers."""
        if self.is_flat:
            return self.x, self.channels
        height, width = self.sides
        return self.graph.node("Flatten", self.x), self.channels * height * width

    def dense(self, outer: int) -> None:
        x, inner = self.flat()
        name = f"{self.prefix}{self.count}.dense"
        self.x = self.graph.node("Relu", self.graph.dense(x, name, inner=inner, outer=outer))
        self.is_flat = True
        self._made("dense", outer)

    def convolved(self, outer: int, *, stride: int = 1, pooled: bool = False) -> None:
        name = f"{self.prefix}{self.count}"
        found = self._conv(self.x, f"{name}.conv", f"{name}.norm", outer, 3, stride)
        self.x = self.graph.node("Relu", found)
        self._shrink(stride)
        if pooled:
            self.x = self.graph.node("MaxPool", self.x, kernel_shape=[2, 2], strides=[2, 2])
            height, width = self.sides
            self.sides = height // 2, width // 2
        self._made("conv", outer)

    def block(self, outer: int, *, stride: int) -> None:
        g, name = self.graph, f"{self.prefix}{self.count}"
        found = self._conv(self.x, f"{name}.conv1", f"{name}.norm1", outer, 3, stride)
        found = g.node("Relu", found)
        inner, self.channels = self.channels, outer
        found = self._conv(found, f"{name}.conv2", f"{name}.norm2", outer, 3, 1)
        self.channels = inner
        if stride > 1 or inner != outer:
            self.x = self._conv(self.x, f"{name}.conv3", f"{name}.norm3", outer, 1, stride)
        self.x = g.node("Relu", g.node("Add", found, self.x))
        self._shrink(stride)
        self._made("block", outer)

    def pool(self) -> None:
        self.x, self.is_flat = _images.pool(self.graph, self.x), True

    def _conv(self, x: Value, name: str, norm: str, outer: int, kernel: int, stride: int) -> Value:
        return _images.conv(
            *(self.graph, x, name),
            inner=self.channels,
            outer=outer,
            kernel=kernel,
            stride=stride,
            padding=kernel // 2,
            norm=norm,
        )

    def _shrink(self, stride: int) -> None:
        height, width = self.sides
        self.sides = -(-height // stride), -(-width // stride)

    def _made(self, word: str, outer: int) -> None:
        self.channels = outer
        shape = [] if self.is_flat else [*self.sides]
        self.graph.show(f"layers.{self.count}.{word}", self.x, ["rows", outer, *shape])
        self.count += 1


def _halvings(side: int) -> int:
    count = 0
    while side > _STEM_FROM:
        side, count = side // 2, count + 1
    return count
