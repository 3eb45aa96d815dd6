"""Hugging Face folder to fused ONNX graph, straight from safetensors.

One file a family; it declares MODEL_TYPES (the `model_type` values of config.json that it builds),
HEADS (what it can end in, and the tensor that proves that the checkpoint was trained for it, or
the tensors of which one does) and PREFIX (what the checkpoint puts before the body's names, if the
body is part of a larger model; `{model_type}` in it stands for which of the family it is);
DTYPES, if not in all of ours; PACKED, if the engine packs its matrices; and ONLY_USED, if no
training goes on from it.

A graph is built once for a model, a head, a precision, an engine and a machine, and kept in the
cache; the key is made of what it was built from, so a changed file makes a new one, which takes the
place of the old.
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silmu import extras, registry, store
from silmu.errors import CorruptError, StoreError, UnsupportedModelError, UsageError
from silmu.runtime import dtypes, rows, session, weights

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from types import ModuleType
    from typing import BinaryIO

    import onnx

    from silmu.graphs._layers import Described as Described
    from silmu.graphs._layers import Field as Field
    from silmu.graphs._precision import Precision
    from silmu.runtime.folder import Folder
    from silmu.runtime.openvino import OpenVinoSession

logger = logging.getLogger("silmu")

FORMAT = 7
"""Raised when a builder changes what it writes, so that no older graph is taken for it."""

GRAPH = "model.onnx"
WEIGHTS = "model.onnx_data"
MAX_FILE_BYTES = (1 << 31) - (16 << 20)
"""What a single ONNX file may hold of weights: a protobuf ends at 2 GB."""
SOURCE, SOURCE_WEIGHTS = "source.onnx", "source.onnx_data"
PROBE = "probe.onnx"
LAYERS, SHOWN = "layers", "layers."
"""The kind of a graph that shows what lies between its layers, and what their names begin with."""
XML, PORTS = "model.xml", "ports.json"
DTYPES = ("fp32", "q8", "q4")
"""The precisions that a graph is built in."""

ONNXRUNTIME, OPENVINO = "onnxruntime", "openvino"
ENGINES = {ONNXRUNTIME: DTYPES, OPENVINO: ("fp32", "bf16", "q8")}
"""The precisions that each engine computes in."""


def open_session(
    folder: Folder,
    head: str,
    *,
    dtype: str = "fp32",
    device: str = "cpu",
    engine: str = ONNXRUNTIME,
) -> session.Session | OpenVinoSession:
    """A session for a model folder with a head, such as `question-answering`.

    Args:
        folder: config.json and safetensors.
        head: what the graph ends in.
        dtype: as `runtime.dtypes` names it; `fp16` computes in fp32, and so does `bf16` but with
            OpenVINO.
        device: as `runtime.session.choose_device` gives it.
        engine: one of ENGINES.

    Raises:
        UsageError: no graph is built in this precision, or none for this device.
        MissingExtraError: the engine is not installed.
        UnsupportedModelError: no graph is written for this architecture or head, or the checkpoint
            was never trained for it.
        InvalidModelError: config.json and weights are broken, or do not agree.
    """
    dtype, device = choose_dtype(folder, dtype, engine), session.Device(device)
    if engine == OPENVINO:
        return _open_openvino(folder, head, dtype, device)
    if dtype != "fp32" and device != "cpu":
        raise UsageError(
            f"dtype {dtype} with device {device}: weights of few bits compute on the CPU",
            hint="leave one of the two out",
        )
    on_cpu = device == "cpu"
    kind = dtype if on_cpu else f"{dtype}-{device.type}"
    cached = place(folder, head, kind, session.machine())
    if not is_there(cached):
        meta = {"model": str(folder.path.resolve()), "machine": session.machine()}
        _build(folder, head, cached, meta, dtype, compiled=on_cpu)
        remove_older(cached, meta)
    return session.Session(cached / GRAPH, device=device, at_once=dtype != "fp32")


def open_layers(folder: Folder, head: str) -> session.Session:
    """A session that gives, beside what `open_session` gives, what lies between the layers.

    Their names begin with `layers.` and come in the order of the network: (rows, channels, height,
    width) of convolutions, (rows, tokens, hidden) of transformers. `described` tells the rest.

    Raises:
        UnsupportedModelError, InvalidModelError: as `open_session`.
    """
    cached = place(folder, head, LAYERS, session.machine())
    if not is_there(cached):
        meta = {"model": str(folder.path.resolve()), "machine": session.machine()}
        _build(folder, head, cached, meta, "fp32", compiled=True, shows=True)
        remove_older(cached, meta)
    return session.Session(cached / GRAPH)


def described(layers: session.Session) -> Described:
    """The first filters of a session of `open_layers`, and what the places of each layer see."""
    from silmu.graphs._layers import Described

    return Described.read(layers.graph.parent)


def place(folder: Folder, head: str, kind: str, machine: str) -> Path:
    """Where what is made of a folder is kept, under a name that changes when the folder does.

    Args:
        head: what for.
        kind: what it is.
        machine: what else it depends on.
    """
    parts = [folder.file(name) for name in ("config.json", *weights.files(folder))]
    return cache_folder() / f"{_slug(folder.name)}-{head}-{kind}-{_key(parts, head, kind, machine)}"


def cache_folder() -> Path:
    """Where built graphs are kept: SILMU_CACHE, or the platform's place for caches."""
    if given := os.environ.get("SILMU_CACHE"):
        return Path(given) / "graphs"
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "silmu" / "graphs"


