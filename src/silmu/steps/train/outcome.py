"""What the validation split tells of a network whose training is done."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from silmu.steps.prepare.thresholds import choose_thresholds
from silmu.steps.train.calibration import temperature
from silmu.steps.train.validation import sigmoid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Validated(Protocol):
    """A network with the examples of a validation split."""

    network: nn.Module
    kind: str

    def validation_logits(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """(rows, outputs), and the targets as training sees them."""
        ...


def calibrated(objective: Validated) -> tuple[float, list[float] | None]:
    """How certain a network is to be, and from what score on labels are told.

    Returns:
        The temperature of its logits; and, where several labels are told at once, from what score
        on each is told, once the logits are divided by it.
    """
    if objective.kind == "number":
        return 1.0, None
    objective.network.eval()
    with torch.inference_mode():
        logits, targets = objective.validation_logits()
    divisor = temperature(objective.kind, logits, targets)
    if objective.kind != "multiple":
        return divisor, None
    return divisor, choose_thresholds(sigmoid(logits / divisor), targets)
