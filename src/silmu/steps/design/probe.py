"""A probe: a frozen encoder that reads, and a linear head on what it read. Torch is not needed.

The encoder runs once over each text, in the graph that will answer later. What it gives, pooled to
one vector a text, is all that the head learns from (Alain and Bengio 2016,
https://arxiv.org/abs/1610.01644).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from statistics import mean, median
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu import pipelines, registry
from silmu.errors import UnsupportedModelError, UsageError
from silmu.graphs.silmu_probe import ENCODER
from silmu.runtime import weights
from silmu.steps.design.layers import spelled, stacked
from silmu.steps.design.memory import refuse_too_large
from silmu.steps.design.plan import Cost, Design, Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder
    from silmu.runtime.weights import Tensor
    from silmu.steps.prepare.prepared import Features, Prepared

TOKENS = 512
"""How many tokens, padding included, are read at once: as pipelines do, and for the same reason."""

SAMPLES = 7
"""How many batches are timed, of lengths spread over those that there are."""

LOOKS = 600
"""About how often the head's examples are gone through, over all heads that are compared."""

MOST_UNKNOWN = 0.02
"""From which share of tokens on it is told that an encoder does not know them."""

UNLIKE = (
    *("tune", "tuned_layers", "lora_rank", "epochs", "batch_size", "accumulation", "bucket"),
    *("learning_rate", "weight_decay", "warmup", "schedule", "clip", "dropout", "label_smoothing"),
    *("patience", "evaluations", "average", "workers", "threads"),
)
"""Settings of the loop, which a probe has none of."""


def check(folder: Folder) -> None:
    """Refuses what cannot be read with, before any work is done.

    Raises:
        UnsupportedModelError: it is a model that writes, in which a token sees none after it.
    """
    model_type = folder.config["model_type"]
    family = registry.graph_module(model_type)
    if family is not None and "text-generation" in family.HEADS:
        raise UnsupportedModelError(
            f"`{folder.name}` is a {model_type!r}, a model that writes; a probe reads with an "
            "encoder",
            hint=f"`--network {folder.name}` fine-tunes it",
        )
    weights.files(folder)


