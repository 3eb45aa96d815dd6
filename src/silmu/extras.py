"""Optional dependencies: what each extra of silmu brings, and what of it is missing here."""

from __future__ import annotations

import re
from functools import cache

from silmu.errors import MissingExtraError

_NAME = re.compile(r"([A-Za-z0-9._-]+)(?:\[([\w,-]+)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")


def require(extra: str) -> None:
    """Ends early, with the command that helps, where an extra is not installed.

    Raises:
        MissingExtraError: a package of the extra is missing.
    """
    lacking = [name for name in packages().get(extra, []) if version(name) is None]
    if lacking:
        raise MissingExtraError(
            f"this needs {', '.join(lacking)}, which a small install of silmu leaves out",
            hint=f"pip install 'silmu[{extra}]'",
        )


@cache
def packages() -> dict[str, list[str]]:
    """The packages of each extra, those of the extras that it names included; `""` is the base.

    >>> "numpy" in packages()[""]
    True
    """
    from importlib import metadata  # slow to import, and few runs ask for an extra

    own: dict[str, list[str]] = {}
    named: dict[str, list[str]] = {}
    for line in metadata.requires("silmu") or []:
        name, extra = _NAME.match(line), _EXTRA.search(line)
        if name is None:
            continue
        key = extra[1] if extra else ""
        if name[1] == "silmu":
            named.setdefault(key, []).extend(name[2].split(","))
            own.setdefault(key, [])
        else:
            own.setdefault(key, []).append(name[1])

    def whole(extra: str) -> list[str]:
        inner = [package for other in named.get(extra, []) for package in whole(other)]
        return list(dict.fromkeys([*inner, *own.get(extra, [])]))

    return {extra: whole(extra) for extra in own}


def version(package: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
