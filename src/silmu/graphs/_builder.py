"""Writes an ONNX graph node by node, with its weights streamed to a file beside it."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
from onnx import helper, numpy_helper

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.graphs import _precision, _quantized

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from numpy.typing import NDArray

    from silmu.runtime.weights import Weights

OPSET = 20
IR_VERSION = 10
MICROSOFT = "com.microsoft"
ACTIVATIONS = (
    "gelu",
    "gelu_new",
    "gelu_pytorch_tanh",
    "gelu_fast",
    "quick_gelu",
    "relu",
    "relu6",
    "silu",
    "swish",
    "tanh",
)
_LAYER = re.compile(r"\.(\d{1,9})(?=\.)")
_INLINE_BYTES = 1024
_ALIGNMENT = 4096  # a page, so that the engine can map each tensor
_TYPES: dict[str, int] = {
    "float32": onnx.TensorProto.FLOAT,
    "int64": onnx.TensorProto.INT64,
    "int32": onnx.TensorProto.INT32,
    "int8": onnx.TensorProto.INT8,
    "uint8": onnx.TensorProto.UINT8,
}

Value = str
"""The name of a tensor that flows between nodes."""


class Config:
    """config.json of a folder, asked for what an architecture needs.

    Raises InvalidModelError where a value is absent or out of range, and UnsupportedModelError
    where it is a variant that no graph is written for.
    """

    def __init__(self, values: dict[str, Any], name: str) -> None:
        self.values = values
        self.name = name

    def size(self, *keys: str, default: int | None = None, most: int = 1 << 24) -> int:
        """A number of something: a whole number from 1 on. Later keys are other spellings."""
        value = next(
            (self.values[key] for key in keys if self.values.get(key) is not None), default
        )
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise InvalidModelError(
                f"config.json of `{self.name}` has {keys[0]} = {value!r}; "
                f"it must be a whole number from 1 to {most:,}"
            )
        return value

    def sizes(self, key: str, default: tuple[int, ...], most: int = 1 << 24) -> tuple[int, ...]:
        """A number of something for each part of a network: whole numbers from 1 on."""
        found: Any = self.values.get(key)
        if found is None:
            return default
        sizes = cast("list[Any]", found if isinstance(found, list) else [])
        if not sizes or not all(type(size) is int and 1 <= size <= most for size in sizes):
            raise InvalidModelError(
                f"config.json of `{self.name}` has {key} = {found!r}; "
                f"it must be a list of whole numbers from 1 to {most:,}"
            )
        return tuple(sizes)

    @property
    def num_labels(self) -> int:
        """How many labels the head has; transformers' default is two."""
        labels = self.values.get("id2label")
        if isinstance(labels, dict):
            return len(cast("dict[str, Any]", labels))
        return self.size("num_labels", default=2)

    def number(self, key: str, default: float) -> float:
        """A number from 0 on."""
        value = self.values.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            raise InvalidModelError(
                f"config.json of `{self.name}` has {key} = {value!r}; it must be a number from 0 on"
            )
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false; null is false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool | None):
            raise InvalidModelError(
                f"config.json of `{self.name}` has {key} = {value!r}; it must be true or false"
            )
        return bool(value)

    def token(self, key: str) -> int | None:
        """The id of a token, or None."""
        value = self.values.get(key)
        if not isinstance(value, int | None) or isinstance(value, bool):
            raise InvalidModelError(
                f"config.json of `{self.name}` has {key} = {value!r}; it must be a whole number"
            )
        return value

    def choice(self, key: str, default: str, allowed: tuple[str, ...]) -> str:
        """One of the allowed words."""
        value = self.values.get(key) or default
        if value not in allowed:
            raise UnsupportedModelError(
                f"config.json of `{self.name}` has {key} = {value!r}; "
                f"silmu has graphs for {', '.join(allowed)}"
            )
        return value

    def activation(self, key: str, default: str) -> str:
        """The name of an activation function that `Graph.activate` has."""
        return self.choice(key, default, ACTIVATIONS)

    def pair(self, key: str, default: int, most: int = 1 << 16) -> tuple[int, int]:
        """A height and a width, from 1 on; one number is both."""
        found: Any = self.values.get(key)
        if isinstance(found, list) and len(cast("list[Any]", found)) == 2:
            height, width = self.sizes(key, (), most)
        else:
            height = width = self.size(key, default=default, most=most)
        return height, width

    def heads(self, hidden: int, *keys: str, default: int | None = None) -> int:
        """The number of attention heads, which must divide the hidden size."""
        heads = self.size(*keys, default=default)
        if hidden % heads:
            raise InvalidModelError(
                f"config.json of `{self.name}` has {heads} attention heads, "
                f"which do not divide the hidden size {hidden}"
            )
        return heads


