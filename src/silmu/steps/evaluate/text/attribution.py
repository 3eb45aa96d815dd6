"""Which words an answer hangs on: what the score loses when a piece of the text is left out.

Robnik-Sikonja and Kononenko, Explaining Classifications for Individual Instances, 2008.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_PIECES = 64

_WORD = re.compile(r"\S+\s*|\s+")
_LONG = 12


def pieces(text: str) -> list[str]:
    """A text cut into words with the blanks after them, which joined are the text.

    Long stretches without a blank are cut into characters; where that makes more than 64 pieces,
    neighbours go together.

    >>> pieces("not good at all")
    ['not ', 'good ', 'at ', 'all']
    """
    words: list[str] = _WORD.findall(text)
    if len(words) > 1 and not words[0].strip():
        words[:2] = ["".join(words[:2])]
    if len(words) * _LONG < len(text):
        words = [part for word in words for part in _split(word)]
    if not words:
        return [text]
    size = -(-len(words) // MOST_PIECES)
    return ["".join(words[i : i + size]) for i in range(0, len(words), size)]


def _split(word: str) -> list[str]:
    if len(word) <= _LONG:
        return [word]
    letters = word.rstrip()
    return [*letters[:-1], letters[-1:] + word[len(letters) :]]


def occlusion(
    score: Callable[[list[Any]], NDArray[Any]], inputs: Sequence[tuple[str, ...]], of: Sequence[int]
) -> list[list[tuple[str, float]]]:
    """For each input its pieces, each with how far the score falls without it.

    Args:
        score: outputs (rows, labels), or numbers (rows,), of inputs.
        inputs: texts; of a pair the first is explained.
        of: for each input the label whose score is explained.
    """
    cut = [pieces(texts[0]) for texts in inputs]
    asked: list[tuple[str, ...]] = []
    for texts, parts in zip(inputs, cut, strict=True):
        asked.append(texts)
        if len(parts) > 1:
            without = ("".join(parts[:i] + parts[i + 1 :]) for i in range(len(parts)))
            asked.extend((text, *texts[1:]) for text in without)
    outputs = np.asarray(score(asked), np.float64)
    found: list[list[tuple[str, float]]] = []
    start = 0
    for parts, label in zip(cut, of, strict=True):
        count = len(parts) + 1 if len(parts) > 1 else 1
        own = outputs[start : start + count]
        start += count
        values = own if own.ndim == 1 else own[:, label]
        falls = (values[0] - values[1:]).tolist() if count > 1 else [0.0]
        found.append(list(zip(parts, falls, strict=True)))
    return found
