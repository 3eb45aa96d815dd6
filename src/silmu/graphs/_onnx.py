"""Writes an ONNX graph node by node, with its weights streamed to a file beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from silmu.graphs import _precision
from silmu.graphs._checkpoint import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from numpy.typing import NDArray

    from silmu.runtime.weights import Weights

OPSET = 20
IR_VERSION = 10
MICROSOFT = "com.microsoft"
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


class OnnxGraph:
    """An ONNX graph under construction: its inputs, nodes, constants and outputs.

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
        self._checkpoint = Checkpoint(weights)
        self._file = file
        self._location = location
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
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
            lambda: self._checkpoint.joined(names, transposed=transposed, axis=axis),
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
        found = self._checkpoint.joined(names, transposed=transposed)
        return self._checkpoint.checked(found, "+".join(names), shape)

    def array(self, name: str, *, shape: tuple[int, ...]) -> NDArray[Any]:
        """A tensor of the checkpoint as numbers, for what is computed once and for all.

        Raises:
            InvalidModelError: as `weight`.
        """
        return self._checkpoint.checked(self._checkpoint.joined((name,)), name, shape)

    def table(self, name: str, array: NDArray[Any]) -> Value:
        """A large constant that was computed, under a name that no tensor has."""
        return self._tensor(name, lambda: array)

    def finish(self, name: str) -> bytes:
        """The graph as an ONNX model, its large tensors in the file."""
        self._checkpoint.refuse_layers_left_over()
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

    def _tensor(
        self, name: str, read: Callable[[], NDArray[Any]], shape: tuple[int, ...] | None = None
    ) -> Value:
        if name in self._initializers:
            return name
        array = self._checkpoint.checked(read(), name, shape)
        if array.nbytes <= _INLINE_BYTES:
            tensor = numpy_helper.from_array(np.array(array), name)
        else:
            tensor = self._external(name, array)
        self._initializers[name] = tensor
        return name

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
