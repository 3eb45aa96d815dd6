"""4: one loop for every task, whose result does not depend on how often it was interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from silmu.steps.train.loop import Outcome as Outcome
    from silmu.steps.train.loop import fit as fit
    from silmu.steps.train.objective import Objective as Objective
    from silmu.steps.train.progress import Progress as Progress
    from silmu.steps.train.settings import Training as Training

__all__ = ["Objective", "Outcome", "Progress", "Training", "fit"]


def __getattr__(name: str) -> Any:
    # Late, so that what only looks around here needs no torch.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from silmu.steps.train import loop, objective, progress, settings

    for module in (loop, objective, progress, settings):
        if name in vars(module):
            return getattr(module, name)
    raise AttributeError(name)
