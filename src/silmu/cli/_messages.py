"""Warnings and logs as lines on stderr, as many as -q and -v ask for."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any, final

from silmu.cli import tell


def set_up(*, quiet: bool, verbose: bool) -> None:
    """Makes silmu's log and Python's warnings lines such as `warning: ...`."""
    if quiet:
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        logging.getLogger("silmu").warning("%s", message)

    warnings.showwarning = show
    logger = logging.getLogger("silmu")
    logger.handlers = [_Lines()]
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.WARNING)


@final
class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """A line; what a report says is shown as its notes."""
        if record.name != "silmu.report":
            tell(f"{record.levelname.lower()}: {record.getMessage()}")
