"""How a policy got better while it learnt, from the log of its training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST = 400
"""So many points of a curve are kept."""

Points = list[tuple[int, float]]


def curves(path: Path) -> dict[str, Any] | None:
    """The returns in training and those when the policy was judged, by steps of the environment.

    Args:
        path: of `log.jsonl`, a line of JSON for each time that something was measured.

    Returns:
        None where the log is not there, or tells no return.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return None
    acted: Points = []
    judged: Points = []
    last = 0
    for line in lines:
        try:
            one: Mapping[str, Any] = json.loads(line)
            step = int(one["step"])
            if "return" in one:
                acted.append((step, float(one["return"])))
            if "validation" in one:
                judged.append((step, float(one["validation"]["mean_return"])))
        except (ValueError, KeyError, TypeError):
            continue  # a line that was being written when the power went
        last = max(last, step)
    if not acted and not judged:
        return None
    return {"steps": last, "return": _thinned(acted), "judged": _thinned(judged)}


def _thinned(points: Points) -> Points:
    if not points:
        return []
    every = -(-len(points) // MOST)
    return [*points[:-1:every], points[-1]]
