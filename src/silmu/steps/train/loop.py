"""The loop: from a network and its examples to its best weights, however often it is stopped."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from silmu import store
from silmu.errors import Interrupted, StoreError, TrainingError, UsageError
from silmu.steps.design.memory import is_about_memory
from silmu.steps.train import faults, tensors
from silmu.steps.train.batches import Plan, derive, load, seed_all
from silmu.steps.train.board import Board
from silmu.steps.train.checkpoints import Best, Checkpoints, State
from silmu.steps.train.descent import Descent
from silmu.steps.train.determinism import deterministic
from silmu.steps.train.log import Log
from silmu.steps.train.progress import Progress
from silmu.steps.train.provenance import versions
from silmu.steps.train.ranks import Ranks
from silmu.steps.train.signals import Signals

if TYPE_CHECKING:
    from pathlib import Path

    from silmu.steps.train.objective import Objective
    from silmu.steps.train.settings import Training

Hopeless = Callable[[float, float], bool]
"""Whether to give up: asked with the share of the steps that are done, and the best metric."""


@final
@dataclass(frozen=True)
class Outcome:
    """What became of a training; `objective.network` holds the best weights."""

    best_metric: float
    metrics: dict[str, float]
    """On the validation split, of the best weights."""
    step: int
    """After which step the weights were best."""
    epoch: float
    seconds: float
    stopped: str
    """Why it ended: `epochs`, `max_steps`, `patience` or `hopeless`."""
    steps: int
    """How many steps were done in all."""
    waiting: float = 0.0
    """The share of the time in which the network waited for its examples."""


def fit(
    objective: Objective,
    training: Training,
    folder: Path,
    *,
    progress: Progress | None = None,
    hopeless: Hopeless | None = None,
) -> Outcome:
    """Train a network, and leave it with the weights that did best on the validation split.

    Killed at any instant and called again, it goes on from its newest checkpoint to the same
    weights, bit for bit, that it would have reached; called when all is done, it gives them back.
    Processes started by torchrun share the work, each step's batch being the same for all.

    Args:
        objective: what to train.
        training: how.
        folder: where the checkpoints and `log.jsonl` are.
        progress: what shows how it goes; a line on stderr unless given.
        hopeless: asked after each validation; where it says yes, training ends there. To the same
            question it must always answer the same, also to one who resumes.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGHUP came; the step was finished and all is saved.
        TrainingError: a loss was no number, or memory did not suffice.
        UsageError: the checkpoints in the folder are of other settings or other data.
    """
    if objective.num_examples < 1:
        raise UsageError("there is no example to train on")
    with ExitStack() as stack:
        stack.enter_context(deterministic(training.device, training.threads))
        ranks = Ranks(training.device)
        if ranks.leads:
            stack.enter_context(store.lock(folder))
        progress = progress if progress is not None else Progress()
        progress = progress if ranks.leads else Progress(quiet=True)
        stack.callback(progress.close)
        signals = stack.enter_context(Signals(progress))
        return _Loop(objective, training, folder, ranks, signals, progress, hopeless).run()


@final
class _Loop:
    def __init__(
        self,
        objective: Objective,
        training: Training,
        folder: Path,
        ranks: Ranks,
        signals: Signals,
        progress: Progress,
        hopeless: Hopeless | None,
    ) -> None:
        self.objective, self.training, self.ranks = objective, training, ranks
        self.signals, self.progress, self.hopeless = signals, progress, hopeless
        self.network = objective.network.to(ranks.device)
        self.plan = Plan(
            objective.num_examples,
            training.batch_size,
            seed=training.seed,
            lengths=objective.lengths if training.bucket else None,
            pieces=training.accumulation,
            rank=ranks.rank,
            world=ranks.world,
        )
        self.total = training.epochs * self.plan.per_epoch
        if training.max_steps is not None:
            self.total = min(self.total, training.max_steps)
        self.folder = folder
        self.checkpoints = Checkpoints(folder, self._made_by(), training.keep)
        self.state = State()

    def _made_by(self) -> dict[str, Any]:
        used = {"device": self.ranks.device.type, "threads": torch.get_num_threads()}
        return {
            "data": self.training.fingerprint,
            "examples": self.objective.num_examples,
            "network": tensors.signature(self.network),
            "processes": self.ranks.world,
            "settings": self.training.decisive | used,
            "versions": versions(),
        }

    def run(self) -> Outcome:
        """Begin, or go on, or find that all is done."""
        ranks, leads = self.ranks, self.ranks.leads
        if done := ranks.told(self.checkpoints.finished() if leads else None):
            return self._give_back(done)
        ranks.share(list(self.network.state_dict().values()))
        self.descent = Descent(self.objective, self.training, self.plan, self.total, ranks)
        self.optimizer, self.average = self.descent.optimizer, self.descent.average
        newest = ranks.told(self.checkpoints.newest() if leads else None)
        if newest is not None:
            self.state = self.checkpoints.load(newest, self.network, self.optimizer, self.average)
            self.progress.note(f"going on after step {self.state.step:,} of {self.total:,}")
        if leads:
            room = tensors.size(self.network, self.optimizer, averaged=self.average is not None)
            store.reserve(self.folder, room * (2 if newest is None else 1))
            if newest is not None:
                self.checkpoints.tidy(self.state)
        board = Board(self.folder / "tensorboard", self.state.step) if leads else None
        self.log = Log(self.state, total=self.total, per_epoch=self.plan.per_epoch, board=board)
        self.descent.begin(self.state, self.log)
        self.due = False
        self.saved_at = time.monotonic()
        try:
            return self._train()
        except Interrupted:
            raise
        except (MemoryError, RuntimeError) as error:
            if self.signals.came and not isinstance(error, TrainingError):
                # The same signal ended those that make batches, or that train with us.
                raise self._interrupted(saved=False) from error
            if not is_about_memory(error):
                raise
            told = faults.too_little_memory(self.objective, self.plan, self.state, self.total)
            raise told from error
        finally:
            self.log.close()

    def _train(self) -> Outcome:
        pin = self.ranks.device.type == "cuda"
        first, workers = self.state.step, self.training.workers
        batches = load(self.objective, self.plan, first, self.total, workers=workers, pin=pin)
        self.network.train()
        while True:
            if self._validates_after(self.state.step) and self.state.evaluated != self.state.step:
                self._validate()
            if stopped := self._ended():
                break
            self._step(batches)
        if self.state.saved != self.state.name:
            self._save()
        return self._finish(stopped)

    def _ended(self) -> str:
        patience, state = self.training.patience, self.state
        if patience is not None and state.waited >= patience and state.evaluated == state.step:
            return "patience"
        if state.step < self.total:
            return "hopeless" if self._is_hopeless() else ""
        return "epochs" if self.total % self.plan.per_epoch == 0 else "max_steps"

    def _is_hopeless(self) -> bool:
        state = self.state
        if self.hopeless is None or state.best is None or state.evaluated != state.step:
            return False
        return self.hopeless(state.step / self.total, state.best.metric)

    def _validates_after(self, step: int) -> bool:
        if step == 0 or step == self.total:
            return step > 0
        each, count = self.training.evaluations, self.plan.per_epoch
        within = (step - 1) % count + 1
        return within * each // count > (within - 1) * each // count

    def _step(self, batches: Iterator[dict[str, Tensor]]) -> None:
        state, ranks, descent = self.state, self.ranks, self.descent
        loss, weight = descent.backward(batches)
        weight_of_gradients = 1.0
        stop, due = self.signals.came, self._is_due()
        if not descent.whole:
            # One exchange tells all processes the same, also when to stop and when to save.
            told = ranks.totals(loss, weight, bool(stop), stop, due and ranks.leads)
            weight_of_gradients = told[1]
            loss = told[0] / told[1] if told[1] else math.nan
            due = told[4] > 0
            if told[2]:
                stop = self.signals.came = round(told[3] / told[2])
        known = descent.move(loss, weight_of_gradients)
        if known is not None:
            epoch, size = self.plan.epoch_of(state.step - 1) + 1, self.training.batch_size
            self.progress.step(state.step, self.total, epoch, self.training.epochs, known, size)
        if stop or (self.signals.came and ranks.world == 1):
            if state.saved != state.name:
                self._save()
            raise self._interrupted(saved=True)
        # What is validated next is saved after that.
        self.due = due
        if due and not self._validates_after(state.step):
            self._save()

    def _is_due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.training.checkpoint_seconds

    # ── validation and checkpoints ─────────────────────────────────────────────────────────────

    def _validate(self) -> None:
        state, objective = self.state, self.objective
        self.descent.check()
        with self.log.paused():
            metrics = self.ranks.told(self._validated() if self.ranks.leads else None)
        value, loss = metrics[objective.metric], metrics.get("loss", 0.0)
        state.evaluated = state.step
        if not math.isfinite(loss):
            raise faults.diverged("the loss on the validation split", loss, state)
        sign = 1 if objective.higher_is_better else -1
        best = state.best
        better = math.isfinite(value) and (best is None or sign * (value - best.metric) > 0)
        if better:
            finite = {k: v for k, v in metrics.items() if math.isfinite(v)}
            state.best = Best(state.name, state.step, value, finite)
            state.waited = 0
        else:
            state.waited += 1
        told = {k: v if math.isfinite(v) else None for k, v in metrics.items()}
        self.log.write(validation=told)
        self.progress.validated(state.step, objective.metric, value, better=better)
        saves = better or self.due
        if saves:
            self._save()
        if self.signals.came and self.ranks.world == 1 and not self._ended():
            if not saves:
                self._save()
            raise self._interrupted(saved=True)

    def _validated(self) -> dict[str, float]:
        self.network.eval()
        if self.average is not None:
            self.average.exchange()
        try:
            seed_all(derive(self.training.seed, "validation", self.state.step))
            # Alone: others wait for what the first finds, and would take its saving for that.
            alone = self.signals.at_once() if self.ranks.world == 1 else nullcontext()
            with torch.no_grad(), alone:
                metrics = self.objective.validate()
        except Interrupted:
            if self.average is not None:
                self.average.exchange()
            # The validation is done again when training goes on.
            if self.state.saved != self.state.name:
                self._save()
            raise self._interrupted(saved=True) from None
        if self.average is not None:
            self.average.exchange()
        self.network.train()
        if self.objective.metric not in metrics:
            found = ", ".join(sorted(metrics))
            raise UsageError(f"validate() gives {found}; it must give {self.objective.metric}")
        return {name: float(value) for name, value in metrics.items()}

    def _save(self) -> None:
        state = self.state
        self.descent.check()
        with self.log.paused():
            state.seconds = self.log.seconds
            if self.ranks.leads:
                try:
                    self.checkpoints.write(state, self.network, self.optimizer, self.average)
                except StoreError as error:
                    if state.saved:
                        error.message += f"; the checkpoint {state.saved} is sound"
                    raise
            state.saved = state.name
            self.ranks.meet()
            self.saved_at = time.monotonic()

    def _finish(self, stopped: str) -> Outcome:
        state, best = self.state, self.state.best
        if best is None:
            raise TrainingError(
                f"{self.objective.metric} was never a number on the validation split",
                hint="it may have too few examples, or those of one label only",
            )
        done = {
            "best_metric": best.metric,
            "metrics": best.metrics,
            "step": best.step,
            "epoch": best.step / self.plan.per_epoch,
            "seconds": state.seconds,
            "stopped": stopped,
            "steps": state.step,
            "waiting": self.log.waiting,
            "folder": best.folder,
        }
        if self.ranks.leads:
            self.checkpoints.finish(done)
        self.ranks.meet()
        return self._give_back(done)

    def _give_back(self, done: dict[str, Any]) -> Outcome:
        self.checkpoints.load_weights(done["folder"], self.network)
        self.network.eval()
        return Outcome(**{key: value for key, value in done.items() if key != "folder"})

    def _interrupted(self, *, saved: bool) -> Interrupted:
        place = f"step {self.state.step:,} of {self.total:,}"
        where = f"saved at {place}" if saved else f"stopped at {place}; {self.state.saved} is saved"
        return faults.interrupted(where, self.folder, self.signals.came or signal.SIGINT)
