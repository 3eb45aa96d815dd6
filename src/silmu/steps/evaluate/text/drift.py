"""How new texts differ from those that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silmu.errors import SilmuError
from silmu.steps.collect.dataset import Dataset
from silmu.steps.collect.duplicates import keys
from silmu.steps.evaluate.text.scripts import script
from silmu.steps.prepare.prepared import Prepared, chosen_texts

if TYPE_CHECKING:
    from silmu.steps.evaluate.text.scorer import TextsSeen

SAMPLE = 20_000
"""Training rows that new ones are compared with, at most."""


def training_of(model: Path) -> Prepared | None:
    """What a model was trained on, where its folder is still in its run."""
    run = model.absolute().parent
    try:
        return Prepared.open(run / "2-prepared", Dataset.open(run / "1-dataset"))
    except SilmuError:
        return None


def compared(
    dataset: Dataset, prepared: Prepared, seen: TextsSeen
) -> tuple[list[dict[str, Any]], int]:
    """How new texts differ from those of the training, and how many of them were in it.

    Means of what each text shows: its words, its writing system, the share of its words that no
    training text has (set against the validation texts, which have such too). The intervals hold
    all differences at once in 95 of 100 cases (Welch, Bonferroni).
    """
    train = [*_some(prepared, "train")]
    validation = [*_some(prepared, "validation")]
    everything = np.ones(dataset.num_rows, bool)
    known_rows = set(keys("\n".join(t) for t in prepared.texts("train")).tolist())
    here = keys("\n".join(t) for t in chosen_texts(dataset, everything)).tolist()
    repeated = sum(key in known_rows for key in here)

    known = {word for text in train for word in text.split()}
    new = ("\n".join(t) for t in chosen_texts(dataset, everything))
    measured: list[tuple[str, NDArray[Any], NDArray[Any]]] = [
        ("words in a text", np.array([len(text.split()) for text in train]), np.array(seen.words)),
        ("share of words not in training", _unknown(validation, known), _unknown(new, known)),
    ]
    scripts = np.array([script(text) for text in train], object)
    there = np.array(seen.scripts, object)
    measured.extend(
        (f"share of texts in {name}", scripts == name, there == name)
        for name in sorted({*scripts.tolist(), *there.tolist()})
    )
    z = NormalDist().inv_cdf(1 - 0.025 / len(measured))
    rows: list[dict[str, Any]] = []
    for what, before, after in measured:
        if len(before) < 2 or len(after) < 2:
            continue
        before, after = before.astype(np.float64), after.astype(np.float64)
        difference = float(after.mean() - before.mean())
        error = np.sqrt(before.var(ddof=1) / len(before) + after.var(ddof=1) / len(after))
        low, high = difference - z * float(error), difference + z * float(error)
        rows.append(
            {
                "what": what,
                "train": float(before.mean()),
                "here": float(after.mean()),
                "difference": difference,
                "low": low,
                "high": high,
                "clear": low > 0 or high < 0,
            }
        )
    return rows, repeated


def _some(prepared: Prepared, split: str) -> Iterable[str]:
    places = prepared.rows(split)
    if len(places) > SAMPLE:
        places = np.sort(np.random.default_rng(0).permutation(places)[:SAMPLE])
    mask = np.zeros(prepared.dataset.num_rows, bool)
    mask[places] = True
    for parts in chosen_texts(prepared.dataset, mask):
        yield "\n".join(parts)


def _unknown(texts: Iterable[str], known: set[str]) -> NDArray[np.float64]:
    shares = [
        sum(word not in known for word in words) / len(words)
        for text in texts
        if (words := text.split())
    ]
    return np.array(shares, np.float64)
