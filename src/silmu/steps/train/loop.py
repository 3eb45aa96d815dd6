"""The loop: from a network and its examples to its best weights, however often it is stopped."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import json
import math
import os
import platform
import random
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
import torch.utils.deterministic
from torch import Tensor

from silmu import store
from silmu.errors import Interrupted, StoreError, TrainingError, UsageError
from silmu.steps.design.cost import autocast
from silmu.steps.design.memory import is_about_memory
from silmu.steps.train import checkpoints as kept
from silmu.steps.train.batches import Plan, derive, load, seed_all
from silmu.steps.train.checkpoints import Best, Checkpoints, State
from silmu.steps.train.optimizers import SCHEDULES, Average, Optimizer, prepare_gradients, share
from silmu.steps.train.progress import Board, Progress
from silmu.steps.train.ranks import Ranks, resolved

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from silmu.steps.train.objective import Objective

LINES = 1000
"""Of a long training the log has about so many lines, each the mean of the steps between."""

UNCHECKED = 20
"""How many losses may wait on an accelerator before it is asked whether they are numbers."""

Hopeless = Callable[[float, float], bool]
"""Whether to give up: asked with the share of the steps that are done, and the best metric."""

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


def _need(name: str, value: object, holds: bool, allowed: str) -> None:
    if not holds:
        raise UsageError(f"{name} is {value!r}; it must be {allowed}")


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
        stack.enter_context(_settled(training))
        ranks = Ranks(training.device)
        if ranks.leads:
            stack.enter_context(store.lock(folder))
        progress = progress if progress is not None else Progress()
        progress = progress if ranks.leads else Progress(quiet=True)
        stack.callback(progress.close)
        signals = stack.enter_context(Signals(progress))
        return _Loop(objective, training, folder, ranks, signals, progress, hopeless).run()


# ── the loop ───────────────────────────────────────────────────────────────────────────────────


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
        self.line_every = max(1, self.total // LINES)
        self.whole = ranks.world == training.accumulation == 1
        self.waits = ranks.device.type != "cpu" and ranks.world == 1
        self.unchecked: list[tuple[int, Tensor]] = []

    def _made_by(self) -> dict[str, Any]:
        settings = asdict(self.training)
        settings = {key: value for key, value in settings.items() if key not in _NO_EFFECT}
        settings |= {"device": self.ranks.device.type, "threads": torch.get_num_threads()}
        return {
            "data": self.training.fingerprint,
            "examples": self.objective.num_examples,
            "network": kept.signature(self.network),
            "processes": self.ranks.world,
            "settings": settings,
            "versions": {
                "numpy": np.__version__,
                "python": platform.python_version(),
                "torch": str(torch.__version__),
            },
        }

    def run(self) -> Outcome:
        """Begin, or go on, or find that all is done."""
        ranks, leads = self.ranks, self.ranks.leads
        if done := ranks.told(self.checkpoints.finished() if leads else None):
            return self._give_back(done)
        ranks.share(list(self.network.state_dict().values()))
        groups = self.objective.groups(self.training.weight_decay)
        self.optimizer = Optimizer(self.network, groups, self.training.learning_rate)
        decay = self.training.average
        self.average = None if decay is None else Average(self.optimizer.names, decay)
        newest = ranks.told(self.checkpoints.newest() if leads else None)
        if newest is not None:
            self.state = self.checkpoints.load(newest, self.network, self.optimizer, self.average)
            self.progress.note(f"going on after step {self.state.step:,} of {self.total:,}")
        if leads:
            room = kept.size(self.network, self.optimizer, averaged=self.average is not None)
            store.reserve(self.folder, room * (2 if newest is None else 1))
            if newest is not None:
                self.checkpoints.tidy(self.state)
        self.board = Board(self.folder / "tensorboard", self.state.step) if leads else None
        self.saved_name = newest
        self.due = False
        self.saved_at = self.began = time.monotonic()
        self.earlier = self.state.seconds
        self.line_at, self.line_examples, self.line_waited = self.began, 0, 0.0
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
            raise self._too_little_memory() from error
        finally:
            if self.board is not None:
                self.board.close()

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
        if self.saved_name != self.state.name:
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

    # ── one step ───────────────────────────────────────────────────────────────────────────────

    def _step(self, batches: Iterator[dict[str, Tensor]]) -> None:
        state, training, ranks = self.state, self.training, self.ranks
        step, device = state.step, ranks.device
        loss: Tensor | float = 0.0
        weight: Tensor | float = 0.0
        for n, _ in enumerate(self.plan.pieces(step)):
            asked = time.monotonic()
            batch = next(batches)
            self.line_waited += time.monotonic() - asked
            if device.type != "cpu":
                batch = {key: one.to(device, non_blocking=True) for key, one in batch.items()}
            # So that dropout follows from the place alone, whatever was drawn before it.
            seed_all(derive(training.seed, "step", step, n, ranks.rank))
            with autocast(training.dtype, device.type):
                piece, share_of_it = self.objective.loss(batch)
            if self.whole:
                piece = piece / share_of_it
            piece.backward()
            loss = loss + piece.detach()
            weight = weight + share_of_it.detach()
        weight_of_gradients = 1.0
        stop, due = self.signals.came, self._is_due()
        if not self.whole:
            # One exchange tells all processes the same, also when to stop and when to save.
            told = ranks.totals(loss, weight, bool(stop), stop, due and ranks.leads)
            weight_of_gradients = told[1]
            loss = told[0] / told[1] if told[1] else math.nan
            due = told[4] > 0
            if told[2]:
                stop = self.signals.came = round(told[3] / told[2])
        if not self.waits:
            loss = float(loss)
            self._check_number("the loss", loss, step)
        ranks.sum_gradients(self.optimizer.parameters)
        norm = prepare_gradients(self.optimizer.parameters, weight_of_gradients, training.clip)
        if norm is not None and not self.waits:
            self._check_number("the length of the gradient", float(norm), step)
        self.optimizer.step(share(training.schedule, training.warmup, step, self.total))
        state.step += 1
        if self.average is not None:
            self.average.update(state.step)
        self._count(loss)
        if stop or (self.signals.came and ranks.world == 1):
            if self.saved_name != state.name:
                self._save()
            raise self._interrupted(saved=True)
        # What is validated next is saved after that.
        self.due = due
        if due and not self._validates_after(state.step):
            self._save()

    def _is_due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.training.checkpoint_seconds

    # ── what is told ───────────────────────────────────────────────────────────────────────────

    def _count(self, loss: Tensor | float) -> None:
        state, step = self.state, self.state.step
        self.line_examples += len(self.plan.indices(step - 1))
        if isinstance(loss, Tensor):
            self.unchecked.append((step - 1, loss))
            if len(self.unchecked) < UNCHECKED and step % self.line_every:
                return
            loss = self._check_waiting()
        else:
            state.summed += loss
            state.counted += 1
        if step % self.line_every == 0 and state.counted:
            now = time.monotonic()
            mean = state.summed / state.counted
            state.summed, state.counted = 0.0, 0
            schedule = share(self.training.schedule, self.training.warmup, step - 1, self.total)
            passed = max(now - self.line_at, 1e-9)
            self._log(
                loss=mean,
                learning_rate=self.training.learning_rate * schedule,
                examples_per_second=round(self.line_examples / passed, 2),
                waiting=round(self.line_waited / passed, 4),
            )
            self.line_at, self.line_examples, self.line_waited = now, 0, 0.0
        epoch, size = self.plan.epoch_of(step - 1) + 1, self.training.batch_size
        self.progress.step(step, self.total, epoch, self.training.epochs, loss, size)

    def _log(self, **numbers: Any) -> None:
        step = self.state.step
        line = {"step": step, "epoch": round(step / self.plan.per_epoch, 4), **numbers}
        line["seconds"] = round(self._seconds(), 3)
        self.state.lines.append(json.dumps(line, allow_nan=False))
        if self.board is not None:
            self.board.add(line)

    def _waiting(self) -> float:
        """The share of the time that was spent waiting, by the lines of the log."""
        lines = [json.loads(line) for line in self.state.lines]
        shares = [float(line["waiting"]) for line in lines if "waiting" in line]
        return sum(shares) / len(shares) if shares else 0.0

    def _seconds(self) -> float:
        return self.earlier + time.monotonic() - self.began

    # ── numbers that are none ──────────────────────────────────────────────────────────────────

    def _check_waiting(self) -> float:
        """Ask the device for the losses that nobody has looked at; the last of them."""
        losses = torch.stack([loss for _, loss in self.unchecked]).tolist() or [0.0]
        for (step, _), loss in zip(self.unchecked, losses, strict=False):
            self._check_number("the loss", loss, step)
            self.state.summed += loss
            self.state.counted += 1
        self.unchecked.clear()
        return losses[-1]

    def _check_number(self, what: str, value: float, step: int) -> None:
        if math.isfinite(value):
            return
        indices = self.plan.indices(step)
        guilty = self._without_number(indices)
        which = "examples" if len(guilty) == len(indices) else "examples without a finite loss"
        names = ", ".join(self.objective.names(guilty[:20])) + (", ..." if len(guilty) > 20 else "")
        last = f"the last good checkpoint is {self.saved_name}" if self.saved_name else "none saved"
        raise TrainingError(
            f"{what} is {value} at step {step + 1} (epoch {self.plan.epoch_of(step) + 1}; "
            f"{which}: {names}); {last}",
            hint="look at these examples, or start a run with a lower learning rate",
        )

    def _without_number(self, indices: Any) -> Any:
        """The examples whose own loss is no number; all of them if that cannot be told."""
        self.network.eval()
        guilty: list[int] = []
        seed = derive(self.plan.seed, "examples", self.plan.epoch_of(self.state.step))
        with torch.no_grad():
            for index in indices.tolist():
                batch = self.objective.batch(np.array([index]), seed)
                batch = {key: one.to(self.ranks.device) for key, one in batch.items()}
                loss, weight = self.objective.loss(batch)
                if not math.isfinite(float(loss)) or not math.isfinite(float(weight)):
                    guilty.append(index)
        return np.array(guilty) if guilty else indices

    # ── validation and checkpoints ─────────────────────────────────────────────────────────────

    def _validate(self) -> None:
        state, objective = self.state, self.objective
        self._flush()
        began = time.monotonic()
        metrics = self.ranks.told(self._validated() if self.ranks.leads else None)
        # The rate in the log is that of training.
        self.line_at += time.monotonic() - began
        value, loss = metrics[objective.metric], metrics.get("loss", 0.0)
        state.evaluated = state.step
        if not math.isfinite(loss):
            last = self.saved_name or "none"
            raise TrainingError(
                f"the loss on the validation split is {loss} after step {state.step}; "
                f"the last good checkpoint is {last}",
                hint="start a run with a lower learning rate",
            )
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
        self._log(validation=told)
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
            if self.saved_name != self.state.name:
                self._save()
            raise self._interrupted(saved=True) from None
        if self.average is not None:
            self.average.exchange()
        self.network.train()
        if self.objective.metric not in metrics:
            found = ", ".join(sorted(metrics))
            raise UsageError(f"validate() gives {found}; it must give {self.objective.metric}")
        return {name: float(value) for name, value in metrics.items()}

    def _flush(self) -> None:
        if self.unchecked:
            self._check_waiting()

    def _save(self) -> None:
        self._flush()
        began, self.state.seconds = time.monotonic(), self._seconds()
        if self.ranks.leads:
            try:
                self.checkpoints.write(self.state, self.network, self.optimizer, self.average)
            except StoreError as error:
                if self.saved_name:
                    error.message += f"; the checkpoint {self.saved_name} is sound"
                raise
        self.saved_name = self.state.name
        self.ranks.meet()
        self.saved_at = time.monotonic()
        self.line_at += self.saved_at - began

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
            "waiting": self._waiting(),
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

    # ── endings ────────────────────────────────────────────────────────────────────────────────

    def _interrupted(self, *, saved: bool) -> Interrupted:
        place = f"step {self.state.step:,} of {self.total:,}"
        where = f"saved at {place}" if saved else f"stopped at {place}; {self.saved_name} is saved"
        return Interrupted(
            f"{where}; `silmu train {self.folder.parent}` goes on from there",
            128 + (self.signals.came or signal.SIGINT),
        )

    def _too_little_memory(self) -> TrainingError:
        step, pieces = self.state.step, self.training.accumulation
        size = -(-self.training.batch_size // (self.ranks.world * pieces))
        longest = ""
        if self.objective.lengths is not None and step < self.total:
            most = int(np.asarray(self.objective.lengths)[self.plan.indices(step)].max())
            longest = f", the longest of {most:,}"
        saved = f"the checkpoint {self.saved_name} is sound" if self.saved_name else "none is saved"
        return TrainingError(
            f"too little memory at step {step + 1} for {size} examples at once{longest}; {saved}",
            hint=f"start a run with accumulation = {2 * pieces}: equal batches, smaller pieces",
        )


# ── around it ──────────────────────────────────────────────────────────────────────────────────


@final
class Signals:
    """Whether somebody wants training to stop: the first signal is kept, a second one acts."""

    NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

    def __init__(self, progress: Progress) -> None:
        self.came = 0
        self.progress = progress
        self._now = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        # Only the main thread may, and only it is interrupted.
        if threading.current_thread() is threading.main_thread():
            for number in [getattr(signal, name) for name in self.NAMES if hasattr(signal, name)]:
                before = signal.getsignal(number)
                # What nohup and its like ignore stays ignored.
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.__exit__()
        self.came = number
        self.progress.note("stopping: this step is finished and saved; once more stops at once")
        if self._now:
            raise Interrupted("during validation", 128 + number)

    @contextmanager
    def at_once(self) -> Generator[None]:
        """In here a signal raises Interrupted instead of waiting for the step to end."""
        self._now = True
        try:
            if self.came:
                raise Interrupted("before validation", 128 + self.came)
            yield
        finally:
            self._now = False


@contextmanager
def _settled(training: Training) -> Generator[None]:
    """Torch as a training needs it, and afterwards as it was: exact, and its own random numbers."""
    threads = torch.get_num_threads()
    exact = torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    on_cpu = resolved(training.device) == "cpu"
    # cuBLAS is exact only with this, read when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The same as use_deterministic_algorithms, without loading a compiler for two seconds.
    torch.set_deterministic_debug_mode("error" if on_cpu else "warn")
    # It guards against kernels that read what they did not write, at the price of writing it all.
    memory.fill_uninitialized_memory = False
    if training.threads is not None:
        torch.set_num_threads(training.threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(exact)
        memory.fill_uninitialized_memory = fills
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
