"""The log of a training: a line of so many steps, one of each validation, and what time it took."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Generator

    from silmu.steps.train.board import Board
    from silmu.steps.train.checkpoints import State

LINES = 1000
"""Of a long training the log has about so many lines, each the mean of the steps between."""


@final
class Log:
    """What `log.jsonl` is told, one JSON object a line.

    The lines, and the losses that are not yet in one, are kept in the state of the training, so
    that a checkpoint has them.

    Args:
        state: of the training.
        total: how many steps it has.
        per_epoch: how many of these are an epoch.
        board: which is told the same.

    Attributes:
        examples: how many were trained on since the last line.
        waited: for how many seconds of these the network waited for its examples.
    """

    def __init__(self, state: State, *, total: int, per_epoch: int, board: Board | None) -> None:
        self.state, self.per_epoch, self.board = state, per_epoch, board
        self.every = max(1, total // LINES)
        self.earlier = state.seconds
        self.began = self.line_at = time.monotonic()
        self.examples, self.waited = 0, 0.0

    @property
    def is_due(self) -> bool:
        """Whether the step that was done last ends a line."""
        return self.state.step % self.every == 0

    @property
    def seconds(self) -> float:
        """How long training has taken, over all its sittings."""
        return self.earlier + time.monotonic() - self.began

    @property
    def waiting(self) -> float:
        """The share of the time that was spent waiting, by the lines."""
        lines = [json.loads(line) for line in self.state.lines]
        shares = [float(line["waiting"]) for line in lines if "waiting" in line]
        return sum(shares) / len(shares) if shares else 0.0

    @contextmanager
    def paused(self) -> Generator[None]:
        """In here nothing is trained: the rate in the log is that of training."""
        began = time.monotonic()
        yield
        self.line_at += time.monotonic() - began

    def count(self, loss: float) -> None:
        """Take in the loss of a step, for the next line."""
        self.state.summed += loss
        self.state.counted += 1

    def line(self, learning_rate: float) -> None:
        """Write of the steps since the last line."""
        state, now = self.state, time.monotonic()
        mean = state.summed / state.counted
        state.summed, state.counted = 0.0, 0
        passed = max(now - self.line_at, 1e-9)
        self.write(
            loss=mean,
            learning_rate=learning_rate,
            examples_per_second=round(self.examples / passed, 2),
            waiting=round(self.waited / passed, 4),
        )
        self.line_at, self.examples, self.waited = now, 0, 0.0

    def write(self, **numbers: Any) -> None:
        """A line of these numbers, after the step that was done last."""
        step = self.state.step
        line = {"step": step, "epoch": round(step / self.per_epoch, 4), **numbers}
        line["seconds"] = round(self.seconds, 3)
        self.state.lines.append(json.dumps(line, allow_nan=False))
        if self.board is not None:
            self.board.add(line)

    def close(self) -> None:
        """Let the board write what is left."""
        if self.board is not None:
            self.board.close()
