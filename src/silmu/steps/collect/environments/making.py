"""From the name of an environment to one that can be stepped through.

An environment is an id that gymnasium knows (`CartPole-v1`, `ALE/Breakout-v5`, or `module:id`,
where importing the module registers it), `file.py:name` for a class or a factory in a file of one's
own, `module:name` for a class in an installed package, or what a program gives: a class, a factory.

A run folder names its environment, too, and may be somebody else's: so a module's class must be an
environment before it is called, and a file that lies in a run folder is never read.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from silmu.errors import MissingExtraError, SilmuError, UsageError

WRAPPERS = ("TimeLimit", "OrderEnforcing", "PassiveEnvChecker")
"""What gymnasium.make puts around an environment, and silmu does by itself."""

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
                f"the environment of {_named(source)} has no {space}",
                hint=f"self.{space} = gymnasium.spaces.Box(...) or Discrete(n) in __init__",
            )
    if not {"camera_id", "camera_name"} & {*(settings or {}), *more}:
        _follow(environment)
    return environment


def _follow(environment: Any) -> None:
    """Lets the camera of a robot go along with it, as MuJoCo's own models ask for with `track`.

    Gymnasium's renderer looks at where it began.
    """
    renderer = getattr(environment, "mujoco_renderer", None)
    if renderer is not None and getattr(renderer, "camera_id", 0) in (None, -1):
        with suppress(AttributeError, KeyError):  # it has no such camera
            renderer.camera_id = environment.model.camera("track").id


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
            return _called(source, given, _named(source))
        name = str(source)
        if is_file(name):
            return _called(from_file(name), given, name)
        _import_arcade(name)
        if ":" in name and (found := _from_module(name)) is not None:
            return _called(found, given, name)
        return _registered(library, name, **given)


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


def is_file(name: str) -> bool:
    """Whether a source is `file.py` or `file.py:name`."""
    return _parted(name)[0].endswith(".py")


def found_again(source: str, where: str) -> str:
    """`file.py:name`, by the absolute path of its file where it is not found from here."""
    path, name = _parted(source)
    if Path(path).is_file():
        return source
    return f"{where}:{name}" if name else where


def absolute(source: str | Path | Callable[..., Any]) -> str | None:
    """Where the file of `file.py:name` is; None for other sources."""
    if isinstance(source, str | Path) and is_file(str(source)):
        return str(Path(_parted(str(source))[0]).absolute())
    return None


def own_source(source: str | Path | Callable[..., Any]) -> bytes | None:
    """The text of a source that is one's own; None for what an installed package has."""
    if isinstance(source, str | Path):
        path = Path(_parted(str(source))[0])
        return path.read_bytes() if is_file(str(source)) and path.is_file() else None
    try:
        return inspect.getsource(source).encode()
    except (OSError, TypeError):  # typed at a prompt, or an object that makes environments
        return None


def place_of(source: str | Path | Callable[..., Any]) -> str:
    """Where a source is written, for people."""
    if isinstance(source, str | Path):
        return f"`{_parted(str(source))[0]}`"
    return f"{_named(source)} of the module `{getattr(source, '__module__', '')}`"


def from_file(name: str) -> Callable[..., Any]:
    """The class or factory that `file.py:name` means.

    Raises:
        UsageError: there is no such file, it fails when it is read, or has no such name.
    """
    path, wanted = _parted(name)
    module = _loaded(Path(path))
    if wanted:
        found: Any = getattr(module, wanted, None)
        if callable(found):
            return cast("Callable[..., Any]", found)
        if wanted in gymnasium().registry:
            return partial(_registered, gymnasium(), wanted)
        has = [key for key, value in vars(module).items() if _is_own(value, module)]
        near = difflib.get_close_matches(wanted, has, n=1)
        raise UsageError(
            f"`{path}` has no `{wanted}` that makes an environment; it has "
            f"{', '.join(f'`{one}`' for one in has) or 'none'}",
            hint=f"did you mean `{path}:{near[0]}`?" if near else "give file.py:name",
        )
    classes = [
        value
        for value in vars(module).values()
        if _is_own(value, module) and isinstance(value, type) and _steps(cast("Any", value))
    ]
    if len(classes) != 1:
        names = ", ".join(f"`{path}:{one.__name__}`" for one in classes)
        raise UsageError(
            f"`{path}` has {len(classes) or 'no'} class{'es' if len(classes) != 1 else ''} with "
            "reset and step; say which is meant",
            hint=names or "give file.py:name, where name is a class or a factory",
        )
    return cast("Callable[..., Any]", classes[0])


