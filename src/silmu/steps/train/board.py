"""The numbers of a training in TensorBoard, where it is there."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@final
class Board:
    """The numbers of the log in TensorBoard, if it is installed; otherwise nothing.

    Args:
        folder: where its files go.
        step: up to where they are right, if an earlier sitting went further.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._writer: Any = None
        with suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def add(self, line: Mapping[str, Any]) -> None:
        """Tell of one line of the log."""
        if self._writer is None:
            return
        step = line["step"]
        numbers = {"train/" + k: v for k, v in line.items() if k not in ("step", "validation")}
        numbers |= {"validation/" + k: v for k, v in line.get("validation", {}).items()}
        for name, value in numbers.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
