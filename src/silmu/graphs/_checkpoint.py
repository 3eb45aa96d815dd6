"""The weights of a model, held against what its config.json implies of them."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu.errors import InvalidModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.weights import Weights

_LAYER = re.compile(r"\.(\d{1,9})(?=\.)")


@final
class Checkpoint:
    """Tensors of a checkpoint, which must be there as floats.

    Args:
        weights: its tensors by name.
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._used: set[str] = set()

    def joined(
        self, names: tuple[str, ...], *, transposed: bool = False, axis: int = -1
    ) -> NDArray[Any]:
        """Tensors, joined along an axis after the transposition.

        Raises:
            InvalidModelError: one is absent, or not of floats.
        """
        arrays = [self._read(name) for name in names]
        self._used.update(names)
        arrays = [array.T if transposed else array for array in arrays]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=axis)

    def checked(
        self, array: NDArray[Any], name: str, shape: tuple[int, ...] | None
    ) -> NDArray[Any]:
        """An array that was read from here or computed, if it may be part of a graph.

        Args:
            array: the numbers.
            name: what they are called in an error.
            shape: that config.json implies, if it does.

        Raises:
            InvalidModelError: its shape is another, or a number is NaN or infinite.
        """
        if shape is not None and array.shape != shape:
            raise InvalidModelError(
                f"`{self.weights.name}` has {name} of shape {array.shape}, "
                f"where its config.json implies {shape}"
            )
        if array.dtype == np.float32 and not np.isfinite([array.min(), array.max()]).all():
            raise InvalidModelError(f"`{self.weights.name}` has NaN or infinity in {name}")
        return array

    def refuse_layers_left_over(self) -> None:
        """A checkpoint with more layers than were read is of another model.

        Raises:
            InvalidModelError: it has.
        """
        layers: dict[str, int] = {}
        for name in self._used:
            for match in _LAYER.finditer(name):
                stem = name[: match.start()]
                layers[stem] = max(int(match[1]), layers.get(stem, 0))
        for name in self.weights.tensors:
            for match in _LAYER.finditer(name):
                last = layers.get(name[: match.start()], sys.maxsize)
                if int(match[1]) > last:
                    raise InvalidModelError(
                        f"config.json of `{self.weights.name}` says {last + 1} layers, and "
                        f"its weights have {name}"
                    )

    def _read(self, name: str) -> NDArray[Any]:
        array = self.weights[name]
        if array.dtype != np.float32:
            raise InvalidModelError(
                f"`{self.weights.name}` has {name} in {array.dtype}, where a float is needed"
            )
        return array
