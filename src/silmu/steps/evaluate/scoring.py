"""Texts through the pipeline: what is scored is what will be used."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from silmu import store
from silmu.errors import InputError
from silmu.pipelines import pipeline
from silmu.runtime import weights
from silmu.runtime.processor import Processor
from silmu.steps.evaluate.slices import script

logger = logging.getLogger("silmu")

AT_ONCE = 2048

Inputs = tuple[str, ...]


@dataclass(frozen=True)
class Passed:
    """What came out for rows, and what was seen of their texts on the way.

    Attributes:
        outputs: probabilities (rows, labels) or numbers (rows,); NaN where a row failed.
        failed: place and error of rows that could not be answered.
        words: how many words each text has.
        characters: how many characters.
        scripts: the writing system of each.
        truncated: how many texts are longer than the model reads.
    """

    outputs: NDArray[np.float32]
    failed: list[tuple[int, str]]
    words: NDArray[np.int64]
    characters: NDArray[np.int64]
    scripts: list[str]
    truncated: int


@final
class Scorer:
    """A model folder that answers rows with the scores of all labels."""

    def __init__(self, model: Path | str) -> None:
        self.pipe: Any = pipeline("text-classification", model=model)
        folder = self.pipe.model.folder
        self.processor = Processor.open(folder)
        config = self.pipe.model.config
        self.labels: tuple[str, ...] = tuple(config.id2label[i] for i in range(config.num_labels))
        self.kind = self.processor.kind if self.processor else _kind(config.problem_type)
        if self.kind == "number":
            self.labels = ()
        chosen = self.processor.thresholds if self.processor else None
        self.thresholds = None if chosen is None else np.asarray(chosen, np.float64)
        self.inputs = self.processor.inputs if self.processor else ()
        limit = min(self.pipe.model.max_tokens, self.pipe.tokenizer.model_max_length)
        self.max_length = self.processor.max_length if self.processor else limit
        # A model of silmu's reads as much of a text as in training; of another, as it can.
        self._options = {} if self.processor else {"truncation": True}
        self.name = Path(folder.name).name or folder.name

    @property
    def fingerprint(self) -> str:
        """A hash of config, weights and what else decides the answers."""
        folder = self.pipe.model.folder
        digest = hashlib.sha256()
        manifest = folder.path / store.MANIFEST
        if manifest.is_file():
            digest.update(manifest.read_bytes())
            return digest.hexdigest()
        for name in ["config.json", *weights.files(folder)]:
            digest.update(name.encode())
            with folder.file(name).open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
        return digest.hexdigest()

    def outputs(self, inputs: Sequence[Inputs]) -> NDArray[np.float32]:
        """Probabilities (rows, labels), or numbers (rows,); NaN where a row cannot be answered."""
        return self._answered(list(inputs))[0]

    def read(self, rows: Iterable[Inputs]) -> Passed:
        """All rows, some thousands in memory at a time."""
        outputs: list[NDArray[np.float32]] = []
        failed: list[tuple[int, str]] = []
        words: list[int] = []
        characters: list[int] = []
        scripts: list[str] = []
        truncated = 0
        source = iter(rows)
        while part := list(islice(source, AT_ONCE)):
            found, errors = self._answered(part)
            failed.extend((len(words) + place, error) for place, error in errors)
            outputs.append(found)
            for texts in part:
                joined = "\n".join(texts)
                words.append(len(joined.split()))
                characters.append(len(joined))
                scripts.append(script(joined))
                truncated += self._is_truncated(texts)
        shape = (0,) if self.kind == "number" else (0, len(self.labels))
        return Passed(
            np.concatenate([np.zeros(shape, np.float32), *outputs]),
            failed,
            np.array(words, np.int64),
            np.array(characters, np.int64),
            scripts,
            truncated,
        )

    def _answered(self, part: list[Inputs]) -> tuple[NDArray[np.float32], list[tuple[int, str]]]:
        failed: list[tuple[int, str]] = []
        try:
            answers: list[Any] = self._ask(part)
        except InputError:
            answers = []
            for place, texts in enumerate(part):
                try:
                    answers.extend(self._ask([texts]))
                except InputError as error:
                    failed.append((place, error.message))
                    answers.append([])
        if self.kind == "number":
            values = [answer[0]["score"] if answer else np.nan for answer in answers]
            return np.array(values, np.float32), failed
        place_of = {label: i for i, label in enumerate(self.labels)}
        found = np.full((len(part), len(self.labels)), np.nan, np.float32)
        for row, answer in zip(found, answers, strict=True):
            for one in answer:
                row[place_of[one["label"]]] = one["score"]
        return found, failed

    def _ask(self, part: list[Inputs]) -> list[Any]:
        asked = [_input(*texts) for texts in part]
        return cast("list[Any]", self.pipe(asked, top_k=None, **self._options))

    def _is_truncated(self, texts: Inputs) -> bool:
        # No tokenizer makes more tokens than bytes, but for those that mark beginning and end.
        if sum(len(text.encode("utf-8", "replace")) for text in texts) + 4 <= self.max_length:
            return False
        first, *others = texts
        try:
            found = self.pipe.tokenizer.encode(first, others[0] or None if others else None)
            return len(found) > self.max_length
        except InputError:
            return False


def _input(text: str, pair: str | None = None) -> Any:
    return text if pair is None else {"text": text, "text_pair": pair}


def _kind(problem_type: str | None) -> str:
    kinds = {"regression": "number", "multi_label_classification": "multiple"}
    return kinds.get(problem_type or "", "single")
