"""What is asked of a policy in an environment, and what a report says of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from silmu.steps.collect.environments import Environment
from silmu.steps.evaluate.environment.acting import Actor, Chance, Idle, Policy
from silmu.steps.evaluate.environment.episodes import Played, play
from silmu.steps.evaluate.environment.judged import METRIC, RESAMPLES, TITLES, Judged
from silmu.steps.evaluate.report import FORMAT
from silmu.steps.train.progress import Progress

FEW = 100
"""Of fewer episodes every figure is rough."""

BINS = 24
"""Of a histogram, at most."""


def played(
    pipe: Any, environment: Environment, seeds: tuple[int, ...], limit: int, progress: Progress
) -> dict[str, Played]:
    """The episodes of the policy, by the name "", and those of the baselines."""
    actors: dict[str, Actor] = {
        "": Policy(pipe),
        "random": Chance(environment.action),
        "idle": Idle(environment.action),
    }
    found: dict[str, Played] = {}
    for name, actor in actors.items():
        by = f"by {TITLES[name]}" if name else "by the policy"
        work = progress.work(f"episodes played {by}", len(seeds))
        found[name] = play(environment, actor, seeds, limit, work)
    return found


def head(pipe: Any, fingerprint: str) -> dict[str, Any]:
    """What a report begins with."""
    folder = pipe.model.folder
    return {
        "format": FORMAT,
        "task": pipe.task,
        "rows": "environments",
        "kind": "action",
        "labels": [],
        "targets": [],
        "model": {"name": Path(folder.name).name or folder.name, "fingerprint": fingerprint},
        "metric": METRIC,
    }


def data(environment: Environment, judged: Judged) -> dict[str, Any]:
    """What a report says of the environment."""
    return {
        "name": environment.name,
        "source": environment.source,
        "fingerprint": environment.fingerprint,
        "group": None,
        "dropped": [],
        "scored": len(judged.played),
        "failed": [],
        "moved": None,
    }


def details(
    pipe: Any,
    environment: Environment,
    own: Judged,
    others: Mapping[str, Judged],
    found: Mapping[str, Any],
    limit: int,
    seed: int,
) -> dict[str, Any]:
    """The details of a report; what is only of rows is left out."""
    return {
        "environment": {
            "observation": str(environment.observation),
            "action": str(environment.action),
            "kwargs": dict(environment.kwargs),
            "versions": dict(environment.versions),
            "max_episode_steps": limit,
            "deterministic": environment.deterministic,
            "algorithm": pipe.processor.algorithm,
            "frames": pipe.processor.frames,
            "episodes": len(own.played),
            "cut": int(own.played.cut.sum()),
            "alike": bool(np.ptp(own.played.returns) == 0),
            "returns": histogram({"": own, **others}),
            **found,
        },
        "baselines": {name: {"title": TITLES[name]} for name in others},
        "bootstrap": {
            "resamples": RESAMPLES,
            "by": "episode",
            "units": len(own.played),
            "seed": seed,
        },
    }


def histogram(judged: Mapping[str, Judged]) -> dict[str, Any]:
    """How many episodes of each earned how much, in the same bins for all."""
    everything = np.concatenate([one.played.returns for one in judged.values()])
    edges = np.histogram_bin_edges(everything, "auto")
    if len(edges) > BINS + 1:
        edges = np.histogram_bin_edges(everything, BINS)
    counts = {
        name or "model": np.histogram(one.played.returns, edges)[0].tolist()
        for name, one in judged.items()
    }
    return {"edges": edges.tolist(), "counts": counts}


def warnings(environment: Environment, own: Judged) -> list[str]:
    """What a reader of the figures must know."""
    found: list[str] = []
    count = len(own.played)
    if count < FEW:
        episodes = "episodes" if count > 1 else "episode"
        found.append(f"there are only {count:,} {episodes}, so every figure is rough")
    if not environment.deterministic:
        found.append(
            "the environment gives different things after the same seed and actions, so whoever "
            "evaluates again finds somewhat other figures"
        )
    return found
