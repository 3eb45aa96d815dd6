"""The pictures of a dataset: their bytes, what is known of each, and which of them are one.

Pictures of a folder stay files there, named by path and hash; what came out of an archive, a
Parquet file or a program lies in the dataset itself. `pictures.arrow` holds what was found out
when each was opened once, by collect.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pyarrow as pa

from silmu.errors import CorruptError, InputError
from silmu.steps.collect.duplicates import follow
from silmu.steps.collect.image import files, likeness

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from silmu.steps.collect.dataset import Dataset

FACTS = "pictures.arrow"
FIELDS = pa.schema(
    [
        ("sha256", pa.string()),
        ("hash", pa.uint64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("mode", pa.string()),
        ("bytes", pa.int64()),
        ("name", pa.string()),
        ("pixels", pa.uint64()),
        ("thumbnail", pa.binary()),
        ("brightness", pa.float32()),
        ("contrast", pa.float32()),
        ("colour", pa.float32()),
        ("edge", pa.float32()),
        ("edge_contrast", pa.float32()),
    ]
)
"""The columns of `pictures.arrow`, a row a kept row.

`hash` is perceptual, `pixels` of the decoded picture; `width` and `height` are those of the upright
picture; `format`, `mode` and `bytes` of the file. `thumbnail` is what `likeness` compares. The
numbers are gray levels (0 to 255): mean and standard deviation of all pixels, how far colours are
from gray on average, and mean and standard deviation of the outermost pixels.
"""


@final
class Pictures:
    """The pictures of a dataset, by row.

    >>> pictures = Pictures(dataset)                                     # doctest: +SKIP
    >>> pictures.image(0).size                                           # doctest: +SKIP
    (640, 480)

    Args:
        dataset: collected with `kind="image"`.

    Raises:
        CorruptError: it was not.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        if dataset.pictures is None:
            raise CorruptError(f"`{dataset.path}` is not a dataset of pictures")
        self.root = Path(dataset.pictures["root"])
        self._column = dataset.roles.input[0]

    def __len__(self) -> int:
        return self.dataset.num_rows

    def __reduce__(self) -> tuple[Any, ...]:
        return Pictures, (self.dataset,)

    @cached_property
    def facts(self) -> pa.Table:
        """What is known of each picture: the columns of `FIELDS`."""
        with pa.memory_map(str(self.dataset.path / FACTS)) as file:
            return pa.ipc.open_file(file).read_all()

    def data(self, row: int) -> bytes:
        """The bytes of a picture, as they were when it was collected.

        Raises:
            InputError: its file is gone, or holds something else now.
        """
        data = self.cell(self._cells[row].as_py())
        if hashlib.sha256(data).hexdigest() != self.facts.column("sha256")[row].as_py():
            raise InputError(
                f"`{self.name(row)}` is no longer the picture that was collected",
                hint="put the file back as it was, or collect anew",
            )
        return data

    def image(self, row: int, background: str | None = "white") -> Image:
        """A picture, decoded: RGB, upright.

        Args:
            row: which.
            background: as `runtime.image.open_image` takes it.

        Raises:
            InputError: its file is gone, or holds something else now.
        """
        from silmu.runtime.image import open_image

        return open_image(self.data(row), self.name(row), background=background)

    def cell(self, value: str | bytes) -> bytes:
        """The bytes of a cell of the column of pictures, whatever row it is of.

        Raises:
            InputError: there is no such file, or it cannot be read.
        """
        return value if isinstance(value, bytes) else files.read(self.root / value)

    def name(self, row: int) -> str:
        """How people call a picture: its path, or what it was called where it came from."""
        return str(self.facts.column("name")[row].as_py())

    @cached_property
    def _cells(self) -> pa.ChunkedArray:
        return self.dataset.column(self._column)


def keys(dataset: Dataset, near: bool = True) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """For each picture a number, and the row that it follows.

    Pictures of the same decoded pixels have the same number. A row leads itself, or follows the
    first earlier row that it is a copy of: of the same pixels, or, if near ones count, the same
    picture resized, compressed, brightened or cut a little.

    Args:
        dataset: of pictures.
        near: whether near duplicates follow, as equal pictures do.

    Returns:
        Both (rows,). Leaders lead themselves: `leaders[leaders] == leaders`.
    """
    facts = Pictures(dataset).facts
    own = facts.column("pixels").to_numpy().astype(np.uint64, copy=False)
    _, first, group = np.unique(own, return_index=True, return_inverse=True)
    leading = first[group].astype(np.int64)
    if near:
        alone = np.sort(first)
        kept = facts.take(pa.array(alone)).combine_chunks()
        whole = b"".join(kept.column("thumbnail").to_pylist())
        thumbnails = np.frombuffer(whole, np.uint8).reshape(len(alone), likeness.SIZE)
        sides = np.minimum(kept.column("width").to_numpy(), kept.column("height").to_numpy())
        follow(leading, alone, *likeness.near_pairs(thumbnails, sides))
        leading = leading[leading]  # equal pictures follow whom their first one follows
    return own, leading
