"""Rows through the pipeline: what is scored is what will be used.

A `Scorer` is all that an evaluation must know of a kind of rows: how a batch is asked, what is seen
of it on the way, how a row is shown and its answer explained, by what parts the rows are told
apart, what simpler models reach, and how new rows differ from the training. There is one for each
kind that `collect` knows: `<kind>/scorer.py`, found by the name that a pipeline gives to what it
reads.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu import registry, store
from silmu.errors import InputError, UnknownTaskError
from silmu.pipelines import pipeline
from silmu.runtime import weights
from silmu.steps.collect.dataset import BATCH, Dataset
from silmu.steps.train.progress import Progress

if TYPE_CHECKING:
    from silmu.steps.evaluate.baselines import Baseline
    from silmu.steps.evaluate.metrics import Scored
    from silmu.steps.evaluate.rows import Rows
    from silmu.steps.prepare.prepared import Prepared


@dataclass(frozen=True)
class Answers:
    """What came out for a batch of rows.

    Attributes:
        outputs: probabilities (rows, labels), or numbers (rows,) or (rows, targets).
        spans: (rows, targets, 2), between which numbers the true ones are to be expected.
        flags: by the place of a row, what the model found odd about it.
    """

    outputs: NDArray[Any]
    spans: NDArray[Any] | None = None
    flags: Mapping[int, Sequence[str]] = field(default_factory=dict[int, Sequence[str]])


class Seen(Protocol):
    """What is noticed of rows while they are asked."""

    def add(self, batch: pa.Table, answers: Answers) -> None:
        """Notices one batch more."""
        ...

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Of some of the rows."""
        ...

    @property
    def facts(self) -> dict[str, int]:
        """What a report says of it under `data`."""
        ...

    @property
    def warnings(self) -> list[str]:
        """What a reader of the figures must know of it."""
        ...


@dataclass(frozen=True)
class Passed:
    """What came out for rows, and what was seen of them on the way.

    Attributes:
        outputs: probabilities (rows, labels), or numbers (rows,) or (rows, targets); NaN where a
            row failed.
        spans: as in `Answers`.
        failed: place and error of rows that could not be answered.
        seen: of all rows.
    """

    outputs: NDArray[Any]
    spans: NDArray[Any] | None
    failed: list[tuple[int, str]]
    seen: Seen


