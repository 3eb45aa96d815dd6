"""What a probe reads with: an encoder that stays as it is, of texts or of pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from silmu import graphs, pipelines, registry
from silmu.graphs.silmu_probe import BODIES, ENCODER
from silmu.runtime import weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder
    from silmu.runtime.weights import Tensor
    from silmu.steps.prepare.prepared import Prepared


class Examples(Protocol):
    """One split as a network reads it.

    Attributes:
        targets: int64 (rows,), uint8 (rows, labels), or float32 (rows,).
    """

    targets: NDArray[Any]

    def __len__(self) -> int: ...


E = TypeVar("E", bound=Examples)


class Encoder(ABC, Generic[E]):
    """A frozen encoder, as the engine computes it that will answer later.

    Args:
        folder: of the model.
        device: `auto`, or as `pipeline` takes it.

    Attributes:
        sizes: how long its vectors are, by each pooling that is to be compared.
    """

    task: ClassVar[str]
    """What is learnt on it."""
    architecture: ClassVar[str]
    """What config.json of the whole calls it."""
    many: ClassVar[str]
    """What it reads."""
    told: ClassVar[Mapping[str, str]]
    """What each pooling is, in words."""

    sizes: dict[str, int]

    def __init__(self, folder: Folder, device: str = "auto") -> None:
        self.folder = folder
        self._pipe = pipelines.pipeline(
            BODIES[self.task],
            model=str(folder.path),
            device=None if device == "auto" else device,
        )
        self.device = str(self._pipe.device)

    @abstractmethod
    def examples(self, prepared: Prepared, split: str) -> E:
        """What is read of the training or the validation split."""

    @abstractmethod
    def batches(self, examples: E) -> list[NDArray[np.int64]]:
        """All examples by their numbers, those together that are read at once; always the same.

        Where they are not all of one cost, the cheapest come first.
        """

    @abstractmethod
    def read(self, examples: E, indices: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Examples of a split, each as one vector, by pooling."""

    @abstractmethod
    def pooled(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """What the graph is given -> (rows, size), by pooling.

        Raises:
            InvalidModelError: what the encoder computes is no number.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What config.json of the whole says of what goes in."""

    def notes(self, examples: E) -> list[str]:
        """What is told beforehand of how it suits the examples."""
        del examples
        return []

    def tensors(self) -> dict[str, Tensor]:
        """What of its checkpoint belongs to the encoder, by the names that a probe gives it."""
        found = weights.Weights.open(self.folder)
        model_type = self.folder.config["model_type"]
        family = registry.graph_module(model_type)
        prefix = "" if family is None else graphs.prefix(family, model_type)
        within = {name: one for name, one in found.tensors.items() if name.startswith(prefix)}
        own = within or found.tensors
        return {f"{ENCODER}{name.removeprefix(prefix)}": one for name, one in own.items()}


def chosen(
    batches: list[NDArray[np.int64]], most: int | None, seed: int
) -> list[NDArray[np.int64]]:
    """The batches of the training split that are read: all, or as many, drawn by chance."""
    if most is None or most >= len(batches):
        return batches
    drawn = np.random.default_rng(seed).choice(len(batches), most, replace=False)
    return [batches[i] for i in sorted(drawn.tolist())]