class Graph:
    """An ONNX graph under construction; each method adds nodes and gives the value they make.

    Args:
        weights: the checkpoint that `weight` reads from.
        file: where large tensors are written, one page after another.
        location: that file's name, as the graph will name it.
        precision: how large matrices are held; small ones, norms and attention stay float32.
        exported: whether it is for other programs too, and so speaks as they expect: a decoder's
            cache comes out longer than it went in, and the tokens of a row are scored all.
        by_rows: whether products are written x W, weights last and as they lie in the checkpoint:
            what OpenVINO knows for a layer, and computes by the form that it has for one.
        shows: whether what lies between layers comes out too, for who looks into a network.
    """

    def __init__(
        self,
        weights: Weights,
        file: BinaryIO,
        location: str,
        precision: _precision.Precision = _precision.FULL,
        *,
        exported: bool = False,
        by_rows: bool = False,
        shows: bool = False,
    ) -> None:
        self.weights = weights
        self.exported = exported
        self.by_rows = by_rows
        self.shows = shows
        self.precision = precision
        self._file = file
        self._location = location
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._used: set[str] = set()
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._shown: set[str] = set()

    def input(self, name: str, dtype: str, shape: list[int | str]) -> Value:
        """Declares an input; a name in its shape is a size that varies."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[dtype], shape))
        return name

    def option(self, name: str, dtype: str, default: Any, shape: list[int | str]) -> Value:
        """Declares an input that may be left out, and what it is then."""
        if self.by_rows:  # where what has a default is a constant
            return self.input(name, dtype, shape)
        self._initializers[name] = numpy_helper.from_array(np.array(default, dtype), name)
        return self.input(name, dtype, shape)

    def output(self, name: str, value: Value, shape: list[int | str]) -> None:
        """Declares a float32 output under a name of its own."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, _TYPES["float32"], shape))

    def show(self, name: str, value: Value, shape: list[int | str]) -> None:
        """Declares a value between layers as an output, where the graph is built to show them."""
        if self.shows:
            self.output(name, value, shape)
            self._shown.add(name)

    def inside(self, build: Callable[[], None]) -> dict[Value, int]:
        """What is built gives out, kept within this graph for more to be built on it.

        It is given with how many axes each has.

        What it shows comes out of this graph too.
        """
        outside, self._outputs = self._outputs, []
        build()
        made, self._outputs = self._outputs, outside
        self._outputs += [value for value in made if value.name in self._shown]
        kept = [value for value in made if value.name not in self._shown]
        return {value.name: len(value.type.tensor_type.shape.dim) for value in kept}

    def alias_output(self, value: Value, shape: list[int | str]) -> None:
        """Declares a value that already has the output's name, so that nothing is copied."""
        self._outputs.append(helper.make_tensor_value_info(value, _TYPES["float32"], shape))

    def nodes(
        self,
        kind: str,
        *inputs: Value,
        outputs: int | list[str] = 1,
        domain: str = "",
        **attributes: Any,
    ) -> list[Value]:
        """Adds a node with several outputs, numbered or named."""
        stem = f"{kind}_{len(self._nodes)}"
        names = outputs if isinstance(outputs, list) else [f"{stem}.{i}" for i in range(outputs)]
        self._nodes.append(
            helper.make_node(kind, inputs, names, name=stem, domain=domain, **attributes)
        )
        return names

    def node(self, kind: str, *inputs: Value, domain: str = "", **attributes: Any) -> Value:
        """Adds a node with one output."""
        return self.nodes(kind, *inputs, domain=domain, **attributes)[0]

    def constant(self, value: Any, dtype: str = "int64") -> Value:
        """A small constant."""
        array = np.asarray(value, dtype=dtype)
        return self._tensor(f"{dtype}:{array.shape}:{array.ravel().tolist()}", lambda: array)

    def weight(
        self, *names: str, shape: tuple[int, ...], transposed: bool = False, axis: int = -1
    ) -> Value:
        """Tensors of the checkpoint, joined along an axis after the transposition.

        Raises:
            InvalidModelError: one is absent, or its shape is not the one that config.json implies.
        """

        return self._tensor(
            "+".join(names) + (".T" if transposed else ""),
            lambda: self._joined(names, transposed, axis),
            shape,
        )

    def __contains__(self, name: object) -> bool:
        """Whether a constant of that name is there."""
        return name in self._initializers

    def matrix(
        self, names: tuple[str, ...], shape: tuple[int, int], transposed: bool
    ) -> NDArray[np.float32]:
        """Matrices of the checkpoint as numbers, side by side after the transposition.

        Raises:
            InvalidModelError: as `weight`.
        """
        return self._checked(self._joined(names, transposed, -1), "+".join(names), shape)

    def array(self, name: str, *, shape: tuple[int, ...]) -> NDArray[Any]:
        """A tensor of the checkpoint as numbers, for what is computed once and for all.

        Raises:
            InvalidModelError: as `weight`.
        """
        found = self._read(name)
        self._used.add(name)
        return self._checked(found, name, shape)

    def table(self, name: str, array: NDArray[Any]) -> Value:
        """A large constant that was computed, under a name that no tensor has."""
        return self._tensor(name, lambda: array)

    def finish(self, name: str) -> bytes:
        """The graph as an ONNX model, its large tensors in the file."""
        self._refuse_layers_left_over()
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, list(self._initializers.values())
        )
        own = {node.domain for node in self._nodes} - {"", MICROSOFT}
        versions = {"": OPSET, MICROSOFT: 1, **dict.fromkeys(own, 1)}
        opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="silmu"
        )
        return model.SerializeToString()

    # What many architectures are made of.

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
        if kind == "gelu":
            return self.node("BiasGelu" if added else "Gelu", x, *added, domain=MICROSOFT)
        if kind in ("gelu_new", "gelu_pytorch_tanh", "gelu_fast"):
            return self.node("FastGelu", x, *added, domain=MICROSOFT)
        if bias is not None:
            x = self.node("Add", x, bias)
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

    def _joined(self, names: tuple[str, ...], transposed: bool, axis: int) -> NDArray[Any]:
        arrays = [self._read(name) for name in names]
        self._used.update(names)
        arrays = [array.T if transposed else array for array in arrays]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=axis)

    def _rms_scale(self, name: str, size: int, from_one: bool) -> Value:
        if not from_one:
            return self.weight(f"{name}.weight", shape=(size,))
        return self._tensor(f"{name}.weight+1", lambda: 1 + self._read(f"{name}.weight"), (size,))

    def _scale_and_shift(self, name: str, size: int) -> tuple[Value, Value]:
        # Checkpoints converted from TensorFlow, bert-base-uncased among them, say gamma and beta.
        words = ("gamma", "beta") if f"{name}.gamma" in self.weights else ("weight", "bias")
        scale, shift = (self.weight(f"{name}.{word}", shape=(size,)) for word in words)
        return scale, shift

    def _read(self, name: str) -> NDArray[Any]:
        array = self.weights[name]
        if array.dtype != np.float32:
            raise InvalidModelError(
                f"`{self.weights.name}` has {name} in {array.dtype}, where a float is needed"
            )
        return array

    def _refuse_layers_left_over(self) -> None:
        """A checkpoint with more layers than config.json has is of another model."""
        layers: dict[str, int] = {}
        for name in self._used:
            for match in _LAYER.finditer(name):
                stem = name[: match.start()]
                layers[stem] = max(int(match[1]), layers.get(stem, 0))
        for name in self.weights.tensors:
            for match in _LAYER.finditer(name):
                last = layers.get(name[: match.start()], sys.maxsize)
                if int(match[1]) > last:
                    raise InvalidModelError(
                        f"config.json of `{self.weights.name}` says {last + 1} layers, and "
                        f"its weights have {name}"
                    )

    def _tensor(
        self, name: str, read: Callable[[], NDArray[Any]], shape: tuple[int, ...] | None = None
    ) -> Value:
        if name in self._initializers:
            return name
        array = self._checked(read(), name, shape)
        if array.nbytes <= _INLINE_BYTES:
            tensor = numpy_helper.from_array(np.array(array), name)
        else:
            tensor = self._external(name, array)
        self._initializers[name] = tensor
        return name

    def _checked(
        self, array: NDArray[Any], name: str, shape: tuple[int, ...] | None
    ) -> NDArray[Any]:
        if shape is not None and array.shape != shape:
            raise InvalidModelError(
                f"`{self.weights.name}` has {name} of shape {array.shape}, "
                f"where its config.json implies {shape}"
            )
        if array.dtype == np.float32 and not np.isfinite([array.min(), array.max()]).all():
            raise InvalidModelError(f"`{self.weights.name}` has NaN or infinity in {name}")
        return array

    def _external(self, name: str, array: NDArray[Any]) -> onnx.TensorProto:
        self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
        start = self._file.tell()
        np.ascontiguousarray(array).tofile(self._file)
        tensor = onnx.TensorProto(
            name=name,
            data_type=_TYPES[array.dtype.name],
            dims=array.shape,
            data_location=onnx.TensorProto.EXTERNAL,
        )
        for key, value in (
            ("location", self._location),
            ("offset", str(start)),
            ("length", str(array.nbytes)),
        ):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        return tensor
