"""Tell what silmu runs on: versions, processors, caches, and what is missing.

The exit code is 1 if something that silmu needs is missing or cannot be loaded.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

from silmu import __version__, extras
from silmu.cli import DONE, NO, _flags, answer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing but how to tell it."""
    _flags.add(parser, "--json")


def run(args: argparse.Namespace) -> int:
    """Looks at all there is and tells it."""
    found = examine()
    answer(json.dumps(found) if args.json else _told(found))
    return NO if found["missing"] else DONE


def examine() -> dict[str, Any]:
    """What is installed and set, and under `missing` what is needed and not there.

    >>> examine()["missing"]                                             # doctest: +SKIP
    []
    """
    needed = extras.packages()[""]
    packages = {name: _loaded(name) for name in needed}
    missing = [name for name, (version, _) in packages.items() if version is None]
    return {
        "silmu": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: version for name, (version, _) in packages.items()},
        "missing": [f"{name}: {packages[name][1]}" for name in missing],
        "extras": {
            extra: [name for name in names if extras.version(name) is None]
            for extra, names in extras.packages().items()
            if extra
        },
        "engine": None if missing else _engine(),
        "caches": None if missing else _caches(),
        "hub": None if missing else _hub(),
    }


def _loaded(name: str) -> tuple[str | None, str]:
    """A package's version, or None and why it cannot be used."""
    version = extras.version(name)
    if version is None:
        return None, "not installed"
    try:
        importlib.import_module(name.replace("-", "_"))
    # Whatever a broken library raises while it loads is what is to be told here.
    except Exception as error:
        return None, f"version {version} cannot be loaded: {error}"
    return version, ""


def _engine() -> dict[str, Any]:
    from silmu.runtime import session

    return {
        "name": session.ENGINE,
        "providers": session.available_providers(),
        "cores": session.num_cores(),
    }


def _hub() -> dict[str, Any]:
    from huggingface_hub import get_token

    from silmu.runtime import hub

    return {
        "endpoint": hub.endpoint(),
        "offline": hub.is_offline(),
        "token": get_token() is not None,  # that there is one, and never which
    }


def _caches() -> dict[str, dict[str, Any]]:
    from silmu import graphs
    from silmu.runtime import hub

    folders = {"hub": hub.cache_folder(), "graphs": graphs.cache_folder()}
    found: dict[str, dict[str, Any]] = {
        name: {"path": str(path), "bytes": _size(path)} for name, path in folders.items()
    }
    kept = graphs.kept_in_cache()
    useless = [path for path, why in kept if why]
    found["graphs"] |= {
        "graphs": len(kept),
        "useless": {"graphs": len(useless), "bytes": sum(map(_size, useless))},
    }
    return found


def _size(folder: Path) -> int:
    """Bytes of what is below a folder; a link counts as nothing, so no blob counts twice."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                status = Path(root, name).lstat()
            except OSError:
                continue  # gone in the meantime
            total += 0 if Path(root, name).is_symlink() else status.st_size
    return total


def _told(found: dict[str, Any]) -> str:
    rows = [
        ("silmu", f"{found['silmu']}, Python {found['python']}, {found['system']}"),
        *((name, version or "MISSING") for name, version in found["packages"].items()),
    ]
    if not found["missing"]:
        engine, caches, hub = found["engine"], found["caches"], found["hub"]
        rows.append(("engine", f"{engine['name']} on {engine['cores']} cores"))
        rows.append(("providers", ", ".join(engine["providers"])))
        for name in caches:
            rows.append((f"{name} cache", f"{caches[name]['path']} ({_told_size(caches[name])})"))
        asked = "HF_HUB_OFFLINE keeps from asking it" if hub["offline"] else "asked when needed"
        rows.append(("hub", f"{hub['endpoint']}, {asked}, {'a' if hub['token'] else 'no'} token"))
    for extra, lacking in found["extras"].items():
        install = f"lacks {', '.join(lacking)}: pip install 'silmu[{extra}]'"
        rows.append((f"extra {extra}", install if lacking else "installed"))
    width = max(len(name) for name, _ in rows) + 2
    lines = [f"{name:{width}}{text}" for name, text in rows]
    if found["caches"] and found["caches"]["graphs"]["bytes"]:
        path = Path(found["caches"]["graphs"]["path"])
        lines += ["", f"`{_removal(path)}` frees the graphs; each is built again when asked for"]
    if found["missing"]:
        lines += ["", "missing, and needed:", *(f"  {line}" for line in found["missing"])]
        lines += ["", "`pip install --force-reinstall silmu` brings what is missing"]
    return "\n".join(lines)


def _told_size(cache: dict[str, Any]) -> str:
    """How large a cache is, and how much of it is of no use here."""
    told = f"{cache['bytes'] / 1e6:,.1f} MB"
    if count := cache.get("graphs"):
        told += f", {count:,} graph{'s' * (count > 1)}"
    if useless := cache.get("useless", {}).get("graphs"):
        size = f"{cache['useless']['bytes'] / 1e6:,.1f} MB"
        told += f"; {useless:,} of them, {size}, of models that are gone, of another engine or "
        told += "processor, or damaged"
    return told


def _removal(folder: Path) -> str:
    """The command that removes a folder here."""
    if sys.platform == "win32":
        return f'rmdir /s /q "{folder}"'
    return f"rm -r {shlex.quote(str(folder))}"
