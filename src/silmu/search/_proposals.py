"""What to try next: Optuna asked anew before each trial, with all that was tried before it."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from silmu.steps.design.spaces import Choice, Range, Space
from silmu.steps.design.trials import DONE, FAILED, STOPPED, Trials


def proposed(space: Space, trials: Trials, seed: int) -> dict[str, Any]:
    """What to try next, after these trials.

    By the Tree-structured Parzen Estimator (Bergstra et al. 2011, "Algorithms for Hyper-Parameter
    Optimization", as Optuna has it): settings that are likelier among the good trials than among
    the rest; the first few are drawn at random.
    """
    import numpy as np
    import optuna
    from optuna.trial import TrialState, create_trial

    number = len(trials.trials)
    kinds = {name: _distribution(one) for name, one in space.items()}
    with _told_by_silmu():
        sampler = optuna.samplers.TPESampler(
            seed=int(np.random.SeedSequence([seed, number]).generate_state(1)[0]),
            n_startup_trials=min(max(trials.asked // 4, 3), 10),
        )
        direction = "maximize" if trials.higher_is_better else "minimize"
        study = optuna.create_study(direction=direction, sampler=sampler)
        states = {
            DONE: TrialState.COMPLETE,
            STOPPED: TrialState.PRUNED,
            FAILED: TrialState.FAIL,
        }
        for trial in trials.trials:
            if not all(name in trial.values for name in space):
                continue  # of another silmu, which knew other settings
            study.add_trial(
                create_trial(
                    state=states[trial.state],
                    value=trial.metric if trial.state == DONE else None,
                    params={name: _within(one, trial.values[name]) for name, one in space.items()},
                    distributions=kinds,
                    intermediate_values={} if trial.metric is None else {0: trial.metric},
                )
            )
        found = study.ask(kinds).params
    return {name: _within(one, found[name]) for name, one in space.items()}


def _distribution(one: Range | Choice) -> Any:
    import optuna

    if isinstance(one, Choice):
        return optuna.distributions.CategoricalDistribution(one.of)
    if one.whole:
        return optuna.distributions.IntDistribution(int(one.low), int(one.high), log=one.log)
    return optuna.distributions.FloatDistribution(one.low, one.high, log=one.log)


def _within(one: Range | Choice, value: Any) -> Any:
    return one.rounded(value) if isinstance(one, Range) else value


@contextmanager
def _told_by_silmu() -> Generator[None]:
    """Lets Optuna's warnings go where silmu's go, and keeps what it tells of itself to itself."""
    log = logging.getLogger("optuna")
    level, handlers = log.level, log.handlers[:]
    log.setLevel(logging.WARNING)
    log.handlers[:] = logging.getLogger("silmu").handlers
    try:
        yield
    finally:
        log.setLevel(level)
        log.handlers[:] = handlers
