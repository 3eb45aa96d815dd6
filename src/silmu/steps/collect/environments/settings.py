"""What can be set of an environment; train, check, evaluate and use take the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from silmu.errors import UsageError

SETTINGS = ("max_episode_steps", "kwargs", "deterministic")

OBJECT = """--set 'kwargs={"gravity": -5.0}'"""


def checked(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """All SETTINGS; those that are None are as if not given.

    >>> checked({"kwargs": '{"gravity": -5.0}'})
    {'max_episode_steps': None, 'kwargs': {'gravity': -5.0}, 'deterministic': True}

    Args:
        given: `max_episode_steps`, after which an episode is cut; `kwargs`, what the environment is
            made with, an object or JSON of one; `deterministic`, False to take one that gives
            different things twice.

    Raises:
        UsageError: there is no such setting, or it is not what it may be.
    """
    found = {name: value for name, value in (given or {}).items() if value is not None}
    for name in found:
        if name not in SETTINGS:
            raise UsageError(
                f"environments have no setting `{name}`; there are {', '.join(SETTINGS)}"
            )
    limit, deterministic = found.get("max_episode_steps"), found.get("deterministic", True)
    if limit is not None and (type(limit) is not int or limit < 1):
        raise UsageError(f"max_episode_steps is {limit!r}; it must be a whole number from 1")
    if type(deterministic) is not bool:
        raise UsageError(f"deterministic is {deterministic!r}; it must be true or false")
    return {
        "max_episode_steps": limit,
        "kwargs": _made_with(found.get("kwargs", {})),
        "deterministic": deterministic,
    }


def _made_with(given: Any) -> dict[str, Any]:
    """What the environment is made with."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise UsageError(
                f"kwargs is {given!r}, which is no JSON: {error}", hint=OBJECT
            ) from error
    if not isinstance(given, Mapping):
        raise UsageError(f"kwargs is {given!r}; it must be an object", hint=OBJECT)
    try:
        json.dumps(given, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"kwargs holds what JSON cannot: {error}", hint="give a factory that knows it"
        ) from error
    return dict(cast("Mapping[str, Any]", given))
