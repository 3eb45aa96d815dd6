"""One step of a training: the losses of its pieces, their gradients, and the weights moved."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from silmu.steps.design.cost import autocast
from silmu.steps.train import faults
from silmu.steps.train.batches import derive, seed_all
from silmu.steps.train.optimizers import Average, Optimizer, prepare_gradients, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from silmu.steps.train.batches import Plan
    from silmu.steps.train.checkpoints import State
    from silmu.steps.train.log import Log
    from silmu.steps.train.objective import Objective
    from silmu.steps.train.ranks import Ranks
    from silmu.steps.train.settings import Training

UNCHECKED = 20
"""How many losses may wait on an accelerator before it is asked whether they are numbers."""


@final
class Descent:
    """Gradient descent on the loss of an objective.

    A step is `backward`, then `move`; between them processes tell each other their losses.

    Args:
        objective: whose network is trained.
        training: how.
        plan: which examples a step has.
        total: how many steps there are.
        ranks: the processes that train together.

    Attributes:
        whole: whether a step is one piece in one process, whose mean loss is known at once.
    """

    def __init__(
        self, objective: Objective, training: Training, plan: Plan, total: int, ranks: Ranks
    ) -> None:
        self.objective, self.training, self.plan = objective, training, plan
        self.total, self.ranks = total, ranks
        groups = objective.groups(training.weight_decay)
        self.optimizer = Optimizer(objective.network, groups, training.learning_rate)
        decay = training.average
        self.average = None if decay is None else Average(self.optimizer.names, decay)
        self.whole = ranks.world == training.accumulation == 1
        self._waits = ranks.device.type != "cpu" and ranks.world == 1
        self._unchecked: list[tuple[int, Tensor]] = []

    def begin(self, state: State, log: Log) -> None:
        """Where to go on from, and what is told of the losses."""
        self.state, self.log = state, log

    def backward(
        self, batches: Iterator[dict[str, Tensor]]
    ) -> tuple[Tensor | float, Tensor | float]:
        """The gradients of this process's pieces of the next step.

        Returns:
            The sum of the losses, and by what to divide it; of a `whole` step their mean.
        """
        step, device = self.state.step, self.ranks.device
        loss: Tensor | float = 0.0
        weight: Tensor | float = 0.0
        for n, _ in enumerate(self.plan.pieces(step)):
            asked = time.monotonic()
            batch = next(batches)
            self.log.waited += time.monotonic() - asked
            if device.type != "cpu":
                batch = {key: one.to(device, non_blocking=True) for key, one in batch.items()}
            # So that dropout follows from the place alone, whatever was drawn before it.
            seed_all(derive(self.training.seed, "step", step, n, self.ranks.rank))
            with autocast(self.training.dtype, device.type):
                piece, share_of_it = self.objective.loss(batch)
            if self.whole:
                piece = piece / share_of_it
            piece.backward()
            loss = loss + piece.detach()
            weight = weight + share_of_it.detach()
        return loss, weight

    def move(self, loss: Tensor | float, weight: float) -> float | None:
        """Move the weights along the gradients of all processes.

        Args:
            loss: the mean of the whole step.
            weight: by what the gradients are to be divided.

        Returns:
            The loss; None where an accelerator has not been asked for it yet.

        Raises:
            TrainingError: the loss or the gradient is no number.
        """
        step, parameters = self.state.step, self.optimizer.parameters
        if not self._waits or not isinstance(loss, Tensor):
            loss = float(loss)
            self._check("the loss", loss, step)
        self.ranks.sum_gradients(parameters)
        norm = prepare_gradients(parameters, weight, self.training.clip)
        if norm is not None and not self._waits:
            self._check("the length of the gradient", float(norm), step)
        self.optimizer.step(self._share(step))
        self.state.step += 1
        if self.average is not None:
            self.average.update(self.state.step)
        self.log.examples += len(self.plan.indices(step))
        told: float | None = None
        if not isinstance(loss, Tensor):
            self.log.count(told := loss)
        else:
            self._unchecked.append((step, loss))
            if len(self._unchecked) >= UNCHECKED or self.log.is_due:
                told = self.check()
        if self.log.is_due:
            self.log.line(self.training.learning_rate * self._share(step))
        return told

    def check(self) -> float | None:
        """Ask the device for the losses that nobody has looked at; the last of them, if any.

        Raises:
            TrainingError: one is no number.
        """
        if not self._unchecked:
            return None
        losses: list[float] = torch.stack([loss for _, loss in self._unchecked]).tolist()
        for (step, _), loss in zip(self._unchecked, losses, strict=True):
            self._check("the loss", loss, step)
            self.log.count(loss)
        self._unchecked.clear()
        return losses[-1]

    def _share(self, step: int) -> float:
        """The part of the learning rate at which a step is done."""
        return share(self.training.schedule, self.training.warmup, step, self.total)

    def _check(self, what: str, value: float, step: int) -> None:
        if not math.isfinite(value):
            raise faults.not_a_number(what, value, step, self.objective, self.plan, self.state)
