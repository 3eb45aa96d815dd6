"""A search for settings, judged by the validation split: the default ones first, then others.

    search/
    ├── trials.json     what was tried and what it reached, written anew after each trial
    └── trial-7/        design, checkpoints and weights: of the best so far, and of what runs now

What is tried next follows from the seed, its number and the trials before it, and from nothing
else: a search that was killed goes on as if nothing had happened, and the trial that was running
from its own checkpoint. The test split is not read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, cast, final

from silmu import extras, store
from silmu.errors import Interrupted, TrainingError, UsageError
from silmu.search._proposals import proposed
from silmu.steps.design.memory import is_about_memory
from silmu.steps.design.plan import Design, clock, probed
from silmu.steps.design.spaces import Space
from silmu.steps.design.trials import DONE, FAILED, FOLDER, STOPPED, Trial, Trials, curve_of

if TYPE_CHECKING:
    from silmu.steps.prepare.prepared import Prepared
    from silmu.steps.train.loop import Outcome
    from silmu.tasks._base import Task
    from silmu.tasks._supervised import Supervised

SETTLED = ("device", "dtype", "threads")
"""What is measured for the first trial, and is the same for all."""

LEAST = 0.5
"""The share of an equal part of the budget that each trial has at least, or it is not begun."""


def check(task: Task[Any], until: str) -> None:
    """Refuses, before any work is done, what no search can do.

    Args:
        task: whose settings are to be searched.
        until: the last step that is asked for.

    Raises:
        MissingExtraError: Optuna is not installed.
        UsageError: the network is a probe, every setting is given, the design alone is asked for,
            or several processes were started.
    """
    extras.require("search")
    network = task.config.network
    if probed(network) is not None:
        raise UsageError(
            f"the network is {network!r}, which finds its settings on the validation split itself",
            hint="leave out --search, or name another --network",
        )
    if until == "design":
        raise UsageError(
            "the design of this run is what its search will find",
            hint="`silmu train RUN` searches; a run without --search can be designed by itself",
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "a search runs in one process, and torchrun started several",
            hint="search without torchrun; then train with it: --config RUN/run.toml",
        )
    if network != "auto":
        open_space(task)


def open_space(task: Task[Any], prepared: Prepared | None = None) -> Space:
    """What may be changed, and is not given.

    Raises:
        UsageError: it is nothing.
    """
    possible = task.space(prepared)
    if not possible:
        raise UsageError(
            f"a search knows no setting to change of {task.name} with the network "
            f"{task.config.network}",
            hint="leave out --search",
        )
    found = {name: one for name, one in possible.items() if getattr(task.config, name) is None}
    if not found:
        raise UsageError(
            f"nothing is left to search: {', '.join(sorted(possible))} are all given",
            hint="leave some of them open; the run.toml of a finished run holds them all",
        )
    return found


def search(task: Task[Any], prepared: Prepared) -> None:
    """Tries settings, and leaves what was best as the design and the training of the run.

    With a budget each trial is cut to as many steps as fit into an Nth of it. Where trials took
    longer than they were measured to, later ones have less, down to half of that; a trial for which
    not even so much is left is not begun.

    Args:
        task: whose config says how many; it has the settings of the best trial afterwards.
        prepared: what all of them learn from.

    Raises:
        UsageError: every setting is given, so that nothing is open.
        TrainingError: all trials failed.
        Interrupted: a signal stopped it; called again it goes on.
    """
    _Search(cast("Supervised[Any]", task), prepared).go()


@final
class _Search:
    def __init__(self, task: Supervised[Any], prepared: Prepared) -> None:
        self.task, self.prepared, self.config = task, prepared, task.config
        self.place = task.folder / FOLDER
        self.space = open_space(task, prepared)
        decided = task.decided(prepared)
        self.defaults = {name: decided[name] for name in self.space}
        self.trials = Trials.open(task.folder) or Trials(asked=self.config.search)

    def go(self) -> None:
        """All trials that are left, and then the best of them."""
        done = len(self.trials.trials)
        self.task.tell(
            f"search: {self.trials.asked} settings of {', '.join(self.space)}"
            + (f"; going on after {done} of them" if done else "; the first are the defaults")
        )
        while len(self.trials.trials) < self.trials.asked and self._has_time():
            self._keep(len(self.trials.trials))
            self._try(len(self.trials.trials))
        best = self.trials.best
        if best is None:
            raise TrainingError(
                f"all {len(self.trials.trials)} trials of the search failed; the first: "
                f"{self.trials.trials[0].why}",
                hint="begin a new run: other data, or settings that need less memory",
            )
        self._take(best)
        self.task.spent["search"] = sum(trial.seconds for trial in self.trials.trials)

    # ── one trial ──────────────────────────────────────────────────────────────────────────────

    def _try(self, number: int) -> None:
        values = self.defaults
        if number:
            values = proposed(self.space, self.trials, self.config.seed)
        began = time.monotonic()
        known: dict[str, Any] = {}
        try:
            task = self._task(number, values)
            design = task.design(self.prepared)
            # What was begun under another Optuna goes on as it was begun.
            values = {name: design.settings[name] for name in self.space}
            objective, outcome = task.fit(
                design,
                self.prepared,
                name=f"trial {number} of {self.trials.asked}",
                hopeless=self.trials.is_hopeless,
            )
            known = {
                "metric": objective.metric,
                "higher_is_better": objective.higher_is_better,
                "settled": {name: design.settings[name] for name in SETTLED},
            }
            log = task.folder / "4-train" / "log.jsonl"
            curve = curve_of(log, objective.metric, objective.higher_is_better, design.cost.steps)
            trial = _judged(number, values, outcome, curve, design, time.monotonic() - began)
        except Interrupted as stopped:
            raise Interrupted(
                f"stopped in trial {number} of {self.trials.asked}; "
                f"`silmu train {self.task.folder}` goes on from there",
                stopped.code,
            ) from stopped
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, TrainingError) and not is_about_memory(error):
                raise
            why = error.message if isinstance(error, TrainingError) else "too little memory"
            took = time.monotonic() - began
            trial = Trial(number=number, values=values, state=FAILED, seconds=took, why=why)
        before = self.trials.best
        self.trials = self.trials.with_trial(trial, **known)
        self.trials.leave(self.task.folder)
        self.task.tell(self._told(trial, before))

    def _task(self, number: int, values: Mapping[str, Any], **more: Any) -> Supervised[Any]:
        """The same task with other settings, in a folder of its own."""
        changed = {
            **(values if number else {}),
            **self.trials.settled,
            "search": None,
            "budget": None if (time := self._seconds()) is None else f"{time:.3f}s",
            **more,
        }
        quiet = self.task.quiet or number > 0
        return type(self.task)(self.config.changed(changed), self._folder(number), quiet=quiet)

    def _folder(self, number: int) -> Path:
        return self.place / f"trial-{number}"

    # ── the budget ─────────────────────────────────────────────────────────────────────────────

    def _seconds(self) -> float | None:
        """How long the next trial may take; None for as long as its steps take."""
        each = self.config.training_seconds
        if each is None:
            return None
        left = self.trials.asked - len(self.trials.trials)
        return max(min(each, self._unspent(each) / max(left, 1)), LEAST * each)

    def _unspent(self, each: float) -> float:
        return each * self.trials.asked - sum(trial.seconds for trial in self.trials.trials)

    def _has_time(self) -> bool:
        each = self.config.training_seconds
        if each is None or self._unspent(each) >= LEAST * each:
            return True
        done = len(self.trials.trials)
        self.task.tell(f"search: the budget is used up after {done} of {self.trials.asked} trials")
        return False

    # ── what is kept, told and taken ───────────────────────────────────────────────────────────

    def _keep(self, *numbers: int) -> None:
        """Removes the folders of trials, but for these and the best."""
        kept = {self._folder(number).name for number in numbers}
        if numbers and self.trials.best is not None:
            kept.add(self._folder(self.trials.best.number).name)
        for path in sorted(self.place.glob("trial-*")):
            if path.name not in kept:
                store.remove(path)

    def _told(self, trial: Trial, before: Trial | None) -> str:
        changed = [
            f"{name} {value}"
            for name, value in trial.values.items()
            if value != self.defaults[name]
        ]
        parts = [f"search: trial {trial.number}: {', '.join(changed) or 'the defaults'}: "]
        if trial.metric is None:
            parts.append(f"failed: {trial.why}")
        else:
            parts.append(f"{self.trials.metric} {trial.metric:.4g}")
        if trial.state == STOPPED:
            parts.append(f", stopped after {trial.curve[-1][0]:.0%} of its steps")
        if self.trials.best is trial:
            parts.append(", the best so far")
        elif before is not None:
            parts.append(f"; the best is {before.metric:.4g} of trial {before.number}")
        if left := self.trials.asked - len(self.trials.trials):
            seconds = left * mean(one.seconds for one in self.trials.trials)
            parts.append(f"; {left} left, ends {clock(seconds)}")
        return "".join(parts)

    def _take(self, best: Trial) -> None:
        """Makes the training of the best trial that of the run; nothing is trained again."""
        run, place = self.task.folder, self._folder(best.number)
        if place.exists() or Design.open(run) is None:
            # One whose folder is gone is designed again, and then trained to the same weights.
            task = self._task(best.number, best.values, budget=None, max_steps=best.steps)
            task.quiet = True
            design = task.design(self.prepared)
            if (place / "4-train").exists() and not (run / "4-train").exists():
                store.move(place / "4-train", run / "4-train")
            note = (
                f"settings of trial {best.number}, the best of {len(self.trials.trials)} on the "
                "validation split"
            )
            own = {"budget": self.config.budget, "search": None}
            replace(design, settings={**design.settings, **own}, notes=(note,)).leave(run)
        self._keep()
        replace(self.trials, taken=best.number).leave(run)
        self.task.config = replace(self.config, search=None)
        first = self.trials.trials[0]
        reached = "failed" if first.metric is None else f"reached {first.metric:.4g}"
        which = "the defaults are" if best is first else f"trial {best.number} is"
        beside = "" if best is first else f"; the defaults {reached}"
        metric = f"{self.trials.metric} {best.metric:.4g} on validation"
        self.task.tell(f"search: {which} taken: {metric}{beside}")


def _judged(
    number: int,
    values: Mapping[str, Any],
    outcome: Outcome,
    curve: tuple[tuple[float, float], ...],
    design: Design,
    seconds: float,
) -> Trial:
    return Trial(
        number=number,
        values=dict(values),
        state=STOPPED if outcome.stopped == "hopeless" else DONE,
        metric=outcome.best_metric,
        curve=curve,
        steps=design.cost.steps,
        # What earlier sittings took is known of the training alone.
        seconds=round(max(seconds, outcome.seconds), 3),
    )
