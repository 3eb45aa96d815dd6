"""A frozen encoder of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from silmu import graphs
from silmu.errors import UnsupportedModelError
from silmu.graphs.silmu_probe import BODIES, FIRST, MEAN, POOLER
from silmu.runtime.image_processor import ImageProcessor
from silmu.steps.design.encoders import Encoder
from silmu.steps.prepare.images import ImageFeatures, features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder
    from silmu.steps.prepare.prepared import Prepared

PIXELS, MOST = 8 * 224 * 224, 64
"""How many pixels are read at once, as pipelines do, and how many pictures at most."""

ALIKE = 1e-4
"""Vectors that differ by no more, as a share of their largest number, are the same."""


def check(folder: Folder) -> None:
    """Refuses what cannot be read with, before any work is done.

    Raises:
        UnsupportedModelError: it has no layer to be read, or was trained for texts.
        ModelNotFoundError, InvalidModelError: it has no weights or no image processor, or they are
            broken.
    """
    if folder.config.get("kind") == "perceptron" and folder.config["model_type"] == "silmu-image":
        raise UnsupportedModelError(
            f"`{folder.name}` is a perceptron, which has no layer before its answers to be read",
            hint="take a network with layers: mlp, cnn or resnet",
        )
    graphs.check(folder, BODIES[ImageEncoder.task])
    ImageProcessor.open(folder)


@final
class ImageEncoder(Encoder[ImageFeatures]):
    """A frozen encoder of pictures.

    What it gives is one vector for each part of a picture, or feature maps; most also give one
    vector for the whole, which is compared with the others where it is not one of them.
    """

    task = "image-classification"
    architecture = "SilmuProbeForImageClassification"
    many = "pictures"
    told: ClassVar = {
        MEAN: "the mean of all places",
        FIRST: "the first token",
        POOLER: "its own vector of the whole picture",
    }

    def __init__(self, folder: Folder, device: str = "auto") -> None:
        super().__init__(folder, device)
        self._processor: ImageProcessor = self._pipe.image_processor
        shape = (2, *self._processor.size, self._processor.channels)
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        found = self._poolings({"pixel_values": self._processor.normalised(noise)})
        self.sizes = {name: one.shape[1] for name, one in found.items()}
        others = [one for name, one in found.items() if name != POOLER]
        if POOLER in found and any(_alike(found[POOLER], one) for one in others):
            del self.sizes[POOLER]

    def examples(self, prepared: Prepared, split: str) -> ImageFeatures:
        """Pixels."""
        return features(prepared, split)

    def batches(self, examples: ImageFeatures) -> list[NDArray[np.int64]]:
        """Pictures are mixed, for those of a folder, and so of a label, lie together."""
        height, width = self._processor.size
        order = np.random.default_rng(0).permutation(len(examples)).astype(np.int64)
        count = min(max(PIXELS // (height * width), 1), MOST)
        return [np.sort(order[i : i + count]) for i in range(0, len(order), count)]

    def read(
        self, examples: ImageFeatures, indices: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float32]]:
        """Pictures of a split, each as one vector, by pooling."""
        return self.pooled({"pixel_values": self._processor.normalised(examples.pixels[indices])})

    def pooled(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """`pixel_values` (rows, channels, height, width) -> (rows, size) by pooling."""
        found = self._poolings(feeds)
        return {name: found[name] for name in self.sizes}

    def config(self) -> dict[str, Any]:
        """How large the pictures are, and how many channels they have."""
        return {
            "image_size": [*self._processor.size],
            "num_channels": self._processor.channels,
        }

    def _poolings(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        given: Mapping[str, NDArray[np.float32]] = self._pipe.model(**feeds)
        found: dict[str, NDArray[np.float32]] = {}
        states = given.get("last_hidden_state")
        if states is not None and states.ndim == 3:
            found = {MEAN: states.mean(axis=1), FIRST: np.ascontiguousarray(states[:, 0])}
        elif states is not None:
            found = {MEAN: states.mean(axis=(2, 3))}
        if (pooler := given.get("pooler_output")) is not None:
            found[POOLER] = pooler.reshape(len(pooler), -1)
        return found


def _alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    if one.shape != other.shape:
        return False
    return bool(np.abs(one - other).max() <= ALIKE * max(float(np.abs(other).max()), 1e-30))
