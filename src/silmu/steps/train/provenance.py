"""What decides the result of a training, and whether one who goes on has the same."""

from __future__ import annotations

import logging
import platform
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from silmu import __version__
from silmu.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

logger = logging.getLogger("silmu")


def versions() -> dict[str, str]:
    """Of what computes a training, for `made_by`."""
    return {
        "numpy": np.__version__,
        "python": platform.python_version(),
        "silmu": __version__,  # whose draws of chance may change
        "torch": str(torch.__version__),
    }


def refuse_another(then: Mapping[str, Any], now: Mapping[str, Any], place: Path) -> None:
    """Compares what a checkpoint was made by with what goes on from it.

    What is under `versions` may differ, with a warning.

    Args:
        then: by what it was made.
        now: what would go on.
        place: where it is.

    Raises:
        UsageError: they differ in what decides the result.
    """
    before, after = _flat(then), _flat(now)
    differ = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    told = [f"{key} was {before.get(key, 'unknown')}, is {after.get(key)}" for key in differ]
    if newer := [one for one in told if one.startswith("versions.")]:
        logger.warning(
            "%s; the weights may not be, bit for bit, those of a training that never stopped",
            "; ".join(newer).replace("versions.", ""),
        )
    if others := [one for one in told if not one.startswith("versions.")]:
        raise UsageError(
            f"`{place}` is of another training: {'; '.join(others)}",
            hint="start a new run, or go back to what it was started with",
        )


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, one in value.items():
        if isinstance(one, dict):
            flat |= _flat(cast("Mapping[str, Any]", one), f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = one
    return flat
