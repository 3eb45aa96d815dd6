"""The loop around an algorithm: log, evaluation, checkpoints, however often it is stopped."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np

from silmu import store
from silmu.steps.train import faults
from silmu.steps.train.checkpoints import Best, Checkpoints, State
from silmu.steps.train.progress import Progress
from silmu.steps.train.provenance import versions
from silmu.steps.train.reinforcement.judging import Judge, does_as_well
from silmu.steps.train.signals import Signals
from silmu.steps.train.tensors import signature

if TYPE_CHECKING:
    from torch import Tensor, nn

    from silmu.errors import Interrupted

METRIC = "mean_return"
LINES = 400
"""About so many lines of a log."""

MOST_JUDGED = 4
"""For each step of training judgements take at most so many, but for the first and the last."""

RECENT = 100
"""Of so many episodes that ended last the log tells the mean return."""


class Algorithm(Protocol):
    """What learns: PPO, DQN, SAC."""

    steps: int
    """Steps of the environment that are done."""
    total_steps: int
    episodes: list[tuple[int, float, int]]
    """Those that ended since they were last taken: after which step, return, length."""

    def iterate(self) -> dict[str, float]:
        """Learns a while; numbers for the log."""
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that it remembers."""
        ...

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
        """Remembers what `state` gave."""
        ...

    def policy(self) -> nn.Module:
        """What acts; its weights are those of now."""
        ...


@final
@dataclass(frozen=True, kw_only=True)
class Learning:
    """How to go about it. All but `checkpoint_seconds` and `keep` decide what comes out.

    Attributes:
        evaluations: how often the policy is evaluated, over the whole training; less often where
            its episodes are long.
        made_by: what decides the result: settings, environment, seed.
        checkpoint_seconds: between two checkpoints.
        keep: checkpoints that stay besides the newest and the best.
    """

    evaluations: int
    made_by: Mapping[str, Any]
    checkpoint_seconds: float = 120.0
    keep: int = 1


@final
@dataclass(frozen=True)
class Learnt:
    """What became of a training; the policy holds the weights that are kept."""

    mean_return: float
    step: int
    steps: int
    seconds: float


def learn(
    algorithm: Algorithm,
    judge: Judge,
    learning: Learning,
    folder: Path,
    *,
    progress: Progress | None = None,
) -> tuple[nn.Module, Learnt]:
    """Lets an algorithm learn; gives the policy with the weights that are kept.

    Killed at any instant and called again, it goes on from its newest checkpoint to the same
    weights, bit for bit; called when all is done, it gives them back.

    Args:
        algorithm: not yet begun.
        judge: how good a policy is.
        learning: how.
        folder: where the checkpoints and `log.jsonl` are.
        progress: what shows how it goes; a line on stderr unless given.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGHUP came; what was begun was finished and all is saved.
        TrainingError: a weight was no number, or the environment misbehaved.
        UsageError: the checkpoints in the folder are of other settings or another environment.
    """
    progress = progress if progress is not None else Progress()
    with store.lock(folder), Signals(progress) as signals:
        try:
            return _Loop(algorithm, judge, learning, folder, signals, progress).run()
        finally:
            progress.close()


