"""What the loop trains where examples are texts: batches of token ids, losses by kind of label."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from silmu.steps.train.examples import ExamplesObjective
from silmu.steps.train.validation import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.prepare.prepared import Features, Prepared

VALIDATION_TOKENS = 4096
"""How many tokens, padding included, are evaluated at once."""


class TextObjective(ExamplesObjective):
    """A network that reads token ids, and the examples of a prepared data set.

    Args:
        network: called with `input_ids` and `attention_mask` (and `token_type_ids` for pairs), all
            (rows, tokens); gives logits (rows, outputs), or an object that has them.
        prepared: whose training split is learnt and whose validation split decides.
        settings: `class_weights` and `label_smoothing`.
    """

    train: Features
    validation: Features

    def __init__(self, network: nn.Module, prepared: Prepared, settings: Mapping[str, Any]) -> None:
        splits = (prepared.features(split) for split in ("train", "validation"))
        super().__init__(network, prepared, settings, *splits)
        self.metric, self.higher_is_better = METRICS[prepared.kind]
        self.lengths = self.train.lengths
        config: Any = getattr(network, "config", None)
        self.pad: int = getattr(config, "pad_token_id", None) or 0

    def batch(self, indices: NDArray[np.int64], seed: int) -> dict[str, Tensor]:
        """Token ids padded to the longest, their mask, and targets."""
        del seed  # nothing about a text is drawn by chance before the network sees it
        return self._batch(self.train, indices)

    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The sum of losses, and their weight."""
        return self._loss(self.logits(batch), batch["targets"])

    def logits(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(rows, outputs), in fp32."""
        inputs = {name: value for name, value in batch.items() if name != "targets"}
        found = self.network(**inputs)
        return (found if isinstance(found, Tensor) else found.logits).float()

    def validation_logits(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """(examples, outputs) for the validation split, and its targets as training sees them."""
        features = self.validation
        order = np.argsort(features.lengths, kind="stable")
        parts: list[NDArray[np.float32]] = []
        start = 0
        while start < len(order):
            # Sorted, so the longest of a batch is its last.
            size = 1
            while (
                start + size < len(order)
                and (size + 1) * features.lengths[order[start + size]] <= VALIDATION_TOKENS
            ):
                size += 1
            batch = self._batch(features, order[start : start + size])
            batch = {name: value.to(self.device) for name, value in batch.items()}
            parts.append(self.logits(batch).cpu().numpy())
            start += size
        logits = np.empty((len(order), parts[0].shape[1]), np.float32)
        logits[order] = np.concatenate(parts)
        return logits, self.targets(features, np.arange(len(order)))

    def _batch(self, features: Features, indices: NDArray[Any]) -> dict[str, Tensor]:
        width = int(features.lengths[indices].max())
        ids = np.full((len(indices), width), self.pad, np.int64)
        mask = np.zeros((len(indices), width), np.int64)
        types: NDArray[np.int64] | None = None
        for row, index in enumerate(indices):
            own = features.ids(int(index))
            ids[row, : len(own)] = own
            mask[row, : len(own)] = 1
            kinds = features.type_ids(int(index))
            if kinds is not None:
                types = np.zeros_like(ids) if types is None else types
                types[row, : len(kinds)] = kinds
        arrays = {
            "input_ids": ids,
            "attention_mask": mask,
            "targets": self.targets(features, indices),
        }
        if types is not None:
            arrays["token_type_ids"] = types
        return {name: torch.from_numpy(array) for name, array in arrays.items()}
