"""How it is told that a training ends before its time: where it was, why, and what is saved."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from silmu.errors import Interrupted, TrainingError
from silmu.steps.train.batches import derive

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from silmu.steps.train.batches import Plan
    from silmu.steps.train.checkpoints import State
    from silmu.steps.train.objective import Objective


def interrupted(where: str, folder: Path, signal: int) -> Interrupted:
    """A signal came; the same command goes on later.

    Args:
        where: it stopped, and what of it is saved.
        folder: `4-train/` of the run.
        signal: its number.
    """
    return Interrupted(
        f"{where}; `silmu train {folder.parent}` goes on from there", code=128 + signal
    )


def not_a_number(
    what: str, value: float, step: int, objective: Objective, plan: Plan, state: State
) -> TrainingError:
    """A loss or a gradient is NaN or infinite; the examples that make it so are named.

    Args:
        what: it is.
        value: that it has.
        step: whose it is, from 0.
        objective: that is trained.
        plan: which examples a step has.
        state: of the training.
    """
    indices = plan.indices(step)
    seed = derive(plan.seed, "examples", plan.epoch_of(state.step))
    guilty = _without_finite_loss(objective, indices, seed)
    which = "examples" if len(guilty) == len(indices) else "examples without a finite loss"
    names = ", ".join(objective.names(guilty[:20])) + (", ..." if len(guilty) > 20 else "")
    last = f"the last good checkpoint is {state.saved}" if state.saved else "none saved"
    return TrainingError(
        f"{what} is {value} at step {step + 1} (epoch {plan.epoch_of(step) + 1}; "
        f"{which}: {names}); {last}",
        hint="look at these examples, or start a run with a lower learning rate",
    )


def diverged(what: str, value: float, state: State) -> TrainingError:
    """What is measured of the network as a whole is NaN or infinite.

    Args:
        what: it is.
        value: that it has.
        state: of the training.
    """
    return TrainingError(
        f"{what} is {value} after step {state.step:,}; the last good checkpoint is "
        f"{state.saved or 'none'}",
        hint="start a run with a lower learning rate",
    )


def too_little_memory(objective: Objective, plan: Plan, state: State, total: int) -> TrainingError:
    """A step asked for more memory than there is.

    Args:
        objective: that is trained.
        plan: which examples a step has, and in how many pieces.
        state: of the training.
        total: how many steps it has.
    """
    step, pieces = state.step, plan.num_pieces
    size = -(-plan.batch_size // (plan.world * pieces))
    longest = ""
    if objective.lengths is not None and step < total:
        most = int(np.asarray(objective.lengths)[plan.indices(step)].max())
        longest = f", the longest of {most:,}"
    saved = f"the checkpoint {state.saved} is sound" if state.saved else "none is saved"
    return TrainingError(
        f"too little memory at step {step + 1} for {size} examples at once{longest}; {saved}",
        hint=f"start a run with accumulation = {2 * pieces}: equal batches, smaller pieces",
    )


def _without_finite_loss(
    objective: Objective, indices: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """The examples whose own loss is no number; all of them if that cannot be told."""
    objective.network.eval()
    guilty: list[Any] = []
    with torch.no_grad():
        for index in indices.tolist():
            batch = objective.batch(np.array([index]), seed)
            batch = {key: one.to(objective.device) for key, one in batch.items()}
            loss, weight = objective.loss(batch)
            if not math.isfinite(float(loss)) or not math.isfinite(float(weight)):
                guilty.append(index)
    return np.array(guilty) if guilty else indices
