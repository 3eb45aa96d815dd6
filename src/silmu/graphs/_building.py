"""Builds the graph of a model folder: by its family, in a precision, for an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.graphs import _families, _layers, _quantized
from silmu.graphs._builder import Graph
from silmu.graphs._cache import GRAPH, WEIGHTS
from silmu.graphs._config import Config
from silmu.graphs._precision import FULL, Precision
from silmu.runtime import session, weights

if TYPE_CHECKING:
    from types import ModuleType
    from typing import BinaryIO

    from silmu import store
    from silmu.runtime.folder import Folder

SOURCE, SOURCE_WEIGHTS = "source.onnx", "source.onnx_data"
PROBE = "probe.onnx"


def build(
    writer: store.FolderWriter,
    folder: Folder,
    head: str,
    dtype: str,
    *,
    compiled: bool,
    shows: bool = False,
) -> None:
    """Builds a graph for ONNX Runtime.

    Args:
        writer: of the folder where it is kept.
        folder: of the model.
        head: what it ends in.
        dtype: one of DTYPES.
        compiled: whether the engine optimises it for this machine, and packs its weights.
        shows: whether what lies between layers comes out too.
    """
    is_narrow = dtype != "fp32" and _overflows(writer)
    precision = held(_families.check(folder, head), dtype, any_machine=is_narrow)
    source, beside = (SOURCE, SOURCE_WEIGHTS) if compiled else (GRAPH, WEIGHTS)
    with writer.open(beside) as file:
        made, _ = graph(folder, head, file, beside, precision, shows=shows)
    writer.write(source, made)
    if shows:
        tensors = weights.Weights.open(folder)
        described = _layers.described(made, writer.path(beside), tensors, _families.SHOWN)
        described.write(writer)
    if compiled:
        session.compile(writer.path(SOURCE), writer.path(GRAPH), WEIGHTS)
        writer.discard(SOURCE)
        writer.discard(SOURCE_WEIGHTS)


def graph(
    folder: Folder,
    head: str,
    file: BinaryIO,
    location: str,
    precision: Precision,
    *,
    exported: bool = False,
    by_rows: bool = False,
    shows: bool = False,
) -> tuple[bytes, int]:
    """The graph, its weights written to a file of that name, and how many bytes these are."""
    family = _families.check(folder, head)
    tensors = weights.Weights.open(folder)
    model_type = folder.config["model_type"]
    before = _families.prefix_in(tensors, family, model_type)
    made = Graph(
        tensors, file, location, precision, exported=exported, by_rows=by_rows, shows=shows
    )
    family.build(made, Config(folder.config, folder.name), head, before)
    return made.finish(f"{model_type}-{head}"), file.tell()


def held(family: ModuleType, dtype: str, *, any_machine: bool) -> Precision:
    """How a family's matrices are held.

    A machine whose products of 8-bit numbers overflow, as on x86 before VNNI, gets weights of 7
    bits, which cannot. So does a graph for any machine.
    """
    if dtype == "fp32":
        return FULL
    generates = "text-generation" in family.HEADS
    if dtype == "q4" or generates:
        return Precision("blocks", 4 if dtype == "q4" else 8, shared=generates)
    return Precision("columns", 7 if any_machine else 8)


def _overflows(writer: store.FolderWriter) -> bool:
    """Whether this machine's product of unsigned and signed 8-bit numbers is not always exact."""
    probe, feeds, expected = _quantized.probe()
    writer.write(PROBE, probe)
    found = session.Session(writer.path(PROBE)).run(feeds)
    writer.discard(PROBE)
    return any((found[name] != value).any() for name, value in expected.items())
