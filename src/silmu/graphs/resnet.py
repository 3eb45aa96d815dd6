"""ResNet: He et al. 2015, https://arxiv.org/abs/1512.03385."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.graphs import _images

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("resnet",)
HEADS = {
    "image-classification": "classifier.1.weight",
    "image-feature-extraction": "embedder.embedder.convolution.weight",
}
PREFIX = "resnet."
DTYPES = ("fp32",)


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network: `pixel_values` (rows, channels, height, width) in."""
    activation = config.activation("hidden_act", "relu")
    x, channels = _images.pixels(graph, config)
    size = config.size("embedding_size", default=64)
    x = _conv(graph, x, f"{prefix}embedder.embedder", channels, size, kernel=7, stride=2)
    x = graph.activate(activation, x)
    x = graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    reduced = 4
    graph.show("layers.0.stem", x, _images.maps(size, reduced))
    first = 2 if config.flag("downsample_in_first_stage", False) else 1
    stages = _images.stages(config, (256, 512, 1024, 2048), (3, 4, 6, 3))
    for i, (width, depth) in enumerate(stages):
        strides = [2 if i else first, *[1] * (depth - 1)]
        for j, stride in enumerate(strides):
            name = f"{prefix}encoder.stages.{i}.layers.{j}"
            y = x
            for k, (inner, outer, kernel, step) in enumerate(_layer(config, size, width, stride)):
                # Within a layer it is always ReLU, whatever config.json names.
                y = graph.activate("relu", y) if k else y
                y = _conv(graph, y, f"{name}.layer.{k}", inner, outer, kernel=kernel, stride=step)
            if size != width or stride > 1:
                x = _conv(graph, x, f"{name}.shortcut", size, width, kernel=1, stride=stride)
            x = graph.activate(activation, graph.node("Add", y, x))
            size = width
        reduced *= strides[0]
        graph.show(f"layers.{i + 1}.stage", x, _images.maps(size, reduced))
    if head == "image-classification":
        _images.classify(graph, config, _images.pool(graph, x), "classifier.1", size)
    else:
        graph.output("last_hidden_state", x, _images.maps(size, reduced))
        graph.output("pooler_output", graph.node("GlobalAveragePool", x), ["rows", size, 1, 1])


def _layer(config: Config, inner: int, outer: int, stride: int) -> list[tuple[int, int, int, int]]:
    """The convolutions of a layer: channels in and out, the kernel's side and the stride."""
    if config.choice("layer_type", "bottleneck", ("bottleneck", "basic")) == "basic":
        return [(inner, outer, 3, stride), (outer, outer, 3, 1)]
    narrow, early = max(outer // 4, 1), config.flag("downsample_in_bottleneck", False)
    first, second = (stride, 1) if early else (1, stride)
    return [(inner, narrow, 1, first), (narrow, narrow, 3, second), (narrow, outer, 1, 1)]


def _conv(
    graph: Graph, x: Value, name: str, inner: int, outer: int, *, kernel: int, stride: int
) -> Value:
    """A convolution and its normalisation, named as the layers of this family name them."""
    return _images.conv(
        *(graph, x, f"{name}.convolution"),
        inner=inner,
        outer=outer,
        kernel=kernel,
        stride=stride,
        padding=kernel // 2,
        norm=f"{name}.normalization",
    )