def check(folder: Folder, head: str) -> ModuleType:
    """The family that builds a folder with a head, if it can; reads headers, builds nothing.

    Raises:
        UnsupportedModelError: as `open_session`.
    """
    model_type = folder.config["model_type"]
    family = registry.graph_module(model_type)
    if family is None:
        raise registry.no_graph(folder.name, model_type)
    if head not in family.HEADS:
        raise UnsupportedModelError(
            f"`{folder.name}` is a {model_type!r}, which silmu builds for "
            f"{', '.join(family.HEADS)}, not for {head}"
        )
    tensors = weights.Weights.open(folder)
    given = family.HEADS[head]
    proofs = _proofs(given)
    names = folder.config.get("architectures") or ["of unknown class"]
    told = registry.task_of_architecture(str(names[0]))
    # Where two heads have a tensor of the same name, only the class tells them apart; that of the
    # body, which a head may be tied to, is in all of them.
    of_vectors, body = _body(family)
    other = told != head and family.HEADS.get(told) == given != body
    before = prefix(family, model_type)
    if other or not any(n in tensors or f"{before}{n}" in tensors for n in proofs):
        raise UnsupportedModelError(
            f"`{folder.name}` was not trained for {head}: it is a {', '.join(names)}"
            + ("" if other else f" and has no tensor {' or '.join(proofs)}"),
            hint=f"take a model that was fine-tuned for {head}; a bare encoder gives "
            f"vectors, with the task `{of_vectors}`",
        )
    return family


def prefix(family: ModuleType, model_type: str) -> str:
    """What stands before the names of the body's tensors where it is part of a larger model."""
    return family.PREFIX.replace("{model_type}", model_type)


def write(
    folder: Folder, head: str, writer: store.FolderWriter, name: str, *, dtype: str = "fp32"
) -> None:
    """Writes the graph of a model folder as one ONNX file, its weights within.

    It is for any machine, and for other programs too, with the names that optimum gives to what
    goes in and comes out. A decoder reads `past_key_values.*`, which may be empty, and gives
    `present.*`, its rows padded on the left or not at all. Weights of more than 2 GB,
    the most that such a file can hold, lie in a second file beside it, `<name>_data`.

    Raises:
        UsageError, UnsupportedModelError, InvalidModelError: as `open_session`.
    """
    beside = f"{name}_data"
    with writer.open(beside) as file:
        chosen = choose_dtype(folder, dtype)
        precision = _held(check(folder, head), chosen, any_machine=True)
        name_beside = Path(beside).name
        graph, size = _graph(folder, head, file, name_beside, precision, exported=True)
    if size <= MAX_FILE_BYTES:
        import onnx

        model = onnx.load_model_from_string(graph)
        onnx.load_external_data_for_model(model, str(writer.path(name).parent))
        graph = model.SerializeToString()
        writer.discard(beside)
    writer.write(name, graph)


def is_there(cached: Path) -> bool:
    """Whether something is kept there, and whole; what is damaged is removed."""
    if not cached.exists():
        return False
    try:
        store.verify(cached, quick=True)
    except CorruptError as error:
        logger.warning("a cached graph is damaged, and is built again: %s", error)
        store.remove(cached)
        return False
    return True


