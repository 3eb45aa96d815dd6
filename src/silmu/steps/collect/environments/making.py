"""From the name of an environment to one that can be stepped through.

An environment is an id that gymnasium knows (`CartPole-v1`, `ALE/Breakout-v5`, or `module:id`,
where importing the module registers it), `file.py:name` for a class or a factory in a file of one's
own, `module:name` for a class in an installed package, or what a program gives: a class, a factory.

A run folder names its environment, too, and may be somebody else's: so a module's class must be an
environment before it is called, and a file that lies in a run folder is never read.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from silmu.errors import SilmuError, UsageError
from silmu.steps.collect.environments import own_code
from silmu.steps.collect.environments.failures import HINT, lacking, refused
from silmu.steps.collect.environments.registered import gymnasium, import_arcade, registered


def make(
    source: str | Path | Callable[..., Any],
    *,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> Any:
    """An environment, without the wrappers that gymnasium.make adds.

    >>> make("CartPole-v1", settings={}).observation_space.shape         # doctest: +SKIP
    (4,)

    Args:
        source: an id, `file.py:name`, `module:name` of a class, or a class or factory.
        settings: what the environment is made with, such as {"gravity": -5.0}.
        more: as `settings`; `render_mode` is left out where a class of one's own does not take it.

    Raises:
        UsageError: there is no such environment, or it does not take these settings.
        MissingExtraError: a package that it needs is not installed.
    """
    environment = made(source, settings=settings, **more)
    for space in ("observation_space", "action_space"):
        if getattr(environment, space, None) is None:
            raise UsageError(
                f"the environment of {own_code.named(source)} has no {space}",
                hint=f"self.{space} = gymnasium.spaces.Box(...) or Discrete(n) in __init__",
            )
    if not {"camera_id", "camera_name"} & {*(settings or {}), *more}:
        _follow(environment)
    return environment


def made(
    source: str | Path | Callable[..., Any],
    *,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> Any:
    """As `make`, whatever spaces it has."""
    given = {**(settings or {}), **more}
    library = gymnasium()
    with warnings.catch_warnings():
        # Of gymnasium: that there is a newer version, that bounds lose digits.
        warnings.simplefilter("ignore")
        if not isinstance(source, str | Path):
            return _called(source, given, own_code.named(source))
        name = str(source)
        if own_code.is_file(name):
            return _called(own_code.from_file(name), given, name)
        import_arcade(name)
        if ":" in name and (found := own_code.from_module(name)) is not None:
            return _called(found, given, name)
        return registered(library, name, **given)


def _called(factory: Callable[..., Any], given: Mapping[str, Any], name: str) -> Any:
    """What a class or factory makes."""
    if not callable(factory):
        raise UsageError(f"{name} is a {type(factory).__name__}; it must be a name", hint=HINT)
    given = dict(given)
    if "render_mode" in given and not _takes(factory, "render_mode"):
        given.pop("render_mode")
    try:
        environment = factory(**given)
    except SilmuError:
        raise
    except (ImportError, ModuleNotFoundError) as error:
        raise lacking(name, error) from error
    except Exception as error:
        raise refused(name, given, error) from error
    if not own_code.steps(environment) or isinstance(environment, type):
        raise UsageError(
            f"{name} gave a {type(environment).__name__}; it must have reset and step",
            hint="a factory returns an environment: an object of a class with both",
        )
    return environment


def _follow(environment: Any) -> None:
    """Lets the camera of a robot go along with it, as MuJoCo's own models ask for with `track`.

    Gymnasium's renderer looks at where it began.
    """
    renderer = getattr(environment, "mujoco_renderer", None)
    if renderer is not None and getattr(renderer, "camera_id", 0) in (None, -1):
        with suppress(AttributeError, KeyError):  # it has no such camera
            renderer.camera_id = environment.model.camera("track").id


def _takes(factory: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return True
    return name in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
