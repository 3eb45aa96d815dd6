"""Environments collected: made, tried out, and written down in a sealed folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from silmu import store
from silmu.errors import InputError
from silmu.extras import version
from silmu.runtime.space_forms import to_plain
from silmu.steps.collect.environments import making, own_code, registered, trial
from silmu.steps.collect.environments.contract import Breach
from silmu.steps.collect.environments.environment import (
    FILE,
    FORMAT,
    IN_MEMORY,
    Environment,
    Source,
    hashed,
    named,
    spaces_of,
    told,
)
from silmu.steps.collect.environments.repeated import repeated
from silmu.steps.collect.environments.settings import checked
from silmu.steps.collect.environments.trial import Watched


def collect(
    source: Source,
    folder: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Environment:
    """Makes an environment, tries it out, and leaves what was found in a folder.

    Args:
        source: as `making.make` takes it.
        folder: which must not exist.
        settings: `max_episode_steps`, after which an episode is cut; `kwargs`, what the environment
            is made with; `deterministic`, False to take one that gives different things twice,
            whose training begins new episodes where it goes on after a stop.
        progress: is told a line of what was found.

    Raises:
        UsageError: there is no such environment, a setting is none, or a space is not taken.
        MissingExtraError: a package that it needs is not installed.
        InputError: it misbehaves; the step is named.
    """
    wanted = checked(settings)
    try:
        found = _looked_at(source, wanted)
    except Breach as breach:
        raise InputError(
            f"`{named(source)}` cannot be learnt from: {breach.message}",
            hint=f"{breach.cure}; `silmu check reinforcement-learning` tells more",
        ) from breach.__cause__
    about = {"format": FORMAT, **found}
    with store.new_folder(folder, meta={"dataset": found["fingerprint"]}) as writer:
        data = json.dumps(about, ensure_ascii=False, indent=1, allow_nan=False)
        writer.write(FILE, data.encode() + b"\n")
    environment = Environment.open(folder, source)
    if progress is not None:
        for line in told(environment):
            progress(line)
    return environment


def _looked_at(source: Source, settings: Mapping[str, Any]) -> dict[str, Any]:
    """All of `environment.json` but its format."""
    kwargs = settings["kwargs"]

    def made() -> Any:
        return making.make(source, settings=kwargs)

    environment = made()
    try:
        observation, action = spaces_of(environment)
        limit = settings["max_episode_steps"] or registered.time_limit(environment)
        seen = trial.look(Watched(environment, observation, action), limit)
    finally:
        trial.close(environment)
    again = repeated(made, observation, action, limit)
    deterministic = again.breach is None
    if again.breach is not None and settings["deterministic"]:
        again.breach.cure += "; or --set deterministic=false, which gives up exact resume"
        raise again.breach
    package = type(environment).__module__.split(".")[0]
    file = hashed(source)
    made_by = {"gymnasium": version("gymnasium"), package: version(package)}
    plain = {
        "source": str(source) if isinstance(source, str | Path) else IN_MEMORY,
        "kwargs": dict(kwargs),
        "observation": to_plain(observation),
        "action": to_plain(action),
        "max_episode_steps": limit,
        "deterministic": deterministic,
        "fresh": again.fresh,
        "versions": {name: one for name, one in made_by.items() if one is not None},
        "file": file,
    }
    steps = again.digest if deterministic else ""
    whole = json.dumps([plain, steps], sort_keys=True, allow_nan=False).encode()
    return {
        "name": named(source),
        **plain,
        "where": own_code.absolute(source),
        "trial": seen.facts(),
        "fingerprint": hashlib.sha256(whole).hexdigest(),
    }
