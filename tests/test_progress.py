"""How long works are seen: on a terminal and in a file, by a clock that the test moves."""

from __future__ import annotations

import io
import re
import threading
from typing import TYPE_CHECKING

import pytest

from silmu.steps.train import progress
from silmu.steps.train.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress, "clock", lambda seconds: f"in {seconds:.0f} s")

    def passed(seconds: float) -> None:
        now[0] += seconds

    return passed


def test_a_file_sees_a_line_after_ten_seconds_and_then_each_half_minute(
    wait: Callable[[float], None],
) -> None:
    stream = io.StringIO()
    work = Progress(stream=stream).work("rows scored", 1000)
    for _ in range(100):
        wait(1)
        work.done(10)
    assert stream.getvalue().splitlines() == [
        "100 of 1,000 rows scored  ends in 90 s",
        "400 of 1,000 rows scored  ends in 60 s",
        "700 of 1,000 rows scored  ends in 30 s",
        "1,000 of 1,000 rows scored  ends in 0 s",
    ]


def test_short_works_stay_silent_until_together_they_are_long(
    wait: Callable[[float], None],
) -> None:
    stream = io.StringIO()
    shown = Progress(stream=stream)
    for name in "abcd":
        work = shown.work(f"rows scored by {name}", 4)
        for _ in range(4):
            wait(0.7)
            work.done()
    assert stream.getvalue().splitlines() == ["3 of 4 rows scored by d  ends in 1 s"]


def test_a_terminal_sees_one_line_that_goes_when_the_work_is_done(
    wait: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    stream = Terminal()
    work = Progress(stream=stream).work("episodes played", 20)
    for _ in range(20):
        wait(0.5)
        work.done()
    parts = stream.getvalue().split("\r")
    assert parts[1] == "1 of 20 episodes played  ends in 10 s"
    assert "\n" not in stream.getvalue()
    assert parts[-2].strip() == ""
    assert parts[-1] == ""


def test_what_is_done_at_least_bounds_the_forecast(wait: Callable[[float], None]) -> None:
    stream = io.StringIO()
    work = Progress(stream=stream).work("episodes played", 4)
    wait(15)
    work.done(0, also="50 steps", share=50 / 400)
    wait(45)
    work.done(0, also="200 steps", share=200 / 400)
    wait(30)
    work.done(3, also="210 steps", share=200 / 400)
    assert stream.getvalue().splitlines() == [
        "0 of 4 episodes played, 50 steps  ends in 105 s",
        "0 of 4 episodes played, 200 steps  ends in 60 s",
        "3 of 4 episodes played, 210 steps  ends in 30 s",
    ]


def test_shares_of_a_part_add_up_to_it(wait: Callable[[float], None]) -> None:
    stream = io.StringIO()
    work = Progress(stream=stream).work("series smoothed", 2)
    for _ in range(24):
        wait(10)
        work.done(1 / 12)
    told = [line.split(" ")[0] for line in stream.getvalue().splitlines()]
    assert told == ["0", "0", "0", "0", "1", "1", "1", "1"]


def test_who_is_quiet_shows_nothing(wait: Callable[[float], None]) -> None:
    stream = Terminal()
    shown = Progress(quiet=True, stream=stream)
    work = shown.work("rows scored", 10)
    wait(1000)
    work.done(5)
    with shown.busy("fitting"):
        wait(1000)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_work_without_parts_is_told_of_while_it_goes_on(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PULSE" if terminal else "FIRST", 0.001)
    told = threading.Event()

    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

        def write(self, text: str) -> int:
            found = super().write(text)
            told.set()
            return found

    stream = Stream()
    with Progress(stream=stream).busy("fitting simpler models"):
        assert told.wait(600)
    assert re.search(r"fitting simpler models, for \d+\.\d s", stream.getvalue())
    assert stream.getvalue()[-1] == ("\r" if terminal else "\n")
    assert not [one for one in threading.enumerate() if one.name == "silmu-progress"]


def test_a_work_that_fails_is_no_longer_told_of() -> None:
    with pytest.raises(KeyboardInterrupt), Progress(stream=io.StringIO()).busy("fitting"):
        raise KeyboardInterrupt
    assert not [one for one in threading.enumerate() if one.name == "silmu-progress"]


def test_nor_one_that_is_interrupted_as_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Thread):
        def start(self) -> None:
            super().start()
            raise KeyboardInterrupt

    monkeypatch.setattr(progress.threading, "Thread", Interrupted)
    with pytest.raises(KeyboardInterrupt), Progress(stream=io.StringIO()).busy("fitting"):
        pass
    assert not [one for one in threading.enumerate() if one.name == "silmu-progress"]
