"""What a graph tells of its layers beside their values: the first filters, and how far places see.

It is found when the graph is built, for the engine then lays weights out in an order of its own,
and kept beside it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, final

import numpy as np
import onnx
from onnx import numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from silmu.runtime.weights import Weights
    from silmu.store import FolderWriter

ABOUT, FILTERS = "layers.json", "filters.f32"
_WINDOWS = ("Conv", "MaxPool", "AveragePool", "LpPool")
_MIXES = (
    *("Softmax", "MultiHeadAttention", "Attention", "GlobalAveragePool", "GlobalMaxPool"),
    *("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2", "ReduceSumSquare", "Flatten"),
)
"""Operators after which a value hangs on all places."""
_MOVES = ("Gather", "SpaceToDepth", "DepthToSpace")
"""Operators after which places lie in another order, which is not followed."""
_PRODUCTS = ("MatMul", "FusedMatMul", "Gemm")
_LAST, _PATCHES = [0, 2, 3, 1], [0, 2, 4, 1, 3, 5]
"""How axes are turned for channels to be the last one: of feature maps, and of a picture that is
cut into patches, for which a Reshape gives it six axes."""

_NOT_KNOWN: Final = "not known"

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
        fields: of values between layers what their places see; None where they see all. Those of
            which it is not known are not among them.
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
    if filters is None:
        filters = _products(made, weights)
    return Described(filters, _fields(made, shown, [] if filters is None else filters.shape[2:]))


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


def _fields(graph: onnx.GraphProto, shown: str, patch: Sequence[int]) -> dict[str, Field | None]:
    """What the places of each shown value see, by the windows that are moved over the picture.

    Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, 2019.

    Args:
        graph: whose values are followed, from its input on.
        shown: what the names of shown values begin with.
        patch: the height and width of patches, where the picture is cut into such.
    """
    constants = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    start = Field((1.0, 1.0), (1.0, 1.0), (0.0, 0.0))
    seen: dict[str, Field | Literal["not known"] | None] = {one.name: start for one in graph.input}
    last: set[str] = set()
    for node in graph.node:
        known = [seen[name] for name in node.input if name in seen]
        if not known or node.op_type == "Shape":
            continue
        turned = _said(node).get("perm")
        is_last = not last.isdisjoint(node.input)
        fields = [one for one in known if isinstance(one, Field)]
        if None in known:
            found = None
        elif len(fields) < len(known) or node.op_type in _MOVES:
            found = _NOT_KNOWN
        elif _mixes(node, len(known), constants, is_last=is_last):
            found = None
        else:
            found = max(fields, key=lambda one: one.size)
            if node.op_type in _WINDOWS:
                found = _moved(found, node, constants)
            elif turned == _PATCHES:
                found = _widened(found, patch, patch, [0, 0]) if len(patch) == 2 else _NOT_KNOWN
        seen |= dict.fromkeys(node.output, found)
        first_again = node.op_type in _PRODUCTS and node.input[0] in constants
        if turned in (_LAST, _PATCHES) or (is_last and turned is None and not first_again):
            last.update(node.output)
    names = [value.name for value in graph.output if value.name.startswith(shown)]
    return {name: one for name in names if (one := seen.get(name, _NOT_KNOWN)) != _NOT_KNOWN}


def _mixes(
    node: onnx.NodeProto, known: int, constants: dict[str, list[int]], *, is_last: bool
) -> bool:
    """Whether what comes out hangs on all places.

    Args:
        node: what is computed.
        known: of how many of its inputs it is known what their places see.
        constants: the shapes of weights.
        is_last: whether channels are the last axis; a Reshape then leaves each place its channels.
    """
    if node.op_type in _PRODUCTS:
        by_last = node.input[0] not in constants or bool(_said(node).get("transB"))
        return known > 1 or by_last != is_last
    if node.op_type == "Reshape":
        # Feature maps are given the shape of others, or the axes of patches; else they are joined.
        target = constants.get(node.input[1])
        return not is_last and target is not None and target != [len(_PATCHES)]
    return node.op_type in _MIXES


def _moved(field: Field, node: onnx.NodeProto, constants: dict[str, list[int]]) -> Field:
    """What a window over places sees of the picture."""
    said = _said(node)
    kernel = said.get("kernel_shape") or constants[node.input[1]][2:]
    strides, dilations = said.get("strides") or [1, 1], said.get("dilations") or [1, 1]
    lengths = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    # What is left out is as if padded for a length that the strides divide.
    same = any(one.name == "auto_pad" and one.s == b"SAME_UPPER" for one in node.attribute)
    by_itself = [max(n - s, 0) // 2 if same else 0 for n, s in zip(lengths, strides, strict=True)]
    return _widened(field, lengths, strides, said.get("pads") or by_itself)


def _widened(
    field: Field, lengths: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> Field:
    """What a window of so many places sees, down and across."""

    def both(down: float, across: float) -> Pair:
        return float(down), float(across)

    sizes, steps, firsts = field.size, field.step, field.first
    return Field(
        both(*(sizes[i] + (lengths[i] - 1) * steps[i] for i in (0, 1))),
        both(*(steps[i] * strides[i] for i in (0, 1))),
        both(*(firsts[i] + ((lengths[i] - 1) / 2 - pads[i]) * steps[i] for i in (0, 1))),
    )


def _said(node: onnx.NodeProto) -> dict[str, Any]:
    """The whole numbers that an operator is given, by name."""
    return {one.name: list(one.ints) or one.i for one in node.attribute}
