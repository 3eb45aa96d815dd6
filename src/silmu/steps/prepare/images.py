"""Pictures: split, sized and normalised by what the training pictures are."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu import store
from silmu.runtime import image_processor
from silmu.runtime.folder import Folder
from silmu.runtime.image import open_image
from silmu.runtime.image_processor import ImageProcessor
from silmu.runtime.processor import FILE as PROCESSOR_FILE
from silmu.runtime.processor import Processor
from silmu.steps.collect.image.files import threads
from silmu.steps.collect.pictures import Pictures
from silmu.steps.prepare import prepared, splits
from silmu.steps.prepare import schema as schemas
from silmu.steps.prepare.arrays import open_array, write_array, write_head

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.prepare.labels import Labels
    from silmu.steps.prepare.settings import ImageSettings
    from silmu.steps.prepare.splits import Split

LARGEST, SMALLEST = 64, 8
"""Pixels of a side that a network from nothing reads, unless settings say otherwise."""

ALIKE = 1.1
"""How far shapes of pictures may differ for the network to read that shape, and no square."""

GRAY = 1.0
"""How far from gray, in levels of 255, the colours of a gray picture are on average at most."""

MOST_FITTED = 10_000
"""Training pictures whose mean and deviation are taken at most, spread over all."""

AT_ONCE = 64


@final
class ImageFeatures:
    """One split of pictures as a network reads it, memory mapped.

    Attributes:
        pixels: (rows, height, width, channels) uint8.
        targets: int64 (rows,), uint8 (rows, labels), or float32 (rows,).
        rows: which row of the dataset each is.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.pixels: NDArray[np.uint8] = open_array(self.folder / "pixels.npy")
        self.targets = open_array(self.folder / "targets.npy")
        self.rows: NDArray[np.int64] = open_array(self.folder / "rows.npy")

    def __len__(self) -> int:
        return len(self.rows)

    def __reduce__(self) -> tuple[type[ImageFeatures], tuple[str]]:
        return ImageFeatures, (str(self.folder),)


def features(found: prepared.Prepared, split: str) -> ImageFeatures:
    """What a network reads of the training or the validation split."""
    return ImageFeatures(found.features_path(split))


def processor_of(found: prepared.Prepared) -> ImageProcessor:
    """What was fitted to the training pictures, or what a backbone reads with."""
    return ImageProcessor.open(Folder(found.processor, str(found.processor)))


def write_images(
    dataset: Dataset,
    folder: str | Path,
    settings: ImageSettings,
    split: Split,
    labels: Labels,
    targets: NDArray[Any],
    backbone: str | Path | None,
) -> prepared.Prepared:
    """Fits size, colours and their mean to the training pictures, and reads all but the tests.

    Raises:
        InputError: a picture is no longer what was collected.
        StoreError: there is no room for the pixels.
    """
    pictures = Pictures(dataset)
    in_train = np.flatnonzero(split.sides == splits.TRAIN).astype(np.int64)
    if backbone is None:
        processor = _sized(pictures, in_train, settings)
    else:
        processor = ImageProcessor.open(Folder(Path(backbone), str(backbone)))
        processor = processor.changed({image_processor.BACKGROUND: image_processor.WHITE})
    with store.new_folder(folder, meta={"dataset": dataset.fingerprint}) as writer:
        shape = (*processor.size, processor.channels)
        num_read = int(np.isin(split.sides, (splits.TRAIN, splits.VALIDATION)).sum())
        store.reserve(folder, int(np.prod(shape)) * num_read)
        for side, name in enumerate(prepared.SPLITS[:2]):
            rows = np.flatnonzero(split.sides == side).astype(np.int64)
            place = f"{prepared.FEATURES}/{name}"
            for word, array in (("rows", rows), ("targets", targets[rows])):
                with writer.open(f"{place}/{word}.npy") as file:
                    write_array(file, array)
            with writer.open(f"{place}/pixels.npy") as file:
                write_head(file, (len(rows), *shape), "|u1")
                for one in decoded(pictures, processor, rows):
                    file.write(one.tobytes())
        if backbone is None:
            train = ImageFeatures(writer.path(f"{prepared.FEATURES}/train/x").parent)
            processor = _normalising(processor, train.pixels)
        fitted = Processor(dataset.roles.input, labels.kind, None)
        files = {image_processor.FILE: processor.to_bytes(), PROCESSOR_FILE: fitted.to_bytes()}
        for name, data in files.items():
            writer.write(f"{prepared.PROCESSOR}/{name}", data)
        schema = schemas.make(dataset, labels)
        writer.write(prepared.SCHEMA, schema.to_bytes())
        told = {"labels": labels.to_dict(), "schema": schema.to_bytes().hex()}
        prepared.seal(writer, dataset, split, labels, prepared.fitted_hash(files, told))
    return prepared.Prepared.open(folder, dataset)


