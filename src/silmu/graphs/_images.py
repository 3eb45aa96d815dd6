"""What graphs of pictures have in common: what goes in, convolutions, and what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InvalidModelError

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value


def pixels(graph: Graph, config: Config) -> tuple[Value, int]:
    """Declares the pictures, of any height and width, and gives their number of channels too."""
    channels = config.size("num_channels", default=3, most=1024)
    shape: list[int | str] = ["rows", channels, "height", "width"]
    return graph.input("pixel_values", "float32", shape), channels


def patches(
    graph: Graph,
    x: Value,
    name: str,
    *,
    channels: int,
    patch: tuple[int, int],
    outer: int,
    grid: tuple[int, int] | tuple[Value, Value],
    bias: bool = True,
) -> Value:
    """A product of each patch: (rows, channels, height, width) -> (rows * patches, outer).

    It is a convolution whose windows do not overlap, and so a product of matrices. What is left
    over below and on the right is not looked at.

    Args:
        name: of the convolution.
        patch: the height and width of one.
        grid: how many there are down and across, or what gives these numbers, of shape (1,).
    """
    g, (height, width) = graph, patch
    kernel = g.array(f"{name}.weight", shape=(outer, channels, height, width))
    matrix = g.table(f"{name}.weight:flat", kernel.reshape(outer, -1))

    def vector(*parts: int | Value) -> Value:
        if all(isinstance(part, int) for part in parts):
            return g.constant(parts)
        made = [g.constant([part]) if isinstance(part, int) else part for part in parts]
        return g.node("Concat", *made, axis=0)

    def times(number: int | Value, factor: int) -> int | Value:
        if isinstance(number, int):
            return number * factor
        return g.node("Mul", number, g.constant([factor]))

    down, across = grid
    ends = vector(times(down, height), times(across, width))
    x = g.node("Slice", x, g.constant([0, 0]), ends, g.constant([2, 3]))
    x = g.node("Reshape", x, vector(-1, channels, down, height, across, width))
    x = g.node("Transpose", x, perm=[0, 2, 4, 1, 3, 5])
    x = g.node("Reshape", x, g.constant([-1, channels * height * width]))
    added = [g.bias(name, size=outer)] if bias else []
    return g.node("Gemm", x, matrix, *added, transB=1)


def conv(
    graph: Graph,
    x: Value,
    name: str,
    *,
    inner: int,
    outer: int,
    kernel: int = 1,
    stride: int = 1,
    padding: int | None = 0,
    dilation: int = 1,
    groups: int = 1,
    norm: str | None = None,
    epsilon: float = 1e-5,
    bias: bool | None = None,
) -> Value:
    """A convolution: (rows, inner, height, width) -> (rows, outer, ...).

    Args:
        padding: zeros on each side; None: as many as TensorFlow's SAME has, the odd one at the end.
        norm: the name of the batch normalisation that follows. With what it learnt fixed it is a
            factor and a summand for each channel, and they become part of the weights.
        epsilon: what that normalisation adds to the variance.
        bias: whether the convolution has one; without a word, if no normalisation follows.
    """
    shape = (outer, inner // groups, kernel, kernel)
    has_bias = norm is None if bias is None else bias
    if norm is None:
        inputs = [graph.weight(f"{name}.weight", shape=shape)]
        inputs += [graph.bias(name, size=outer)] if has_bias else []
    else:
        weight = graph.array(f"{name}.weight", shape=shape).astype(np.float64)
        mean, variance, scale, shift = (
            graph.array(f"{norm}.{word}", shape=(outer,)).astype(np.float64)
            for word in ("running_mean", "running_var", "weight", "bias")
        )
        if has_bias:
            mean = mean - graph.array(f"{name}.bias", shape=(outer,))
        with np.errstate(all="ignore"):  # what is no number any more is refused with its name
            factor = scale / np.sqrt(variance + epsilon)
            weight *= factor[:, None, None, None]
            shift = shift - mean * factor
            inputs = [
                graph.table(f"{name}.weight*{norm}", weight.astype(np.float32)),
                graph.table(f"{name}.bias*{norm}", shift.astype(np.float32)),
            ]
    attributes: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
    if padding is None:
        attributes["auto_pad"] = "SAME_UPPER"
    else:
        attributes["pads"] = [padding] * 4
    return graph.node("Conv", x, *inputs, dilations=[dilation] * 2, group=groups, **attributes)


def stages(
    config: Config, sizes: tuple[int, ...], depths: tuple[int, ...]
) -> list[tuple[int, int]]:
    """The channels and the number of layers of each stage; the defaults are for what is left out.

    Raises:
        InvalidModelError: the lists of config.json are no sizes, or not of one length.
    """
    widths = config.sizes("hidden_sizes", sizes)
    lengths = config.sizes("depths", depths, most=1024)
    if len(widths) != len(lengths):
        raise InvalidModelError(
            f"config.json of `{config.name}` has {len(widths)} hidden_sizes and "
            f"{len(lengths)} depths; each stage needs one of both"
        )
    return list(zip(widths, lengths, strict=True))


def maps(channels: int, reduced: int) -> list[int | str]:
    """The shape of feature maps that are so many times lower and narrower than the pictures."""
    return ["rows", channels, f"height / {reduced}", f"width / {reduced}"]


def pool(graph: Graph, x: Value) -> Value:
    """The mean of each feature map: (rows, channels, height, width) -> (rows, channels)."""
    return graph.node("Flatten", graph.node("GlobalAveragePool", x))


def classify(graph: Graph, config: Config, pooled: Value, name: str, size: int) -> None:
    """A logit for each label: (rows, size) -> the output `logits`."""
    labels = config.num_labels
    logits = graph.dense(pooled, name, inner=size, outer=labels)
    graph.output("logits", logits, ["rows", labels])
