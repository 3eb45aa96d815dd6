"""How new texts differ from those that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silmu.steps.collect.dataset import Dataset
from silmu.steps.collect.duplicates import keys
from silmu.steps.evaluate import means
from silmu.steps.evaluate.text.scripts import script
from silmu.steps.prepare.prepared import Prepared, chosen_texts

if TYPE_CHECKING:
    from silmu.steps.evaluate.text.scorer import TextsSeen

SAMPLE = 20_000
"""Training rows that new ones are compared with, at most."""


def compared(
    dataset: Dataset, prepared: Prepared, seen: TextsSeen
) -> tuple[list[dict[str, Any]], int]:
    """How new texts differ from those of the training, and how many of them were in it.

    Means of what each text shows: its words, its writing system, the share of its words that no
    training text has (set against the validation texts, which have such too).
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
    return means.compared(measured), repeated


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
