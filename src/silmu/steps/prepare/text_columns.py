"""Columns of texts, told from training rows alone: latent semantic analysis of their words."""

# Of scikit-learn's methods many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from silmu.extras import require
from silmu.runtime import cells
from silmu.runtime.columns import Column, IgnoredColumn, TextColumn

MOST_WORDS, TEXT_NUMBERS = 5000, 16
"""Words that are known, and numbers that come of them."""
WORDS_OF_TEXT = 3
"""Words that a cell has on average where a column is of texts."""
LEAST_OF_LEVEL = 2
"""Rows of the training that a word, or a level of a category, must have to be known."""
SAMPLE = 1000
"""Cells that tell what is worth trying on all."""


def fit_text(name: str, values: Sequence[Any], there: list[Any]) -> Column | None:
    """How a column of texts is to be read; None if it holds none.

    Args:
        name: of the column.
        values: its cells in some rows of the training.
        there: those that are not missing.

    Raises:
        MissingExtraError: it holds texts, and scikit-learn is not installed.
    """
    if not all(isinstance(value, str) for value in there[:SAMPLE]):
        return None
    length = np.mean([len(value.split()) for value in there])
    if length < WORDS_OF_TEXT or len(set(there)) < len(there) / 2:
        return None
    require("report")
    from scipy import sparse
    from sklearn.decomposition import TruncatedSVD

    several = [cells.words(value) for value in values]
    counts = Counter(word for one in several for word in set(one))
    least = max(LEAST_OF_LEVEL, len(values) // 2000)
    known = sorted((w for w, n in counts.items() if n >= least), key=lambda w: (-counts[w], w))
    known = sorted(known[:MOST_WORDS])
    if len(known) < 2:
        return IgnoredColumn(name=name, why="its texts have hardly a word in common")
    place_of = {word: i for i, word in enumerate(known)}
    weights = np.log((1 + len(values)) / (1 + np.array([counts[word] for word in known]))) + 1
    rows = [cells.word_weights(one, place_of, weights) for one in several]
    starts = np.cumsum([0, *(len(row) for row in rows)])
    places = np.fromiter((place for row in rows for place in row), np.int32)
    filled = np.fromiter((value for row in rows for value in row.values()), np.float64)
    matrix = sparse.csr_matrix((filled, places, starts), (len(rows), len(known)))
    size = min(TEXT_NUMBERS, len(known) - 1, len(rows) - 1)
    svd: Any = TruncatedSVD(size, random_state=0)
    deviation = svd.fit_transform(matrix).std(axis=0)
    components = svd.components_.T / np.maximum(deviation, 1e-6)
    return TextColumn(
        name=name,
        words=tuple(known),
        missing=1 - len(there) / len(values),
        weights=weights.astype(np.float32),
        components=components.astype(np.float32),
    )