def remove_older(newest: Path, meta: dict[str, str]) -> None:
    """Removes graphs that this one supersedes: of the same folder as it was before, same head.

    With them go those of models that are gone, and damaged ones.
    """
    stem = newest.name.rpartition("-")[0]
    for other in newest.parent.glob(f"{glob.escape(stem)}-*"):
        # Another process may hold it open, which Windows does not forgive, or be removing it too.
        with suppress(StoreError):
            is_kin = other != newest and other.name.rpartition("-")[0] == stem
            if is_kin and store.verify(other, quick=True).meta == meta:
                store.remove(other)
    from silmu.graphs import _kept

    _kept.remove_gone(newest.parent, session.machine())


def kept_in_cache() -> list[tuple[Path, str]]:
    """What the cache keeps: folders, and of each why it is of no use here, or ""."""
    from silmu.graphs import _kept

    found = _kept.kept(cache_folder(), session.machine())
    return [(one.path, one.why) for one in found]


def choose_dtype(folder: Folder, dtype: str, engine: str = ONNXRUNTIME) -> str:
    """The precision that a graph is built in for one that was asked for: one of ENGINES[engine].

    Where it is another, a warning says why.

    Raises:
        UsageError: there is no such engine, or it has no such precision, nor one that fp32 answers
            for.
    """
    if engine not in ENGINES:
        raise UsageError(f"engine is {engine!r}; it may be {', '.join(ENGINES)}")
    made = ENGINES[engine]
    if dtype in ("fp16", "bf16") and dtype not in made:
        logger.warning("dtype %s: this version computes in fp32, which is more precise", dtype)
        return "fp32"
    if dtype == dtypes.AUTO:
        return "fp32"
    if dtype not in made:
        of_engine = "" if engine == ONNXRUNTIME else f" for {engine}"
        raise UsageError(
            f"dtype is {dtype!r}; from safetensors silmu makes {', '.join(made)}{of_engine}",
            hint="leave it out for fp32, or take q8, which is smaller and faster",
        )
    # Networks of our own have few weights, and what they sum over the tokens of a text depends, in
    # its last bits, on how far that is padded: rounded to 8 bits it would show. Convolutions have
    # few weights too.
    if dtype != "fp32" and _is_small(registry.graph_module(folder.config["model_type"])):
        logger.warning("dtype %s: `%s` is of a kind that computes in fp32", dtype, folder.name)
        return "fp32"
    return dtype


def _proofs(given: str | tuple[str, ...]) -> tuple[str, ...]:
    """The tensors of which one proves a head."""
    return (given,) if isinstance(given, str) else given


def _body(family: ModuleType) -> tuple[str, str | tuple[str, ...]]:
    """The task that a family without a head is for, and the tensors that prove that it is there."""
    for task in ("feature-extraction", "image-feature-extraction"):
        if task in family.HEADS:
            return task, family.HEADS[task]
    return "feature-extraction", ""


def _is_small(family: ModuleType | None) -> bool:
    """Whether a family is built in fp32 alone."""
    return getattr(family, "DTYPES", DTYPES) == ("fp32",)


def _open_openvino(
    folder: Folder, head: str, dtype: str, device: session.Device
) -> OpenVinoSession:
    extras.require(OPENVINO)
    from silmu.runtime import openvino

    family = check(folder, head)
    if _is_small(family):
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
    machine = f"{openvino.ENGINE} {session.machine()}"
    cached = place(folder, head, f"{OPENVINO}-{dtype}", machine)
    if not is_there(cached):
        meta = {"model": str(folder.path.resolve()), "machine": machine}
        _build_openvino(folder, head, cached, meta, dtype)
        remove_older(cached, meta)
    return openvino.OpenVinoSession(cached / XML, cached / PORTS, dtype=dtype)


def _held(family: ModuleType, dtype: str, *, any_machine: bool) -> Precision:
    """How a family's matrices are held.

    A machine whose products of 8-bit numbers overflow, as on x86 before VNNI, gets weights of 7
    bits, which cannot. So does a graph for any machine.
    """
    from silmu.graphs._precision import FULL, Precision

    if dtype == "fp32":
        return FULL
    generates = "text-generation" in family.HEADS
    if dtype == "q4" or generates:
        return Precision("blocks", 4 if dtype == "q4" else 8, shared=generates)
    return Precision("columns", 7 if any_machine else 8)


