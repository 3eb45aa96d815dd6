"""A policy in an environment that it was not trained in, such as one with another gravity."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from silmu.errors import SilmuError
from silmu.steps.collect.environments import Environment
from silmu.steps.evaluate.environment import asked, episodes, films
from silmu.steps.evaluate.environment.judged import compared, judge
from silmu.steps.evaluate.judged import plain, write
from silmu.steps.evaluate.report import Report
from silmu.steps.evaluate.scoring import fingerprint_of
from silmu.steps.prepare.environments import LONGEST_EPISODE
from silmu.steps.train.progress import Progress

EPISODES, SEED = 100, 0


def evaluate(
    pipe: Any, model: Path, dataset: Environment, folder: Path | None, *, progress: Progress
) -> Report:
    """Plays episodes of an environment; writes what was found where a folder is given.

    The episodes are other ones than those that `evaluate` without new data looks at.
    """
    started = time.monotonic()
    pipe.processor.check(dataset.name, dataset.observation, dataset.action)
    limit = dataset.max_episode_steps or LONGEST_EPISODE
    seeds = episodes.seeds(dataset, "new", EPISODES)
    judged = judge(asked.played(pipe, dataset, seeds, limit, progress), SEED)
    own = judged.pop("")
    found = {
        **films.shown(pipe, dataset, own.played, limit, folder, progress),
        "learning": None,
    }
    values: dict[str, Any] = {
        **asked.head(pipe, fingerprint_of(pipe)),
        "data": asked.data(dataset, own) | {"counts": {}, "unseen": [], "without_label": 0},
        "look": None,
        "looks_beside": 0,
        "metrics": own.metrics,
        "baselines": {name: one.metrics for name, one in judged.items()},
        "comparison": compared(own, judged),
        "warnings": [*_warnings(dataset, Path(model)), *asked.warnings(dataset, own)],
        "details": asked.details(pipe, dataset, own, judged, found, limit, SEED),
    }
    values["seconds"] = {"evaluate": time.monotonic() - started}
    report = Report(plain(values))
    if folder is not None:
        write(report, folder, None, {})
    return report


def _warnings(environment: Environment, model: Path) -> list[str]:
    """What is otherwise here than in the training, where the model is still in its run."""
    folder = model.absolute().parent / "1-dataset"
    try:
        own = Environment.open(folder) if folder.is_dir() else None
    except SilmuError:
        return []
    if own is None:
        return []
    if own.source != environment.source:
        return [f"the policy was trained in `{own.source}`, and this is `{environment.source}`"]
    differ = [
        f"{what} was {_told(before)}, and is {_told(now)} here"
        for what, before, now in (
            ("what it is made with", own.kwargs, environment.kwargs),
            ("its time limit", own.max_episode_steps, environment.max_episode_steps),
            ("the version of its packages", own.versions, environment.versions),
            ("the hash of its file", own.file, environment.file),
        )
        if before != now
    ]
    return (
        [f"the environment of the training is another one: {'; '.join(differ)}"] if differ else []
    )


def _told(value: Any) -> str:
    """A fact of an environment, in words."""
    if isinstance(value, Mapping):
        facts = cast("Mapping[str, Any]", value)
        return ", ".join(f"{name} {one}" for name, one in facts.items()) or "nothing"
    return "none" if value is None else f"{value!s:.12}"
