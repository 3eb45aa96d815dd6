"""Environments of one's own: a class or a factory in a file, or a class of an installed module."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from silmu.errors import UsageError
from silmu.steps.collect.environments.failures import HINT, lacking
from silmu.steps.collect.environments.registered import gymnasium, registered


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
    return f"{named(source)} of the module `{getattr(source, '__module__', '')}`"


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
            return partial(registered, gymnasium(), wanted)
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
        if _is_own(value, module) and isinstance(value, type) and steps(cast("Any", value))
    ]
    if len(classes) != 1:
        names = ", ".join(f"`{path}:{one.__name__}`" for one in classes)
        raise UsageError(
            f"`{path}` has {len(classes) or 'no'} class{'es' if len(classes) != 1 else ''} with "
            "reset and step; say which is meant",
            hint=names or "give file.py:name, where name is a class or a factory",
        )
    return cast("Callable[..., Any]", classes[0])


def from_module(name: str) -> Callable[..., Any] | None:
    """The class `module:name`; None where it is an id that the module registers."""
    module, _, wanted = name.partition(":")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and module.split(".")[0] == error.name.split(".")[0]:
            raise UsageError(
                f"there is no module `{module}`, which `{name}` names", hint=HINT
            ) from error
        raise lacking(name, error) from error
    found: Any = loaded
    for part in wanted.split("."):
        found = getattr(found, part, None)
    if found is not None and not (isinstance(found, type) and steps(cast("Any", found))):
        raise UsageError(
            f"`{name}` is no class with reset and step",
            hint="a factory must be in a file of your own: file.py:name",
        )
    return cast("Callable[..., Any] | None", found)


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
        raise lacking(str(path), error) from error
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


def _parted(name: str) -> tuple[str, str]:
    """File and name of `file.py:name`; the colon of a drive is none."""
    before, colon, after = name.rpartition(":")
    return (before, after) if colon and before.endswith(".py") else (name, "")


def _is_own(value: Any, module: ModuleType) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def steps(value: Any) -> bool:
    """Whether a value is, or makes, what can be reset and stepped through."""
    return callable(getattr(value, "reset", None)) and callable(getattr(value, "step", None))


def named(source: Any) -> str:
    """What a source is called in a message."""
    if isinstance(source, str | Path):
        return f"`{source}`"
    return f"`{getattr(source, '__qualname__', type(source).__name__)}`"
