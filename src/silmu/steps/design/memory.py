"""How much memory there is, and what is not begun because there is too little."""

from __future__ import annotations

import os
from pathlib import Path

from silmu.errors import TrainingError


def refuse_too_large(needed: int, instead: str) -> None:
    """Ends before training where the machine has not the memory for it.

    Args:
        needed: bytes.
        instead: what takes less.

    Raises:
        TrainingError: it has not; the hint says what takes less.
    """
    free = available_memory()
    if free is not None and needed > free:
        raise TrainingError(
            f"training would need about {needed / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are "
            "free",
            hint=f"{instead} needs less too",
        )


def available_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def is_about_memory(error: BaseException) -> bool:
    """Whether a computation ended because memory did, which many say in their own way."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    # Linux ends whoever it finds when memory runs out; it may be a loader's worker.
    signs = ("can't allocate memory", "not enough memory", "killed by signal: killed")
    return any(sign in str(error).lower() for sign in signs)