def _registered(library: ModuleType, name: str, **given: Any) -> Any:
    """What gymnasium knows by an id."""
    errors = library.error
    try:
        environment = library.make(name, disable_env_checker=True, **given)
    except errors.DependencyNotInstalled as error:
        raise _lacking(name, error) from error
    except (ImportError, ModuleNotFoundError) as error:
        raise _lacking(name, error) from error
    except errors.Error as error:
        raise _unknown(library, name, error) from error
    except Exception as error:
        raise _refused(name, given, error) from error
    spec = environment.spec
    if type(environment).__name__ in WRAPPERS:
        while type(environment).__name__ in WRAPPERS and hasattr(environment, "env"):
            environment = environment.env
        # The outermost wrapper alone knows the time limit.
        if environment is environment.unwrapped:
            environment.spec = spec
    return environment


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
        raise _lacking(name, error) from error
    except Exception as error:
        raise _refused(name, given, error) from error
    if not _steps(environment) or isinstance(environment, type):
        raise UsageError(
            f"{name} gave a {type(environment).__name__}; it must have reset and step",
            hint="a factory returns an environment: an object of a class with both",
        )
    return environment


def _loaded(path: Path) -> ModuleType:
    """A file as a module: read once, and again when its bytes are others."""
    if not path.is_file():
        raise UsageError(f"there is no file `{path}`", hint="give file.py:name")
    resolved = path.resolve()
    content = resolved.read_bytes()
    digest = hashlib.sha256(str(resolved).encode() + b"\0" + content).hexdigest()[:16]
    name = f"silmu_environment_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, resolved)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(resolved.parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except (ImportError, ModuleNotFoundError) as error:
        sys.modules.pop(name, None)
        raise _lacking(str(path), error) from error
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise UsageError(
            f"`{path}` fails when it is read: {type(error).__name__}: {error}",
            hint=f"`python {path}` shows where; put what is not for others under "
            'if __name__ == "__main__":',
        ) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    return module


def _from_module(name: str) -> Callable[..., Any] | None:
    """The class `module:name`; None where it is an id that the module registers."""
    module, _, wanted = name.partition(":")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and module.split(".")[0] == error.name.split(".")[0]:
            raise UsageError(
                f"there is no module `{module}`, which `{name}` names", hint=HINT
            ) from error
        raise _lacking(name, error) from error
    found: Any = loaded
    for part in wanted.split("."):
        found = getattr(found, part, None)
    if found is not None and not (isinstance(found, type) and _steps(cast("Any", found))):
        raise UsageError(
            f"`{name}` is no class with reset and step",
            hint="a factory must be in a file of your own: file.py:name",
        )
    return cast("Callable[..., Any] | None", found)


def _import_arcade(name: str) -> None:
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


def _unknown(library: ModuleType, name: str, error: Exception) -> UsageError:
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


def _lacking(name: str, error: Exception) -> MissingExtraError:
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


def _refused(name: str, given: Mapping[str, Any], error: Exception) -> UsageError:
    """The environment could not be made."""
    with_ = f" with {', '.join(f'{key}={value!r}' for key, value in given.items())}"
    return UsageError(
        f"{name} cannot be made{with_ if given else ''}: {type(error).__name__}: {error}",
        hint="a class or factory is called with the settings of `kwargs`, and nothing else",
    )


def _parted(name: str) -> tuple[str, str]:
    """File and name of `file.py:name`; the colon of a drive is none."""
    before, colon, after = name.rpartition(":")
    return (before, after) if colon and before.endswith(".py") else (name, "")


def _steps(value: Any) -> bool:
    return callable(getattr(value, "reset", None)) and callable(getattr(value, "step", None))


def _is_own(value: Any, module: ModuleType) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def _takes(factory: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return True
    return name in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())


def _named(source: Any) -> str:
    if isinstance(source, str | Path):
        return f"`{source}`"
    return f"`{getattr(source, '__qualname__', type(source).__name__)}`"
