"""What is seen of a long work while it goes on: a line on stderr. It needs no torch."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO, final

from silmu.steps.design.plan import clock, spoken

if TYPE_CHECKING:
    from collections.abc import Generator

LIVE, PLAIN = 0.2, 30.0
"""So many seconds lie between two lines, on a terminal and elsewhere."""

FIRST = 10.0
"""So long nothing is told of a work elsewhere than on a terminal: a shorter one is soon over."""

PULSE = 1.0
"""So often a terminal sees how long a work without parts has taken."""

SHARE = 0.1
"""Of a training there is no more than one line of a validation, and none twice in an epoch."""


@final
class Progress:
    """One live line on a terminal; elsewhere a line now and then.

    Args:
        quiet: show nothing.
        stream: where to; stderr unless given.
        name: of one training among several, which begins each line; validations then have no line
            that stays.
    """

    def __init__(
        self, *, quiet: bool = False, stream: TextIO | None = None, name: str = ""
    ) -> None:
        self.quiet, self.name = quiet, name
        self.stream = sys.stderr if stream is None else stream
        self.live = self.stream.isatty()
        self._shown = self._started = time.monotonic()
        self._first: int | None = None
        self._last = 0
        self._width = 0
        self._metric = ""
        self._is_told = False
        self._total: int | None = None
        self._epoch = 0
        self._noted: tuple[int, int] | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def step(self, step: int, total: int, epoch: int, epochs: int, loss: float, size: int) -> None:
        """Tell of a step of `size` examples that is done; most calls show nothing."""
        now = time.monotonic()
        self._total, self._epoch = total, epoch
        if self._first is None:
            self._first, self._started = step, now
            self._last = step - 1
        if self.quiet or now - self._shown < (LIVE if self.live else PLAIN):
            return
        rate = size * (step - self._last) / max(now - self._shown, 1e-9)
        self._shown, self._last = now, step
        parts = [self.name, f"step {step:,}/{total:,}", f"epoch {epoch}/{epochs}"]
        if step > self._first:
            left = (now - self._started) / (step - self._first) * (total - step)
            parts.append(f"ends {clock(left)}")
        # What a narrow terminal cuts off comes last.
        parts += [f"loss {loss:.4f}", self._metric, f"{rate:,.0f} examples/s"]
        self._show("  ".join(filter(None, parts)))

    def acted(self, step: int, total: int, mean_return: float | None) -> None:
        """Tell of steps of an environment, and of what the last episodes brought."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._started, self._last = step, now, step
        if self.quiet or now - self._shown < (LIVE if self.live else PLAIN):
            return
        rate = (step - self._last) / max(now - self._shown, 1e-9)
        self._shown, self._last = now, step
        parts = [self.name, f"step {step:,}/{total:,}"]
        if step > self._first:
            left = (now - self._started) / (step - self._first) * (total - step)
            parts.append(f"ends {clock(left)}")
        if mean_return is not None:
            parts.append(f"return {mean_return:,.1f}")
        parts += [self._metric, f"{rate:,.0f} steps/s"]
        self._show("  ".join(filter(None, parts)))

    def part(self, done: int, total: int, what: str, left: float | None) -> None:
        """Tell how much of a work is done that will take so many seconds more, if that is known."""
        now = time.monotonic()
        if self.quiet or now - self._shown < (LIVE if self.live else self._pause):
            return
        self._shown, self._is_told = now, True
        end = "" if left is None else f"  ends {clock(left)}"
        self._show(f"{done:,} of {total:,} {what}{end}")

    def work(self, what: str, total: int) -> Work:
        """A work of so many parts that begins now, such as 100 "episodes played"."""
        return Work(self, what, total)

    @contextmanager
    def busy(self, what: str) -> Generator[None]:
        """Tell now and then of a work that has no parts, while it goes on.

        Args:
            what: is done, such as "fitting simpler models".
        """
        if self.quiet:
            yield
            return
        began, over = time.monotonic(), threading.Event()

        def tell() -> None:
            while not over.wait(PULSE if self.live else self._pause):
                self._shown, self._is_told = time.monotonic(), True
                self._show(f"{what}, for {spoken(self._shown - began)}")

        telling = threading.Thread(target=tell, name="silmu-progress", daemon=True)
        try:
            telling.start()
            yield
        finally:
            over.set()
            if telling.ident is not None:  # it may have been interrupted before it began
                telling.join()
            self.close()

    def validated(
        self, step: int, metric: str, value: float, *, better: bool, where: str = "on validation"
    ) -> None:
        """Tell of a validation: by the line of the next step, and now and then by one that stays.

        The first one stays, and the last; of others one each SHARE of a training, and not two of
        one epoch, as networks of a second each epoch would fill a terminal.
        """
        self._metric = f"{metric} {value:.4f}"
        if self.name or not self._is_worth_a_line(step):
            return
        mark = ", the best so far" if better else ""
        self.note(f"step {step:,}: {self._metric} {where}{mark}")

    def _is_worth_a_line(self, step: int) -> bool:
        if self._total is None:
            return True
        if self._noted is not None and step < self._total:
            noted, epoch = self._noted
            if step - noted < SHARE * self._total or self._epoch == epoch:
                return False
        self._noted = (step, self._epoch)
        return True

    def note(self, text: str) -> None:
        """A line that stays."""
        if not self.quiet:
            self._clear()
            self._write(f"{text}\n")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if not self.quiet:
            self._clear()

    @property
    def _pause(self) -> float:
        """Seconds before the next line of a part, where there is no terminal."""
        return PLAIN if self._is_told else FIRST

    def _show(self, text: str) -> None:
        if not self.live:
            self._write(f"{text}\n")
            return
        text = text[: shutil.get_terminal_size().columns - 1]
        self._write("\r" + text.ljust(self._width))
        self._width = len(text)

    def _clear(self) -> None:
        if self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0

    def _write(self, text: str) -> None:
        # A signal may come while another line is written; and nobody may be reading any more.
        with suppress(RuntimeError, OSError, ValueError):
            self.stream.write(text)
            self.stream.flush()


@final
class Work:
    """A work of parts, whose end is forecast by those that are done.

    Args:
        progress: where it is shown.
        what: stands behind the number of parts, such as "episodes played".
        total: how many parts there are.
    """

    def __init__(self, progress: Progress, what: str, total: int) -> None:
        self._progress, self._what, self._total = progress, what, total
        self._done, self._began = 0.0, time.monotonic()

    def done(self, parts: float = 1, *, also: str = "", share: float = 0.0) -> None:
        """Tell of parts that are done now; most calls show nothing.

        Args:
            parts: how many, or which share of one.
            also: what else is told of the work.
            share: of all the work that is done at least, where that is known apart from parts.
        """
        self._done += parts
        # Shares of a part add up to it but for a rounding.
        whole = min(int(self._done + 1e-6), self._total)
        least = max(share, self._done / max(self._total, 1))
        spent = time.monotonic() - self._began
        left = max(spent / least - spent, 0.0) if least else None
        self._progress.part(whole, self._total, self._what + (also and f", {also}"), left)
        if whole == self._total:
            self._progress.close()
