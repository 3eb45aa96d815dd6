"""The trials of a search, one small file in the run folder, written anew after each of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, final

from silmu import store
from silmu.errors import CorruptError

FOLDER, FILE = "search", "trials.json"

DONE, STOPPED, FAILED = "done", "stopped", "failed"

ENOUGH = 4
"""Trials that must have come to their end before one is stopped for being worse."""
EARLY = 1 / 3
"""The share of its steps that every trial may do."""


@final
@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training with settings of its own.

    Attributes:
        number: from 0, which has the default settings.
        values: of the settings that are searched.
        state: DONE, STOPPED (it was hopeless) or FAILED.
        metric: on the validation split, of its best weights; None where it failed.
        curve: after each validation the share of its steps, and the best metric until then.
        steps: how many there were to be.
        seconds: how long it took.
        why: it failed.
    """

    number: int
    values: dict[str, Any]
    state: str
    metric: float | None = None
    curve: tuple[tuple[float, float], ...] = ()
    steps: int = 0
    seconds: float = 0.0
    why: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class Trials:
    """What `search/trials.json` holds.

    Attributes:
        asked: how many there are to be.
        metric: by which they are judged, on the validation split.
        settled: what was measured for the first, and holds for all: device, dtype, threads.
        trials: those that are over, by number.
        taken: the number of that whose weights the run has; None as long as it searches.
    """

    asked: int
    metric: str = ""
    higher_is_better: bool = True
    settled: dict[str, Any] = field(default_factory=dict[str, Any])
    trials: tuple[Trial, ...] = ()
    taken: int | None = None

    @property
    def best(self) -> Trial | None:
        """The first of those that nothing is better than; None where all failed."""
        ranked = self.ranked()
        return ranked[0] if ranked and ranked[0].state == DONE else None

    def ranked(self) -> list[Trial]:
        """Best first; behind them those that were stopped, and those that failed."""
        states = (DONE, STOPPED, FAILED)
        sign = -1 if self.higher_is_better else 1
        return sorted(
            self.trials, key=lambda one: (states.index(one.state), sign * (one.metric or 0.0))
        )

    def is_hopeless(self, share: float, best: float) -> bool:
        """Whether to stop a trial that has reached `best` after a share of its steps.

        It is where that is worse than the median of what trials that came to their end had reached
        after the same share of theirs (the median rule of Golovin et al. 2017,
        https://doi.org/10.1145/3097983.3098043).
        """
        whole = [one for one in self.trials if one.state == DONE]
        if len(whole) < ENOUGH or share < EARLY:
            return False
        reached = [[value for place, value in one.curve if place <= share] for one in whole]
        others = [values[-1] for values in reached if values]
        if len(others) < ENOUGH:
            return False
        return best < median(others) if self.higher_is_better else best > median(others)

    def with_trial(self, trial: Trial, **known: Any) -> Trials:
        """These and one more."""
        return replace(self, trials=(*self.trials, trial), **known)

    def leave(self, run: Path) -> None:
        """Writes them into a run folder, at once."""
        text = json.dumps({"format": 1, **asdict(self)}, ensure_ascii=False, indent=1)
        store.write_file(run / FOLDER / FILE, f"{text}\n".encode())

    @classmethod
    def open(cls, run: Path) -> Trials | None:
        """Reads them from a run folder; None where nothing was searched.

        Raises:
            CorruptError: the file is not what was written.
        """
        path = run / FOLDER / FILE
        if not path.exists():
            return None
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
            if (version := found.pop("format")) != 1:
                raise ValueError(f"its format is {version}")
            for one in found["trials"]:
                one["curve"] = tuple((share, value) for share, value in one["curve"])
            found["trials"] = tuple(Trial(**one) for one in found["trials"])
            return cls(**found)
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptError(
                f"{path} does not hold the trials of a search: {error}",
                hint="begin a new run; this one cannot tell what was tried",
            ) from error


def curve_of(
    log: Path, metric: str, higher_is_better: bool, steps: int
) -> tuple[tuple[float, float], ...]:
    """After each validation of a training the share of its steps, and the best metric until then.

    Args:
        log: its `log.jsonl`.
        metric, higher_is_better: by which it is judged.
        steps: how many there are.
    """
    better = max if higher_is_better else min
    found: list[tuple[float, float]] = []
    for line in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
        value = line.get("validation", {}).get(metric)
        if value is not None:
            best = better(value, found[-1][1]) if found else value
            found.append((line["step"] / steps, best))
    return tuple(found)
