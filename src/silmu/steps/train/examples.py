"""What the loop trains where each example has a truth that is told: how it is judged."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from silmu.steps.train import losses
from silmu.steps.train.objective import Objective
from silmu.steps.train.validation import Scale, measured

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.prepare.prepared import Prepared


class ExamplesObjective(Objective):
    """A network, and the examples of two splits with their targets.

    Args:
        network: what is trained.
        prepared: that the splits are of.
        settings: `class_weights` and `label_smoothing`.
        train: the examples that are learnt; it has a length and `targets`.
        validation: those that decide.
    """

    def __init__(
        self,
        network: nn.Module,
        prepared: Prepared,
        settings: Mapping[str, Any],
        train: Any,
        validation: Any,
    ) -> None:
        self.network = network
        self.kind = prepared.kind
        self.metric, self.higher_is_better = "loss", False
        self.train, self.validation = train, validation
        self.num_examples = len(train)
        self.lengths = np.ones(self.num_examples, np.int32)
        weights = prepared.class_weights if settings.get("class_weights") else None
        self._loss = losses.loss(
            prepared.kind,
            weights=None if weights is None else torch.from_numpy(weights),
            label_smoothing=float(settings.get("label_smoothing") or 0),
        )
        # What is told is told in the user's unit; what is learnt is near 0 and of size 1.
        self.scale = Scale.of(train.targets) if prepared.kind == "number" else None

    @abstractmethod
    def validation_logits(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """(rows, outputs) for the validation split, and its targets as training sees them."""

    def validate(self) -> dict[str, float]:
        """The loss and the metrics of the validation split."""
        logits, targets = self.validation_logits()
        total, weight = self._loss(torch.from_numpy(logits), torch.from_numpy(targets))
        found = {"loss": float(total / weight)}
        return found | measured(self.kind, logits, targets, self.scale)

    def targets(self, examples: Any, indices: NDArray[Any]) -> NDArray[Any]:
        """What is true of some examples, as training sees it."""
        targets = examples.targets[indices]
        if self.scale is not None:
            return self.scale.inward(targets)
        return targets.astype(np.float32) if self.kind == "multiple" else np.array(targets)
