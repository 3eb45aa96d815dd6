"""Why an environment cannot be made, and what helps."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from silmu.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

PACKAGES = {
    "Box2D": "gymnasium[box2d]",
    "box2d": "gymnasium[box2d]",
    "box2d-py": "gymnasium[box2d]",
    "pygame": "gymnasium[classic-control]",
    "mujoco": "gymnasium[mujoco]",
    "mujoco_py": "gymnasium[mujoco]",
    "ale_py": "ale-py",
    "shimmy": "shimmy",
}
"""What is installed for a module that an environment lacks."""

HINT = "CartPole-v1, ALE/Breakout-v5, or file.py:name for a class or a factory of your own"


def unknown(library: ModuleType, name: str, error: Exception) -> UsageError:
    """No such id, or no such version of it."""
    known = [str(one) for one in library.registry]
    stem = name.rpartition("-v")[0] or name
    same = sorted(one for one in known if one.rpartition("-v")[0].lower() == stem.lower())
    near = same or difflib.get_close_matches(name, known, n=3, cutoff=0.75)
    lowered = {one.lower(): one for one in known}
    near = near or [
        lowered[one] for one in difflib.get_close_matches(name.lower(), lowered, 3, 0.75)
    ]
    unknown = isinstance(error, library.error.UnregisteredEnv | library.error.DeprecatedEnv)
    said = " ".join(str(error).split())
    return UsageError(
        f"gymnasium has no environment `{name}`" if unknown else f"`{name}`: {said}",
        hint=f"did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else HINT,
    )


def lacking(name: str, error: Exception) -> MissingExtraError:
    """A package that the environment needs is not there."""
    said = " ".join(str(error).split())
    module = getattr(error, "name", None) or getattr(error.__cause__, "name", None) or ""
    package = next(
        (PACKAGES[one] for one in PACKAGES if one == module.split(".")[0] or f"`{one}`" in said), ""
    )
    package = package or next((PACKAGES[one] for one in PACKAGES if one in said), "")
    package = package or module.split(".")[0]
    return MissingExtraError(
        f"`{name}` needs a package that is not installed: {said}",
        hint=f"pip install '{package}'" if package else None,
    )


def refused(name: str, given: Mapping[str, Any], error: Exception) -> UsageError:
    """The environment could not be made."""
    with_ = f" with {', '.join(f'{key}={value!r}' for key, value in given.items())}"
    return UsageError(
        f"{name} cannot be made{with_ if given else ''}: {type(error).__name__}: {error}",
        hint="a class or factory is called with the settings of `kwargs`, and nothing else",
    )
