"""How a model came to be, gathered from the folder of its run for the page and the card."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import silmu
from silmu.errors import SilmuError
from silmu.steps.design.plan import FROM_NOTHING, PROBE, Design, probed
from silmu.steps.evaluate.metrics import PRIMARY
from silmu.steps.evaluate.searched import search_of
from silmu.steps.evaluate.words import part
from silmu.steps.prepare.prepared import Prepared

PACKAGES = ("torch", "transformers", "onnxruntime", "numpy")
ELSEWHERE = ("task", "silmu", "data", "network", "input", "target", "group", "time")
"""Settings that are told in another place."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def history(
    run: Path, prepared: Prepared | None, settings: Mapping[str, Any], metric: str | None = None
) -> dict[str, Any]:
    """What `page` and `card` take as `run`; without what the folder no longer has.

    Args:
        run: the folder of the run.
        prepared: what the model was trained on; None where that has no columns.
        settings: of the run, all that are in effect.
        metric: by which training chose on validation; that of the kind of labels, if not given.
    """
    roles, design = None if prepared is None else prepared.dataset.roles, _design(run)
    metric = metric or ("" if prepared is None else PRIMARY[prepared.kind])
    network = str(settings.get("network") or (design and design.network) or "")
    frozen = probed(network)
    is_own = network in FROM_NOTHING or _is_of_silmu(run / "4-model")
    base = frozen or ("" if is_own else network)
    found: dict[str, Any] = {
        "network": PROBE if frozen else _public(network),
        "base_model": _public(base) if base else None,
        "frozen": frozen is not None,
        "transformers": _is_of_transformers(run / "4-model"),
        "columns": {}
        if roles is None
        else {
            "input": list(roles.input),
            "target": list(roles.target),
            "group": roles.group,
            "time": roles.time,
        },
        "settings": {
            name: value
            for name, value in settings.items()
            if name not in ELSEWHERE and value is not None
        },
        "search": search_of(run),
        "log": [*_log(run / "4-train" / "log.jsonl", metric)],
        "validation_metric": metric,
        "versions": {
            "silmu": silmu.__version__,
            "python": platform.python_version(),
            **_versions(),
        },
        "machine": f"{platform.system()}, {platform.machine()}, {os.cpu_count()} cores",
        "date": time.strftime("%Y-%m-%d"),
        "command": f"silmu train --config {shlex.quote(_beside(run / 'run.toml'))}",
    }
    if design is not None:
        found |= {"parameters": design.parameters, "trainable": design.trainable}
    return found


def _design(run: Path) -> Design | None:
    try:
        return Design.open(run)
    except SilmuError:
        return None


def _public(network: str) -> str:
    """A network's name without the folders around it, which are nobody's affair."""
    if ":" in network or (_HUB_ID.fullmatch(network) and not Path(network).exists()):
        return network
    return Path(network).name


def _beside(path: Path) -> str:
    """A path as it is seen from here, or else from its run."""
    path = path.absolute()
    if path.is_relative_to(Path.cwd()):
        return path.relative_to(Path.cwd()).as_posix()
    return f"{path.parent.name}/{path.name}"


def _is_of_transformers(model: Path) -> bool:
    kind = _model_type(model)
    return kind is not None and not kind.startswith("silmu-")


def _is_of_silmu(model: Path) -> bool:
    kind = _model_type(model)
    return kind is not None and kind.startswith("silmu-")


def _model_type(model: Path) -> str | None:
    try:
        return str(json.loads((model / "config.json").read_bytes())["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _log(path: Path, metric: str) -> Iterator[list[Any]]:
    """Step, loss of training, and metric on validation of each line."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            one = json.loads(line)
            yield [int(one["step"]), one.get("loss"), part(one, "validation").get(metric)]
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a line that was being written when the power went


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
