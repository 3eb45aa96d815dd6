"""Says what `pip install silmu` brings: packages and megabytes of site-packages.

    python tools/measure_install.py

It follows the requirements of the installed silmu, as pip does, and adds up the files that pip has
recorded; whatever else is installed beside them does not count. Exit code 1 if it is too much.
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MOST_PACKAGES = 30
MOST_MEGABYTES = 260


def brought(name: str) -> dict[str, Distribution]:
    """A distribution and everything that it requires here, by name."""
    found: dict[str, Distribution] = {}
    waiting: list[tuple[str, str]] = [(name, "")]
    done: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        found[name] = distribution(name)
        for line in found[name].requires or []:
            required = Requirement(line)
            if required.marker is None or required.marker.evaluate({"extra": extra}):
                other = canonicalize_name(required.name)
                waiting += [(other, each) for each in ("", *required.extras)]
    return found


def megabytes(installed: Distribution) -> float:
    """What its files take on disk."""
    paths = (Path(str(file.locate())) for file in installed.files or [])
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def main() -> int:
    sizes = {name: megabytes(found) for name, found in brought("silmu").items()}
    for name, size in sorted(sizes.items(), key=lambda pair: -pair[1]):
        print(f"{size:8.1f} MB  {name}")
    total = sum(sizes.values())
    print(f"{total:8.1f} MB in {len(sizes)} packages", end="")
    print(f" (at most {MOST_MEGABYTES} MB in {MOST_PACKAGES})")
    return int(len(sizes) > MOST_PACKAGES or total > MOST_MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
