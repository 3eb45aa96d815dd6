"""What training a network will cost here: a few real batches are run, and the rest is counted."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from silmu.errors import UsageError
from silmu.steps.design.memory import refuse_too_large
from silmu.steps.design.plan import Cost

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

Batch = dict[str, Any]

SAMPLES = 5
"""How many batches are timed, of lengths spread over those that there are."""

FASTER = 0.9
"""How much of fp32's time bf16 may take at most to be chosen."""

OVERHEAD = 1.08
"""What reading, evaluating and checkpoints add to the steps themselves."""


class Trainable(Protocol):
    """What is timed: a network, the batches that it reads, and what it is told by."""

    network: nn.Module
    lengths: NDArray[np.int32]

    def batch(self, indices: NDArray[np.int64], seed: int) -> Batch:
        """Examples by their numbers, as tensors."""
        ...

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The sum of losses, and what it is to be divided by."""
        ...


def estimate(
    objective: Trainable, settings: Mapping[str, Any], budget: float | None
) -> tuple[Cost, dict[str, Any]]:
    """Measures a few steps; gives the cost of the whole, and the settings that follow from it.

    Args:
        objective: what will be trained; its weights stay as they are.
        settings: of the training, with `auto` where measuring decides.
        budget: seconds that the whole may take; the number of steps follows.

    Raises:
        SilmuError: the machine has not the memory.
    """
    import torch

    device = chosen_device(settings["device"])
    threads = settings["threads"] or torch.get_num_threads()
    torch.set_num_threads(threads)
    objective.network.to(device)
    lengths, size, bucket = objective.lengths, settings["batch_size"], settings["bucket"]
    piece = -(-size // settings["accumulation"])  # of a batch, held at once
    longest = np.argsort(lengths, kind="stable")[-piece:].astype(np.int64)
    needed = memory(objective.network, _to(objective.batch(longest, 0), device), objective.loss)
    if device == "cpu":
        refuse_too_large(
            needed,
            "--set accumulation=4 gives the same updates in smaller pieces, "
            "--set max_length=128 shortens texts, and a smaller --network",
        )
    batches = [
        _to(objective.batch(rows, 0), device) for rows in sample(lengths, size, bucket=bucket)
    ]
    asked = settings["dtype"]
    measured = {
        dtype: step_seconds(objective.network, batches, objective.loss, dtype=dtype, device=device)
        for dtype in (("fp32", "bf16") if asked == "auto" else (asked,))
    }
    dtype = min(measured, key=lambda name: measured[name])
    if dtype == "bf16" and asked == "auto" and measured["bf16"] > FASTER * measured["fp32"]:
        dtype = "fp32"  # for so little, not worth its rounding
    per_epoch = -(-len(lengths) // size)
    per_step = measured[dtype] * OVERHEAD
    steps = per_epoch * settings["epochs"]
    if settings["max_steps"] is not None:
        steps = min(steps, settings["max_steps"])
    if budget is not None:
        steps = max(1, min(steps, int(budget / per_step)))
    cost = Cost(
        step_seconds=measured,
        dtype=dtype,
        steps=steps,
        train_seconds=steps * per_step,
        answer_seconds=answer_seconds(objective, device),
        memory=needed,
    )
    settled = {"dtype": dtype, "device": device, "threads": threads, "max_steps": steps}
    return cost, settled


def answer_seconds(objective: Trainable, device: str) -> float:
    """Seconds of one example of median length through the network."""
    import torch

    middle = np.argsort(objective.lengths, kind="stable")[len(objective.lengths) // 2]
    batch = _to(objective.batch(np.array([middle], np.int64), 0), device)
    objective.network.eval()
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(6):
            start = time.perf_counter()
            objective.loss(batch)
            times.append(time.perf_counter() - start)
    return median(times[1:])


def chosen_device(device: str) -> str:
    """`auto` as the best that there is, and a device that is named only if it is there.

    Raises:
        UsageError: it is not.
    """
    import torch

    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    if device == "auto":
        return there[0]
    if device.partition(":")[0] not in there:
        raise UsageError(f"device is {device!r}; this machine has {', '.join(there)}")
    return device


def _to(batch: Batch, device: str) -> Batch:
    return {name: value.to(device) for name, value in batch.items()}


def sample(lengths: NDArray[np.int32], size: int, *, bucket: bool) -> Iterator[NDArray[np.int64]]:
    """Batches as training will see them: of like lengths where it sorts, else of mixed ones."""
    order = np.argsort(lengths, kind="stable") if bucket else np.arange(len(lengths))
    for i in range(SAMPLES):
        middle = (2 * i + 1) * len(order) // (2 * SAMPLES)
        start = max(min(middle - size // 2, len(order) - size), 0)
        yield order[start : start + size].astype(np.int64)


def step_seconds(
    network: nn.Module,
    batches: Sequence[Batch],
    loss: Callable[[Batch], tuple[Tensor, Tensor]],
    *,
    dtype: str,
    device: str,
) -> float:
    """Seconds of a step, the mean over batches after an untimed one; the network stays as it is."""
    import torch

    # What is counted on the way, as by batch normalisation, is not counted of these steps.
    buffers = [(one, one.clone()) for one in network.buffers()]
    trained = [p for p in network.parameters() if p.requires_grad]
    dense = [p for p in trained if not _is_sparse(network, p)]
    optimizer = torch.optim.AdamW(dense, lr=0.0, weight_decay=0.0)
    network.train()

    def once(batch: Batch) -> float:
        start = time.perf_counter()
        with autocast(dtype, device):
            total, weight = loss(batch)
        (total / weight).backward()
        optimizer.step()
        for parameter in trained:
            parameter.grad = None
        return time.perf_counter() - start

    once(batches[0])
    found = float(np.mean([median(once(batch) for _ in range(2)) for batch in batches]))
    for buffer, before in buffers:
        buffer.copy_(before)
    return found


def autocast(dtype: str, device: str) -> Any:
    """The context in which a step of that dtype computes."""
    import torch

    if dtype == "fp32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def memory(
    network: nn.Module, longest: Batch, loss: Callable[[Batch], tuple[Tensor, Tensor]]
) -> int:
    """Bytes that training holds at its fullest: AdamW in fp32, and the longest batch."""
    import torch

    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss(longest)
    activations = sum(size for place, size in kept.items() if place not in own)
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    trained = sum(p.numel() * p.element_size() for p in network.parameters() if p.requires_grad)
    return weights + 3 * trained + activations


def _is_sparse(network: nn.Module, parameter: Any) -> bool:
    return any(
        getattr(module, "sparse", False) and module.weight is parameter
        for module in network.modules()
    )
