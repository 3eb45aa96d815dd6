"""ConvNeXt: Liu et al. 2022, https://arxiv.org/abs/2201.03545, and its second version.

Woo et al. 2023, https://arxiv.org/abs/2301.00808, let the channels of a layer compete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import InvalidModelError
from silmu.graphs import _images
from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("convnext", "convnextv2")
HEADS = {
    "image-classification": "classifier.weight",
    "image-feature-extraction": "embeddings.patch_embeddings.weight",
}
PREFIX = "{model_type}."
DTYPES = ("fp32",)

_EPSILON = 1e-6


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network: `pixel_values` (rows, channels, height, width) in."""
    stages = _images.stages(config, (96, 192, 384, 768), (3, 3, 9, 3))
    if (told := config.size("num_stages", default=4)) != len(stages):
        raise InvalidModelError(
            f"config.json of `{config.name}` has num_stages = {told}, "
            f"and hidden_sizes of {len(stages)}"
        )
    activation = config.activation("hidden_act", "gelu")
    x, size = _images.pixels(graph, config)
    reduced = config.size("patch_size", default=4, most=1024)
    for i, (width, depth) in enumerate(stages):
        name = f"{prefix}encoder.stages.{i}"
        if i == 0:
            patches = f"{prefix}embeddings.patch_embeddings"
            x = _images.conv(
                graph, x, patches, inner=size, outer=width, kernel=reduced, stride=reduced
            )
            x = _norm(graph, x, f"{prefix}embeddings.layernorm", width)
            graph.show("layers.0.stem", x, _images.maps(width, reduced))
        else:
            x = _norm(graph, x, f"{name}.downsampling_layer.0", size)
            halves = f"{name}.downsampling_layer.1"
            x = _images.conv(graph, x, halves, inner=size, outer=width, kernel=2, stride=2)
            reduced *= 2
        size = width
        for j in range(depth):
            x = _layer(graph, config, x, f"{name}.layers.{j}", size, activation)
        graph.show(f"layers.{i + 1}.stage", x, _images.maps(size, reduced))
    pooled = graph.norm(
        _images.pool(graph, x),
        f"{prefix}layernorm",
        size=size,
        epsilon=config.number("layer_norm_eps", 1e-12),
    )
    if head == "image-classification":
        _images.classify(graph, config, pooled, "classifier", size)
    else:
        graph.output("last_hidden_state", x, _images.maps(size, reduced))
        graph.output("pooler_output", pooled, ["rows", size])


def _norm(graph: Graph, x: Value, name: str, size: int) -> Value:
    """Layer normalisation over the channels of each place."""
    x = graph.node("Transpose", x, perm=[0, 2, 3, 1])
    x = graph.norm(x, name, size=size, epsilon=_EPSILON)
    return graph.node("Transpose", x, perm=[0, 3, 1, 2])


def _layer(graph: Graph, config: Config, x: Value, name: str, size: int, activation: str) -> Value:
    """A convolution of each channel mixes places, two products at each place mix channels.

    The products have their weights first, and are computed for each picture by itself: what comes
    out has its channels first, as the convolution wants them, and hangs on no other picture.
    """
    g, wide = graph, 4 * size
    y = _images.conv(
        g, x, f"{name}.dwconv", inner=size, outer=size, kernel=7, padding=3, groups=size
    )
    y = g.node("Reshape", g.node("Transpose", y, perm=[0, 2, 3, 1]), g.constant([0, -1, size]))
    y = g.norm(y, f"{name}.layernorm", size=size, epsilon=_EPSILON)
    widen = g.weight(f"{name}.pwconv1.weight", shape=(wide, size))
    y = g.node("FusedMatMul", widen, y, domain=MICROSOFT, transB=1)
    added = g.node("Unsqueeze", g.bias(f"{name}.pwconv1", size=wide), g.constant([1]))
    y = g.activate(activation, g.node("Add", y, added))
    matrix = g.array(f"{name}.pwconv2.weight", shape=(size, wide)).astype(np.float64)
    bias = g.array(f"{name}.pwconv2.bias", shape=(size,)).astype(np.float64)
    if config.values["model_type"] == "convnextv2":
        y = _respond(g, y, f"{name}.grn", wide)
        bias += matrix @ g.array(f"{name}.grn.bias", shape=(1, 1, 1, wide)).ravel()
    elif config.number("layer_scale_init_value", 1e-6) > 0:
        scale = g.array(f"{name}.layer_scale_parameter", shape=(size,))
        matrix *= scale[:, None]
        bias *= scale
    y = g.node("MatMul", g.table(f"{name}.pwconv2.weight*", matrix.astype(np.float32)), y)
    y = g.node("Add", y, g.table(f"{name}.pwconv2.bias*", bias.astype(np.float32)[:, None]))
    return g.node("Add", x, g.node("Reshape", y, g.node("Shape", x)))


def _respond(graph: Graph, x: Value, name: str, size: int) -> Value:
    """Global response normalisation, without its bias: (rows, size, places) -> the same.

    A channel is scaled by how strong it is in its picture beside the others.
    """
    g = graph
    strength = g.node("ReduceL2", x, g.constant([2]), keepdims=1)
    mean = g.node("ReduceMean", strength, g.constant([1]), keepdims=1)
    mean = g.node("Add", mean, g.constant(_EPSILON, "float32"))
    weight = g.weight(f"{name}.weight", shape=(1, 1, 1, size))
    weight = g.node("Reshape", weight, g.constant([size, 1]))
    factor = g.node("Mul", weight, g.node("Div", strength, mean))
    return g.node("Mul", x, g.node("Add", factor, g.constant(1, "float32")))
