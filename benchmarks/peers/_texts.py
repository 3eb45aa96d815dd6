"""Text in, answer out, for engines that come without a pipeline: numpy and tokenizers only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from ._serve import Runs

LABELS = ("NEGATIVE", "POSITIVE")
TOKEN_BUDGET = 512
WINDOW, STRIDE, LONGEST_ANSWER, CANDIDATES = 384, 128, 15, 12

Array = np.ndarray[Any, Any]
Forward = Callable[[Array, Array], Any]
"""(rows, tokens) of ids and of their mask through a model."""

Continue = Callable[[Tokenizer, list[str], int], list[str]]
"""Prompts with so many new tokens each."""


def load(
    models: Path,
    work: dict[str, Any],
    measures: list[str],
    *,
    labels: Callable[[str], Forward] | None = None,
    spans: Callable[[str], Forward] | None = None,
    continues: Callable[[str], Continue] | None = None,
) -> Runs:
    """The runs of an engine, from functions that open its model by the folder's name."""
    opened: dict[str, tuple[Tokenizer, Any]] = {}

    def open_once(folder: str, of: Callable[[str], Any] | None) -> tuple[Tokenizer, Any]:
        assert of, f"this engine has nothing for {folder}"
        if folder not in opened:
            opened[folder] = open_tokenizer(models / folder), of(folder)
        return opened[folder]

    runs: Runs = {}
    for name in measures:
        given = work[name]
        if "texts" in given:
            tokenizer, forward = open_once("sentiment", labels)
            runs[name] = partial(classify, tokenizer, given["texts"], forward)
        elif "context" in given:
            tokenizer, forward = open_once("question-answering", spans)
            asked = given["question"], given["context"]
            runs[name] = partial(answer, tokenizer, *asked, forward)
        else:
            tokenizer, go_on = open_once("gpt2", continues)
            runs[name] = partial(go_on, tokenizer, given["prompts"], given["new_tokens"])
    return runs


def open_tokenizer(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def sorted_batches(lengths: list[int], budget: int = TOKEN_BUDGET) -> Iterator[list[int]]:
    """Places of texts, the shortest first, in groups of at most `budget` tokens with padding."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > budget:
            yield batch
            batch = []
        batch.append(place)
    yield batch


def in_batches(rows: list[list[int]], forward: Forward) -> list[Any]:
    """One result a row, in the order of the rows: sorted, padded on the right, unsorted again."""
    results: list[Any] = [None] * len(rows)
    for batch in sorted_batches([len(row) for row in rows]):
        longest = max(len(rows[place]) for place in batch)
        ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros_like(ids)
        for i, place in enumerate(batch):
            ids[i, : len(rows[place])] = rows[place]
            mask[i, : len(rows[place])] = 1
        for place, result in zip(batch, forward(ids, mask), strict=True):
            results[place] = result
    return results


def classify(tokenizer: Tokenizer, texts: list[str], forward: Forward) -> list[list[Any]]:
    """The label and score of each text; `forward` gives logits."""
    rows = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    return [labelled(softmax(logits)) for logits in in_batches(rows, forward)]


def labelled(scores: Array) -> list[Any]:
    best = int(scores.argmax())
    return [LABELS[best], float(scores[best])]


def answer(tokenizer: Tokenizer, question: str, context: str, forward: Forward) -> list[int]:
    """Where the best span lies; `forward` gives (rows, tokens, 2) of start and end logits."""
    tokenizer.enable_truncation(WINDOW, stride=STRIDE, strategy="only_second")
    encoding = tokenizer.encode(question, context)
    windows = [encoding, *encoding.overflowing]
    scores: dict[str, float] = defaultdict(float)
    places: dict[str, list[int]] = {}
    for window, logits in zip(windows, in_batches([w.ids for w in windows], forward), strict=True):
        for place, score in _spans(window, logits[: len(window.ids)]):
            words = context[slice(*place)].lower()
            scores[words] += score
            places.setdefault(words, place)
    return places[max(scores, key=scores.__getitem__)]


def _spans(window: Encoding, logits: Array) -> Iterable[tuple[list[int], float]]:
    allowed = np.array([part == 1 for part in window.sequence_ids])
    allowed[0] = True  # counted in the scores, as transformers does, but never chosen
    start, end = (softmax(np.where(allowed, column, -10_000.0)) for column in logits.T)
    start[0] = end[0] = 0.0
    pairs = np.tril(np.triu(np.outer(start, end)), LONGEST_ANSWER - 1)
    for flat in np.argsort(-pairs, axis=None)[:CANDIDATES]:
        first, last = divmod(int(flat), len(end))
        yield [window.offsets[first][0], window.offsets[last][1]], float(pairs[first, last])


def softmax(logits: Array) -> Array:
    raised = np.exp(logits.astype(np.float64) - logits.max())
    return raised / raised.sum()
