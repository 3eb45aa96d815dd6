"""How new pictures differ from those that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu.steps.collect.dataset import Dataset
from silmu.steps.collect.pictures import Pictures
from silmu.steps.evaluate import means
from silmu.steps.evaluate.image.looks import Looks
from silmu.steps.evaluate.means import Measured
from silmu.steps.prepare.prepared import Prepared

if TYPE_CHECKING:
    from silmu.steps.evaluate.scoring import Scorer

SAMPLE = 500
"""Validation pictures that the model answers, for what its scores are on the data it knows."""

MOST_LABELS = 8
"""So many labels, the most frequent answers, are told how often they were said."""


def compared(
    scorer: Scorer, dataset: Dataset, outputs: NDArray[Any], prepared: Prepared
) -> list[dict[str, Any]]:
    """How new pictures look beside those of the training, and answers beside those on validation.

    Validation pictures are of the same source as the training, and the model has not learnt them:
    where its scores are lower on new ones, these are unlike. No label of them is asked.

    Args:
        scorer: of the model.
        dataset: the new pictures.
        outputs: of the model for all of them, NaN where one could not be answered.
        prepared: what the model was trained on.
    """
    here, there = Looks.of(dataset), Looks.of(prepared.dataset, prepared.rows("train"))
    measured: list[Measured] = [
        ("brightness", there.brightness, here.brightness),
        ("contrast", there.contrast, here.contrast),
        ("colour", there.colour, here.colour),
        ("share of gray pictures", there.gray, here.gray),
        ("shorter side in pixels", there.shorter, here.shorter),
        ("width over height", there.ratio, here.ratio),
    ]
    measured.extend(
        (f"share of {name} files", there.format == name, here.format == name)
        for name in sorted({*there.format.tolist(), *here.format.tolist()})
    )
    measured = [one for one in measured if _varies(one)]
    known = outputs[~np.isnan(outputs if outputs.ndim == 1 else outputs.sum(axis=1))]
    return means.compared([*measured, *_answers(scorer, _validated(scorer, prepared), known)])


def repeated(dataset: Dataset, prepared: Prepared) -> int:
    """How many new pictures were in the training, pixel by pixel, whatever their files are."""
    known, here = (Pictures(one).facts.column("pixels") for one in (prepared.dataset, dataset))
    train = known.take(pa.array(prepared.rows("train"))).to_numpy()
    return int(np.isin(here.to_numpy(), train).sum())


def _varies(one: Measured) -> bool:
    """Whether there is anything to tell of it."""
    return len({*np.unique(one[1]).tolist(), *np.unique(one[2]).tolist()}) > 1


def _validated(scorer: Scorer, prepared: Prepared) -> NDArray[Any]:
    """What the model says of some validation pictures."""
    rows = prepared.rows("validation")
    if len(rows) > SAMPLE:
        rows = np.random.default_rng(0).permutation(rows)[:SAMPLE]
    chosen = np.zeros(prepared.dataset.num_rows, bool)
    chosen[rows] = True
    outputs = scorer.read(prepared.dataset, chosen).outputs
    return outputs[~np.isnan(outputs if outputs.ndim == 1 else outputs.sum(axis=1))]


def _answers(scorer: Scorer, there: NDArray[Any], here: NDArray[Any]) -> list[Measured]:
    """Scores of answers and shares of labels, or the numbers that were said."""
    if scorer.kind == "number":
        names = [f"{name} as it is told" for name in scorer.targets] or ["number that is told"]
        both = (there.reshape(len(there), -1), here.reshape(len(here), -1))
        return [(name, both[0][:, i], both[1][:, i]) for i, name in enumerate(names)]
    found: list[Measured] = []
    if scorer.kind != "multiple":
        found.append(("score of the answer", there.max(axis=1), here.max(axis=1)))
    before, after = _said(scorer, there), _said(scorer, here)
    counts = before.sum(axis=0) + after.sum(axis=0)
    often: list[int] = np.argsort(-counts, kind="stable")[:MOST_LABELS].tolist()
    found.extend((f"share answered {scorer.labels[i]}", before[:, i], after[:, i]) for i in often)
    return found


def _said(scorer: Scorer, outputs: NDArray[Any]) -> NDArray[np.int64]:
    """1 for each label that was told of a row, else 0."""
    width = outputs.shape[1]
    if scorer.kind == "multiple":
        limits = np.full(width, 0.5) if scorer.thresholds is None else scorer.thresholds
        return (outputs >= limits).astype(np.int64)
    return np.eye(width, dtype=np.int64)[outputs.argmax(axis=1)]
