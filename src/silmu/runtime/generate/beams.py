"""Beam search: several texts are kept, and the best of those that came to an end are given.

The order of comparisons and the two heuristics for stopping are those of transformers 4.57, so that
the same texts come out. Each prompt has beams of its own and stops by itself, whoever else is in
the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from silmu.runtime.generate.sampling import draw_several

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.generate.scores import Row
    from silmu.runtime.generate.settings import Settings
    from silmu.runtime.generate.stops import Stops

_NEVER = np.float32(-1e9)


@dataclass
class Beam:
    """A text, the beam that each of its new tokens continued, and its score."""

    row: Row
    path: list[int]
    score: np.float32
    ended: bool = False


class Beams:
    """The beams of one prompt.

    Args:
        row: the prompt, without new tokens.
        random: what samples the next beams, if they are to be sampled.
    """

    def __init__(
        self, row: Row, settings: Settings, stops: Stops, random: np.random.Generator | None
    ) -> None:
        self._settings = settings
        self._stops = stops
        self._random = random
        self._count = settings.num_beams
        # Of these so many go on even where the best of them all end their text.
        self._candidates = max(2, 1 + len(settings.ends)) * self._count
        self.running: list[Beam] = [Beam(row, [], np.float32(0))]
        self.best: list[Beam] = [Beam(row, [], _NEVER) for _ in range(self._count)]
        self.done = False
        self._can_improve = True

    def step(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Continues the running beams by (running, vocabulary) log-probabilities.

        Returns:
            For each beam that runs now, the place of the one before that it continues.
        """
        totals = (scores + np.array([beam.score for beam in self.running])[:, None]).ravel()
        picked = self._pick(totals)
        places, tokens = np.divmod(picked, scores.shape[1])
        candidates: list[Beam] = []
        for place, token, total in zip(_whole(places), _whole(tokens), totals[picked], strict=True):
            old = self.running[place]
            beam = Beam(old.row.grown(token), [*old.path, place], total)
            beam.ended = self._stops(beam.row)
            candidates.append(beam)
        open_totals = [b.score + (_NEVER if b.ended else np.float32(0)) for b in candidates]
        order = np.argsort(-np.array(open_totals), kind="stable")[: self._count]
        self._keep_best(candidates)
        self.running = [
            Beam(candidates[i].row, candidates[i].path, open_totals[i]) for i in _whole(order)
        ]
        self._decide(all(beam.ended for beam in candidates))
        return places[order]

    def _pick(self, totals: NDArray[np.float32]) -> NDArray[np.int64]:
        count = min(self._candidates, len(totals))
        if self._random is not None:
            return draw_several(totals, count, self._random)
        top = np.argpartition(-totals, count - 1)[:count]
        top.sort()  # equal scores in the order of their tokens
        return top[np.argsort(-totals[top], kind="stable")]

    def _keep_best(self, candidates: list[Beam]) -> None:
        closed = all(beam.ended for beam in self.best) and self._settings.early_stopping is True
        merged = list(self.best)
        for i, beam in enumerate(candidates):
            score = beam.score / np.float32(beam.row.num_new**self._settings.length_penalty)
            counts = beam.ended and i < self._count
            for excluded in (closed, not self._can_improve, not counts):
                score += _NEVER if excluded else np.float32(0)
            merged.append(Beam(beam.row, beam.path, score, counts))
        order = np.argsort(-np.array([beam.score for beam in merged]), kind="stable")
        self.best = [merged[i] for i in _whole(order[: self._count])]

    def _decide(self, all_ended: bool) -> None:
        early, penalty = self._settings.early_stopping, self._settings.length_penalty
        row = self.running[0].row
        length = row.room if early == "never" and penalty > 0 else row.num_new
        hoped = self.running[0].score / np.float32(length**penalty)
        worst = min(beam.score for beam in self.best)
        bars = [worst if beam.ended else _NEVER for beam in self.best]
        self._can_improve = self._can_improve and any(hoped > bar for bar in bars)
        full = all(beam.ended for beam in self.best) and early is True
        self.done = all_ended or full or not self._can_improve


def _whole(numbers: NDArray[np.int64]) -> list[int]:
    return [int(number) for number in numbers]
