"""A model that reads texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, cast, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from silmu.errors import InputError, UsageError
from silmu.runtime.processor import Processor
from silmu.steps.collect.dataset import Dataset
from silmu.steps.evaluate import details, means
from silmu.steps.evaluate.baselines import Baseline, name_of_simplest, simplest
from silmu.steps.evaluate.kinds import kind_of
from silmu.steps.evaluate.metrics import Scored
from silmu.steps.evaluate.rows import Rows
from silmu.steps.evaluate.scoring import Answers, Passed, Scorer
from silmu.steps.evaluate.slices import by_value
from silmu.steps.evaluate.text import drift, tfidf
from silmu.steps.evaluate.text.attribution import occlusion
from silmu.steps.evaluate.text.scripts import SCRIPT, by_length, script
from silmu.steps.evaluate.trained import training_of
from silmu.steps.prepare.prepared import Prepared, as_texts, chosen_texts

MOST_CHARACTERS = 1000
"""Of a text that is shown."""

Inputs = tuple[str, ...]


@final
class TextScorer(Scorer):
    """A model that reads a text or a pair of texts."""

    many: ClassVar[str] = "texts"
    strong: ClassVar[str] = "tfidf"
    # Of what takes a hundredth of a second each, so that it is seen how it goes.
    at_once: ClassVar[int] = 1024

    def __init__(self, pipe: Any) -> None:
        self.processor = Processor.open(pipe.model.folder)
        super().__init__(pipe)
        self.inputs = self.processor.inputs if self.processor else ()
        limit = min(pipe.model.max_tokens, pipe.tokenizer.model_max_length)
        fitted = self.processor.max_length if self.processor else None
        self.max_length: int = limit if fitted is None else fitted
        # A model of silmu's reads as much of a text as in training; of another, as it can.
        self._options = {} if self.processor else {"truncation": True}

    def _kind(self) -> str:
        return kind_of(self.processor, self.pipe.model.config)

    def columns(self, dataset: Dataset) -> tuple[str, ...]:
        """The columns of texts."""
        given = dataset.roles.input
        if self.inputs and len(self.inputs) != len(given):
            raise UsageError(
                f"the model reads {len(self.inputs)} texts a row ({', '.join(self.inputs)}), and "
                f"the data gives {len(given)} ({', '.join(given)})",
                hint="name the columns: --input",
            )
        return given

    def ask(self, batch: pa.Table) -> Answers:
        """The scores of some texts."""
        return Answers(self._outputs(texts_of(batch)))

    def seen(self) -> TextsSeen:
        """Nothing yet."""
        return TextsSeen(self)

    def baselines(self, prepared: Prepared, seed: int) -> dict[str, Baseline]:
        """The most frequent answer, and TF-IDF with a linear model."""
        kind, labels = prepared.kind, prepared.labels
        parts = (_fitting_rows(prepared, split, seed) for split in ("train", "validation"))
        whole = prepared.counts["train"]
        strong = tfidf.fit(kind, len(labels), *parts, of=whole, seed=seed)

        def outputs(batch: pa.Table) -> NDArray[Any]:
            return strong.outputs(["\n".join(texts) for texts in texts_of(batch)])

        return {
            name_of_simplest(kind): simplest(kind, prepared.targets("train"), labels),
            self.strong: replace(strong, outputs=outputs),
        }

    def details(
        self, rows: Rows, scored: Scored, groups: NDArray[np.int64] | None, seed: int
    ) -> dict[str, Any]:
        """Parts by columns, writing system and length; texts, and the words that decide."""
        del seed

        def shown(places: NDArray[np.int64]) -> list[dict[str, Any]]:
            return [
                {"text": "\n".join(texts)[:MOST_CHARACTERS]}
                for texts in texts_of(rows.batch(places))
            ]

        def explained(places: NDArray[np.int64], of: list[int]) -> list[dict[str, Any] | None]:
            texts = [(one[0][:MOST_CHARACTERS], *one[1:]) for one in texts_of(rows.batch(places))]
            with self.progress.busy(f"leaving out the words of {len(texts)} texts in turn"):
                found = occlusion(self._outputs_or_none, texts, of)
            return [
                # A text without this piece may be none that the model can read.
                None if any(np.isnan(weight) for _, weight in parts) else {"pieces": parts}
                for parts in found
            ]

        seen = cast("TextsSeen", rows.seen)
        unit, lengths = by_length(np.array(seen.words), np.array(seen.characters))
        columns = {**rows.others(), SCRIPT: seen.scripts}
        names, numbers = self.labels, rows.numbers
        return {
            "slices": details.by_part(scored, by_value(columns), groups),
            "lengths": [
                {"from": shortest, "to": longest, "unit": unit, "n": len(places)}
                | details.part_figure(scored, places, groups)
                for shortest, longest, places in lengths
            ],
            "worst": details.worst(scored, names, numbers, shown),
            "attributions": details.attributions(scored, names, numbers, explained),
        }

    def drift(
        self, dataset: Dataset, passed: Passed, model: Path
    ) -> tuple[dict[str, Any], list[str]]:
        """How texts differ from those of the training, where the model is in its run."""
        trained = training_of(model)
        if trained is None:
            return {"drift": None}, [
                "the model is not in its run, so its training texts were not compared"
            ]
        found, repeated = drift.compared(dataset, trained, cast("TextsSeen", passed.seen))
        warnings: list[str] = []
        if repeated:
            warnings.append(
                f"{repeated:,} of {dataset.num_rows:,} texts were in the training: on them the "
                "model looks better than it is"
            )
        return {"drift": found}, [*warnings, *means.unlike(found)]

    def is_truncated(self, texts: Inputs) -> bool:
        """Whether a text is longer than the model reads."""
        # No tokenizer makes more tokens than bytes, but for those that mark beginning and end.
        if sum(len(text.encode("utf-8", "replace")) for text in texts) + 4 <= self.max_length:
            return False
        first, *others = texts
        try:
            found = self.pipe.tokenizer.encode(first, others[0] or None if others else None)
            return len(found) > self.max_length
        except InputError:
            return False

    def _outputs(self, texts: Sequence[Inputs]) -> NDArray[np.float32]:
        asked = [one[0] if len(one) == 1 else _pair(*one) for one in texts]
        answers: list[Any] = self.pipe(asked, top_k=None, **self._options)
        if self.kind == "number":
            return np.array([answer[0]["score"] for answer in answers], np.float32)
        return self.labelled(answers)

    def _outputs_or_none(self, texts: Sequence[Inputs]) -> NDArray[Any]:
        """The scores of texts, NaN where one cannot be answered."""
        columns = zip(*texts, strict=True)
        return self.answered(pa.table({str(i): list(one) for i, one in enumerate(columns)})).outputs


@dataclass
class TextsSeen:
    """What was noticed of texts.

    Attributes:
        words: how many words each has.
        characters: how many characters.
        scripts: the writing system of each.
        truncated: which are longer than the model reads.
    """

    scorer: TextScorer
    words: list[int] = field(default_factory=list[int])
    characters: list[int] = field(default_factory=list[int])
    scripts: list[str] = field(default_factory=list[str])
    truncated: list[bool] = field(default_factory=list[bool])

    def add(self, batch: pa.Table, answers: Answers) -> None:
        """Notices one batch more."""
        del answers
        for texts in texts_of(batch):
            joined = "\n".join(texts)
            self.words.append(len(joined.split()))
            self.characters.append(len(joined))
            self.scripts.append(script(joined))
            self.truncated.append(self.scorer.is_truncated(texts))

    def take(self, rows: NDArray[np.int64]) -> TextsSeen:
        """Of some of the texts."""
        places: list[int] = rows.tolist()
        return TextsSeen(
            self.scorer,
            [self.words[i] for i in places],
            [self.characters[i] for i in places],
            [self.scripts[i] for i in places],
            [self.truncated[i] for i in places],
        )

    @property
    def facts(self) -> dict[str, int]:
        """How many are read in part."""
        return {"truncated": sum(self.truncated)}

    @property
    def warnings(self) -> list[str]:
        """That some are read in part."""
        count = sum(self.truncated)
        if not count:
            return []
        return [
            f"{count:,} of {len(self.words):,} texts are longer than {self.scorer.max_length:,} "
            "tokens; the rest of them was not read"
        ]


def texts_of(batch: pa.Table) -> list[Inputs]:
    """The texts of each row of a batch; a missing one is empty."""
    return list(zip(*(as_texts(batch.column(i)) for i in range(batch.num_columns)), strict=True))


def _pair(text: str, pair: str) -> dict[str, str]:
    return {"text": text, "text_pair": pair}


def _fitting_rows(prepared: Prepared, split: str, seed: int) -> tfidf.Labelled:
    places = prepared.rows(split)
    if len(places) > tfidf.MOST_ROWS:
        drawn = np.random.default_rng(seed).permutation(places)[: tfidf.MOST_ROWS]
        places = np.sort(drawn)
    mask = np.zeros(prepared.dataset.num_rows, bool)
    mask[places] = True
    texts = ["\n".join(parts) for parts in chosen_texts(prepared.dataset, mask)]
    table = prepared.dataset.take(places, prepared.dataset.roles.target)
    return tfidf.Labelled(texts, prepared.target.encode(table))
