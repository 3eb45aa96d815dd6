"""The processes that train together: what torchrun's variables say, and what they tell each other.

One process is the usual case, for which all of this does nothing.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import atexit
import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor
from torch import distributed as dist

from silmu.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WAIT = timedelta(minutes=30)
"""How long one process waits for the others: for the longest validation, done by the first."""

_BUCKET = 25 << 20
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@final
class Ranks:
    """This process among those that train together.

    >>> ranks = Ranks("cpu")
    >>> ranks.rank, ranks.world, ranks.leads
    (0, 1, True)
    """

    def __init__(self, device: str) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0")) if self.world > 1 else 0
        self.device = torch.device(resolved(device))
        if self.world == 1:
            return
        missing = [name for name in _VARIABLES if name not in os.environ]
        if missing:
            raise UsageError(
                f"WORLD_SIZE is {self.world}, but {', '.join(missing)} is not set",
                hint="start it by torchrun, or unset WORLD_SIZE to train in one process",
            )
        if self.device.type == "cuda":
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", self.rank)))
            torch.cuda.set_device(self.device)
        if not dist.is_initialized():
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=WAIT)
            atexit.register(_leave)

    @property
    def leads(self) -> bool:
        """Whether this is the process that validates, writes and speaks."""
        return self.rank == 0

    def totals(self, *values: Tensor | float) -> list[float]:
        """Each value, summed over the processes."""
        if self.world == 1:
            return [float(value) for value in values]
        summed = torch.tensor([float(value) for value in values], dtype=torch.float64)
        summed = summed.to(self.device)
        dist.all_reduce(summed)
        return [float(value) for value in summed.tolist()]

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Give every process the sum of the gradients of all."""
        if self.world == 1:
            return
        bucket: list[Tensor] = []
        for parameter in parameters:
            # A process whose share of the batch did not use a parameter takes part all the same.
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if parameter.grad.is_sparse:
                parameter.grad = self._sum_of_rows(parameter.grad)
                continue
            bucket.append(parameter.grad)
            if sum(one.numel() for one in bucket) * 4 >= _BUCKET:
                _sum_together(bucket)
                bucket = []
        if bucket:
            _sum_together(bucket)

    def _sum_of_rows(self, gradient: Tensor) -> Tensor:
        gradient = gradient.coalesce()
        indices, values = gradient.indices(), gradient.values()
        sizes = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.world)]
        dist.all_gather(sizes, torch.tensor([values.shape[0]], device=self.device))
        longest = max(int(size) for size in sizes)
        gathered: list[list[Tensor]] = []
        for own in (indices.t().contiguous(), values):
            padded = own.new_zeros(longest, *own.shape[1:])
            padded[: own.shape[0]] = own
            others = [torch.empty_like(padded) for _ in range(self.world)]
            dist.all_gather(others, padded)
            gathered.append([one[: int(n)] for one, n in zip(others, sizes, strict=True)])
        # In the order of the ranks, so that every process adds in the same order.
        rows, parts = torch.cat(gathered[0]).t(), torch.cat(gathered[1])
        summed = torch.sparse_coo_tensor(rows, parts, gradient.shape, check_invariants=False)
        return summed.coalesce()

    def share(self, tensors: Sequence[Tensor]) -> None:
        """Give every process what the first has in these tensors."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def told(self, value: Any = None) -> Any:
        """What the first process says, a plain value."""
        if self.world == 1:
            return value
        content = json.dumps(value).encode() if self.leads else b""
        size = torch.tensor([len(content)], device=self.device)
        dist.broadcast(size, 0)
        # Not by torch's own way with objects, which is pickle.
        data = torch.zeros(int(size), dtype=torch.uint8, device=self.device)
        if self.leads:
            data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(data, 0)
        return json.loads(bytes(data.cpu().tolist()))

    def meet(self) -> None:
        """Wait until all are here."""
        self.totals(0.0)


def resolved(device: str) -> str:
    """The device that `auto` stands for on this machine; others as they are."""
    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _sum_together(gradients: list[Tensor]) -> None:
    flat = torch.cat([one.reshape(-1) for one in gradients])
    dist.all_reduce(flat)
    parts = flat.split([one.numel() for one in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
