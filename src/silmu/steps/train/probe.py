"""Trains a probe: reads all examples once, compares heads on the validation split, keeps the best.

Nothing is drawn by chance but which examples are read, where they are not all, and that follows
from the seed; so a run that was killed ends with the same weights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu import store
from silmu.graphs import silmu_probe
from silmu.runtime import weights
from silmu.steps.design.encoders import chosen
from silmu.steps.prepare.thresholds import choose_thresholds
from silmu.steps.train import features, linear, served, served_images
from silmu.steps.train.calibration import temperature
from silmu.steps.train.validation import METRICS, Scale, loss, measured, sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.design.encoders import Encoder, Examples
    from silmu.steps.prepare.prepared import Prepared
    from silmu.steps.train.linear import Head
    from silmu.steps.train.progress import Progress

COMPARED = 20_000
"""Of more examples than these, heads are compared that learnt from so many, drawn by chance."""

PATIENCE = 3
"""So many strengths in a row end the search that are better neither by the metric nor the loss."""

CANDIDATES = "candidates.json"

COMPARES = {"text-classification": served.compare, "image-classification": served_images.compare}
"""What refuses a model folder that does not answer as it should, by task."""


@final
@dataclass(frozen=True)
class Outcome:
    """What became of a training.

    Attributes:
        head: for vectors as they come, in the user's unit, and as certain as it is right.
        pooling: one of the encoder's.
        strength: one of `linear.STRENGTHS`.
        metric: by what heads were compared, and how good this one is on the validation split.
        thresholds: from what score on each of several labels is told.
        rows: how many examples the head learnt from.
        seconds: how long it took, over all sittings, but for those of heads that were cut short.
        vectors: what it learnt from, which are on disk.
    """

    head: Head
    pooling: str
    strength: float
    metric: tuple[str, float]
    thresholds: list[float] | None
    rows: int
    seconds: float
    vectors: features.Vectors


def fit(
    encoder: Encoder[Any],
    prepared: Prepared,
    settings: Mapping[str, Any],
    folder: Path,
    progress: Progress,
) -> Outcome:
    """Reads what is not read yet, and solves for the head that does best on the validation split.

    Args:
        encoder: that of the design.
        prepared: whose training split is learnt and whose validation split decides.
        settings: `max_steps`, how many batches are learnt from; `seed`; `class_weights`.
        folder: `4-train/` of the run; vectors and `candidates.json` are left there.
        progress: what shows how it goes.
    """
    train, validation = (encoder.examples(prepared, split) for split in ("train", "validation"))
    parts = {
        "train": chosen(encoder.batches(train), settings["max_steps"], settings["seed"]),
        "validation": encoder.batches(validation),
    }
    vectors = features.read(encoder, prepared, parts, folder, progress)
    start = time.monotonic()
    task = _Task(prepared, vectors, train, validation, settings)
    found = [one for pooling in encoder.sizes for one in task.compared(pooling, progress)]
    store.write_file(folder / CANDIDATES, _listed(found, task.metric))
    return task.finished(task.best(found), start)


@final
@dataclass(frozen=True)
class Candidate:
    """A head that was compared."""

    pooling: str
    strength: float
    metrics: dict[str, float]


class _Task:
    """What is learnt of a prepared data set."""

    def __init__(
        self,
        prepared: Prepared,
        vectors: features.Vectors,
        train: Examples,
        validation: Examples,
        settings: Mapping[str, Any],
    ) -> None:
        self.kind = prepared.kind
        self.vectors = vectors
        self.metric, self.higher_is_better = METRICS[prepared.kind]
        self.outputs = len(prepared.labels) or 1
        self.weights = prepared.class_weights if settings.get("class_weights") else None
        rows = vectors.rows["train"]
        told, seen = train.targets[rows], validation.targets
        self.scale = Scale.of(told) if prepared.kind == "number" else None
        inward = self.scale.inward if self.scale is not None else np.asarray
        self.targets, self.sought = inward(told), inward(seen)
        self.some = np.arange(len(rows))
        if len(rows) > COMPARED:
            random = np.random.default_rng(settings["seed"])
            self.some = np.sort(random.choice(len(rows), COMPARED, replace=False))

    def compared(self, pooling: str, progress: Progress) -> list[Candidate]:
        """Heads from hardly anything learnt to nearly free, until that is no better."""
        vectors = self.vectors.load("train", pooling)
        standard = linear.Standard.of(vectors)
        x, seen = standard(vectors[self.some]), standard(self.vectors.load("validation", pooling))
        found: list[Candidate] = []
        for strength in linear.STRENGTHS:
            head = self._fit(x, self.targets[self.some], strength)
            logits = head(seen)
            metrics = measured(self.kind, logits, self.sought, self.scale)
            metrics["loss"] = loss(self.kind, logits, self.sought)
            found.append(Candidate(pooling, strength, metrics))
            lowest = min(found, key=lambda one: one.metrics["loss"])
            newest = max(found.index(self.best(found)), found.index(lowest))
            if len(found) - newest > PATIENCE:
                break
        best = self.best(found)
        value = best.metrics[self.metric]
        progress.note(
            f"{pooling}: {self.metric} {value:.4f} on validation, strength {best.strength:g}"
        )
        return found

    def best(self, found: list[Candidate]) -> Candidate:
        """The best by the metric; of several that are alike, the one of the lowest loss."""
        sign = 1 if self.higher_is_better else -1
        return max(found, key=lambda one: (sign * one.metrics[self.metric], -one.metrics["loss"]))

    def finished(self, best: Candidate, start: float) -> Outcome:
        """The best head, learnt from all examples, as it is to be served."""
        vectors = self.vectors.load("train", best.pooling)
        standard = linear.Standard.of(vectors)
        head = standard.folded(self._fit(standard(vectors), self.targets, best.strength))
        logits = head(self.vectors.load("validation", best.pooling))
        metrics = measured(self.kind, logits, self.sought, self.scale)
        thresholds = None
        if self.scale is not None:
            head = head.rescaled(float(self.scale.deviation), float(self.scale.mean))
        else:
            divisor = temperature(self.kind, logits, self.sought)
            head = head.rescaled(1 / divisor)
            if self.kind == "multiple":
                thresholds = choose_thresholds(sigmoid(logits / divisor), self.sought)
        return Outcome(
            head=head,
            pooling=best.pooling,
            strength=best.strength,
            metric=(self.metric, metrics[self.metric]),
            thresholds=thresholds,
            rows=len(self.targets),
            seconds=self.vectors.seconds + time.monotonic() - start,
            vectors=self.vectors,
        )

    def _fit(self, vectors: NDArray[np.float32], targets: NDArray[Any], strength: float) -> Head:
        return linear.fit(
            self.kind, vectors, targets, strength, outputs=self.outputs, weights=self.weights
        )


def _listed(found: list[Candidate], metric: str) -> bytes:
    lines = [
        {"pooling": one.pooling, "strength": one.strength, "validation": one.metrics}
        for one in found
    ]
    return json.dumps({"metric": metric, "candidates": lines}, indent=1).encode() + b"\n"


def write_model(
    target: Path,
    encoder: Encoder[Any],
    outcome: Outcome,
    prepared: Prepared,
    *,
    meta: Mapping[str, Any] | None = None,
) -> Path:
    """Writes encoder and head as one model folder, if its graph computes what the two compute.

    The folder holds config.json (`model_type` is `silmu-probe`, and `encoder` the encoder's own
    config.json), model.safetensors, the files of the tokenizer or the image processor,
    processor.json, schema.json and onnx/model.onnx. The encoder's tensors are byte for byte those
    of its checkpoint.

    Args:
        target: must not exist.
        encoder: that was read with.
        outcome: of `fit`.
        prepared: what it was trained on.
        meta: for the manifest: what the model was made from.

    Raises:
        InvalidModelError: graph and head differ; nothing is left.
    """
    head = linear.Head(
        *(one.astype(np.float32) for one in (outcome.head.weight, outcome.head.bias))
    )
    config = {
        "model_type": silmu_probe.MODEL_TYPES[0],
        "architectures": [encoder.architecture],
        "pooling": outcome.pooling,
        "hidden_size": encoder.sizes[outcome.pooling],
        **encoder.config(),
        "encoder": encoder.folder.config,
        **served.labels_of(prepared),
    }

    def logits(feeds: dict[str, Any]) -> NDArray[np.float32]:
        return head(encoder.pooled(feeds)[outcome.pooling])

    with store.new_folder(target, meta={"task": encoder.task, **(meta or {})}) as writer:
        text = json.dumps(config, ensure_ascii=False, indent=1)
        writer.write("config.json", f"{text}\n".encode())
        own = {"classifier.weight": head.weight, "classifier.bias": head.bias}
        with writer.open(weights.SINGLE) as file:
            weights.pack(file, {**encoder.tensors(), **own})
        served.finish(
            *(writer, Path(target).name, encoder.task, prepared, outcome.thresholds),
            lambda pipe: COMPARES[encoder.task](pipe, logits, prepared),
        )
    return Path(target)
