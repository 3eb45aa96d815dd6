"""What an encoder gives for the examples of a run, kept in parts so that a kill loses little.

    4-train/features/train-00000/    vectors.safetensors
    4-train/features/train-00001/
    4-train/features/validation-00000/

A part is read again where it was made by another encoder or of other data, or is damaged.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]
from safetensors.numpy import save as packed

from silmu import store
from silmu.errors import CorruptError
from silmu.runtime import session, weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder
    from silmu.steps.design.encoders import Encoder
    from silmu.steps.prepare.prepared import Prepared
    from silmu.steps.train.progress import Progress

logger = logging.getLogger("silmu")

FOLDER, VECTORS = "features", "vectors.safetensors"
PART = 64
"""Batches of a part: seconds of work."""


@final
class Vectors:
    """The vectors of both splits, on disk.

    Attributes:
        rows: which examples of each split they are of, in order.
        seconds: how long the encoder read, over all sittings.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self.rows: dict[str, NDArray[np.int64]] = {}
        self.seconds = 0.0
        self._parts: dict[str, list[Path]] = {}

    def load(self, split: str, pooling: str) -> NDArray[np.float32]:
        """(rows, size) of a split, by one of the encoder's poolings."""
        parts = [load_file(path / VECTORS) for path in self._parts[split]]
        found = np.concatenate([part[pooling] for part in parts])
        order = np.argsort(np.concatenate([part["rows"] for part in parts]), kind="stable")
        return found[order]

    def remove(self) -> None:
        """Removes them, which nobody needs once there is a model."""
        if self.folder.exists():
            store.remove(self.folder)

    def add(self, split: str, paths: Sequence[Path]) -> None:
        """Takes parts of a split that are there."""
        self._parts[split] = list(paths)
        parts = [load_file(path / VECTORS) for path in paths]
        self.rows[split] = np.sort(np.concatenate([part["rows"] for part in parts]))
        self.seconds += sum(float(part["seconds"][0]) for part in parts)


def read(
    encoder: Encoder[Any],
    prepared: Prepared,
    batches: Mapping[str, Sequence[NDArray[np.int64]]],
    folder: Path,
    progress: Progress,
) -> Vectors:
    """Reads the batches of each split with an encoder, but for the parts that are there already.

    Args:
        encoder: that of the design.
        prepared: what is read.
        batches: examples by their numbers, by split.
        folder: `4-train/` of a run.
        progress: what shows how it goes.
    """
    found = Vectors(folder)
    made_by = _made_by(encoder.folder, prepared)
    total = sum(len(batch) for several in batches.values() for batch in several)
    done, begun, here = 0, time.monotonic(), 0
    for split, several in batches.items():
        examples, rest, paths = encoder.examples(prepared, split), iter(several), list[Path]()
        while part := list(islice(rest, PART)):
            path = found.folder / f"{split}-{len(paths):05d}"
            rows = np.concatenate(part)
            meta = made_by | {"examples": hashlib.sha256(rows.tobytes()).hexdigest()}
            if not _is_there(path, meta, encoder.many):
                if here == 0 and done:
                    progress.note(f"going on after {done:,} of {total:,} {encoder.many}")
                for place, vectors in _parts(encoder, examples, part, path, meta):
                    here += vectors
                    left = (time.monotonic() - begun) / here * (total - done - place)
                    progress.part(done + place, total, f"{encoder.many} read", left)
            done += len(rows)
            paths.append(path)
        found.add(split, paths)
    return found


def _parts(
    encoder: Encoder[Any],
    examples: Any,
    part: Sequence[NDArray[np.int64]],
    path: Path,
    meta: Mapping[str, Any],
) -> Iterator[tuple[int, int]]:
    """Reads a part and writes it; on the way how many are done, and how many came in a batch."""
    start = time.monotonic()
    several: list[dict[str, NDArray[np.float32]]] = []
    done = 0
    for batch in part:
        several.append(encoder.read(examples, batch))
        done += len(batch)
        yield done, len(batch)
    tensors: dict[str, NDArray[Any]] = {
        name: np.concatenate([one[name] for one in several]) for name in encoder.sizes
    }
    tensors["rows"] = np.concatenate(part)
    tensors["seconds"] = np.array([time.monotonic() - start])
    with store.new_folder(path, meta=meta) as writer:
        writer.write(VECTORS, packed(tensors))


def _is_there(path: Path, meta: Mapping[str, Any], many: str) -> bool:
    if not path.exists():
        return False
    try:
        if store.verify(path).meta == meta:
            return True
    except CorruptError as error:
        logger.warning("%s; its %s are read again", error.message, many)
    store.remove(path)
    return False


def _made_by(folder: Folder, prepared: Prepared) -> dict[str, Any]:
    """What decides the vectors."""
    digest = hashlib.sha256(folder.file("config.json").read_bytes())
    for name in weights.files(folder):
        with folder.file(name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return {
        "encoder": digest.hexdigest(),
        "data": f"{prepared.dataset.fingerprint} {prepared.fitted}",
        "engine": session.ENGINE,
    }
