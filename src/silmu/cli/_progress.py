"""How far a long job has come: a line that is renewed on a terminal, one now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import final

PAUSE_ON_TERMINAL = 0.2
PAUSE = 30.0


@final
class Progress:
    """Tells of rows as they are done, with their rate and when the last of them is to be expected.

    >>> progress = Progress(quiet=True)
    >>> progress.done(256, share=0.5)
    >>> progress.end()
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._live = not quiet and sys.stderr.isatty()
        self._pause = PAUSE_ON_TERMINAL if self._live else PAUSE
        self._began = self._told = time.monotonic()
        self._rows = self._new = 0
        self._share_at_start: float | None = None
        self._width = 0

    def skipped(self, rows: int, share: float | None) -> None:
        """Rows that were done before, which say nothing of the rate."""
        self._rows += rows
        self._new = 0
        self._share_at_start = share
        self._began = time.monotonic()

    def done(self, rows: int, share: float | None) -> None:
        """Rows that are done now; `share` is which part of the source has been read."""
        self._rows += rows
        self._new += rows
        now = time.monotonic()
        if self.quiet or now - self._told < self._pause:
            return
        self._told = now
        line = self._line(now - self._began, share)
        if self._live:
            sys.stderr.write(f"\r{line:{self._width}}")
            self._width = len(line)
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Clears the line, so that what comes next begins on an empty one."""
        if self._live and self._width:
            sys.stderr.write(f"\r{'':{self._width}}\r")
            sys.stderr.flush()
            self._width = 0

    def _line(self, seconds: float, share: float | None) -> str:
        line = f"{self._rows:,} rows, {self._new / max(seconds, 1e-9):,.0f} a second"
        before = self._share_at_start or 0.0
        if share is not None and share > before:
            left = seconds * (1 - share) / (share - before)
            line += f", {share:.0%} of the source, {duration(left)} left"
        return line


def duration(seconds: float) -> str:
    """A time in the two units that matter.

    >>> duration(3725), duration(65), duration(4.2)
    ('1 h 2 min', '1 min 5 s', '4 s')
    """
    whole = max(round(seconds), 0)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
