"""What lies between the layers of a network that reads pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from silmu import graphs
from silmu.errors import ModelNotFoundError, UnsupportedModelError
from silmu.steps.evaluate.image.rasters import Pixels

MOST_LAYERS = 8
"""Layers that are looked at, evenly from the first to the last."""

MOST_PIXELS = 400_000
AT_ONCE = 32
"""Pictures that are computed at once, and their pixels together."""

MOST_FEATURES = 4096
"""Numbers that are kept of a picture in a layer."""

FINEST = 4
"""A layer is pooled to so many places a side at most; the picture itself to eight times as many."""


@final
class Map:
    """What a layer holds of some pictures.

    Attributes:
        values: float32 (rows, channels, height, width); of tokens those of patches, on their grid.
        others: float32 (rows, tokens, channels) of tokens that stand for no patch.
    """

    def __init__(
        self, values: NDArray[np.float32], others: NDArray[np.float32] | None = None
    ) -> None:
        self.values = values
        self.others = np.zeros((len(values), 0, values.shape[1])) if others is None else others

    def features(self) -> NDArray[np.float32]:
        """(rows, numbers): means over a coarse grid of places, and the tokens of no place."""
        rows, channels = self.values.shape[:2]
        size = next((n for n in range(FINEST, 1, -1) if channels * n * n <= MOST_FEATURES), 1)
        pooled = pool(self.values, size).reshape(rows, -1)
        found = np.concatenate([pooled, self.others.reshape(rows, -1)], axis=1)
        return found[:, :MOST_FEATURES].astype(np.float32)


@final
class Activations:
    """A network that shows what lies between its layers.

    Args:
        pipe: a pipeline for image-classification.

    Attributes:
        names: of the layers that are looked at, in the order of the network.
        filters: as in `graphs.Described`.
        fields: as in `graphs.Described`.

    Raises:
        UnsupportedModelError: nothing between its layers is known, as it is a graph that another
            program exported, or of an architecture that shows none.
    """

    def __init__(self, pipe: Any) -> None:
        self._processor = pipe.image_processor
        config: dict[str, Any] = pipe.model.config.to_dict()
        # A probe is a head on an encoder, which has a config of its own.
        self._encoder: dict[str, Any] = config.get("encoder") or config
        try:
            self._session = graphs.open_layers(pipe.model.folder, pipe.model.head)
        except ModelNotFoundError as error:
            if pipe.model.exported is None:
                raise
            raise UnsupportedModelError(
                f"`{pipe.model.name_or_path}` is a graph that another program exported, without "
                "the weights that it was made of"
            ) from error
        shown = [name for name in self._session.outputs if name.startswith(graphs.SHOWN)]
        self.names = evenly(shown, MOST_LAYERS)
        self.all_names = shown
        described = graphs.described(self._session)
        self.filters = described.filters
        self.fields = described.fields

    def is_of_tokens(self, name: str) -> bool:
        """Whether a layer holds tokens, of which each reads the whole picture."""
        return len(self._session.outputs[name].shape) == 3

    def of(self, pixels: Pixels) -> dict[str, Map]:
        """What the layers hold of pictures (rows, height, width, channels).

        The logits are among them, as `logits`, with one place.
        """
        feeds = {"pixel_values": self._processor.normalised(pixels)}
        found = self._session.run(feeds, [*self.names, "logits"])
        height, width = pixels.shape[1:3]
        return {name: self._map(value, height, width) for name, value in found.items()}

    def batches(self, pixels: Sequence[Pixels]) -> Iterator[tuple[slice, dict[str, Map]]]:
        """What the layers hold of many pictures, some at a time, and of which these are."""
        if not len(pixels):
            return
        height, width = pixels[0].shape[:2]
        size = max(1, min(AT_ONCE, MOST_PIXELS // (height * width)))
        for start in range(0, len(pixels), size):
            some = np.stack([pixels[i] for i in range(start, min(start + size, len(pixels)))])
            yield slice(start, start + len(some)), self.of(some)

    def _map(self, value: NDArray[np.float32], height: int, width: int) -> Map:
        if value.ndim == 4:
            return Map(value)
        if value.ndim == 2:
            return Map(value[:, :, None, None])
        patch: Any = self._encoder.get("patch_size") or 1
        down, across = cast("list[int]", patch) if isinstance(patch, list) else (patch, patch)
        rows, tokens, hidden = value.shape
        sides = grid(tokens, height // down, width // across)
        if sides is None:
            return Map(value.transpose(0, 2, 1)[..., None])
        before = tokens - sides[0] * sides[1]
        placed = value[:, before:].reshape(rows, *sides, hidden).transpose(0, 3, 1, 2)
        return Map(placed, value[:, :before])


def evenly(names: list[str], most: int) -> tuple[str, ...]:
    """Some of many, the first and the last among them.

    >>> evenly([*"abcdefg"], 3)
    ('a', 'd', 'g')
    """
    if len(names) <= most:
        return tuple(names)
    return tuple(names[round(i * (len(names) - 1) / (most - 1))] for i in range(most))


def grid(tokens: int, down: int, across: int) -> tuple[int, int] | None:
    """How tokens lie on a picture of so many patches; None where they do not.

    A few tokens may stand before them for no patch; layers that join neighbours halve the sides.

    >>> grid(197, 14, 14), grid(49, 56, 56), grid(201, 14, 14)
    ((14, 14), (7, 7), (14, 14))
    """
    while down and across:
        if 0 <= tokens - down * across <= 8:
            return down, across
        if tokens > down * across:
            return None
        down, across = -(-down // 2), -(-across // 2)
        if down == across == 1:
            return (1, 1) if tokens <= 8 else None
    return None


def pool(values: NDArray[Any], size: int) -> NDArray[np.float64]:
    """(rows, channels, height, width) -> means over a grid of at most `size` places a side."""
    for axis in (2, 3):
        length = values.shape[axis]
        count = min(size, length)
        starts = np.arange(count) * length // count
        sizes = np.diff([*starts, length])
        shape = [1] * values.ndim
        shape[axis] = count
        values = np.add.reduceat(values, starts, axis=axis) / sizes.reshape(shape)
    return values


def raw_features(pixels: Pixels) -> NDArray[np.float32]:
    """The numbers of pictures (rows, height, width, channels) themselves, pooled where many."""
    values = pixels.transpose(0, 3, 1, 2).astype(np.float64) / 255
    side = int((MOST_FEATURES / values.shape[1]) ** 0.5)
    return pool(values, min(side, 8 * FINEST)).reshape(len(pixels), -1).astype(np.float32)