@final
class _Loop:
    def __init__(
        self,
        algorithm: Algorithm,
        judge: Judge,
        learning: Learning,
        folder: Path,
        signals: Signals,
        progress: Progress,
    ) -> None:
        self.algorithm, self.judge, self.learning = algorithm, judge, learning
        self.folder, self.signals, self.progress = folder, signals, progress
        policy = algorithm.policy()
        made_by = {
            **learning.made_by,
            "network": signature(policy),
            "versions": versions(),
        }
        self.checkpoints = Checkpoints(folder, made_by, learning.keep)
        self.state = State()
        self.recent: list[float] = []
        self.highest: list[float] = []
        """The returns of the judgement with the highest mean."""
        self.between = max(1, algorithm.total_steps // max(learning.evaluations, 1))
        self.line_every = max(1, algorithm.total_steps // LINES)

    def run(self) -> tuple[nn.Module, Learnt]:
        """Begin, or go on, or find that all is done."""
        if done := self.checkpoints.finished():
            return self._give_back(done)
        newest = self.checkpoints.newest()
        if newest is not None:
            self.state, tensors, plain = self.checkpoints.load_parts(newest)
            self.recent, self.highest = plain.pop("recent"), plain.pop("highest")
            # Checkpoints once did not tell what judgements took.
            self.judge.spent, self.judge.expected = plain.pop("judged", (0, 0))
            self.algorithm.restore(tensors, plain)
            self.checkpoints.tidy(self.state)
            self.progress.note(
                f"going on after step {self.state.step:,} of {self.algorithm.total_steps:,}"
            )
        self.began = self.saved_at = time.monotonic()
        self.earlier = self.state.seconds
        while self.algorithm.steps < self.algorithm.total_steps:
            self._iterate()
            last = self.algorithm.steps >= self.algorithm.total_steps
            if last or self._is_to_judge():
                self._evaluate()
            elif self.signals.came or self._is_due():
                self._save()
            if self.signals.came and not last:
                raise self._interrupted()
        return self._finish()

    def _is_to_judge(self) -> bool:
        """Whether it is time again, and judgements of long episodes do not take too long."""
        step, judge = self.state.step, self.judge
        is_time = step // self.between > max(self.state.evaluated, 0) // self.between
        return is_time and judge.spent + judge.expected <= MOST_JUDGED * step

    def _iterate(self) -> None:
        state, algorithm = self.state, self.algorithm
        before = state.step
        numbers = algorithm.iterate()
        state.step = algorithm.steps
        ended, algorithm.episodes = algorithm.episodes, []
        self.recent = [*self.recent, *(one for _, one, _ in ended)][-RECENT:]
        for name, value in numbers.items():
            if not math.isfinite(value):
                raise faults.diverged(name, value, state)
        mean = float(np.mean(self.recent)) if self.recent else None
        if before // self.line_every < state.step // self.line_every:
            returns = [one for _, one, _ in ended]
            lengths = [one for _, _, one in ended]
            self._log(
                **numbers,
                **({"return": float(np.mean(returns))} if returns else {}),
                **({"length": float(np.mean(lengths))} if lengths else {}),
                episodes=len(ended),
            )
        self.progress.acted(state.step, algorithm.total_steps, mean)

    def _evaluate(self) -> None:
        state = self.state
        state.evaluated = state.step
        returns = self.judge(self.algorithm.policy())
        value = float(returns.mean())
        better = does_as_well(returns, self.highest)
        if not self.highest or value > float(np.mean(self.highest)):
            self.highest = returns.tolist()
        if better:
            state.best = Best(state.name, state.step, value, {METRIC: value})
        self._log(validation={METRIC: value})
        where = "in episodes of its own"
        self.progress.validated(state.step, METRIC, value, better=better, where=where)
        if better or self.signals.came or self._is_due():
            self._save()

    def _log(self, **numbers: Any) -> None:
        line = {"step": self.state.step, **numbers, "seconds": round(self._seconds(), 3)}
        self.state.lines.append(json.dumps(line, allow_nan=False))

    def _seconds(self) -> float:
        return self.earlier + time.monotonic() - self.began

    def _is_due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.learning.checkpoint_seconds

    def _save(self) -> None:
        state = self.state
        if state.saved == state.name:
            return
        state.seconds = self._seconds()
        tensors, plain = self.algorithm.state()
        judged = [self.judge.spent, self.judge.expected]
        plain |= {"recent": self.recent, "highest": self.highest, "judged": judged}
        self.checkpoints.write_parts(state, self.algorithm.policy(), tensors, plain)
        state.saved, self.saved_at = state.name, time.monotonic()

    def _finish(self) -> tuple[nn.Module, Learnt]:
        self._save()
        best = self.state.best
        assert best is not None, "the end is evaluated"
        done = {
            "mean_return": best.metric,
            "step": best.step,
            "steps": self.state.step,
            "seconds": self.state.seconds,
            "folder": best.folder,
        }
        self.checkpoints.finish(done)
        return self._give_back(done)

    def _give_back(self, done: dict[str, Any]) -> tuple[nn.Module, Learnt]:
        policy = self.algorithm.policy()
        self.checkpoints.load_weights(done["folder"], policy)
        policy.eval()
        return policy, Learnt(**{key: value for key, value in done.items() if key != "folder"})

    def _interrupted(self) -> Interrupted:
        where = f"saved at step {self.state.step:,} of {self.algorithm.total_steps:,}"
        return faults.interrupted(where, self.folder, self.signals.came)
