"""The strong baseline of texts: TF-IDF with a linear model."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from silmu.steps.evaluate.baselines import Baseline, chances, simplest
from silmu.steps.evaluate.metrics import (
    LOWER_IS_BETTER,
    PRIMARY,
    Scored,
    measure,
    row_sums,
    total,
)
from silmu.steps.evaluate.text.scripts import BLANKLESS
from silmu.steps.prepare.thresholds import choose_thresholds

logger = logging.getLogger("silmu")

MOST_ROWS = 200_000
MOST_CHARACTERS = 30_000_000
"""What of the training split TF-IDF is fitted on at most; more adds time and hardly a point."""

STRENGTH = 3.0
"""C of the logistic regression; rows of TF-IDF are short, and its default of 1 holds them back."""


@dataclass(frozen=True)
class Labelled:
    """Texts and their targets, of one split."""

    texts: Sequence[str]
    targets: NDArray[Any]

    def __len__(self) -> int:
        return len(self.texts)


def fit(
    kind: str,
    labels: int,
    train: Labelled,
    validation: Labelled,
    *,
    of: int | None = None,
    seed: int = 0,
) -> Baseline:
    """TF-IDF over words or over characters, the better on validation, with a linear model.

    Logistic regression for labels, one for each where several may be told at once (with thresholds
    from validation), and ridge regression for numbers. Characters go up to five within a word; in
    writing without blanks, or with many endings, such as Korean, up to four across everything.

    Args:
        labels: how many there are.
        train: rows of the training split; of more than MOST_ROWS or MOST_CHARACTERS some are used.
        validation: rows to choose by.
        of: how many rows the training split has, where `train` is a part of them.
        seed: of the choice of rows.

    Wang and Manning, Baselines and Bigrams, 2012.
    """
    used = _capped(train, seed)
    whole = len(train) if of is None else of
    if len(used) < whole:
        logger.warning(
            "TF-IDF is fitted on %s of the %s training rows", f"{len(used):,}", f"{whole:,}"
        )
    metric = PRIMARY[kind]
    best: tuple[float, str, tuple[Any, ...], NDArray[np.float64] | None] | None = None
    found: dict[str, float | None] = {}
    digest = hashlib.sha256()
    for name, options in _vectors(used.texts).items():
        rarest = 2 if len(used) > 1000 else 1
        vectors = TfidfVectorizer(sublinear_tf=True, min_df=rarest, **options)
        try:
            matrix = vectors.fit_transform(used.texts)
        except ValueError:  # not one word in all texts
            found[name] = None
            continue
        model = _model(kind, matrix, used.targets)
        digest.update(_weights(model).tobytes())
        digest.update("\n".join(sorted(vectors.vocabulary_)).encode("utf-8", "surrogatepass"))
        thresholds, value = None, float("nan")
        if len(validation):
            told = _outputs(kind, model, vectors.transform(validation.texts), labels)
            if kind == "multiple":
                thresholds = np.asarray(choose_thresholds(told, validation.targets))
            scored = Scored.of(kind, validation.targets, told, thresholds)
            value = float(measure(kind, total(row_sums(scored)))[metric])
        found[name] = None if np.isnan(value) else value
        better = -value if metric in LOWER_IS_BETTER else value
        if best is None or better > best[0]:
            best = better, name, (vectors, model, labels), thresholds
    if best is None:
        middle = simplest(kind, used.targets, [str(i) for i in range(labels)])
        title = "a linear model without one word to go by"
        return replace(middle, title=title, about={"title": title})
    linear = "ridge regression" if kind == "number" else "logistic regression"
    title = f"TF-IDF over {best[1]} with {linear}"
    about = {
        "title": title,
        "chosen": best[1],
        "metric": metric,
        "validation": found,
        "rows": len(used),
        "capped": len(used) < whole,
        "fitted": digest.hexdigest(),
    }
    vectors, model, _ = best[2]

    def outputs(texts: Sequence[str]) -> NDArray[np.float32]:
        return _outputs(kind, model, vectors.transform(texts), labels)

    return Baseline(kind, title, about, outputs, best[3])


def _capped(train: Labelled, seed: int) -> Labelled:
    lengths = np.fromiter(map(len, train.texts), np.int64, len(train))
    if len(train) <= MOST_ROWS and lengths.sum() <= MOST_CHARACTERS:
        return train
    order = np.random.default_rng(seed).permutation(len(train))
    fitting = int(np.searchsorted(lengths[order].cumsum(), MOST_CHARACTERS, side="right"))
    kept = np.sort(order[: min(MOST_ROWS, max(fitting, 1))])
    places: list[int] = kept.tolist()
    return Labelled([train.texts[i] for i in places], train.targets[kept])


def _vectors(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    sample = "".join(texts[:: max(1, len(texts) // 1000)])
    letters = sum(map(str.isalpha, sample))
    korean_like = letters and len(BLANKLESS.findall(sample)) > 0.2 * letters
    characters: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (2, 5)}
    if korean_like:
        characters = {"analyzer": "char", "ngram_range": (1, 4)}
    return {"words": {"ngram_range": (1, 2)}, "characters": characters}


def _model(kind: str, matrix: Any, targets: NDArray[Any]) -> Any:
    if kind == "number":
        return Ridge(alpha=1.0, solver="sparse_cg", tol=1e-4).fit(matrix, targets)
    if kind != "multiple":
        return _logistic(matrix, targets)
    return [_logistic(matrix, targets[:, label]) for label in range(targets.shape[1])]


def _logistic(matrix: Any, targets: NDArray[Any]) -> Any:
    if len(np.unique(targets)) < 2:
        return DummyClassifier().fit(matrix, targets)
    return LogisticRegression(C=STRENGTH, max_iter=1000).fit(matrix, targets)


def _outputs(kind: str, model: Any, matrix: Any, labels: int) -> NDArray[np.float32]:
    if kind == "number":
        return cast("NDArray[np.float32]", model.predict(matrix).astype(np.float32))
    if kind != "multiple":
        return chances(model, matrix, labels)
    return np.stack([chances(one, matrix, 2)[:, 1] for one in model], axis=1)


def _weights(model: Any) -> NDArray[np.float64]:
    several = cast("list[Any]", model if isinstance(model, list) else [model])
    parts = [np.ravel(getattr(one, "coef_", getattr(one, "class_prior_", 0))) for one in several]
    return np.concatenate(parts).astype(np.float64)
