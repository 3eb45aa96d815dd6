"""What a graph tells of its layers beside their values: the first filters, and how far places see.

It is found when the graph is built, for the engine then lays weights out in an order of its own,
and kept beside it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import onnx
from onnx import numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from silmu.runtime.weights import Weights
    from silmu.store import FolderWriter

ABOUT, FILTERS = "layers.json", "filters.f32"
_WINDOWS = ("Conv", "MaxPool", "AveragePool", "LpPool")
_MIXES = (
    *("Softmax", "MultiHeadAttention", "Attention", "GlobalAveragePool", "GlobalMaxPool"),
    *("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2", "ReduceSumSquare"),
)
"""Operators after which a value hangs on all places."""
_PRODUCTS = ("MatMul", "FusedMatMul", "Gemm")

Pair = tuple[float, float]


@final
@dataclass(frozen=True)
class Field:
    """The part of a picture that a place of a feature map sees, down and across.

    The place (i, j) sees `size` pixels, whose middle is pixel `first + step * (i, j)`.
    """

    size: Pair
    step: Pair
    first: Pair


@final
@dataclass(frozen=True)
class Described:
    """What is known of the layers of a graph.

    Attributes:
        filters: float32 (filters, channels, height, width) of the first convolution, or of what
            cuts a picture into patches; None where a network has neither.
        fields: of each value between layers what its places see; None where they see all.
    """

    filters: NDArray[np.float32] | None
    fields: dict[str, Field | None]

    def write(self, writer: FolderWriter) -> None:
        """Writes it beside the graph."""
        shape = None if self.filters is None else list(self.filters.shape)
        if self.filters is not None:
            writer.write(FILTERS, self.filters.astype("<f4").tobytes())
        fields = {name: field and asdict(field) for name, field in self.fields.items()}
        writer.write(ABOUT, json.dumps({"filters": shape, "fields": fields}).encode())

    @classmethod
    def read(cls, folder: Path) -> Described:
        """What `write` wrote."""
        about: dict[str, Any] = json.loads((folder / ABOUT).read_bytes())
        filters = None
        if about["filters"] is not None:
            flat = np.frombuffer((folder / FILTERS).read_bytes(), "<f4")
            filters = flat.reshape(about["filters"]).astype(np.float32)
        fields = {
            name: field and Field(**{key: tuple(pair) for key, pair in field.items()})
            for name, field in about["fields"].items()
        }
        return cls(filters, fields)


def described(graph: bytes, beside: Path, weights: Weights, shown: str) -> Described:
    """What a graph tells of its layers.

    Args:
        graph: an ONNX model that shows them.
        beside: the file with its large tensors.
        weights: the checkpoint that it was built from.
        shown: what the names of values between layers begin with.
    """
    made = onnx.load_model_from_string(graph).graph
    filters = _first_convolution(made, beside)
    return Described(_products(made, weights) if filters is None else filters, _fields(made, shown))


def _first_convolution(graph: onnx.GraphProto, beside: Path) -> NDArray[np.float32] | None:
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        tensor = tensors.get(node.input[1]) if node.op_type == "Conv" else None
        if tensor is None:
            continue
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            return numpy_helper.to_array(tensor).astype(np.float32)
        place = {entry.key: entry.value for entry in tensor.external_data}
        count, offset = int(place["length"]) // 4, int(place["offset"])
        flat = np.fromfile(beside, np.float32, count, offset=offset)
        return flat.reshape(list(tensor.dims))
    return None


def _products(graph: onnx.GraphProto, weights: Weights) -> NDArray[np.float32] | None:
    """The weights of the layer that reads pixels, where it is computed as a product of matrices.

    It reads patches, and then its tensor is that of a convolution; or the whole picture.
    """
    _, channels, *sides = (size.dim_value for size in graph.input[0].type.tensor_type.shape.dim)
    whole = (channels, *sides)
    patches = [
        name
        for name, tensor in weights.tensors.items()
        if len(tensor.shape) == 4 and tensor.shape[1] == channels and tensor.shape[2] > 1
    ]
    if len(patches) == 1:
        return np.array(weights[patches[0]], np.float32)
    wholes = [
        name
        for name, tensor in weights.tensors.items()
        if len(tensor.shape) == 2 and tensor.shape[1] == np.prod(whole)
    ]
    if len(wholes) == 1:
        return np.array(weights[wholes[0]], np.float32).reshape(-1, *whole)
    return None


def _fields(graph: onnx.GraphProto, shown: str) -> dict[str, Field | None]:
    """What the places of each shown value see, by the windows that are moved over the picture.

    Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, 2019.
    """
    constants = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    start = Field((1.0, 1.0), (1.0, 1.0), (0.0, 0.0))
    seen: dict[str, Field | None] = {value.name: start for value in graph.input}
    for node in graph.node:
        known = [seen[name] for name in node.input if name in seen]
        if not known:
            continue
        products = node.op_type in _PRODUCTS and len(known) > 1
        if node.op_type in _MIXES or products or None in known:
            field = None
        else:
            field = max((one for one in known if one is not None), key=lambda one: one.size)
            if node.op_type in _WINDOWS:
                field = _moved(field, node, constants)
        for name in node.output:
            seen[name] = field
    names = [value.name for value in graph.output if value.name.startswith(shown)]
    return {name: seen.get(name) for name in names}


def _moved(field: Field, node: onnx.NodeProto, constants: dict[str, list[int]]) -> Field:
    """What a window over places sees of the picture."""
    said = {one.name: list(one.ints) for one in node.attribute}
    kernel = said.get("kernel_shape") or constants[node.input[1]][2:]
    strides, dilations = said.get("strides") or [1, 1], said.get("dilations") or [1, 1]
    reach = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
    # What is left out is as if padded for a length that the strides divide.
    same = any(one.name == "auto_pad" and one.s == b"SAME_UPPER" for one in node.attribute)
    by_itself = [max(r + 1 - s, 0) // 2 if same else 0 for r, s in zip(reach, strides, strict=True)]
    pads = said.get("pads") or by_itself

    def both(down: float, across: float) -> Pair:
        return float(down), float(across)

    sizes, steps, firsts = field.size, field.step, field.first
    return Field(
        both(*(sizes[i] + reach[i] * steps[i] for i in (0, 1))),
        both(*(steps[i] * strides[i] for i in (0, 1))),
        both(*(firsts[i] + (reach[i] / 2 - pads[i]) * steps[i] for i in (0, 1))),
    )
