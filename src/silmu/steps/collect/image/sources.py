"""A folder or an archive of pictures as a source: each file a row, with its label and split."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import pyarrow as pa

from silmu.errors import UsageError
from silmu.steps.collect.image import files
from silmu.steps.collect.image.archives import Archive
from silmu.steps.collect.image.files import NO_LABEL, Entry, Listing
from silmu.steps.collect.image.memory import CELL
from silmu.steps.collect.tally import Tally
from silmu.steps.collect.values import Numbered

logger = logging.getLogger("silmu")

_ROWS, _BYTES = 256, 1 << 25  # in a batch


@final
class PictureFolder:
    """The files of a folder in the order of their names; pictures are named, not read.

    Raises:
        UsageError: it holds no files, or is the folder that a table beside it is about.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.listing = files.listing(root)
        beside = files.tables(root)
        if beside and len({entry.label for entry in self.listing.entries} - {None}) == 1:
            raise UsageError(
                f"`{root}` has one folder of pictures, and `{beside[0].name}` beside it",
                hint=f"give that table, if it holds the labels: --data {beside[0]}; its paths "
                "begin in the folder that it lies in",
            )
        self.schema = _schema(self.listing, pa.string())
        _tell(self.listing, root)

    def read(self, tally: Tally) -> Iterator[Numbered]:
        """The rows as Arrow."""
        rows = ((entry, entry.path) for entry in self.listing.entries)
        return _batches(rows, self.listing, self.schema, tally)


@final
class PictureArchive:
    """The members of an archive in their order there, with their bytes."""

    def __init__(self, path: Path) -> None:
        self.archive = Archive(path)
        self.schema = _schema(self.archive.listing, CELL)
        _tell(self.archive.listing, path)

    def read(self, tally: Tally) -> Iterator[Numbered]:
        """The rows as Arrow."""
        rows = (
            (entry, {"bytes": data, "path": entry.path}) for entry, data in self.archive.pictures()
        )
        return _batches(rows, self.archive.listing, self.schema, tally)


def _schema(listing: Listing, kind: Any) -> pa.Schema:
    names = [
        *(["label"] if listing.has_labels else []),
        *(["split"] if listing.has_splits else []),
        *(["folder"] if listing.is_nested else []),
    ]
    return pa.schema([("image", kind), *((name, pa.string()) for name in names)])


def _tell(listing: Listing, source: Path) -> None:
    if listing.is_nested:
        logger.warning(
            "folders of `%s` lie within folders: the label is the top one; `folder` tells the "
            "whole, and --group folder keeps the pictures of each on one side",
            source,
        )


def _batches(
    rows: Iterable[tuple[Entry, Any]], listing: Listing, schema: pa.Schema, tally: Tally
) -> Iterator[Numbered]:
    waiting: list[tuple[int, Entry, Any]] = []
    size = 0

    def made() -> Numbered:
        columns: dict[str, list[Any]] = {
            "image": [given for _, _, given in waiting],
            "label": [entry.label for _, entry, _ in waiting],
            "split": [entry.split for _, entry, _ in waiting],
            "folder": [entry.folder for _, entry, _ in waiting],
        }
        arrays = [pa.array(columns[field.name], field.type) for field in schema]
        numbers = np.array([number for number, _, _ in waiting], np.int64)
        return numbers, pa.RecordBatch.from_arrays(arrays, schema=schema)

    for number, (entry, given) in enumerate(rows, 1):
        reason = entry.reason
        if reason is None and listing.has_labels and entry.label is None:
            reason = NO_LABEL
        if reason is not None:
            tally.add(reason, [number])
            continue
        waiting.append((number, entry, given))
        size += 0 if isinstance(given, str) else len(cast("dict[str, bytes]", given)["bytes"])
        if len(waiting) == _ROWS or size > _BYTES:
            yield made()
            waiting, size = [], 0
    if waiting:
        yield made()
