"""What the loop trains: a network, its examples, its loss, and how well it does."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

_NORMS = ("BatchNorm", "InstanceNorm", "LayerNorm", "GroupNorm", "RMSNorm")


class Objective(ABC):
    """What a task gives to the loop.

    `network` is trained on the examples 0 to `num_examples` - 1, in an order that the loop makes.
    """

    network: nn.Module
    num_examples: int
    metric: str
    """The key of `validate()` by which the best weights are known."""
    higher_is_better: bool
    lengths: NDArray[np.integer[Any]] | None = None
    """How long each example is, so that batches can be made of like ones."""

    @abstractmethod
    def batch(self, indices: NDArray[np.int64], seed: int) -> dict[str, Tensor]:
        """The tensors of some examples, on the CPU.

        Nothing but the arguments may decide what is in them, for they may be made in another
        process, ahead of time and once more. What is random in an example (a crop, a masked word)
        is drawn from `derive(seed, index)`; the seed is another in each epoch.
        """

    @abstractmethod
    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The sum of the losses of a batch, and by what to divide it.

        The second is the number of examples or of tokens, or the sum of their weights: batches
        that are computed in pieces then give the mean of the whole, not the mean of means.
        """

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """The metrics on the validation split, among them `metric` and `loss`.

        The network is in evaluation mode and without gradients when this is called.
        """

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """The parameters that learn, in groups with settings of their own.

        A group has `params`, and may have `weight_decay`, `rate` (times the learning rate) and
        `sparse` (its gradients are sparse: only rows that a batch uses are updated). Unless
        overridden, weights decay, but biases, norms and embeddings do not.
        """
        kept: set[int] = set()
        for module in self.network.modules():
            is_norm = any(name in type(module).__name__ for name in _NORMS)
            if is_norm or isinstance(module, nn.Embedding | nn.EmbeddingBag):
                kept |= {id(one) for one in module.parameters(recurse=False)}
        learning = [one for one in self.network.parameters() if one.requires_grad]
        decaying = [one for one in learning if one.ndim > 1 and id(one) not in kept]
        chosen = {id(one) for one in decaying}
        others = [one for one in learning if id(one) not in chosen]
        sparse = {
            id(module.weight)
            for module in self.network.modules()
            if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse
        }
        return [
            {"params": decaying, "weight_decay": weight_decay},
            {"params": [one for one in others if id(one) not in sparse], "weight_decay": 0.0},
            {"params": [one for one in others if id(one) in sparse], "sparse": True},
        ]

    def names(self, indices: NDArray[np.int64]) -> list[str]:
        """What a user calls these examples, for a message; as it stands, their numbers."""
        return [str(int(index)) for index in indices]

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device
