"""Models that come as ONNX graphs which other programs exported, without safetensors.

A graph is taken as it is: what it asks for is discovered, not assumed. Its files are looked through
before the engine opens them: weights may lie beside the graph and nowhere else, and no operator may
need a library of its own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from silmu import registry
from silmu.errors import ModelNotFoundError, UnsafeModelError, UnsupportedModelError
from silmu.runtime import genai, weights
from silmu.runtime.exported.inspection import Inspection, inspect
from silmu.runtime.exported.layouts import SUBFOLDER, Layout, Wanted, choose, dtypes
from silmu.runtime.folder import Folder

if TYPE_CHECKING:
    from silmu.runtime.exported.decoder import ExportedDecoder
    from silmu.runtime.exported.encoder import ExportedEncoder
    from silmu.runtime.exported.picture import ExportedPictures
    from silmu.runtime.session import ForeignSession

__all__ = ["SUBFOLDER", "Exported", "Layout", "Wanted", "beside", "find", "listing", "pick", "view"]

logger = logging.getLogger("silmu")


def find(
    folder: Folder,
    wanted: Wanted | None = None,
    head: str | None = None,
    device: str = "cpu",
) -> Exported | None:
    """The ONNX graphs that answer for a folder, or None where its safetensors do.

    Those of a known architecture go first, unless a file, or a precision that files tell by their
    names, was asked for and is there.

    Args:
        wanted: what the caller says about the graph.
        head: what it must end in.
        device: where it shall compute.

    Raises:
        ModelNotFoundError: a file was named, and is not there.
        UnsupportedModelError: there are graphs, but not of the wanted precision, or none that can
            be told to be the model.
    """
    wanted = wanted or Wanted()
    layout = pick(folder, listing(folder, wanted.subfolder), wanted, head)
    return None if layout is None else Exported(_layered(folder, layout.folder), layout, device)


def pick(
    folder: Folder, names: Iterable[str], wanted: Wanted, head: str | None = None
) -> Layout | None:
    """The same choice among the names of files, of which only the configs need be in the folder."""
    names = list(names)
    graphs = [name for name in names if name.endswith(".onnx")]
    if not graphs and not wanted.names_file:
        return None
    config = folder.config if folder.has("config.json") else {}
    tensors = weights.SINGLE in names or weights.INDEX in names
    built = tensors and _is_built(config, head)
    if built and not wanted.names_file and not wanted.names_few_bits:
        return None
    place = str(PurePosixPath(wanted.subfolder or "") / genai.FILE)
    said = folder.json(place) if folder.has(place) else {}
    try:
        layout = choose(graphs, wanted, config, said)
    except (ModelNotFoundError, UnsupportedModelError) as error:
        raise type(error)(f"`{folder.name}`: {error.message}", hint=error.hint) from error
    if layout is None and graphs and not built:
        raise UnsupportedModelError(
            f"`{folder.name}` has no graph in {wanted.dtype}",
            hint=f"it has {', '.join(dtypes(graphs)) or 'graphs of unknown precision'}",
        )
    return layout


def view(folder: Folder, wanted: Wanted) -> Folder:
    """The folder as its graphs are to be read: a subfolder may have a config.json of its own."""
    found = find(folder, wanted)
    return folder if found is None else found.folder


def listing(folder: Folder, subfolder: str | None = None) -> list[str]:
    """The paths of files in a folder where graphs may lie: in itself, `onnx/`, and a subfolder."""
    found: list[str] = []
    for place in dict.fromkeys(("", SUBFOLDER, (subfolder or "").strip("/"))):
        if not place or folder.has(place):
            path = folder.path / place
            names = sorted(os.listdir(path)) if path.is_dir() else []  # noqa: PTH208
            found += [f"{place}/{name}" if place else name for name in names]
    return found


def beside(folder: Folder, name: str) -> tuple[Inspection, list[str]]:
    """What a graph file says of itself, and the paths of the files with its weights.

    Raises:
        UnsafeModelError: it names a file elsewhere.
        ModelNotFoundError, InvalidModelError, UnsupportedModelError: as `Folder.file`, `inspect`.
    """
    what = f"{name} of `{folder.name}`"
    found = inspect(folder.file(name), what)
    paths: list[str] = []
    for location in sorted(found.beside):
        # The engine takes a name of this form for an address in memory.
        if "*" in location or not location:
            raise UnsafeModelError(f"{what} has its weights in {location!r}, which is no file")
        paths.append(str(PurePosixPath(name).parent / location))
    return found, paths


@dataclass(frozen=True)
class Exported:
    """Graphs that other programs exported, checked but not yet opened.

    Attributes:
        folder: where configs are read, those beside the graphs before those of the model.
        layout: which files the graphs are.
        device: as `runtime.session.choose_device` gives it.
    """

    folder: Folder
    layout: Layout
    device: str = "cpu"

    def warn_of_few_bits(self, wanted: Wanted) -> None:
        """Says so where nobody asked for few bits, and the folder has nothing else."""
        if self.layout.has_few_bits and not wanted.names_few_bits and not wanted.names_file:
            logger.warning(
                "`%s` comes in %s only, so its answers differ from those in fp32",
                self.folder.name,
                self.layout.dtype,
            )

    @cached_property
    def inspections(self) -> list[Inspection]:
        """What each graph file says of itself, once all that belongs to it is found to be there.

        Raises:
            ModelError: as `beside`.
        """
        found: list[Inspection] = []
        for name in self.layout.files:
            inspection, paths = beside(self.folder, name)
            for path in paths:
                self.folder.file(path)
            found.append(inspection)
        return found

    @property
    def files(self) -> list[str]:
        """The paths of all that the graphs are made of; those that are looked at must be there.

        Raises:
            ModelError: as `beside`.
        """
        graphs = self.layout.files
        return [*graphs, *dict.fromkeys(p for name in graphs for p in beside(self.folder, name)[1])]

    @property
    def one_by_one(self) -> bool:
        """Whether rows of a batch would change each other."""
        return any(inspection.mixes_rows for inspection in self.inspections)

    def __getstate__(self) -> dict[str, Any]:
        # What computes is of this process, and a copy starts its own.
        return {name: value for name, value in self.__dict__.items() if name != "_sessions"}

    def session(self, head: str) -> ExportedEncoder | ExportedPictures | ForeignSession:
        """A session of the graph with a head; for text-generation that of the first step.

        Raises:
            UnsupportedModelError: it was not exported for this head.
        """
        from silmu.runtime.exported.encoder import ExportedEncoder
        from silmu.runtime.exported.picture import HEADS, ExportedPictures

        if head == "text-generation":
            self.decoder(1)  # says at once where it is none
            return self._sessions[0]
        if head in HEADS:
            return ExportedPictures(self._sessions[0], head, one_by_one=self.one_by_one)
        return ExportedEncoder(
            self._sessions[0], head, self.folder.config, one_by_one=self.one_by_one
        )

    def decoder(self, max_positions: int) -> ExportedDecoder:
        """A decoder with a cache of its own, over sessions that are started once.

        Raises:
            UnsupportedModelError: the graphs do not score the next token.
        """
        from silmu.runtime.exported.decoder import DecoderGraph, ExportedDecoder

        said = self.folder.optional_json(genai.FILE)
        names = genai.names(said, f"{genai.FILE} of `{self.folder.name}`") if said else None
        counts = any(inspection.has("GroupQueryAttention") for inspection in self.inspections)
        later = DecoderGraph.of(self._sessions[-1], names)
        first = later
        if len(self._sessions) > 1:
            first = DecoderGraph.of(self._sessions[0], names, later.present)
        return ExportedDecoder(
            first,
            later,
            self.folder.config,
            max_positions,
            one_by_one=self.one_by_one,
            pads=not counts,
        )

    @cached_property
    def _sessions(self) -> list[ForeignSession]:
        from silmu.runtime.session import ForeignSession

        _ = self.inspections
        self._say()
        # Not the file that a link leads to: its weights are looked for beside the link.
        return [
            ForeignSession(self.folder.place(name), device=self.device)
            for name in self.layout.files
        ]

    def _say(self) -> None:
        """Tells what a caller might not expect."""
        name, files = self.folder.name, ", ".join(self.layout.files)
        if not self.layout.usual:
            logger.warning("`%s` has one graph, %s, and that is taken for the model", name, files)
        if self.one_by_one:
            logger.warning(
                "%s of `%s` rounds by the largest number of a batch, so inputs are computed one at "
                "a time",
                *(files, name),
            )


class _Layered(Folder):
    """A folder in which a file of a subfolder stands before one of the same name."""

    def __init__(self, path: Path, name: str, subfolder: str) -> None:
        super().__init__(path, name)
        object.__setattr__(self, "subfolder", subfolder)

    subfolder: str

    def place(self, name: str) -> Path:
        """Where a file of that name lies, in the subfolder if there is one."""
        inner = super().place(str(PurePosixPath(self.subfolder) / name))
        return inner if os.path.lexists(inner) else super().place(name)


def _layered(folder: Folder, subfolder: str) -> Folder:
    return _Layered(folder.path, folder.name, subfolder) if subfolder else folder


def _is_built(config: Mapping[str, Any], head: str | None) -> bool:
    """Whether `graphs/` builds this architecture, with this head."""
    family = registry.graph_module(config["model_type"]) if config else None
    return family is not None and (head is None or head in family.HEADS)
