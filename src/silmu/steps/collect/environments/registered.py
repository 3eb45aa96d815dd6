"""Environments that gymnasium knows by an id."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from silmu.errors import MissingExtraError
from silmu.steps.collect.environments.failures import lacking, refused, unknown

if TYPE_CHECKING:
    from types import ModuleType

WRAPPERS = ("TimeLimit", "OrderEnforcing", "PassiveEnvChecker")
"""What gymnasium.make puts around an environment, and silmu does by itself."""


def gymnasium() -> ModuleType:
    """The library.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it greets on stdout
    try:
        import gymnasium as found
    except ImportError as error:
        raise MissingExtraError(
            "environments need gymnasium, which a small install of silmu leaves out",
            hint="pip install 'silmu[rl]'",
        ) from error
    return found


def registered(library: ModuleType, name: str, **given: Any) -> Any:
    """What gymnasium knows by an id."""
    errors = library.error
    try:
        environment = library.make(name, disable_env_checker=True, **given)
    except (errors.DependencyNotInstalled, ImportError) as error:
        raise lacking(name, error) from error
    except errors.Error as error:
        raise unknown(library, name, error) from error
    except Exception as error:
        raise refused(name, given, error) from error
    spec = environment.spec
    if type(environment).__name__ in WRAPPERS:
        while type(environment).__name__ in WRAPPERS and hasattr(environment, "env"):
            environment = environment.env
        # The outermost wrapper alone knows the time limit.
        if environment is environment.unwrapped:
            environment.spec = spec
    return environment


def time_limit(environment: Any) -> int | None:
    """After how many steps an episode is cut by what gymnasium's registry says; None for never.

    Of an Atari game it says after how many frames, of which a step has several.
    """
    spec = getattr(environment, "spec", None)
    limit = getattr(spec, "max_episode_steps", None)
    given: Any = getattr(spec, "kwargs", None) or {}
    frames, skipped = (given.get(name) for name in ("max_num_frames_per_episode", "frameskip"))
    if limit is None and isinstance(frames, int) and skipped:
        limit = -(-frames // (skipped if isinstance(skipped, int) else min(skipped)))
    return int(limit) if isinstance(limit, int) and limit > 0 else None


def import_arcade(name: str) -> None:
    """Atari games, `ALE/Pong-v5` or by their older ids, are there once ale_py is imported."""
    is_arcade = name.startswith("ALE/") or "NoFrameskip-v" in name
    if not is_arcade and (":" in name or name in gymnasium().registry):
        return
    try:
        library = importlib.import_module("ale_py")
    except ImportError as error:
        if not is_arcade:
            return
        raise MissingExtraError(
            f"`{name}` needs ale-py, which is not installed; no extra of silmu brings it, for its "
            "license is the GPL",
            hint="pip install ale-py",
        ) from error
    library.ALEInterface.setLoggerMode(library.LoggerMode.Error)  # it greets
