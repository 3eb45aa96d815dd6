"""Choosing a token by chance: what is left out, and the draw itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from silmu.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.generate.settings import Settings

_random = np.random.default_rng()


def set_seed(seed: int) -> None:
    """Makes what is sampled from here on the same in every run, as transformers' `set_seed` does.

    >>> set_seed(42)
    """
    global _random
    _random = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The program's own random numbers, for what is drawn at once and from nothing else."""
    return _random


def new_seed() -> int:
    """A seed for one prompt, from the program's own random numbers."""
    return int(_random.integers(1 << 63))


class Sampler:
    """Draws tokens by the settings' temperature, top_k, top_p, min_p, typical_p and cutoffs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # Beams need a way on where the end of the text would be chosen.
        self._keep = 1 if settings.num_beams == 1 else max(2, 1 + len(settings.ends))

    def kept(self, scores: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The tokens that may be drawn from (vocabulary,) scores, and their scores, best first.

        Raises:
            InputError: every token is forbidden.
        """
        s, keep = self.settings, self._keep
        top_k = max(s.top_k, keep) if s.top_k else len(scores)
        tokens = np.arange(len(scores))
        if top_k < len(scores):
            least = np.partition(scores, -top_k)[-top_k]
            tokens = np.flatnonzero(scores >= least)
        tokens = tokens[np.argsort(-scores[tokens], kind="stable")]
        x = scores[tokens].astype(np.float64)
        if not np.isfinite(x[:1]).all():
            raise InputError("no token may follow: the settings forbid every one")
        if s.temperature not in (None, 1.0):
            x = x / s.temperature
        if s.top_p is not None and s.top_p < 1:
            # Holtzman et al. 2020, https://arxiv.org/abs/1904.09751.
            p = _softmax(x)
            below = np.cumsum(p[::-1])[::-1]
            tokens, x = _cut(tokens, x, below > 1 - s.top_p, keep)
        if s.min_p is not None:
            p = _softmax(x)
            tokens, x = _cut(tokens, x, p >= s.min_p * p[0], keep)
        if s.typical_p is not None and s.typical_p < 1:
            tokens, x = _typical(tokens, x, s.typical_p, keep)
        if s.epsilon_cutoff:
            stays = (_softmax(x) >= s.epsilon_cutoff) | _best(x, keep)
            tokens, x = tokens[stays], x[stays]
        if s.eta_cutoff:
            # Hewitt et al. 2022, https://arxiv.org/abs/2210.15191.
            p = _softmax(x)
            eta = min(s.eta_cutoff, np.sqrt(s.eta_cutoff) * np.exp(-_entropy(p)))
            stays = (p >= eta) | _best(x, keep)
            tokens, x = tokens[stays], x[stays]
        return tokens, x

    def draw(self, scores: NDArray[np.float32], random: np.random.Generator) -> int:
        """One token, by its probability among those that are kept."""
        tokens, x = self.kept(scores)
        cumulative = np.cumsum(_softmax(x))
        drawn = random.random() * float(cumulative[-1])
        place = int(np.searchsorted(cumulative, drawn, side="right"))
        return int(tokens[min(place, len(tokens) - 1)])

    def bend(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """(vocabulary,) scores with what is left out at minus infinity."""
        tokens, x = self.kept(scores)
        bent = np.full_like(scores, -np.inf)
        bent[tokens] = x
        return bent


def draw_several(
    scores: NDArray[np.float32], count: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Places drawn without replacement, each by the probability that its score means."""
    with np.errstate(divide="ignore"):
        noise = -np.log(-np.log(random.random(len(scores))))
    return np.argsort(-(scores + noise), kind="stable")[:count]


def _softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(x - x.max())
    return raised / raised.sum()


def _entropy(p: NDArray[np.float64]) -> float:
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def _best(x: NDArray[np.float64], keep: int) -> NDArray[np.bool_]:
    """Which scores, the best first, are among the `keep` best, or as good as the last of these."""
    return x >= x[min(keep, len(x)) - 1]


def _cut(
    tokens: NDArray[np.int64], x: NDArray[np.float64], stays: NDArray[np.bool_], keep: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    stays[:keep] = True
    return tokens[stays], x[stays]


def _typical(
    tokens: NDArray[np.int64], x: NDArray[np.float64], mass: float, keep: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Meister et al. 2022, https://arxiv.org/abs/2202.00666."""
    p = _softmax(x)
    with np.errstate(divide="ignore"):
        surprise = np.abs(-np.log(p) - _entropy(p))
    order = np.argsort(surprise, kind="stable")
    last = min(int((np.cumsum(p[order]) < mass).sum()), len(x) - 1)
    stays = surprise <= surprise[order[last]]
    stays[order[:keep]] = True
    return tokens[stays], x[stays]
