"""What the design step leaves in `3-design.json`: the network, and what it will cost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, final

from silmu import store
from silmu.errors import CorruptError

FILE = "3-design.json"

FROM_NOTHING = ("perceptron", "cnn", "rnn", "lstm", "gru", "transformer")
"""The networks for texts that are trained from nothing; any other name is of a model."""

PROBE = "probe"
"""A linear head on a frozen encoder; `probe:MODEL` says which."""

FOR_TABLES = ("tabm", "perceptron")
"""The networks for tables."""

FOR_IMAGES = ("perceptron", "mlp", "cnn", "resnet")
"""The networks for pictures that are trained from nothing; any other name is of a model."""

FOR_POLICIES = ("mlp", "cnn", "gru")
"""The networks that act."""

FOR_SERIES = ("rnn", "lstm", "gru", "tcn", "dlinear", "patchtst", "transformer")
"""The networks for series."""


@final
@dataclass(frozen=True, kw_only=True)
class Cost:
    """What was measured on this machine, and what it means for the whole.

    Attributes:
        step_seconds: of one batch, forward, backward and update, by dtype; the mean over batches
            of all lengths.
        dtype: the faster one, in which training computes.
        steps: of the whole training.
        train_seconds: the forecast of the whole training, evaluations and checkpoints included.
        answer_seconds: of one typical example through the network.
        memory: bytes that training holds at its fullest: weights, gradients, the optimizer's
            state, and what the longest batch keeps for its backward pass.
    """

    step_seconds: dict[str, float]
    dtype: str
    steps: int
    train_seconds: float
    answer_seconds: float
    memory: int

    def told(self) -> list[str]:
        """Lines for a person."""
        steps = ", ".join(f"{name} {short(s)}" for name, s in self.step_seconds.items())
        return [
            f"memory       {self.memory / 1e6:,.0f} MB while training",
            f"a step       {steps}; {self.dtype} is taken",
            f"training     {self.steps:,} steps, about {spoken(self.train_seconds)}",
            f"an answer    about {1000 * self.answer_seconds:,.1f} ms, before the graph is fused",
        ]


def short(seconds: float) -> str:
    """A short time, in whole numbers.

    >>> short(0.0123), short(0.000077)
    ('12 ms', '77 µs')
    """
    return f"{1e3 * seconds:,.0f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:,.0f} µs"


def clock(seconds: float) -> str:
    """When something ends that takes so many seconds from now, as one reads it on a clock."""
    now = datetime.now()
    end = now + timedelta(seconds=min(seconds, 1e8))
    return end.strftime("%H:%M" if end.date() == now.date() else "%Y-%m-%d %H:%M")


def spoken(seconds: float) -> str:
    """A length of time in words.

    >>> spoken(95)
    '1 min 35 s'
    """
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def probed(network: str) -> str | None:
    """The encoder that a probe reads with, "" where none is named; None for another network.

    >>> probed("probe:org/encoder")
    'org/encoder'
    """
    kind, _, encoder = network.partition(":")
    return encoder if kind == PROBE else None


@dataclass(frozen=True)
class Layer:
    """A part of a network that has parameters.

    Attributes:
        name: where it is in the network; `0-5` in it stands for repeated parts.
        kind: its class.
        shape: of its weights, such as `30522 x 384`.
        parameters: how many numbers it learns, all repetitions together.
    """

    name: str
    kind: str
    shape: str
    parameters: int


@final
@dataclass(frozen=True, kw_only=True)
class Design:
    """What `3-design.json` holds.

    Attributes:
        network: the kind of network, or the model folder that is fine-tuned.
        settings: every setting of training that was open, decided.
        layers: from input to output.
        parameters, trainable: how many numbers there are, and how many of them training changes.
        cost: what was measured and what it means for the whole.
        notes: what was chosen and why, a sentence each.
    """

    network: str
    settings: dict[str, Any]
    layers: tuple[Layer, ...]
    parameters: int
    trainable: int
    cost: Cost
    notes: tuple[str, ...] = field(default=())

    def leave(self, run: Path) -> None:
        """Writes it into a run folder."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1)
        store.write_file(run / FILE, text.encode())

    @classmethod
    def open(cls, run: Path) -> Design | None:
        """Reads it from a run folder; None where there is none yet.

        Raises:
            CorruptError: the file is not what was written.
        """
        path = run / FILE
        if not path.exists():
            return None
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
            found["layers"] = tuple(Layer(**layer) for layer in found["layers"])
            found["notes"] = tuple(found["notes"])
            found["cost"] = Cost(**found["cost"])
            return cls(**found)
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptError(
                f"{path} is not a design: {error}", hint="remove it, and it is made again"
            ) from error

    def told(self) -> str:
        """The design as lines for a person."""
        width = max((len(layer.name) for layer in self.layers), default=0)
        kinds = max((len(layer.kind) for layer in self.layers), default=0)
        lines = [
            f"  {layer.name:{width}}  {layer.kind:{kinds}}  {layer.shape:>16}  "
            f"{layer.parameters:>12,}"
            for layer in self.layers
        ]
        frozen = self.parameters - self.trainable
        rest = f", {frozen:,} of them frozen" if frozen else ""
        return "\n".join(
            [
                f"network      {self.network}",
                *lines,
                f"parameters   {self.parameters:,}{rest}",
                *self.cost.told(),
                *(f"note         {note}" for note in self.notes),
            ]
        )
