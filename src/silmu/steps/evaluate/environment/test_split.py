"""Sealed episodes: a policy in them, what chance and doing nothing earn, and how often it was seen.

An environment has no test split. What stands for it is a list of seeds that follows from the
environment's fingerprint: its episodes are the same for every policy, and training has none.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from silmu.steps.evaluate import ledger
from silmu.steps.evaluate.environment import asked, episodes, films, learning
from silmu.steps.evaluate.environment.judged import METRIC, compared, judge
from silmu.steps.evaluate.history import history
from silmu.steps.evaluate.judged import plain, plural, write
from silmu.steps.evaluate.report import Report
from silmu.steps.evaluate.scoring import fingerprint_of
from silmu.steps.prepare.environments import PreparedEnvironment
from silmu.steps.train.progress import Progress

EPISODES = 100


def evaluate(
    pipe: Any,
    model: Path,
    prepared: PreparedEnvironment,
    folder: Path,
    *,
    seconds: Mapping[str, float],
    settings: Mapping[str, Any],
    progress: Progress,
) -> Report:
    """Plays sealed episodes with a policy and the baselines, and writes what was found."""
    started = time.monotonic()
    seed = int(settings.get("seed") or 0)
    environment, limit = prepared.environment, prepared.max_episode_steps
    pipe.processor.check(environment.name, environment.observation, environment.action)
    seeds = episodes.seeds(environment, "test", int(settings.get("episodes") or EPISODES))
    fingerprint = fingerprint_of(pipe)
    test = _fingerprint_of_episodes(environment.fingerprint, seeds, limit)
    looks = ledger.look(folder, model=fingerprint, test=test)
    beside = ledger.beside(folder, test=test)

    judged = judge(asked.played(pipe, environment, seeds, limit, progress), seed)
    own = judged.pop("")
    found = {
        **films.shown(pipe, environment, own.played, limit, folder, progress),
        "learning": learning.curves(folder.parent / "4-train" / "log.jsonl"),
    }
    run = history(folder.parent, None, settings, METRIC)
    # The curves of learning have a section of their own.
    run |= {"log": [], "versions": {**run["versions"], **environment.versions}}
    values: dict[str, Any] = {
        **asked.head(pipe, fingerprint),
        "data": asked.data(environment, own) | {"counts": {}},
        "look": looks,
        "looks_beside": beside,
        "metrics": own.metrics,
        "baselines": {name: one.metrics for name, one in judged.items()},
        "comparison": compared(own, judged),
        "warnings": [*_looks_warnings(looks, beside), *asked.warnings(environment, own)],
        "seconds": {**seconds, "evaluate": time.monotonic() - started},
        "run": run,
        "details": asked.details(pipe, environment, own, judged, found, limit, seed),
    }
    report = Report(plain(values))
    ledger.shown(folder)
    write(report, folder, model, settings)
    return report


def _fingerprint_of_episodes(environment: str, seeds: tuple[int, ...], limit: int) -> str:
    """A hash of what makes the episodes what they are."""
    return hashlib.sha256(f"{environment} {limit} {seeds}".encode()).hexdigest()


def _looks_warnings(looks: int, beside: int) -> list[str]:
    """What a reader must know where the episodes were looked at before."""
    found: list[str] = []
    if looks > 1:
        found.append(
            f"look {looks} at these episodes: if what was seen in them before decided anything "
            "about the policy, the figures are too good"
        )
    if beside:
        found.append(
            f"{beside} {plural(beside, 'look')} at the same episodes by runs beside this one: the "
            "best of several policies looks better in them than it is"
        )
    return found
