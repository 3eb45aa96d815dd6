"""A probe: a frozen encoder that reads, and a linear head on what it read. Torch is not needed.

The encoder runs once over each example, in the graph that will answer later. What it gives, pooled
to one vector an example, is all that the head learns from (Alain and Bengio 2016,
https://arxiv.org/abs/1610.01644).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import UsageError
from silmu.steps.design.encoders import chosen
from silmu.steps.design.layers import spelled, stacked
from silmu.steps.design.memory import refuse_too_large
from silmu.steps.design.plan import Cost, Design, Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.design.encoders import Encoder
    from silmu.steps.prepare.prepared import Prepared

SAMPLES = 7
"""How many batches are timed, spread from the cheapest to the dearest."""

LOOKS = 300
"""About how often the head's examples are gone through for a pooling, over all heads that are
compared."""

UNLIKE = (
    *("tune", "tuned_layers", "lora_rank", "epochs", "batch_size", "accumulation", "bucket"),
    *("learning_rate", "weight_decay", "warmup", "schedule", "clip", "dropout", "label_smoothing"),
    *("patience", "evaluations", "average", "workers", "threads", "hidden_size", "num_layers"),
    *("image_size", "crop", "rotate", "flip", "colour", "mixing"),
)
"""Settings of networks that are trained in steps."""


def check_settings(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuses settings that a probe has no use for.

    Raises:
        UsageError: one of UNLIKE is not as it is by default; or a dtype other than fp32.
    """
    idle = [name for name in UNLIKE if name in given and given[name] != defaults[name]]
    if idle:
        raise UsageError(
            f"a probe has no {', '.join(idle)}: its encoder reads each example once, as it is, and "
            "its head is solved for, not trained in steps",
            hint="leave them out, or fine-tune: --network without `probe:`",
        )
    if given["dtype"] not in ("auto", "fp32"):
        raise UsageError(
            f"dtype is {given['dtype']!r}; a probe reads in fp32",
            hint="leave it out; the model that comes of it can be used with dtype q8",
        )


def designed(
    network: str,
    encoder: Encoder[Any],
    prepared: Prepared,
    settings: Mapping[str, Any],
    budget: float | None,
) -> Design:
    """What a probe is, and what it will cost here: a few batches are read, and the rest counted.

    Args:
        network: as run.toml is to name it.
        encoder: that of the network.
        prepared: as this encoder reads it.
        settings: `device`, `max_steps` and `seed`.
        budget: seconds that the whole may take; where it is too short, less is learnt from.

    Raises:
        SilmuError: the machine has not the memory.
    """
    train, validation = (encoder.examples(prepared, split) for split in ("train", "validation"))
    every, many = encoder.batches(train), encoder.many
    spread: list[int] = np.linspace(0, len(every) - 1, SAMPLES).round().astype(int).tolist()
    timed = [every[i] for i in spread]

    def seconds(batch: NDArray[np.int64]) -> float:
        start = time.perf_counter()
        encoder.read(train, batch)
        return time.perf_counter() - start

    for _ in range(2):  # since the engine packs its matrices in the first two runs
        encoder.read(train, timed[-1])
    per_step = mean(seconds(batch) for batch in timed)
    outputs, sizes = len(prepared.labels) or 1, encoder.sizes
    fitting = sum(_fit_seconds(len(train), size, outputs) for size in sizes.values())
    fixed = len(encoder.batches(validation)) * per_step
    steps = min(len(every), settings["max_steps"] or len(every))
    notes = encoder.notes(train)
    if len(sizes) > 1:
        compared = " and ".join(encoder.told[name] for name in sizes)
        notes.insert(0, f"{compared} are compared on the validation split")
    if budget is not None and fixed + steps * per_step + fitting > budget:
        steps = max(1, min(steps, int((budget - fixed) / (per_step + fitting / len(every)))))
    if steps < len(every):
        rows = sum(map(len, chosen(every, steps, settings["seed"])))
        notes.append(f"{rows:,} of {len(train):,} {many} are learnt from, drawn by chance")
    tensors = encoder.tensors()
    longest = max(sizes.values())
    head = outputs * (longest + 1)
    frozen = sum(math.prod(one.shape) for one in tensors.values())
    needed = 2 * 4 * frozen + 4 * len(train) * (sum(sizes.values()) + longest)
    refuse_too_large(
        needed, f"--set max_steps=1000 learns from fewer {many}, drawn by chance; a smaller encoder"
    )
    middle = np.concatenate(every)[len(train) // 2 :][:1]
    cost = Cost(
        step_seconds={"fp32": per_step},
        dtype="fp32",
        steps=steps,
        train_seconds=fixed + steps * (per_step + fitting / len(every)),
        answer_seconds=median(seconds(middle) for _ in range(5)),
        memory=needed,
    )
    rows = [
        Layer(name.rpartition(".")[0], "frozen", spelled(one.shape), math.prod(one.shape))
        for name, one in tensors.items()
    ]
    shape = f"{outputs} x {longest}"
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