def decoded(
    pictures: Pictures, processor: ImageProcessor, rows: NDArray[np.int64]
) -> Iterator[NDArray[np.uint8]]:
    """The pixels of some pictures, (height, width, channels) each, in order.

    They are decoded by several threads, a few ahead of those asked for.
    """
    read = partial(_pixels, pictures, processor)
    with ThreadPoolExecutor(threads()) as pool:
        for start in range(0, len(rows), AT_ONCE):
            yield from pool.map(read, rows[start : start + AT_ONCE].tolist())


def _pixels(pictures: Pictures, processor: ImageProcessor, row: int) -> NDArray[np.uint8]:
    image = open_image(pictures.data(row), pictures.name(row), background=processor.background)
    return processor.pixels(image)


def _sized(pictures: Pictures, rows: NDArray[np.int64], settings: ImageSettings) -> ImageProcessor:
    """Of the size and with the colours of the training pictures, not yet normalising."""
    facts = pictures.facts.select(["width", "height", "colour"]).take(rows)
    width, height, colour = (column.to_numpy() for column in facts.columns)
    channels = 1 if np.quantile(colour, 0.99) <= GRAY else 3
    size = _size(width.astype(np.float64), height.astype(np.float64), settings.image_size)
    return ImageProcessor.fitted(size, channels, (0.0,) * channels, (1.0,) * channels)


def _size(
    width: NDArray[np.float64], height: NDArray[np.float64], longer: int | None = None
) -> tuple[int, int]:
    """The height and width of the middle one of all pictures, made smaller where they are large.

    >>> _size(np.array([28.0, 28]), np.array([28.0, 28])), _size(np.full(3, 640), np.full(3, 480))
    ((28, 28), (48, 64))
    """
    shape = np.quantile(width / height, (0.05, 0.5, 0.95))
    aspect = float(shape[1]) if shape[2] <= ALIKE * shape[0] else 1.0
    side = float(longer or min(np.median(np.maximum(width, height)), LARGEST))
    sides = (side / max(aspect, 1.0), side * min(aspect, 1.0))
    return max(round(sides[0]), SMALLEST), max(round(sides[1]), SMALLEST)


def _normalising(processor: ImageProcessor, pixels: NDArray[np.uint8]) -> ImageProcessor:
    """The same, so that the training pictures have mean 0 and deviation 1 in each channel."""
    some = pixels[:: -(-len(pixels) // MOST_FITTED)]
    # From counts of the 256 values, so that nothing is rounded on the way.
    values = np.arange(256) / 255
    means: list[float] = []
    deviations: list[float] = []
    for channel in range(some.shape[-1]):
        counts = sum(
            np.bincount(part[..., channel].ravel(), minlength=256)
            for part in np.array_split(some, max(len(some) // 512, 1))
        )
        share = counts / np.sum(counts)
        mean = float((share * values).sum())
        means.append(mean)
        deviations.append(float(np.sqrt((share * (values - mean) ** 2).sum())) or 1.0)
    return ImageProcessor.fitted(processor.size, processor.channels, means, deviations)
