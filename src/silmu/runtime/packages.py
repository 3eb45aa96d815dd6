"""Files that an installed package ships, named as `package:NAME/path/inside/it`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from silmu.errors import ModelNotFoundError, UsageError

PREFIX = "package:"


def locate(name: str) -> Path:
    """The file or folder that a name means; the package itself is never imported.

    >>> locate("package:silmu/py.typed").name
    'py.typed'

    Raises:
        UsageError: the name is not of that form, or leads out of the package.
        ModelNotFoundError: no such package is installed, or it has no such file.
    """
    package, _, inside = name.removeprefix(PREFIX).partition("/")
    parts = PurePosixPath(inside).parts
    if not package.isidentifier() or ".." in parts or PurePosixPath(inside).is_absolute():
        raise UsageError(
            f"`{name}` is not a file inside a package",
            hint="such a name is written package:NAME/path, NAME as one writes it after `import`",
        )
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelNotFoundError(
            f"the package `{package}`, of `{name}`, is not installed", hint=f"pip install {package}"
        )
    for root in spec.submodule_search_locations:
        if (path := Path(root, *parts)).exists():
            return path
    raise ModelNotFoundError(f"the package `{package}` has no {inside}")