class Scorer(ABC):
    """A model folder that answers rows with the scores of all labels, or with numbers."""

    many: ClassVar[str]
    """What rows are called, such as `texts`."""

    strong: ClassVar[str]
    """The baseline that a model is compared with."""

    at_once: ClassVar[int] = BATCH
    """Rows that are asked together; where one of them cannot be answered, halves of them again."""

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        self.progress = Progress(quiet=True)
        """What shows how long works go."""
        self.task: str = pipe.task
        self.kind = self._kind()
        self.targets: tuple[str, ...] = ()
        """The names of several numbers that are told at once."""
        config = pipe.model.config
        named = tuple(str(config.id2label[i]) for i in range(config.num_labels))
        self.labels: tuple[str, ...] = () if self.kind == "number" else named
        if self.kind == "number" and len(named) > 1:
            self.targets = named
        chosen = pipe.thresholds if self.kind == "multiple" else None
        self.thresholds = None if chosen is None else np.asarray(chosen, np.float64)
        folder = pipe.model.folder
        self.name = Path(folder.name).name or folder.name

    @property
    def fingerprint(self) -> str:
        """A hash of config, weights and what else decides the answers."""
        return fingerprint_of(self.pipe)

    @abstractmethod
    def _kind(self) -> str:
        """The kind of labels: `single`, `multiple`, `ordered` or `number`."""

    @abstractmethod
    def columns(self, dataset: Dataset) -> tuple[str, ...]:
        """The columns that are asked.

        Raises:
            UsageError: the data has not those that the model reads.
        """

    @abstractmethod
    def ask(self, batch: pa.Table) -> Answers:
        """The answers to some rows.

        Raises:
            InputError: one of them cannot be answered.
        """

    @abstractmethod
    def seen(self) -> Seen:
        """Nothing yet."""

    @abstractmethod
    def baselines(self, prepared: Prepared, seed: int) -> dict[str, Baseline]:
        """Simpler models, fitted on the training split; the strong one is among them."""

    @abstractmethod
    def details(
        self, rows: Rows, scored: Scored, groups: NDArray[np.int64] | None, seed: int
    ) -> dict[str, Any]:
        """What a report tells of this kind of rows: their parts, the worst, what decides."""

    @abstractmethod
    def drift(
        self, dataset: Dataset, passed: Passed, model: Path
    ) -> tuple[dict[str, Any], list[str]]:
        """How new rows differ from those of the training: details of a report, and sentences."""

    def read(self, dataset: Dataset, chosen: NDArray[np.bool_] | None = None) -> Passed:
        """All rows, or those that a mask chooses, some thousands in memory at a time."""
        seen, names = self.seen(), self.columns(dataset)
        outputs: list[NDArray[Any]] = []
        spans: list[NDArray[Any]] = []
        failed: list[tuple[int, str]] = []
        start = 0
        total = dataset.num_rows if chosen is None else int(chosen.sum())
        work = self.progress.work(f"{self.many} scored", total)
        for batch in _batches(dataset, names, chosen, self.at_once):
            answers, errors = self._answered(batch)
            failed.extend((start + place, error) for place, error in errors)
            seen.add(batch, answers)
            outputs.append(answers.outputs)
            if answers.spans is not None:
                spans.append(answers.spans)
            start += len(batch)
            work.done(len(batch))
        empty = np.zeros((0, *self._shape), np.float32)
        return Passed(
            np.concatenate([empty, *outputs]),
            np.concatenate(spans) if spans else None,
            failed,
            seen,
        )

    def answered(self, batch: pa.Table) -> Answers:
        """The answers to some rows, NaN for those that cannot be answered."""
        return self._answered(batch)[0]

    def labelled(self, answers: Sequence[Sequence[Mapping[str, Any]]]) -> NDArray[np.float32]:
        """Scores by label as an array (rows, labels)."""
        place_of = {label: i for i, label in enumerate(self.labels)}
        found = np.full((len(answers), len(self.labels)), np.nan, np.float32)
        for row, answer in zip(found, answers, strict=True):
            for one in answer:
                row[place_of[one["label"]]] = one["score"]
        return found

    @property
    def _shape(self) -> tuple[int, ...]:
        """Of the outputs of one row."""
        width = len(self.labels or self.targets)
        return (width,) if width else ()

    def _answered(self, batch: pa.Table) -> tuple[Answers, list[tuple[int, str]]]:
        """The answers to a batch, NaN for what cannot be answered, with place and error of that."""
        try:
            return self.ask(batch), []
        except InputError as error:
            if len(batch) == 1:
                return Answers(np.full((1, *self._shape), np.nan, np.float32)), [(0, error.message)]
        half = len(batch) // 2
        parts = [self._answered(batch.slice(0, half)), self._answered(batch.slice(half))]
        return _joined([one for one, _ in parts], half), [
            *parts[0][1],
            *((half + place, error) for place, error in parts[1][1]),
        ]


def opened(model: Path | str) -> Any:
    """The pipeline of a model folder, whose answers can be scored.

    Raises:
        UnsupportedModelError: nothing in the folder tells its task.
        UnknownTaskError: answers of its task are not scored.
    """
    pipe = pipeline(model=model)
    if pipe.task not in (learnt := registry.tasks()):
        raise UnknownTaskError(
            f"`{model}` is for {pipe.task}, whose answers are not scored",
            hint=f"models for {', '.join(learnt)} are evaluated",
        )
    return pipe


def scorer_of(pipe: Any, progress: Progress) -> Scorer:
    """What asks a pipeline, by what it reads, and shows how it goes."""
    scorer: Scorer = registry.scorer_class(pipe.rows)(pipe)
    scorer.progress = progress
    return scorer


def fingerprint_of(pipe: Any) -> str:
    """A hash of a model's config, weights and what else decides its answers."""
    folder = pipe.model.folder
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


def _joined(parts: Sequence[Answers], half: int) -> Answers:
    spans = [one.spans for one in parts]
    known = next((one for one in spans if one is not None), None)
    if known is not None:
        nothing = np.full(known.shape[1:], np.nan)
        spans = [
            np.repeat(nothing[None], len(one.outputs), axis=0) if one.spans is None else one.spans
            for one in parts
        ]
    flags = {**parts[0].flags, **{half + i: told for i, told in parts[1].flags.items()}}
    return Answers(
        np.concatenate([one.outputs for one in parts]),
        None if known is None else np.concatenate([one for one in spans if one is not None]),
        flags,
    )


def _batches(
    dataset: Dataset, names: Sequence[str], chosen: NDArray[np.bool_] | None, size: int
) -> Iterator[pa.Table]:
    start = 0
    for batch in dataset.batches(names, size):
        count = batch.num_rows
        if chosen is not None:
            batch = batch.take(pa.array(np.flatnonzero(chosen[start : start + count])))
        start += count
        if batch.num_rows:
            yield pa.Table.from_batches([batch])
