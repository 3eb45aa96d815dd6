"""Writes the measured comparison of the READMEs from the newest file of benchmarks/results.

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
BLOCK = re.compile(r"(<!-- benchmarks: [^>]*-->\n).*?(<!-- end of benchmarks -->)", re.DOTALL)


def comparison() -> str:
    """The newest result as README shows it."""
    newest = max((ROOT / "benchmarks" / "results").glob("*.json"))
    result: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
    return f"{table.targets(result, with_asked=False)}\n\n{table.summary(result)}"


def written(readme: str, block: str) -> str:
    """A README with the comparison in its place."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{block}\n\n{found[2]}", readme)


def main() -> None:
    block = comparison()
    for name in READMES:
        path = ROOT / name
        path.write_text(written(path.read_text(encoding="utf-8"), block), encoding="utf-8")


if __name__ == "__main__":
    main()
