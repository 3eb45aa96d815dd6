"""What is seen of a training while it runs: a line on stderr, and TensorBoard where it is there."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, final

from silmu.steps.design.plan import clock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIVE, PLAIN = 0.2, 30.0
"""So many seconds lie between two lines, on a terminal and elsewhere."""

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

    def part(self, done: int, total: int, what: str, left: float) -> None:
        """Tell how much of a work is done that will take so many seconds more."""
        now = time.monotonic()
        if self.quiet or now - self._shown < (LIVE if self.live else PLAIN):
            return
        self._shown = now
        self._show(f"{done:,} of {total:,} {what}  ends {clock(left)}")

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
