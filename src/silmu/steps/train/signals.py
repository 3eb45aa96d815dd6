"""The signals that end a training: the step is finished and saved, and only then it stops."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from silmu.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

    from silmu.steps.train.progress import Progress


@final
class Signals:
    """Whether somebody wants training to stop: the first signal is kept, a second one acts."""

    NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

    def __init__(self, progress: Progress) -> None:
        self.came = 0
        self.progress = progress
        self._now = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        # Only the main thread may, and only it is interrupted.
        if threading.current_thread() is threading.main_thread():
            for number in [getattr(signal, name) for name in self.NAMES if hasattr(signal, name)]:
                before = signal.getsignal(number)
                # What nohup and its like ignore stays ignored.
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.__exit__()
        self.came = number
        self.progress.note("stopping: this step is finished and saved; once more stops at once")
        if self._now:
            raise Interrupted("during validation", 128 + number)

    @contextmanager
    def at_once(self) -> Generator[None]:
        """In here a signal raises Interrupted instead of waiting for the step to end."""
        self._now = True
        try:
            if self.came:
                raise Interrupted("before validation", 128 + self.came)
            yield
        finally:
            self._now = False
