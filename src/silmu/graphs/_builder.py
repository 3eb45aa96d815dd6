"""The layers that architectures are made of, each as the engine computes it fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from silmu.graphs import _activations, _precision, _quantized
from silmu.graphs._activations import RARE
from silmu.graphs._onnx import MICROSOFT, OnnxGraph

if TYPE_CHECKING:
    from silmu.graphs._onnx import Value


@final
class Graph(OnnxGraph):
    """An ONNX graph under construction; each method adds a layer and gives the value it makes."""

    def linear(
        self, x: Value, *names: str, inner: int, outer: int, stored: str = "out_in"
    ) -> Value:
        """x W, without bias, of weights stored as torch's Linear (out_in) or Conv1D (in_out)."""
        weights = tuple(f"{name}.weight" for name in names)
        if self._is_reduced(outer):
            return _quantized.product(
                self,
                x,
                weights,
                inner=inner,
                outer=outer,
                transposed=stored == "out_in",
                flat=False,
            )
        matrix = self.weight(*weights, shape=(inner, outer), transposed=stored == "out_in")
        return self.node("MatMul", x, matrix)

    def columns(self, x: Value, name: str, *, inner: int, outer: int) -> Value:
        """W x^T + b: (n, inner) -> (outer, n), a column a token.

        With the weights first the engine reads them as they lie in the checkpoint. For few tokens
        that is faster than x W with W packed (a quarter at 16), for many it is the same.
        """
        if self.by_rows or self._is_reduced(outer):
            product = self.project(x, name, inner=inner, outer=outer)
            biased = self.node("Add", product, self.bias(name, size=outer))
            return self.node("Transpose", biased, perm=[1, 0])
        matrix = self.weight(f"{name}.weight", shape=(outer, inner))
        bias = self.node("Unsqueeze", self.bias(name, size=outer), self.constant([1]))
        return self.node("Gemm", matrix, x, bias, transB=1)

    def project(
        self, x: Value, *names: str, inner: int, outer: int, lowest: float | None = None
    ) -> Value:
        """x W, without bias: (n, inner) -> (n, outer), computed as `columns` does.

        `lowest` is what x never falls below, if that is near zero.
        """
        weights = tuple(f"{name}.weight" for name in names)
        if self._is_reduced(outer):
            return _quantized.product(
                self,
                x,
                weights,
                inner=inner,
                outer=outer,
                transposed=True,
                flat=True,
                lowest=lowest,
            )
        matrix = self.weight(*weights, shape=(outer, inner), axis=0)
        if self.by_rows:
            return self.node("Gemm", x, matrix, transB=1)
        product = self.node("FusedMatMul", matrix, x, domain=MICROSOFT, transB=1)
        return self.node("Transpose", product, perm=[1, 0])

    def affine(
        self,
        x: Value,
        *names: str,
        inner: int,
        outer: int,
        bias: bool = True,
        lowest: float | None = None,
    ) -> Value:
        """x W + b: (n, inner) -> (n, outer), for n that is never small.

        The engine packs W for it. What it makes of a row then depends on that row alone, to the
        last bit. `lowest` is what x never falls below, if that is near zero.
        """
        added = [self.bias(*names, size=outer)] if bias else []
        if self._is_reduced(outer):
            product = self.project(x, *names, inner=inner, outer=outer, lowest=lowest)
            return self.node("Add", product, *added) if added else product
        weights = (f"{name}.weight" for name in names)
        matrix = self.weight(*weights, shape=(outer, inner), axis=0)
        return self.node("Gemm", x, matrix, *added, transB=1)

    def feed_forward(
        self, x: Value, wide: str, narrow: str, activation: str, *, inner: int, outer: int
    ) -> Value:
        """activation(x W + b) V, without the second bias: (n, inner) -> (n, outer) -> (n, inner).

        `wide` and `narrow` are the names of the two layers.
        """
        if self.by_rows or self._is_reduced(inner):
            widened = self.project(x, wide, inner=inner, outer=outer)
            widened = self.activate(activation, widened, self.bias(wide, size=outer))
            lowest = _precision.LOWEST.get(activation)
            return self.project(widened, narrow, inner=outer, outer=inner, lowest=lowest)
        widened = self.activate(activation, self.columns(x, wide, inner=inner, outer=outer))
        matrix = self.weight(f"{narrow}.weight", shape=(inner, outer))
        return self.node("Transpose", self.node("MatMul", matrix, widened), perm=[1, 0])

    def embed(self, ids: Value, table: str, *, rows: int, size: int) -> Value:
        """The row of each id in a table, given by the whole name of its tensor."""
        if self.precision.form != "full":
            return _quantized.embed(self, ids, table, rows=rows, size=size)
        return self.node("Gather", self.weight(table, shape=(rows, size)), ids)

    def scores(
        self,
        x: Value,
        table: str,
        *,
        inner: int,
        outer: int,
        bias: Value | None = None,
        output: str | None = None,
    ) -> Value:
        """x T^T + b: (n, inner) -> (n, outer), the product with each row of a table.

        The table, given by the whole name of its tensor, may be the one that `embed` reads: it is
        stored once. `output` names what comes out, so that it may be declared as an output.
        """
        if self._is_reduced(outer):
            return _quantized.scores(
                self, x, table, inner=inner, outer=outer, bias=bias, output=output
            )
        added = [] if bias is None else [bias]
        inputs = (x, self.weight(table, shape=(outer, inner)), *added)
        return self.nodes("Gemm", *inputs, outputs=[output] if output else 1, transB=1)[0]

    def bias(self, *names: str, size: int) -> Value:
        """Biases, joined."""
        return self.weight(*[f"{name}.bias" for name in names], shape=(size,))

    def norm(self, x: Value, name: str, *, size: int, epsilon: float) -> Value:
        """Layer normalisation over the last axis."""
        scale, shift = self._scale_and_shift(name, size)
        return self.node("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon)

    def add_norm(
        self, x: Value, skip: Value, name: str, *, bias: Value, size: int, epsilon: float
    ) -> Value:
        """Layer normalisation of x + bias + skip.

        The engine has one operator for it all, whose loops are several times slower than these.
        """
        return self.add_norm_sum(x, skip, name, bias=bias, size=size, epsilon=epsilon)[0]

    def add_norm_sum(
        self, x: Value, skip: Value, name: str, *, bias: Value, size: int, epsilon: float
    ) -> tuple[Value, Value]:
        """The same, and the sum itself, which the next block adds to."""
        total = self.node("Add", self.node("Add", x, bias), skip)
        return self.norm(total, name, size=size, epsilon=epsilon), total

    def rms_norm(
        self, x: Value, name: str, *, size: int, epsilon: float, from_one: bool = False
    ) -> Value:
        """Division by the root mean square of the last axis, and a scale.

        `from_one` says that the checkpoint holds how far each scale is from one.
        """
        scale = self._rms_scale(name, size, from_one)
        return self.node("SimplifiedLayerNormalization", x, scale, axis=-1, epsilon=epsilon)

    def add_rms_norm(
        self,
        x: Value,
        skip: Value,
        name: str,
        *,
        size: int,
        epsilon: float,
        bias: Value | None = None,
        from_one: bool = False,
    ) -> tuple[Value, Value]:
        """The same of x + skip + bias, and the sum itself, which the next block adds to."""
        total = self.node("Add", x if bias is None else self.node("Add", x, bias), skip)
        return self.rms_norm(total, name, size=size, epsilon=epsilon, from_one=from_one), total

    def activate(self, kind: str, x: Value, bias: Value | None = None) -> Value:
        """An activation of x, or of x + bias: one node where the engine has it fused."""
        added = [] if bias is None else [bias]
        if kind in ("gelu", "gelu_python"):
            return self.node("BiasGelu" if added else "Gelu", x, *added, domain=MICROSOFT)
        if kind.startswith("gelu_") and kind not in RARE:  # names of one approximation
            return self.node("FastGelu", x, *added, domain=MICROSOFT)
        if bias is not None:
            x = self.node("Add", x, bias)
        if kind in RARE:
            return _activations.activate(self, kind, x)
        if kind == "quick_gelu":
            return self.node("QuickGelu", x, domain=MICROSOFT, alpha=1.702)
        if kind in ("silu", "swish"):
            return self.node("Mul", x, self.node("Sigmoid", x))
        if kind == "relu6":
            edges = (self.constant(edge, "float32") for edge in (0, 6))
            return self.node("Clip", x, *edges)
        return self.node({"relu": "Relu", "tanh": "Tanh"}[kind], x)

    def dense(self, x: Value, name: str, *, inner: int, outer: int) -> Value:
        """x W + b."""
        product = self.linear(x, name, inner=inner, outer=outer)
        return self.node("Add", product, self.bias(name, size=outer))

    def split(self, x: Value, parts: int) -> list[Value]:
        """Equal parts of the last axis."""
        return self.nodes("Split", x, outputs=parts, axis=-1, num_outputs=parts)

    def first_token(self, x: Value) -> Value:
        """(rows, tokens, size) -> (rows, size)."""
        return self.node("Gather", x, self.constant(0), axis=1)

    def _is_reduced(self, outer: int) -> bool:
        """Whether a product with so many columns is computed in less than float32."""
        # In blocks, a head of a few labels would gain nothing and lose what it decides by.
        few = self.precision.form == "blocks" and outer < _precision.BLOCK
        return self.precision.form != "full" and not few

    def _rms_scale(self, name: str, size: int, from_one: bool) -> Value:
        if not from_one:
            return self.weight(f"{name}.weight", shape=(size,))
        names = (f"{name}.weight",)
        return self._tensor(f"{names[0]}+1", lambda: 1 + self._checkpoint.joined(names), (size,))

    def _scale_and_shift(self, name: str, size: int) -> tuple[Value, Value]:
        # Checkpoints converted from TensorFlow, bert-base-uncased among them, say gamma and beta.
        words = ("gamma", "beta") if f"{name}.gamma" in self.weights else ("weight", "bias")
        scale, shift = (self.weight(f"{name}.{word}", shape=(size,)) for word in words)
        return scale, shift
