"""Series read in patches: PatchTST, Nie et al. 2023, https://arxiv.org/abs/2211.14730."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.graphs import _distributions
from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value

MODEL_TYPES = ("patchtst",)
HEADS = {"time-series-forecasting": ("head.projection.proj.0.weight", "head.projection.weight")}
PREFIX = "model."
DTYPES = ("fp32",)

_ENCODER = "model.encoder"
_NORMS = ("batchnorm", "layernorm")
_MOST = 1 << 22
"""Numbers that the patches of a window have together."""


def build(graph: Graph, config: Config, head: str, prefix: str) -> None:
    """Adds the whole network: `past_values` (rows, context_length) to `parameters`.

    What was not observed is 0, and so is `past_observed_mask` there. The parameters, (rows,
    prediction_length, 3), are the degrees of freedom, place and width of Student's t for each step,
    in the unit of `past_values`.
    """
    del head, prefix
    g = graph
    _distributions.refuse_others(config, loss="mse")
    _refuse_channels(config)
    hidden, context = config.size("d_model", default=128), config.size("context_length", default=32)
    values = g.input("past_values", "float32", ["rows", context])
    mask = g.input("past_observed_mask", "float32", ["rows", context])
    middle, scale = _distributions.scaler(g, config, values, mask, "std")
    x, tokens = _embed(
        g, config, g.node("Div", g.node("Sub", values, middle), scale), hidden, context
    )
    for i in range(config.size("num_hidden_layers", default=3)):
        x = _Layer(g, config, f"{_ENCODER}.layers.{i}", hidden, tokens).build(x)
    x, inner = _pooled(g, config, x, hidden, tokens)
    steps = config.size("prediction_length", default=24)
    df, loc, width = _distributions.student_t(
        g, x, "head.projection.proj", inner=inner, outer=steps
    )
    loc = g.node("Add", g.node("Mul", loc, scale), middle)
    parts = [df, loc, g.node("Mul", width, scale)]
    parts = [g.node("Unsqueeze", part, g.constant([2])) for part in parts]
    g.output("parameters", g.node("Concat", *parts, axis=2), ["rows", steps, 3])


def _refuse_channels(config: Config) -> None:
    """What a network of one series has no use for, and no graph is written for."""
    shared = config.flag("share_embedding", True) and config.flag("share_projection", True)
    if not shared or config.flag("channel_attention", False):
        raise UnsupportedModelError(
            f"config.json of `{config.name}` lets series differ or see each other, for which "
            "silmu has no graph"
        )


def _embed(g: Graph, config: Config, x: Value, hidden: int, context: int) -> tuple[Value, int]:
    """(rows, context) -> (rows * tokens, hidden), and the number of tokens."""
    length, stride = (config.size(f"patch_{key}", default=1) for key in ("length", "stride"))
    if context <= length:
        raise InvalidModelError(
            f"config.json of `{config.name}` has patch_length = {length}, "
            f"which must be below context_length = {context}"
        )
    number = (context - length) // stride + 1
    if number * length > _MOST:
        raise InvalidModelError(
            f"config.json of `{config.name}` cuts {context:,} steps into {number:,} patches of "
            f"{length:,}, which are more than {_MOST:,} numbers"
        )
    first = context - length - stride * (number - 1)
    places = first + stride * np.arange(number)[:, None] + np.arange(length)
    patches = g.node("Gather", x, g.table("silmu.patches", places.astype(np.int64)), axis=1)
    name = f"{_ENCODER}.embedder.input_embedding"
    x = g.dense(patches, name, inner=length, outer=hidden)
    starts = config.flag("use_cls_token", False)
    tokens = number + int(starts)
    name = f"{_ENCODER}.positional_encoder"
    table = g.array(f"{name}.position_enc", shape=(tokens, hidden))
    x = g.node("Add", x, g.table("silmu.places", table[int(starts) :]))
    if starts:
        own = g.array(f"{name}.cls_token", shape=(1, 1, 1, hidden))[0] + table[:1]
        rows = g.node("Concat", g.node("Shape", x, end=1), g.constant([1, hidden]), axis=0)
        x = g.node("Concat", g.node("Expand", g.table("silmu.first", own), rows), x, axis=1)
    return g.node("Reshape", x, g.constant([-1, hidden])), tokens


class _Layer:
    """One layer of the encoder: (rows * tokens, hidden) -> the same."""

    def __init__(self, graph: Graph, config: Config, name: str, hidden: int, tokens: int) -> None:
        self.graph, self.config, self.name = graph, config, name
        self.hidden, self.tokens = hidden, tokens

    def build(self, x: Value) -> Value:
        before = self.config.flag("pre_norm", True)
        for norm, block in (("norm_sublayer1", self._attend), ("norm_sublayer3", self._feed)):
            name = f"{self.name}.{norm}"
            added = block(self._norm(x, name) if before else x)
            x = self.graph.node("Add", x, added)
            x = x if before else self._norm(x, name)
        return x

    def _norm(self, x: Value, name: str) -> Value:
        g, size = self.graph, self.hidden
        epsilon = self.config.number("norm_eps", 1e-5)
        if self.config.choice("norm_type", "batchnorm", _NORMS) == "layernorm":
            return g.norm(x, name, size=size, epsilon=epsilon)
        name = f"{name}.batchnorm"
        weight, bias, mean, variance = (
            g.array(f"{name}.{part}", shape=(size,))
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = weight / np.sqrt(variance + np.float32(epsilon))
        x = g.node("Mul", x, g.table(f"{name}.factor", factor))
        return g.node("Add", x, g.table(f"{name}.shift", bias - mean * factor))

    def _attend(self, x: Value) -> Value:
        g, size, name = self.graph, self.hidden, f"{self.name}.self_attn"
        parts = [f"{name}.{part}_proj" for part in "qkv"]
        together = g.affine(x, *parts, inner=size, outer=3 * size)
        rows = g.node("Reshape", together, g.constant([-1, self.tokens, 3 * size]))
        heads = self.config.heads(size, "num_attention_heads", default=4)
        mixed = g.node("MultiHeadAttention", *g.split(rows, 3), domain=MICROSOFT, num_heads=heads)
        mixed = g.node("Reshape", mixed, g.constant([-1, size]))
        return g.affine(mixed, f"{name}.out_proj", inner=size, outer=size)

    def _feed(self, x: Value) -> Value:
        g, size, bias = self.graph, self.hidden, self.config.flag("bias", True)
        wide = self.config.size("ffn_dim", default=512)
        x = g.affine(x, f"{self.name}.ff.0", inner=size, outer=wide, bias=bias)
        x = g.activate(self.config.activation("activation_function", "gelu"), x)
        return g.affine(x, f"{self.name}.ff.3", inner=wide, outer=size, bias=bias)


def _pooled(g: Graph, config: Config, x: Value, hidden: int, tokens: int) -> tuple[Value, int]:
    """What the head reads: (rows * tokens, hidden) -> (rows, inner), and the size of that."""
    rows = g.node("Reshape", x, g.constant([-1, tokens, hidden]))
    if config.flag("use_cls_token", False):
        return g.first_token(rows), hidden
    if "pooling_type" in config.values and config.values["pooling_type"] is None:
        return g.node("Reshape", x, g.constant([-1, tokens * hidden])), tokens * hidden
    kind = config.choice("pooling_type", "mean", ("mean", "max"))
    operator = {"mean": "ReduceMean", "max": "ReduceMax"}[kind]
    return g.node(operator, rows, g.constant([1]), keepdims=0), hidden
