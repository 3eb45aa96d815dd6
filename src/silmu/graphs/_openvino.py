"""Graphs as OpenVINO knows them, compiled by it and kept in its form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from silmu import extras
from silmu.errors import UnsupportedModelError, UsageError
from silmu.graphs import _cache, _families
from silmu.graphs._precision import FULL, Precision
from silmu.runtime import rows, session

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx

    from silmu.runtime.folder import Folder
    from silmu.runtime.openvino import OpenVinoSession
    from silmu.store import FolderWriter

XML, PORTS = "model.xml", "ports.json"


def open_session(folder: Folder, head: str, dtype: str, device: session.Device) -> OpenVinoSession:
    """As `graphs.open_session`, computed by OpenVINO.

    Raises:
        MissingExtraError: it is not installed.
        UsageError: it does not compute on this device, or this processor not in this precision.
        UnsupportedModelError, InvalidModelError: as there.
    """
    extras.require(_families.OPENVINO)
    from silmu.runtime import openvino

    family = _families.check(folder, head)
    if _families.is_small(family):
        raise UnsupportedModelError(
            f"`{folder.name}` is a {folder.config['model_type']!r}, and with OpenVINO silmu "
            "computes encoders and decoders",
            hint="leave the engine out: ONNX Runtime does",
        )
    if device != "cpu":
        raise UsageError(
            f"engine openvino with device {device}: it computes on the CPU here",
            hint="leave one of the two out",
        )
    if dtype == "bf16" and openvino.reduced_type() != "bf16":
        raise UsageError(
            "this processor has no products of bf16", hint="leave dtype out for fp32, or take q8"
        )
    kind, machine = f"{_families.OPENVINO}-{dtype}", f"{openvino.ENGINE} {session.machine()}"

    def make(writer: FolderWriter) -> None:
        _build(writer, folder, head, dtype)

    cached = _cache.made(folder, head, kind, machine, dtype, make)
    return openvino.OpenVinoSession(cached / XML, cached / PORTS, dtype=dtype)


def _build(writer: FolderWriter, folder: Folder, head: str, dtype: str) -> None:
    from silmu.graphs import _building  # late, as a graph that is kept needs no onnx
    from silmu.runtime import openvino

    precision = Precision("layers", 8) if dtype == "q8" else FULL
    source, beside = _building.SOURCE, _building.SOURCE_WEIGHTS
    with writer.open(beside) as file:
        graph, _ = _building.graph(folder, head, file, beside, precision, by_rows=True)
    writer.write(source, graph)
    openvino.compile(writer.path(source), writer.path(XML), dtype)
    writer.write(PORTS, _ports(graph))
    writer.discard(source)
    writer.discard(beside)


def _ports(graph: bytes) -> bytes:
    """What `OpenVinoSession` is told of a graph."""
    import onnx

    made = onnx.load_model_from_string(graph).graph

    def told(values: Iterable[onnx.ValueInfoProto]) -> dict[str, Any]:
        types = {value.name: value.type.tensor_type for value in values}
        return {
            name: (
                onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name,
                [size.dim_param or size.dim_value for size in kind.shape.dim],
            )
            for name, kind in types.items()
        }

    inputs = told(made.input)
    options = {name: inputs.pop(name) for name in list(inputs) if name == rows.PLACES}
    parts = {"inputs": inputs, "options": options, "outputs": told(made.output)}
    return json.dumps(parts).encode()
