"""Labels that a simple model, which has not seen the row, is sure are others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu import extras
from silmu.steps.collect.checks import labels
from silmu.steps.collect.checks.view import Finding, View, number, quoted, share

if TYPE_CHECKING:
    from numpy.typing import NDArray

_log = logging.getLogger("silmu")
_SURE = 0.95
_ROWS = 40_000  # in all models together, so that it takes seconds
_CHARACTERS = 2000  # of a text
_FEWEST = 20  # rows of a label
_MOST = 20  # labels


def check(view: View) -> list[Finding]:
    """The rows of a sample whose label the words of the text speak against.

    Told by logistic regression over TF-IDF weights, fitted on the other two thirds of the rows;
    labels of the rest are compared as in Northcutt and others, 2021, "Confident learning".
    """
    if view.kind != "single" or not 2 <= len(view.labels) <= _MOST or view.rows < 200:
        return []
    if extras.version("scikit-learn") is None:
        _log.info("labels were not doubted, which needs scikit-learn: pip install 'silmu[report]'")
        return []
    rows, texts = view.sample
    spelt, index = np.unique([labels.plain(label) for label in view.labels], return_inverse=True)
    codes = index[view.pairs[1]]  # one a row, since every row that was kept has a label
    most = _ROWS // len(view.labels)
    step = -(-len(rows) // most)
    rows, texts = rows[::step], texts[::step]
    common = np.flatnonzero(np.bincount(codes[rows], minlength=len(spelt)) >= _FEWEST)
    if len(common) < 2:
        return []
    kept = np.flatnonzero(np.isin(codes[rows], common))
    rows, texts = rows[kept], [texts[row][:_CHARACTERS] for row in kept]
    given = np.searchsorted(common, codes[rows])
    told = _told(texts, given, len(common))
    if told is None:
        return []
    right = float((told.argmax(axis=1) == given).mean())
    most_frequent = float(np.bincount(given).max() / len(given))
    if right < most_frequent + 0.1 * (1 - most_frequent):
        return []  # the words tell too little to speak against a label
    index = np.arange(len(rows))
    doubted = (told.max(axis=1) >= _SURE) & (told[index, given] < 1 - _SURE)
    order = np.argsort(told[index, given], kind="stable")
    worst = order[doubted[order]]
    if not len(worst):
        return []
    first = worst[0]
    names = [spelt[common[one]] for one in (given[first], told[first].argmax())]
    return [
        view.finding(
            "doubtful labels",
            "note",
            f"{number(len(worst), 'row')} of {len(rows):,} looked at "
            f"({share(len(worst), len(rows))}) read as another label than theirs to a simple model "
            f"that is right in {share(right, 1)}; most of all row "
            f"{view.dataset.row_numbers[rows[first]]:,}: {quoted(names[:1])}, reads as "
            f"{quoted(names[1:])}",
            "look at them; such a list holds slips of the pen and hard texts alike",
            rows[worst],
        )
    ]


def _told(
    texts: list[str], given: NDArray[np.int64], num_labels: int
) -> NDArray[np.float64] | None:
    """For each text the probabilities of the labels, by a model that has not seen it.

    None where the texts have no word in common.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    # Words where blanks part them, pieces of them where they are long and carry endings.
    wide = sum(not text.isascii() for text in texts) > len(texts) / 2
    vectorizer: Any = TfidfVectorizer(
        analyzer="char_wb" if wide else "word",
        ngram_range=(1, 3) if wide else (1, 2),
        min_df=2,
        max_features=100_000,
        sublinear_tf=True,
        token_pattern=None if wide else r"(?u)\b\w+\b",
    )
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError:  # no word stands in two texts
        return None
    make: Any = LogisticRegression
    told = np.zeros((len(texts), num_labels))
    fold = np.empty(len(texts), np.int64)
    for label in range(num_labels):
        mine = np.flatnonzero(given == label)
        fold[mine] = np.arange(len(mine)) % 3
    for part in range(3):
        rest = fold != part
        for label in range(num_labels if num_labels > 2 else 1):
            model = make(C=10, solver="liblinear", random_state=0)
            model.fit(vectors[rest], given[rest] == label)
            told[~rest, label] = model.predict_proba(vectors[~rest])[:, 1]
    if num_labels == 2:
        told[:, 1] = 1 - told[:, 0]
    return told / told.sum(axis=1, keepdims=True)
