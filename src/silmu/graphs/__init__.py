"""Hugging Face folder to fused ONNX graph, straight from safetensors.

One file a family; it declares MODEL_TYPES (the `model_type` values of config.json that it builds),
HEADS (what it can end in, and the tensor that proves that the checkpoint was trained for it) and
PREFIX (what the checkpoint puts before the body's names, if the body is part of a larger model).

A graph is built once for a model, a head and a machine, and kept in the cache; the key is made of
what it was built from, so a changed file makes a new one, which takes the place of the old.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from silmu import registry, store
from silmu.errors import CorruptError, StoreError, UnsupportedModelError
from silmu.runtime import session as engine
from silmu.runtime import weights

if TYPE_CHECKING:
    from types import ModuleType
    from typing import BinaryIO

    from silmu.runtime.folder import Folder

logger = logging.getLogger("silmu")

FORMAT = 3
"""Raised when a builder changes what it writes, so that no older graph is taken for it."""

GRAPH = "model.onnx"
WEIGHTS = "model.onnx_data"
MAX_FILE_BYTES = (1 << 31) - (16 << 20)
"""What a single ONNX file may hold of weights: a protobuf ends at 2 GB."""
SOURCE, SOURCE_WEIGHTS = "source.onnx", "source.onnx_data"


def open_session(folder: Folder, head: str) -> engine.Session:
    """A session for a model folder with a head, such as `question-answering`.

    Raises:
        UnsupportedModelError: no graph is written for this architecture or head, or the checkpoint
            was never trained for it.
        InvalidModelError: config.json and weights are broken, or do not agree.
    """
    parts = [folder.file(name) for name in ("config.json", *weights.files(folder))]
    name = f"{_slug(folder.name)}-{head}-{_key(parts, head)}"
    cached = cache_folder() / name
    if not _is_there(cached):
        meta = {"model": str(folder.path), "machine": engine.machine()}
        _build(folder, head, cached, meta)
        _remove_older(cached, meta)
    return engine.Session(cached / GRAPH)


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
        raise UnsupportedModelError(
            f"`{folder.name}` is a {model_type!r}, and silmu has graphs for "
            f"{', '.join(registry.model_types())}"
        )
    if head not in family.HEADS:
        raise UnsupportedModelError(
            f"`{folder.name}` is a {model_type!r}, which silmu builds for "
            f"{', '.join(family.HEADS)}, not for {head}"
        )
    tensors = weights.Weights.open(folder)
    proof = family.HEADS[head]
    if proof not in tensors and f"{family.PREFIX}{proof}" not in tensors:
        architecture = ", ".join(folder.config.get("architectures") or ["of unknown class"])
        raise UnsupportedModelError(
            f"`{folder.name}` was not trained for {head}: it is a {architecture} "
            f"and has no tensor {proof}",
            hint=f"take a model that was fine-tuned for {head}; a bare encoder gives "
            "vectors, with the task `feature-extraction`",
        )
    return family


def write(folder: Folder, head: str, writer: store.FolderWriter, name: str) -> None:
    """Writes the graph of a model folder as one ONNX file, its weights within.

    It is what the engine reads before it is made ready for one machine. Weights of more than 2 GB,
    the most that such a file can hold, lie in a second file beside it, `<name>_data`.

    Raises:
        UnsupportedModelError, InvalidModelError: as `open_session`.
    """
    beside = f"{name}_data"
    with writer.open(beside) as file:
        graph, size = _graph(folder, head, file, Path(beside).name)
    if size <= MAX_FILE_BYTES:
        import onnx

        model = onnx.load_model_from_string(graph)
        onnx.load_external_data_for_model(model, str(writer.path(name).parent))
        graph = model.SerializeToString()
        writer.discard(beside)
    writer.write(name, graph)


def _is_there(cached: Path) -> bool:
    if not cached.exists():
        return False
    try:
        store.verify(cached, quick=True)
    except CorruptError as error:
        logger.warning("a cached graph is damaged, and is built again: %s", error)
        store.remove(cached)
        return False
    return True


def _remove_older(newest: Path, meta: dict[str, str]) -> None:
    """Removes graphs that this one supersedes: of the same folder as it was before, same head."""
    stem = newest.name.rpartition("-")[0]
    for other in newest.parent.glob(f"{glob.escape(stem)}-*"):
        # Another process may hold it open, which Windows does not forgive, or be removing it too.
        with suppress(StoreError):
            if other != newest and store.verify(other, quick=True).meta == meta:
                store.remove(other)


def _build(folder: Folder, head: str, target: Path, meta: dict[str, str]) -> None:
    num_bytes = weights.Weights.open(folder).num_bytes
    check(folder, head)
    try:
        with store.new_folder(target, meta=meta, exist_ok=True) as writer:
            store.reserve(cache_folder(), 2 * num_bytes)
            with writer.open(SOURCE_WEIGHTS) as file:
                graph, _ = _graph(folder, head, file, SOURCE_WEIGHTS)
            writer.write(SOURCE, graph)
            engine.compile(writer.path(SOURCE), writer.path(GRAPH), WEIGHTS)
            writer.discard(SOURCE)
            writer.discard(SOURCE_WEIGHTS)
    except StoreError as error:
        raise StoreError(
            f"the graph of `{folder.name}` could not be kept: {error.message}",
            hint="set SILMU_CACHE to a folder that can be written and has room for about twice "
            "the model's size",
        ) from error


def _graph(folder: Folder, head: str, file: BinaryIO, location: str) -> tuple[bytes, int]:
    """The graph, its weights written to a file of that name, and how many bytes these are."""
    from silmu.graphs._builder import Config, Graph

    family = check(folder, head)
    tensors = weights.Weights.open(folder)
    body = family.HEADS["feature-extraction"]
    prefix = family.PREFIX if f"{family.PREFIX}{body}" in tensors else ""
    graph = Graph(tensors, file, location)
    family.build(graph, Config(folder.config, folder.name), head, prefix)
    return graph.finish(f"{folder.config['model_type']}-{head}"), file.tell()


def _key(parts: list[Path], head: str) -> str:
    described = [f"silmu graph {FORMAT}", head, engine.machine()]
    for path in parts:
        status = path.stat()
        described.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:16]


def _slug(name: str) -> str:
    last = Path(name).name or "model"
    return "".join(c if c.isalnum() or c in "-." else "-" for c in last)[:60].strip(".") or "model"