def _overflows(writer: store.FolderWriter) -> bool:
    """Whether this machine's product of unsigned and signed 8-bit numbers is not always exact."""
    from silmu.graphs import _quantized

    graph, feeds, expected = _quantized.probe()
    writer.write(PROBE, graph)
    found = session.Session(writer.path(PROBE)).run(feeds)
    writer.discard(PROBE)
    return any((found[name] != value).any() for name, value in expected.items())


def _build(
    folder: Folder,
    head: str,
    target: Path,
    meta: dict[str, str],
    dtype: str,
    *,
    compiled: bool,
    shows: bool = False,
) -> None:
    family = check(folder, head)
    with _new(folder, target, meta, _bytes_a_number(family, dtype)) as writer:
        is_narrow = dtype != "fp32" and _overflows(writer)
        precision = _held(family, dtype, any_machine=is_narrow)
        source, beside = (SOURCE, SOURCE_WEIGHTS) if compiled else (GRAPH, WEIGHTS)
        with writer.open(beside) as file:
            graph, _ = _graph(folder, head, file, beside, precision, shows=shows)
        writer.write(source, graph)
        if shows:
            _describe(folder, graph, writer, beside)
        if compiled:
            session.compile(writer.path(SOURCE), writer.path(GRAPH), WEIGHTS)
            writer.discard(SOURCE)
            writer.discard(SOURCE_WEIGHTS)


def _describe(folder: Folder, graph: bytes, writer: store.FolderWriter, beside: str) -> None:
    from silmu.graphs._layers import described

    tensors = weights.Weights.open(folder)
    described(graph, writer.path(beside), tensors, SHOWN).write(writer)


def _build_openvino(
    folder: Folder, head: str, target: Path, meta: dict[str, str], dtype: str
) -> None:
    from silmu.graphs._precision import FULL, Precision
    from silmu.runtime import openvino

    precision = Precision("layers", 8) if dtype == "q8" else FULL
    bytes_a_number = _bytes_a_number(check(folder, head), dtype)
    with _new(folder, target, meta, bytes_a_number) as writer:
        with writer.open(SOURCE_WEIGHTS) as file:
            graph, _ = _graph(folder, head, file, SOURCE_WEIGHTS, precision, by_rows=True)
        writer.write(SOURCE, graph)
        openvino.compile(writer.path(SOURCE), writer.path(XML), dtype)
        writer.write(PORTS, _ports(graph))
        writer.discard(SOURCE)
        writer.discard(SOURCE_WEIGHTS)


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


def _bytes_a_number(family: ModuleType, dtype: str) -> int:
    """What a number of a model takes on disk while its graph is built, however it is stored.

    It is written, and written again by the engine, which packs the matrices of decoders beside
    them, and those of families that say so.
    """
    if dtype in ("q8", "q4"):
        return 4 if dtype == "q8" else 3
    return 12 if "text-generation" in family.HEADS or getattr(family, "PACKED", False) else 8


@contextmanager
def _new(
    folder: Folder, target: Path, meta: dict[str, str], bytes_a_number: int
) -> Generator[store.FolderWriter]:
    """A folder of the cache, with room for what a model is turned into."""
    try:
        with store.new_folder(target, meta=meta, exist_ok=True) as writer:
            numbers = weights.Weights.open(folder).num_numbers
            store.reserve(cache_folder(), bytes_a_number * numbers)
            yield writer
    except StoreError as error:
        raise StoreError(
            f"the graph of `{folder.name}` could not be kept: {error.message}",
            hint="set SILMU_CACHE to a folder that can be written and has room",
        ) from error


def _graph(
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
    from silmu.graphs._builder import Config, Graph

    family = check(folder, head)
    tensors = weights.Weights.open(folder)
    _, body = _body(family)
    before = prefix(family, folder.config["model_type"])
    before = before if any(f"{before}{name}" in tensors for name in _proofs(body)) else ""
    graph = Graph(
        tensors, file, location, precision, exported=exported, by_rows=by_rows, shows=shows
    )
    family.build(graph, Config(folder.config, folder.name), head, before)
    return graph.finish(f"{folder.config['model_type']}-{head}"), file.tell()


def _key(parts: list[Path], head: str, kind: str, machine: str) -> str:
    described = [f"silmu graph {FORMAT}", head, kind, machine]
    for path in parts:
        status = path.stat()
        described.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:16]


def _slug(name: str) -> str:
    last = Path(name).name or "model"
    return "".join(c if c.isalnum() or c in "-." else "-" for c in last)[:60].strip(".") or "model"
