"""How to train: the settings of the loop, and which of them decide the weights."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, final

from silmu.errors import UsageError
from silmu.steps.train.optimizers import SCHEDULES

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_EFFECT = ("workers", "checkpoint_seconds", "keep", "fingerprint")


@final
@dataclass(frozen=True)
class Training:
    """How to train. All but `workers`, `checkpoint_seconds` and `keep` decide the weights.

    >>> Training(epochs=3, batch_size=32, learning_rate=1e-3).schedule
    'linear'
    """

    epochs: int
    batch_size: int
    """Examples of a step, over all processes and pieces."""
    learning_rate: float
    accumulation: int = 1
    """In how many pieces a process computes its share of a batch, to save memory."""
    weight_decay: float = 0.01
    warmup: float = 0.1
    """The share of the steps in which the learning rate rises."""
    schedule: str = "linear"
    clip: float | None = 1.0
    """To which length gradients are shortened."""
    patience: int | None = None
    """After how many validations in a row without a better one to stop."""
    evaluations: int = 1
    """Validations an epoch."""
    average: float | None = None
    """The decay of a moving average of the weights, which then is validated and kept."""
    dtype: str = "fp32"
    bucket: bool = True
    """Make batches of examples of like lengths."""
    workers: int = 0
    """Processes that make batches ahead of time."""
    threads: int | None = None
    device: str = "auto"
    seed: int = 0
    checkpoint_seconds: float = 120.0
    keep: int = 1
    """How many checkpoints stay besides the newest and the best."""
    optimizer: str = "adamw"
    max_steps: int | None = None
    fingerprint: str = ""
    """Of the data and of whatever else decides the result."""

    @classmethod
    def of(cls, settings: Mapping[str, Any], *, fingerprint: str) -> Training:
        """The settings of the loop, out of all settings."""
        names = {field.name for field in fields(cls)}
        own = {name: value for name, value in settings.items() if name in names}
        return cls(**own, fingerprint=fingerprint)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulation", "evaluations"):
            _need(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("threads", "patience", "max_steps"):
            value = getattr(self, name)
            _need(name, value, value is None or value >= 1, "at least 1, or left out")
        for name in ("workers", "keep", "seed", "checkpoint_seconds", "weight_decay"):
            _need(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        rate = self.learning_rate
        _need("learning_rate", rate, 0 < rate < math.inf, "more than 0")
        _need("warmup", self.warmup, 0 <= self.warmup < 1, "from 0 to less than 1")
        _need("clip", self.clip, self.clip is None or self.clip > 0, "more than 0, or left out")
        average = self.average
        _need("average", average, average is None or 0 < average < 1, "between 0 and 1")
        for name, allowed in (
            ("schedule", SCHEDULES),
            ("dtype", ("fp32", "bf16")),
            ("optimizer", ("adamw",)),
        ):
            value = getattr(self, name)
            _need(name, value, value in allowed, " or ".join(allowed))

    @property
    def decisive(self) -> dict[str, Any]:
        """Those that decide the weights, without the data."""
        return {name: value for name, value in asdict(self).items() if name not in _NO_EFFECT}


def _need(name: str, value: object, holds: bool, allowed: str) -> None:
    if not holds:
        raise UsageError(f"{name} is {value!r}; it must be {allowed}")
