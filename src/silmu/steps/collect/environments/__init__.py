"""Environments: what a policy learns in, by acting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from silmu.steps.collect.environments.collecting import collect
from silmu.steps.collect.environments.environment import Environment, named, told
from silmu.steps.collect.environments.making import make
from silmu.steps.collect.environments.settings import SETTINGS, checked
from silmu.steps.collect.environments.trial import close

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from silmu.steps.collect.checks import Finding
    from silmu.steps.collect.environments.environment import Source

__all__ = [
    "SETTINGS",
    "Environment",
    "check",
    "checked",
    "close",
    "collect",
    "make",
    "named",
    "told",
]


def check(source: Source, *, settings: Mapping[str, Any] | None = None) -> list[Finding]:
    """What is wrong with an environment; see `checking.check`."""
    from silmu.steps.collect.environments import checking  # which needs the extra `data`

    return checking.check(source, settings=settings)