def check_settings(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuses settings that a probe has no use for.

    Raises:
        UsageError: one of UNLIKE is not as it is by default; or a dtype other than fp32.
    """
    idle = [name for name in UNLIKE if name in given and given[name] != defaults[name]]
    if idle:
        raise UsageError(
            f"a probe has no {', '.join(idle)}: its head is solved for, not trained in steps",
            hint="leave them out, or fine-tune: --network without `probe:`",
        )
    if given["dtype"] not in ("auto", "fp32"):
        raise UsageError(
            f"dtype is {given['dtype']!r}; a probe reads in fp32",
            hint="leave it out; the model that comes of it can be used with dtype q8",
        )


@final
class Encoder:
    """A frozen encoder of texts.

    Args:
        folder: of the model.
        device: `auto`, or as `pipeline` takes it.

    Attributes:
        size: how long its vectors are.
        max_tokens: how many tokens it can read.
    """

    def __init__(self, folder: Folder, device: str = "auto") -> None:
        self.folder = folder
        self._pipe = pipelines.pipeline(
            "feature-extraction",
            model=str(folder.path),
            device=None if device == "auto" else device,
        )
        self.device = str(self._pipe.device)
        self.size = int(self._pipe.model.session.outputs["last_hidden_state"].shape[-1] or 0)
        self.max_tokens: int = self._pipe.model.max_tokens
        self._pad: int = self._pipe.tokenizer.special_id("pad") or 0
        self._unknown = self._pipe.tokenizer.special_id("unk")

    def read(
        self, features: Features, indices: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float32]]:
        """Texts of a split, each as one vector, by how the vectors of its tokens become one."""
        shape = len(indices), int(features.lengths[indices].max())
        feeds = {
            "input_ids": np.full(shape, self._pad, np.int64),
            "attention_mask": np.zeros(shape, np.int64),
            "token_type_ids": np.zeros(shape, np.int64),
        }
        for row, index in enumerate(indices.tolist()):
            ids, types = features.ids(index), features.type_ids(index)
            feeds["input_ids"][row, : len(ids)] = ids
            feeds["attention_mask"][row, : len(ids)] = 1
            if types is not None:
                feeds["token_type_ids"][row, : len(types)] = types
        return self.pooled(feeds)

    def pooled(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """(rows, tokens) arrays by name -> (rows, size) by each of `graphs.silmu_probe.POOLINGS`.

        Raises:
            InvalidModelError: what the encoder computes is no number.
        """
        states: NDArray[np.float32] = self._pipe.model(**feeds)["last_hidden_state"]
        real = feeds["attention_mask"].astype(np.float32)
        total = np.matmul(real[:, None, :], states)[:, 0]
        return {
            "mean": total / real.sum(axis=1, keepdims=True),
            "first": np.ascontiguousarray(states[:, 0]),
        }

    def unknown(self, features: Features) -> float:
        """The share of tokens that the encoder has no vector for, in texts spread over a split."""
        some: list[int] = np.unique(np.linspace(0, len(features) - 1, 1000).astype(int)).tolist()
        ids = np.concatenate([features.ids(i) for i in some])
        return float((ids == self._unknown).mean()) if self._unknown is not None else 0.0

    def tensors(self) -> dict[str, Tensor]:
        """What of its checkpoint belongs to the encoder, by the names that a probe gives it."""
        found = weights.Weights.open(self.folder)
        family = registry.graph_module(self.folder.config["model_type"])
        prefix = "" if family is None else family.PREFIX
        within = {name: one for name, one in found.tensors.items() if name.startswith(prefix)}
        own = within or found.tensors
        return {f"{ENCODER}{name.removeprefix(prefix)}": one for name, one in own.items()}


def batches(lengths: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Examples by their numbers, those of like lengths together, the shortest first.

    >>> [batch.tolist() for batch in batches(np.array([300, 100, 300, 90], np.int32))]
    [[3, 1], [0], [2]]
    """
    order = np.argsort(lengths, kind="stable").astype(np.int64)
    found: list[NDArray[np.int64]] = []
    start = 0
    for end, index in enumerate(order.tolist()):
        if end > start and (end + 1 - start) * int(lengths[index]) > TOKENS:
            found.append(order[start:end])
            start = end
    return [*found, order[start:]]


def chosen(lengths: NDArray[np.int32], most: int | None, seed: int) -> list[NDArray[np.int64]]:
    """The batches of the training split that are read: all, or as many, drawn by chance."""
    every = batches(lengths)
    if most is None or most >= len(every):
        return every
    drawn = np.random.default_rng(seed).choice(len(every), most, replace=False)
    return [every[i] for i in sorted(drawn.tolist())]


def designed(
    network: str,
    encoder: Encoder,
    prepared: Prepared,
    settings: Mapping[str, Any],
    budget: float | None,
) -> Design:
    """What a probe is, and what it will cost here: a few batches are read, and the rest counted.

    Args:
        network: as run.toml is to name it.
        encoder: that of the network.
        prepared: with the tokens of this encoder.
        settings: `device`, `max_steps` and `seed`.
        budget: seconds that the whole may take; fewer texts are learnt from, where it is too short.

    Raises:
        SilmuError: the machine has not the memory.
    """
    train, validation = prepared.features("train"), prepared.features("validation")
    every = batches(train.lengths)
    spread: list[int] = np.linspace(0, len(every) - 1, SAMPLES).round().astype(int).tolist()
    timed = [every[i] for i in spread]
    encoder.read(train, timed[-1])
    encoder.read(train, timed[-1])  # since the engine packs its matrices in the first two runs
    per_step = mean(_seconds(encoder, train, batch) for batch in timed)
    outputs = len(prepared.labels) or 1
    fitting = _fit_seconds(len(train), encoder.size, outputs)
    fixed = len(batches(validation.lengths)) * per_step
    steps = min(len(every), settings["max_steps"] or len(every))
    notes = ["the mean of the tokens and the first token are compared on the validation split"]
    if (unknown := encoder.unknown(train)) > MOST_UNKNOWN:
        notes.append(
            f"{unknown:.0%} of the tokens are unknown to this encoder: one of their language would "
            "read more of them"
        )
    if budget is not None and fixed + steps * per_step + fitting > budget:
        steps = max(1, min(steps, int((budget - fixed) / (per_step + fitting / len(every)))))
    if steps < len(every):
        rows = sum(map(len, chosen(train.lengths, steps, settings["seed"])))
        notes.append(f"{rows:,} of {len(train):,} texts are learnt from, drawn by chance")
    tensors = encoder.tensors()
    head = outputs * (encoder.size + 1)
    frozen = sum(math.prod(one.shape) for one in tensors.values())
    needed = 2 * 4 * frozen + 3 * 4 * len(train) * encoder.size
    refuse_too_large(
        needed, "--set max_steps=1000 learns from fewer texts, drawn by chance; a smaller encoder"
    )
    middle = np.argsort(train.lengths, kind="stable")[len(train) // 2 :][:1].astype(np.int64)
    cost = Cost(
        step_seconds={"fp32": per_step},
        dtype="fp32",
        steps=steps,
        train_seconds=fixed + steps * (per_step + fitting / len(every)),
        answer_seconds=median(_seconds(encoder, train, middle) for _ in range(5)),
        memory=needed,
    )
    rows = [
        Layer(name.rpartition(".")[0], "frozen", spelled(one.shape), math.prod(one.shape))
        for name, one in tensors.items()
    ]
    shape = f"{outputs} x {encoder.size}"
    return Design(
        network=network,
        settings={"dtype": "fp32", "device": encoder.device, "max_steps": steps},
        layers=(*stacked(_joined(rows)), Layer("classifier", "linear", shape, head)),
        parameters=frozen + head,
        trainable=head,
        cost=cost,
        notes=tuple(notes),
    )


def _joined(rows: list[Layer]) -> list[Layer]:
    """The tensors of one layer as one row, which has the shape of the largest."""
    found: dict[str, Layer] = {}
    for row in rows:
        other = found.get(row.name, row)
        largest = max(row, other, key=lambda one: one.parameters)
        count = row.parameters + (other.parameters if row.name in found else 0)
        found[row.name] = replace(largest, parameters=count)
    return list(found.values())


def _seconds(encoder: Encoder, features: Features, batch: NDArray[np.int64]) -> float:
    start = time.perf_counter()
    encoder.read(features, batch)
    return time.perf_counter() - start


def _fit_seconds(rows: int, size: int, outputs: int) -> float:
    """What it takes to compare heads and solve for the best, from two products that are timed."""
    some = min(rows, 4096)
    x, w = np.ones((some, size), np.float32), np.ones((outputs, size), np.float32)
    times: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        np.matmul(np.matmul(x, w.T).T, x)
        times.append(time.perf_counter() - start)
    return LOOKS * min(times) * rows / some
