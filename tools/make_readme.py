"""Writes the measured comparisons of the READMEs from the newest files of benchmarks/results.

python tools/make_readme.py
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import table  # noqa: E402 - it lies beside the benchmarks

READMES = ("README.md", "README.ko.md")
RESULTS = ROOT / "benchmarks" / "results"
BLOCK = re.compile(r"(<!-- (\w+): written by [^>]*-->\n).*?(<!-- end of \2 -->)", re.DOTALL)


def newest(folder: Path) -> dict[str, Any]:
    """The newest result in a folder."""
    return json.loads(max(folder.glob("*.json")).read_text(encoding="utf-8"))


def comparisons() -> dict[str, str]:
    """The newest results as README shows them, by the name of their block."""
    full, rounded = newest(RESULTS), newest(RESULTS / "precisions")
    return {
        "benchmarks": f"{table.targets(full, with_asked=False)}\n\n{table.summary(full)}",
        "precisions": f"{table.precisions(rounded, with_asked=False)}\n\n{table.summary(rounded)}",
    }


def written(readme: str, blocks: dict[str, str]) -> str:
    """A README with the comparisons in their places."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]]}\n\n{found[3]}", readme)


def main() -> None:
    blocks = comparisons()
    for name in READMES:
        path = ROOT / name
        path.write_text(written(path.read_text(encoding="utf-8"), blocks), encoding="utf-8")


if __name__ == "__main__":
    main()
